/* SPDX-License-Identifier: MIT */
/* Connects that have ended, to bytes and back. */
#include "daemon/core/connects.h"
#include "proto/archive.h"

#define SECOND_NS UINT64_C(1000000000)

static void archive_one(struct archive *a, struct connect *one)
{
    uint64_t forget_ns = one->forget_s * SECOND_NS;

    archive_address(a, &one->claim.client);
    archive_address(a, &one->claim.server);
    archive_bytes(a, one->claim.nonce, sizeof(one->claim.nonce));
    archive_due(a, &forget_ns);
    archive_text(a, one->reason, sizeof(one->reason));
    one->forget_s = (uint32_t)(forget_ns / SECOND_NS);
}

/* What does not fit is forgotten: its client would be asked for a new cookie, and then decided
 * again. */
static void add(struct connects *c, const struct connect *loaded)
{
    uint32_t now_s = loaded->forget_s - (COOKIE_LIFE_S + 1);
    struct connect *one;

    if (connects_find(c, &loaded->claim))
        return;
    one = connects_add(c, &loaded->claim, NULL);
    if (one)
        connects_end(c, one, loaded->reason, now_s);
}

static uint32_t count(const struct connects *c)
{
    uint32_t n = 0;

    for (const struct list *at = c->ended.next; at != &c->ended; at = at->next)
        n++;
    return n;
}

static void load(struct archive *a, struct connects *c, uint32_t n)
{
    for (uint32_t i = 0; i < n && a->error == 0; i++) {
        struct connect one = {0};

        archive_one(a, &one);
        archive_require(a, one.forget_s > COOKIE_LIFE_S);
        if (a->error == 0)
            add(c, &one);
    }
}

void connects_archive(struct archive *a, struct connects *c)
{
    uint32_t n = archive_is_loading(a) ? 0 : count(c);

    archive_uint32(a, &n, UINT32_MAX);
    if (archive_is_loading(a)) {
        load(a, c, n);
        return;
    }
    list_for_each(at, next, &c->ended)
    {
        struct connect one = *list_member(at, struct connect, in_order);

        archive_one(a, &one);
    }
}
