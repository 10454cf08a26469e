/* SPDX-License-Identifier: MIT */
/*
 * A consumer that stands on libmsgd, checks what it gets and prints what it saw as one JSON object.
 *
 *     drain NAME [--address A] [--port P] [--mode M] [--when-full W] [--mailbox BYTES] [--lease S]
 *           [--durable] [--format F] [--no-gro] [--receive-buffer BYTES] [--attach] [--endpoints N]
 *           [--count N] [--stop-after N] [--hold] [--release-every N] [--verify] [--log FILE]
 *           [--progress FILE] [--idle MS] [--latency]
 *
 * count: ends after N messages. stop-after: stops reading after N, keeps the attachment, ends on a
 * signal. hold: never releases. release-every: after each N messages (default: after each batch).
 * verify: payloads are those of flood; sequence numbers only grow. log: appends "seq number" for
 * each message before it is released. endpoints: registers NAME-0 ... NAME-(N-1). idle: ends after
 * MS without a message. latency: how long messages of `flood --stamp` were on their way. SIGTERM
 * and SIGINT end it, exit status 0. Once attached it prints "attached NAME PORT GENERATION RESUMED"
 * for each endpoint on stderr.
 */
#include "client/msgd.h"
#include "tests/support/latency.h"
#include "tests/support/payload.h"
#include "tests/support/progress.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#define BATCH      256
#define LOOK_UP_MS 500 /* a signal just before a call is seen this much later */

struct drain {
    struct msgd_registration registration;
    const char *log_path;
    struct progress *progress;
    FILE *log;
    struct msgd *msgd;
    unsigned n_endpoints;
    uint64_t count, stop_after, release_every;
    int idle_ms;
    bool is_attach, is_hold, is_verify, is_latency;
    struct latencies latencies;
    /* What was seen. */
    uint64_t received, redelivered, bytes, torn, out_of_order, gaps, repeated;
    uint64_t last_seq, last_number, unreleased;
    double first_at, last_at;
};

static volatile sig_atomic_t is_ended;

static void end(int number)
{
    (void)number;
    is_ended = 1;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const struct drain *d, const char *what, int error)
{
    fprintf(stderr, "drain: %s: %s (%s)\n", what, strerror(-error), msgd_error(d->msgd));
    exit(71);
}

enum option_key {
    ADDRESS = 1,
    PORT,
    MODE,
    WHEN_FULL,
    MAILBOX,
    LEASE,
    FORMAT,
    NO_GRO,
    DURABLE,
    RECEIVE_BUFFER,
    ATTACH,
    ENDPOINTS,
    COUNT,
    STOP_AFTER,
    HOLD,
    RELEASE_EVERY,
    VERIFY,
    LOG,
    PROGRESS,
    IDLE,
    LATENCY,
};

static const struct option options[] = {
    {"address", 1, NULL, ADDRESS},   {"port", 1, NULL, PORT},
    {"mode", 1, NULL, MODE},         {"when-full", 1, NULL, WHEN_FULL},
    {"mailbox", 1, NULL, MAILBOX},   {"lease", 1, NULL, LEASE},
    {"format", 1, NULL, FORMAT},     {"no-gro", 0, NULL, NO_GRO},
    {"durable", 0, NULL, DURABLE},   {"receive-buffer", 1, NULL, RECEIVE_BUFFER},
    {"attach", 0, NULL, ATTACH},     {"endpoints", 1, NULL, ENDPOINTS},
    {"count", 1, NULL, COUNT},       {"stop-after", 1, NULL, STOP_AFTER},
    {"hold", 0, NULL, HOLD},         {"release-every", 1, NULL, RELEASE_EVERY},
    {"verify", 0, NULL, VERIFY},     {"log", 1, NULL, LOG},
    {"progress", 1, NULL, PROGRESS}, {"idle", 1, NULL, IDLE},
    {"latency", 0, NULL, LATENCY},   {NULL, 0, NULL, 0},
};

static int64_t parse_lease(const char *text)
{
    if (strcmp(text, "forever") == 0)
        return MSGD_LEASE_FOREVER;
    int64_t seconds = strtoll(text, NULL, 10);
    return seconds == 0 ? MSGD_LEASE_NONE : seconds;
}

