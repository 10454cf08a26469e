/* SPDX-License-Identifier: MIT */
/* The worker's thread and loop: commands in, completions out, tasks in between. */
#include "daemon/data/answers.h"
#include "daemon/data/care.h"
#include "daemon/data/evidence.h"
#include "daemon/data/intake.h"
#include "daemon/data/link.h"
#include "daemon/data/loop.h"
#include "daemon/data/polling.h"
#include "daemon/data/receiver.h"
#include "daemon/data/recovery.h"
#include "daemon/data/sessions.h"
#include "daemon/data/spooling.h"
#include "daemon/data/sweep.h"
#include "daemon/data/tap.h"
#include "daemon/data/unwatched.h"
#include "daemon/data/watch_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Virtual size of the memory of mailboxes without an attached consumer; pages come with the
 * messages. */
#define PRIVATE_ARENA_CHUNKS (UINT32_C(1) << 16)

/* Tasks that run between two looks at the sockets; the last one may end later. */
#define TASKS_NS 50000

/* So many commands are worth waking somebody for, where more are coming. */
#define COMMANDS_PER_WAKE 128

/* ---- Commands and completions ---- */

static void append(struct command ***last, struct command *c)
{
    c->next = NULL;
    **last = c;
    *last = &c->next;
}

static struct command *take_all(struct worker *w, struct command **first, struct command ***last)
{
    uv_mutex_lock(&w->lock);
    struct command *all = *first;
    *first = NULL;
    *last = first;
    uv_mutex_unlock(&w->lock);
    return all;
}

static void wake(struct worker *w)
{
    w->n_held = 0;
    uv_async_send(&w->wake);
}

void command_post(struct worker *w, struct command *c)
{
    uv_mutex_lock(&w->lock);
    append(&w->last_command, c);
    c->is_posted = c->done != NULL;
    if (c->is_posted)
        w->n_posted++;
    uv_mutex_unlock(&w->lock);
    if (!w->is_held || ++w->n_held >= COMMANDS_PER_WAKE)
        wake(w);
}

void worker_hold(struct worker *w)
{
    w->is_held = true;
}

void worker_release(struct worker *w)
{
    w->is_held = false;
    wake(w);
}

/* Hands what has been finished to control, and wakes it for the first. */
static void hand_over(struct worker *w)
{
    if (w->finishing == NULL)
        return;
    uv_mutex_lock(&w->lock);
    bool is_first = w->finished == NULL;
    *w->last_finished = w->finishing;
    w->last_finished = w->last_finishing;
    w->n_finished += w->n_finishing;
    if (is_first)
        uv_cond_signal(&w->has_finished);
    uv_mutex_unlock(&w->lock);
    if (is_first)
        uv_async_send(w->told);
    w->finishing = NULL;
    w->last_finishing = &w->finishing;
    w->n_finishing = 0;
}

void command_finish(struct worker *w, struct command *c)
{
    append(&w->last_finishing, c);
    w->n_finishing += c->is_posted;
    if (!w->is_running_commands || w->n_finishing >= COMMANDS_PER_WAKE)
        hand_over(w);
}

static void on_wake(uv_async_t *handle)
{
    struct worker *w = CONTAINER_OF(handle, struct worker, wake);
    struct command *c = take_all(w, &w->commands, &w->last_command);

    w->is_running_commands = true;
    while (c != NULL) {
        struct command *next = c->next; /* run may give the command back */
        c->run(w, c);
        c = next;
    }
    w->is_running_commands = false;
    worker_flush(w);
    hand_over(w);
}

/* Control: what the worker has finished and what it tells. Evidence comes before what may free its
 * endpoint. */
static void hear(struct worker *w)
{
    struct command *c = take_all(w, &w->finished, &w->last_finished);

    evidence_drain(w);
    sessions_drain(w);
    taps_tell(w);
    while (c != NULL) {
        struct command *next = c->next;
        c->done(c);
        c = next;
    }
}

static void on_told(uv_async_t *handle)
{
    hear(handle->data);
}

