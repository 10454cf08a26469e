/* SPDX-License-Identifier: MIT */
/*
 * What acknowledged messages are measured against: a program that sends each datagram back, and one
 * that waits for them.
 *
 *     echo --serve                                          prints "port P" on stderr
 *     echo --ask PORT [--count N] [--in-flight N] [--size N]
 *
 * The asker keeps so many datagrams under way, fails if one is lost, and prints one JSON object:
 * how many a second, and the quantiles of the round trip in microseconds.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH        64
#define DATAGRAM_MAX 2048
#define BUFFER_BYTES (4 * 1024 * 1024)

static uint8_t buffers[BATCH][DATAGRAM_MAX];
static struct sockaddr_in addresses[BATCH];
static struct iovec parts[BATCH];
static struct mmsghdr headers[BATCH];

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(71);
}

static int open_socket(uint16_t port, bool is_server)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    const struct timeval patience = {.tv_sec = 5};
    int size = BUFFER_BYTES, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0)
        fail("socket");
    if (is_server) {
        if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
            getsockname(fd, (struct sockaddr *)&at, &length) < 0)
            fail("bind");
        fprintf(stderr, "port %u\n", ntohs(at.sin_port));
    } else if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
               setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) {
        fail("connect");
    }
    return fd;
}

/* with_address: of a socket that is not connected. */
static void prepare(bool with_address)
{
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){buffers[i], sizeof buffers[i]};
        headers[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
        if (with_address)
            headers[i].msg_hdr.msg_name = &addresses[i];
        headers[i].msg_hdr.msg_namelen = with_address ? sizeof addresses[i] : 0;
    }
}

static void serve(void)
{
    int fd = open_socket(0, true);
    for (;;) {
        prepare(true);
        int n = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < n; i++)
            parts[i].iov_len = headers[i].msg_len;
        for (int sent = 0, more; sent < n; sent += more)
            if ((more = sendmmsg(fd, headers + sent, (unsigned)(n - sent), 0)) < 0)
                fail("sendmmsg");
    }
}

struct asking {
    uint64_t count, in_flight, size;
    uint64_t sent, received;
    uint32_t *took_ns; /* of each */
};

/* Each datagram begins with the time at which it was sent. */
static void send_more(int fd, struct asking *a)
{
    while (a->sent < a->count && a->sent - a->received < a->in_flight) {
        uint64_t room = a->in_flight - (a->sent - a->received), left = a->count - a->sent;
        unsigned n = (unsigned)(room < BATCH ? room : BATCH);
        n = left < n ? (unsigned)left : n;
        prepare(false);
        for (unsigned i = 0; i < n; i++) {
            uint64_t now = now_ns();
            memcpy(buffers[i], &now, sizeof now);
            parts[i].iov_len = a->size;
        }
        int sent = sendmmsg(fd, headers, n, 0);
        if (sent < 0)
            fail("sendmmsg");
        a->sent += (unsigned)sent;
    }
}

static void receive(int fd, struct asking *a)
{
    prepare(false);
    int n = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL);
    if (n < 0)
        fail("recvmmsg");
    for (int i = 0; i < n; i++) {
        uint64_t then, now = now_ns();
        memcpy(&then, buffers[i], sizeof then);
        a->took_ns[a->received++] = (uint32_t)(now - then);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void ask(uint16_t port, struct asking *a)
{
    int fd = open_socket(port, false);
    a->took_ns = calloc(a->count, sizeof *a->took_ns);
    if (a->took_ns == NULL)
        fail("calloc");
    uint64_t begin = now_ns();
    while (a->received < a->count) {
        send_more(fd, a);
        receive(fd, a);
    }
    double seconds = (double)(now_ns() - begin) / 1e9;
    qsort(a->took_ns, a->count, sizeof *a->took_ns, compare);
    printf("{\"count\": %llu, \"rate\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           (unsigned long long)a->count, (double)a->count / seconds, a->took_ns[a->count / 2] / 1e3,
           a->took_ns[a->count * 99 / 100] / 1e3);
    free(a->took_ns);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"serve", 0, NULL, 's'}, {"ask", 1, NULL, 'a'},
                                            {"count", 1, NULL, 'c'}, {"in-flight", 1, NULL, 'f'},
                                            {"size", 1, NULL, 'z'},  {NULL, 0, NULL, 0}};
    struct asking a = {.count = 10000, .in_flight = 1, .size = 256};
    unsigned long port = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        unsigned long value = optarg != NULL ? strtoul(optarg, NULL, 10) : 0;
        if (option == 's')
            serve();
        else if (option == 'a')
            port = value;
        else if (option == 'c')
            a.count = value;
        else if (option == 'f')
            a.in_flight = value;
        else if (option == 'z')
            a.size = value;
        else
            return 64;
    }
    if (port == 0 || port > UINT16_MAX || a.size < sizeof(uint64_t) || a.size > DATAGRAM_MAX)
        return 64;
    ask((uint16_t)port, &a);
    return 0;
}
