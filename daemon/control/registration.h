/* SPDX-License-Identifier: MIT */
/*
 * A Register or Receive call on its way to an endpoint: the registry decides, and what it decides
 * is carried out here. It may have to ask a worker, or wait for a name or for an address that is
 * being left; each time it is decided again from the start.
 */
#ifndef MSGD_DAEMON_CONTROL_REGISTRATION_H
#define MSGD_DAEMON_CONTROL_REGISTRATION_H

#include "daemon/base/list.h"
#include "daemon/control/desk.h"
#include "daemon/control/holders.h"
#include "daemon/core/registry.h"
#include "daemon/core/settings.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct call;
struct control;

/* The call's connection is a consumer of the desk now. The call is not answered yet. */
typedef void (*registration_done)(struct call *call, struct holder *holder, bool is_resumed);

struct registration {
    struct list link; /* control->homeless, or leaving->parked */
    struct call *call;
    struct settings settings;
    uint32_t given; /* FIELD_BIT of what the call said */
    enum claim_mailbox mailbox;
    struct entry *waiting; /* whose waiter it is; NULL: none */
    bool is_asking;        /* a worker looks into the mailbox */
    struct snapshot *snapshot;
    registration_done done;
};

/*
 * Registers for the call's connection; the call is answered with an error where that cannot be.
 * settings: taken, also on failure.
 */
void registration_begin(struct call *call, struct settings *settings, uint32_t given,
                        registration_done done);

/* Registers by a Register's fields (json_t, not kept), or answers what is wrong with them. */
void register_from_json(struct call *call, json_t *fields, registration_done done);

/* Those who waited for an address that is free now are to be decided again. */
void registrations_unpark(struct control *control, struct list *parked);
/* The same for those who wait for an entry that is about to go. */
void registrations_rehome(struct control *control, struct entry *entry);
/* Decides again what is to be decided again. For control only. */
void registrations_run(struct control *control);

/* ---- Answers (registration_answers.c) ---- */

/* With the pid only for who may own the entry. */
void answer_name_taken(struct call *call, const struct entry *entry);
void answer_already_attached(struct call *call, const struct desk *desk);
void answer_port_taken_by(struct call *call, const struct entry *entry);
void answer_quota(struct call *call, const struct quota_refusal *refusal);
/* Why the sockets could not be opened. error: negative errno of desk_open. */
void answer_open_failure(struct call *call, int error, const struct open_failure *why);

#endif
