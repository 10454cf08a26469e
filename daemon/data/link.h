/* SPDX-License-Identifier: MIT */
/* One attached connection on one worker: the shared memory and the endpoints whose messages go
 * there. */
#ifndef MSGD_DAEMON_DATA_LINK_H
#define MSGD_DAEMON_DATA_LINK_H

#include "daemon/data/endpoint.h"

#include <stdbool.h>

/* An endpoint of a link. */
struct attachment {
    struct consumer consumer; /* owner: this */
    struct endpoint *endpoint;
    struct link *link;
    struct attachment *next;
    struct join_memory memory;
    struct command attach;
    bool is_departing; /* by itself, not with the whole link */
    struct departure departure;
};

enum link_state {
    LINK_OPEN,
    LINK_BROKEN,  /* detached; control has been told */
    LINK_CLOSING, /* control has let go of it */
    LINK_CLOSED,  /* waits for libuv to let go of the doorbell */
};

/* What a turn reads of the outgoing ring: so many bytes at least, if they are there. */
#define LINK_TURN_BYTES_MIN (16 * 1024)

struct link {
    struct lane lane;
    struct arena arena;
    struct worker *worker;
    void *context; /* control's */
    enum link_state state;
    struct shared_memory memory;   /* struct ring_header and the chunks */
    struct shared_memory page;     /* struct ring_page */
    struct shared_memory remains;  /* struct link_remains */
    uint64_t key;                  /* of all these in the vault; 0: not there */
    struct shared_memory outgoing; /* struct ring_outgoing */
    int wake;                      /* eventfd that only msgd has */
    int wake_view;                 /* epoll that watches it: the consumer's */
    struct event_source doorbell;  /* eventfd: consumer -> msgd */
    uint64_t answers_end; /* of the outgoing ring: read up to there, `collectable` may be collected
                           */
    uint64_t collectable; /* how far the consumer had released before it wrote there */
    uint32_t n_slots;     /* control's: that attach commands have made room for */
    struct attachment *attachments;
    struct link *next;     /* the worker's list, data/sweep.h */
    struct task answers;   /* the rest of the outgoing ring */
    uint32_t n_last_turns; /* of that, before it is closed; 0: it is not being closed, or is */
    struct task leave;
    bool is_departing; /* all of it */
    struct departure departure;
    struct command open;
    struct command broken;
    struct command close;
};

/* The consumer wrote what cannot be: ends the link and tells control. */
void link_break(struct link *l, const char *why);
/* Shows what was filed and wakes the consumer if it sleeps. */
void link_publish(struct link *l);

/* One endpoint leaves the link; what it holds is taken back, or dropped (as in departure_begin). */
void attachment_leave(struct attachment *a, int drop);
/* The whole link leaves: its consumer is not heard any more. */
void link_leave(struct link *l);
/* Called when everything of a whole link has been handed on. */
void link_left(struct link *l);

/* Handles what the consumer has put into its outgoing ring, a bounded part now and the rest as a
 * task. data/reply.c */
void link_read_outgoing(struct link *l);

static inline struct ring_header *link_header(const struct link *l)
{
    return l->memory.bytes;
}

#endif
