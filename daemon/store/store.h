/* SPDX-License-Identifier: MIT */
/*
 * What msgd keeps on disk: one SQLite database, msgd.db in the state directory, read and written by
 * a thread of its own. Others post jobs and hear of them on their own loop; posting neither waits
 * nor allocates. All jobs that have gathered are one transaction and one commit; what is done has
 * been committed and synced.
 *
 * An endpoint is known here by its number, which no other registration ever had. Its messages are
 * numbered 1, 2, 3...; on disk they lie in rows of at most STORE_ROW_BYTES, each record with a
 * CRC-32C. docs/architecture.md, "The store", has the schema.
 */
#ifndef MSGD_DAEMON_STORE_STORE_H
#define MSGD_DAEMON_STORE_STORE_H

#include "daemon/base/error.h"
#include "proto/address.h"
#include "proto/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#define STORE_ROW_BYTES     RING_CHUNK_BYTES
#define STORE_MIN_BYTES     (UINT64_C(8) << 20) /* the least that max_bytes may be */
#define STORE_FULL_PER_CENT 90                  /* of max_bytes: no room for new messages */

struct store;
struct store_port; /* where one loop hears of its finished jobs */

/* ---- Life ---- */

struct store_options {
    const char *directory;   /* exists */
    uint64_t max_bytes;      /* of all files together; below STORE_MIN_BYTES it counts as that */
    uint64_t min_free_bytes; /* of the file system: with less there is no room */
    const char *vfs;         /* NULL: SQLite's own; for tests */
};

/*
 * Opens, or makes, the database, and locks it; starts no thread. 0; -EBUSY: another msgd has it;
 * -EPROTONOSUPPORT: it is of a version that this msgd does not know; -EUCLEAN: damaged; -ENOSPC,
 * -EACCES, -EIO... Each has been logged with what to do.
 */
int store_open(struct store **out, const struct store_options *options) MUST_USE;
/*
 * May a msgd of this version open the database in `directory`? Looks without opening, so that the
 * msgd that has it need not close it. 0: yes, or there is none; -EPROTONOSUPPORT; -errno.
 */
int store_check(const char *directory) MUST_USE;
/* Starts the thread. 0 or -errno. */
int store_start(struct store *store) MUST_USE;
/*
 * Does what has been posted, ends the thread, closes the database and frees the store. Its ports
 * must have been closed. Returns NULL; NULL is fine, and so is a store that was not started.
 */
struct store *store_stop(struct store *store);

/* After a reload of the configuration. Any thread. */
void store_set_limits(struct store *store, uint64_t max_bytes, uint64_t min_free_bytes);
/* A number for a new registration: no other ever had it. Any thread. */
uint64_t store_next_number(struct store *store);

enum store_state {
    STORE_OPEN,
    STORE_FULL,   /* new messages are to be refused; everything else goes on */
    STORE_FAILED, /* a write or sync failed: nothing is written any more, until msgd starts again */
};

/* Any thread, at the cost of one load. */
enum store_state store_state(const struct store *store);
static inline bool store_has_room(const struct store *store)
{
    return store_state(store) == STORE_OPEN;
}

/* What there is to show. */
struct store_info {
    enum store_state state;
    int error; /* why it is not open: 0, -ENOSPC, -EDQUOT, -EIO...; 0 when FULL: its bound */
    uint64_t max_bytes;
    uint64_t used_bytes; /* of the database, without what may be used again */
    uint64_t file_bytes; /* of all its files */
    uint64_t free_bytes; /* of the file system, when last looked at */
    uint64_t commits;
    uint64_t appended;     /* records */
    uint64_t damaged_rows; /* set aside, now and by predecessors */
    uint64_t log_mended;   /* places of the log that were wrong at the start, without a loss */
    bool log_broke_off;    /* more was wrong, or the power had failed */
};
/* Any thread. */
void store_info(const struct store *store, struct store_info *out);
/* Of the database's file. */
const char *store_path(const struct store *store);
/* "open", "full", "failed". */
const char *store_state_name(enum store_state state);

/* ---- What a predecessor left ---- */

struct store_registration {
    uint64_t number;
    const char *name;
    const void *bytes; /* its writer's business; not empty */
    size_t n_bytes;
};

/* What is on disk of an endpoint's messages and not released. */
struct store_spooled {
    uint64_t endpoint;
    uint64_t released;            /* all up to this number are finished */
    uint64_t first_seq, last_seq; /* above `released`; 0: nothing is left */
    uint64_t n;                   /* records */
    uint64_t bytes;               /* of them, on disk */
    int64_t oldest_ns, newest_ns; /* CLOCK_REALTIME */
    uint64_t n_missing; /* records that the database should have had besides, and has not */
};

