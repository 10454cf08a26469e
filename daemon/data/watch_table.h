/* SPDX-License-Identifier: MIT */
/* libuv's table of watched descriptors, grown at start. */
#ifndef MSGD_DAEMON_DATA_WATCH_TABLE_H
#define MSGD_DAEMON_DATA_WATCH_TABLE_H

#include "daemon/base/error.h"

#include <uv.h>

/*
 * libuv 1.44 aborts where its table cannot grow: has it grown now, by watching the highest
 * descriptor that there can be, once. The loop must not be running. 0, -EMFILE, -EINVAL, -ENOMEM.
 */
int watch_table_grow(uv_loop_t *loop, int max_descriptor) MUST_USE;

#endif
