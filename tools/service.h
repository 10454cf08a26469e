/* SPDX-License-Identifier: MIT */
/* A command as a service: the message on its stdin, its stdout is the answer. */
#ifndef MSGD_TOOLS_SERVICE_H
#define MSGD_TOOLS_SERVICE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The most that an answer may be: what fits a UDP datagram over IPv4. */
#define SERVICE_ANSWER_MAX 65507

struct service_call {
    const char *command; /* for /bin/sh -c */
    const void *input;   /* n_input bytes for its stdin */
    size_t n_input;
    const char *const *environment; /* "MSGD_FROM=...", added to the tool's own; ended by NULL */
    int timeout_ms;
};

struct service_answer {
    uint8_t bytes[SERVICE_ANSWER_MAX + 1];
    size_t n;   /* without the last line end */
    int status; /* as waitpid gives it */
};

enum service_outcome {
    SERVICE_FAILED = 1, /* status says how */
    SERVICE_TIMED_OUT,  /* its process group was killed */
    SERVICE_TOO_LARGE,  /* more than SERVICE_ANSWER_MAX bytes */
    SERVICE_ENDED,      /* the tool is to end; the process group was ended */
};

/*
 * Runs the command to its end in a process group of its own. What it leaves running in the
 * background is neither waited for nor ended.
 * 0 and the answer; an outcome; -errno (it could not be started).
 */
int service_run(const struct service_call *call, struct service_answer *answer)
    __attribute__((warn_unused_result));

#endif
