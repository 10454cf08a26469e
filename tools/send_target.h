/* SPDX-License-Identifier: MIT */
/* Where msgsend sends to: what a TARGET on the command line means. */
#ifndef MSGD_TOOLS_SEND_TARGET_H
#define MSGD_TOOLS_SEND_TARGET_H

#include "proto/address.h"

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

#endif
