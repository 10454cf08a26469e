/* SPDX-License-Identifier: MIT */
/* Logging to the journal or to stderr. */
#include "daemon/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define LINE_MAX_BYTES 2048

static enum log_level threshold = LOG_LEVEL_INFO;
static bool goes_to_journal;

/* JOURNAL_STREAM is "device:inode" of what systemd connected; a redirected stderr is another file.
 */
static bool stderr_is_journal(void)
{
    const char *text = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;
    struct stat st;

    if (!text || sscanf(text, "%ju:%ju", &device, &inode) != 2)
        return false;
    return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_init(enum log_level level)
{
    threshold = level;
    goes_to_journal = stderr_is_journal();
}

static const char *level_word(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "";
}

/* One write a line, so that lines of several threads do not mix. */
static void write_to_stderr(enum log_level level, const char *file, int line, const char *function,
                            const char *text)
{
    if (threshold >= LOG_LEVEL_DEBUG)
        dprintf(STDERR_FILENO, "msgd: %s: %s [%s:%d %s]\n", level_word(level), text, file, line,
                function);
    else
        dprintf(STDERR_FILENO, "msgd: %s: %s\n", level_word(level), text);
}

static void write_to_journal(enum log_level level, const char *file, int line, const char *function,
                             const char *text)
{
    char code_file[256], code_line[32];

    snprintf(code_file, sizeof(code_file), "CODE_FILE=%s", file);
    snprintf(code_line, sizeof(code_line), "CODE_LINE=%d", line);
    sd_journal_print_with_location((int)level, code_file, code_line, function, "%s", text);
}

void log_write(enum log_level level, const char *file, int line, const char *function,
               const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list arguments;

    if (level > threshold)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (goes_to_journal)
        write_to_journal(level, file, line, function, text);
    else
        write_to_stderr(level, file, line, function, text);
}
