/* SPDX-License-Identifier: MIT */
/* The store from inside: what its thread has, and what it shares with others. */
#ifndef MSGD_DAEMON_STORE_STORE_STATE_H
#define MSGD_DAEMON_STORE_STORE_STATE_H

#include "daemon/store/database.h"
#include "daemon/store/store.h"

#include <limits.h>
#include <stdatomic.h>

#define STORE_MAX_STUCK 256u
#define STORE_LOG_BYTES (UINT64_C(4) << 20) /* of the log, where max_bytes is large */

struct job_list {
    struct store_job *first;
    struct store_job **last; /* where the next one goes */
};

void job_list_init(struct job_list *list);
void job_list_append(struct job_list *list, struct store_job *job);
/* Puts all of `from` in front of what is in `list`. */
void job_list_prepend_all(struct job_list *list, struct job_list *from);
/* And behind it. */
void job_list_append_all(struct job_list *list, struct job_list *from);
struct store_job *job_list_take(struct job_list *list);
static inline bool job_list_is_empty(const struct job_list *list)
{
    return list->first == NULL;
}

struct store_port {
    struct store *store;
    uv_async_t async;
    uv_mutex_t lock;
    struct job_list finished; /* under the lock */
    size_t n_posted;          /* whose `done` has not run; the loop's thread only */
    bool is_closing;
    bool is_cancelled; /* the store thread's: its `cancel` has come */
    struct store_job cancel;
    store_port_closed closed;
    void *context;
};

/* Blocks on the file system that are allocated ahead. */
struct reserve {
    int database_fd, log_fd; /* -1: there is none */
    int error;               /* it could not be had: why */
};

struct store {
    /* The store thread's; before store_start and after it the opener's. */
    struct database database;
    char path[PATH_MAX];
    char directory[PATH_MAX];
    uint8_t *row;               /* room for one row, 64-byte aligned */
    struct job_list queue;      /* in the order of posting */
    struct job_list waiting;    /* for room: none of them is in the queue */
    uint64_t applied_max_bytes; /* what the database was told last */
    uint64_t n_pages;           /* of the database, when last looked at */
    struct reserve reserve;
    bool was_refused;    /* the last append found no room; */
    int refusal;         /* why: 0: the bound, else -errno */
    int64_t refused_ns;  /* when */
    bool is_hurried;     /* the store is to end */
    int64_t lazy_ns;     /* since when the queue has had nothing that is in a hurry; 0: it has */
    bool has_unfinished; /* jobs of the queue have done a part of what they are to do */
    int64_t spendable;   /* bytes that deletions may yet add to the log in this transaction */
    uint64_t n_damaged_rows, n_damaged_bytes; /* of table damaged */
    uint64_t n_remembered;                    /* since old ids were last removed */
    unsigned n_mends;                         /* tried */
    unsigned n_stuck;
    int64_t stuck[STORE_MAX_STUCK]; /* rows of chunk that cannot be deleted, by id */

    /* Shared. */
    uv_thread_t thread;
    bool is_started;
    uv_mutex_t lock;
    uv_cond_t has_posted;
    struct job_list posted; /* under the lock */
    bool is_stopping;       /* under the lock */
    _Atomic int state;
    _Atomic int error;
    _Atomic uint64_t max_bytes;
    _Atomic uint64_t min_free_bytes;
    _Atomic uint64_t next_number;
    _Atomic uint64_t used_bytes;
    _Atomic uint64_t file_bytes;
    _Atomic uint64_t free_bytes;
    _Atomic uint64_t n_commits;
    _Atomic uint64_t n_appended;
    _Atomic uint64_t n_damaged;
    _Atomic unsigned n_ports;
};

/* The thread. */
void store_run(void *store);
/* Gives a job back to its port's loop. */
void port_finish(struct store_job *job);

/* ---- Jobs that write, inside a transaction; 0 or -errno (the transaction is then for nothing,
 * but for -EUCLEAN, -EINVAL: this job alone) ---- */

int chunks_append(struct store *s, const struct store_append *a) MUST_USE;
/* n (or with minus: fewer) records more are on disk. */
int chunks_count(struct store *s, uint64_t endpoint, int64_t n) MUST_USE;
/*
 * Deletes rows up to `up_to` from *cursor on: at most SLICE_ROWS, and when `spendable` is used up
 * one. 1: there are more.
 */
