/* SPDX-License-Identifier: MIT */
/*
 * Rejected datagrams: into the quarantine, from there to the database, and back at start. What a
 * flood of them pushes out again at once is never written: who can send datagrams is not to wear
 * out the disk.
 */
#ifndef MSGD_DAEMON_CONTROL_REJECTS_H
#define MSGD_DAEMON_CONTROL_REJECTS_H

#include "daemon/base/error.h"
#include "daemon/core/ledger.h"
#include "proto/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct control;
struct endpoint;
struct store_rejected;

/* Between the quarantine and the database. */
struct rejects {
    uv_timer_t timer;
    bool has_timer;
    bool is_pausing; /* nothing is put until the timer comes */
    bool is_closing;
    uint32_t n_posted; /* jobs that are not done */
};

/* As worker_events.rejected. context: the control. */
void rejects_take(void *context, struct endpoint *endpoint, enum drop_reason reason,
                  int64_t time_ns, const struct address *from, const struct address *to,
                  const uint8_t *bytes, size_t n_bytes);

/* For store_loader. context: the control. */
int rejects_load(void *context, const struct store_rejected *r);

/* 0 or -errno. */
int rejects_open(struct control *control) MUST_USE;
/* Writes what the quarantine wants written, within bounds. Before the loop sleeps. */
void rejects_run(struct control *control);
/* Writes what there still is, if there is room for it, and calls keeping_close. Nothing is taken
 * any more. */
void rejects_close(struct control *control);

#endif
