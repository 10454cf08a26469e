/* SPDX-License-Identifier: MIT */
/* The sessions of a worker: connecting, and finding the session that a datagram is for. */
#include "daemon/data/sessions.h"

#include "daemon/data/answers.h"
#include "daemon/data/carrier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define MAX_CONNECTS     65536u
#define ASKS_RING_BYTES  (256u * 1024u)
#define RUN_BUFFER_BYTES (2 * 65536u)
#define STREAM_BYTES     65536u

/* ---- Life ---- */

uint64_t session_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t now_s(void)
{
    return (uint32_t)(session_now_ns() / 1000000000u);
}

static bool more_step(struct worker *w, struct task *t)
{
    (void)w;
    (void)t;
    return false; /* the flush after it is what it is for */
}

int sessions_open(struct worker *w)
{
    struct sessions *s = calloc(1, sizeof(*s));
    int r;

    if (s == NULL)
        return -ENOMEM;
    w->sessions = s;
    list_init(&s->dirty);
    s->more.step = more_step;
    s->clock_fd = -1;
    if (getrandom(&s->seed, sizeof(s->seed), 0) != sizeof(s->seed))
        return -EIO;
    r = connects_init(&s->connects, MAX_CONNECTS, s->seed);
    if (r == 0)
        r = table_init(&s->by_id);
    if (r == 0)
        r = spsc_init(&s->asks, ASKS_RING_BYTES);
    if (r < 0)
        return r;
    s->run = malloc(RUN_BUFFER_BYTES);
    s->stream = malloc(STREAM_BYTES);
    return s->run && s->stream ? session_clock_open(w) : -ENOMEM;
}

void sessions_close(struct worker *w)
{
    struct sessions *s = w->sessions;

    if (s == NULL)
        return;
    session_clock_close(w);
    connects_deinit(&s->connects);
    table_deinit(&s->by_id);
    timers_deinit(&s->timers);
    spsc_deinit(&s->asks);
    free(s->run);
    free(s->stream);
    free(s);
}

void sessions_info(const struct worker *w, struct session_info *out)
{
#define X(name) out->name = atomic_load_explicit(&w->sessions->counts.name, memory_order_relaxed);
    SESSION_COUNTS(X)
#undef X
}

/* ---- Answers to connects ---- */

static struct record meta_of(const struct cookie_claim *claim)
{
    struct record meta = {.from_port = claim->client.port,
                          .to_port = claim->server.port,
                          .scope = claim->client.scope ? claim->client.scope : claim->server.scope};

    memcpy(meta.from_ip, claim->client.ip, sizeof(meta.from_ip));
    memcpy(meta.to_ip, claim->server.ip, sizeof(meta.to_ip));
    return meta;
}

void sessions_answer(struct endpoint *e, const struct cookie_claim *claim, struct frame *f)
{
    struct record meta = meta_of(claim);

    f->members |= FRAME_HAS_NONCE;
    memcpy(f->nonce, claim->nonce, sizeof(f->nonce));
    /* The address has been proven, by a cookie or by a connect that is longer than this. */
    answer_frame(e, &meta, f, SESSION_DATAGRAM_MIN);
}

static void refuse(struct endpoint *e, const struct arrival *a, const struct frame *f,
                   const char *reason)
{
    struct frame answer = {.type = FRAME_REFUSE,
                           .members = FRAME_HAS_NONCE | FRAME_HAS_REASON,
                           .reason = {(const uint8_t *)reason, strlen(reason)}};

    memcpy(answer.nonce, f->nonce, sizeof(answer.nonce));
    answer_frame(e, &a->meta, &answer, a->n_bytes);
}

static void challenge(struct endpoint *e, const struct arrival *a, const struct cookie_claim *claim)
{
    char cookie[COOKIE_TEXT_BYTES];
    struct frame answer = {.type = FRAME_CHALLENGE,
                           .members = FRAME_HAS_NONCE | FRAME_HAS_COOKIE,
                           .cookie = {(const uint8_t *)cookie, sizeof(cookie)}};

    cookie_write(&e->worker->options.cookie_secret, claim, now_s(), cookie);
    memcpy(answer.nonce, claim->nonce, sizeof(answer.nonce));
    count(&e->worker->sessions->counts.challenges);
    answer_frame(e, &a->meta, &answer, a->n_bytes);
}