/* ---- Tasks ---- */

/* A step of the first one, which comes last if it has more to do. */
static bool run_first_task(struct worker *w)
{
    struct task *t = w->tasks;

    w->tasks = t->next;
    if (w->tasks == NULL)
        w->last_task = &w->tasks;
    t->is_queued = false;
    if (!t->step(w, t))
        return false;
    task_queue(w, t);
    return true;
}

/* Each at most once, and no longer than the sockets can wait: ten thousand endpoints that leave are
 * as many short tasks, where a turn of the loop takes longer than one of them. */
static void on_idle(uv_idle_t *idle)
{
    struct worker *w = CONTAINER_OF(idle, struct worker, idle);
    uint64_t end_ns = uv_hrtime() + TASKS_NS;
    const struct task *again = NULL;

    while (w->tasks != NULL && w->tasks != again) {
        struct task *t = w->tasks;

        if (run_first_task(w) && again == NULL)
            again = t;
        if (uv_hrtime() >= end_ns)
            break;
    }
    if (w->tasks == NULL)
        uv_idle_stop(idle);
    worker_flush(w);
}

void task_queue(struct worker *w, struct task *t)
{
    if (t->is_queued)
        return;
    t->is_queued = true;
    t->next = NULL;
    *w->last_task = t;
    w->last_task = &t->next;
    uv_idle_start(&w->idle, on_idle);
}

/* ---- After a batch ---- */

static void flush_lane(struct lane *lane)
{
    if (lane->log.header == NULL) {
        receiver_serve(CONTAINER_OF(lane, struct receiver, lane));
        return;
    }
    struct link *l = CONTAINER_OF(lane, struct link, lane);
    /* What was released meanwhile is used again while it is in the cache. */
    if (lane_collect(lane) != 0 || lane->is_broken)
        link_break(l, lane->why_broken);
    else
        link_publish(l);
    sweep_soon(l->worker);
}

void worker_flush(struct worker *w)
{
    w->n_unflushed = 0;
    spooling_flush(w);
    while (w->dirty.first != NULL) {
        struct lane *lane = w->dirty.first;
        w->dirty.first = lane->next_dirty;
        lane->is_dirty = false;
        flush_lane(lane);
    }
    sessions_flush(w);
    answers_flush(w);
    care_soon(w);
    if (w->has_told) {
        w->has_told = false;
        uv_async_send(w->told);
    }
    atomic_store_explicit(&w->chunks_resident, arena_resident_chunks(&w->arena),
                          memory_order_relaxed);
}

/* ---- Life ---- */

int worker_watch(struct worker *w, uv_poll_t *poll, int events, uv_poll_cb ready)
{
    w->has_unseen = true;
    return uv_poll_start(poll, events, ready);
}

static int libuv_timeout(const struct worker *w)
{
    return w->has_unseen ? 0 : uv_backend_timeout(&w->loop);
}

