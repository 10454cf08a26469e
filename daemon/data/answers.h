/* SPDX-License-Identifier: MIT */
/* Short answers that msgd gives by itself. */
#ifndef MSGD_DAEMON_DATA_ANSWERS_H
#define MSGD_DAEMON_DATA_ANSWERS_H

#include "daemon/data/endpoint.h"
#include "proto/frame.h"

/* Answers what came from meta's source; not if the answer is longer than allowance. */
void answer_frame(struct endpoint *e, const struct record *meta, const struct frame *f,
                  size_t allowance);

#endif
