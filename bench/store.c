/* SPDX-License-Identifier: MIT */
/*
 * The store by itself: messages of 256 B put on disk, each synced before it counts, in rows as
 * large as they come (256 KiB) and one a row, interleaved in one run; read and released again; what
 * is left after a restart. One JSON object: messages a second, milliseconds.
 *
 *     store DIRECTORY COUNT ROUNDS LEFT
 *
 * COUNT messages in groups each round, a tenth of them one a row; LEFT lie there for the restart.
 */
#include "tests/support/store_user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAYLOAD   256u
#define MAX_BYTES (UINT64_C(8) << 30)
/* As many as a worker has under way: each of them a chunk; or one message. */
#define GROUPS_UNDER_WAY 16u
#define ROWS_UNDER_WAY   1024u
#define TRIMMED_ROWS     20000u
#define ROUNDS_MAX       32

enum figure {
    APPEND_GROUPED,
    APPEND_ROWS,
    DRAIN_GROUPED,
    DRAIN_ROWS,
    N_RATES,
};

static const char *const names[N_RATES] = {"append_grouped", "append_rows", "drain_grouped",
                                           "drain_rows"};

struct slot {
    struct store_job job;
    struct slot *next;
    uint8_t *bytes;
};

struct bench {
    struct store_user user;
    struct store_options options;
    struct slot *idle;
    uint64_t endpoint;
    uint8_t *row;
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(bool is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "store: %s\n", what);
    exit(1);
}

static void on_done(struct store_user *u, struct store_job *job)
{
    struct bench *b = u->context;
    struct slot *slot = (struct slot *)(void *)job;

    must(job->status == 0, "an append failed");
    slot->next = b->idle;
    b->idle = slot;
}

static void begin(struct bench *b)
{
    must(store_user_open(&b->user, &b->options) == 0, "cannot open the store");
    b->user.context = b;
}

/* ---- Putting on disk ---- */

/* n messages, each job with `each` of them, as long as `under_way` allows. */
static void append(struct bench *b, uint64_t n, uint64_t each, size_t under_way)
{
    struct slot *slots = calloc(under_way, sizeof(*slots));
    size_t slot_bytes = each * record_bytes(PAYLOAD);

    must(slots != NULL, "no memory");
    b->user.done = on_done;
    b->idle = NULL;
    for (size_t i = 0; i < under_way; i++) {
        slots[i].bytes = aligned_alloc(RING_RECORD_ALIGN, slot_bytes);
        must(slots[i].bytes != NULL, "no memory");
        slots[i].next = b->idle;
        b->idle = &slots[i];
    }
    for (uint64_t first = 1; first <= n; first += each) {
        uint64_t last = first + each - 1 < n ? first + each - 1 : n;
        struct slot *slot;

        while (b->idle == NULL)
            uv_run(&b->user.loop, UV_RUN_ONCE);
        slot = b->idle;
        b->idle = slot->next;
        slot->job = (struct store_job){.act = STORE_APPEND,
                                       .append = {.endpoint = b->endpoint, .bytes = slot->bytes}};
        slot->job.append.n_bytes = store_user_write(slot->bytes, b->endpoint, first, last, PAYLOAD);
        store_user_post(&b->user, &slot->job);
    }
    store_user_wait(&b->user, 0);
    for (size_t i = 0; i < under_way; i++)
        free(slots[i].bytes);
    free(slots);
}

static double append_grouped(struct bench *b, uint64_t n)
{
    double begun = now_s();

    append(b, n, STORE_ROW_BYTES / record_bytes(PAYLOAD), GROUPS_UNDER_WAY);
    return (double)n / (now_s() - begun);
}

static double append_rows(struct bench *b, uint64_t n)
{
    double begun = now_s();

    append(b, n, 1, ROWS_UNDER_WAY);
    return (double)n / (now_s() - begun);
}

/* ---- Reading and releasing ---- */

static void trim(struct bench *b, uint64_t up_to)
{
    struct store_job job = {.act = STORE_TRIM, .trim = {.endpoint = b->endpoint, .up_to = up_to}};

    must(store_user_run(&b->user, &job) == 0, "a trim failed");
}

