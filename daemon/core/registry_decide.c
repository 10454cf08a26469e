/* SPDX-License-Identifier: MIT */
/* What is to be done about a registration; docs/protocol.md, section "Register". */
#include "daemon/core/registry.h"

/* What a claimant of a static endpoint may say about itself; the rest is the configuration's. */
#define WISH_FIELDS  (FIELD_BIT(ON_CONFLICT) | FIELD_BIT(LEASE))
#define OWNER_FIELDS (FIELD_BIT(USERS) | FIELD_BIT(GROUPS))

static bool is_claimants(const struct entry *e, const struct claim *claim)
{
    return e->is_static ? claim->may_own : e->owner.uid == claim->owner.uid;
}

/* Given fields that differ from what the entry has. */
static uint32_t changes_of(const struct entry *e, const struct claim *claim)
{
    uint32_t changes = settings_difference(&e->settings, claim->settings) & claim->given;
    uint16_t port = claim->settings->address.port;

    changes &= ~OWNER_FIELDS;
    if (port == 0 || port == e->address.port)
        changes &= ~FIELD_BIT(PORT);
    if (e->is_static)
        changes &= ~WISH_FIELDS;
    return changes;
}

static struct address address_after(const struct entry *e, const struct claim *claim,
                                    uint32_t changes)
{
    const struct address *wanted = &claim->settings->address;
    struct address after = changes & FIELD_BIT(ADDRESS) ? *wanted : e->address;

    after.port = changes & FIELD_BIT(PORT) ? wanted->port : e->address.port;
    return after;
}

static enum settings_field lowest_field(uint32_t fields)
{
    return (enum settings_field)__builtin_ctz(fields);
}

static bool do_sessions_fit(const struct entry *e, const struct claim *claim, uint32_t changes)
{
    const struct settings *rule = changes & FIELD_BIT(SESSIONS) ? claim->settings : &e->settings;
    const struct settings *format = changes & FIELD_BIT(FORMAT) ? claim->settings : &e->settings;

    return settings_session_fits(rule->sessions, format->format);
}

/* Does a field not go with what stays? */
static bool has_bad_field(const struct entry *e, const struct claim *claim, struct decision *d)
{
    const struct settings *mailbox =
        d->changes & FIELD_BIT(MAILBOX_BYTES) ? claim->settings : &e->settings;
    const struct settings *message =
        d->changes & FIELD_BIT(MAX_MESSAGE_BYTES) ? claim->settings : &e->settings;
    const struct settings *shards = d->changes & FIELD_BIT(SHARDS) ? claim->settings : &e->settings;

    if (e->is_static && d->changes != 0) {
        d->field = lowest_field(d->changes);
        return true;
    }
    if (!do_sessions_fit(e, claim, d->changes)) {
        d->field = d->changes & FIELD_BIT(SESSIONS) ? FIELD_SESSIONS : FIELD_FORMAT;
        return true;
    }
    if (!settings_shards_fit(shards->shards, &d->address)) {
        d->field = d->changes & FIELD_BIT(SHARDS) ? FIELD_SHARDS : FIELD_ADDRESS;
        return true;
    }
    if (mailbox->mailbox_bytes >= settings_least_mailbox(message->max_message_bytes))
        return false;
    d->field =
        d->changes & FIELD_BIT(MAILBOX_BYTES) ? FIELD_MAILBOX_BYTES : FIELD_MAX_MESSAGE_BYTES;
    return true;
}

/* The verdict unless what would change stands against it. */
static void decide_change(const struct registry *r, const struct claim *claim,
                          enum claim_verdict verdict, struct decision *d)
{
    struct entry *other;

    d->verdict = verdict;
    if (has_bad_field(d->entry, claim, d)) {
        d->verdict = CLAIM_BAD_FIELD;
        return;
    }
    if (!d->must_move)
        return;
    other = registry_overlapping(r, &d->address, d->entry);
    if (other) {
        d->verdict = CLAIM_PORT_TAKEN;
        d->entry = other;
    } else if (claim->mailbox != MAILBOX_EMPTY) {
        d->verdict = claim->mailbox == MAILBOX_UNKNOWN ? CLAIM_ASK_MAILBOX : CLAIM_NAME_TAKEN;
    }
}

static void decide_conflict(const struct registry *r, const struct claim *claim, struct decision *d)
{
    bool may_replace = is_claimants(d->entry, claim) || claim->is_administrator;

    d->verdict = CLAIM_NAME_TAKEN;
    if (claim->settings->on_conflict == CONFLICT_QUEUE)
        d->verdict = CLAIM_QUEUE;
    else if (claim->settings->on_conflict == CONFLICT_REPLACE && may_replace &&
             d->entry->settings.may_replace)
        decide_change(r, claim, CLAIM_REPLACE, d);
}

static void decide_new(const struct registry *r, const struct claim *claim, struct decision *d)
{
    d->verdict = CLAIM_NEW;
    d->address = claim->settings->address;
    d->entry = registry_overlapping(r, &d->address, NULL);
    if (d->entry)
        d->verdict = CLAIM_PORT_TAKEN;
}

void registry_decide(const struct registry *r, const struct claim *claim, struct decision *out)
{
    struct decision d = {.entry = registry_find(r, claim->settings->name)};
    const struct entry *e = d.entry;
    bool is_shared;

    if (!e) {
        decide_new(r, claim, &d);
        *out = d;
        return;
    }
    d.changes = changes_of(e, claim);
    d.must_move = (d.changes & PLACE_FIELDS) != 0;
    d.address = address_after(e, claim, d.changes);
    /* With others on it, an endpoint stays where it is and what it is. */
    is_shared = (d.changes & (PLACE_FIELDS | FIELD_BIT(MODE))) == 0;

    if (e->is_static && !claim->may_own)
        d.verdict = CLAIM_NOT_OWNER;
    else if (claim->is_consumer && (is_shared || e->n_consumers == 1))
        decide_change(r, claim, CLAIM_IS_OWN, &d);
    else if (claim->is_consumer)
        d.verdict = CLAIM_NAME_TAKEN;
    else if (is_claimants(e, claim) && e->n_consumers == 0)
        decide_change(r, claim, CLAIM_RESUME, &d);
    else if (is_claimants(e, claim) && e->settings.mode != MODE_EXCLUSIVE && is_shared)
        decide_change(r, claim, CLAIM_JOIN, &d);
    else
        decide_conflict(r, claim, &d);
    *out = d;
}
