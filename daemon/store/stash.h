/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that outlive the daemon.
 *
 * A descriptor that is put in travels as an SCM_RIGHTS message into a socket pair and waits in its
 * queue. One end of each pair is held by somebody else too: systemd's descriptor store, or the
 * successor. What is held by one pair are so many descriptors (a segment), so that ten thousand
 * sockets are forty in systemd's store. MSG_PEEK gives out copies and leaves the queue as it is.
 *
 * For the control thread alone.
 */
#ifndef MSGD_DAEMON_STORE_STASH_H
#define MSGD_DAEMON_STORE_STASH_H

#include "daemon/base/error.h"
#include "daemon/base/inherited.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stash;

/* What a descriptor is. The numbers are part of the layout: new ones are added at the end. */
enum stash_kind {
    STASH_SOCKET = 1,     /* key: number of the endpoint; index: 0, or 1 for the second of "*" */
    STASH_ARENA = 2,      /* of a worker's private logs; key: worker */
    STASH_STATE = 3,      /* what a worker knows of its endpoints; key: worker */
    STASH_BATCH = 4,      /* what a worker reads into; key: worker */
    STASH_LINK_ARENA = 5, /* key: link */
    STASH_LINK_PAGE = 6,
    STASH_LINK_STATE = 7,
    STASH_SESSION_STATE = 8, /* key: session */
    STASH_SESSION_SOCKET = 9,
    STASH_SESSION_STREAM = 10,
    STASH_SECRETS = 11,        /* what cookies are made with, and connects that are remembered */
    STASH_SESSION_SERVER = 12, /* the other end of a stream that no server has taken yet */
};

struct stash_item {
    uint32_t kind; /* enum stash_kind */
    uint32_t index;
    uint64_t key;
};

enum stash_outcome {
    STASH_UNKNOWN_VERSION = 1, /* made by a msgd that is not understood; it is left as it is */
};

/*
 * Opens what was kept: the inherited descriptors whose names begin with "msgd-stash" are taken. An
 * empty one where there are none. Finds out whether somebody keeps it from now on. 0,
 * STASH_UNKNOWN_VERSION, or -errno; both have been logged, and what is kept stays kept.
 */
int stash_open(struct stash **out, struct inherited *inherited) MUST_USE;
/* The same from the ends that a predecessor gave (stash_ends), which are taken. */
int stash_open_ends(struct stash **out, const int *ends, size_t n) MUST_USE;
/* Closes this process's hold on it; what is kept stays kept. Returns NULL; NULL is fine. */
struct stash *stash_close(struct stash *s);

/* A successor waits for the ends: from now on the stash counts as kept. */
void stash_promise(struct stash *s);

/* Whether somebody else holds the other ends, so that what is put in outlives this process. */
bool stash_is_kept(const struct stash *s);

/* The predecessor's descriptor, now the caller's, close-on-exec; it stays in the stash until it is
 * removed. -ENOENT: there is none, or it has been taken. */
int stash_take(struct stash *s, const struct stash_item *item) MUST_USE;
/* The same, and what was noted when it was put in. */
int stash_take_noted(struct stash *s, const struct stash_item *item, uint64_t *note) MUST_USE;

/* Puts in a descriptor, in the place of what had this name. fd stays the caller's, who may close it
 * whenever it likes. 0 or -errno: nothing has changed. */
int stash_put(struct stash *s, const struct stash_item *item, int fd) MUST_USE;
/* The same with a note, so that the successor need not ask the kernel what it is. stash_put notes
 * 0.
 */
int stash_put_noted(struct stash *s, const struct stash_item *item, int fd, uint64_t note) MUST_USE;

/*
 * Takes one out; fine if it is not there. The stash lets go of it in stash_flush: until then a
 * socket is still bound.
 */
void stash_remove(struct stash *s, const struct stash_item *item);

/* Lets go of all that was removed or replaced. To be called before the loop sleeps; costs nothing
 * where nothing was. What cannot be done now, for lack of descriptors, is tried again next time. */
void stash_flush(struct stash *s);

/*
 * Calls visit for each item of a predecessor that nobody has taken, of one kind (0: any); it may
 * take and remove that item, no other. In no particular order.
 */
void stash_each_left(struct stash *s, uint32_t kind,
                     void (*visit)(void *context, const struct stash_item *item), void *context);

/*
 * Copies the ends that hold everything for a successor: at most `max` (0: none) into `ends`, which
 * stay the stash's. Returns how many there are.
 */
size_t stash_ends(const struct stash *s, int *ends, size_t max);

#endif
