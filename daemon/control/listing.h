/* SPDX-License-Identifier: MIT */
/* An endpoint as JSON: type Endpoint of io.msgd.varlink. Writes only; knows no I/O. */
#ifndef MSGD_DAEMON_CONTROL_LISTING_H
#define MSGD_DAEMON_CONTROL_LISTING_H

#include "daemon/core/ledger.h"
#include "daemon/core/registry.h"
#include "daemon/data/worker.h"
#include "daemon/store/store.h"
#include "proto/json_writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct listing_consumer {
    pid_t pid; /* 0: unknown */
    uid_t uid;
    enum consumer_kind kind;
    uint64_t delivered;
    uint64_t queued;
    uint64_t missed;
    bool is_stalled;
};

/* A session, as it is shown. */
struct listing_session {
    const char *id;
    struct address peer;
    const char *identity; /* a JSON text; NULL: none */
    uint16_t port;        /* 0: none of its own */
    uint64_t age_s;
    uint64_t bytes_in_flight;
    uint64_t retransmitted;
    const char *state; /* "offered", "open", "ending" */
};

struct listing {
    const struct entry *entry;
    const struct snapshot *snapshot; /* NULL: it is not bound */
    enum store_state store;
    uint32_t receive_buffer_granted;
    bool is_for_owner; /* or an administrator: with exe and sources */
    const char *user;  /* NULL: unknown */
    const char *exe;   /* NULL: unknown */
    int64_t now_ms;    /* CLOCK_BOOTTIME */
    const struct listing_consumer *consumers;
    size_t n_consumers;
    const struct listing_session *sessions; /* for the owner only */
    size_t n_sessions;
};

/* One element of `endpoints`. */
void listing_write(struct json_writer *w, const struct listing *listing);

/* The member "ledger". */
void listing_write_ledger(struct json_writer *w, const struct ledger *ledger);

#endif
