/* SPDX-License-Identifier: MIT */
/* The data path: batches from a socket, each datagram checked, counted, filed. Nothing here
 * allocates, logs or blocks. */
#include "daemon/data/intake.h"

#include "daemon/data/evidence.h"
#include "daemon/data/framed.h"
#include "daemon/data/receive_times.h"
#include "daemon/data/shard.h"
#include "daemon/data/spooling.h"
#include "daemon/data/tap.h"
#include "daemon/data/vault.h"
#include "proto/datagram.h"
#include "proto/frame.h"
#include "proto/json_text.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BATCH_DATAGRAMS RECEIVE_BATCH_DATAGRAMS
#define BUFFER_BYTES    65536u
/* Buffers are an odd number of cache lines apart, so that their beginnings do not share a cache
 * set. */
#define BUFFER_STRIDE (BUFFER_BYTES + JSON_TEXT_SLACK + 7 * 64)
#define CONTROL_BYTES 128 /* the kernel's, and a time: 96 at most */
/* Of trains, 64 KiB each at most, a read takes fewer: what it copies is to stay in the cache. */
#define BATCH_TRAINS      16
#define TRAIN_DATAGRAMS   8 /* on average, at least */
#define ROW_PACKETS       8 /* as many are validated at once, at most */
#define BATCHES_PER_TURN  16
#define BATCHES_PER_DRAIN 4096
/* Read from one socket or many: then consumers hear of it, else at the end of the turn. */
#define FLUSH_DATAGRAMS        256
#define DROPS_READ_INTERVAL_MS 60000

#define UNREAD UINT32_MAX /* a length that the kernel has not written */

/* Lies in memory that outlives the process, as the kernel has filled it. */
struct receive_batch {
    struct batch_head head;
    struct mmsghdr messages[BATCH_DATAGRAMS];
    struct iovec vectors[BATCH_DATAGRAMS];
    struct sockaddr_storage names[BATCH_DATAGRAMS];
    _Alignas(struct cmsghdr) uint8_t control[BATCH_DATAGRAMS][CONTROL_BYTES];
    _Alignas(64) uint8_t buffers[BATCH_DATAGRAMS][BUFFER_STRIDE];
};

size_t receive_batch_bytes(void)
{
    return sizeof(struct receive_batch);
}

/* Points a header to what belongs to it. */
static void aim(struct receive_batch *b, size_t i, struct msghdr *h, struct iovec *vector)
{
    *vector = (struct iovec){.iov_base = b->buffers[i], .iov_len = BUFFER_BYTES};
    h->msg_name = &b->names[i];
    h->msg_iov = vector;
    h->msg_iovlen = 1;
    h->msg_control = b->control[i];
}

/* Ready to be read into again. */
static void rearm(struct receive_batch *b, int n)
{
    for (int i = 0; i < n; i++) {
        b->messages[i].msg_len = UNREAD;
        b->messages[i].msg_hdr.msg_namelen = sizeof(b->names[i]);
        b->messages[i].msg_hdr.msg_controllen = CONTROL_BYTES;
    }
}

struct receive_batch *receive_batch_init(void *memory)
{
    struct receive_batch *b = memory;

    for (size_t i = 0; i < BATCH_DATAGRAMS; i++)
        aim(b, i, &b->messages[i].msg_hdr, &b->vectors[i]);
    rearm(b, BATCH_DATAGRAMS);
    return b;
}

struct end_intent *receive_batch_intent(struct receive_batch *b)
{
    return &b->head.intent;
}

/* ---- One datagram ---- */

static bool is_allowed(const struct settings *s, const uint8_t ip[16])
{
    for (size_t i = 0; i < s->n_allow; i++)
        if (network_contains(&s->allow[i], ip))
            return true;
    return false;
}

/* In the order of docs/protocol.md, "Order of the checks". MESSAGE_KEPT: nothing is wrong with it.
 */
static int check(const struct endpoint *e, const struct arrival *a, bool is_allowed_source)
{
    const struct settings *s = &e->settings;

    if (!is_allowed_source)
        return DROP_NOT_ALLOWED;
    if (a->is_truncated)
        return DROP_TRUNCATED;
    if (a->n_bytes > s->max_message_bytes)
        return DROP_TOO_LARGE;
    if (s->format == FORMAT_RAW || a->is_valid_text)
        return MESSAGE_KEPT;
    switch (datagram_classify(a->bytes, a->n_bytes)) {
    case DATAGRAM_PLAIN:
        return json_text_is_valid_padded(a->bytes, a->n_bytes) ? MESSAGE_KEPT : DROP_INVALID_JSON;
    case DATAGRAM_FRAMED: /* a datagram is not here: framed_datagram */
    case DATAGRAM_COMPACT:
        return DROP_UNSUPPORTED;
    case DATAGRAM_UNKNOWN:
        break;
    }
    return DROP_INVALID_JSON;
}

