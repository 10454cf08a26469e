/* SPDX-License-Identifier: MIT */
/* From the journals to the database. */
#include "daemon/data/spooling.h"

#include "daemon/core/remembered.h"
#include "daemon/data/answers.h"
#include "daemon/data/framed.h"
#include "daemon/data/spooling_inside.h"

#include <errno.h>
#include <stdlib.h>

/* How long what nobody waits for may wait for its release. */
#define LINGER_MS 50
/* And not more than this. */
#define ENOUGH_BYTES (UINT64_C(4) << 20)

#define IDS_BYTES ((size_t)SPOOL_PIECE_IDS * REMEMBERED_MAX)

/* ---- Life ---- */

void remembered_ids_free(struct remembered_ids *ids)
{
    while (ids != NULL) {
        struct remembered_ids *next = ids->next;
        free(ids);
        ids = next;
    }
}

struct endpoint_spooling *endpoint_spooling_new(struct endpoint *e)
{
    struct endpoint_spooling *sp = calloc(1, sizeof(*sp));

    if (sp != NULL)
        sp->endpoint = e;
    return sp;
}

struct endpoint_spooling *endpoint_spooling_free(struct endpoint_spooling *sp)
{
    if (sp != NULL)
        remembered_ids_free(sp->ids);
    free(sp);
    return NULL;
}

static int open_memory(struct spooling *s)
{
    size_t found = N_READS * (size_t)STORE_ROW_BYTES + N_APPENDS * IDS_BYTES;
    size_t bytes = found + CATCH_UP_NUMBERS * sizeof(*s->found);

    /* Pages come as they are needed. */
    s->memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    if (s->memory == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < N_READS; i++)
        s->readings[i].bytes = s->memory + i * (size_t)STORE_ROW_BYTES;
    for (size_t i = 0; i < N_APPENDS; i++)
        s->appends[i].ids = s->memory + N_READS * (size_t)STORE_ROW_BYTES + i * IDS_BYTES;
    s->found = (const struct record **)(void *)(s->memory + found);
    return 0;
}

int spooling_open(struct worker *w)
{
    struct spooling *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return -ENOMEM;
    w->spooling = s;
    list_init(&s->free_appends);
    list_init(&s->free_readings);
    list_init(&s->urgent);
    list_init(&s->patient);
    list_init(&s->hungry);
    list_init(&s->kept);
    list_init(&s->late);
    for (size_t i = 0; i < N_APPENDS; i++) {
        s->appends[i].worker = w;
        list_append(&s->free_appends, &s->appends[i].link);
    }
    for (size_t i = 0; i < N_READS; i++) {
        s->readings[i].worker = w;
        list_append(&s->free_readings, &s->readings[i].link);
    }
    s->linger.data = w;
    int rc = open_memory(s);
    if (rc == 0)
        rc = uv_timer_init(&w->loop, &s->linger);
    if (rc == 0)
        rc = tidy_init(w);
    if (rc == 0 && w->options.store != NULL)
        rc = store_port_open(&s->port, w->options.store, &w->loop);
    return rc;
}

static void on_closed(void *context)
{
    struct worker *w = context;

    w->spooling->port = NULL;
    w->spooling->closed(w);
}

void spooling_close(struct worker *w, void (*done)(struct worker *w))
{
    struct spooling *s = w->spooling;

    if (s->port == NULL) {
        done(w);
        return;
    }
    s->closed = done;
    store_port_close(s->port, on_closed, w);
}

static void no_more(struct worker *w)
{
    (void)w;
}

void spooling_close_now(struct worker *w)
{
    if (w->spooling == NULL)
        return;
    spooling_close(w, no_more);
    while (w->spooling->port != NULL)
        uv_run(&w->loop, UV_RUN_ONCE);
}

void spooling_free(struct worker *w)
{
    if (w->spooling != NULL)
        free(w->spooling->memory);
    free(w->spooling);
    w->spooling = NULL;
}

