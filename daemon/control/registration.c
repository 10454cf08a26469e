/* SPDX-License-Identifier: MIT */
/* A Register or Receive call on its way to an endpoint. */
#include "daemon/control/registration.h"

#include "daemon/control/call.h"
#include "daemon/control/connection.h"
#include "daemon/control/deadlines.h"
#include "daemon/control/keeping.h"
#include "daemon/control/methods.h"
#include "daemon/control/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void attempt(struct registration *reg);

/* Frees it and gives back the call, which is still to be answered. */
static struct call *registration_free(struct registration *reg)
{
    struct call *call = reg->call;

    if (reg->waiting)
        registry_unwait(reg->waiting, reg);
    list_remove(&reg->link);
    settings_deinit(&reg->settings);
    free(reg->snapshot);
    free(reg);
    call->state = NULL;
    call->cancel = NULL;
    call->is_unbounded = false;
    return call;
}

static void on_cancelled(struct call *call)
{
    struct registration *reg = call->state;

    if (reg->is_asking)
        return; /* on_mailbox_known sees that nobody is there any more */
    if (reg->waiting)
        desk_changed(desk_of(reg->waiting));
    call_end(registration_free(reg));
}

static void fail_memory(struct registration *reg)
{
    call_try_again(registration_free(reg), "no memory");
}

static struct owner claimant(const struct registration *reg)
{
    const struct peer *peer = &reg->call->connection->peer;

    return (struct owner){.uid = peer->who.uid, .pid = peer->pid};
}

/* ---- Carrying out ---- */

static void finish(struct registration *reg, struct desk *desk, bool is_resumed)
{
    struct connection *c = reg->call->connection;
    struct holder *holder = holder_find(desk, c);
    registration_done done = reg->done;

    if (!holder && holder_join(&holder, desk, c) < 0) {
        if (!is_resumed && desk_remove(desk, DROP_RELEASED, NULL) < 0)
            log_warning("%s stays without a consumer: no memory", desk->name);
        fail_memory(reg);
        return;
    }
    connection_await_writes(c);
    done(registration_free(reg), holder, is_resumed);
}

/* An address that an endpoint of our own is about to leave is worth waiting for. */
static bool park(struct registration *reg, int error, const struct open_failure *why)
{
    struct leaving *leaving = NULL;

    if (error == -EADDRINUSE)
        leaving = desk_find_leaving(reg->call->control, &why->address);
    if (leaving)
        list_append(&leaving->parked, &reg->link);
    return leaving != NULL;
}

static void fail_open(struct registration *reg, int error, const struct open_failure *why)
{
    if (!park(reg, error, why))
        answer_open_failure(registration_free(reg), error, why);
}

static int make_desk(struct registration *reg, struct account *account, struct desk **out)
{
    struct control *control = reg->call->control;
    struct owner owner = claimant(reg);
    struct settings settings;
    struct entry *entry;
    int r = settings_copy(&reg->settings, &settings);

    if (r < 0)
        return r;
    r = registry_insert(control->registry, &settings, NULL, owner, control_wall_ns(), &entry);
    if (r < 0) {
        settings_deinit(&settings);
        return r;
    }
    r = desk_new(out, control, entry, owner.uid, account);
    if (r < 0)
        registry_remove(control->registry, entry);
    return r;
}

static void open_new(struct registration *reg, struct account *account)
{
    struct control *control = reg->call->control;
    struct open_failure why = {0};
    struct desk *desk;
    int r = make_desk(reg, account, &desk);

    if (r < 0) {
        quota_give_endpoint(control->quota, claimant(reg).uid);
        fail_memory(reg);
        return;
    }
    r = desk_open(desk, &reg->settings.address, &why);
    if (r < 0) {
        desk_discard(desk);
        fail_open(reg, r, &why);
        return;
    }
    finish(reg, desk, false);
}

/* Whether policy lets the claimant have what it asks for; else it has been told. */
static bool is_permitted(struct registration *reg)
{
    struct control *control = reg->call->control;
    char rule[POLICY_RULE_TEXT_MAX];

    if (policy_may_register(&control->config.policy, &reg->call->connection->peer.who,
                            &reg->settings, rule) == 0)
        return true;
    call_not_permitted(registration_free(reg), rule);
    return false;
}

static void claim_new(struct registration *reg)
{
    struct control *control = reg->call->control;
    struct quota_refusal refusal;
    struct account *account;
    int r;

    if (!is_permitted(reg))
        return;
    r = quota_take_endpoint(control->quota, claimant(reg).uid, &account, &refusal);
    if (r == QUOTA_EXCEEDED)
        answer_quota(registration_free(reg), &refusal);
    else if (r < 0)
        fail_memory(reg);
    else
        open_new(reg, account);
}