static bool is_evidence(int reason)
{
    return reason == DROP_TRUNCATED || reason == DROP_TOO_LARGE || reason == DROP_UNSUPPORTED ||
           reason == DROP_MALFORMED_FRAME || reason == DROP_INVALID_JSON;
}

int intake_file(struct endpoint *e, struct filing *f)
{
    if (e->is_removed)
        return (int)e->removal.reason;
    int outcome = mailbox_put(&e->mailbox, f);
    if (e->spooling != NULL && outcome == MESSAGE_KEPT)
        spooling_note(e);
    if (outcome == MESSAGE_KEPT && e->taps != NULL)
        taps_copy(e, f);
    return outcome;
}

int intake_count(struct endpoint *e, const struct arrival *a, int outcome)
{
    if (outcome == MESSAGE_KEPT)
        return outcome;
    e->ledger->dropped[outcome]++;
    if (is_evidence(outcome) && !a->is_kept)
        evidence_put(e, (enum drop_reason)outcome, a);
    return outcome;
}

static bool is_framed(const struct endpoint *e, const struct arrival *a)
{
    return e->settings.format == FORMAT_JSON && !a->is_truncated && a->n_bytes > 0 &&
           *a->bytes == FRAME_START && !a->is_message;
}

int intake_datagram(struct endpoint *e, const struct arrival *a)
{
    const struct settings *s = &e->settings;
    bool is_allowed_source = s->n_allow == 0 || is_allowed(s, a->meta.from_ip);

    if (is_framed(e, a))
        return framed_datagram(e, a, is_allowed_source);
    int outcome = check(e, a, is_allowed_source);
    e->ledger->received++;
    DURABLE_STEP();
    sources_count(&e->sources, a->meta.from_ip, 1);
    if (outcome == MESSAGE_KEPT) {
        struct filing filing = {
            .meta = &a->meta,
            .kind = RECORD_MESSAGE,
            .content = {.payload = a->bytes, .n_payload = (uint32_t)a->n_bytes}};
        outcome = intake_file(e, &filing);
    }
    return intake_count(e, a, outcome);
}

/* ---- One packet: a datagram, or several of one size that the kernel has put together ---- */

static void set_ipv4(uint8_t ip[16], const struct in_addr *a)
{
    memset(ip, 0, 10);
    ip[10] = ip[11] = 0xff;
    memcpy(ip + 12, a, 4);
}

static void read_source(struct record *meta, const struct sockaddr_storage *name)
{
    if (name->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)name;
        set_ipv4(meta->from_ip, &in->sin_addr);
        meta->from_port = ntohs(in->sin_port);
    } else {
        const struct sockaddr_in6 *in6 = (const void *)name;
        memcpy(meta->from_ip, &in6->sin6_addr, 16);
        meta->from_port = ntohs(in6->sin6_port);
        meta->scope = in6->sin6_scope_id;
    }
}

static void read_packet_info(struct record *meta, const struct cmsghdr *c)
{
    if (c->cmsg_level == IPPROTO_IP) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof(info));
        set_ipv4(meta->to_ip, &info.ipi_addr);
        if (IN_MULTICAST(ntohl(info.ipi_addr.s_addr)))
            meta->scope = (uint32_t)info.ipi_ifindex;
    } else {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof(info));
        memcpy(meta->to_ip, &info.ipi6_addr, 16);
        if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr) || IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
            meta->scope = info.ipi6_ifindex;
    }
}

/* Fills meta; returns the size of the datagrams that were put together, 0 if it is one. */
static size_t read_control(struct record *meta, struct msghdr *h)
{
    size_t segment = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (receive_times_told(c, &meta->time_ns))
            continue;
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)) {
            read_packet_info(meta, c);
        } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof(size));
            segment = size > 0 ? (size_t)size : 0;
        }
    }
    return segment;
}

/* One that has been read. */
struct packet {
    struct mmsghdr *m;
    int64_t time_ns;    /* if the kernel has not told it */
    bool is_valid_text; /* if it is one datagram */
};

