/* SPDX-License-Identifier: MIT */
/* Proof that a client is at the address that it sends from. */
#include "daemon/core/cookie.h"

#include <errno.h>
#include <sodium.h>

#define HASH_BYTES 16
#define RAW_BYTES  (4 + HASH_BYTES)

_Static_assert(COOKIE_TEXT_BYTES == 2 * RAW_BYTES, "two digits a byte");

int cookie_secret_init(struct cookie_secret *secret)
{
    if (sodium_init() < 0)
        return error_trace(-EIO, "cannot get random numbers");
    randombytes_buf(secret->key, sizeof(secret->key));
    return 0;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

static uint8_t *put_address(uint8_t *at, const struct address *a)
{
    at = put(at, a->ip, sizeof(a->ip));
    at = put(at, &a->scope, sizeof(a->scope));
    return put(at, &a->port, sizeof(a->port));
}

static void hash(const struct cookie_secret *secret, const struct cookie_claim *claim,
                 const uint8_t time[4], uint8_t out[HASH_BYTES])
{
    uint8_t message[4 + 2 * (16 + 4 + 2) + CONNECT_NONCE_MAX];
    uint8_t *at = put(message, time, 4);

    at = put_address(at, &claim->client);
    at = put_address(at, &claim->server);
    at = put(at, claim->nonce, sizeof(claim->nonce));
    (void)crypto_generichash(out, HASH_BYTES, message, (size_t)(at - message), secret->key,
                             sizeof(secret->key));
}

void cookie_write(const struct cookie_secret *secret, const struct cookie_claim *claim,
                  uint32_t now_s, char out[COOKIE_TEXT_BYTES])
{
    uint8_t raw[RAW_BYTES];
    char text[COOKIE_TEXT_BYTES + 1];

    put(raw, &now_s, sizeof(now_s));
    hash(secret, claim, raw, raw + 4);
    sodium_bin2hex(text, sizeof(text), raw, sizeof(raw));
    memcpy(out, text, COOKIE_TEXT_BYTES);
}

bool cookie_is_valid(const struct cookie_secret *secret, const struct cookie_claim *claim,
                     uint32_t now_s, const void *text, size_t n)
{
    uint8_t raw[RAW_BYTES], wanted[HASH_BYTES];
    uint32_t made_s;
    size_t n_raw;

    if (n != COOKIE_TEXT_BYTES || sodium_hex2bin(raw, sizeof(raw), text, n, NULL, &n_raw, NULL) ||
        n_raw != sizeof(raw))
        return false;
    hash(secret, claim, raw, wanted);
    memcpy(&made_s, raw, sizeof(made_s));
    return sodium_memcmp(wanted, raw + 4, sizeof(wanted)) == 0 && now_s >= made_s &&
           now_s - made_s <= COOKIE_LIFE_S;
}
