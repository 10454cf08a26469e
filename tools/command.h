/* SPDX-License-Identifier: MIT */
/* A command that runs beside the tool: /bin/sh -c, its stdin and stdout, its end. */
#ifndef MSGD_TOOLS_COMMAND_H
#define MSGD_TOOLS_COMMAND_H

#include <sys/types.h>

/* Descriptors are non-blocking, and -1 once they are closed. */
struct command {
    pid_t pid;  /* also its process group */
    int pidfd;  /* readable when it has ended */
    int input;  /* what is written here is on its stdin */
    int output; /* what it prints */
};

/*
 * Starts `text` in a process group of its own. environment: "MSGD_FROM=..." and the like, added to
 * the tool's own; ended by NULL. 0 or -errno, and nothing runs.
 */
int command_start(struct command *c, const char *text, const char *const *environment)
    __attribute__((warn_unused_result));

/* Sends its process group a signal. */
void command_signal(const struct command *c, int number);

/* Waits for its end, and closes what is open. Returns its status as waitpid gives it. */
int command_finish(struct command *c);

#endif
