/* SPDX-License-Identifier: MIT */
/*
 * Whether a worker lets others go first before it wakes a consumer. One that slept has often been
 * woken on its sender's core, and holds up the sender there, who would go to sleep next. Two that
 * are ready there make the kernel wake the consumer on another core, which costs several times what
 * the message does; of one the consumer takes over the core. No clock: times are given, in
 * nanoseconds.
 */
#ifndef MSGD_DAEMON_CORE_YIELD_H
#define MSGD_DAEMON_CORE_YIELD_H

#include "proto/rest.h"

struct yield {
    struct rest rest;
};

void yield_init(struct yield *y);
/* n_packets: read in this turn. has_slept: before it. */
bool yield_is_due(const struct yield *y, uint32_t n_packets, bool has_slept, uint64_t now_ns);
/* It has yielded, for took_ns until now. */
void yield_ended(struct yield *y, uint64_t now_ns, uint64_t took_ns);

#endif