/* Applies what differs. True: done; false: the claimant has been told, or waits. */
static bool apply(struct registration *reg, const struct decision *d)
{
    struct desk *desk = desk_of(d->entry);
    struct desk_change change = {.settings = &reg->settings,
                                 .changes = d->changes,
                                 .where = d->must_move ? &d->address : NULL,
                                 .but = reg->call->connection};
    struct open_failure why = {0};
    int r;

    if (d->must_move && !entry_is_static(d->entry) && !is_permitted(reg))
        return false;
    r = desk_reconfigure(desk, &change, &why);
    if (r == -ENOMEM)
        fail_memory(reg);
    else if (r < 0)
        fail_open(reg, r, &why);
    return r == 0;
}

static void claim_resume(struct registration *reg, const struct decision *d)
{
    struct control *control = reg->call->control;

    if (!apply(reg, d))
        return;
    registry_resume(control->registry, d->entry, claimant(reg), control_wall_ns());
    keeping_save(desk_of(d->entry));
    finish(reg, desk_of(d->entry), true);
}

static void claim_replace(struct registration *reg, const struct decision *d)
{
    struct owner owner = claimant(reg);
    struct ending ending = {
        .error = "io.msgd.NameTaken", .reason = "was taken over by another process", .by = &owner};

    holders_end(desk_of(d->entry), NULL, &ending);
    claim_resume(reg, d);
}

static void claim_join(struct registration *reg, const struct decision *d)
{
    if (apply(reg, d))
        finish(reg, desk_of(d->entry), true);
}

static void claim_wait(struct registration *reg, struct entry *entry)
{
    if (reg->waiting == entry)
        return;
    if (registry_wait(entry, reg) < 0) {
        fail_memory(reg);
        return;
    }
    reg->waiting = entry;
    reg->call->is_unbounded = true;
    desk_changed(desk_of(entry));
}

/* ---- Asking for the mailbox ---- */

static void on_mailbox_known(void *context, struct snapshot *snapshots, size_t n)
{
    struct registration *reg = context;
    bool is_empty = n == 0 || snapshots[0].ledger.queued + snapshots[0].ledger.spooled == 0;

    reg->is_asking = false;
    reg->mailbox = is_empty ? MAILBOX_EMPTY : MAILBOX_IN_USE;
    if (!reg->call->connection)
        call_end(registration_free(reg));
    else
        attempt(reg);
}

static void ask_mailbox(struct registration *reg, const struct entry *entry)
{
    struct desk *desk = desk_of(entry);

    if (!entry->endpoint) {
        reg->mailbox = MAILBOX_EMPTY;
        list_append(&reg->call->control->homeless, &reg->link);
        return;
    }
    if (!reg->snapshot)
        reg->snapshot = calloc(1, sizeof(*reg->snapshot));
    if (!reg->snapshot) {
        fail_memory(reg);
        return;
    }
    reg->snapshot->endpoint = entry->endpoint;
    reg->is_asking = true;
    if (worker_snapshot(desk_worker(desk), reg->snapshot, 1, on_mailbox_known, reg) < 0) {
        reg->is_asking = false;
        fail_memory(reg);
    }
}

/* ---- Deciding ---- */

static void decide(struct registration *reg, struct decision *d)
{
    struct control *control = reg->call->control;
    struct connection *c = reg->call->connection;
    struct entry *entry = registry_find(control->registry, reg->settings.name);
    struct claim claim = {
        .settings = &reg->settings,
        .given = reg->given,
        .owner = claimant(reg),
        .is_administrator = policy_is_administrator(&control->config.policy, &c->peer.who),
        .mailbox = reg->mailbox,
    };

    if (entry) {
        claim.may_own = policy_may_own(&control->config.policy, &c->peer.who, entry->owner.uid,
                                       entry_owners(entry));
        claim.is_consumer = holder_find(desk_of(entry), c) != NULL;
    }
    registry_decide(control->registry, &claim, d);
}

/* A holder that is dead is no holder; its lease may have been 0. */
static bool probe(struct control *control, struct entry *entry)
{
    bool is_any_dead = holders_probe(desk_of(entry));

    if (is_any_dead)
        deadlines_run(control);
    return is_any_dead;
}

static bool is_against_holder(enum claim_verdict verdict)
{
    return verdict == CLAIM_NAME_TAKEN || verdict == CLAIM_QUEUE || verdict == CLAIM_REPLACE ||
           verdict == CLAIM_PORT_TAKEN;
}