/* A datagram in quarantine. */
struct store_rejected {
    uint64_t id; /* counts up; its giver's */
    uid_t uid;
    const char *name;   /* of the endpoint */
    const char *reason; /* as in the ledger */
    int64_t time_ns;
    struct address from, to;
    const uint8_t *bytes;
    size_t n_bytes;
};

/* Called back by store_load, in this order; what is pointed to is valid during the call. Any of
 * them may be NULL; negative ends the loading, which then returns it. */
struct store_loader {
    void *context;
    int (*registration)(void *context, const struct store_registration *r);
    int (*spooled)(void *context, const struct store_spooled *s);
    /* Ids that an append gave, oldest first. */
    int (*remembered)(void *context, uint64_t endpoint, int64_t time_ns, const uint8_t *ids,
                      size_t n_bytes);
    int (*rejected)(void *context, const struct store_rejected *r);
};

/* Tells what is there. Before store_start. 0, -EUCLEAN, -EIO, -ENOMEM, or what a callback said. */
int store_load(struct store *store, const struct store_loader *loader) MUST_USE;

/* ---- Jobs ---- */

/* 0 or -errno. On the thread of `loop`, which all its jobs are posted from and done on. */
int store_port_open(struct store_port **out, struct store *store, uv_loop_t *loop) MUST_USE;
/*
 * Frees the port once every job of it is done. Appends and rejected datagrams that wait for room
 * are done with -ECANCELED; all others are carried out, or, where the disk has no room even for
 * them, tried once more and done with -ECANCELED. NULL: `done` runs at once.
 */
typedef void (*store_port_closed)(void *context);
void store_port_close(struct store_port *port, store_port_closed done, void *context);

enum store_act {
    STORE_APPEND,
    STORE_TRIM,
    STORE_READ,
    STORE_FORGET,
    STORE_DROP_OLDEST,
    STORE_PUT_REGISTRATION,
    STORE_DELETE_REGISTRATION,
    STORE_PUT_REJECTED,
    STORE_DELETE_REJECTED,
    STORE_CANCEL, /* the port's own */
};

/*
 * Puts records on disk. Those whose seq is on disk already are left out, so that a successor may
 * append again what a predecessor may have. While there is no room it waits.
 */
struct store_append {
    uint64_t endpoint;
    const uint8_t *bytes; /* records one behind the other, rising in seq, at most STORE_ROW_BYTES;
                             dead ones are left out, RECORD_END ends them. Yours, until done */
    size_t n_bytes;
    const uint8_t *ids; /* to remember for STORE_REMEMBER_S, packed as the caller likes; or NULL */
    size_t n_ids;       /* bytes */
};

#define STORE_REMEMBER_S 300

/* All up to this number are finished, and so is what they take on disk, with some later commit. */
struct store_trim {
    uint64_t endpoint;
    uint64_t up_to;
};

/* Reads what has been committed, in the order of seq, from from_seq on. */
struct store_read {
    uint64_t endpoint;
    uint64_t from_seq;
    uint8_t *bytes; /* room for `capacity` >= STORE_ROW_BYTES; 64-byte aligned */
    size_t capacity;
    /* Out. Status -ENOENT: there is nothing from from_seq on. */
    size_t n_bytes;      /* records, whole, one behind the other, slot 0 */
    uint32_t n;          /* of them: may be 0 where all of a row was lost */
    uint64_t last_seq;   /* go on behind this one */
    uint64_t n_lost;     /* from from_seq on, that were damaged */
    uint64_t released;   /* all up to this one are finished, though some may still be there */
    uint64_t newest_seq; /* of all that is there */
};

/* Deletes the rows in which nothing is younger than older_than_ns. */
struct store_drop_oldest {
    uint64_t endpoint;
    int64_t older_than_ns; /* CLOCK_REALTIME */
    /* Out. */
    uint64_t last_seq; /* all up to this one are gone; 0: nothing was that old */
};

/*
 * A job. The caller fills act, done and its member of the union, posts it, and leaves it alone
 * until `done`. status: 0; -ENOENT; -EIO: the store has failed; -ECANCELED: an append or rejected
 * datagram that was waiting when its endpoint was forgotten or its port closed; -EINVAL: an append
 * whose records cannot be.
 */
struct store_job {
    enum store_act act;
    int status;
    void (*done)(struct store_job *job); /* may give the job back */
    void *context;
    union {
        struct store_append append;
        struct store_trim trim;
        struct store_read read;
        struct store_drop_oldest drop_oldest;
        uint64_t forget; /* the endpoint: messages, ids, watermark; not its registration */
        struct store_registration registration; /* deleting looks at the number alone */
        struct store_rejected rejected;         /* deleting looks at the id alone */
    };
    /* The store's own. */
    struct store_port *port;
    struct store_job *next;
    uint64_t cursor;
};

/* Posts a job; `done` runs on the port's loop. */
void store_post(struct store_port *port, struct store_job *job);

#endif
