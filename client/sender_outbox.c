/* SPDX-License-Identifier: MIT */
/* What is due leaves, by the train where messages are of one length; and what the kernel says of
 * it. */
#include "client/sender.h"

#include <errno.h>
#include <stdlib.h>

bool sender_is_blocked(const struct msgd_sender *s)
{
    return s->outbox_at < s->n_outbox;
}

/* n of the outbox are sent, or given up. */
static void advance_outbox(struct msgd_sender *s, uint32_t n)
{
    for (; n > 0; n--) {
        struct sender_message *m = s->outbox[s->outbox_at++];
        m->is_in_outbox = false;
        if (m->is_over)
            free(m);
    }
    if (s->outbox_at == s->n_outbox)
        s->outbox_at = s->n_outbox = 0;
}

static bool is_nobody(int error)
{
    return error == -ECONNREFUSED || error == -EPERM || error == -EACCES;
}

static bool is_of_the_address(int error)
{
    return is_nobody(error) || error == -ENETUNREACH || error == -EHOSTUNREACH ||
           error == -EADDRNOTAVAIL || error == -ENETDOWN;
}

/* The kernel says that nobody is there: another address gets everything, or it ends here. What may
 * pass (a route that is gone) is as good as loss. */
void sender_take_error(struct msgd_sender *s, int error)
{
    s->error = error;
    if (is_of_the_address(error) && sender_socket_advance(&s->socket)) {
        advance_outbox(s, s->n_outbox - s->outbox_at);
        resend_begin_again(s->resend);
        sender_watch(s);
    } else if (is_nobody(error)) {
        advance_outbox(s, s->n_outbox - s->outbox_at);
        resend_unreachable(s->resend);
    }
}

/* The first of those to be sent did not leave, n of them being a train. False: there is no room in
 * the kernel at present. */
static bool take_send_error(struct msgd_sender *s, int error, uint32_t n)
{
    static const struct resend_refusal too_large = {"too_large", 9, false};
    if (error == -EAGAIN)
        return false;
    if (n > 1 && udp_segment_is_refused(error)) {
        s->socket.is_single = true;
    } else if (error == -EMSGSIZE) {
        resend_nack(s->resend, sender_now(), s->outbox[s->outbox_at]->number, 1, &too_large);
        advance_outbox(s, 1);
    } else if (is_of_the_address(error)) {
        sender_take_error(s, error);
        /* Said of this one, or of an earlier one: what was to go now goes again in its time. */
        advance_outbox(s, s->n_outbox - s->outbox_at);
    } else {
        s->error = error; /* ENOBUFS and the like: as good as lost */
        advance_outbox(s, n);
    }
    return true;
}

/* ---- Sending ---- */

/* How many datagrams of the outbox, from `first` on, are one train. */
static uint32_t train_length(const struct msgd_sender *s, uint32_t first)
{
    struct sender_message *const *m = &s->outbox[first];
    size_t segment = m[0]->length, total = segment;
    uint32_t n = 1, most = s->n_outbox - first;
    if (s->socket.is_single || segment > s->socket.path_bytes)
        return 1;
    if (most > UDP_SEGMENTS_MAX)
        most = UDP_SEGMENTS_MAX;
    /* A shorter one ends it. */
    while (n < most && m[n - 1]->length == segment && m[n]->length <= segment &&
           total + m[n]->length <= UDP_DATAGRAM_MAX)
        total += m[n++]->length;
    return n;
}

/* Datagrams that leave as one. */
struct train {
    uint32_t n;
    struct udp_segment control;
};

/* From `first` on: the train, with the parts of its datagrams. */
static void couple(const struct msgd_sender *s, uint32_t first, struct train *t, struct msghdr *h,
                   struct iovec *parts)
{
    t->n = train_length(s, first);
    *h = (struct msghdr){.msg_iov = parts, .msg_iovlen = t->n};
    for (uint32_t i = 0; i < t->n; i++)
        parts[i] = (struct iovec){s->outbox[first + i]->datagram, s->outbox[first + i]->length};
    if (t->n > 1)
        udp_segment_set(h, &t->control, parts->iov_len);
}

/* Sends the outbox. False: the kernel has no room for all of it. */
static bool flush(struct msgd_sender *s)
{
    struct mmsghdr headers[SENDER_BATCH];
    struct train trains[SENDER_BATCH];
    struct iovec parts[SENDER_BATCH];
    while (sender_is_blocked(s)) {
        unsigned n = 0;
        for (uint32_t at = s->outbox_at; at < s->n_outbox; at += trains[n++].n)
            couple(s, at, &trains[n], &headers[n].msg_hdr, &parts[at]);
        int sent = sender_socket_send(&s->socket, headers, n);
        for (int i = 0; i < sent; i++)
            advance_outbox(s, trains[i].n);
        if (sent < 0 && !take_send_error(s, sent, trains[0].n))
            return false;
    }
    return true;
}

/* Moves the next messages that are due into the outbox. False: none is. */
static bool fill(struct msgd_sender *s)
{
    struct resend_sending sending;
    uint64_t now_ns = sender_now();
    while (s->n_outbox < SENDER_BATCH && resend_next(s->resend, now_ns, &sending)) {
        struct sender_message *m = sending.context;
        m->is_in_outbox = true;
        s->outbox[s->n_outbox++] = m;
    }
    return s->n_outbox > 0;
}

void sender_send_due(struct msgd_sender *s)
{
    s->n_put = 0;
    while (flush(s) && fill(s))
        continue;
}
