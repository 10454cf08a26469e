/* SPDX-License-Identifier: MIT */
/* A clock and a network for simulations. */
#include "tests/sim/network.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long one is held back at most where nothing follows that could overtake it. */
#define HELD_MAX_NS (200 * SIM_MS)

struct sim_datagram {
    struct sim_datagram *next; /* of those that the link holds back */
    uint64_t after;            /* held until the link has sent so many */
    uint32_t from, to;
    size_t n;
    uint8_t bytes[];
};

struct sim_entry {
    uint64_t at_ns;
    uint64_t order;
    struct sim_datagram *datagram; /* NULL: a timer */
    struct sim_link *holder;       /* a time that ends the holding back on that link */
    uint64_t tag;
    uint32_t to;
};

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

uint64_t sim_random(struct sim_random *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_below(struct sim_random *r, uint64_t n)
{
    return sim_random(r) % n;
}

uint64_t sim_between(struct sim_random *r, uint64_t low, uint64_t high)
{
    return low + sim_below(r, high - low + 1);
}

bool sim_chance(struct sim_random *r, double probability)
{
    return probability > 0 &&
           (double)(sim_random(r) >> 11) * (1.0 / 9007199254740992.0) < probability;
}

/* ---- The queue ---- */

static bool is_before(const struct sim_entry *a, const struct sim_entry *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void push(struct sim_network *net, struct sim_entry entry)
{
    if (net->n_queued == net->capacity) {
        net->capacity = net->capacity > 0 ? 2 * net->capacity : 256;
        net->queue = must(realloc(net->queue, net->capacity * sizeof *net->queue));
    }
    if (entry.at_ns < net->now_ns)
        entry.at_ns = net->now_ns;
    entry.order = net->order++;
    size_t i = net->n_queued++;
    for (size_t parent; i > 0 && is_before(&entry, &net->queue[parent = (i - 1) / 2]); i = parent)
        net->queue[i] = net->queue[parent];
    net->queue[i] = entry;
}

static struct sim_entry pop(struct sim_network *net)
{
    struct sim_entry first = net->queue[0];
    struct sim_entry last = net->queue[--net->n_queued];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < net->n_queued; i = child) {
        if (child + 1 < net->n_queued && is_before(&net->queue[child + 1], &net->queue[child]))
            child++;
        if (!is_before(&net->queue[child], &last))
            break;
        net->queue[i] = net->queue[child];
    }
    net->queue[i] = last;
    return first;
}

/* ---- The network ---- */

void sim_network_init(struct sim_network *net, uint64_t seed)
{
    /* No run begins at time 0, which a machine under test may take for "never". */
    *net = (struct sim_network){.random = {.state = seed}, .now_ns = SIM_S};
}

void sim_network_clear(struct sim_network *net)
{
    while (net->n_queued > 0) {
        struct sim_entry entry = net->queue[--net->n_queued];
        free(entry.datagram);
        for (struct sim_datagram *d; entry.holder != NULL && (d = entry.holder->held) != NULL;) {
            entry.holder->held = d->next;
            free(d);
        }
    }
    free(net->given);
    net->given = NULL;
}

void sim_network_deinit(struct sim_network *net)
{
    sim_network_clear(net);
    free(net->queue);
    *net = (struct sim_network){0};
}

static void damage(struct sim_network *net, struct sim_link *link, struct sim_datagram *d)
{
    if (d->n == 0 || !sim_chance(&net->random, link->corruption))
        return;
    link->n_corrupted++;
    for (uint64_t flips = sim_between(&net->random, 1, 8); flips > 0; flips--) {
        uint64_t bit = sim_below(&net->random, d->n * 8);
        d->bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

/* When it has passed the bottleneck; false: the queue before it was full. */
static bool passes(struct sim_network *net, struct sim_link *link, size_t n, uint64_t *at_ns)
{
    *at_ns = net->now_ns;
    if (link->bytes_a_second == 0)
        return true;
    if (link->busy_until_ns < net->now_ns)
        link->busy_until_ns = net->now_ns;
    uint64_t waits_ns = link->busy_until_ns - net->now_ns;
    double queued = (double)waits_ns * (double)link->bytes_a_second / 1e9;
    if (queued + (double)n > (double)link->queue_bytes && waits_ns > 0) {
        link->n_queue_lost++;
        return false;
    }
    link->busy_until_ns += (uint64_t)((double)n * 1e9 / (double)link->bytes_a_second);
    *at_ns = link->busy_until_ns;
    return true;
}

static void deliver(struct sim_network *net, const struct sim_link *link, struct sim_datagram *d,
                    uint64_t at_ns)
{
    at_ns += link->delay_ns;
    if (link->jitter_ns > 0)
        at_ns += sim_below(&net->random, link->jitter_ns + 1);
    push(net, (struct sim_entry){.at_ns = at_ns, .datagram = d, .to = d->to});
}

/* Those that enough have overtaken go on; with `all`, everything. */
static void let_go(struct sim_network *net, struct sim_link *link, bool all)
{
    for (struct sim_datagram **at = &link->held, *d; (d = *at) != NULL;) {
        if (!all && link->n_sent < d->after) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        deliver(net, link, d, net->now_ns);
    }
}

static void hold_back(struct sim_network *net, struct sim_link *link, struct sim_datagram *d)
{
    unsigned most = link->overtakers > 0 ? link->overtakers : SIM_REORDER_MAX;
    assert(most <= SIM_REORDER_MAX);
    d->after = link->n_sent + sim_between(&net->random, 1, most);
    d->next = link->held;
    link->held = d;
    push(net, (struct sim_entry){.at_ns = net->now_ns + HELD_MAX_NS, .holder = link});
}

static void send_copy(struct sim_network *net, struct sim_link *link,
                      const struct sim_datagram *head, const void *bytes)
{
    uint64_t at_ns;
    if (link->is_cut || sim_chance(&net->random, link->loss)) {
        link->n_lost++;
        return;
    }
    if (!passes(net, link, head->n, &at_ns))
        return;
    struct sim_datagram *d = must(malloc(sizeof *d + head->n));
    *d = *head;
    if (head->n > 0)
        memcpy(d->bytes, bytes, head->n);
    damage(net, link, d);
    if (sim_chance(&net->random, link->reordering))
        hold_back(net, link, d);
    else
        deliver(net, link, d, at_ns);
}

void sim_send(struct sim_network *net, struct sim_link *link, uint32_t from, uint32_t to,
              const void *bytes, size_t n)
{
    const struct sim_datagram head = {.from = from, .to = to, .n = n};
    link->n_sent++;
    link->n_bytes += n;
    send_copy(net, link, &head, bytes);
    if (sim_chance(&net->random, link->duplication)) {
        link->n_doubled++;
        send_copy(net, link, &head, bytes);
    }
    let_go(net, link, false);
}

void sim_timer(struct sim_network *net, uint64_t at_ns, uint32_t to, uint64_t tag)
{
    push(net, (struct sim_entry){.at_ns = at_ns, .to = to, .tag = tag});
}

bool sim_next(struct sim_network *net, struct sim_event *out)
{
    free(net->given);
    net->given = NULL;
    while (net->n_queued > 0) {
        struct sim_entry entry = pop(net);
        net->now_ns = entry.at_ns;
        if (entry.holder != NULL) {
            let_go(net, entry.holder, true);
            continue;
        }
        struct sim_datagram *d = entry.datagram;
        net->given = d;
        net->n_events++;
        *out = (struct sim_event){.kind = d != NULL ? SIM_DATAGRAM : SIM_TIMER,
                                  .now_ns = net->now_ns,
                                  .to = entry.to,
                                  .tag = entry.tag};
        if (d != NULL) {
            out->from = d->from;
            out->n = d->n;
            out->bytes = d->bytes;
        }
        return true;
    }
    return false;
}
