/* SPDX-License-Identifier: MIT */
/* What a store promised, what is found in its database, and whether the two agree. */
#include "daemon/store/store_state.h"
#include "tests/storm/storm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static void raise_to(uint64_t *at, uint64_t to)
{
    if (*at < to)
        *at = to;
}

void storm_promise(struct storm_promises *p, enum storm_event event, uint32_t which, uint64_t seq)
{
    switch (event) {
    case STORM_ACKED:
        raise_to(&p->endpoints[which].acked, seq);
        break;
    case STORM_RELEASING:
    case STORM_FORGETTING:
        raise_to(&p->endpoints[which].released, seq);
        break;
    case STORM_FORGOTTEN:
        raise_to(&p->endpoints[which].forgotten, seq);
        break;
    case STORM_CHANGING:
        p->registrations[which].is_sure = false;
        break;
    case STORM_REGISTERED:
    case STORM_UNREGISTERED:
        p->registrations[which].text = seq;
        atomic_signal_fence(memory_order_seq_cst); /* whoever dies in between is not sure */
        p->registrations[which].is_sure = true;
        break;
    case STORM_EVENTS:
        break;
    }
}

/* ---- Looking ---- */

static bool is_zero(const uint8_t *bytes, size_t n)
{
    size_t i = 0;

    while (i < n && bytes[i] == 0)
        i++;
    return i == n;
}

static int find_registration(void *context, const struct store_registration *r)
{
    struct storm_findings *f = context;

    if (strcmp(r->name, "storm") != 0)
        f->n_wrong_rows++;
    else if (r->number == 0 || r->number > STORM_REGISTRATIONS)
        f->n_unknown++;
    else
        f->texts[r->number] = strtoull(r->bytes, NULL, 10);
    return 0;
}

static int find_spooled(void *context, const struct store_spooled *s)
{
    struct storm_findings *f = context;

    if (s->endpoint == STORM_DAMAGED)
        f->damaged_last = s->last_seq;
    else if (s->endpoint == 0 || s->endpoint > STORM_ENDPOINTS)
        f->n_unknown++;
    else
        f->endpoints[s->endpoint].spooled = *s;
    return 0;
}

static int find_ids(void *context, uint64_t endpoint, int64_t time_ns, const uint8_t *ids, size_t n)
{
    struct storm_findings *f = context;

    f->n_wrong_rows += endpoint == 0 || endpoint > STORM_ENDPOINTS || time_ns <= 0 || n % 16 != 0 ||
                       !is_zero(ids, n);
    return 0;
}

static int find_rejected(void *context, const struct store_rejected *r)
{
    struct storm_findings *f = context;

    f->n_wrong_rows += r->uid != 0 || r->time_ns != 0 || strcmp(r->name, "storm") != 0 ||
                       strcmp(r->reason, "invalid_json") != 0 || !is_zero(r->bytes, r->n_bytes);
    return 0;
}

static void take_records(struct storm_found *found, const struct store_read *read)
{
    for (size_t at = 0; at < read->n_bytes;) {
        const struct record *r = (const struct record *)(const void *)(read->bytes + at);

        if (r->seq == 0 || r->seq > STORM_MAX_SEQ || r->seq <= found->last ||
            !store_user_is_good(r, read->endpoint)) {
            found->n_wrong++;
        } else {
            found->has[r->seq] = 1;
            found->last = r->seq;
            found->n++;
        }
        at += store_user_bytes_of(r);
    }
}

static void read_all(struct store *store, uint64_t endpoint, uint8_t *row,
                     struct storm_found *found)
{
    struct store_read read = {.endpoint = endpoint,
                              .from_seq = found->spooled.released + 1,
                              .bytes = row,
                              .capacity = STORE_ROW_BYTES};

    while ((found->status = chunks_read(store, &read)) == 0) {
        take_records(found, &read);
        found->n_lost += read.n_lost;
        read.from_seq = read.last_seq + 1;
    }
    if (found->status == -ENOENT)
        found->status = 0;
}

int storm_look(struct store *store, uint8_t *row, struct storm_findings *out)
{
    struct store_loader loader = {.context = out,
                                  .registration = find_registration,
                                  .spooled = find_spooled,
                                  .remembered = find_ids,
                                  .rejected = find_rejected};
    int r;

    memset(out, 0, sizeof(*out));
    r = store_load(store, &loader);
    if (r < 0)
        return r;
    for (uint64_t endpoint = 1; endpoint <= STORM_ENDPOINTS; endpoint++)
        read_all(store, endpoint, row, &out->endpoints[endpoint]);
    return 0;
}

/* ---- Holding one against the other ---- */

static void hold_account(const struct storm_found *f, unsigned endpoint, const char *what)
{
    SIM_HOLDS(f->status == 0, "%s: reading endpoint %u: %s", what, endpoint, strerror(-f->status));
    SIM_HOLDS(f->n_wrong == 0, "%s: endpoint %u has %llu records that nobody wrote", what, endpoint,
              (unsigned long long)f->n_wrong);
    SIM_HOLDS(f->n_lost == 0 && f->spooled.n_missing == 0,
              "%s: endpoint %u: %llu damaged, %llu missing", what, endpoint,
              (unsigned long long)f->n_lost, (unsigned long long)f->spooled.n_missing);
    SIM_HOLDS(f->n == f->spooled.n && f->last == f->spooled.last_seq,
              "%s: endpoint %u: %llu up to %llu were told of, %llu up to %llu are there", what,
              endpoint, (unsigned long long)f->spooled.n, (unsigned long long)f->spooled.last_seq,
              (unsigned long long)f->n, (unsigned long long)f->last);
}

static void hold_endpoint(const struct storm_promise *p, const struct storm_found *f,
                          unsigned endpoint, const char *what)
{
    uint64_t gone = p->released > p->forgotten ? p->released : p->forgotten;

    hold_account(f, endpoint, what);
    SIM_HOLDS(f->spooled.released <= gone, "%s: endpoint %u: %llu were released, not %llu", what,
              endpoint, (unsigned long long)gone, (unsigned long long)f->spooled.released);
    for (uint64_t seq = gone + 1; seq <= p->acked; seq++)
        SIM_HOLDS(f->has[seq], "%s: endpoint %u: %llu was acknowledged, and is lost", what,
                  endpoint, (unsigned long long)seq);
    for (uint64_t seq = 1; seq <= p->forgotten; seq++)
        SIM_HOLDS(!f->has[seq], "%s: endpoint %u: %llu was forgotten, and is there", what, endpoint,
                  (unsigned long long)seq);
}

void storm_hold(const struct storm_promises *p, const struct storm_findings *f, const char *what)
{
    SIM_HOLDS(f->n_unknown + f->n_wrong_rows == 0, "%s: %llu rows of nobody, %llu that are wrong",
              what, (unsigned long long)f->n_unknown, (unsigned long long)f->n_wrong_rows);
    for (unsigned i = 1; i <= STORM_ENDPOINTS; i++)
        hold_endpoint(&p->endpoints[i], &f->endpoints[i], i, what);
    for (unsigned i = 1; i <= STORM_REGISTRATIONS; i++)
        SIM_HOLDS(!p->registrations[i].is_sure || p->registrations[i].text == f->texts[i],
                  "%s: registration %u is %llu, not %llu", what, i, (unsigned long long)f->texts[i],
                  (unsigned long long)p->registrations[i].text);
}
