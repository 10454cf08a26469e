/* SPDX-License-Identifier: MIT */
/* The methods of the control socket: one function each, in one table. */
#ifndef MSGD_DAEMON_CONTROL_METHODS_H
#define MSGD_DAEMON_CONTROL_METHODS_H

#include "daemon/control/call.h"

#include <stdbool.h>

#define METHOD_ACK "io.msgd.Ack"

struct method {
    const char *name;
    void (*run)(struct call *call); /* answers it, or keeps it */
    bool needs_more;                /* ExpectedMore without it */
    bool takes_more;                /* may answer more than once */
};

/* Finds the method and runs it; answers what the standard says where that cannot be. */
void methods_dispatch(struct call *call);

void method_service_get_info(struct call *call);
void method_get_interface_description(struct call *call);

void method_register(struct call *call);
void method_release(struct call *call);
void method_attach(struct call *call);
void method_resolve(struct call *call);
void method_receive(struct call *call);
void method_ack(struct call *call);
void method_reply(struct call *call);
void method_send(struct call *call);
void method_list(struct call *call);
void method_tap(struct call *call);
void method_listen(struct call *call);
void method_accept(struct call *call);
void method_refuse(struct call *call);
void method_write(struct call *call);
void method_close(struct call *call);
void method_reload(struct call *call);
void method_upgrade(struct call *call);
void method_quarantine(struct call *call);
void method_quarantine_replay(struct call *call);
void method_quarantine_purge(struct call *call);
void method_spool_read(struct call *call);
void method_spool_replay(struct call *call);
void method_spool_purge(struct call *call);
void method_metrics(struct call *call);
void method_get_info(struct call *call);

#endif
