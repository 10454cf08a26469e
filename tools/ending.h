/* SPDX-License-Identifier: MIT */
/*
 * The clean end of a tool that goes on until it is told to stop: SIGINT, SIGTERM, SIGHUP, or nobody
 * left who reads its stdout.
 *
 * A signal that comes just before a wait would be noticed only after it; so once an end is asked
 * for, an alarm repeats until the tool has gone, and every wait is interrupted.
 */
#ifndef MSGD_TOOLS_ENDING_H
#define MSGD_TOOLS_ENDING_H

#include <stdbool.h>

/* Starts to watch. 0, -ENOMEM, -EAGAIN and the like. */
int ending_init(void) __attribute__((warn_unused_result));
void ending_deinit(void);

/* Is the tool to end? */
bool ending_is_asked(void);

/* Asks for the end by itself after ms milliseconds, instead of an earlier such time; at least 1. */
void ending_set_time(int ms);

/* Was it that time which asked first? */
bool ending_is_time(void);

/* As a signal would: for a write that found stdout closed. */
void ending_ask(void);

#endif
