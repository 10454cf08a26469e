/* SPDX-License-Identifier: MIT */
/*
 * A bad network between UDP clients and one host, in user space.
 *
 *     proxy [--seed N] [--loss %] [--duplicate %] [--reorder %:N] [--delay MS[:JITTER]]
 *           [--rate BYTES_PER_S] [--queue BYTES] [--mtu BYTES] [--range FIRST-LAST] [--from IP]
 *           IP:PORT TARGET_IP:PORT
 *
 * What comes to IP:PORT (0: any) goes to the target, and what comes to IP at a port of the range to
 * the same port of the target; answers go back to the client from where it sent to. Each client
 * has one upstream socket for all ports, so that the target sees one client where there is one.
 * Both ways are impaired alike (impair.h). --from: the address that the target sees. SIGUSR1:
 * every client goes on from another upstream port, as behind a router that forgot about it.
 * IPv4. Prints "port P" on stderr once it is ready, and its counts as one JSON object when SIGTERM
 * ends it.
 */
#include "tests/support/impair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH        32
#define BUFFER_BYTES 65536
#define MAX_FLOWS    65536u
#define N_PORTS      65536

/* A socket: a listener has no flow, an upstream socket no port. */
struct end {
    int fd;
    bool is_upstream;
    uint16_t target_port;
    uint32_t flow;
};

struct flow {
    struct sockaddr_in client;
    struct end *upstream;
};

struct proxy {
    struct sockaddr_in listen, target, from;
    unsigned first_port, last_port;
    struct impair_options impair;
    struct impair *to_target, *to_client;
    int epoll;
    struct end *listeners[N_PORTS]; /* by the target's port */
    struct flow *flows;
    uint32_t n_flows;
    uint32_t by_client[2 * MAX_FLOWS]; /* flow + 1; 0: free */
    uint64_t kernel_dropped, failed, strays, rebound;
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_in sources[BATCH];
};

static volatile sig_atomic_t is_ended, is_rebind_wanted;

static void end(int number)
{
    if (number == SIGUSR1)
        is_rebind_wanted = 1;
    else
        is_ended = 1;
}

static uint64_t now(void)
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

static void usage(void)
{
    fputs(
        "usage: proxy [--seed N] [--loss %] [--duplicate %] [--reorder %:N] [--delay MS[:JITTER]]\n"
        "             [--rate BYTES_PER_S] [--queue BYTES] [--mtu BYTES] [--range FIRST-LAST]\n"
        "             [--from IP] IP:PORT TARGET_IP:PORT\n",
        stderr);
    exit(64);
}

/* ---- Options ---- */

static struct sockaddr_in parse_address(const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    char ip[INET_ADDRSTRLEN];
    unsigned port = 0;
    if (sscanf(text, "%15[0-9.]:%u", ip, &port) < 1 || port > 65535 ||
        inet_pton(AF_INET, ip, &a.sin_addr) != 1)
        usage();
    a.sin_port = htons((uint16_t)port);
    return a;
}

/* "A" or "A:B". */
static void parse_two(const char *text, double *first, double *second)
{
    if (sscanf(text, "%lf:%lf", first, second) < 1)
        usage();
}

static void parse_impairment(struct impair_options *o, int option)
{
    double first = 0, second = 0;
    switch (option) {
    case 's':
        o->seed = strtoull(optarg, NULL, 10);
        break;
    case 'l':
        o->loss = strtod(optarg, NULL) / 100;
        break;
    case 'd':
        o->duplicate = strtod(optarg, NULL) / 100;
        break;
    case 'o':
        parse_two(optarg, &first, &second);
        o->reorder = first / 100;
        o->reorder_by = (unsigned)second;
        break;
    case 'y':
        parse_two(optarg, &first, &second);
        o->delay_ns = (uint64_t)(first * 1e6);
        o->jitter_ns = (uint64_t)(second * 1e6);
        break;
    case 'r':
        o->bytes_per_s = strtoull(optarg, NULL, 10);
        break;
    case 'q':
        o->queue_bytes = strtoull(optarg, NULL, 10);
        break;
    case 'm':
        o->max_datagram = strtoul(optarg, NULL, 10) - 28; /* IPv4 and UDP headers */
        break;
    default:
        usage();
    }
}

static void parse_options(struct proxy *p, int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", 1, NULL, 's'},    {"loss", 1, NULL, 'l'},  {"duplicate", 1, NULL, 'd'},
        {"reorder", 1, NULL, 'o'}, {"delay", 1, NULL, 'y'}, {"rate", 1, NULL, 'r'},
        {"queue", 1, NULL, 'q'},   {"mtu", 1, NULL, 'm'},   {"range", 1, NULL, 'R'},
        {"from", 1, NULL, 'F'},    {NULL, 0, NULL, 0},
    };
    int option;
    p->impair = (struct impair_options){.seed = 1, .hold_ns = 20000000, .queue_bytes = 262144};
    p->from.sin_family = AF_INET;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'F') {
            p->from = parse_address(optarg);
        } else if (option == 'R') {
            if (sscanf(optarg, "%u-%u", &p->first_port, &p->last_port) != 2 ||
                p->last_port >= N_PORTS)
                usage();
        } else {
            parse_impairment(&p->impair, option);
        }
    }
    if (argc - optind != 2)
        usage();
    p->listen = parse_address(argv[optind]);
    p->target = parse_address(argv[optind + 1]);
}

