/* SPDX-License-Identifier: MIT */
/* One session that msgrecv serves: printed, or joined with a command. */
#ifndef MSGD_TOOLS_SERVED_H
#define MSGD_TOOLS_SERVED_H

#include "client/msgd.h"
#include "proto/json_writer.h"
#include "tools/command.h"
#include "tools/lines.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long a command may take to end after SIGTERM. */
#define SERVED_GRACE_MS 500

struct served {
    struct served *previous, *next; /* of all that are served */
    bool is_over;                   /* for the server, which frees it a little later */
    int epoll;                      /* the server's */
    struct msgd_session *s;         /* NULL once it has ended */
    char id[33];                    /* the session's */
    const char *name;               /* of the endpoint */
    bool has_envelope;
    bool is_terminal;
    bool is_finished;  /* the client has */
    bool has_finished; /* this side has */
    bool is_command;   /* what follows is for that */
    bool has_command;  /* until it has been waited for */
    struct command command;
    struct json_writer input; /* what it has not read yet */
    size_t input_at;
    struct lines output;
    bool has_line; /* one that the session had no room for */
    const uint8_t *line;
    size_t n_line;
    int64_t kill_ms; /* when it is killed; INT64_MAX */
};

/*
 * Begins to serve an accepted session, which it takes. command: NULL to print. epoll: gets all the
 * descriptors, with the struct served as data. 0 and *out; or -errno, and the session is aborted.
 */
int served_new(struct served **out, struct msgd_session *s, const struct msgd_offer *offer,
               const char *command, int epoll) __attribute__((warn_unused_result));

enum served_outcome {
    SERVED_GOES_ON,
    SERVED_OVER,     /* may be freed */
    SERVED_NO_PRINT, /* stdout is closed or broken: errno */
};

/* All that can be done now, without waiting for anything but stdout. */
enum served_outcome served_go_on(struct served *v, int64_t now_ms);

/* Ends it: the session is aborted, and the command asked to end. */
void served_end(struct served *v, const char *reason, int64_t now_ms);

/* Kills and waits for the command if there still is one. Returns NULL. */
struct served *served_free(struct served *v);

#endif
