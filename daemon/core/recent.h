/* SPDX-License-Identifier: MIT */
/*
 * A table of what was used recently. Its memory is taken once and touched as it fills; an entry
 * lives a certain time after its last use, and one that has lived so long gives way where there is
 * no other room. Whoever needs more than the table holds is told that it is full: nothing that is
 * alive is ever forgotten for something new.
 */
#ifndef MSGD_DAEMON_CORE_RECENT_H
#define MSGD_DAEMON_CORE_RECENT_H

#include "daemon/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First member of an entry. Places are counted from 1; 0 is none. */
struct recent_entry {
    uint64_t hash;
    uint64_t used_ms;
    uint32_t next; /* with the same bucket */
    uint32_t newer;
    uint32_t older;
};

struct recent {
    uint8_t *entries; /* owned; capacity of them, the first n have been used */
    size_t entry_bytes;
    uint32_t capacity;
    uint32_t n;
    uint32_t *buckets; /* owned */
    uint32_t bucket_mask;
    uint32_t newest;
    uint32_t oldest;
    uint64_t life_ms;
};

struct recent_options {
    size_t entry_bytes;
    uint32_t capacity;
    uint64_t life_ms;
};

/* 0 or -ENOMEM. */
int recent_init(struct recent *t, const struct recent_options *o) MUST_USE;
/* Safe on a zeroed one. */
void recent_deinit(struct recent *t);

/* Is this entry, whose hash is the same, the one that is looked for? */
typedef bool (*recent_is)(const void *entry, const void *key);
/* NULL: not there. An entry that has lived its time but has not given way yet is found. */
void *recent_find(const struct recent *t, uint64_t hash, recent_is is, const void *key);

/* Would recent_add find room? */
bool recent_has_room(const struct recent *t, uint64_t now_ms);
/* A new entry, used now; all behind its struct recent_entry is the caller's to fill, and may hold
 * what was there before. Only where there is room. */
void *recent_add(struct recent *t, uint64_t hash, uint64_t now_ms);
/* It is used now. */
void recent_touch(struct recent *t, void *entry, uint64_t now_ms);

#endif
