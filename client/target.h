/* SPDX-License-Identifier: MIT */
/* Whom to send to or to connect with: what a TARGET means, and which addresses it has. */
#ifndef MSGD_CLIENT_TARGET_H
#define MSGD_CLIENT_TARGET_H

#include "client/failure.h"
#include "proto/address.h"

#include <stddef.h>
#include <stdint.h>

enum target_kind { TARGET_ADDRESS, TARGET_HOST, TARGET_NAME };

#define TARGET_HOST_MAX 256

struct target {
    enum target_kind kind;
    struct address address;     /* TARGET_ADDRESS */
    char host[TARGET_HOST_MAX]; /* TARGET_HOST */
    uint16_t port;              /* TARGET_HOST */
    const char *name;           /* TARGET_NAME: the text itself */
};

enum target_outcome { TARGET_WRONG = 1 };

/*
 * Parses "ip:port", "[ip6]:port", "host:port" or the name of an endpoint.
 * 0; TARGET_WRONG: *expected is a phrase that says what would do.
 */
int target_parse(const char *text, struct target *out, const char **expected)
    __attribute__((warn_unused_result));

#define TARGET_MAX_ADDRESSES 16

/* At least one, with the port, in the order in which they are to be tried. */
struct target_addresses {
    struct address items[TARGET_MAX_ADDRESSES];
    size_t n;
};

/*
 * Parses a target and finds its addresses: the resolver's for a host (which may take its time),
 * msgd's for a name. socket_path: as for msgd_open.
 * 0; -EINVAL (no such thing can be a target), -ENOENT (no such host or name), -EAGAIN (the resolver
 * or the endpoint is not ready), -ENOTCONN (msgd is not there), -ENOMEM, or what msgd_resolve says;
 * with a sentence.
 */
int target_find(const char *text, const char *socket_path, struct target_addresses *out,
                struct failure *failure) __attribute__((warn_unused_result));

#endif
