/* SPDX-License-Identifier: MIT */
/* SipHash-2-4 (Aumasson and Bernstein 2012): whoever does not know the key cannot make values meet.
 */
#ifndef MSGD_DAEMON_CORE_KEYED_HASH_H
#define MSGD_DAEMON_CORE_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t words[2]; /* random and secret */
};

uint64_t keyed_hash(const struct hash_key *key, const void *bytes, size_t n);

#endif
