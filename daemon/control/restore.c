/* SPDX-License-Identifier: MIT */
/* What a predecessor had registered, taken up at start. */
#include "daemon/control/restore.h"

#include "daemon/config/registered_text.h"
#include "daemon/control/desk.h"
#include "daemon/control/keeping.h"
#include "daemon/control/state.h"
#include "daemon/core/numbered.h"
#include "daemon/data/spooling.h"
#include "daemon/data/vault.h"
#include "daemon/store/stash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Loading ---- */

struct past *past_free(struct past *past)
{
    if (!past)
        return NULL;
    list_remove(&past->link);
    remembered_ids_free(past->ids);
    settings_deinit(&past->was.settings);
    free(past);
    return NULL;
}

static const char *past_name(const struct past *past)
{
    return past->was.settings.name;
}

/* The database is msgd's own: nobody chooses names so that they collide. */
static uint64_t hash_name(const char *name)
{
    return table_hash(0, name, strlen(name));
}

static void outdate(struct restored *restored, struct past *past)
{
    table_remove(&restored->by_name, &past->by_name);
    list_remove(&past->link);
    list_append(&restored->outdated, &past->link);
}

/* Of two with one name (it was moving) the later one counts; the other goes with restore_finish. */
static void add_past(struct control *control, struct past *past)
{
    struct restored *restored = &control->restored;
    struct past *other = restore_find(control, past_name(past));

    list_append(&restored->all, &past->link);
    table_add(&restored->by_name, &past->by_name, hash_name(past_name(past)));
    if (other)
        outdate(restored, other->number < past->number ? other : past);
}

static int on_registration(void *context, const struct store_registration *r)
{
    struct past *past = calloc(1, sizeof(*past));
    int result;

    if (!past)
        return -ENOMEM;
    past->number = r->number;
    result = registered_load_any(&past->was, r->bytes, r->n_bytes);
    if (result == 0) {
        add_past(context, past);
        return 0;
    }
    past_free(past);
    if (result == -ENOMEM)
        return result;
    log_error("the registration of %s in the database cannot be read; it is left out", r->name);
    return 0;
}

/* What is on disk of their messages is told once all of them are known; mostly there is nothing. */
struct numbered_past {
    uint64_t number; /* first (core/numbered) */
    struct past *past;
};

static int number_all(struct restored *restored)
{
    const size_t n = restored->by_name.count;

    restored->numbered = calloc(n, sizeof(*restored->numbered));
    if (!restored->numbered)
        return -ENOMEM;
    list_for_each(at, next, &restored->all)
    {
        struct past *past = list_member(at, struct past, link);

        restored->numbered[restored->n_numbered++] =
            (struct numbered_past){.number = past->number, .past = past};
    }
    return 0;
}

/* 0 or -ENOMEM; *out NULL: there is none. */
static int find_number(struct restored *restored, uint64_t number, struct past **out)
{
    size_t i;

    *out = NULL;
    if (restored->by_name.count == 0)
        return 0;
    if (!restored->numbered && number_all(restored) < 0)
        return -ENOMEM;
    i = numbered_find(restored->numbered, restored->n_numbered, sizeof(*restored->numbered),
                      number);
    if (i < restored->n_numbered && restored->numbered[i].number == number)
        *out = restored->numbered[i].past;
    return 0;
}

static int on_spooled(void *context, const struct store_spooled *s)
{
    struct control *control = context;
    struct past *past;
    int r = find_number(&control->restored, s->endpoint, &past);

    if (past)
        past->spooled = *s;
    return r;
}

static int on_remembered(void *context, uint64_t endpoint, int64_t time_ns, const uint8_t *ids,
                         size_t n_bytes)
{
    struct control *control = context;
    struct remembered_ids *one;
    struct past *past;
    int r = find_number(&control->restored, endpoint, &past);

    (void)time_ns;
    if (!past)
        return r;
    one = malloc(sizeof(*one) + n_bytes);
    if (!one)
        return -ENOMEM;
    one->next = past->ids;
    one->n_bytes = n_bytes;
    memcpy(one->bytes, ids, n_bytes);
    past->ids = one;
    return 0;
}

int restore_load(struct control *control)
{
    const struct store_loader loader = {.context = control,
                                        .registration = on_registration,
                                        .spooled = on_spooled,
                                        .remembered = on_remembered,
                                        .rejected = rejects_load};
    struct restored *restored = &control->restored;
    int r;

    list_init(&restored->all);
    list_init(&restored->outdated);
    if (table_init(&restored->by_name) < 0)
        return -ENOMEM;
    r = store_load(control->options.store, &loader);
    free(restored->numbered);
    restored->numbered = NULL;
    return r < 0 ? error_trace(r, "cannot read the database") : 0;
}

