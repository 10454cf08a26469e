/* SPDX-License-Identifier: MIT */
/* A store in a directory of its own, and jobs that are waited for. */
#ifndef MSGD_TESTS_STORE_FIXTURE_H
#define MSGD_TESTS_STORE_FIXTURE_H

#include "daemon/store/store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    char directory[64];
    struct store_options options;
    uv_loop_t loop;
    struct store *store;
    struct store_port *port;
    size_t n_done;
    uint8_t *buffer; /* STORE_ROW_BYTES */
};

static inline void start(struct fixture *f)
{
    cr_assert_eq(store_start(f->store), 0);
    cr_assert_eq(store_port_open(&f->port, f->store, &f->loop), 0);
}

static inline void open_fixture(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->directory, sizeof(f->directory), "/tmp/msgd-store-XXXXXX");
    cr_assert_not_null(mkdtemp(f->directory));
    f->options = (struct store_options){.directory = f->directory, .max_bytes = 64 << 20};
    f->buffer = aligned_alloc(64, STORE_ROW_BYTES);
    cr_assert_eq(uv_loop_init(&f->loop), 0);
    cr_assert_eq(store_open(&f->store, &f->options), 0);
    start(f);
}

static inline void stop(struct fixture *f)
{
    store_port_close(f->port, NULL, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    f->store = store_stop(f->store);
    cr_assert_null(f->store);
}

/* As after a restart, but not started: for store_load. */
static inline void reopen(struct fixture *f)
{
    stop(f);
    cr_assert_eq(store_open(&f->store, &f->options), 0);
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void close_fixture(struct fixture *f)
{
    stop(f);
    cr_assert_eq(uv_loop_close(&f->loop), 0);
    nftw(f->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f->buffer);
}

static inline void on_done(struct store_job *job)
{
    struct fixture *f = job->context;

    f->n_done++;
    job->context = NULL;
}

static inline void post(struct fixture *f, struct store_job *job)
{
    job->context = f;
    job->done = on_done;
    store_post(f->port, job);
}

static inline void wait_for(struct fixture *f, struct store_job *job)
{
    while (job->context != NULL)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static inline int run(struct fixture *f, struct store_job *job)
{
    post(f, job);
    wait_for(f, job);
    return job->status;
}

/* ---- Records ---- */

/* A record of n_payload bytes that follow from its seq, at `at`. Returns its bytes. */
static inline uint32_t write_record(uint8_t *at, uint64_t seq, uint32_t n_payload,
                                    enum record_kind kind)
{
    struct record *r = (struct record *)(void *)at;
    uint32_t n = record_bytes(n_payload);

    memset(at, 0, n);
    atomic_store(&r->word, record_word(kind, n_payload, 0));
    r->slot = 77; /* of somebody's link: not for the disk */
    r->seq = seq;
    r->time_ns = (int64_t)seq * 1000;
    for (uint32_t i = 0; i < n_payload; i++)
        at[sizeof(*r) + i] = (uint8_t)(seq * 31 + i);
    return n;
}

static inline bool record_is_as_written(const struct record *r, uint64_t seq, uint32_t n_payload)
{
    const uint8_t *payload = (const uint8_t *)(r + 1);

    if (r->seq != seq || r->slot != 0 || r->time_ns != (int64_t)seq * 1000 ||
        record_length_of(atomic_load(&r->word)) != n_payload)
        return false;
    for (uint32_t i = 0; i < n_payload; i++)
        if (payload[i] != (uint8_t)(seq * 31 + i))
            return false;
    return true;
}

/* Appends first..last, each with n_payload bytes; waits. */
static inline int append(struct fixture *f, uint64_t endpoint, uint64_t first, uint64_t last,
                         uint32_t n_payload)
{
    uint8_t *bytes = aligned_alloc(64, STORE_ROW_BYTES);
    struct store_job job = {.act = STORE_APPEND, .append = {.endpoint = endpoint, .bytes = bytes}};
    int r;

    for (uint64_t seq = first; seq <= last; seq++)
        job.append.n_bytes +=
            write_record(bytes + job.append.n_bytes, seq, n_payload, RECORD_MESSAGE);
    r = run(f, &job);
    free(bytes);
    return r;
}

static inline int trim(struct fixture *f, uint64_t endpoint, uint64_t up_to)
{
    struct store_job job = {.act = STORE_TRIM, .trim = {.endpoint = endpoint, .up_to = up_to}};

    return run(f, &job);
}

/* Reads into the fixture's buffer. */
static inline struct store_read read_from(struct fixture *f, uint64_t endpoint, uint64_t from,
                                          int *status)
{
    struct store_job job = {.act = STORE_READ,
                            .read = {.endpoint = endpoint,
                                     .from_seq = from,
                                     .bytes = f->buffer,
                                     .capacity = STORE_ROW_BYTES}};

    *status = run(f, &job);
    return job.read;
}

/* Reads all of it from `from` on; the numbers must rise. Returns how many there were. */
static inline uint64_t read_all(struct fixture *f, uint64_t endpoint, uint64_t from,
                                uint32_t n_payload, uint64_t *n_lost)
{
    uint64_t n = 0;
    int status;

    *n_lost = 0;
    for (;;) {
        struct store_read read = read_from(f, endpoint, from, &status);

        if (status == -ENOENT)
            return n;
        cr_assert_eq(status, 0);
        for (size_t at = 0; at < read.n_bytes;) {
            const struct record *r = (const struct record *)(const void *)(f->buffer + at);

            cr_assert(r->seq >= from && record_is_as_written(r, r->seq, n_payload), "seq %" PRIu64,
                      r->seq);
            from = r->seq + 1;
            at += record_bytes(record_content_of(atomic_load(&r->word)));
            n++;
        }
        cr_assert(read.last_seq + 1 >= from);
        from = read.last_seq + 1;
        *n_lost += read.n_lost;
    }
}

#endif
