/* SPDX-License-Identifier: MIT */
/* msgsend's command line. */
#ifndef MSGD_TOOLS_SEND_OPTIONS_H
#define MSGD_TOOLS_SEND_OPTIONS_H

#include "tools/options.h"

struct send_options {
    struct common_options common;
    const char *file;
    int64_t count;
    double rate; /* 0: as fast as it goes */
    const char *from;
    bool raw;
    bool batch;
    bool reply;
    bool plain;
    int ack;        /* index in "stored released"; -1: not given */
    const char *id; /* NULL: none */
    int64_t in_flight;
    double timeout;
    double linger;
};

extern const struct tool_spec send_tool;

void send_options_init(struct send_options *o);

/* What can be known before anything is sent. 0, or a line was printed and this is the exit code. */
int send_options_check(const struct send_options *o);

/* TARGET cannot be sent to: says so. Returns the exit code. */
int send_fail_target(int error, const char *sentence);

/* PAYLOAD, or NULL. */
const char *send_options_payload(const struct send_options *o);

/* Do messages go framed, and wait for an answer of msgd's? Else they are plain datagrams. */
bool send_options_are_framed(const struct send_options *o);

#endif
