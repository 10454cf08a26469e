/* SPDX-License-Identifier: MIT */
/* Inside a worker: its thread, commands, tasks, and what the files of this folder share. */
#ifndef MSGD_DAEMON_DATA_LOOP_H
#define MSGD_DAEMON_DATA_LOOP_H

#include "daemon/base/list.h"
#include "daemon/core/arena.h"
#include "daemon/core/coalesce.h"
#include "daemon/core/duplicates.h"
#include "daemon/core/mailbox.h"
#include "daemon/core/reply_cache.h"
#include "daemon/core/reply_limit.h"
#include "daemon/core/rhythm.h"
#include "daemon/core/spin.h"
#include "daemon/core/yield.h"
#include "daemon/data/event_source.h"
#include "daemon/data/memory.h"
#include "daemon/data/spsc.h"
#include "daemon/data/vault.h"
#include "daemon/data/worker.h"

#include <stdatomic.h>
#include <stddef.h>

#define CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/*
 * Something for the worker to do. run: on the worker's thread. When it has come to its end
 * (command_finish, at once or later) `done` runs on the control thread and may free the command;
 * without a `done` nobody touches it again.
 */
struct command {
    struct command *next;
    void (*run)(struct worker *w, struct command *c);
    void (*done)(struct command *c);
    bool is_posted; /* by command_post, so that its end is waited for */
};

/* Posts a command; control thread. */
void command_post(struct worker *w, struct command *c);
/* Lets `done` run on the control thread; worker's thread. */
void command_finish(struct worker *w, struct command *c);

/* Work in slices between reads. step: true = there is more. */
struct task {
    struct task *next;
    bool (*step)(struct worker *w, struct task *t);
    bool is_queued;
};

/*
 * As uv_poll_start. libuv puts it into its epoll set when it looks there next, so that before that
 * it wakes nobody: this makes it look.
 */
int worker_watch(struct worker *w, uv_poll_t *poll, int events, uv_poll_cb ready) MUST_USE;

/* Runs t's steps, one per turn of the loop; worker's thread. A task that is queued already stays
 * so. */
void task_queue(struct worker *w, struct task *t);
/* Bytes that one step may copy. */
#define TASK_BUDGET (256u * 1024u)

struct receive_batch; /* data/intake.c */
struct sessions;      /* data/sessions.h */
struct spooling;      /* data/spooling.h */

struct worker {
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t wake;  /* control -> worker; on the worker's loop */
    uv_async_t *told; /* worker -> control; on the control loop, freed in its close callback */
    uv_idle_t idle;   /* active while tasks are queued */
    int epoll;        /* data/event_source.c */
    bool has_unseen;  /* something that libuv is to watch and has not in its set yet */
    struct spin spin;
    struct coalesce coalesce;
    struct yield yield;
    struct rhythm rhythm;
    bool is_looking;          /* for a datagram that is due */
    bool is_shared;           /* somebody else ran on this core just before it came */
    bool has_slept;           /* before this turn */
    struct arrivals arrivals; /* of this turn */
    bool is_polling;          /* it looks for what comes next before it sleeps */
    long n_switched;          /* against its will */
    struct worker_options options;

    uv_mutex_t lock; /* of the two lists and counts */
    uv_cond_t has_finished;
    struct command *commands;
    struct command **last_command;
    struct command *finished;
    struct command **last_finished;
    bool is_held; /* control's, as n_held: commands that it has not been woken for */
    uint32_t n_held;
    uint64_t n_posted; /* commands with a `done` */
    uint64_t n_finished;
    struct command *finishing; /* the worker's own, until they are handed over */
    struct command **last_finishing;
    uint64_t n_finishing;
    bool is_running_commands; /* in a row: others follow */
    bool is_loop_open;

    struct worker_memory memory; /* of mailboxes without an attached consumer; of the batch */
    struct arena arena;
    struct dirty_lanes dirty;
    struct task *tasks;
    struct task **last_task;
    unsigned n_unflushed; /* datagrams read since worker_flush */
    unsigned n_snapshots; /* under way: no endpoint goes before they are done */
    struct receive_batch *batch;
    struct link *links;
    uv_timer_t sweep; /* data/sweep.c */
    uint64_t sweep_ms;
    uv_timer_t care; /* data/care.c */
    uint64_t care_ms;
    struct list cared;          /* endpoints */
    uv_timer_t unwatched_timer; /* data/unwatched.c */
    unsigned n_unwatched_reads;
    struct list unwatched;   /* struct unwatched */
    uv_timer_t return_timer; /* data/recovery.c */
    struct list awaiting;    /* endpoints */
    struct sessions *sessions;
    struct spooling *spooling;
    struct reply_limit reply_limit;
    struct reply_limit answer_limit;
    struct duplicates duplicates;
    struct reply_cache reply_cache;
    struct answers *answers; /* data/answers.c */
    struct spsc evidence;
    bool has_told; /* something for control is in a ring: tell it at the end of this turn */

    struct tap *taps; /* control's list */

    _Atomic uint64_t evidence_lost;
    _Atomic uint64_t tap_missed;
    _Atomic uint64_t links_broken;
    _Atomic uint64_t replies_limited;
    _Atomic uint64_t replies_refused;
    _Atomic uint64_t answers_suppressed;
    _Atomic uint64_t answers_limited;
    _Atomic uint64_t reads_coalesced;
    _Atomic uint64_t reads_anticipated;
    _Atomic uint64_t anticipation_ns;
    _Atomic uint64_t chunks_resident;
};

/* Publishes what has been filed, wakes who sleeps, serves receivers, detaches who is broken. After
 * each batch. */
void worker_flush(struct worker *w);

static inline void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
