/* SPDX-License-Identifier: MIT */
/* The datagrams of a session: in batches, in runs of one length where they go out. */
#include "daemon/data/carrier.h"

#include "daemon/data/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define BATCHES_PER_TURN 4
#define BYTES_PER_TURN   (256u * 1024u)
#define SEGMENTS_MAX     64u    /* UDP_MAX_SEGMENTS of older kernels */
#define RUN_BYTES_MAX    65000u /* with headers it has to fit into one packet */

/* ---- One ---- */

static int descriptor_of(const struct carrier *c)
{
    int family = c->claim.client.family == ADDRESS_IPV4 ? AF_INET : AF_INET6;

    for (unsigned i = 0; c->udp < 0 && i < c->endpoint->n_sockets; i++)
        if (c->endpoint->sockets[i].family == family)
            return c->endpoint->sockets[i].source.descriptor;
    return c->udp;
}

static size_t put_segment(struct cmsghdr *c, size_t segment)
{
    uint16_t size = (uint16_t)segment;

    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(size));
    memcpy(CMSG_DATA(c), &size, sizeof(size));
    return CMSG_SPACE(sizeof(size));
}

/* segment 0: it is one datagram. 0 or -errno. */
static int send_bytes(const struct carrier *c, const struct address *to, const uint8_t *bytes,
                      size_t n, size_t segment)
{
    _Alignas(struct cmsghdr)
        uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))] = {
            0};
    struct sockaddr_storage name;
    struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    struct msghdr h = {
        .msg_name = &name, .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control};
    int family = to->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
    size_t n_control = 0;

    h.msg_namelen = address_to_sockaddr(to, family, &name);
    if (c->udp < 0)
        n_control = source_control((struct cmsghdr *)(void *)control, &c->claim.server);
    if (segment > 0)
        n_control += put_segment((struct cmsghdr *)(void *)(control + n_control), segment);
    h.msg_controllen = n_control;
    if (n_control == 0)
        h.msg_control = NULL;
    return sendmsg(descriptor_of(c), &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : -errno;
}

/* ---- In ---- */

/* At most one short datagram for one that came, and not too often. */
static void answer_stray(struct carrier *c, const struct arrival *a, const struct frame *f)
{
    struct worker *w = c->worker;
    uint8_t bytes[512];
    struct frame answer;
    struct address to;

    record_from(&a->meta, &to);
    if (!sessions_stray(w, f, &answer) || to.port == 0)
        return;
    size_t n = frame_write(&answer, bytes, sizeof(bytes));
    if (n == 0 || n > a->n_bytes)
        count(&w->answers_suppressed);
    else if (!reply_limit_take(&w->answer_limit, &to, w->options.answers_per_source, uv_hrtime()))
        count(&w->answers_limited);
    else
        (void)!send_bytes(c, &to, bytes, n, 0);
}

static void on_datagram(void *context, const struct arrival *a)
{
    struct carrier *c = context;
    struct frame f;

    count(&c->worker->sessions->counts.datagrams_received);
    if (a->n_bytes == 0 || a->bytes[0] != FRAME_START || a->is_truncated ||
        frame_parse(a->bytes, a->n_bytes, &f) != 0 || !(f.members & FRAME_HAS_SESSION))
        return;
    if (memcmp(f.session, c->id, sizeof(c->id)) == 0)
        carrier_take(c, a, &f);
    else
        answer_stray(c, a, &f);
}

