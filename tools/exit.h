/* SPDX-License-Identifier: MIT */
/* How every tool ends: one table of exit codes, after sysexits.h. */
#ifndef MSGD_TOOLS_EXIT_H
#define MSGD_TOOLS_EXIT_H

#include <stddef.h>

enum exit_code {
    EXIT_DONE = 0,           /* sent; delivered or replied where that was asked */
    EXIT_USAGE = 64,         /* the command line */
    EXIT_DATA = 65,          /* not JSON, or too large */
    EXIT_INPUT = 66,         /* an input file cannot be read */
    EXIT_NO_NAME = 68,       /* no such host or name */
    EXIT_UNAVAILABLE = 69,   /* nobody there, or msgd not reachable */
    EXIT_SYSTEM = 71,        /* a system error */
    EXIT_TAKEN = 73,         /* the name or the port is taken */
    EXIT_TEMPORARY = 75,     /* full, or timed out */
    EXIT_NOT_PERMITTED = 77, /* not allowed */
    EXIT_CONFIGURATION = 78, /* msgd's configuration */
};

/*
 * The exit code of a failed call. varlink_error: its name, such as "io.msgd.NameTaken", or "" if
 * the failure was another; error: the negative errno, for that case.
 */
enum exit_code exit_code_of(const char *varlink_error, int error);

/*
 * Bytes for a sentence about a failure.
 */
#define EXIT_SENTENCE_MAX 1024

/*
 * Writes what a Varlink error means and what to do about it, without a line end, from its name and
 * its parameters as JSON. command_of: gives the name of a process's program or NULL, itself NULL
 * where it cannot be known. Returns buf, or NULL for an error that is not one of msgd's.
 */
const char *exit_sentence(const char *varlink_error, const char *parameters,
                          const char *(*command_of)(int pid), char buf[EXIT_SENTENCE_MAX]);

#endif
