/* SPDX-License-Identifier: MIT */
/*
 * Memory that outlives the process, and what a predecessor left in its own: docs/architecture.md,
 * "What survives kill -9". For the control thread, but for vault_remainder.
 */
#ifndef MSGD_DAEMON_DATA_VAULT_H
#define MSGD_DAEMON_DATA_VAULT_H

#include "daemon/core/survivors.h"
#include "daemon/data/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stash;
struct vault;
struct receive_batch;

#define VAULT_MAGIC   0x6d736776u
#define VAULT_VERSION 1u

/* At the start of each piece but arenas. */
struct vault_head {
    uint32_t magic;
    uint32_t version;
    uint64_t layout; /* bytes of what is repeated in it, and how many drop reasons there are */
};

/* What the batch of a worker begins with. */
struct batch_head {
    struct vault_head head;
    struct end_intent intent;
    struct batch_state state;
};

struct worker_memory {
    struct shared_memory arena;
    struct shared_memory directory; /* a page with a struct vault_head, then struct chunk_entry */
    struct shared_memory batch;
};

/* Of a link, beside its arena and page. */
#define LINK_SLOTS (UINT32_C(1) << 20)

struct link_remains {
    struct vault_head head;
    uint64_t released;
    uint64_t n_chunks;
    _Alignas(4096) struct chunk_entry directory[];
    /* struct link_slot slots[LINK_SLOTS], on the next page */
};

struct link_slot *link_remains_slots(struct link_remains *s);

/* Takes what a predecessor left. 0 or -errno, logged: -EPROTONOSUPPORT where it is of a version
 * that is not known; it is left as it is. */
int vault_open(struct vault **out, struct stash *stash) MUST_USE;
/* What is in the stash stays there. Returns NULL; NULL is fine. */
struct vault *vault_close(struct vault *v);

/* The row of an endpoint: its predecessor's (*is_past), or a new one; NULL: there is no room. */
struct endpoint_state *vault_row(struct vault *v, uint64_t number, bool *is_past) MUST_USE;
void vault_give_row(struct vault *v, struct endpoint_state *row);
/* A predecessor's endpoint is never opened again. Fine if there is none of that number. */
void vault_forget(struct vault *v, uint64_t number);

/* Makes a worker's memory and keeps it. batch_bytes: of what begins with a struct batch_head. */
int vault_worker(struct vault *v, struct worker_memory *out, uint32_t n_chunks,
                 size_t batch_bytes) MUST_USE;
/* Makes and keeps a batch alone. *key: for vault_batch_gone. vault: may be NULL, then nobody keeps
 * it and *key is 0. 0 or -errno. */
int vault_batch(struct vault *v, struct shared_memory *out, size_t batch_bytes,
                uint64_t *key) MUST_USE;
void vault_batch_gone(struct vault *v, uint64_t key);
/* Where its arena's directory is. */
struct chunk_entry *worker_memory_directory(const struct worker_memory *m);
void worker_memory_close(struct worker_memory *m);
/* Keeps a link's memory; makes its state. *key: for vault_link_gone. */
int vault_link(struct vault *v, const struct shared_memory *arena, const struct shared_memory *page,
               uint32_t n_chunks, struct shared_memory *state, uint64_t *key) MUST_USE;
void vault_link_gone(struct vault *v, uint64_t key);

/* Any thread, before vault_settle: what a predecessor left of an endpoint, and the batch that it
 * had in hand for it (NULL: none). */
void vault_remainder(struct vault *v, uint64_t number, struct remainder *out,
                     struct receive_batch **batch);
/* A batch of the endpoint of which nothing was filed; NULL: there is none (any more). */
struct receive_batch *vault_batch_away(struct vault *v, uint64_t number);
/* Is there anything to ask for? False after vault_settle. */
bool vault_has_past(const struct vault *v);
/* Every endpoint that is left has what it had: lets go of the predecessor's memory. */
void vault_settle(struct vault *v);

#endif
