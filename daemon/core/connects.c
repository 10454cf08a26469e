/* SPDX-License-Identifier: MIT */
/* The connects that a worker knows. */
#include "daemon/core/connects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int connects_init(struct connects *c, size_t max, uint64_t seed)
{
    *c = (struct connects){.max = max, .seed = seed};
    list_init(&c->live);
    list_init(&c->ended);
    list_init(&c->spare);
    if (table_init(&c->by_claim) < 0)
        return -ENOMEM;
    c->pool = calloc(max, sizeof(*c->pool));
    if (c->pool)
        return 0;
    connects_deinit(c);
    return -ENOMEM;
}

void connects_deinit(struct connects *c)
{
    table_deinit(&c->by_claim);
    free(c->pool);
    *c = (struct connects){0};
}

/* Field by field: a struct has padding. */
static uint64_t hash(const struct connects *c, const struct cookie_claim *claim)
{
    uint8_t key[16 + 2 + 16 + 2 + CONNECT_NONCE_MAX];

    memcpy(key, claim->client.ip, 16);
    memcpy(key + 16, &claim->client.port, 2);
    memcpy(key + 18, claim->server.ip, 16);
    memcpy(key + 34, &claim->server.port, 2);
    memcpy(key + 36, claim->nonce, CONNECT_NONCE_MAX);
    return table_hash(c->seed, key, sizeof(key));
}

static bool is_same(const struct cookie_claim *a, const struct cookie_claim *b)
{
    return memcmp(a->nonce, b->nonce, sizeof(a->nonce)) == 0 &&
           address_equal(&a->client, &b->client) && address_equal(&a->server, &b->server);
}

struct connect *connects_find(const struct connects *c, const struct cookie_claim *claim)
{
    struct table_link *at = table_first(&c->by_claim, hash(c, claim));

    for (; at; at = table_next(at)) {
        struct connect *one = list_member(at, struct connect, by_claim);

        if (is_same(&one->claim, claim))
            return one;
    }
    return NULL;
}

static struct connect *take_spare(struct connects *c)
{
    struct connect *one;

    if (list_is_empty(&c->spare))
        return c->n_touched < c->max ? &c->pool[c->n_touched++] : NULL;
    one = list_member(c->spare.next, struct connect, in_order);
    list_remove(&one->in_order);
    return one;
}

struct connect *connects_add(struct connects *c, const struct cookie_claim *claim, void *owner)
{
    struct connect *one = take_spare(c);

    if (!one)
        return NULL;
    *one = (struct connect){.claim = *claim, .owner = owner};
    table_add(&c->by_claim, &one->by_claim, hash(c, claim));
    list_append(&c->live, &one->in_order);
    c->n_live++;
    return one;
}

void connects_end(struct connects *c, struct connect *one, const char *reason, uint32_t now_s)
{
    if (one->state == CONNECT_ENDED)
        return;
    one->state = CONNECT_ENDED;
    one->carrier = NULL;
    one->forget_s = now_s + COOKIE_LIFE_S + 1;
    snprintf(one->reason, sizeof(one->reason), "%s", reason);
    list_remove(&one->in_order);
    list_append(&c->ended, &one->in_order);
    c->n_live--;
}

void connects_end_owner(struct connects *c, const void *owner, const char *reason, uint32_t now_s)
{
    list_for_each(at, next, &c->live)
    {
        struct connect *one = list_member(at, struct connect, in_order);

        if (one->owner == owner)
            connects_end(c, one, reason, now_s);
    }
}

void connects_forget(struct connects *c, struct connect *one)
{
    c->n_live -= one->state != CONNECT_ENDED;
    list_remove(&one->in_order);
    table_remove(&c->by_claim, &one->by_claim);
    list_append(&c->spare, &one->in_order);
}

void connects_expire(struct connects *c, uint32_t now_s)
{
    while (!list_is_empty(&c->ended)) {
        struct connect *one = list_member(c->ended.next, struct connect, in_order);

        if (one->forget_s > now_s)
            return;
        connects_forget(c, one);
    }
}
