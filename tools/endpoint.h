/* SPDX-License-Identifier: MIT */
/* An endpoint as msgd's List shows it, and what is wrong with it in words. */
#ifndef MSGD_TOOLS_ENDPOINT_H
#define MSGD_TOOLS_ENDPOINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What the tools need of it. Strings and arrays lie in the JSON, and are never NULL where no
 * comment says so. */
struct endpoint {
    const json_t *json;
    const char *name;
    const char *address;
    uint16_t port;
    const char *state;
    const char *error;      /* NULL: none */
    const char *away_since; /* NULL: not away */
    int64_t lease_s;
    int64_t lease_left_s;   /* -1: not running */
    int64_t owner_uid;      /* -1: unknown */
    const char *owner_user; /* NULL: unknown */
    const char *when_full;
    uint64_t mailbox_bytes;
    uint64_t mailbox_used;
    uint64_t receive_buffer_bytes;
    uint64_t receive_buffer_granted;
    const json_t *consumers; /* an array or NULL */
    uint64_t received;
    uint64_t queued;     /* in memory */
    uint64_t spooled;    /* on disk alone */
    const json_t *spool; /* an object, or NULL: nothing goes to disk */
    uint64_t dropped;    /* by msgd, all reasons */
    uint64_t kernel_dropped;
    bool is_kernel_dropped_exact;
    const json_t *drops; /* an object or NULL */
};

/* Reads leniently: what is missing is 0 or "?". */
void endpoint_read(const json_t *json, struct endpoint *out);

/* "ip:port" or "[ip6]:port", "*:port". Returns buf. */
#define ENDPOINT_ADDRESS_MAX 96
const char *endpoint_address(const struct endpoint *e, char buf[ENDPOINT_ADDRESS_MAX]);

/* What a reason for drops means, and what to do about it; NULL for one that is not known here. */
const char *drop_meaning(const char *reason);
const char *drop_advice(const char *reason);

/* How things stand beside the endpoint. */
struct surroundings {
    int64_t now_s;     /* since 1970 */
    uint64_t rmem_max; /* net.core.rmem_max, 0: unknown */
};

/* Longest sentence of endpoint_troubles, NUL included. */
#define TROUBLE_MAX 600

/* Calls say with one sentence for each thing that is wrong, the worst first. */
void endpoint_troubles(const struct endpoint *e, const struct surroundings *around,
                       void (*say)(void *context, const char *sentence), void *context);

#endif
