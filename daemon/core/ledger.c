/* SPDX-License-Identifier: MIT */
/* The counters of an endpoint. */
#include "daemon/core/ledger.h"

#include <stddef.h>
#include <string.h>

static const char *const keys[N_DROP_REASONS] = {
#define X(constant, key, meaning) [DROP_##constant] = #key,
    DROP_REASONS(X)
#undef X
};

static const char *const meanings[N_DROP_REASONS] = {
#define X(constant, key, meaning) [DROP_##constant] = meaning,
    DROP_REASONS(X)
#undef X
};

const char *drop_reason_key(enum drop_reason reason)
{
    return keys[reason];
}

enum drop_reason drop_reason_find(const char *key)
{
    unsigned i = 0;

    while (i < N_DROP_REASONS && strcmp(keys[i], key) != 0)
        i++;
    return (enum drop_reason)i;
}

bool drop_reason_passes(enum drop_reason reason)
{
    return reason == DROP_MAILBOX_FULL || reason == DROP_QUOTA_EXCEEDED ||
           reason == DROP_SOURCES_FULL || reason == DROP_NO_MEMORY || reason == DROP_SPOOL_FULL ||
           reason == DROP_SPOOL_FAILED;
}

const char *drop_reason_meaning(enum drop_reason reason)
{
    return meanings[reason];
}

uint64_t ledger_dropped(const struct ledger *l)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < N_DROP_REASONS; i++)
        sum += l->dropped[i];
    return sum;
}

bool ledger_holds(const struct ledger *l)
{
    return l->received == l->delivered + l->queued + l->spooled + l->protocol + ledger_dropped(l);
}

void ledger_note_kernel_drops(struct ledger *l, uint32_t *last, uint32_t now)
{
    /* Modulo 2^32, so that a counter that went round since the last reading is right too. */
    l->kernel_dropped += (uint32_t)(now - *last);
    *last = now;
}
