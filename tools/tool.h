/* SPDX-License-Identifier: MIT */
/* What every tool does alike: its command line, its connection, its errors and its end. */
#ifndef MSGD_TOOLS_TOOL_H
#define MSGD_TOOLS_TOOL_H

#include "client/msgd.h"
#include "tools/exit.h"
#include "tools/options.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * Parses the command line and answers --help, --version and --completion. Returns -1 if the tool
 * is to go on, else the code to exit with.
 */
int tool_begin(const struct tool_spec *tool, int argc, char **argv, void *values);

/* Flushes stdout; a failure other than a closed stdout is named and becomes EXIT_SYSTEM. Returns
 * the code. */
int tool_end(const struct tool_spec *tool, void *values, int code);

/* Prints "TOOL: sentence" on stderr. Returns code, for `return tool_fail(...)`. */
int tool_fail(enum exit_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for what is no failure. Returns EXIT_DONE. */
#define tool_say(...) tool_fail(EXIT_DONE, __VA_ARGS__)

/* The same for a command line that is wrong: adds where to look. Returns EXIT_USAGE. */
int tool_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for a word of a verb that is none of its n: names them, and the one that was meant. */
int tool_unknown_word(const char *verb, const char *word, const char *const *names, size_t n);

/* Says what the last call on m failed with. error: what it returned. Returns the exit code. */
int tool_fail_call(const struct msgd *m, int error);

/* Connects to msgd. 0 and *out, or a line on stderr and the exit code. */
int tool_connect(const struct common_options *common, struct msgd **out);

/*
 * Calls a method. parameters: taken, may be NULL (out of memory). 0 and *reply, to be released with
 * json_decref; else a line on stderr and the exit code.
 */
int tool_call(struct msgd *m, const char *method, json_t *parameters, json_t **reply);

/* May stdout be coloured: a terminal that can, and NO_COLOR is not set. */
bool tool_has_colour(void);

/* Columns of the terminal; else COLUMNS; else 0: as wide as it gets. */
int tool_columns(void);

/* Can the terminal be expected to show UTF-8? */
bool tool_has_utf8(void);

/* Seconds as milliseconds for a poll: at least 1 unless 0, at most INT_MAX; -1 for a negative
 * number. */
int tool_milliseconds(double seconds);

/* The name of a process's program, or NULL. Static memory. */
const char *tool_command_of(int pid);

/* The name of a user or, without one, the number. Static memory. */
const char *tool_user_of(int64_t uid);

/* One line of JSON on stdout. EXIT_DONE, or EXIT_SYSTEM where there is no memory for it. */
int tool_print_json(const json_t *json);

#endif
