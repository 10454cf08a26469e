/* SPDX-License-Identifier: MIT */
/* List: what there is, and with `more` what changes, as fast as the client reads. */
#include "daemon/control/access.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/holders.h"
#include "daemon/control/listing.h"
#include "daemon/control/methods.h"
#include "daemon/control/params.h"
#include "daemon/control/receive.h"
#include "daemon/control/state.h"
#include "daemon/control/survey.h"
#include "daemon/control/visit.h"
#include "daemon/control/watchers.h"
#include "daemon/store/store.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* A client that reads nothing while this many names go has to begin again. */
#define REMOVED_MAX 65536

struct watch {
    struct list link; /* control->watchers, if it wants changes */
    struct control *control;
    struct call *call;        /* NULL: gone; freed when the survey ends */
    struct name_list filter;  /* none: everything */
    struct name_list removed; /* not told yet */
    uint64_t seen;            /* control->change up to which it has been told */
    bool is_surveying;
    struct listing_session *sessions; /* room for n_sessions of one endpoint */
    size_t n_sessions;
    pid_t exe_pid; /* the last one that was looked up */
    char exe[PATH_MAX];
};

/* ---- Life ---- */

static void watch_free(struct watch *watch)
{
    list_remove(&watch->link);
    name_list_deinit(&watch->filter);
    name_list_deinit(&watch->removed);
    free(watch->sessions);
    free(watch);
}

static struct call *let_go_of_call(struct watch *watch)
{
    struct call *call = watch->call;

    watch->call = NULL;
    call->state = NULL;
    call->cancel = NULL;
    call->drained = NULL;
    list_remove(&watch->link);
    if (!watch->is_surveying)
        watch_free(watch);
    return call;
}

static void on_cancelled(struct call *call)
{
    call_end(let_go_of_call(call->state));
}

/* ---- One endpoint ---- */

static const char *executable(struct watch *watch, pid_t pid)
{
    if (pid <= 0)
        return NULL;
    if (watch->exe_pid != pid) {
        watch->exe_pid = pid;
        if (!peer_executable(pid, watch->exe, sizeof(watch->exe)))
            watch->exe[0] = '\0';
    }
    return watch->exe[0] ? watch->exe : NULL;
}

static void describe_consumer(const struct holder *holder, const struct snapshot *s,
                              struct listing_consumer *out)
{
    const void *key = holder_key(holder);
    uint32_t n = !s ? 0 : s->n_consumers < MAX_CONSUMER_ROWS ? s->n_consumers : MAX_CONSUMER_ROWS;

    *out = (struct listing_consumer){.pid = holder->connection->peer.pid,
                                     .uid = holder->connection->peer.who.uid,
                                     .kind = holder->kind == HOLDER_RECEIVING ? CONSUMER_RECEIVING
                                                                              : CONSUMER_ATTACHED};
    for (uint32_t i = 0; i < n; i++) {
        if (!key || s->consumers[i].key != key)
            continue;
        out->delivered = s->consumers[i].delivered;
        out->queued = s->consumers[i].queued;
        out->missed = s->consumers[i].missed;
        out->is_stalled = s->consumers[i].is_stalled;
    }
}

static size_t describe_consumers(const struct desk *desk, const struct snapshot *s,
                                 struct listing_consumer out[MAX_CONSUMER_ROWS])
{
    size_t n = 0;

    list_for_each(at, next, &desk->holders)
    {
        if (n < MAX_CONSUMER_ROWS)
            describe_consumer(list_member(at, struct holder, of_desk), s, &out[n++]);
    }
    return n;
}

static void describe_session(const struct visit *visit, struct listing_session *out)
{
    static const char *const states[] = {"offered", "open", "ending"};
    struct carrier_info info = {0};

    if (visit->carrier)
        carrier_info(visit->carrier, &info);
    *out = (struct listing_session){
        .id = visit->id,
        .peer = visit->peer,
        .identity = visit->identity,
        .port = visit->port,
        .age_s = (uv_now(visit->control->loop) - visit->since_ms) / 1000,
        .bytes_in_flight = info.bytes_in_flight,
        .retransmitted = info.retransmitted,
        .state = states[visit->state],
    };
}

/* How many there are room for; all of them, unless there is no memory. */
static size_t describe_sessions(struct watch *watch, const struct desk *desk)
{
    size_t n = 0;

    list_for_each(at, next, &desk->visits)
    {
        if (n == watch->n_sessions) {
            size_t n_more = n ? 2 * n : 16;
            void *more = reallocarray(watch->sessions, n_more, sizeof(*watch->sessions));

            if (!more)
                break;
            watch->sessions = more;
            watch->n_sessions = n_more;
        }
        describe_session(list_member(at, struct visit, of_desk), &watch->sessions[n++]);
    }
    return n;
}

static bool on_row(void *context, const struct desk *desk, const struct snapshot *s)
{
    struct watch *watch = context;
    struct listing_consumer consumers[MAX_CONSUMER_ROWS];
    const struct entry *entry = desk->entry;
    struct listing listing = {.entry = entry, .snapshot = s, .consumers = consumers};

    if (!watch->call || !call_is_live(watch->call))
        return false;
    listing.store = store_state(watch->control->options.store);
    listing.n_consumers = describe_consumers(desk, s, consumers);
    listing.is_for_owner = access_may_own(watch->call, entry);
    listing.user = user_names_get(&watch->control->users, entry->owner.uid);
    if (listing.is_for_owner)
        listing.exe = executable(watch, entry->owner.pid);
    listing.now_ms = control_now_ms();
    if (listing.is_for_owner)
        listing.n_sessions = describe_sessions(watch, desk);
    listing.sessions = watch->sessions;
    if (entry->endpoint)
        listing.receive_buffer_granted = endpoint_receive_buffer_granted(entry->endpoint);
    listing_write(&watch->call->writer, &listing);
    return watch->call->writer.error == 0;
}