static void refuse_name(struct registration *reg, const struct entry *entry)
{
    struct call *call = registration_free(reg);
    struct connection *c = call->connection;
    bool may_own = policy_may_own(&call->control->config.policy, &c->peer.who, entry->owner.uid,
                                  entry_owners(entry));

    if (call->method->run == method_receive && may_own && entry->n_consumers > 0)
        answer_already_attached(call, desk_of(entry));
    else
        answer_name_taken(call, entry);
}

static void refuse_owner(struct registration *reg, const struct entry *entry)
{
    char rule[192];

    snprintf(rule, sizeof(rule),
             "endpoints: %s belongs to the \"users\" and \"groups\" that the configuration names",
             entry->settings.name);
    call_not_permitted(registration_free(reg), rule);
}

static void act(struct registration *reg, const struct decision *d)
{
    switch (d->verdict) {
    case CLAIM_NEW:
        claim_new(reg);
        break;
    case CLAIM_RESUME:
        claim_resume(reg, d);
        break;
    case CLAIM_REPLACE:
        claim_replace(reg, d);
        break;
    case CLAIM_JOIN:
    case CLAIM_IS_OWN:
        claim_join(reg, d);
        break;
    case CLAIM_QUEUE:
        claim_wait(reg, d->entry);
        break;
    case CLAIM_ASK_MAILBOX:
        ask_mailbox(reg, d->entry);
        break;
    case CLAIM_NAME_TAKEN:
        refuse_name(reg, d->entry);
        break;
    case CLAIM_PORT_TAKEN:
        answer_port_taken_by(registration_free(reg), d->entry);
        break;
    case CLAIM_NOT_OWNER:
        refuse_owner(reg, d->entry);
        break;
    case CLAIM_BAD_FIELD:
        call_invalid_parameter(registration_free(reg), settings_field_key(d->field));
        break;
    }
}

static void attempt(struct registration *reg)
{
    struct control *control = reg->call->control;
    struct decision d;

    list_remove(&reg->link);
    if (!call_is_live(reg->call))
        return; /* on_cancelled comes next */
    decide(reg, &d);
    while (!reg->waiting && is_against_holder(d.verdict) && probe(control, d.entry))
        decide(reg, &d);
    reg->mailbox = MAILBOX_UNKNOWN;
    if (reg->waiting && d.verdict != CLAIM_QUEUE) {
        registry_unwait(reg->waiting, reg);
        desk_changed(desk_of(reg->waiting));
        reg->waiting = NULL;
    }
    act(reg, &d);
}

void registration_begin(struct call *call, struct settings *settings, uint32_t given,
                        registration_done done)
{
    struct registration *reg = calloc(1, sizeof(*reg));

    if (!reg) {
        settings_deinit(settings);
        call_try_again(call, "no memory");
        return;
    }
    reg->call = call;
    reg->settings = *settings;
    *settings = (struct settings){0};
    reg->given = given;
    reg->done = done;
    call->state = reg;
    call->cancel = on_cancelled;
    attempt(reg);
}

/* ---- Again ---- */

static void move_all(struct list *from, struct list *to)
{
    while (!list_is_empty(from)) {
        struct list *first = from->next;

        list_remove(first);
        list_append(to, first);
    }
}

void registrations_unpark(struct control *control, struct list *parked)
{
    move_all(parked, &control->homeless);
}

void registrations_rehome(struct control *control, struct entry *entry)
{
    struct registration *reg;

    while ((reg = registry_pop_waiter(entry)) != NULL) {
        reg->waiting = NULL;
        list_append(&control->homeless, &reg->link);
    }
}

/* The name has lost a consumer: the first of those who wait for it that can have it gets it. */
static void try_waiters(struct control *control, const char *name)
{
    struct entry *entry;
    size_t place = 0;

    while ((entry = registry_find(control->registry, name)) != NULL) {
        struct registration *reg = registry_waiter(entry, place);

        if (!reg)
            return;
        attempt(reg);
        entry = registry_find(control->registry, name);
        if (entry && registry_waiter(entry, place) == reg)
            place++;
    }
}

void registrations_run(struct control *control)
{
    struct list again;

    while (!list_is_empty(&control->vacated)) {
        struct desk *desk = list_member(control->vacated.next, struct desk, vacated);
        char name[NAME_BYTES_MAX + 1];

        list_remove(&desk->vacated);
        memcpy(name, desk->name, sizeof(name));
        try_waiters(control, name);
    }
    list_init(&again);
    move_all(&control->homeless, &again);
    while (!list_is_empty(&again))
        attempt(list_member(again.next, struct registration, link));
}
