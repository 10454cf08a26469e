/* SPDX-License-Identifier: MIT */
/* What a program has registered: kept so that it can be registered again after a restart of msgd.
 */
#ifndef MSGD_CLIENT_REGISTRATION_H
#define MSGD_CLIENT_REGISTRATION_H

#include "client/msgd.h"
#include "proto/json_writer.h"
#include "proto/varlink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum registration_state {
    REGISTRATION_GONE,   /* not ours: never taken, refused, or unregistered */
    REGISTRATION_ACTIVE, /* ours; after a restart of msgd it is registered and attached again */
};

/* One name. It stays until the end, since messages point to it. */
struct registration {
    char *name;
    enum registration_state state;
    /* As accepted: the members of Register's parameters but the port, as JSON text; NULL: only
     * attached. */
    char *members;
    uint16_t port; /* asked for, then what msgd gave */
    /* As asked for now, until msgd answers; NULL: nothing is, or an Attach. */
    char *wanted_members;
    uint16_t wanted_port;
    bool may_queue; /* its Register may wait for a long time */
    bool is_new;    /* this attempt's Register made the endpoint: it goes again if Attach fails */
    char *address;  /* as msgd printed it; NULL: not known yet */
    uint64_t generation;
    bool is_resumed;
};

/* All names of one struct msgd. A zeroed one is empty. */
struct registrations {
    struct registration **items; /* in the order in which they came */
    size_t n;
    size_t capacity;
    size_t n_active;
    uint32_t *buckets; /* index + 1 of an item, 0: empty; open addressing */
    size_t n_buckets;  /* a power of two */
    char **retired;    /* addresses that were given out and are no longer true */
    size_t n_retired;
};

void registrations_deinit(struct registrations *all);

/* The entry of a name, or NULL. */
struct registration *registrations_find(const struct registrations *all, const char *name);

/* The entry of a name, made if there is none. 0 or -ENOMEM. */
int registrations_get(struct registrations *all, const char *name, struct registration **out)
    __attribute__((warn_unused_result));

/*
 * Notes what the program asks for; from NULL: to attach only. It counts once msgd has accepted it.
 * 0, -EINVAL with *field naming the field that cannot be, -ENOMEM.
 */
int registration_want(struct registration *r, const struct msgd_registration *from,
                      const char **field) __attribute__((warn_unused_result));
/* For registering again: wants what was accepted, under the same port. 0 or -ENOMEM. */
int registration_want_again(struct registration *r) __attribute__((warn_unused_result));
/* Does it want a Register, or only an Attach? */
bool registration_wants_register(const struct registration *r);

/* Appends the call of Register, Attach or Release for it to w. */
void registration_put_register(const struct registration *r, struct json_writer *w);
void registration_put_attach(const struct registration *r, struct json_writer *w);
void registration_put_release(const struct registration *r, struct json_writer *w);

/* Reads Register's reply. 0, -EPROTO, -ENOMEM. */
int registration_note_registered(struct registrations *all, struct registration *r,
                                 const json_t *reply) __attribute__((warn_unused_result));
/* msgd has accepted what was wanted: it is in force. */
void registration_accept(struct registrations *all, struct registration *r);
/* msgd has refused it: what was in force stays so, unless is_lost. */
void registration_refuse(struct registrations *all, struct registration *r, bool is_lost);
/* It is not ours any more. */
void registration_end(struct registrations *all, struct registration *r);

void registration_describe(const struct registration *r, struct msgd_endpoint *out);

#endif
