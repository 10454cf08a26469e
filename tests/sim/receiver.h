/* SPDX-License-Identifier: MIT */
/*
 * A model of an endpoint that takes acknowledged messages, as plainly as it can be written, around
 * msgd's own memory of what it has kept (daemon/core/duplicates).
 * docs/protocol.md, "What msgd does". Its messages say which they are: {"m": INDEX}.
 */
#ifndef MSGD_TESTS_SIM_RECEIVER_H
#define MSGD_TESTS_SIM_RECEIVER_H

#include "daemon/core/duplicates.h"
#include "proto/frame.h"
#include "tests/sim/network.h"

#define RECEIVER_MAX_SOURCES 64u

/* How it behaves. Zero: it takes everything at once. */
struct receiver_manner {
    uint64_t consumer_ns; /* a message is released up to so long after it was stored */
    uint32_t mailbox;     /* messages that it holds; 0: any number */
    uint32_t refuse_each; /* every so manieth message is refused for good; 0: none */
};

/* What became of a message, by its index. */
struct receiver_message {
    uint8_t n_stored;
    bool is_refused;
};

struct receiver_record {
    uint64_t source;
    uint64_t number;
    uint32_t index; /* of the message */
    uint32_t generation;
    bool is_request;
    bool wants_release;
};

struct receiver {
    struct sim_network *net;
    struct sim_link *back; /* to the sender */
    uint32_t self, sender; /* as the network knows them */
    struct receiver_manner manner;
    bool is_down;
    uint32_t generation; /* counts losses of memory */
    struct receiver_message *messages;
    uint32_t n_messages;
    struct duplicates duplicates;
    struct receiver_record *records; /* by the order in which they were stored */
    uint32_t n_records, record_capacity;
    uint32_t n_waiting;   /* stored and not released */
    struct frame pending; /* an acknowledgement that may still grow */
    bool has_pending;
    uint64_t pending_source;
};

/* messages: n_messages of the caller's, zeroed. */
void receiver_init(struct receiver *r, struct sim_network *net, struct sim_link *back,
                   struct receiver_message *messages, uint32_t n_messages);
void receiver_deinit(struct receiver *r);

/* A datagram for it, or one of its own timers, has come. */
void receiver_event(struct receiver *r, const struct sim_event *event);

/* It forgets whom it has heard; what it has stored stays. */
void receiver_lose_memory(struct receiver *r);

/* The index in a message's text. */
uint32_t receiver_index(const struct frame_slice *body);

#endif
