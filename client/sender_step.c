/* SPDX-License-Identifier: MIT */
/* One step of a sender: answers in, what is due out, what is decided to the list of results. */
#include "client/sender.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

/* Reads in one step: answers that keep coming must not keep the program from its results. */
#define READS_MAX 16

uint64_t sender_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void sender_list_add(struct sender_list *list, struct sender_message *m)
{
    m->next = NULL;
    if (list->last != NULL)
        list->last->next = m;
    else
        list->first = m;
    list->last = m;
}

void sender_message_free(struct sender_message *m)
{
    free(m->reply);
    m->reply = NULL;
    m->is_over = true;
    if (!m->is_in_outbox)
        free(m);
}

/* ---- In ---- */

/* The number of the message that an answer is to, 0: none of ours. */
static uint64_t number_of(const struct msgd_sender *s, const struct frame *f)
{
    if (!f->id.is_numbered)
        return sender_ids_find(&s->ids, f->id.text.bytes, f->id.text.n);
    return f->id.source == s->source ? f->id.number : 0;
}

/* The context of a message is not to be had from its number, so the reply waits until its fate is
 * collected, which is at once. */
static void take_reply(struct msgd_sender *s, uint64_t number, const struct frame *f)
{
    struct resend_fate fate;
    uint64_t now_ns = sender_now();
    uint8_t *copy = malloc(f->body.n > 0 ? f->body.n : 1);
    if (copy == NULL)
        return; /* it comes again when it is asked for again */
    if (f->body.n > 0)
        memcpy(copy, f->body.bytes, f->body.n);
    sender_collect(s);
    if (!resend_reply(s->resend, now_ns, number) || !resend_told(s->resend, now_ns, &fate)) {
        free(copy);
        return;
    }
    struct sender_message *m = fate.context;
    m->reply = copy;
    m->n_reply = f->body.n;
    sender_decided(s, &fate);
}

static enum resend_wish said_by(enum frame_wish wish)
{
    if (wish == FRAME_RECEIVED)
        return RESEND_RECEIVED;
    return wish == FRAME_RELEASED ? RESEND_WISH_RELEASED : RESEND_WISH_STORED;
}

static bool take_frame(struct msgd_sender *s, const struct frame *f)
{
    const struct resend_refusal refusal = {.reason = (const char *)f->reason.bytes,
                                           .n_reason = f->reason.n,
                                           .is_temporary = f->is_retry};
    bool is_answer = f->type == FRAME_ACK || f->type == FRAME_NACK || f->type == FRAME_REPLY;
    uint64_t number = is_answer ? number_of(s, f) : 0;
    uint64_t count = f->id.is_numbered ? f->count : 1;
    if (number == 0)
        return false;
    s->socket.is_settled = true;
    if (f->type == FRAME_ACK)
        resend_ack(s->resend, sender_now(), number, count, said_by(f->wish));
    else if (f->type == FRAME_NACK)
        resend_nack(s->resend, sender_now(), number, count, &refusal);
    else
        take_reply(s, number, f);
    return true;
}

/* msgd writes a checksum always: what has none was damaged, or is not from msgd. */
static void take_answer(struct msgd_sender *s, const uint8_t *bytes, size_t n)
{
    struct frame f;
    bool is_good = n > 0 && bytes[0] == FRAME_START && frame_parse(bytes, n, &f) == 0 &&
                   (f.members & FRAME_HAS_CRC) != 0 && take_frame(s, &f);
    s->n_answers++;
    s->n_ignored += !is_good;
}

static void receive(struct msgd_sender *s)
{
    int n = (int)SENDER_ANSWERS;
    for (int i = 0; i < READS_MAX && n == (int)SENDER_ANSWERS; i++) {
        n = sender_socket_receive(&s->socket);
        for (int k = 0; k < n; k++)
            take_answer(s, s->socket.parts[k].iov_base, s->socket.headers[k].msg_len);
        if (n < 0)
            sender_take_error(s, n);
    }
}

/* ---- What is decided ---- */

void sender_decided(struct msgd_sender *s, const struct resend_fate *fate)
{
    struct sender_message *m = fate->context;
    m->fate = *fate;
    m->is_done = true;
    if (fate->outcome == RESEND_UNREACHABLE || fate->outcome == RESEND_TIMED_OUT)
        m->error = s->error;
    if (m->n_id > 0)
        sender_ids_remove(&s->ids, m->id, m->n_id);
    sender_list_add(&s->done, m);
}

void sender_collect(struct msgd_sender *s)
{
    struct resend_fate fate;
    uint64_t now_ns = sender_now();
    while (resend_told(s->resend, now_ns, &fate))
        sender_decided(s, &fate);
}

void sender_step(struct msgd_sender *s)
{
    receive(s);
    sender_collect(s);
    sender_send_due(s);
    sender_collect(s);
}

/* ---- For an event loop ---- */

void sender_arm(struct msgd_sender *s)
{
    if (s->timer < 0)
        return;
    /* Results that are there, and messages that were put, wake the program at once. */
    uint64_t due_ns = s->done.first != NULL ? 1 : resend_deadline(s->resend);
    if (due_ns == s->armed_ns)
        return;
    s->armed_ns = due_ns;
    if (due_ns == 0)
        due_ns = 1;
    struct itimerspec when = {0};
    if (due_ns != RESEND_NEVER)
        when.it_value = (struct timespec){.tv_sec = (time_t)(due_ns / UINT64_C(1000000000)),
                                          .tv_nsec = (long)(due_ns % UINT64_C(1000000000))};
    timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &when, NULL);
}