/*
 * The first datagram of a packet, whose length is not said yet. to: where its socket is bound, or
 * NULL; the kernel says more where that is not one address. Returns the length of each but the
 * last.
 */
static inline size_t arrival_begin(struct arrival *a, const struct packet *p,
                                   const struct address *to)
{
    struct mmsghdr *m = p->m;

    *a = (struct arrival){.meta = {.time_ns = p->time_ns, .to_port = to != NULL ? to->port : 0},
                          .bytes = m->msg_hdr.msg_iov->iov_base,
                          .is_truncated = (m->msg_hdr.msg_flags & MSG_TRUNC) != 0};
    if (to != NULL)
        memcpy(a->meta.to_ip, to->ip, sizeof(a->meta.to_ip));
    read_source(&a->meta, m->msg_hdr.msg_name);
    size_t segment = read_control(&a->meta, &m->msg_hdr);
    return segment == 0 || segment > m->msg_len ? m->msg_len : segment;
}

/* How many of the next datagrams are valid, as far as that is found out for several at once. */
static size_t count_valid(const struct endpoint *e, const uint8_t *bytes, size_t left,
                          size_t segment)
{
    return left > segment && e->settings.format == FORMAT_JSON
               ? json_text_count_valid(
                     &(struct json_texts){bytes, segment, segment, left / segment})
               : 0;
}

static void begin_train(struct endpoint *e, size_t n_bytes, size_t segment)
{
    size_t n = (n_bytes + segment - 1) / segment;

    e->has_seen_gro = true;
    /* As one message it has been paid for. */
    mailbox_prepay(&e->mailbox,
                   n * record_bytes((uint32_t)segment) - record_bytes((uint32_t)n_bytes));
}

static void intake_packet(struct endpoint *e, const struct packet *p)
{
    struct arrival a;
    size_t segment = arrival_begin(&a, p, &e->settings.address);
    size_t left = p->m->msg_len, n_valid = p->is_valid_text && segment == left;

    if (segment < left)
        begin_train(e, left, segment);
    do {
        if (n_valid == 0)
            n_valid = count_valid(e, a.bytes, left, segment);
        a.is_valid_text = n_valid > 0;
        n_valid -= a.is_valid_text;
        a.n_bytes = left < segment ? left : segment;
        e->ledger->datagrams++;
        (void)!intake_datagram(e, &a);
        a.bytes += a.n_bytes;
        left -= a.n_bytes;
    } while (left > 0);
}

/* How many of the first of n packets are valid, if each is one datagram: as count_valid. */
static size_t count_valid_packets(const struct endpoint *e, const struct mmsghdr *m, size_t n)
{
    size_t n_alike = 1;

    while (n_alike < n && n_alike < ROW_PACKETS && m[n_alike].msg_len == m->msg_len)
        n_alike++;
    return n_alike > 1 && e->settings.format == FORMAT_JSON
               ? json_text_count_valid(&(struct json_texts){m->msg_hdr.msg_iov->iov_base,
                                                            m->msg_len, BUFFER_STRIDE, n_alike})
               : 0;
}

static void prepay(struct endpoint *e, const struct mmsghdr *m, size_t n)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += record_bytes(m[i].msg_len);
    mailbox_prepay(&e->mailbox, bytes);
}

/* For who decides when to look again (core/coalesce.h). */
static void note_arrivals(struct worker *w, struct endpoint_socket *s, struct receive_batch *b,
                          uint32_t n, uint32_t n_datagrams)
{
    const struct endpoint *e = s->endpoint;
    struct arrivals *a = &w->arrivals;

    a->last_clock_ns = s->before_ns;
    a->n_packets += n;
    a->n_datagrams += n_datagrams;
    s->has_trains = n_datagrams >= n * TRAIN_DATAGRAMS;
    for (uint32_t i = 0; i < n; i++)
        a->n_bytes += b->messages[i].msg_len;
    if (a->room_bytes == 0 || a->room_bytes > e->receive_buffer_granted)
        a->room_bytes = e->receive_buffer_granted;
}

/* ---- Shards ---- */

/*
 * Was it sent to everybody? Of a multicast or broadcast every socket at the address gets one, so
 * that of all shards only the endpoint's own counts. Such a destination is not the local address
 * that the packet came by; where the kernel does not say it, it is one.
 */
