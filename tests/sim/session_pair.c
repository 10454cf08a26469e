/* SPDX-License-Identifier: MIT */
/* Sessions on a simulated network, and the applications that use them. */
#include "tests/sim/session_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Texts ---- */

static void texts_next(struct texts *t)
{
    struct sim_random random = {.state = t->seed ^ (t->number * UINT64_C(0x9e3779b97f4a7c15))};
    uint32_t longest = t->longest > 0 ? t->longest : 200;
    int n = snprintf(t->text, sizeof t->text, "\x1e{\"n\":%llu,\"fill\":\"",
                     (unsigned long long)t->number);
    size_t fill = sim_below(&random, longest);

    t->n = (size_t)n;
    for (size_t i = 0; i < fill; i++)
        t->text[t->n++] = (char)('a' + (t->number + i) % 26);
    memcpy(t->text + t->n, "\"}\n", 3);
    t->n += 3;
    t->at = 0;
}

static void texts_done(struct texts *t, size_t n)
{
    t->at += n;
    if (t->at == t->n) {
        t->number++;
        texts_next(t);
    }
}

/* ---- Addresses: the place is the IPv4 address ---- */

static struct address address_at(uint32_t place)
{
    struct address a = {.family = ADDRESS_IPV4, .port = 7000};

    memcpy(a.ip + 10, "\xff\xff", 2);
    a.ip[12] = 10;
    a.ip[13] = (uint8_t)(place >> 16);
    a.ip[14] = (uint8_t)(place >> 8);
    a.ip[15] = (uint8_t)place;
    return a;
}

static uint32_t place_at(const struct address *a)
{
    return (uint32_t)a->ip[13] << 16 | (uint32_t)a->ip[14] << 8 | a->ip[15];
}

/* ---- Life ---- */

static void open_side(struct sides *all, const struct session_options *like, uint32_t index,
                      struct sim_link *out)
{
    struct side *s = &all->side[index];
    struct session_options o = *like;
    uint64_t pair = all->net->random.state ^ index / 2;

    *s = (struct side){.out = out,
                       .index = index,
                       .place = index,
                       .timer_ns = SESSION_NEVER,
                       .n_may_write = UINT64_MAX};
    memcpy(o.id, &pair, sizeof pair);
    o.is_server = index % 2 == 1;
    o.peer = address_at(index ^ 1);
    o.now_ns = all->net->now_ns;
    o.seed = all->net->random.state + index;
    o.peer_window = like->receive_bytes != 0 ? like->receive_bytes : 1 << 20;
    SIM_HOLDS(session_new(&s->session, &o) == 0, "no memory");
    s->written.seed = index;
    s->read.seed = index ^ 1;
    texts_next(&s->written);
    texts_next(&s->read);
}

void sides_open(struct sides *all, const struct session_options *like, struct sim_link *there,
                struct sim_link *back)
{
    uint32_t index = all->n_sides;

    SIM_HOLDS(index + 2 <= SIDES_MAX, "too many sides");
    open_side(all, like, index, there);
    open_side(all, like, index + 1, back);
    all->n_sides += 2;
}

void sides_close(struct sides *all)
{
    for (uint32_t i = 0; i < all->n_sides; i++) {
        struct side *s = &all->side[i];

        s->session = session_free(s->session);
        free(s->saved);
        while (s->n_waiting > 0)
            free(s->waiting[--s->n_waiting].bytes);
    }
    all->n_sides = 0;
}

void side_move(struct side *s)
{
    s->place += SIDES_MAX;
}

/* ---- Restarts ---- */

#define WAKE_TAG (UINT64_MAX - 1) /* of the timer that ends one */

void side_restart(struct sides *all, struct side *s)
{
    uint64_t now_ns = all->net->now_ns;

    if (s->is_gone || s->saved != NULL)
        return;
    s->n_saved = session_save(s->session, now_ns, NULL, 0);
    SIM_HOLDS(s->n_saved > 0, "side %u cannot be saved", s->index);
    s->saved = malloc(s->n_saved);
    SIM_HOLDS(s->saved != NULL, "no memory");
    SIM_HOLDS(session_save(s->session, now_ns, s->saved, s->n_saved) == s->n_saved,
              "side %u is saved in another length", s->index);
    sim_timer(all->net, now_ns + sim_below(&all->restart_random, all->restart_ns + 1), s->index,
              WAKE_TAG);
}

/* What waited is read before anything is sent. */
static void read_waiting(struct sides *all, struct side *s)
{
    for (uint32_t i = 0; i < s->n_waiting; i++) {
        struct waiting *w = &s->waiting[i];
        struct address from = address_at(w->from);
        struct frame f;

        SIM_HOLDS(frame_parse(w->bytes, w->n, &f) == 0, "it was a frame when it came");
        session_receive(s->session, all->net->now_ns, &from, &f, w->n);
        free(w->bytes);
    }
    s->n_waiting = 0;
}

