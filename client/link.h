/* SPDX-License-Identifier: MIT */
/* The memory that one lane of msgd shares with this process: mapped, read in place, released. */
#ifndef MSGD_CLIENT_LINK_H
#define MSGD_CLIENT_LINK_H

#include "client/connection.h"
#include "client/registration.h"
#include "proto/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A link outlives its connection until what was handed out of it is released:
 *
 *     released          handed              reader.claimed
 *     ....|xxxxxxxxxxxxxxx|---------------------|       x in the program's hands
 */
struct link {
    uint64_t id; /* never used twice in one struct msgd */
    uint32_t lane;
    bool is_live; /* its connection is there */
    int wake;     /* msgd writes it when messages come; -1 unless live */
    int epoll;    /* that watches wake, not owned; -1: none */
    int doorbell; /* written when answers are to be sent; -1 unless live */
    struct ring_reader reader;
    void *arena; /* read-only */
    struct ring_page *page;
    struct ring_outgoing *outgoing; /* NULL unless live */
    uint64_t handed;                /* end of the last message handed out */
    uint64_t released;              /* end of the last message released */
    struct registration **slots;    /* by the number that Attach gave; NULL: not in use */
    size_t n_slots;
    /* A claimed message that cannot be handed out yet; its record is NULL if there is none. */
    const struct record *held;
    uint64_t held_position;
    uint64_t held_end;
};

/* Where the descriptors of a link are in the set that came with Attach's reply. */
struct link_place {
    uint32_t lane;
    size_t arena;
    size_t page;
    size_t outgoing;
    size_t wake;
    size_t doorbell;
};

/*
 * Maps a link. Takes wake and doorbell out of the set (sets them to -1 there); the rest of the set
 * stays the caller's to close. 0, -EPROTO (not descriptors or memory that this version knows),
 * -ENOMEM, or what mmap(2) says.
 */
int link_open(struct link **out, const struct link_place *place, struct descriptor_set *set)
    __attribute__((warn_unused_result));
/*
 * Has epoll watch for wakes, edge-triggered: every write of msgd counts anew, so that wake need not
 * be read empty. epoll outlives the link. 0 or -errno.
 */
int link_watch(struct link *link, int epoll) __attribute__((warn_unused_result));
/* Takes NULL, returns NULL. epoll forgets the link by link_end or when it is closed itself. */
struct link *link_free(struct link *link);

/* Names a slot of a live link. 0, -EPROTO (a number that cannot be), -ENOMEM. */
int link_set_slot(struct link *link, uint64_t slot, struct registration *r)
    __attribute__((warn_unused_result));

/* Has msgd look at what this process has written. */
void link_ring_doorbell(const struct link *link);

/* Its connection has gone: gives back all that is not needed for reading and releasing. */
void link_end(struct link *link);

/* Has msgd detached this consumer? */
static inline bool link_has_ended(const struct link *link)
{
    return atomic_load_explicit(&link->reader.header->state, memory_order_acquire) != RING_OPEN;
}

/* Does the program hold nothing of it? */
static inline bool link_is_settled(const struct link *link)
{
    return link->released == link->handed;
}

#endif
