/* SPDX-License-Identifier: MIT */
/* msgrecv's command line, and what it registers. */
#ifndef MSGD_TOOLS_RECV_OPTIONS_H
#define MSGD_TOOLS_RECV_OPTIONS_H

#include "client/msgd.h"
#include "tools/options.h"

/* Settings are -1 (a lease -2), NULL or false where they were not given. */
struct recv_options {
    struct common_options common;
    const char *address;
    int64_t port;
    int mode;
    int on_conflict;
    bool no_replace;
    int64_t lease;
    int64_t mailbox_bytes;
    int when_full;
    bool durable;
    int64_t spool_bytes;
    int64_t spool_messages;
    int format;
    int64_t max_message_bytes;
    struct option_list allow;
    bool no_gro;
    int64_t shards;
    int64_t receive_buffer_bytes;
    int64_t max_deliver;
    int64_t ttl;
    int64_t stall;
    int on_stall;
    int64_t count;  /* 0: no end */
    double timeout; /* -1: for ever */
    const char *exec;
    double exec_timeout;
    bool sessions;
    bool single_port;
};

extern const struct tool_spec recv_tool;

void recv_options_init(struct recv_options *o);

/* What the table cannot check. -1: all is well; else a line was printed and this is the exit code.
 */
int recv_options_check(const struct recv_options *o);

/* Was anything given that says how to register? */
bool recv_options_have_settings(const struct recv_options *o);

/* *out points into o. */
void recv_options_registration(const struct recv_options *o, struct msgd_registration *out);

#endif
