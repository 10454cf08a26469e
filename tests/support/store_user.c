/* SPDX-License-Identifier: MIT */
/* Who uses a store in storms and benchmarks. */
#include "tests/support/store_user.h"

#include "daemon/store/store_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "store_user: %s failed\n", what);
    abort();
}

/* ---- Life ---- */

int store_user_open(struct store_user *u, const struct store_options *options)
{
    u->port = NULL;
    u->n_under_way = 0;
    return store_open(&u->store, options);
}

void store_user_start(struct store_user *u)
{
    must(uv_loop_init(&u->loop) == 0, "uv_loop_init");
    must(store_start(u->store) == 0, "store_start");
    must(store_port_open(&u->port, u->store, &u->loop) == 0, "store_port_open");
}

void store_user_close(struct store_user *u)
{
    if (u->port != NULL) {
        store_port_close(u->port, NULL, NULL);
        uv_run(&u->loop, UV_RUN_DEFAULT);
        must(uv_loop_close(&u->loop) == 0, "uv_loop_close");
        u->port = NULL;
    }
    u->store = store_stop(u->store);
}

/* ---- Jobs ---- */

static void on_posted(struct store_job *job)
{
    struct store_user *u = job->context;

    u->n_under_way--;
    if (u->done != NULL)
        u->done(u, job);
}

void store_user_post(struct store_user *u, struct store_job *job)
{
    job->context = u;
    job->done = on_posted;
    u->n_under_way++;
    store_post(u->port, job);
}

void store_user_post_all(struct store_user *u, struct store_job *const *jobs, size_t n)
{
    uv_mutex_lock(&u->store->lock);
    for (size_t i = 0; i < n; i++) {
        jobs[i]->context = u;
        jobs[i]->done = on_posted;
        jobs[i]->port = u->port;
        jobs[i]->cursor = 0;
        job_list_append(&u->store->posted, jobs[i]);
    }
    u->n_under_way += n;
    u->port->n_posted += n;
    uv_cond_signal(&u->store->has_posted);
    uv_mutex_unlock(&u->store->lock);
}

void store_user_wait(struct store_user *u, size_t n)
{
    while (u->n_under_way > n)
        uv_run(&u->loop, UV_RUN_ONCE);
}

static void on_run(struct store_job *job)
{
    job->context = NULL;
}

int store_user_run(struct store_user *u, struct store_job *job)
{
    job->context = u;
    job->done = on_run;
    store_post(u->port, job);
    while (job->context != NULL)
        uv_run(&u->loop, UV_RUN_ONCE);
    return job->status;
}

/* ---- Records ---- */

static uint64_t word_at(uint64_t endpoint, uint64_t seq, uint32_t i)
{
    return (endpoint * UINT64_C(0x9e3779b97f4a7c15) ^ seq) * UINT64_C(0xd6e8feb86659fd93) + i;
}

size_t store_user_write(uint8_t *at, uint64_t endpoint, uint64_t first, uint64_t last,
                        uint32_t n_payload)
{
    const uint8_t *begin = at;

    for (uint64_t seq = first; seq <= last; seq++) {
        struct record *r = (struct record *)(void *)at;
        uint32_t n = record_bytes(n_payload);

        memset(at, 0, n);
        atomic_store_explicit(&r->word, record_word(RECORD_MESSAGE, n_payload, 0),
                              memory_order_relaxed);
        r->seq = seq;
        r->time_ns = (int64_t)seq * 1000;
        for (uint32_t i = 0; i < n_payload / 8; i++) {
            uint64_t word = word_at(endpoint, seq, i);

            memcpy(at + sizeof(*r) + i * 8, &word, 8);
        }
        at += n;
    }
    return (size_t)(at - begin);
}

bool store_user_is_good(const struct record *r, uint64_t endpoint)
{
    uint32_t word = atomic_load_explicit(&r->word, memory_order_relaxed);
    uint32_t n_payload = record_length_of(word);

    if (record_kind_of(word) != RECORD_MESSAGE || record_trailer_length_of(word) != 0 ||
        r->time_ns != (int64_t)r->seq * 1000 || r->slot != 0)
        return false;
    for (uint32_t i = 0; i < n_payload / 8; i++) {
        uint64_t expected = word_at(endpoint, r->seq, i);

        if (memcmp((const uint8_t *)(r + 1) + i * 8, &expected, 8) != 0)
            return false;
    }
    return true;
}

uint8_t *store_user_row(void)
{
    uint8_t *row = aligned_alloc(RING_RECORD_ALIGN, STORE_ROW_BYTES);

    must(row != NULL, "aligned_alloc");
    return row;
}