/* ---- Asking control ---- */

struct asked {
    struct endpoint *endpoint;
    struct cookie_claim claim;
    uint64_t window;
    uint32_t n_identity;
    char identity[];
};

static bool ask(struct endpoint *e, const struct cookie_claim *claim, const struct frame *f)
{
    size_t n_identity = f->members & FRAME_HAS_IDENTITY ? f->identity.n : 0;
    uint32_t n = (uint32_t)(sizeof(struct asked) + n_identity);
    struct asked *asked = spsc_reserve(&e->worker->sessions->asks, n);

    if (asked == NULL)
        return false;
    asked->endpoint = e;
    asked->claim = *claim;
    asked->window = f->members & FRAME_HAS_WINDOW ? f->window : 0;
    asked->n_identity = (uint32_t)n_identity;
    if (n_identity > 0)
        memcpy(asked->identity, f->identity.bytes, n_identity);
    spsc_commit(&e->worker->sessions->asks, n);
    e->worker->has_told = true;
    return true;
}

void sessions_drain(struct worker *w)
{
    const struct worker_events *events = &w->options.events;
    const struct asked *asked;
    uint32_t n;

    while ((asked = spsc_peek(&w->sessions->asks, &n)) != NULL) {
        const struct session_ask ask = {.claim = asked->claim,
                                        .window = asked->window,
                                        .identity = asked->identity,
                                        .n_identity = asked->n_identity};
        events->session_asked(events->context, asked->endpoint, &ask);
        spsc_pop(&w->sessions->asks);
    }
}

/* ---- Connects ---- */

static void take_known(struct endpoint *e, const struct arrival *a, const struct frame *f,
                       const struct connect *one)
{
    count(&e->worker->sessions->counts.connects_repeated);
    if (one->state == CONNECT_OPEN)
        carrier_accept(one->carrier);
    else if (one->state == CONNECT_ENDED)
        refuse(e, a, f, one->reason);
}

static void take_new(struct endpoint *e, const struct arrival *a, const struct frame *f,
                     const struct cookie_claim *claim)
{
    struct sessions *s = e->worker->sessions;
    struct connect *one;

    connects_expire(&s->connects, now_s());
    one = connects_add(&s->connects, claim, e);
    if (one == NULL) {
        count(&s->counts.sessions_refused);
        refuse(e, a, f, "full");
    } else if (!ask(e, claim, f)) {
        /* Control is busy: the client asks again. */
        connects_forget(&s->connects, one);
        count(&s->counts.connects_lost);
    }
}

static void take_connect(struct endpoint *e, const struct arrival *a, const struct frame *f)
{
    struct sessions *s = e->worker->sessions;
    struct cookie_claim claim = {0};
    struct connect *one;

    record_from(&a->meta, &claim.client);
    record_to(&a->meta, &claim.server);
    memcpy(claim.nonce, f->nonce, sizeof(claim.nonce));
    count(&s->counts.connects);
    if (address_is_multicast(&claim.server) || address_is_broadcast(&claim.server))
        return; /* a session has one server */
    if (e->settings.sessions == SESSIONS_OFF) {
        refuse(e, a, f, "no_sessions");
    } else if (!(f->members & FRAME_HAS_COOKIE)) {
        challenge(e, a, &claim);
    } else if (!cookie_is_valid(&e->worker->options.cookie_secret, &claim, now_s(), f->cookie.bytes,
                                f->cookie.n)) {
        /* Old, or of another msgd: the client may try again. */
        count(&s->counts.cookies_refused);
        challenge(e, a, &claim);
    } else if ((one = connects_find(&s->connects, &claim)) != NULL) {
        take_known(e, a, f, one);
    } else {
        take_new(e, a, f, &claim);
    }
}

/* ---- What names a session ---- */

static struct carrier *find(const struct sessions *s, const uint8_t id[16])
{
    struct table_link *at = table_first(&s->by_id, table_hash(s->seed, id, 16));

