/* SPDX-License-Identifier: MIT */
/* Tracing failures: where they are born and at each hop, so that the log reads as a backtrace. */
#ifndef MSGD_DAEMON_BASE_ERROR_H
#define MSGD_DAEMON_BASE_ERROR_H

#include "daemon/base/log.h"

#include <string.h>

#define MUST_USE __attribute__((warn_unused_result))

/* Logs a failure (negative errno) with what was being done, and gives it back to be returned. */
#define error_trace(error, format, ...) \
    error_trace_at((error), __FILE__, __LINE__, __func__, format, ##__VA_ARGS__)

int error_trace_at(int error, const char *file, int line, const char *function, const char *format,
                   ...) __attribute__((format(printf, 5, 6)));

#endif
