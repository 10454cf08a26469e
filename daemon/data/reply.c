/* SPDX-License-Identifier: MIT */
/* Sending from an endpoint: answers and sends, their limits, and the ring in which consumers leave
 * them. */
#include "daemon/data/link.h"
#include "daemon/data/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define RECORDS_PER_TURN (LINK_TURN_BYTES_MIN / 64) /* a record has 64 bytes at least */

/* ---- Sending ---- */

static struct endpoint_socket *socket_for(struct endpoint *e, const struct address *to)
{
    int family = to->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;

    for (unsigned i = 0; i < e->n_sockets; i++)
        if (e->sockets[i].family == family)
            return &e->sockets[i];
    return NULL;
}

static int send_from(struct endpoint_socket *s, const struct address *from,
                     const struct address *to, const struct iovec *payload)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
    struct sockaddr_storage name;
    struct iovec vector = *payload;
    struct msghdr h = {
        .msg_name = &name, .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control};

    h.msg_namelen = address_to_sockaddr(to, s->family, &name);
    if (h.msg_namelen == 0)
        return -EAFNOSUPPORT;
    if (from != NULL && !address_is_any(from) && !address_is_multicast(from) &&
        from->family == to->family)
        h.msg_controllen = source_control((struct cmsghdr *)(void *)control, from);
    if (h.msg_controllen == 0)
        h.msg_control = NULL;
    if (sendmsg(s->source.descriptor, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 0;
    if ((errno != EINVAL && errno != ENETUNREACH) || h.msg_control == NULL)
        return -errno;
    /* What was asked was a broadcast address: the interface's own answers. */
    h.msg_control = NULL;
    h.msg_controllen = 0;
    return sendmsg(s->source.descriptor, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : -errno;
}

/*
 * Design: an answer goes to nobody who would answer it, and to no prefix too often. A reply frame
 * is answered by nobody.
 */
static int check_reply(struct endpoint *e, const struct address *to, bool is_frame)
{
    struct worker *w = e->worker;

    if (to->port == 0 || address_is_broadcast(to) || address_is_multicast(to) ||
        (!is_frame && own_port_is(to))) {
        count(&w->replies_refused);
        return -EACCES;
    }
    if (!address_is_loopback(&e->settings.address) &&
        !reply_limit_take(&w->reply_limit, to, w->options.replies_per_source, uv_hrtime())) {
        count(&w->replies_limited);
        return -EAGAIN;
    }
    return 0;
}

int endpoint_send(struct endpoint *e, const struct address *from, const struct address *to,
                  const void *bytes, size_t n_bytes)
{
    struct endpoint_socket *s = socket_for(e, to);
    struct iovec payload = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n_bytes};

    if (s == NULL)
        return -EAFNOSUPPORT;
    return send_from(s, from != NULL && from->family != ADDRESS_NONE ? from : NULL, to, &payload);
}

/* ---- Answers of consumers ---- */

/* Sends a reply frame, and keeps it for a request that comes again. */
static int reply_to_request(struct endpoint *e, const struct answered *m,
                            const struct frame_slice *body)
{
    uint8_t datagram[RING_MAX_PAYLOAD];
    struct frame f = {.type = FRAME_REPLY, .members = FRAME_HAS_ID, .id = m->id, .body = *body};
    struct message_key key = {.endpoint = e->number, .id = &m->id};
    size_t n = frame_write(&f, datagram, sizeof(datagram));

    if (n == 0)
        return -EMSGSIZE;
    int rc = check_reply(e, &m->from, true);
    if (rc == 0)
        rc = endpoint_send(e, &m->to, &m->from, datagram, n);
    if (rc == 0)
        reply_cache_put(&e->worker->reply_cache, &key, datagram, (uint32_t)n);
    return rc;
}

int endpoint_reply(struct endpoint *e, const struct answered *m, const void *bytes, size_t n_bytes)
{
    if (m->type == MESSAGE_REPLY) {
        count(&e->worker->replies_refused);
        return -EACCES;
    }
    if (m->type == MESSAGE_REQUEST)
        return reply_to_request(e, m, &(struct frame_slice){bytes, n_bytes});
    int rc = check_reply(e, &m->from, false);
    return rc != 0 ? rc : endpoint_send(e, &m->to, &m->from, bytes, n_bytes);
}

void endpoint_reply_again(struct endpoint *e, const struct record *meta, const void *frame,
                          size_t n_bytes)
{
    struct address from, to;

    record_to(meta, &from);
    record_from(meta, &to);
    if (check_reply(e, &to, true) == 0)
        (void)!endpoint_send(e, &from, &to, frame, n_bytes);
}

/* ---- What consumers leave in their outgoing ring ---- */

static struct endpoint *endpoint_of_slot(const struct link *l, uint32_t slot)
{
    struct consumer *c = slot < l->lane.n_slots ? l->lane.slots[slot] : NULL;

    return c != NULL ? ((struct attachment *)c->owner)->endpoint : NULL;
}

static void answer(struct link *l, uint64_t position, const void *bytes, uint32_t n_bytes)
{
    struct record *r = position >= l->lane.released ? chunk_log_find(&l->lane.log, position) : NULL;
    struct endpoint *e = r != NULL ? endpoint_of_slot(l, r->slot) : NULL;

    if (e == NULL || !chunk_log_answer(&l->lane.log, position)) {
        count(&l->worker->replies_refused);
        return;
    }
    struct message_tag tag;
    struct answered m;
    record_tag(r, &tag);
    record_from(r, &m.from);
    record_to(r, &m.to);
    m.type = tag.type;
    frame_id_read(tag.id, tag.n_id, &m.id);
    (void)!endpoint_reply(e, &m, bytes, n_bytes); /* counted; UDP promises no more */
}

static void send_out(struct link *l, const struct outgoing_record *o, const void *bytes)
{
    struct endpoint *e = endpoint_of_slot(l, o->slot);
    struct record r = {.from_port = o->port};
    struct address to;

    if (e == NULL)
        return;
    memcpy(r.from_ip, o->ip, sizeof(r.from_ip));
    record_from(&r, &to);
    to.scope = o->scope;
    (void)!endpoint_send(e, NULL, &to, bytes, o->length);
}

/* Handles the record at `taken`. Its length in the ring, or 0: it cannot be. */
static uint32_t read_one(struct link *l, const struct ring_outgoing *ring, uint64_t left)
{
    uint8_t bytes[RING_MAX_PAYLOAD];
    struct outgoing_record o;
    uint32_t n = ring_outgoing_get(ring, l->lane.outgoing_taken, left, &o, bytes);

    if (n > 0 && o.kind == OUTGOING_REPLY)
        answer(l, o.position, bytes, o.length);
    else if (n > 0 && o.kind == OUTGOING_SEND)
        send_out(l, &o, bytes);
    return n;
}

/* Reads records up to `answers_end`, a bounded number. False: what the consumer wrote cannot be. */
static bool read_some(struct link *l, const struct ring_outgoing *ring)
{
    struct lane *lane = &l->lane;
    uint64_t end = l->answers_end;

    if (end < lane->outgoing_taken || end - lane->outgoing_taken > RING_OUTGOING_BYTES ||
        end % 64 != 0)
        return false;
    for (int i = 0; i < RECORDS_PER_TURN && lane->outgoing_taken < end; i++) {
        uint32_t n = read_one(l, ring, end - lane->outgoing_taken);
        if (n == 0)
            return false;
        lane->outgoing_taken += n;
    }
    atomic_store_explicit(&link_header(l)->outgoing_taken, lane->outgoing_taken,
                          memory_order_release);
    return true;
}

/* What has been released is collected once the answers to it have been read: however fast the
 * consumer writes, that comes. */
static void read_answers(struct link *l, const struct ring_outgoing *ring)
{
    if (l->lane.outgoing_taken == l->answers_end) {
        l->collectable = lane_read_released(&l->lane);
        l->answers_end = atomic_load_explicit(&ring->head, memory_order_acquire);
    }
    if (!read_some(l, ring)) {
        link_break(l, "its outgoing ring holds what cannot be");
        return;
    }
    if (l->lane.outgoing_taken == l->answers_end && lane_collect_to(&l->lane, l->collectable) != 0)
        link_break(l, l->lane.why_broken);
}

void link_read_outgoing(struct link *l)
{
    struct ring_outgoing *ring = l->outgoing.bytes;
    _Atomic uint32_t *wanted = &link_header(l)->doorbell_wanted;

    atomic_store_explicit(wanted, 0, memory_order_relaxed);
    read_answers(l, ring);
    if (l->state != LINK_OPEN)
        return;
    atomic_store_explicit(wanted, 1, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    /* More has come, or is left: others have their turn first. */
    if (atomic_load_explicit(&ring->head, memory_order_acquire) != l->lane.outgoing_taken)
        task_queue(l->worker, &l->answers);
}