/* ---- Sockets ---- */

static struct end *end_open(const struct proxy *p, const struct sockaddr_in *here)
{
    struct end *e = calloc(1, sizeof *e);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = e};
    int size = 8 << 20;
    if (e == NULL)
        fail("calloc");
    e->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (e->fd < 0 || bind(e->fd, (const struct sockaddr *)here, sizeof *here) < 0)
        fail("bind");
    if (setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        (void)setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, e->fd, &event) < 0)
        fail("epoll_ctl");
    return e;
}

static void count_kernel_drops(struct proxy *p, const struct end *e)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof info;
    if (getsockopt(e->fd, SOL_SOCKET, SO_MEMINFO, info, &length) == 0)
        p->kernel_dropped += info[SK_MEMINFO_DROPS];
}

static struct end *end_close(struct proxy *p, struct end *e)
{
    if (e != NULL) {
        count_kernel_drops(p, e);
        close(e->fd);
        free(e);
    }
    return NULL;
}

static void listen_at(struct proxy *p, unsigned port, uint16_t target_port)
{
    struct sockaddr_in here = p->listen;
    here.sin_port = htons((uint16_t)port);
    if (p->listeners[target_port] != NULL)
        return;
    p->listeners[target_port] = end_open(p, &here);
    p->listeners[target_port]->target_port = target_port;
}

static void open_listeners(struct proxy *p)
{
    uint16_t target_port = ntohs(p->target.sin_port);
    struct sockaddr_in here;
    socklen_t length = sizeof here;
    listen_at(p, ntohs(p->listen.sin_port), target_port);
    for (unsigned port = p->first_port; port != 0 && port <= p->last_port; port++)
        listen_at(p, port, (uint16_t)port);
    if (getsockname(p->listeners[target_port]->fd, (struct sockaddr *)&here, &length) < 0)
        fail("getsockname");
    fprintf(stderr, "port %u\n", ntohs(here.sin_port));
    fflush(stderr);
}

static void open_upstream(struct proxy *p, uint32_t flow)
{
    struct end *e = end_open(p, &p->from);
    e->is_upstream = true;
    e->flow = flow;
    p->flows[flow].upstream = e;
}

/* The flow of a client, made when it is new. */
static uint32_t flow_of(struct proxy *p, const struct sockaddr_in *client)
{
    uint64_t key = (uint64_t)client->sin_addr.s_addr << 16 | client->sin_port;
    size_t at = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 47);
    for (; p->by_client[at] != 0; at = (at + 1) % (2 * MAX_FLOWS)) {
        const struct sockaddr_in *known = &p->flows[p->by_client[at] - 1].client;
        if (known->sin_addr.s_addr == client->sin_addr.s_addr &&
            known->sin_port == client->sin_port)
            return p->by_client[at] - 1;
    }
    if (p->n_flows == MAX_FLOWS) {
        fputs("proxy: too many clients\n", stderr);
        exit(71);
    }
    uint32_t flow = p->n_flows++;
    p->by_client[at] = flow + 1;
    p->flows[flow].client = *client;
    open_upstream(p, flow);
    return flow;
}

static void rebind(struct proxy *p)
{
    for (uint32_t flow = 0; flow < p->n_flows; flow++) {
        struct end *former = p->flows[flow].upstream;
        open_upstream(p, flow); /* before the other is closed: surely another port */
        end_close(p, former);
        p->rebound++;
    }
}

/* ---- The way there, the way back ---- */

static void send_to(struct proxy *p, const struct end *e, const struct sockaddr_in *to,
                    const uint8_t *bytes, size_t n)
{
    if (sendto(e->fd, bytes, n, 0, (const struct sockaddr *)to, sizeof *to) < 0)
        p->failed++;
}

/* The tag is the target's port, both ways. */
static void out_to_target(void *context, uint32_t flow, uint32_t tag, const uint8_t *bytes,
                          size_t n)
{
    struct proxy *p = context;
    struct sockaddr_in to = p->target;
    to.sin_port = htons((uint16_t)tag);
    send_to(p, p->flows[flow].upstream, &to, bytes, n);
}

static void out_to_client(void *context, uint32_t flow, uint32_t tag, const uint8_t *bytes,
                          size_t n)
{
    struct proxy *p = context;
    send_to(p, p->listeners[tag], &p->flows[flow].client, bytes, n);
}

