/* SPDX-License-Identifier: MIT */
/*
 * Sessions that go on in another process: saved at an orderly stop, found in the stash at the next
 * start. So are the secret of cookies and the connects that are remembered: a client that was about
 * to connect notices nothing either.
 */
#ifndef MSGD_DAEMON_CONTROL_PASSING_H
#define MSGD_DAEMON_CONTROL_PASSING_H

#include "daemon/core/cookie.h"
#include "daemon/data/worker.h"

#include <stddef.h>
#include <stdint.h>

struct control;
struct visit;

/* Of the whole of control. */
struct passing {
    int fd;             /* records on their way out; -1: none */
    uint64_t n_records; /* of them */
    uint8_t *bytes;     /* records of a predecessor; NULL: none */
    size_t n_bytes;
};

/* ---- Starting ---- */

/* The secret of the predecessor, or a new one, which is put into the stash. 0 or -EIO. */
int passing_open(struct control *control, struct cookie_secret *secret) MUST_USE;
/* The workers run, and have no endpoints yet: they remember connects, and hush if sessions wait. */
void passing_prepare(struct control *control);
/* The endpoints are there again: the sessions go on. What cannot is ended. */
void passing_resume(struct control *control);

/* ---- Stopping ---- */

/* Has every session saved that may go on. Those of a bridge end. */
void passing_begin(struct control *control);
/* For worker_events. */
void passing_take(struct visit *visit, const struct carrier_saved *saved);
/* The workers have ended: everything is put into the stash. */
void passing_finish(struct control *control);

#endif
