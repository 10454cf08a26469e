/* SPDX-License-Identifier: MIT */
/*
 * The messages of one struct msgd over all its links. Messages are handed out in runs, each from
 * one link; the list of runs that are not released says what "everything before this message" is
 * where there are several lanes, or a link of before a restart.
 */
#ifndef MSGD_CLIENT_INBOX_H
#define MSGD_CLIENT_INBOX_H

#include "client/link.h"
#include "client/msgd.h"
#include "client/registration.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Messages handed out one after the other from one link, and not released yet. */
struct run {
    struct link *link;
    uint64_t end; /* of the last of them */
};

/* A zeroed one is empty. */
struct inbox {
    struct link **links; /* live ones, and ended ones of which the program still holds messages */
    size_t n_links;
    size_t next_link; /* that is asked first; they take turns */
    uint64_t last_id;
    struct run *runs; /* a circle */
    size_t first_run;
    size_t n_runs;
    size_t runs_capacity; /* a power of two, or 0 */
};

/* Unmaps everything. */
void inbox_deinit(struct inbox *inbox);

/* Adds a link and keeps it; one that its lane had before has ended. 0; -ENOMEM: it stays the
 * caller's. */
int inbox_add_link(struct inbox *inbox, struct link *link) __attribute__((warn_unused_result));
/* The live link of a lane, or NULL. */
struct link *inbox_link_of_lane(const struct inbox *inbox, uint32_t lane);
/* The connection has gone: ends all live links. */
void inbox_end_links(struct inbox *inbox);

/*
 * Hands out at most max messages that are there. Returns how many (0: none); -EAGAIN (msgd was
 * changing something for too long: look again in a moment), -EPROTO (what msgd wrote cannot be, or
 * msgd died while it wrote), -ENOMEM.
 */
int inbox_take(struct inbox *inbox, struct msgd_message *messages, size_t max)
    __attribute__((warn_unused_result));

/* Releases up to and including last, in the order of handing out. What is released already stays
 * so. */
void inbox_release(struct inbox *inbox, const struct msgd_message *last);

/* The live link of a message that is not released, and its position; NULL: there is none. */
struct link *inbox_link_of(struct inbox *inbox, const struct msgd_message *message,
                           uint64_t *position);

/* Asks every live link to wake this process. True: nothing waits. False: look again. */
bool inbox_prepare_wait(struct inbox *inbox);

/* Is there a message whose slot is not known? Only while Attach's reply is on its way is that in
 * order. */
bool inbox_is_stuck(const struct inbox *inbox);

/* Has msgd ended one of the live links? */
bool inbox_has_ended(const struct inbox *inbox);

#endif