/* libuv has its part of a turn where it has something to do: often there are only datagrams. */
static void turn(struct worker *w)
{
    int timeout_ms = polling_timeout(w, libuv_timeout(w));
    bool is_libuv_ready;

    unsigned n_called = event_sources_wait(w, timeout_ms, &is_libuv_ready);
    if (n_called > 0)
        worker_flush(w);
    if (is_libuv_ready || libuv_timeout(w) == 0) {
        w->has_unseen = false; /* it sees what there is, then calls who may add more */
        uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    if (n_called > 0)
        polling_arrived(w);
}

static void run_thread(void *argument)
{
    struct worker *w = argument;

    polling_begin();
    while (uv_loop_alive(&w->loop))
        turn(w);
}

static int open_loop(struct worker *w)
{
    int rc = uv_loop_init(&w->loop);

    if (rc != 0)
        return rc;
    w->is_loop_open = true;
    w->has_unseen = true; /* what is opened here */
    polling_init(w);
    rc = event_sources_open(w);
    if (rc == 0)
        rc = watch_table_grow(&w->loop, w->options.max_descriptor);
    if (rc == 0)
        rc = uv_idle_init(&w->loop, &w->idle);
    if (rc == 0)
        rc = sweep_init(w);
    if (rc == 0)
        rc = care_init(w);
    if (rc == 0)
        rc = unwatched_init(w);
    if (rc == 0)
        rc = recovery_init(w);
    if (rc == 0)
        rc = uv_async_init(&w->loop, &w->wake, on_wake);
    if (rc == 0)
        rc = sessions_open(w);
    if (rc == 0)
        rc = spooling_open(w);
    return rc;
}

static int random_bytes(void *bytes, size_t n)
{
    return getrandom(bytes, n, 0) == (ssize_t)n ? 0 : -EIO;
}

/* What is remembered of whom was answered, and how often. */
static int open_answers(struct worker *w)
{
    const struct worker_options *o = &w->options;
    struct duplicates_options duplicates = {.max_sources = o->max_sources};
    uint64_t keys[2];
    int rc = random_bytes(keys, sizeof(keys));

    if (rc == 0)
        rc = random_bytes(&duplicates.key, sizeof(duplicates.key));
    if (rc == 0)
        rc = reply_limit_init(&w->reply_limit, keys[0]);
    if (rc == 0)
        rc = reply_limit_init(&w->answer_limit, keys[1]);
    if (rc == 0)
        rc = duplicates_init(&w->duplicates, &duplicates);
    if (rc == 0)
        rc = reply_cache_init(&w->reply_cache, &duplicates.key, o->reply_cache_bytes);
    return rc == 0 ? answers_new(&w->answers) : rc;
}

static int open_memory(struct worker *w)
{
    int rc =
        vault_worker(w->options.vault, &w->memory, PRIVATE_ARENA_CHUNKS, receive_batch_bytes());

    if (rc == 0)
        rc = arena_init(&w->arena, w->memory.arena.bytes, PRIVATE_ARENA_CHUNKS,
                        shared_memory_discard);
    if (rc != 0)
        return rc;
    arena_use_directory(&w->arena, worker_memory_directory(&w->memory));
    w->batch = receive_batch_init(w->memory.batch.bytes);
    rc = spsc_init(&w->evidence, EVIDENCE_RING_BYTES);
    return rc == 0 ? open_answers(w) : rc;
}

static void close_told(uv_handle_t *handle)
{
    free(handle);
}

static void close_left(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* The thread is not running (any more). */
static void worker_free(struct worker *w)
{
    if (w->is_loop_open) {
        spooling_close_now(w);
        uv_walk(&w->loop, close_left, NULL);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        uv_loop_close(&w->loop);
        event_sources_close(w);
    }
    if (w->told != NULL)
        uv_close((uv_handle_t *)w->told, close_told);
    uv_cond_destroy(&w->has_finished);
    uv_mutex_destroy(&w->lock);
    w->answers = answers_free(w->answers);
    reply_cache_deinit(&w->reply_cache);
    duplicates_deinit(&w->duplicates);
    reply_limit_deinit(&w->answer_limit);
    reply_limit_deinit(&w->reply_limit);
    sessions_close(w);
    spooling_free(w);
    spsc_deinit(&w->evidence);
    arena_deinit(&w->arena);
    worker_memory_close(&w->memory);
    free(w);
}

static int open_told(struct worker *w)
{
    uv_async_t *told = malloc(sizeof(*told));

    if (told == NULL)
        return -ENOMEM;
    int rc = uv_async_init(w->options.control_loop, told, on_told);
    if (rc != 0) {
        free(told);
        return rc;
    }
    told->data = w;
    w->told = told;
    return 0;
}

static int start(struct worker **out, const struct worker_options *options)
{
    size_t bytes = (sizeof(struct worker) + 63) & ~(size_t)63;
    struct worker *w = aligned_alloc(64, bytes);

    if (w == NULL)
        return -ENOMEM;
    memset(w, 0, bytes);
    w->options = *options;
    w->last_command = &w->commands;
    w->last_finished = &w->finished;
    w->last_finishing = &w->finishing;
    w->last_task = &w->tasks;
    if (uv_mutex_init(&w->lock) != 0 || uv_cond_init(&w->has_finished) != 0)
        abort(); /* these only fail where the C library is broken */

    int rc = open_memory(w);
    if (rc == 0)
        rc = open_loop(w);
    if (rc == 0)
        rc = open_told(w);
    if (rc == 0)
        rc = uv_thread_create(&w->thread, run_thread, w);
    if (rc != 0) {
        worker_free(w);
        return error_trace(rc, "start a worker");
    }
    *out = w;
    return 0;
}

int worker_start(struct worker **out, const struct worker_options *options)
{
    cpu_set_t former;
    int rc = placement_enter(options->cpu, &former);

    *out = NULL;
    if (rc != 0)
        return rc;
    rc = start(out, options);
    placement_leave(options->cpu, &former);
    return rc;
}

/* Nothing but its turn. */
struct pass {
    struct command command;
    void (*done)(void *context);
    void *context;
};

static void run_pass(struct worker *w, struct command *c)
{
    command_finish(w, c);
}

static void pass_done(struct command *c)
{
    struct pass *p = CONTAINER_OF(c, struct pass, command);

    p->done(p->context);
    free(p);
}

int worker_pass(struct worker *w, void (*done)(void *context), void *context)
{
    struct pass *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return -ENOMEM;
    *p = (struct pass){
        .command = {.run = run_pass, .done = pass_done}, .done = done, .context = context};
    command_post(w, &p->command);
    return 0;
}

static void close_all(struct worker *w)
{
    /* Sockets are left only where there was no memory to remove their endpoints. */
    uv_walk(&w->loop, close_left, NULL);
}

static void run_stop(struct worker *w, struct command *c)
{
    (void)c;
    spooling_close(w, close_all);
}

/* Hears the worker until everything that was posted has been finished. */
void worker_settle(struct worker *w)
{
    for (;;) {
        uv_mutex_lock(&w->lock);
        while (w->finished == NULL && w->n_finished != w->n_posted)
            uv_cond_wait(&w->has_finished, &w->lock);
        bool is_settled = w->finished == NULL;
        uv_mutex_unlock(&w->lock);
        hear(w);
        if (is_settled)
            return;
    }
}

struct worker *worker_stop(struct worker *w)
{
    struct command stop = {.run = run_stop};

    if (w == NULL)
        return NULL;
    worker_settle(w);
    command_post(w, &stop);
    uv_thread_join(&w->thread);
    hear(w);
    worker_free(w);
    return NULL;
}

void worker_info(const struct worker *w, struct worker_info *out)
{
    *out = (struct worker_info){
        .evidence_lost = atomic_load_explicit(&w->evidence_lost, memory_order_relaxed),
        .tap_missed = atomic_load_explicit(&w->tap_missed, memory_order_relaxed),
        .links_broken = atomic_load_explicit(&w->links_broken, memory_order_relaxed),
        .replies_limited = atomic_load_explicit(&w->replies_limited, memory_order_relaxed),
        .replies_refused = atomic_load_explicit(&w->replies_refused, memory_order_relaxed),
        .answers_suppressed = atomic_load_explicit(&w->answers_suppressed, memory_order_relaxed),
        .answers_limited = atomic_load_explicit(&w->answers_limited, memory_order_relaxed),
        .reads_coalesced = atomic_load_explicit(&w->reads_coalesced, memory_order_relaxed),
        .reads_anticipated = atomic_load_explicit(&w->reads_anticipated, memory_order_relaxed),
        .anticipation_ns = atomic_load_explicit(&w->anticipation_ns, memory_order_relaxed),
        .bytes_resident =
            (uint64_t)atomic_load_explicit(&w->chunks_resident, memory_order_relaxed) *
            RING_CHUNK_BYTES,
    };
    sessions_info(w, &out->sessions);
}
