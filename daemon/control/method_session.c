/* SPDX-License-Identifier: MIT */
/* Accept, Refuse, Write, Close. */
#include "daemon/control/access.h"
#include "daemon/control/bridge.h"
#include "daemon/control/desk.h"
#include "daemon/control/greeter.h"
#include "daemon/control/methods.h"
#include "daemon/control/params.h"
#include "daemon/control/state.h"
#include "daemon/control/visit.h"

#include <errno.h>
#include <string.h>

static void answer_no_such_session(struct call *call, const char *id)
{
    json_put_string(call_begin_error(call, "io.msgd.NoSuchSession"), "session", id);
    call_finish(call);
}

/* The session of that id if the caller's uid may have it; else the call has been answered. */
static struct visit *find_own(struct call *call, const char *id)
{
    struct visit *visit = visit_find(call->control, id);

    if (!visit || visit->state == VISIT_ENDED || visit->is_aborted || !visit->desk->entry) {
        answer_no_such_session(call, id);
        return NULL;
    }
    return access_owned(call, visit->desk->name) ? visit : NULL;
}

static void answer_empty(struct call *call)
{
    call_begin_reply(call);
    call_finish(call);
}

/* What msgd tells clients in a frame's header, which has no escapes. */
static bool is_reason(const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++)
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '"' || text[i] == '\\')
            return false;
    return n > 0 && n <= CONNECT_REASON_MAX;
}

/* ---- Accept ---- */

static void give_stream(struct call *call, struct visit *visit)
{
    int fd = visit->stream;

    visit->stream = -1;
    visit_taken(visit);
    json_put_int(call_begin_reply(call), "descriptor", 0);
    call_finish_with_gift(call, fd);
}

static void begin_bridge(struct call *call, struct visit *visit)
{
    int r = bridge_open(visit);

    if (r < 0) {
        visit_abort(visit, "no_memory");
        call_system_error(call, r, "serving the session");
        return;
    }
    json_put_null(call_begin_reply(call), "descriptor");
    call_finish(call);
}

static void accept_open(struct call *call, struct visit *visit, bool wants_descriptor)
{
    if (wants_descriptor && visit->stream >= 0)
        give_stream(call, visit);
    else if (!wants_descriptor && visit->stream >= 0 && visit->greeter->takes_messages)
        begin_bridge(call, visit);
    else
        call_invalid_parameter(call, visit->stream < 0 ? "session" : "descriptor");
}

void method_accept(struct call *call)
{
    const char *id;
    bool wants_descriptor = false;
    const struct param params[] = {{"session", PARAM_STRING, true, &id},
                                   {"descriptor", PARAM_BOOL, false, &wants_descriptor}};
    struct visit *visit;
    int r = 0;

    if (!PARAMS_PARSE(call, params))
        return;
    visit = find_own(call, id);
    if (!visit)
        return;
    if (!wants_descriptor && !(visit->greeter && visit->greeter->takes_messages)) {
        call_invalid_parameter(call, "descriptor");
        return;
    }
    if (visit->state == VISIT_OFFERED)
        r = visit_accept(visit);
    if (r == -ENOSPC)
        call_try_again(call, "every port of session_port_range is in use");
    else if (r < 0)
        call_system_error(call, r, "opening the session");
    else
        accept_open(call, visit, wants_descriptor);
}

/* ---- Refuse ---- */

void method_refuse(struct call *call)
{
    const char *id, *reason = "refused";
    const struct param params[] = {{"session", PARAM_STRING, true, &id},
                                   {"reason", PARAM_STRING, false, &reason}};
    struct visit *visit;

    if (!PARAMS_PARSE(call, params))
        return;
    visit = find_own(call, id);
    if (!visit)
        return;
    if (visit->state != VISIT_OFFERED || !is_reason(reason)) {
        call_invalid_parameter(call, visit->state != VISIT_OFFERED ? "session" : "reason");
        return;
    }
    visit_refuse(visit, reason);
    answer_empty(call);
}

/* ---- Write, Close ---- */

void method_write(struct call *call)
{
    const char *id;
    json_t *payload;
    const struct param params[] = {{"session", PARAM_STRING, true, &id},
                                   {"payload", PARAM_TEXT, true, &payload}};
    struct visit *visit;

    if (!PARAMS_PARSE(call, params))
        return;
    visit = find_own(call, id);
    if (!visit)
        return;
    if (visit->bridge)
        bridge_write(visit->bridge, call);
    else
        call_invalid_parameter(call, "session");
}

void method_close(struct call *call)
{
    const char *id, *reason = "aborted";
    bool is_abort = false;
    const struct param params[] = {{"session", PARAM_STRING, true, &id},
                                   {"abort", PARAM_BOOL, false, &is_abort},
                                   {"reason", PARAM_STRING, false, &reason}};
    struct visit *visit;

    if (!PARAMS_PARSE(call, params))
        return;
    visit = find_own(call, id);
    if (!visit)
        return;
    if (!is_reason(reason)) {
        call_invalid_parameter(call, "reason");
        return;
    }
    if (visit->state == VISIT_OFFERED || (!is_abort && !visit->bridge) ||
        (!is_abort && !bridge_finish(visit->bridge))) {
        call_invalid_parameter(call, "session");
        return;
    }
    if (is_abort)
        visit_abort(visit, reason);
    answer_empty(call);
}
