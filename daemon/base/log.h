/* SPDX-License-Identifier: MIT */
/* Logging, to the journal when that is where stderr goes, else to stderr. Never called per datagram
 * above debug. */
#ifndef MSGD_DAEMON_BASE_LOG_H
#define MSGD_DAEMON_BASE_LOG_H

enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

/* Chooses the destination (JOURNAL_STREAM, sd_journal_stream_fd's rule) and the level. Any thread
 * may log after it. */
void log_init(enum log_level level);

void log_write(enum log_level level, const char *file, int line, const char *function,
               const char *format, ...) __attribute__((format(printf, 5, 6)));

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __FILE__, __LINE__, __func__, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __FILE__, __LINE__, __func__, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __FILE__, __LINE__, __func__, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __FILE__, __LINE__, __func__, __VA_ARGS__)

#endif
