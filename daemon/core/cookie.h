/* SPDX-License-Identifier: MIT */
/*
 * Proof that a client is at the address that it sends from, without keeping anything: what msgd
 * said in a challenge comes back in the next connect. A keyed hash over both addresses, the nonce
 * and the time. docs/protocol.md, section "Sessions: connecting".
 */
#ifndef MSGD_DAEMON_CORE_COOKIE_H
#define MSGD_DAEMON_CORE_COOKIE_H

#include "daemon/base/error.h"
#include "proto/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COOKIE_TEXT_BYTES 40 /* hex: 4 bytes of time, 16 of hash */
#define COOKIE_LIFE_S     30
#define CONNECT_NONCE_MAX 16

/* One for a process and those that go on in its place: no other msgd's cookie is worth anything. */
struct cookie_secret {
    uint8_t key[32];
};

/* What a cookie stands for. */
struct cookie_claim {
    struct address client;
    struct address server; /* what the client asked */
    uint8_t nonce[CONNECT_NONCE_MAX];
};

/* 0 or -EIO: there are no random numbers. */
int cookie_secret_init(struct cookie_secret *secret) MUST_USE;

/* now_s: of a steady clock. Not terminated by a NUL. */
void cookie_write(const struct cookie_secret *secret, const struct cookie_claim *claim,
                  uint32_t now_s, char out[COOKIE_TEXT_BYTES]);

/* Is it ours, for this claim, and not older than COOKIE_LIFE_S? */
bool cookie_is_valid(const struct cookie_secret *secret, const struct cookie_claim *claim,
                     uint32_t now_s, const void *text, size_t n);

#endif