static void forward(struct proxy *p, const struct end *e, const struct sockaddr_in *source,
                    const uint8_t *bytes, size_t n)
{
    uint16_t port = ntohs(source->sin_port);
    if (!e->is_upstream)
        impair_put(p->to_target, now(), flow_of(p, source), e->target_port, bytes, n);
    else if (source->sin_addr.s_addr == p->target.sin_addr.s_addr && p->listeners[port] != NULL)
        impair_put(p->to_client, now(), e->flow, port, bytes, n);
    else
        p->strays++;
}

static void receive(struct proxy *p, const struct end *e)
{
    for (int i = 0; i < BATCH; i++)
        p->headers[i].msg_hdr.msg_namelen = sizeof p->sources[i];
    int n = recvmmsg(e->fd, p->headers, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        forward(p, e, &p->sources[i], p->parts[i].iov_base, p->headers[i].msg_len);
}

static void prepare_buffers(struct proxy *p, uint8_t *buffers)
{
    for (size_t i = 0; i < BATCH; i++) {
        p->parts[i] = (struct iovec){buffers + i * BUFFER_BYTES, BUFFER_BYTES};
        p->headers[i].msg_hdr =
            (struct msghdr){.msg_name = &p->sources[i], .msg_iov = &p->parts[i], .msg_iovlen = 1};
    }
}

static void wait_and_forward(struct proxy *p, const sigset_t *unblocked)
{
    struct epoll_event events[64];
    uint64_t a = impair_deadline(p->to_target), b = impair_deadline(p->to_client), at_ns = now();
    uint64_t deadline_ns = a < b ? a : b, left_ns = deadline_ns > at_ns ? deadline_ns - at_ns : 0;
    struct timespec left = {(time_t)(left_ns / 1000000000u), (long)(left_ns % 1000000000u)};
    int n = epoll_pwait2(p->epoll, events, 64, deadline_ns == UINT64_MAX ? NULL : &left, unblocked);
    if (n < 0 && errno != EINTR)
        fail("epoll_pwait2");
    for (int i = 0; i < n; i++)
        receive(p, events[i].data.ptr);
    impair_run(p->to_target, now());
    impair_run(p->to_client, now());
    if (is_rebind_wanted) {
        is_rebind_wanted = 0;
        rebind(p);
    }
}

/* ---- Beginning and end ---- */

static void print_way(const char *name, const struct impair *l)
{
    const struct impair_counts *c = impair_counts(l);
    printf("\"%s\": {\"in\": %llu, \"out\": %llu, \"lost\": %llu, \"duplicated\": %llu, "
           "\"reordered\": %llu, \"too_large\": %llu, \"overflowed\": %llu, \"waiting\": %llu}, ",
           name, (unsigned long long)c->in, (unsigned long long)c->out, (unsigned long long)c->lost,
           (unsigned long long)c->duplicated, (unsigned long long)c->reordered,
           (unsigned long long)c->too_large, (unsigned long long)c->overflowed,
           (unsigned long long)impair_waiting(l));
}

static void close_all(struct proxy *p)
{
    for (uint32_t flow = 0; flow < p->n_flows; flow++)
        p->flows[flow].upstream = end_close(p, p->flows[flow].upstream);
    for (unsigned port = 0; port < N_PORTS; port++)
        p->listeners[port] = end_close(p, p->listeners[port]);
}

static void print(const struct proxy *p)
{
    printf("{");
    print_way("to_target", p->to_target);
    print_way("to_client", p->to_client);
    printf("\"flows\": %u, \"rebound\": %llu, \"strays\": %llu, \"failed\": %llu, "
           "\"kernel_dropped\": %llu}\n",
           p->n_flows, (unsigned long long)p->rebound, (unsigned long long)p->strays,
           (unsigned long long)p->failed, (unsigned long long)p->kernel_dropped);
}

/* Signals are let through only while it waits, so that none is missed. */
static void block_signals(sigset_t *unblocked)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < 3; i++) {
        sigaction(numbers[i], &(struct sigaction){.sa_handler = end}, NULL);
        sigaddset(&blocked, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, unblocked);
}

int main(int argc, char **argv)
{
    static struct proxy p;
    sigset_t unblocked;
    struct rlimit limit;
    parse_options(&p, argc, argv);
    block_signals(&unblocked);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    uint8_t *buffers = malloc((size_t)BATCH * BUFFER_BYTES);
    p.flows = calloc(MAX_FLOWS, sizeof *p.flows);
    p.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (buffers == NULL || p.flows == NULL || p.epoll < 0)
        fail("proxy");
    prepare_buffers(&p, buffers);
    p.to_target = impair_new(&p.impair, out_to_target, &p);
    p.impair.seed = ~p.impair.seed;
    p.to_client = impair_new(&p.impair, out_to_client, &p);
    open_listeners(&p);
    while (!is_ended)
        wait_and_forward(&p, &unblocked);
    close_all(&p);
    print(&p);
    impair_free(p.to_target);
    impair_free(p.to_client);
    free(p.flows);
    free(buffers);
    close(p.epoll);
    return 0;
}