static uint64_t read_from(struct bench *b, uint64_t from, uint32_t *n)
{
    struct store_job job = {.act = STORE_READ,
                            .read = {.endpoint = b->endpoint,
                                     .from_seq = from,
                                     .bytes = b->row,
                                     .capacity = STORE_ROW_BYTES}};

    must(store_user_run(&b->user, &job) == 0, "a read failed");
    must(job.read.n_lost == 0 && job.read.n > 0, "a read found damage");
    *n = job.read.n;
    return job.read.last_seq;
}

/* As consumers do it: a buffer is read, and then released while the next one is. */
static double drain(struct bench *b, uint64_t n)
{
    double begun = now_s();
    struct store_job released;
    uint64_t seen = 0, last = 0;

    b->user.done = NULL;
    while (seen < n) {
        uint32_t n_read;

        last = read_from(b, last + 1, &n_read);
        seen += n_read;
        store_user_wait(&b->user, 0);
        released =
            (struct store_job){.act = STORE_TRIM, .trim = {.endpoint = b->endpoint, .up_to = last}};
        store_user_post(&b->user, &released);
    }
    store_user_wait(&b->user, 0);
    return (double)n / (now_s() - begun);
}

/* ---- Figures ---- */

static void round_of(struct bench *b, uint64_t n, double rates[N_RATES])
{
    b->endpoint++;
    rates[APPEND_GROUPED] = append_grouped(b, n);
    rates[DRAIN_GROUPED] = drain(b, n);
    b->endpoint++;
    rates[APPEND_ROWS] = append_rows(b, n / 10);
    rates[DRAIN_ROWS] = drain(b, n / 10);
}

static double trim_many_rows_ms(struct bench *b)
{
    double begun;

    b->endpoint++;
    append(b, TRIMMED_ROWS, 1, ROWS_UNDER_WAY);
    begun = now_s();
    trim(b, TRIMMED_ROWS);
    return (now_s() - begun) * 1e3;
}

static int note_spooled(void *context, const struct store_spooled *s)
{
    uint64_t *n = context;

    *n += s->n;
    return 0;
}

/* From the first byte until the first messages are there. */
static double restart_ms(struct bench *b, uint64_t n)
{
    uint64_t n_found = 0;
    struct store_loader loader = {.context = &n_found, .spooled = note_spooled};
    double begun, ms;
    uint32_t n_read;

    store_user_close(&b->user);
    begun = now_s();
    begin(b);
    must(store_load(b->user.store, &loader) == 0, "cannot load");
    store_user_start(&b->user);
    (void)read_from(b, 1, &n_read);
    ms = (now_s() - begun) * 1e3;
    must(n_found == n, "not all of it was there");
    trim(b, n);
    return ms;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void print_rates(double rates[ROUNDS_MAX][N_RATES], int n_rounds)
{
    for (int i = 0; i < N_RATES; i++) {
        double column[ROUNDS_MAX];

        for (int round = 0; round < n_rounds; round++)
            column[round] = rates[round][i];
        qsort(column, (size_t)n_rounds, sizeof(*column), compare);
        printf("\"%s\": %.0f, ", names[i], column[n_rounds / 2]);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {.options = {.max_bytes = MAX_BYTES}, .row = store_user_row()};
    double rates[ROUNDS_MAX][N_RATES];

    must(argc == 5, "usage: store DIRECTORY COUNT ROUNDS LEFT");
    uint64_t n = strtoull(argv[2], NULL, 10), left = strtoull(argv[4], NULL, 10);
    int n_rounds = atoi(argv[3]);

    must(n >= 10 && left > 0 && n_rounds > 0 && n_rounds <= ROUNDS_MAX, "no such counts");
    b.options.directory = argv[1];
    begin(&b);
    store_user_start(&b.user);
    for (int i = 0; i < n_rounds; i++)
        round_of(&b, n, rates[i]);
    printf("{");
    print_rates(rates, n_rounds);
    printf("\"trim_ms\": %.1f, ", trim_many_rows_ms(&b));
    b.endpoint++;
    append(&b, left, STORE_ROW_BYTES / record_bytes(PAYLOAD), GROUPS_UNDER_WAY);
    printf("\"restart_ms\": %.1f, ", restart_ms(&b, left));
    b.endpoint++;
    append(&b, left, 1, ROWS_UNDER_WAY);
    printf("\"restart_rows_ms\": %.1f}\n", restart_ms(&b, left));
    store_user_close(&b.user);
    free(b.row);
    return 0;
}
