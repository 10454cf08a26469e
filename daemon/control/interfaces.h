/* SPDX-License-Identifier: MIT */
/* The text of proto/io.msgd.varlink, put in at build time. */
#ifndef MSGD_DAEMON_CONTROL_INTERFACES_H
#define MSGD_DAEMON_CONTROL_INTERFACES_H

extern const char io_msgd_interface[];

#endif