#define SLICE_ROWS 128
int chunks_delete(struct store *s, uint64_t endpoint, uint64_t up_to, uint64_t *cursor) MUST_USE;
/* The same for rows without anything younger. */
int chunks_drop_oldest(struct store *s, struct store_drop_oldest *d, uint64_t *cursor) MUST_USE;
int chunks_release(struct store *s, uint64_t endpoint, uint64_t up_to) MUST_USE;
/* 0, 1: it has more to do, -errno. */
int rows_apply(struct store *s, struct store_job *job) MUST_USE;
/* Ids whose time is over. */
int rows_forget_old(struct store *s) MUST_USE;

/* ---- Reading, outside of any transaction ---- */

int chunks_read(struct store *s, struct store_read *read) MUST_USE;
/* Records with seq > released in the row that `released` lies in; those that are damaged are
 * counted, as in other rows: reading tells of them. */
int chunks_count_above(struct store *s, uint64_t endpoint, uint64_t released, uint64_t *n,
                       uint64_t *bytes, uint64_t *first) MUST_USE;

/* ---- Damage ---- */

struct chunk_row {
    int64_t id;
    uint64_t first, last;
    int64_t n;
    int64_t bytes;
};

/* Table damaged has so many rows at most, and so much of the bound. */
#define DAMAGED_MAX_ROWS 4096
#define DAMAGED_PER_CENT 5
/* How much is in table damaged. 0 or -errno. */
int damage_count(struct store *s) MUST_USE;
/* Keeps what is left of a damaged row where nobody deletes it, as long as there is room for it, and
 * counts it. Outside of any transaction. */
void damage_set_aside(struct store *s, uint64_t endpoint, const struct chunk_row *row);

/* A table whose rows have a checksum. */
struct checked_table {
    const char *name;
    const char *loss;      /* what a row less means, for people */
    enum statement load;   /* by ?1: keys above it, whether the checksum is right, columns */
    enum statement next;   /* the first key above ?1, which is read without the rest of the row */
    enum statement keep;   /* as text in damaged_row */
    enum statement remove; /* by the key */
    bool is_made_anew;     /* so a damaged row goes, even where there is no room to keep it */
};

struct damaged_row {
    int64_t key;
    int64_t bytes; /* that it takes as text, at most; -1: it cannot be read */
};

/* Moves it to damaged_row, as long as there is room, and counts it. False: it was not moved.
 * Outside of any transaction. */
bool damage_take_out(struct store *s, const struct checked_table *t, const struct damaged_row *row);
/* An endpoint without a row gets one that says how many records there are of it. */
void damage_count_anew(struct store *s, uint64_t endpoint);

/*
 * Something could not be read or written for damage (-EUCLEAN): finds the tables whose pages are
 * damaged and makes them anew, with all rows that can be read. Outside of any transaction. Returns
 * how many: what has failed may be tried once more; 0: none; -errno.
 */
int store_mend(struct store *s) MUST_USE;
/* False: pages of a table or of its indexes are damaged, which reading may not notice. */
bool store_is_whole(struct store *s, const char *table);
/* A row of the index is as it was written; q: from column 1 on first, last, n, bytes, oldest,
 * newest, crc. */
bool store_index_row_is_right(sqlite3_stmt *q, uint64_t endpoint);

/* ---- State ---- */

/* Nothing more is written. */
void store_fail(struct store *s, int error, const char *what);
/* Looks how much room there is, and says open or full. */
void room_look(struct store *s);
/* Of what the database may have. */
uint64_t room_per_cent(const struct store *s, unsigned per_cent);
/* Is there room for an append of so many bytes? */
bool room_is_for(struct store *s, size_t bytes);
/* After a checkpoint, which gives back what lies behind the end of the database. */
void room_reserve(struct store *s);

/* 0 or -errno. */
int reserve_open(struct store *s) MUST_USE;
/* After the database has been closed. is_log_empty: all of it is in the database. */
void reserve_close(struct store *s, bool is_log_empty);
/* Allocates so much for each; s->reserve.error says how it went. */
void reserve_take(struct store *s, uint64_t database_bytes, uint64_t log_bytes);
int64_t wall_ns(void);
int64_t monotonic_ns(void);

#endif
