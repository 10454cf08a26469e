/* SPDX-License-Identifier: MIT */
/*
 * What msgd is measured against: a program that binds the port itself and reads with recvmmsg.
 *
 *     bare [--count N] [--progress FILE] [--gro] [--idle MS] [--latency] [--unix PATH]
 *          [--sockets N]
 *
 * Prints "port P" on stderr once it is bound, and one JSON object when N messages have come, or
 * none for MS after the first. Counts what has arrived in FILE after each read, as
 * tests/support/drain.c does. latency: of messages of `flood --stamp`. unix: a Unix datagram
 * socket, for socat. sockets: so many, each with a line for its port, in an edge-triggered epoll
 * set.
 */
#include "tests/support/latency.h"
#include "tests/support/payload.h"
#include "tests/support/progress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BATCH         64
#define MESSAGE_BYTES 9216
#define MERGED_BYTES  65536
#define BUFFER_BYTES  (4 * 1024 * 1024)
#define EVENTS        256

struct bare {
    int fd;
    int epoll; /* many sockets; else 0 */
    bool is_gro, is_latency, is_over;
    int idle_ms;
    unsigned n_sockets;
    const char *unix_path;
    uint64_t count;
    uint64_t received;
    uint64_t bytes;
    double last_at;
    struct latencies latencies;
    struct progress *progress;
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    char control[BATCH][CMSG_SPACE(sizeof(int))];
};

static double now(void)
{
    return (double)latency_now() / 1e9;
}

static void fail(const char *what)
{
    perror(what);
    exit(71);
}

static void bind_socket(struct bare *b)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    int one = 1, size = BUFFER_BYTES;
    b->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (b->fd < 0 || bind(b->fd, (struct sockaddr *)&here, sizeof here) < 0 ||
        getsockname(b->fd, (struct sockaddr *)&here, &length) < 0 ||
        setsockopt(b->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0)
        fail("bind");
    if (b->is_gro && setsockopt(b->fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one) < 0)
        fail("UDP_GRO");
    fprintf(stderr, "port %u\n", ntohs(here.sin_port));
    fflush(stderr);
}

static void bind_many(struct bare *b, unsigned n)
{
    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < n; i++) {
        bind_socket(b);
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = b->fd};
        if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, b->fd, &event) < 0)
            fail("epoll");
    }
    fputs("bound\n", stderr);
}

static void bind_unix(struct bare *b)
{
    struct sockaddr_un here = {.sun_family = AF_UNIX};
    snprintf(here.sun_path, sizeof here.sun_path, "%s", b->unix_path);
    b->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (b->fd < 0 || bind(b->fd, (struct sockaddr *)&here, sizeof here) < 0)
        fail(b->unix_path);
    fputs("port 0\n", stderr);
}

/* From the first message on. */
static void set_idle(const struct bare *b)
{
    struct timeval time = {.tv_sec = b->idle_ms / 1000, .tv_usec = b->idle_ms % 1000 * 1000};
    if (b->idle_ms > 0 && setsockopt(b->fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) < 0)
        fail("SO_RCVTIMEO");
}

static void prepare(struct bare *b, uint8_t *buffers, size_t each)
{
    for (int i = 0; i < BATCH; i++) {
        b->parts[i] = (struct iovec){buffers + (size_t)i * each, each};
        b->headers[i].msg_hdr = (struct msghdr){.msg_iov = &b->parts[i],
                                                .msg_iovlen = 1,
                                                .msg_control = b->control[i],
                                                .msg_controllen = sizeof b->control[i]};
    }
}

/* How many datagrams one read holds: the kernel merges those of one size (UDP_GRO). */
static uint64_t n_merged(struct mmsghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c != NULL;
         c = CMSG_NXTHDR(&m->msg_hdr, c)) {
        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO)
            continue;
        int size;
        memcpy(&size, CMSG_DATA(c), sizeof size);
        return (m->msg_len + (unsigned)size - 1) / (unsigned)size;
    }
    return 1;
}

static void look_at(struct bare *b, const struct mmsghdr *m)
{
    uint64_t sent_ns;
    if (payload_read(m->msg_hdr.msg_iov->iov_base, m->msg_len, &sent_ns))
        latencies_add(&b->latencies, sent_ns);
}

/* Returns how many packets there were. */
static int receive_from(struct bare *b, int fd, int flags)
{
    int n = recvmmsg(fd, b->headers, BATCH, flags, NULL);
    b->is_over = n < 0 && errno == EAGAIN;
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        fail("recvmmsg");
    if (n > 0)
        b->last_at = now();
    for (int i = 0; i < n; i++) {
        if (b->is_latency)
            look_at(b, &b->headers[i]);
        b->received += n_merged(&b->headers[i]);
        b->bytes += b->headers[i].msg_len;
        b->headers[i].msg_hdr.msg_controllen = sizeof b->control[i];
    }
    if (b->progress != NULL)
        atomic_store_explicit(&b->progress->arrived, b->received, memory_order_release);
    return n;
}

static void receive(struct bare *b)
{
    struct epoll_event events[EVENTS];
    if (b->epoll == 0) {
        (void)receive_from(b, b->fd, MSG_WAITFORONE);
        return;
    }
    int n = epoll_wait(b->epoll, events, EVENTS, -1);
    for (int i = 0; i < n; i++)
        while (receive_from(b, events[i].data.fd, MSG_DONTWAIT) == BATCH)
            continue; /* of what is left there is no edge */
    b->is_over = false;
}

static void parse_options(struct bare *b, int argc, char **argv)
{
    static const struct option options[] = {{"count", 1, NULL, 'c'},   {"progress", 1, NULL, 'p'},
                                            {"gro", 0, NULL, 'g'},     {"idle", 1, NULL, 'i'},
                                            {"latency", 0, NULL, 'l'}, {"unix", 1, NULL, 'u'},
                                            {"sockets", 1, NULL, 's'}, {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            b->count = strtoull(optarg, NULL, 10);
        else if (option == 'p')
            b->progress = progress_map(optarg);
        else if (option == 'g')
            b->is_gro = true;
        else if (option == 'i')
            b->idle_ms = atoi(optarg);
        else if (option == 'l')
            b->is_latency = true;
        else if (option == 'u')
            b->unix_path = optarg;
        else if (option == 's')
            b->n_sockets = (unsigned)atoi(optarg);
        else
            exit(64);
    }
}

int main(int argc, char **argv)
{
    static struct bare b = {.count = 1000};
    parse_options(&b, argc, argv);
    size_t each = b.is_gro ? MERGED_BYTES : MESSAGE_BYTES;
    uint8_t *buffers = malloc(BATCH * each);
    if (buffers == NULL)
        fail("malloc");
    if (b.unix_path != NULL)
        bind_unix(&b);
    else if (b.n_sockets > 0)
        bind_many(&b, b.n_sockets);
    else
        bind_socket(&b);
    prepare(&b, buffers, each);
    receive(&b);
    double start = now();
    set_idle(&b);
    while (b.received < b.count && !b.is_over)
        receive(&b);
    printf("{\"received\": %llu, \"bytes\": %llu, \"seconds\": %.6f",
           (unsigned long long)b.received, (unsigned long long)b.bytes, b.last_at - start);
    latencies_print(&b.latencies);
    puts("}");
    free(buffers);
    close(b.fd);
    return 0;
}