static bool is_for_everybody(struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            return info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            return IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
        }
    }
    return false;
}

/* Where the ledger stands before it: a successor sees what of it has been filed. */
static void begin(struct receive_batch *b, const struct endpoint *e, enum batch_stage stage)
{
    struct batch_state *state = &b->head.state;

    state->number = e->number;
    state->received = e->ledger->received;
    state->datagrams = e->ledger->datagrams;
    DURABLE_STEP();
    state->stage = stage;
    DURABLE_STEP();
}

static void end(struct receive_batch *b)
{
    DURABLE_STEP();
    b->head.state.stage = BATCH_IDLE;
    DURABLE_STEP();
}

/* What one read has found, in buffers that lie one behind the other. */
struct packets {
    struct mmsghdr *m;
    uint32_t n;
    bool is_shard;
    struct spread times; /* of those with which the kernel has not told it */
};

static void intake_packets(struct endpoint *e, const struct packets *p)
{
    size_t n_valid = 0;

    prepay(e, p->m, p->n);
    for (uint32_t i = 0; i < p->n; i++) {
        struct packet packet = {&p->m[i], spread_at(&p->times, i), false};

        if (n_valid == 0)
            n_valid = count_valid_packets(e, packet.m, p->n - i);
        packet.is_valid_text = n_valid > 0;
        n_valid -= packet.is_valid_text;
        if (!p->is_shard || !is_for_everybody(&packet.m->msg_hdr))
            intake_packet(e, &packet);
    }
    mailbox_refund(&e->mailbox);
}

static void flush_if_due(struct worker *w)
{
    if (w->n_unflushed >= FLUSH_DATAGRAMS)
        worker_flush(w);
}

/* Often enough that 32 bits do not go round unseen. */
static void read_drops_if_due(struct endpoint *e)
{
    if (uv_now(&e->worker->loop) - e->drops_read_ms >= DROPS_READ_INTERVAL_MS)
        endpoint_read_drops(e);
}

/* Of trains, by their segments; nothing is read. */
static uint32_t count_datagrams(struct receive_batch *b, int n)
{
    uint32_t n_datagrams = 0;

    for (int i = 0; i < n; i++) {
        struct record unused;
        size_t segment = read_control(&unused, &b->messages[i].msg_hdr);
        n_datagrams += segment == 0 ? 1 : (uint32_t)(b->messages[i].msg_len / segment);
    }
    return n_datagrams;
}

int intake_fill(struct receive_batch *b, struct endpoint_socket *s)
{
    struct batch_state *state = &b->head.state;

    state->number = s->endpoint->number;
    DURABLE_STEP();
    state->stage = BATCH_AWAY;
    DURABLE_STEP();
    int n = recvmmsg(s->source.descriptor, b->messages, BATCH_DATAGRAMS, MSG_DONTWAIT, NULL);
    if (n > 0) {
        (void)receive_times_read(s, b->messages, (size_t)n);
        note_arrivals(s->shard->worker, s, b, (uint32_t)n, count_datagrams(b, n));
        return n;
    }
    int rc = n < 0 ? -errno : 0;
    end(b);
    return rc;
}

void intake_take(struct receive_batch *b, struct endpoint *e, int n)
{
    uint64_t before = e->ledger->datagrams;

    begin(b, e, BATCH_TAKEN);
    struct packets packets = {b->messages, (uint32_t)n, true,
                              receive_times_found(b->messages, (size_t)n)};
    intake_packets(e, &packets);
    end(b);
    rearm(b, n);
    e->worker->n_unflushed += (uint32_t)(e->ledger->datagrams - before);
    flush_if_due(e->worker);
    read_drops_if_due(e);
}

/* ---- A predecessor's packet ---- */

/* Goes on behind *n_done messages, which it counts down. Returns how many datagrams it was. */
static uint64_t resume_packet(struct endpoint *e, const struct packet *p, uint64_t *n_done)
{
    struct arrival a;
    size_t segment = arrival_begin(&a, p, &e->settings.address), left = p->m->msg_len;
    uint64_t n = 0;

    do {
        a.n_bytes = left < segment ? left : segment;
        uint64_t n_messages = is_framed(e, &a) ? framed_messages(&a) : 1;
        a.n_done = *n_done < n_messages ? *n_done : n_messages;
        *n_done -= a.n_done;
        if (a.n_done < n_messages)
            (void)!intake_datagram(e, &a);
        a.bytes += a.n_bytes;
        left -= a.n_bytes;
        n++;
    } while (left > 0);
    return n;
}