void carrier_read_datagrams(struct carrier *c)
{
    for (int i = 0; i < BATCHES_PER_TURN && c->udp >= 0; i++) {
        int n = receive_batch_read(c->worker->batch, c->udp, on_datagram, c);
        if (n < RECEIVE_BATCH_DATAGRAMS)
            break;
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct carrier *c = poll->data;

    if (status < 0) {
        int error = 0;
        socklen_t length = sizeof(error);
        (void)!getsockopt(c->udp, SOL_SOCKET, SO_ERROR, &error, &length);
        if (worker_watch(c->worker, poll, UV_READABLE, on_readable) != 0)
            carrier_kill(c, "its socket failed");
    }
    if (c->state == CARRIER_CLOSING)
        return;
    carrier_read_datagrams(c);
    if (events & UV_WRITABLE) {
        c->is_udp_full = false;
        if (worker_watch(c->worker, poll, UV_READABLE, on_readable) != 0)
            carrier_kill(c, "its socket failed");
        carrier_touch(c);
    }
    worker_flush(c->worker);
}

int carrier_watch_udp(struct carrier *c)
{
    int r;

    if (c->udp < 0)
        return 0;
    r = uv_poll_init(&c->worker->loop, &c->udp_poll, c->udp);
    if (r < 0)
        return r;
    c->udp_poll.data = c;
    c->n_handles++;
    return worker_watch(c->worker, &c->udp_poll, UV_READABLE, on_readable);
}

/* ---- Out ---- */

/* Datagrams of one length to one destination, but for the last, which may be shorter. */
struct run {
    uint8_t *bytes;
    size_t n_bytes;
    size_t segment;
    size_t n_segments;
    struct address to;
    bool is_closed; /* by a shorter one */
};

/* The kernel takes no more: the rest of this run is as good as lost, and will be sent again. */
static void wait_for_room(struct carrier *c)
{
    if (c->udp < 0 || c->udp_poll.data == NULL)
        return; /* the endpoint's socket is not watched for writing */
    if (worker_watch(c->worker, &c->udp_poll, UV_READABLE | UV_WRITABLE, on_readable) == 0)
        c->is_udp_full = true;
}

static void handle(struct carrier *c, int error, size_t n)
{
    if (error == -EMSGSIZE)
        session_too_large(c->session, session_now_ns(), n);
    else if (error == -EAGAIN || error == -ENOBUFS)
        wait_for_room(c);
}

static void send_one_by_one(struct carrier *c, const struct run *run)
{
    for (size_t at = 0; at < run->n_bytes && !c->is_udp_full; at += run->segment) {
        size_t left = run->n_bytes - at;
        size_t n = left < run->segment ? left : run->segment;
        int r = send_bytes(c, &run->to, run->bytes + at, n, 0);
        if (r < 0)
            handle(c, r, n);
    }
}

static void send_run(struct carrier *c, struct run *run)
{
    int r = -EINVAL;

    if (run->n_segments == 0)
        return;
    if (run->n_segments > 1)
        r = send_bytes(c, &run->to, run->bytes, run->n_bytes, run->segment);
    if (r == -EAGAIN || r == -ENOBUFS)
        wait_for_room(c);
    else if (r < 0)
        send_one_by_one(c, run); /* also where the way there does not segment */
    atomic_fetch_add_explicit(&c->worker->sessions->counts.datagrams_sent, run->n_segments,
                              memory_order_relaxed);
    run->n_bytes = run->n_segments = 0;
    run->is_closed = false;
}

static bool fits(const struct run *run, size_t n, const struct address *to)
{
    return run->n_segments > 0 && run->n_segments < SEGMENTS_MAX && !run->is_closed &&
           n <= run->segment && run->n_bytes + n <= RUN_BYTES_MAX && address_equal(&run->to, to);
}

/* Takes the datagram of n bytes that lies behind the run. */
static void add(struct carrier *c, struct run *run, size_t n, const struct address *to)
{
    if (run->n_segments > 0 && !fits(run, n, to)) {
        uint8_t *datagram = run->bytes + run->n_bytes;
        send_run(c, run);
        memmove(run->bytes, datagram, n);
    }
    if (run->n_segments == 0) {
        run->segment = n;
        run->to = *to;
    }
    run->is_closed = n < run->segment;
    run->n_bytes += n;
    run->n_segments++;
}

void carrier_send(struct carrier *c)
{
    struct run run = {.bytes = c->worker->sessions->run};
    uint64_t now_ns = session_now_ns();
    size_t n_sent = 0;

    while (!c->is_udp_full) {
        struct address to;
        size_t n =
            session_send(c->session, now_ns, run.bytes + run.n_bytes, SESSION_DATAGRAM_MAX, &to);
        if (n == 0)
            break;
        add(c, &run, n, &to);
        n_sent += n;
        if (n_sent >= BYTES_PER_TURN) {
            carrier_touch(c); /* the others have their turn first */
            break;
        }
    }
    send_run(c, &run);
}
