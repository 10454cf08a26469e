/* SPDX-License-Identifier: MIT */
/* The counters of an endpoint, and the law that they obey. docs/protocol.md, section "The ledger".
 */
#ifndef MSGD_DAEMON_CORE_LEDGER_H
#define MSGD_DAEMON_CORE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Every reason for which a message is not delivered, once: X(constant, key, "what it means").
 * The key is the JSON key, the metric's label and the row of the manual.
 */
#define DROP_REASONS(X)                                                                           \
    X(NOT_ALLOWED, not_allowed, "its source is in none of the endpoint's allow networks")         \
    X(TRUNCATED, truncated, "the kernel cut it; never delivered in part")                         \
    X(TOO_LARGE, too_large, "longer than max_message_bytes")                                      \
    X(UNSUPPORTED, unsupported, "of a type that this version does not read, or signed or sealed") \
    X(MALFORMED_FRAME, malformed_frame,                                                           \
      "framed, but its header cannot be, or its checksum does not match")                         \
    X(INVALID_JSON, invalid_json, "not one JSON text (RFC 8259)")                                 \
    X(DUPLICATE, duplicate, "a message with this id has been kept before")                        \
    X(SOURCES_FULL, sources_full,                                                                 \
      "more senders of messages with ids than limits.sources remembers")                          \
    X(MAILBOX_FULL, mailbox_full,                                                                 \
      "the mailbox was full: the newest (drop-new) or oldest (drop-old) goes")                    \
    X(QUOTA_EXCEEDED, quota_exceeded, "the owner's mailbox_bytes_per_uid was used up")            \
    X(NO_MEMORY, no_memory,                                                                       \
      "there was no memory, or no place in the consumer's log, to keep it in")                    \
    X(EXPIRED, expired, "older than ttl_s, or the lease ended before a consumer came")            \
    X(MAX_DELIVER, max_deliver, "given to consumers max_deliver times, and released by none")     \
    X(SPOOL_FULL, spool_full,                                                                     \
      "the disk, or the endpoint's part of it, was full, or did not keep up")                     \
    X(SPOOL_FAILED, spool_failed, "a write to the database failed: nothing more goes there")      \
    X(DAMAGED, damaged, "it was on disk, and cannot be read back")                                \
    X(PURGED, purged, "somebody had what was on disk thrown away")                                \
    X(RELEASED, released, "the endpoint was released while it was waiting")

enum drop_reason {
#define X(constant, key, meaning) DROP_##constant,
    DROP_REASONS(X)
#undef X
        N_DROP_REASONS,
};

struct ledger {
    int64_t since_ns; /* CLOCK_REALTIME */
    uint64_t datagrams;
    uint64_t kernel_dropped;
    bool is_kernel_dropped_exact;
    uint64_t received;
    uint64_t delivered;
    uint64_t queued;
    uint64_t spooled;
    uint64_t protocol;
    uint64_t dropped[N_DROP_REASONS];
};

/* "not_allowed" for DROP_NOT_ALLOWED. */
const char *drop_reason_key(enum drop_reason reason);
/* The reason with that key; N_DROP_REASONS: there is none. */
enum drop_reason drop_reason_find(const char *key);
/* Was it for want of room, so that the same message may be kept another time? */
bool drop_reason_passes(enum drop_reason reason);
/* A sentence for people. */
const char *drop_reason_meaning(enum drop_reason reason);

uint64_t ledger_dropped(const struct ledger *l);
/* received = delivered + queued + spooled + protocol + sum(dropped)? */
bool ledger_holds(const struct ledger *l);
/* Widens the kernel's 32-bit drop counter: call with each reading, in order. */
void ledger_note_kernel_drops(struct ledger *l, uint32_t *last, uint32_t now);

#endif