    for (; at != NULL; at = table_next(at)) {
        struct carrier *c = list_member(at, struct carrier, by_id);
        if (memcmp(c->id, id, sizeof(c->id)) == 0)
            return c;
    }
    return NULL;
}

bool sessions_stray(struct worker *w, const struct frame *f, struct frame *answer)
{
    static const char reason[] = "unknown";

    if (w->sessions->is_hushed)
        return false;
    if (find(w->sessions, f->session) != NULL) {
        count(&w->sessions->counts.sessions_misplaced);
        return false;
    }
    count(&w->sessions->counts.sessions_unknown);
    *answer = (struct frame){.type = FRAME_CLOSE,
                             .members = FRAME_HAS_SESSION | FRAME_HAS_REASON,
                             .reason = {(const uint8_t *)reason, sizeof(reason) - 1}};
    memcpy(answer->session, f->session, sizeof(answer->session));
    return f->type == FRAME_DATA || f->type == FRAME_PING; /* no answer to an answer */
}

void sessions_receive(struct endpoint *e, const struct arrival *a, const struct frame *f)
{
    struct worker *w = e->worker;
    struct frame answer;

    if (f->type == FRAME_CONNECT) {
        if (!w->sessions->is_hushed) /* else it comes again */
            take_connect(e, a, f);
        return;
    }
    struct carrier *c = find(w->sessions, f->session);
    if (c != NULL && c->udp < 0 && c->endpoint == e)
        carrier_take(c, a, f);
    else if (sessions_stray(w, f, &answer))
        answer_frame(e, &a->meta, &answer, a->n_bytes);
}

/* ---- The end of a turn ---- */

void sessions_flush(struct worker *w)
{
    struct list now;

    /* What is touched while others are pumped has its turn when the loop has looked round. */
    list_init(&now);
    while (!list_is_empty(&w->sessions->dirty)) {
        struct list *first = w->sessions->dirty.next;
        list_remove(first);
        list_append(&now, first);
    }
    while (!list_is_empty(&now)) {
        struct carrier *c = list_member(now.next, struct carrier, dirty);
        list_remove(&c->dirty);
        carrier_pump(c);
    }
    if (!list_is_empty(&w->sessions->dirty))
        task_queue(w, &w->sessions->more);
    session_clock_arm(w);
}

void sessions_leave(struct endpoint *e)
{
    list_for_each(at, next, &e->carriers)
    {
        carrier_kill(list_member(at, struct carrier, of_endpoint), "released");
    }
    connects_end_owner(&e->worker->sessions->connects, e, "released", now_s());
}

/* ---- Refusing ---- */

struct refusal {
    struct command command;
    struct endpoint *endpoint;
    struct cookie_claim claim;
    bool is_final;
    char reason[CONNECT_REASON_MAX + 1];
};

static void run_refuse(struct worker *w, struct command *c)
{
    struct refusal *r = CONTAINER_OF(c, struct refusal, command);
    struct frame answer = {.type = FRAME_REFUSE,
                           .members = FRAME_HAS_REASON,
                           .reason = {(const uint8_t *)r->reason, strlen(r->reason)}};
    struct connect *one = connects_find(&w->sessions->connects, &r->claim);

    count(&w->sessions->counts.sessions_refused);
    if (one != NULL && one->state == CONNECT_PENDING) {
        connects_end(&w->sessions->connects, one, r->reason, now_s());
        if (!r->is_final)
            connects_forget(&w->sessions->connects, one);
        sessions_answer(r->endpoint, &r->claim, &answer);
    }
    command_finish(w, c);
}

static void refuse_done(struct command *c)
{
    free(CONTAINER_OF(c, struct refusal, command));
}

int worker_refuse(struct endpoint *endpoint, const struct cookie_claim *claim, const char *reason,
                  bool is_final)
{
    struct refusal *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return -ENOMEM;
    r->command = (struct command){.run = run_refuse, .done = refuse_done};
    r->endpoint = endpoint;
    r->claim = *claim;
    r->is_final = is_final;
    snprintf(r->reason, sizeof(r->reason), "%s", reason);
    command_post(endpoint->worker, &r->command);
    return 0;
}
