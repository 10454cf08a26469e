/* SPDX-License-Identifier: MIT */
/* Tracing failures. */
#include "daemon/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_trace_at(int error, const char *file, int line, const char *function, const char *format,
                   ...)
{
    char what[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    log_write(LOG_LEVEL_ERROR, file, line, function, "%s: %s", what, strerrordesc_np(-error));
    return error;
}
