/* SPDX-License-Identifier: MIT */
/* The reading side of a connection. For connection.c only. */
#ifndef MSGD_DAEMON_CONTROL_CONNECTION_INPUT_H
#define MSGD_DAEMON_CONTROL_CONNECTION_INPUT_H

struct connection;

/* Reads what has come, within reason, and carries it out. */
void connection_input(struct connection *c);
/* Goes on with what was held back, now that an answer has gone out. */
void connection_input_resume(struct connection *c);
/* The other end is gone: of what it sent before, only Acks matter to others. */
void connection_input_last(struct connection *c);

#endif
