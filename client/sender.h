/* SPDX-License-Identifier: MIT */
/* What a struct msgd_sender is made of. */
#ifndef MSGD_CLIENT_SENDER_H
#define MSGD_CLIENT_SENDER_H

#include "client/failure.h"
#include "client/msgd.h"
#include "client/sender_ids.h"
#include "client/sender_socket.h"
#include "proto/frame.h"
#include "proto/resend.h"

#include <stdbool.h>
#include <sys/types.h>

/* A message from its put until its result is given back. */
struct sender_message {
    struct sender_message *next; /* of those that are decided, or given back */
    void *token;
    uint64_t number;
    bool is_in_outbox;
    bool is_done; /* fate is known */
    bool is_over; /* given back while it was in the outbox: freed with it */
    struct resend_fate fate;
    int error;      /* RESEND_UNREACHABLE, RESEND_TIMED_OUT: what the kernel said, or 0 */
    uint8_t *reply; /* owned */
    size_t n_reply;
    char id[FRAME_ID_MAX]; /* a text: n_id bytes; 0: its number is its id */
    size_t n_id;
    size_t length;
    uint8_t datagram[];
};

struct sender_list {
    struct sender_message *first, *last;
};

struct msgd_sender {
    pid_t pid; /* of the process that may use it */
    struct failure failure;
    struct sender_socket socket;
    struct resend *resend;
    struct sender_ids ids;
    uint64_t source;
    uint32_t max_unanswered;
    int timeout_ms;
    uint32_t n_held;          /* messages that were put and not fetched */
    uint32_t n_put;           /* since something was last sent */
    size_t last_length;       /* of the datagram that was put last */
    int error;                /* what the kernel said last, negative, or 0 */
    struct sender_list done;  /* decided, to be fetched */
    struct sender_list given; /* fetched: what they show is valid until the next call */
    struct sender_message
        *outbox[SENDER_BATCH]; /* to be sent now; from outbox_at on they were not */
    uint32_t n_outbox, outbox_at;
    uint64_t n_answers, n_ignored;
    int epoll, timer; /* for msgd_sender_fd; -1: not asked for yet */
    uint64_t armed_ns;
};

/* CLOCK_BOOTTIME: a message's time goes on while the machine sleeps. */
uint64_t sender_now(void);

/* Is this the process that opened it? 0 or -ESTALE. */
int sender_check_process(struct msgd_sender *s) __attribute__((warn_unused_result));
/* Can this be a message? 0, -EINVAL, -EMSGSIZE, -EEXIST, -ESTALE. */
int sender_check(struct msgd_sender *s, const struct msgd_send *message)
    __attribute__((warn_unused_result));
/* Puts what was checked. 0 and *out, -EAGAIN, -EMSGSIZE, -ENOMEM. */
int sender_put(struct msgd_sender *s, const struct msgd_send *message, struct sender_message **out)
    __attribute__((warn_unused_result));

/* Takes in answers, sends what is due and collects what is decided. */
void sender_step(struct msgd_sender *s);
/* Sends what is due, as far as the kernel has room. */
void sender_send_due(struct msgd_sender *s);
/* Is something of the outbox left, for want of room in the kernel? */
bool sender_is_blocked(const struct msgd_sender *s);
/* The kernel has said this of what was sent. */
void sender_take_error(struct msgd_sender *s, int error);

/* Moves what is decided to `done`. */
void sender_collect(struct msgd_sender *s);
/* This message's fate is known. */
void sender_decided(struct msgd_sender *s, const struct resend_fate *fate);
/* The socket is another: msgd_sender_fd is to watch it. */
void sender_watch(struct msgd_sender *s);

/* Frees a message, unless it is in the outbox: then with it. */
void sender_message_free(struct sender_message *m);
void sender_list_add(struct sender_list *list, struct sender_message *m);
void sender_list_free(struct sender_list *list);

/* After each call of the program: so that msgd_sender_fd wakes it in time. */
void sender_arm(struct msgd_sender *s);

#endif
