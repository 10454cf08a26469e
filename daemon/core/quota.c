/* SPDX-License-Identifier: MIT */
/* What each uid has in use. */
#include "daemon/core/quota.h"
#include "daemon/base/list.h"
#include "daemon/core/table.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* One uid. It lives while it has an endpoint, a connection, a session or a byte in use. */
struct share {
    struct table_link by_uid;
    struct share *next;
    struct share *previous;
    uid_t uid;
    uint64_t endpoints;
    uint64_t connections;
    uint64_t sessions;
    struct account account;
};

struct quota {
    struct quota_limits limits;
    uint64_t seed;
    struct table shares;
    struct share *first;
};

int quota_new(struct quota **out, const struct quota_limits *limits, uint64_t seed)
{
    struct quota *q = calloc(1, sizeof(*q));

    *out = NULL;
    if (!q)
        return -ENOMEM;
    if (table_init(&q->shares) < 0) {
        free(q);
        return -ENOMEM;
    }
    q->limits = *limits;
    q->seed = seed;
    *out = q;
    return 0;
}

static void share_remove(struct quota *q, struct share *s)
{
    if (s->previous)
        s->previous->next = s->next;
    else
        q->first = s->next;
    if (s->next)
        s->next->previous = s->previous;
    table_remove(&q->shares, &s->by_uid);
    free(s);
}

struct quota *quota_free(struct quota *q)
{
    if (!q)
        return NULL;
    while (q->first)
        share_remove(q, q->first);
    table_deinit(&q->shares);
    free(q);
    return NULL;
}

void quota_set_limits(struct quota *q, const struct quota_limits *limits)
{
    q->limits = *limits;
    for (struct share *s = q->first; s; s = s->next)
        atomic_store(&s->account.limit, limits->mailbox_bytes_per_uid);
}

static struct share *find(const struct quota *q, uid_t uid)
{
    struct table_link *at = table_first(&q->shares, table_hash(q->seed, &uid, sizeof(uid)));

    for (; at; at = table_next(at)) {
        struct share *s = list_member(at, struct share, by_uid);

        if (s->uid == uid)
            return s;
    }
    return NULL;
}

static struct share *find_or_add(struct quota *q, uid_t uid)
{
    struct share *s = find(q, uid);

    if (s)
        return s;
    s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->uid = uid;
    atomic_store(&s->account.limit, q->limits.mailbox_bytes_per_uid);
    s->next = q->first;
    if (s->next)
        s->next->previous = s;
    q->first = s;
    table_add(&q->shares, &s->by_uid, table_hash(q->seed, &uid, sizeof(uid)));
    return s;
}

static void drop_if_unused(struct quota *q, struct share *s)
{
    if (s->endpoints == 0 && s->connections == 0 && s->sessions == 0 &&
        atomic_load(&s->account.used) == 0)
        share_remove(q, s);
}

static int refuse(struct quota_refusal *refusal, const char *quota, uint64_t limit, uint64_t used)
{
    *refusal = (struct quota_refusal){.quota = quota, .limit = limit, .used = used};
    return QUOTA_EXCEEDED;
}

int quota_take_connection(struct quota *q, uid_t uid, struct quota_refusal *refusal)
{
    struct share *s = find_or_add(q, uid);
    int outcome;

    if (!s)
        return -ENOMEM;
    if (s->connections < q->limits.connections_per_uid) {
        s->connections++;
        return 0;
    }
    outcome = refuse(refusal, "connections_per_uid", q->limits.connections_per_uid, s->connections);
    drop_if_unused(q, s);
    return outcome;
}

void quota_give_connection(struct quota *q, uid_t uid)
{
    struct share *s = find(q, uid);

    if (!s || s->connections == 0)
        return;
    s->connections--;
    drop_if_unused(q, s);
}

int quota_take_endpoint(struct quota *q, uid_t uid, struct account **account,
                        struct quota_refusal *refusal)
{
    struct share *s = find_or_add(q, uid);
    uint64_t used;
    int outcome;

    *account = NULL;
    if (!s)
        return -ENOMEM;
    used = atomic_load(&s->account.used);
    if (s->endpoints >= q->limits.endpoints_per_uid) {
        outcome = refuse(refusal, "endpoints_per_uid", q->limits.endpoints_per_uid, s->endpoints);
    } else if (used >= q->limits.mailbox_bytes_per_uid) {
        outcome = refuse(refusal, "mailbox_bytes_per_uid", q->limits.mailbox_bytes_per_uid, used);
    } else {
        s->endpoints++;
        *account = &s->account;
        return 0;
    }
    drop_if_unused(q, s);
    return outcome;
}

void quota_give_endpoint(struct quota *q, uid_t uid)
{
    struct share *s = find(q, uid);

    if (!s || s->endpoints == 0)
        return;
    s->endpoints--;
    drop_if_unused(q, s);
}

int quota_take_session(struct quota *q, uid_t uid)
{
    struct share *s = find_or_add(q, uid);

    if (!s)
        return -ENOMEM;
    if (s->sessions < q->limits.sessions_per_uid) {
        s->sessions++;
        return 0;
    }
    drop_if_unused(q, s);
    return QUOTA_EXCEEDED;
}

void quota_give_session(struct quota *q, uid_t uid)
{
    struct share *s = find(q, uid);

    if (!s || s->sessions == 0)
        return;
    s->sessions--;
    drop_if_unused(q, s);
}

void quota_usage(const struct quota *q, uid_t uid, struct quota_usage *out)
{
    const struct share *s = find(q, uid);

    *out = (struct quota_usage){0};
    if (!s)
        return;
    out->endpoints = s->endpoints;
    out->connections = s->connections;
    out->sessions = s->sessions;
    out->mailbox_bytes = atomic_load(&s->account.used);
}

size_t quota_count(const struct quota *q)
{
    return q->shares.count;
}
