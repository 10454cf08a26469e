/* SPDX-License-Identifier: MIT */
/*
 * Sends numbered JSON datagrams as fast as asked, and prints what it sent.
 *
 *     flood ADDRESS PORT [--count N] [--size BYTES] [--first N] [--how one|many|offload]
 *           [--window N --progress FILE] [--rate N] [--seconds S] [--ports FILE] [--stamp]
 *
 * one: a sendto each. many: sendmmsg of 64. offload: UDP_SEGMENT, as many segments a call as fit.
 * window: at most N not yet counted in FILE by the receiver (progress.h). ports: one after the
 * other of those in FILE, in place of PORT. stamp: numbers are times (latency.h), and nothing is
 * slept while a window is full. It ends at the count, after the seconds, or on SIGTERM. Output: one
 * JSON object.
 */
#include "tests/support/latency.h"
#include "tests/support/payload.h"
#include "tests/support/progress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH          64u
#define MAX_SUPER      65000u
#define DATAGRAM_BYTES 65507u

enum how { ONE_BY_ONE, MANY, OFFLOAD };

struct flood {
    struct sockaddr_storage to;
    socklen_t to_length;
    uint64_t count;
    uint64_t first;
    uint64_t rate;
    uint64_t window;
    double seconds;
    size_t size;
    enum how how;
    struct progress *progress;
    uint64_t arrived_before; /* of somebody else's */
    in_port_t *ports;        /* network byte order; NULL: the one of `to` */
    size_t n_ports;
    bool is_stamp;
    int fd;
    uint64_t sent;
    uint64_t retries;
    uint8_t *buffer; /* BATCH payloads, or one super-packet */
};

static volatile sig_atomic_t is_stopped;

static void on_terminate(int number)
{
    (void)number;
    is_stopped = 1;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    perror(what);
    exit(71);
}

static void usage(void)
{
    fputs("usage: flood ADDRESS PORT [--count N] [--size BYTES] [--first N] [--how "
          "one|many|offload]\n"
          "             [--window N --progress FILE] [--rate N] [--seconds S] [--ports FILE]\n"
          "             [--stamp]\n",
          stderr);
    exit(64);
}

static void parse_target(struct flood *f, const char *address, const char *port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&f->to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&f->to;
    uint16_t number = htons((uint16_t)atoi(port));
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = number;
        f->to_length = sizeof *v4;
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = number;
        f->to_length = sizeof *v6;
    } else {
        usage();
    }
}

static enum how parse_how(const char *text)
{
    static const char *const names[] = {"one", "many", "offload"};
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum how)i;
    usage();
    return ONE_BY_ONE;
}

static void read_ports(struct flood *f, const char *path)
{
    FILE *in = fopen(path, "re");
    unsigned port;
    f->ports = calloc(UINT16_MAX, sizeof *f->ports);
    if (in == NULL || f->ports == NULL)
        fail(path);
    while (f->n_ports < UINT16_MAX && fscanf(in, "%u", &port) == 1)
        f->ports[f->n_ports++] = htons((uint16_t)port);
    fclose(in);
    if (f->n_ports == 0)
        usage();
}

static void parse_options(struct flood *f, int argc, char **argv)
{
    static const struct option options[] = {
        {"count", required_argument, NULL, 'c'},
        {"size", required_argument, NULL, 's'},
        {"first", required_argument, NULL, 'f'},
        {"how", required_argument, NULL, 'h'},
        {"window", required_argument, NULL, 'w'},
        {"progress", required_argument, NULL, 'p'},
        {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 't'},
        {"ports", required_argument, NULL, 'P'},
        {"stamp", no_argument, NULL, 'S'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            f->count = strtoull(optarg, NULL, 10);
            break;
        case 's':
            f->size = strtoul(optarg, NULL, 10);
            break;
        case 'f':
            f->first = strtoull(optarg, NULL, 10);
            break;
        case 'h':
            f->how = parse_how(optarg);
            break;
        case 'w':
            f->window = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            f->rate = strtoull(optarg, NULL, 10);
            break;
        case 't':
            f->seconds = strtod(optarg, NULL);
            break;
        case 'p':
            f->progress = progress_map(optarg);
            if (f->progress == NULL)
                fail(optarg);
            break;
        case 'P':
            read_ports(f, optarg);
            break;
        case 'S':
            f->is_stamp = true;
            break;
        default:
            usage();
        }
    }
    if (argc - optind != 2 || f->size < PAYLOAD_MIN || f->size > DATAGRAM_BYTES ||
        (f->window != 0 && f->progress == NULL))
        usage();
    parse_target(f, argv[optind], argv[optind + 1]);
}

