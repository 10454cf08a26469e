/* SPDX-License-Identifier: MIT */
/* Who uses a store in storms and benchmarks: a loop, a port, jobs that are waited for, and records
 * of which each byte follows from endpoint and number. */
#ifndef MSGD_TESTS_STORE_USER_H
#define MSGD_TESTS_STORE_USER_H

#include "daemon/store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store_user {
    struct store *store;
    struct store_port *port; /* NULL: not started */
    uv_loop_t loop;
    size_t n_under_way;
    void (*done)(struct store_user *u, struct store_job *job); /* of those posted; or NULL */
    void *context;                                             /* whose `done` is */
};

/* 0 or -errno, as store_open. */
int store_user_open(struct store_user *u, const struct store_options *options) MUST_USE;
/* Starts the thread, opens the port. Aborts where that fails. */
void store_user_start(struct store_user *u);
/* Waits for what is under way; safe on one that could not be opened. */
void store_user_close(struct store_user *u);

/* The job is told of by u->done. */
void store_user_post(struct store_user *u, struct store_job *job);
/* All of them at once: the store's thread sees all or none. */
void store_user_post_all(struct store_user *u, struct store_job *const *jobs, size_t n);
/* Waits until no more than n are under way. */
void store_user_wait(struct store_user *u, size_t n);
/* Posts it and waits for it; u->done does not hear of it. Returns its status. */
int store_user_run(struct store_user *u, struct store_job *job);

/* Writes records first..last of n_payload bytes each to `at`; returns the bytes. */
size_t store_user_write(uint8_t *at, uint64_t endpoint, uint64_t first, uint64_t last,
                        uint32_t n_payload);
/* Is it what store_user_write wrote? */
bool store_user_is_good(const struct record *r, uint64_t endpoint);
static inline uint32_t store_user_bytes_of(const struct record *r)
{
    return record_bytes(record_content_of(atomic_load_explicit(&r->word, memory_order_relaxed)));
}

/* STORE_ROW_BYTES, 64-byte aligned; aborts where there is no memory. */
uint8_t *store_user_row(void);

#endif
