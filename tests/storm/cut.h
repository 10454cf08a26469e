/* SPDX-License-Identifier: MIT */
/*
 * What a power cut leaves of a disk: each file as it was last synced, and of what was done to it
 * since then any part, sector by sector; the same of names in the directory. Dropping an earlier
 * write while a later one stays is reordering; dropping sectors of one is tearing.
 */
#ifndef MSGD_TESTS_CUT_H
#define MSGD_TESTS_CUT_H

#include "tests/sim/network.h"
#include "tests/support/memory_vfs.h"

#define CUT_SECTOR_BYTES 512u
#define CUT_MAX_FILES    64u
#define CUT_NO_FILE      UINT32_MAX

struct cut {
    const struct memory_record *record;
    size_t at; /* operations before this one have happened */
    struct memory_file synced[CUT_MAX_FILES];
    uint32_t names[MEMORY_N]; /* as the directory was last synced: a file or CUT_NO_FILE */
    size_t *pending;          /* operations that may be lost, in order */
    size_t n_pending, pending_capacity;
};

/* The disk as it was when the record began, all of it synced. Keeps the record. */
void cut_init(struct cut *c, const struct memory_disk *base, const struct memory_record *record);
void cut_deinit(struct cut *c);
/* Lets operations happen until so many have. Only forward. */
void cut_advance(struct cut *c, size_t n_ops);
/* A disk as a cut at this moment may leave it. Returns how many operations were undone, wholly or
 * in part. */
size_t cut_build(const struct cut *c, struct sim_random *random, struct memory_disk *out);

#endif