int spooling_refusal(void *endpoint)
{
    const struct endpoint *e = endpoint;
    const struct store *store = e->worker->options.store;

    if (store == NULL)
        return DROP_SPOOL_FAILED;
    switch (store_state(store)) {
    case STORE_OPEN:
        return MESSAGE_KEPT;
    case STORE_FULL:
        return DROP_SPOOL_FULL;
    case STORE_FAILED:
        break;
    }
    return DROP_SPOOL_FAILED;
}

/* ---- Telling ---- */

typedef void (*record_seen)(struct endpoint *e, const struct record *r, const struct message_tag *t,
                            const struct frame_id *id, void *context);

/* Calls seen for each framed message of a piece that has an id. */
static void each_id(struct endpoint *e, const struct spool_piece *p, record_seen seen,
                    void *context)
{
    for (size_t at = 0; at < p->n_bytes;) {
        const struct record *r = (const struct record *)(const void *)(p->bytes + at);
        struct message_tag tag;
        struct frame_id id;

        at += record_bytes_of(r);
        record_tag(r, &tag);
        if (tag.n_id == 0 || tag.type == MESSAGE_REPLY)
            continue;
        frame_id_read(tag.id, tag.n_id, &id);
        seen(e, r, &tag, &id, context);
    }
}

static void tell_one(struct endpoint *e, const struct record *r, const struct message_tag *tag,
                     const struct frame_id *id, void *context)
{
    struct message_key key = {.endpoint = e->number, .id = id};
    struct answer_cause cause = {.endpoint = e, .meta = r, .id = id, .allowance = tag->allowance};
    (void)context;

    /* Who released it meanwhile has had that said. */
    if (duplicates_commit(&e->worker->duplicates, &key) && tag->wants_disk)
        answer_ack(&cause, FRAME_STORED);
}

static void tell_on_disk(struct endpoint *e, const struct spool_piece *p)
{
    each_id(e, p, tell_one, NULL);
}

static void tell_failed(struct endpoint *e, const struct record *r, const struct message_tag *tag,
                        const struct frame_id *id, void *context)
{
    struct answer_cause cause = {.endpoint = e, .meta = r, .id = id, .allowance = tag->allowance};
    (void)context;

    if (tag->wants_disk)
        answer_nack(&cause, DROP_SPOOL_FAILED);
}

static void tell_all_failed(struct endpoint *e, const struct spool_piece *p)
{
    each_id(e, p, tell_failed, NULL);
}

static void add_id(struct endpoint *e, const struct record *r, const struct message_tag *tag,
                   const struct frame_id *id, void *context)
{
    struct remembered *ids = context;
    (void)e;
    (void)r;
    (void)tag;

    (void)!remembered_add(ids, id); /* there is room for all that a piece may have */
}

/* ---- Posting ---- */

static void on_appended(struct store_job *job)
{
    struct append *a = CONTAINER_OF(job, struct append, job);
    struct endpoint *e = a->endpoint;
    struct worker *w = a->worker;

    list_append(&w->spooling->free_appends, &a->link);
    if (e == NULL)
        return;
    a->endpoint = NULL;
    e->spooling->n_appends--;
    if (job->status == 0) {
        tell_on_disk(e, &a->piece);
        spool_committed(&e->mailbox, &a->piece);
        e->spooling->on_disk = a->piece.last_seq;
        list_join(&w->spooling->kept, &e->spooling->kept);
        tidy_soon(w);
    } else {
        spool_failed(&e->mailbox, &a->piece);
        tell_all_failed(e, &a->piece);
    }
    spooling_note(e);
    worker_flush(w);
}

static void post(struct endpoint *e, struct append *a)
{
    struct worker *w = e->worker;
    struct remembered ids = {.bytes = a->ids, .capacity = IDS_BYTES};

    list_remove(&a->link);
    a->endpoint = e;
    each_id(e, &a->piece, add_id, &ids);
    a->job = (struct store_job){.act = STORE_APPEND, .done = on_appended};
    a->job.append = (struct store_append){.endpoint = e->number,
                                          .bytes = a->piece.bytes,
                                          .n_bytes = a->piece.n_bytes,
                                          .ids = ids.n > 0 ? a->ids : NULL,
                                          .n_ids = ids.n};
    e->spooling->n_appends++;
    store_post(w->spooling->port, &a->job);
}

