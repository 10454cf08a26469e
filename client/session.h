/* SPDX-License-Identifier: MIT */
/*
 * What a struct msgd_session is made of: texts above, a two-way byte stream below. The stream is
 * UDP with a struct session (session_udp, the client's side), or a Unix stream to msgd
 * (session_stream, the server's side).
 */
#ifndef MSGD_CLIENT_SESSION_H
#define MSGD_CLIENT_SESSION_H

#include "client/failure.h"
#include "client/msgd.h"
#include "proto/address.h"
#include "proto/frame.h"
#include "proto/text_sequence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SESSION_ID_TEXT_MAX 33

/* The stream's side. None of these waits. */
struct session_stream {
    /* All the I/O that can be done now. 0, or a negative errno after client_session_fail. */
    int (*process)(struct msgd_session *s);
    /* How much write would take now. */
    size_t (*writable)(const struct msgd_session *s);
    /* Takes n bytes, at most writable. Returns how many: fewer if there was no memory. */
    size_t (*write)(struct msgd_session *s, const uint8_t *bytes, size_t n);
    /* What has come, in one piece; NULL: nothing. */
    const uint8_t *(*peek)(const struct msgd_session *s, size_t *n);
    void (*consume)(struct msgd_session *s, size_t n);
    /* Has the other side's stream ended, by itself, behind what was consumed? */
    bool (*is_at_end)(const struct msgd_session *s);
    /* Nothing more will be written. */
    void (*finish)(struct msgd_session *s);
    /* Both sides have finished, and everything is acknowledged. */
    bool (*is_done)(const struct msgd_session *s);
    /* The other side need not be answered any more. */
    bool (*is_over)(const struct msgd_session *s);
    /* Tells the other side, as far as that can be done now. */
    void (*abort)(struct msgd_session *s, const char *reason);
    void (*figures)(const struct msgd_session *s, struct msgd_session_figures *out);
    /* Lets go of everything, and frees s. */
    void (*free)(struct msgd_session *s);
};

/* The first member of both kinds. */
struct msgd_session {
    const struct session_stream *stream;
    enum msgd_session_state state;
    int epoll; /* what msgd_session_fd gives */
    int wake;  /* of that: an eventfd, see client_session_show */
    bool is_awake;
    bool awaits_text; /* the last read found none */
    bool awaits_room; /* the last write found none */
    pid_t process;
    int error; /* what it has failed with */
    struct failure failure;
    char reason[FRAME_REASON_MAX + 1];
    char id[SESSION_ID_TEXT_MAX];
    char peer[ADDRESS_TEXT_MAX];
    char *identity; /* owned; NULL: none */

    struct sequence_reader reader;
    size_t shown;         /* bytes of the stream that the text given out last lies in */
    size_t n_unprocessed; /* consumed since the stream was last processed */
    bool has_read_all;    /* the end has been read */

    uint8_t *rest; /* stream bytes of a text that did not fit; owned */
    size_t n_rest;
    size_t rest_at;
    bool is_finishing; /* behind the rest */
    bool has_finished; /* the stream has been told */
};

/* Begins; the descriptor is closed by client_session_deinit. 0 or -errno. */
int client_session_init(struct msgd_session *s, const struct session_stream *stream, bool has_marks)
    __attribute__((warn_unused_result));
void client_session_deinit(struct msgd_session *s);

/* Adds fd to what msgd_session_fd watches; events as for epoll_ctl(2). 0 or -errno. */
int client_session_watch(struct msgd_session *s, int fd, uint32_t events)
    __attribute__((warn_unused_result));

/* It has failed: notes what the calls to come return, once. reason: a token. Returns error. */
int client_session_fail(struct msgd_session *s, int error, const char *reason, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/* The same for what the machine or msgd gives as the reason: "idle", "closed by peer: busy"... */
int client_session_fail_for(struct msgd_session *s, const char *reason);

/* As far as it goes without waiting. 0, or what it has failed with. */
int client_session_advance(struct msgd_session *s) __attribute__((warn_unused_result));

/* Is no earlier text in the way of the next? While connecting, one is held. */
bool client_session_has_room(const struct msgd_session *s);

/*
 * At the end of each call: makes the descriptor readable while there is what the last read or write
 * did not find. Any call takes in what has arrived, and nothing else tells of that again.
 */
void client_session_show(struct msgd_session *s);

/* Waits until something may have changed. 0, -EAGAIN (the deadline), -EINTR. */
int client_session_wait(struct msgd_session *s, int64_t deadline)
    __attribute__((warn_unused_result));

/* Keeps what failed for msgd_session_error(NULL) and msgd_session_reason(NULL) of this thread. */
void client_session_keep_failure(const struct failure *failure, const char *reason);

#endif