/* How many datagrams one system call carries. */
static uint64_t per_call(const struct flood *f)
{
    if (f->how == ONE_BY_ONE)
        return 1;
    if (f->how == MANY)
        return BATCH;
    uint64_t fit = MAX_SUPER / f->size;
    return fit < BATCH ? (fit == 0 ? 1 : fit) : BATCH;
}

/* Waits until the window has room for n more. */
static void wait_for_window(const struct flood *f, uint64_t n)
{
    if (f->window == 0)
        return;
    for (unsigned turns = 0;; turns++) {
        uint64_t arrived = atomic_load_explicit(&f->progress->arrived, memory_order_acquire);
        if (f->sent + n <= arrived - f->arrived_before + f->window)
            return;
        if (turns < 50 || f->is_stamp)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
}

static void wait_for_rate(const struct flood *f, double start)
{
    if (f->rate == 0)
        return;
    double due = start + (double)f->sent / (double)f->rate;
    for (double left; (left = due - now()) > 0;)
        nanosleep(&(struct timespec){.tv_nsec = left > 0.5 ? 500000000 : (long)(left * 1e9)}, NULL);
}

/* Did the call fail only for now? */
static bool is_passing(struct flood *f)
{
    if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR && errno != ECONNREFUSED)
        return false;
    f->retries++;
    return true;
}

static void write_payloads(struct flood *f, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        payload_write(f->is_stamp ? latency_now() : f->first + f->sent + i, f->buffer + i * f->size,
                      f->size);
}

static void send_whole(struct flood *f, size_t n)
{
    if (f->ports != NULL) /* the port is at the same place in both families */
        ((struct sockaddr_in *)&f->to)->sin_port = f->ports[f->sent % f->n_ports];
    while (sendto(f->fd, f->buffer, n * f->size, 0, (struct sockaddr *)&f->to, f->to_length) < 0)
        if (!is_passing(f))
            fail("sendto");
    f->sent += n;
}

static void send_many(struct flood *f, size_t n)
{
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    memset(messages, 0, sizeof messages);
    for (size_t i = 0; i < n; i++) {
        parts[i] = (struct iovec){f->buffer + i * f->size, f->size};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &f->to, .msg_namelen = f->to_length, .msg_iov = &parts[i], .msg_iovlen = 1};
    }
    for (size_t done = 0; done < n;) {
        int sent = sendmmsg(f->fd, messages + done, (unsigned)(n - done), 0);
        if (sent > 0)
            done += (size_t)sent;
        else if (!is_passing(f))
            fail("sendmmsg");
    }
    f->sent += n;
}

static void run(struct flood *f)
{
    double start = now();
    uint64_t most = per_call(f);
    if (f->progress != NULL)
        f->arrived_before = atomic_load_explicit(&f->progress->arrived, memory_order_acquire);
    while (f->sent < f->count && !is_stopped && (f->seconds == 0 || now() - start < f->seconds)) {
        uint64_t n = f->count - f->sent < most ? f->count - f->sent : most;
        wait_for_window(f, n);
        wait_for_rate(f, start);
        write_payloads(f, n);
        if (f->how == MANY)
            send_many(f, n);
        else
            send_whole(f, n);
    }
    double took = now() - start;
    printf(
        "{\"sent\": %llu, \"bytes\": %zu, \"retries\": %llu, \"seconds\": %.6f, \"rate\": %.0f}\n",
        (unsigned long long)f->sent, f->size, (unsigned long long)f->retries, took,
        (double)f->sent / took);
}

int main(int argc, char **argv)
{
    struct flood f = {.count = UINT64_MAX, .first = 1, .size = 256};
    parse_options(&f, argc, argv);
    if (f.count == UINT64_MAX && f.seconds == 0)
        f.count = 1000;
    f.buffer = malloc(BATCH * f.size + DATAGRAM_BYTES);
    f.fd = socket(f.to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (f.buffer == NULL || f.fd < 0)
        fail("flood");
    int segment = (int)f.size;
    if (f.how == OFFLOAD &&
        setsockopt(f.fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0)
        fail("UDP_SEGMENT");
    signal(SIGTERM, on_terminate);
    run(&f);
    free(f.ports);
    free(f.buffer);
    close(f.fd);
    return 0;
}
