/* SPDX-License-Identifier: MIT */
/* The ports of a range that sessions take in turn. */
#include "daemon/core/port_pool.h"

#include <stdbool.h>

static uint64_t bit(uint16_t port)
{
    return UINT64_C(1) << (port % 64);
}

static bool is_taken(const struct port_pool *p, uint16_t port)
{
    return (p->taken[port / 64] & bit(port)) != 0;
}

static bool is_in_span(const struct port_pool *p, uint16_t port)
{
    return port >= p->span.first && port <= p->span.last;
}

static uint32_t size_of(const struct port_pool *p)
{
    return (uint32_t)p->span.last - p->span.first + 1;
}

void port_pool_set(struct port_pool *p, struct port_span span, uint32_t start)
{
    p->span = span;
    p->next = span.first + start % size_of(p);
    p->n_taken = 0;
    for (uint32_t port = span.first; port <= span.last; port++)
        p->n_taken += is_taken(p, (uint16_t)port);
}

uint16_t port_pool_candidate(struct port_pool *p, uint32_t *n_tried)
{
    if (p->n_taken >= size_of(p))
        return 0;
    while (*n_tried < size_of(p)) {
        uint16_t port = (uint16_t)p->next;

        p->next = p->next >= p->span.last ? p->span.first : p->next + 1;
        ++*n_tried;
        if (!is_taken(p, port))
            return port;
    }
    return 0;
}

void port_pool_take(struct port_pool *p, uint16_t port)
{
    if (is_taken(p, port))
        return;
    p->taken[port / 64] |= bit(port);
    p->n_taken += is_in_span(p, port);
}

void port_pool_give(struct port_pool *p, uint16_t port)
{
    if (!is_taken(p, port))
        return;
    p->taken[port / 64] &= ~bit(port);
    p->n_taken -= is_in_span(p, port);
}