static void on_linger(uv_timer_t *timer);

static void wait_patiently(struct endpoint *e)
{
    struct spooling *s = e->worker->spooling;

    list_join(&s->patient, &e->spooling->patient);
    if (uv_is_active((uv_handle_t *)&s->linger))
        return;
    uv_timer_start(&s->linger, on_linger, LINGER_MS, 0);
}

/* Is it to go now, or may it wait for its release? */
static bool is_wanted(const struct endpoint *e)
{
    return e->spooling->is_due || e->mailbox.spool->has_waiters || e->state->spool.from != 0 ||
           e->is_removed || spool_unposted_bytes(&e->mailbox) >= ENOUGH_BYTES;
}

/* Posts what an endpoint has. False: no more can be under way. */
static bool post_all(struct endpoint *e)
{
    struct endpoint_spooling *sp = e->spooling;
    struct spooling *s = e->worker->spooling;

    spool_skip_finished(&e->mailbox);
    /* What gathers while one is under way goes together. */
    while (is_wanted(e) && (sp->n_appends == 0 || spool_has_whole_piece(&e->mailbox))) {
        if (list_is_empty(&s->free_appends))
            return false;
        struct append *a = list_member(s->free_appends.next, struct append, link);
        if (!spool_next_piece(&e->mailbox, &a->piece))
            break;
        post(e, a);
        (void)trim(e); /* in the same commit, which costs it no sync of its own */
    }
    sp->is_due = false;
    list_remove(&sp->urgent);
    if (!spool_has_unposted(&e->mailbox))
        list_remove(&sp->patient);
    else if (sp->n_appends == 0)
        wait_patiently(e);
    return true;
}

static void on_linger(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    struct list *patient = &w->spooling->patient;
    struct list *last = patient->previous; /* some come again behind it */
    bool is_last = list_is_empty(patient);

    while (!is_last) {
        struct endpoint_spooling *sp =
            list_member(patient->next, struct endpoint_spooling, patient);
        is_last = &sp->patient == last;
        list_remove(&sp->patient);
        sp->is_due = true;
        spooling_note(sp->endpoint);
    }
    worker_flush(w);
}

void spooling_note(struct endpoint *e)
{
    struct endpoint_spooling *sp = e->spooling;
    struct spooling *s = e->worker->spooling;

    if (sp == NULL || s->port == NULL || sp->is_forgetting)
        return;
    if (e->mailbox.spool->late != 0 && !list_is_linked(&sp->late)) {
        list_append(&s->late, &sp->late);
        tidy_soon(e->worker);
    }
    if (!spool_has_unposted(&e->mailbox) || spooling_refusal(e) == DROP_SPOOL_FAILED)
        return;
    /* A whole piece may turn out to be finished, and its memory is used again while it is warm. */
    if (spool_has_whole_piece(&e->mailbox) || (sp->n_appends == 0 && is_wanted(e)))
        list_join(&s->urgent, &sp->urgent);
    else
        wait_patiently(e);
}

void spooling_flush(struct worker *w)
{
    struct spooling *s = w->spooling;

    list_for_each(at, next, &s->urgent)
    {
        if (!post_all(list_member(at, struct endpoint_spooling, urgent)->endpoint))
            break;
    }
    list_for_each(hungry, next_hungry, &s->hungry)
    {
        fetch(list_member(hungry, struct endpoint_spooling, hungry)->endpoint);
    }
    list_for_each(late, next_late, &s->late)
    {
        catch_up(list_member(late, struct endpoint_spooling, late)->endpoint);
    }
}

/* ---- Beginning and ending ---- */

struct remembering {
    struct endpoint *endpoint;
    uint64_t now_ms;
};

/* From the highest number down to the first that lies before the window: a source that has sent for
 * minutes costs no more than one that has just begun. */
