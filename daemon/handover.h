/* SPDX-License-Identifier: MIT */
/*
 * What an old msgd and its successor say to each other, over a pair of Unix sockets that keep
 * messages apart. The successor finds its end in the environment (HANDOVER_VARIABLE).
 *
 *     old                                       successor
 *     versions, as text          ->
 *                                <-             checked and its pid, or no and why
 *     (stops reading, closes the database)
 *     descriptors, some at a time ->
 *     go and its pid             ->
 *                                <-             ready and its version, or no and why
 *
 * Whoever is not answered sees the end of the other's socket. An old msgd that is to take over
 * itself says all of its part at once and executes itself.
 */
#ifndef MSGD_DAEMON_HANDOVER_H
#define MSGD_DAEMON_HANDOVER_H

#include "daemon/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The number of the descriptor; behind it HANDOVER_AGAIN where a msgd is its own successor. */
#define HANDOVER_VARIABLE "MSGD_HANDOVER"
#define HANDOVER_AGAIN    " again"
#define HANDOVER_TEXT_MAX 512
#define HANDOVER_BATCH    64

enum handover_word {
    HANDOVER_VERSIONS = 'v', /* text: layouts_text */
    HANDOVER_CHECKED = 'c',  /* nothing speaks against it; text: the pid that is going to serve */
    HANDOVER_LISTENER = 'l', /* one descriptor; text "own": its file is msgd's to remove */
    HANDOVER_DESCRIPTORS = 'd', /* of the stash */
    HANDOVER_GO = 'g',          /* text: the pid of the old one */
    HANDOVER_READY = 'r',       /* text: the version that serves now */
    HANDOVER_NO = 'n',          /* text: why */
};

struct handover_message {
    enum handover_word word;
    char text[HANDOVER_TEXT_MAX]; /* one line, cut where it is longer */
    int fds[HANDOVER_BATCH];      /* n_fds of them, the receiver's */
    size_t n_fds;
};

/* Sends without waiting for the other side to read. 0 or -errno: -EPIPE, nobody is there. */
int handover_send(int fd, enum handover_word word, const char *text) MUST_USE;
int handover_send_descriptors(int fd, enum handover_word word, const char *text, const int *fds,
                              size_t n) MUST_USE;
/* Waits for a message, timeout_ms at most (0: not at all, -1: for ever). 0; -EPIPE: the other side
 * has gone; -ETIMEDOUT; -EBADMSG; -errno. */
int handover_receive(int fd, int timeout_ms, struct handover_message *out) MUST_USE;

/*
 * systemd listens to the main process alone, and watches over it where it is its own child at this
 * moment. So the successor is made the main process before it has anything to say; it makes the old
 * one that again when it serves, and is told for good when it is nobody else's child any more.
 * Heard when this returns.
 */
void handover_tell_main(pid_t pid);

/* The layouts of what is handed over, each with its version: "stash 1, ...". */
const char *layouts_text(void);

#endif
