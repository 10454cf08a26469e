/* SPDX-License-Identifier: MIT */
/* The ports of a range that sessions take in turn, so that one that was left rests the longest. */
#ifndef MSGD_DAEMON_CORE_PORT_POOL_H
#define MSGD_DAEMON_CORE_PORT_POOL_H

#include "daemon/core/policy.h"

#include <stdint.h>

struct port_pool {
    struct port_span span;
    uint32_t next;    /* wider than a port: the range may end at 65535 */
    uint32_t n_taken; /* of the span */
    uint64_t taken[65536 / 64];
};

/* Also for another span: what is taken stays so. start: random, where to begin. */
void port_pool_set(struct port_pool *p, struct port_span span, uint32_t start);

/*
 * Ports to try, one after the other: *n_tried begins at 0 and is the pool's. 0: every port of the
 * range is taken or was tried.
 */
uint16_t port_pool_candidate(struct port_pool *p, uint32_t *n_tried);

void port_pool_take(struct port_pool *p, uint16_t port);
void port_pool_give(struct port_pool *p, uint16_t port);

#endif