static void remember(void *context, const struct frame_id *first, uint32_t count)
{
    const struct remembering *r = context;
    struct duplicates *d = &r->endpoint->worker->duplicates;
    struct frame_id id = *first;
    struct message_key key = {.endpoint = r->endpoint->number, .id = &id};

    while (count-- > 0) {
        id.number = first->number + count;
        enum duplicate state = duplicates_look(d, &key, r->now_ms);
        if (state == DUPLICATE_NOT)
            duplicates_keep(d, &key, r->now_ms);
        else if (state == DUPLICATE_RELEASED || state == DUPLICATE_NO_ROOM)
            break;
    }
}

void spooling_begin(struct endpoint *e)
{
    struct endpoint_spooling *sp = e->spooling;

    if (sp == NULL)
        return;
    struct remembering r = {.endpoint = e, .now_ms = boot_clock_ms()};

    for (const struct remembered_ids *ids = sp->ids; ids != NULL; ids = ids->next)
        (void)!remembered_each(ids->bytes, ids->n_bytes, remember, &r); /* what can be read */
    remembered_ids_free(sp->ids);
    sp->ids = NULL;
    sp->on_disk = e->mailbox.spool->remains.last_seq;
    sp->trimmed = e->mailbox.spool->remains.released;
    if (e->mailbox.spool->remains.n > 0) {
        list_join(&e->worker->spooling->kept, &sp->kept);
        tidy_soon(e->worker);
    }
    spooling_note(e);
    spooling_look(e);
}

void spooling_gone(struct endpoint *e)
{
    struct endpoint_spooling *sp = e->spooling;

    if (sp == NULL)
        return;
    list_remove(&sp->urgent);
    list_remove(&sp->patient);
    list_remove(&sp->hungry);
    list_remove(&sp->kept);
    list_remove(&sp->late);
}

static void on_forgotten(struct store_job *job)
{
    struct endpoint *e = job->context;

    e->spooling->is_forgetting = false;
}

/* What the store still reads stays where it is, but nobody hears of it. */
static void abandon_appends(struct endpoint *e)
{
    struct spooling *s = e->worker->spooling;

    for (size_t i = 0; i < N_APPENDS; i++)
        if (s->appends[i].endpoint == e)
            s->appends[i].endpoint = NULL;
    e->spooling->n_appends = 0;
}

void spooling_end(struct endpoint *e)
{
    struct endpoint_spooling *sp = e->spooling;

    if (sp == NULL)
        return;
    spooling_gone(e);
    if (e->worker->spooling->port == NULL)
        return;
    if (e->removal.is_for_successor) {
        if (!e->removal.is_memory_kept)
            (void)trim(e);
        return;
    }
    sp->is_forgetting = true;
    sp->forget = (struct store_job){
        .act = STORE_FORGET, .done = on_forgotten, .context = e, .forget = e->number};
    store_post(e->worker->spooling->port, &sp->forget);
}

/* What is in memory alone goes to disk, too, before memory goes: as much as there is room for.
 * True: there will be more room. */
static bool settle_late(struct endpoint *e)
{
    struct spool *spool = e->mailbox.spool;

    if (spool->late == 0 || !e->removal.is_for_successor || e->removal.is_memory_kept ||
        spooling_refusal(e) != MESSAGE_KEPT)
        return false;
    return spool_catch_up(&e->mailbox, e->worker->spooling->found, CATCH_UP_NUMBERS,
                          CATCH_UP_BYTES) ||
           atomic_load(&spool->budget->used) > 0;
}

bool spooling_settle(struct endpoint *e)
{
    struct endpoint_spooling *sp = e->spooling;

    if (sp == NULL)
        return false;
    bool is_late = settle_late(e);
    if (e->removal.is_for_successor && spooling_refusal(e) != MESSAGE_KEPT)
        abandon_appends(e); /* they may wait for room for ever */
    else if (e->removal.is_for_successor && spool_has_unposted(&e->mailbox))
        (void)post_all(e);
    return sp->n_appends > 0 || sp->is_reading || sp->is_trimming || sp->is_expiring ||
           sp->is_forgetting || sp->refill.is_queued || sp->catch_up.is_queued || is_late ||
           (e->removal.is_for_successor && spooling_refusal(e) == MESSAGE_KEPT &&
            spool_has_unposted(&e->mailbox));
}