struct past *restore_find(const struct control *control, const char *name)
{
    struct table_link *at = control->restored.by_name.buckets
                                ? table_first(&control->restored.by_name, hash_name(name))
                                : NULL;

    while (at && strcmp(past_name(list_member(at, struct past, by_name)), name) != 0)
        at = table_next(at);
    return at ? list_member(at, struct past, by_name) : NULL;
}

/* ---- Taking up ---- */

/* The desk goes on where the past ended: number, generation, address, lease; and, until it is
 * opened, has the past. */
static void restore_continue(struct desk *desk, struct past *past)
{
    struct entry_past known = {.generation = past->was.generation,
                               .address = past->was.address,
                               .since_wall_ns = past->was.since_wall_ns,
                               .now_ms = control_now_ms(),
                               .now_wall_ns = control_wall_ns()};

    table_remove(&desk->control->restored.by_name, &past->by_name);
    list_remove(&past->link);
    desk->past = past;
    desk->number = past->number;
    registry_restore(desk->control->registry, desk->entry, &known);
}

void restore_static(struct desk *desk)
{
    struct past *past = restore_find(desk->control, desk->name);

    if (past)
        restore_continue(desk, past);
}

static int make_desk(struct control *control, struct past *past, struct account *account,
                     struct desk **out)
{
    struct owner owner = {.uid = past->was.uid};
    struct entry *entry;
    int r = registry_insert(control->registry, &past->was.settings, NULL, owner,
                            past->was.since_wall_ns, &entry);

    if (r < 0)
        return r;
    r = desk_new(out, control, entry, past->was.uid, account);
    if (r < 0)
        registry_remove(control->registry, entry);
    return r;
}

static int register_again(struct control *control, struct past *past)
{
    struct quota_refusal refusal;
    struct account *account;
    struct desk *desk;
    int r = quota_take_endpoint(control->quota, past->was.uid, &account, &refusal);

    if (r == QUOTA_EXCEEDED)
        return -EDQUOT;
    if (r < 0)
        return r;
    r = make_desk(control, past, account, &desk);
    if (r < 0) {
        quota_give_endpoint(control->quota, past->was.uid);
        return r;
    }
    struct address address = past->was.address;

    restore_continue(desk, past);
    desk->is_saved = true;
    desk_open_or_wait(desk, &address);
    return 0;
}

static bool is_configured(const struct control *control, const char *name)
{
    for (size_t i = 0; i < control->config.n_endpoints; i++)
        if (strcmp(control->config.endpoints[i].settings.name, name) == 0)
            return true;
    return false;
}

void restore_names(struct control *control)
{
    list_for_each(at, next, &control->restored.all)
    {
        struct past *past = list_member(at, struct past, link);
        char name[NAME_BYTES_MAX + 1];
        int r;

        if (past->was.is_static || is_configured(control, past_name(past)))
            continue;
        memcpy(name, past_name(past), sizeof(name)); /* the registry takes the settings */
        r = register_again(control, past);
        if (r < 0)
            log_error("%s is not registered any more: %s", name, strerrordesc_np(-r));
    }
}

/* ---- The end ---- */

void restore_end_past(struct desk *desk)
{
    struct control *control = desk->control;

    if (!desk->past)
        return;
    desk->past = past_free(desk->past);
    /* Not while control opens: behind all of them is one wait. */
    if ((control->is_serving || control->n_passing > 0) && !control->is_closing &&
        vault_has_past(control->vault))
        control_await_workers(control);
}

/* Of that endpoint; 0: of any. */
static bool is_awaited(const struct control *control, uint64_t number)
{
    list_for_each(at, next, &control->desks)
    {
        const struct desk *desk = list_member(at, struct desk, by_change);

        if (desk->past && (number == 0 || desk->number == number))
            return true;
    }
    return false;
}

bool restore_is_awaited(const struct control *control)
{
    return is_awaited(control, 0);
}

/* The sockets of an endpoint that cannot be opened now wait, too. */
static void remove_item(void *context, const struct stash_item *item)
{
    struct control *control = context;

    if (!is_awaited(control, item->key))
        stash_remove(control->options.stash, item);
}

static void let_go(struct control *control, struct list *list)
{
    while (!list_is_empty(list)) {
        struct past *past = list_member(list->next, struct past, link);

        if (control->port) {
            vault_forget(control->vault, past->number);
            keeping_end(control, past->number, ENDPOINT_SOCKETS_MAX);
            keeping_forget_messages(control, past->number);
        }
        past_free(past);
    }
}

void restore_finish(struct control *control)
{
    struct restored *restored = &control->restored;

    if (!restored->all.next)
        return;
    let_go(control, &restored->all);
    let_go(control, &restored->outdated);
    table_deinit(&restored->by_name);
    *restored = (struct restored){0};
    stash_each_left(control->options.stash, STASH_SOCKET, remove_item, control);
}