/* How many packets a predecessor has read; their pointers become this process's. */
static size_t find_packets(struct receive_batch *b)
{
    size_t n = 0;

    for (; n < BATCH_DATAGRAMS && b->messages[n].msg_len <= BUFFER_BYTES; n++)
        aim(b, n, &b->messages[n].msg_hdr, &b->vectors[n]);
    return n;
}

void intake_resume(struct receive_batch *b, struct endpoint *e, uint64_t n_done)
{
    uint64_t datagrams = b->head.state.datagrams;
    size_t n = find_packets(b);

    if (n > 0) {
        struct spread times = receive_times_found(b->messages, n);
        for (size_t i = 0; i < n; i++) {
            struct packet p = {&b->messages[i], times.last_ns, false};
            if (b->head.state.stage != BATCH_TAKEN || !is_for_everybody(&p.m->msg_hdr))
                datagrams += resume_packet(e, &p, &n_done);
        }
    }
    e->ledger->datagrams = datagrams;
    end(b);
}

void intake_resume_all(struct receive_batch *b, struct endpoint *e)
{
    begin(b, e, BATCH_TAKEN);
    intake_resume(b, e, 0);
}

/* ---- Batches ---- */

/* Returns how many packets were read, at most max, or -errno. */
static int read_batch(struct receive_batch *b, struct endpoint_socket *s, unsigned max)
{
    struct endpoint *e = s->endpoint;
    bool is_shard = s->shard != NULL;

    begin(b, e, is_shard ? BATCH_TAKEN : BATCH_IN_HAND);
    int n = recvmmsg(s->source.descriptor, b->messages, max, MSG_DONTWAIT, NULL);
    int rc = n < 0 ? -errno : n;
    if (n > 0) {
        struct packets packets = {b->messages, (uint32_t)n, is_shard,
                                  receive_times_read(s, b->messages, (size_t)n)};
        intake_packets(e, &packets);
    }
    uint32_t n_datagrams = (uint32_t)(e->ledger->datagrams - b->head.state.datagrams);
    e->worker->n_unflushed += n_datagrams;
    if (n > 0)
        note_arrivals(e->worker, s, b, (uint32_t)n, n_datagrams);
    end(b);
    rearm(b, n);
    return rc;
}

static void show_packet(struct mmsghdr *m, datagram_seen seen, void *context)
{
    struct arrival a;
    size_t segment = arrival_begin(&a, &(struct packet){.m = m}, NULL), left = m->msg_len;

    do {
        a.n_bytes = left < segment ? left : segment;
        seen(context, &a);
        a.bytes += a.n_bytes;
        left -= a.n_bytes;
    } while (left > 0);
}

int receive_batch_read(struct receive_batch *b, int descriptor, datagram_seen seen, void *context)
{
    int n = recvmmsg(descriptor, b->messages, BATCH_DATAGRAMS, MSG_DONTWAIT, NULL);

    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++)
        show_packet(&b->messages[i], seen, context);
    rearm(b, n);
    return n;
}

/* A batch that is not full has seen the end (recvmmsg(2) goes on until EAGAIN). */
static bool read_batches(struct receive_batch *b, struct endpoint_socket *s, unsigned max)
{
    struct endpoint *e = s->endpoint;
    bool is_empty = false;
    unsigned n_packets = 0;

    for (unsigned i = 0; i < max && !is_empty; i++) {
        int n_asked = s->has_trains ? BATCH_TRAINS : BATCH_DATAGRAMS;
        int n = read_batch(b, s, (unsigned)n_asked);
        n_packets += n > 0 ? (unsigned)n : 0;
        flush_if_due(e->worker);
        if (n == -ENOMEM)
            break;
        /* An error that the network left on the socket is cleared by being read. */
        is_empty = n == -EAGAIN || (n >= 0 && n < n_asked);
    }
    if (!is_empty)
        e->worker->arrivals.is_more = true;
    receive_times_turn(s, n_packets, is_empty);
    read_drops_if_due(e);
    return is_empty;
}

bool intake_read(struct receive_batch *b, struct endpoint_socket *s)
{
    return read_batches(b, s, BATCHES_PER_TURN);
}

void intake_drain(struct receive_batch *b, struct endpoint_socket *s)
{
    (void)!read_batches(b, s, BATCHES_PER_DRAIN);
}
