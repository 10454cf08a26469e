/* SPDX-License-Identifier: MIT */
#include "tests/support/impair.h"

#include <stdlib.h>
#include <string.h>

#define NEVER    UINT64_MAX
#define MAX_HELD 8192u

/* A datagram that waits. */
struct parcel {
    uint64_t due_ns;
    uint64_t order;  /* among those that are due at the same time: in the order of coming */
    unsigned passes; /* held back: how many more of its flow are to pass it */
    uint32_t flow;
    uint32_t tag;
    size_t n;
    uint8_t bytes[];
};

struct impair {
    struct impair_options o;
    struct impair_counts counts;
    impair_out *out;
    void *context;
    uint64_t random;
    uint64_t free_ns; /* the bottleneck has sent all that it holds */
    uint64_t order;
    struct parcel *held[MAX_HELD];
    size_t n_held;
    struct parcel **heap; /* by due_ns, the first at 0 */
    size_t n_heap, heap_room;
};

static void *need(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

/* splitmix64 */
static uint64_t any(struct impair *l)
{
    uint64_t z = l->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double chance(struct impair *l)
{
    return (double)(any(l) >> 11) / (double)(UINT64_C(1) << 53);
}

struct impair *impair_new(const struct impair_options *o, impair_out *out, void *context)
{
    struct impair *l = need(calloc(1, sizeof *l));
    l->o = *o;
    l->out = out;
    l->context = context;
    l->random = o->seed;
    return l;
}

struct impair *impair_free(struct impair *l)
{
    if (l == NULL)
        return NULL;
    for (size_t i = 0; i < l->n_held; i++)
        free(l->held[i]);
    for (size_t i = 0; i < l->n_heap; i++)
        free(l->heap[i]);
    free(l->heap);
    free(l);
    return NULL;
}

static struct parcel *parcel_new(uint32_t flow, uint32_t tag, const uint8_t *bytes, size_t n)
{
    struct parcel *p = need(malloc(sizeof *p + n));
    *p = (struct parcel){.flow = flow, .tag = tag, .n = n};
    if (n > 0)
        memcpy(p->bytes, bytes, n);
    return p;
}

/* ---- What is due at a time of its own: a binary heap ---- */

static int is_before(const struct parcel *a, const struct parcel *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_add(struct impair *l, struct parcel *p)
{
    if (l->n_heap == l->heap_room) {
        l->heap_room = l->heap_room == 0 ? 64 : 2 * l->heap_room;
        l->heap = need(realloc(l->heap, l->heap_room * sizeof(struct parcel *)));
    }
    size_t at = l->n_heap++;
    for (; at > 0 && is_before(p, l->heap[(at - 1) / 2]); at = (at - 1) / 2)
        l->heap[at] = l->heap[(at - 1) / 2];
    l->heap[at] = p;
}

static struct parcel *heap_take(struct impair *l)
{
    struct parcel *first = l->heap[0], *last = l->heap[--l->n_heap];
    size_t at = 0;
    for (size_t below; (below = 2 * at + 1) < l->n_heap; at = below) {
        if (below + 1 < l->n_heap && is_before(l->heap[below + 1], l->heap[below]))
            below++;
        if (!is_before(l->heap[below], last))
            break;
        l->heap[at] = l->heap[below];
    }
    if (l->n_heap > 0)
        l->heap[at] = last;
    return first;
}

/* ---- Its way through ---- */

static void emit(struct impair *l, uint32_t flow, uint32_t tag, const uint8_t *bytes, size_t n)
{
    l->counts.out++;
    l->out(l->context, flow, tag, bytes, n);
}

/* The bottleneck and the delay. Without either it goes out at once, uncopied. */
static void travel(struct impair *l, uint64_t now_ns, const struct parcel *p, const uint8_t *bytes)
{
    uint64_t due_ns = now_ns;
    if (l->o.bytes_per_s > 0) {
        uint64_t begin_ns = l->free_ns > now_ns ? l->free_ns : now_ns;
        double waiting = (double)(begin_ns - now_ns) * (double)l->o.bytes_per_s / 1e9;
        if (waiting + (double)p->n > (double)l->o.queue_bytes) {
            l->counts.overflowed++;
            return;
        }
        l->free_ns = begin_ns + p->n * UINT64_C(1000000000) / l->o.bytes_per_s;
        due_ns = l->free_ns;
    }
    due_ns += l->o.delay_ns;
    if (l->o.jitter_ns > 0)
        due_ns += any(l) % l->o.jitter_ns;
    if (due_ns <= now_ns) {
        emit(l, p->flow, p->tag, bytes, p->n);
        return;
    }
    struct parcel *copy = parcel_new(p->flow, p->tag, bytes, p->n);
    copy->due_ns = due_ns;
    copy->order = l->order++;
    heap_add(l, copy);
}

static void let_go(struct impair *l, uint64_t now_ns, size_t i)
{
    struct parcel *p = l->held[i];
    memmove(&l->held[i], &l->held[i + 1], (--l->n_held - i) * sizeof(struct parcel *));
    travel(l, now_ns, p, p->bytes);
    free(p);
}

/* One of this flow goes by: those that have been passed often enough follow it. */
static void pass(struct impair *l, uint64_t now_ns, uint32_t flow)
{
    for (size_t i = 0; i < l->n_held;) {
        if (l->held[i]->flow == flow && --l->held[i]->passes == 0)
            let_go(l, now_ns, i);
        else
            i++;
    }
}

static void hold(struct impair *l, uint64_t now_ns, const struct parcel *p, const uint8_t *bytes)
{
    struct parcel *copy = parcel_new(p->flow, p->tag, bytes, p->n);
    copy->passes = p->passes;
    copy->due_ns = now_ns + l->o.hold_ns;
    l->held[l->n_held++] = copy;
    l->counts.reordered++;
}

/* 0: it goes straight on. The same draws for every datagram, whatever becomes of it. */
static unsigned passes_of(struct impair *l)
{
    double is_held = chance(l);
    uint64_t passes = any(l);
    if (is_held >= l->o.reorder || l->o.reorder_by == 0 || l->n_held == MAX_HELD)
        return 0;
    return 1 + (unsigned)(passes % l->o.reorder_by);
}

void impair_put(struct impair *l, uint64_t now_ns, uint32_t flow, uint32_t tag,
                const uint8_t *bytes, size_t n)
{
    struct parcel p = {.flow = flow, .tag = tag, .n = n};
    double is_lost = chance(l), is_doubled = chance(l);
    l->counts.in++;
    if (l->o.max_datagram > 0 && n > l->o.max_datagram) {
        l->counts.too_large++;
        return;
    }
    if (is_lost < l->o.loss) {
        l->counts.lost++;
        return;
    }
    int copies = is_doubled < l->o.duplicate ? 2 : 1;
    l->counts.duplicated += (unsigned)copies - 1;
    for (; copies > 0; copies--) {
        p.passes = passes_of(l);
        if (p.passes > 0) {
            hold(l, now_ns, &p, bytes);
        } else {
            travel(l, now_ns, &p, bytes);
            pass(l, now_ns, flow);
        }
    }
    impair_run(l, now_ns);
}

void impair_run(struct impair *l, uint64_t now_ns)
{
    while (l->n_held > 0 && l->held[0]->due_ns <= now_ns)
        let_go(l, now_ns, 0);
    while (l->n_heap > 0 && l->heap[0]->due_ns <= now_ns) {
        struct parcel *p = heap_take(l);
        emit(l, p->flow, p->tag, p->bytes, p->n);
        free(p);
    }
}

uint64_t impair_deadline(const struct impair *l)
{
    uint64_t deadline_ns = l->n_heap > 0 ? l->heap[0]->due_ns : NEVER;
    if (l->n_held > 0 && l->held[0]->due_ns < deadline_ns)
        deadline_ns = l->held[0]->due_ns;
    return deadline_ns;
}

const struct impair_counts *impair_counts(const struct impair *l)
{
    return &l->counts;
}

uint64_t impair_waiting(const struct impair *l)
{
    return l->n_held + l->n_heap;
}
