/* SPDX-License-Identifier: MIT */
/* What storms have in common: work by chance for a store, what became of it, and what is found in
 * the database afterwards. */
#ifndef MSGD_TESTS_STORM_H
#define MSGD_TESTS_STORM_H

#include "tests/sim/network.h"
#include "tests/support/store_user.h"

#define STORM_ENDPOINTS     4u /* numbered from 1; the last one is forgotten now and then */
#define STORM_DAMAGED       9u /* an endpoint whose rows are damaged: nothing is expected of it */
#define STORM_REGISTRATIONS 4u /* numbered from 1 */
#define STORM_MAX_SEQ       20000u

/* ---- What was promised ---- */

enum storm_event {
    STORM_ACKED,        /* endpoint, all up to seq are on disk */
    STORM_RELEASING,    /* endpoint, up to seq: may be gone from now on */
    STORM_FORGETTING,   /* endpoint: all up to seq may be gone */
    STORM_FORGOTTEN,    /* endpoint: all up to seq is */
    STORM_CHANGING,     /* registration: may be what it was or what it will be */
    STORM_REGISTERED,   /* registration, with the text of seq */
    STORM_UNREGISTERED, /* registration */
    STORM_EVENTS,
};

struct storm_promise {
    uint64_t acked, released; /* the latter may be gone */
    uint64_t forgotten;       /* up to here it is */
};

struct storm_registration {
    bool is_sure;
    uint64_t text; /* 0: it is not there */
};

struct storm_promises {
    struct storm_promise endpoints[STORM_ENDPOINTS + 1];
    struct storm_registration registrations[STORM_REGISTRATIONS + 1];
};

void storm_promise(struct storm_promises *p, enum storm_event event, uint32_t which, uint64_t seq);

/* ---- What is found ---- */

struct storm_found {
    struct store_spooled spooled; /* endpoint 0: the store did not tell of it */
    uint8_t has[STORM_MAX_SEQ + 1];
    uint64_t n, n_lost, last;
    uint64_t n_wrong; /* records that nobody wrote so, or twice */
    int status;       /* how reading ended: 0, -errno */
};

struct storm_findings {
    struct storm_found endpoints[STORM_ENDPOINTS + 1];
    uint64_t texts[STORM_REGISTRATIONS + 1];
    uint64_t n_unknown;    /* endpoints, registrations */
    uint64_t n_wrong_rows; /* registrations, ids, rejected datagrams that nobody wrote so */
    uint64_t damaged_last; /* of STORM_DAMAGED: last seq */
};

/* Loads and reads all of a store whose thread does not run. What store_load says. */
int storm_look(struct store *store, uint8_t *row, struct storm_findings *out) MUST_USE;
/* Ends the program where a promise was not kept or the store's own account is not right. `what`:
 * for the failure. */
void storm_hold(const struct storm_promises *p, const struct storm_findings *f, const char *what);

/* ---- Work ---- */

#define STORM_BATCH 12u

struct storm_job {
    struct store_job job; /* the first member */
    uint64_t last;        /* seq */
    char text[24];
    uint8_t *bytes;
};

struct storm_work {
    struct store_user user;
    struct sim_random random;
    /* Tells of each event before it is posted, or when it is done. Any thread's business but the
     * store's. */
    void (*tell)(void *context, enum storm_event event, uint32_t which, uint64_t seq);
    void *context;
    uint64_t posted[STORM_ENDPOINTS + 1];
    uint64_t acked[STORM_ENDPOINTS + 1];
    uint64_t n_texts, n_rejected;
    uint64_t n_messages;
    uint64_t n_refused; /* jobs that were not done */
    struct storm_job jobs[STORM_BATCH];
    uint8_t *row;
};

/* The user's store is open and started. */
void storm_work_init(struct storm_work *w, uint64_t seed);
void storm_work_deinit(struct storm_work *w);
/* Goes on as one that found this. */
void storm_work_resume(struct storm_work *w, const struct storm_promises *p,
                       const struct storm_findings *f);
/* Posts some jobs at once, so that they are one transaction where the log has room for it, and
 * waits for all of them. */
void storm_work_batch(struct storm_work *w);

#endif