static enum msgd_mode parse_mode(const char *text)
{
    return strcmp(text, "share") == 0  ? MSGD_SHARE
           : strcmp(text, "copy") == 0 ? MSGD_COPY
                                       : MSGD_EXCLUSIVE;
}

static void parse_registration(struct msgd_registration *r, int option)
{
    switch (option) {
    case ADDRESS:
        r->address = optarg;
        break;
    case PORT:
        r->port = (uint16_t)atoi(optarg);
        break;
    case MODE:
        r->mode = parse_mode(optarg);
        break;
    case WHEN_FULL:
        r->when_full = strcmp(optarg, "drop-old") == 0 ? MSGD_DROP_OLD
                       : strcmp(optarg, "spool") == 0  ? MSGD_SPOOL
                                                       : MSGD_DROP_NEW;
        break;
    case MAILBOX:
        r->mailbox_bytes = strtoull(optarg, NULL, 10);
        break;
    case LEASE:
        r->lease_s = parse_lease(optarg);
        break;
    case FORMAT:
        r->format = strcmp(optarg, "raw") == 0 ? MSGD_RAW : MSGD_JSON;
        break;
    case NO_GRO:
        r->no_gro = 1;
        break;
    case DURABLE:
        r->is_durable = 1;
        break;
    case RECEIVE_BUFFER:
        r->receive_buffer_bytes = (uint32_t)strtoul(optarg, NULL, 10);
        break;
    default:
        exit(64);
    }
}

static void parse_option(struct drain *d, int option)
{
    switch (option) {
    case ATTACH:
        d->is_attach = true;
        break;
    case ENDPOINTS:
        d->n_endpoints = (unsigned)strtoul(optarg, NULL, 10);
        break;
    case COUNT:
        d->count = strtoull(optarg, NULL, 10);
        break;
    case STOP_AFTER:
        d->stop_after = strtoull(optarg, NULL, 10);
        break;
    case HOLD:
        d->is_hold = true;
        break;
    case RELEASE_EVERY:
        d->release_every = strtoull(optarg, NULL, 10);
        break;
    case VERIFY:
        d->is_verify = true;
        break;
    case LOG:
        d->log_path = optarg;
        break;
    case PROGRESS:
        d->progress = progress_map(optarg);
        break;
    case IDLE:
        d->idle_ms = atoi(optarg);
        break;
    case LATENCY:
        d->is_latency = true;
        break;
    default:
        parse_registration(&d->registration, option);
    }
}

static void announce(const struct msgd_endpoint *e)
{
    fprintf(stderr, "attached %s %u %" PRIu64 " %d\n", e->name, e->port, e->generation,
            e->is_resumed);
}

static void attach_one(struct drain *d, const char *name)
{
    struct msgd_endpoint endpoint;
    d->registration.name = name;
    int status = d->is_attach ? msgd_attach(d->msgd, name, &endpoint)
                              : msgd_register(d->msgd, &d->registration, &endpoint);
    if (status < 0)
        fail(d, name, status);
    announce(&endpoint);
}

static void attach_many(struct drain *d, const char *name)
{
    struct msgd_registration *all = calloc(d->n_endpoints, sizeof *all);
    char(*names)[64] = calloc(d->n_endpoints, sizeof *names);
    double start = now();
    for (unsigned i = 0; i < d->n_endpoints; i++) {
        snprintf(names[i], sizeof names[i], "%s-%u", name, i);
        all[i] = d->registration;
        all[i].name = names[i];
    }
    int status = msgd_register_many(d->msgd, all, d->n_endpoints);
    if (status < 0)
        fail(d, "msgd_register_many", status);
    double took = now() - start;
    for (unsigned i = 0; i < d->n_endpoints; i++) {
        struct msgd_endpoint endpoint;
        if (msgd_registered(d->msgd, names[i], &endpoint) == 0)
            announce(&endpoint);
    }
    fprintf(stderr, "registered %u in %.3f s\n", d->n_endpoints, took);
    free(names);
    free(all);
}

