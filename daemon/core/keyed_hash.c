/* SPDX-License-Identifier: MIT */
/* SipHash-2-4. */
#include "daemon/core/keyed_hash.h"

#include <endian.h>
#include <string.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void run_round(struct state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static void take(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    run_round(s);
    run_round(s);
    s->v0 ^= word;
}

uint64_t keyed_hash(const struct hash_key *key, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint64_t word, last = (uint64_t)n << 56;
    struct state s = {.v0 = key->words[0] ^ UINT64_C(0x736f6d6570736575),
                      .v1 = key->words[1] ^ UINT64_C(0x646f72616e646f6d),
                      .v2 = key->words[0] ^ UINT64_C(0x6c7967656e657261),
                      .v3 = key->words[1] ^ UINT64_C(0x7465646279746573)};

    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, sizeof(word));
        take(&s, le64toh(word));
    }
    for (size_t i = 0; i < n; i++)
        last |= (uint64_t)p[i] << 8 * i;
    take(&s, last);
    s.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        run_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