/* ---- One reply ---- */

static void put_removed(struct watch *watch, struct json_writer *w)
{
    json_begin_array(w, "removed");
    for (size_t i = 0; i < watch->removed.n; i++)
        if (!registry_find(watch->control->registry, watch->removed.names[i]))
            json_put_string(w, NULL, watch->removed.names[i]);
    json_end_array(w);
    watch->removed.n = 0;
}

static void on_surveyed(void *context, int status)
{
    struct watch *watch = context;
    struct call *call = watch->call;

    watch->is_surveying = false;
    if (!call || !call_is_live(call)) {
        if (!call)
            watch_free(watch);
        return;
    }
    if (status < 0) {
        call_try_again(let_go_of_call(watch), "no memory");
        return;
    }
    json_end_array(&call->writer);
    put_removed(watch, &call->writer);
    if (call->in.more)
        call_send(call);
    else
        call_finish(let_go_of_call(watch));
}

static void reply(struct watch *watch, struct name_list *names)
{
    struct survey_order order = {
        .names = *names, .row = on_row, .done = on_surveyed, .context = watch};
    struct json_writer *w;

    *names = (struct name_list){0};
    watch->is_surveying = true;
    watch->exe_pid = 0;
    w = watch->call->in.more ? call_begin_continued(watch->call) : call_begin_reply(watch->call);
    json_begin_array(w, "endpoints");
    survey_begin(watch->control, &order);
}

/* ---- Changes ---- */

static bool is_wanted(const struct watch *watch, const char *name)
{
    if (watch->filter.n == 0)
        return true;
    for (size_t i = 0; i < watch->filter.n; i++)
        if (strcmp(watch->filter.names[i], name) == 0)
            return true;
    return false;
}

void watchers_note_removed(struct control *control, const char *name)
{
    list_for_each(at, next, &control->watchers)
    {
        struct watch *watch = list_member(at, struct watch, link);

        if (!is_wanted(watch, name))
            continue;
        if (watch->removed.n >= REMOVED_MAX || name_list_add(&watch->removed, name) < 0)
            call_try_again(let_go_of_call(watch), "too much has changed since the last reply");
    }
}

static int collect_changes(struct watch *watch, struct name_list *names)
{
    struct control *control = watch->control;

    for (struct list *at = control->desks.previous; at != &control->desks; at = at->previous) {
        const struct desk *desk = list_member(at, struct desk, by_change);
        int r = 0;

        if (desk->changed <= watch->seen)
            break;
        if (is_wanted(watch, desk->name))
            r = name_list_add(names, desk->name);
        if (r < 0)
            return r;
    }
    watch->seen = control->change;
    return 0;
}

static void tell(struct watch *watch)
{
    struct name_list names = {0};

    if (watch->is_surveying || !call_is_live(watch->call) ||
        !connection_is_drained(watch->call->connection))
        return;
    if (watch->seen == watch->control->change && watch->removed.n == 0)
        return;
    if (collect_changes(watch, &names) < 0) {
        name_list_deinit(&names);
        call_try_again(let_go_of_call(watch), "no memory");
    } else if (names.n > 0 || watch->removed.n > 0) {
        reply(watch, &names);
    }
}

void watchers_run(struct control *control)
{
    list_for_each(at, next, &control->watchers) tell(list_member(at, struct watch, link));
}

/* ---- The method ---- */

static int read_filter(struct name_list *out, const json_t *names)
{
    json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        int r = name_list_add(out, json_string_value(name));

        if (r < 0)
            return r;
    }
    return 0;
}

static int first_names(struct watch *watch, struct name_list *out)
{
    if (watch->filter.n == 0)
        return name_list_all(out, watch->control);
    for (size_t i = 0; i < watch->filter.n; i++) {
        int r = name_list_add(out, watch->filter.names[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

static void start(struct watch *watch)
{
    struct call *call = watch->call;
    struct name_list names = {0};

    call->state = watch;
    call->cancel = on_cancelled;
    if (first_names(watch, &names) < 0) {
        name_list_deinit(&names);
        call_try_again(let_go_of_call(watch), "no memory");
        return;
    }
    watch->seen = watch->control->change;
    if (call->in.more) {
        call->is_stream = call->is_unbounded = true;
        list_append(&watch->control->watchers, &watch->link);
    }
    reply(watch, &names);
}

void method_list(struct call *call)
{
    json_t *names = NULL;
    const struct param params[] = {{"names", PARAM_STRINGS, false, &names}};
    struct watch *watch;

    if (!PARAMS_PARSE(call, params))
        return;
    watch = calloc(1, sizeof(*watch));
    if (!watch || read_filter(&watch->filter, names) < 0) {
        if (watch)
            watch_free(watch);
        call_try_again(call, "no memory");
        return;
    }
    watch->control = call->control;
    watch->call = call;
    start(watch);
}