static void wake(struct sides *all, struct side *s)
{
    int r;

    session_free(s->session);
    r = session_load(&s->session, all->net->now_ns, s->saved, s->n_saved);
    SIM_HOLDS(r == 0, "side %u is refused: %d", s->index, r);
    free(s->saved);
    s->saved = NULL;
    s->timer_ns = SESSION_NEVER;
    s->n_restarts++;
    read_waiting(all, s);
    side_turn(all, s);
}

static void wait_for_wake(struct side *s, const struct sim_event *event)
{
    struct waiting *w = &s->waiting[s->n_waiting];

    if (s->n_waiting == SIDE_WAITING)
        return;
    *w = (struct waiting){.bytes = malloc(event->n), .n = event->n, .from = event->from};
    SIM_HOLDS(w->bytes != NULL, "no memory");
    memcpy(w->bytes, event->bytes, event->n);
    s->n_waiting++;
}

/* ---- Turns ---- */

static void read_some(struct side *s)
{
    const uint8_t *piece;
    size_t n;

    while (!s->is_stalled && (piece = session_peek(s->session, &n)) != NULL) {
        struct texts *t = &s->read;
        size_t n_here = n < t->n - t->at ? n : t->n - t->at;

        SIM_HOLDS(memcmp(piece, t->text + t->at, n_here) == 0,
                  "side %u: message %llu is not what was written", s->index,
                  (unsigned long long)t->number);
        texts_done(t, n_here);
        session_consume(s->session, n_here);
        s->n_bytes_read += n_here;
    }
}

static void write_some(struct side *s)
{
    struct texts *t = &s->written;
    size_t n;

    do {
        if (!s->is_bulk && t->number >= s->n_may_write && t->number < s->n_to_write)
            return;
        if (!s->is_bulk && t->number >= s->n_to_write) {
            if (session_state(s->session) == SESSION_OPEN)
                session_finish(s->session);
            return;
        }
        n = session_write(s->session, t->text + t->at, t->n - t->at);
        texts_done(t, n);
    } while (n > 0);
}

/* To an address that has not answered goes no more than came from it. */
static void note_unproven(struct side *s, const struct address *to, size_t n)
{
    uint64_t *left = &s->n_unproven[place_at(to) / SIDES_MAX % 64];

    if (address_equal(to, session_peer(s->session)))
        return;
    SIM_HOLDS(n <= *left, "%zu bytes to an unproven address, %llu came from it", n,
              (unsigned long long)*left);
    *left -= n;
}

static void send_all(struct sides *all, struct side *s)
{
    static uint8_t buf[SESSION_DATAGRAM_MAX];
    uint64_t now_ns = all->net->now_ns;
    struct address to;
    size_t n;
    unsigned count = 0;

    while ((n = session_send(s->session, now_ns, buf, sizeof buf, &to)) > 0) {
        note_unproven(s, &to, n);
        sim_send(all->net, s->out, s->place, place_at(&to), buf, n);
        SIM_HOLDS(++count < 100000, "side %u sends for ever", s->index);
    }
}

void side_turn(struct sides *all, struct side *s)
{
    uint64_t now_ns = all->net->now_ns, at_ns;

    if (s->is_gone || s->saved != NULL)
        return;
    read_some(s);
    write_some(s);
    send_all(all, s);
    at_ns = session_deadline(s->session);
    SIM_HOLDS(at_ns > now_ns, "side %u would be called for ever", s->index);
    if (all->check != NULL)
        all->check(s->session, now_ns);
    if (at_ns != SESSION_NEVER && at_ns < s->timer_ns) {
        s->timer_ns = at_ns;
        sim_timer(all->net, at_ns, s->index, at_ns);
    }
    if (all->restarts > 0 && sim_chance(&all->restart_random, all->restarts))
        side_restart(all, s);
}

void sides_event(struct sides *all, const struct sim_event *event)
{
    struct side *s = &all->side[event->to % SIDES_MAX];
    struct frame f;

    if (event->to % SIDES_MAX >= all->n_sides)
        return;
    if (event->kind == SIM_TIMER) {
        if (event->tag == WAKE_TAG && s->saved != NULL)
            wake(all, s);
        if (event->tag != s->timer_ns || s->saved != NULL)
            return; /* an earlier one was set since */
        s->timer_ns = SESSION_NEVER;
        side_turn(all, s);
        return;
    }
    if (s->is_gone || event->to != s->place || event->n == 0 || event->bytes[0] != FRAME_START ||
        frame_parse(event->bytes, event->n, &f) != 0 || !(f.members & FRAME_HAS_SESSION))
        return;

    struct address from = address_at(event->from);

    s->n_unproven[event->from / SIDES_MAX % 64] += event->n;
    if (s->saved != NULL) {
        wait_for_wake(s, event);
        return;
    }
    session_receive(s->session, event->now_ns, &from, &f, event->n);
    side_turn(all, s);
}
