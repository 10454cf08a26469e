/* SPDX-License-Identifier: MIT */
/* What the files of spooling share. */
#ifndef MSGD_DAEMON_DATA_SPOOLING_INSIDE_H
#define MSGD_DAEMON_DATA_SPOOLING_INSIDE_H

#include "daemon/data/endpoint.h"
#include "daemon/data/spooling.h"

#define N_APPENDS 16u /* under way at a time, of all endpoints of a worker */
#define N_READS   2u

struct append {
    struct store_job job;
    struct list link; /* while it is free */
    struct worker *worker;
    struct endpoint *endpoint; /* NULL: it was left for a successor meanwhile */
    struct spool_piece piece;
    uint8_t *ids;
};

struct reading {
    struct store_job job;
    struct list link; /* while it is free */
    struct worker *worker;
    struct endpoint *endpoint;
    uint8_t *bytes;
};

struct spooling {
    struct store_port *port; /* NULL: there is no database */
    struct append appends[N_APPENDS];
    struct reading readings[N_READS];
    struct list free_appends;
    struct list free_readings;
    struct list urgent; /* endpoints */
    struct list patient;
    struct list hungry;
    struct list kept;
    struct list late;
    uv_timer_t linger; /* posts what is patient */
    uv_timer_t tidy;   /* deletes what is finished */
    uint64_t tidy_ms;
    uint8_t *memory;             /* of ids, readings and what was found */
    const struct record **found; /* CATCH_UP_NUMBERS */
    void (*closed)(struct worker *w);
};

/* Looks after what is kept, soon. */
void tidy_soon(struct worker *w);
int tidy_init(struct worker *w) MUST_USE;
/* Has what is finished deleted. False: nothing is, or it is under way. */
bool trim(struct endpoint *e);
/* Begins to bring back what there is room for. */
void fetch(struct endpoint *e);
/* Begins to copy to the journal what was late, if there is room now. */
void catch_up(struct endpoint *e);
/* So many bytes in one go, and numbers that are looked for together. */
#define CATCH_UP_BYTES   (UINT64_C(1) << 20)
#define CATCH_UP_NUMBERS 16384u

#endif