static void attach(struct drain *d, const char *name)
{
    int status = msgd_open(&d->msgd, NULL);
    if (status < 0)
        fail(d, "msgd_open", status);
    if (d->n_endpoints == 0)
        attach_one(d, name);
    else
        attach_many(d, name);
    fflush(stderr);
    if (d->progress != NULL)
        atomic_store(&d->progress->is_ready, 1);
}

/* The order holds within one endpoint; over many, only the payloads are checked. */
static void verify_order(struct drain *d, const struct msgd_message *m, uint64_t number)
{
    if (d->n_endpoints != 0)
        return;
    if (d->last_seq != 0 && m->seq <= d->last_seq)
        d->out_of_order++;
    else if (d->last_seq != 0)
        d->gaps += m->seq - d->last_seq - 1;
    if (number <= d->last_number)
        d->repeated++;
    d->last_seq = m->seq;
    d->last_number = number;
}

static void look_at(struct drain *d, const struct msgd_message *m)
{
    uint64_t number = 0;
    d->received++;
    d->bytes += m->length;
    d->redelivered += m->is_redelivered != 0;
    if (d->is_verify && !payload_read(m->data, m->length, &number))
        d->torn++;
    else if (d->is_verify)
        verify_order(d, m, number);
    if (d->is_latency && payload_read(m->data, m->length, &number))
        latencies_add(&d->latencies, number);
    if (d->log != NULL)
        fprintf(d->log, "%" PRIu64 " %" PRIu64 "\n", m->seq, number);
}

static void release(struct drain *d, const struct msgd_message *last, bool is_batch_end)
{
    d->unreleased++;
    if (d->is_hold || (d->release_every != 0 ? d->unreleased < d->release_every : !is_batch_end))
        return;
    if (d->log != NULL)
        fflush(d->log);
    msgd_release(d->msgd, last);
    d->unreleased = 0;
}

static size_t batch_size(const struct drain *d)
{
    uint64_t bound = d->count != 0 ? d->count : d->stop_after;
    return bound != 0 && bound - d->received < BATCH ? (size_t)(bound - d->received) : BATCH;
}

static bool is_done(const struct drain *d)
{
    return is_ended || (d->count != 0 && d->received >= d->count) ||
           (d->stop_after != 0 && d->received >= d->stop_after);
}

static void receive(struct drain *d)
{
    struct msgd_message messages[BATCH];
    while (!is_done(d)) {
        int n = msgd_receive(d->msgd, messages, batch_size(d),
                             d->idle_ms > 0 ? d->idle_ms : LOOK_UP_MS);
        if (n == -EINTR)
            continue;
        if (n < 0)
            fail(d, "msgd_receive", n);
        if (n == 0 && d->idle_ms > 0)
            break;
        if (n > 0 && d->first_at == 0)
            d->first_at = now();
        for (int i = 0; i < n; i++) {
            look_at(d, &messages[i]);
            release(d, &messages[i], i == n - 1);
        }
        d->last_at = now();
        if (d->progress != NULL)
            atomic_store_explicit(&d->progress->arrived, d->received, memory_order_release);
    }
}

static void print(struct drain *d)
{
    printf("{\"received\": %" PRIu64 ", \"redelivered\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"torn\": %" PRIu64 ", \"out_of_order\": %" PRIu64 ", \"gaps\": %" PRIu64
           ", \"repeated\": %" PRIu64 ", \"last_seq\": %" PRIu64 ", \"seconds\": %.6f",
           d->received, d->redelivered, d->bytes, d->torn, d->out_of_order, d->gaps, d->repeated,
           d->last_seq, d->last_at - d->first_at);
    latencies_print(&d->latencies);
    puts("}");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct drain d = {0};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        parse_option(&d, option);
    if (argc - optind != 1)
        return 64;
    if (d.log_path != NULL && (d.log = fopen(d.log_path, "a")) == NULL)
        return 73;
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (d.log != NULL)
        fputc('\n', d.log); /* whoever was killed before may have left half a line */
    attach(&d, argv[optind]);
    receive(&d);
    print(&d);
    while (d.stop_after != 0 && !is_ended)
        poll(NULL, 0, LOOK_UP_MS);
    d.msgd = msgd_close(d.msgd);
    if (d.log != NULL)
        fclose(d.log);
    return 0;
}
