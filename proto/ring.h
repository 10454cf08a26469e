/* SPDX-License-Identifier: MIT */
/*
 * The memory that msgd shares with an attached consumer: layout, checked index arithmetic, and the
 * consumer's side of the hand-over. docs/protocol.md, section "Shared memory", is normative.
 *
 * Messages of all endpoints of one connection lie in one log, in order of arrival. A position is a
 * byte count that only grows; the log is cut into chunks of RING_CHUNK_BYTES, and a table in the
 * arena's header says where in the arena the chunk of a position lies at present, or that it is a
 * hole (nothing of it is left). Records never cross a chunk boundary.
 *
 *   arena   struct ring_header, chunks...      msgd writes, the consumer can only read
 *   page    struct ring_page                   both write; msgd trusts nothing in it
 *   outgoing struct ring_outgoing, bytes...    the consumer writes; msgd copies before it looks
 *
 *        released        taken                 head
 *   ........|xxxxxxxxxxxxxx|--------------------|          x handed over   - waiting
 *
 * The consumer takes messages by moving `taken` forward with compare-and-swap. msgd drops waiting
 * messages (`drop-old`, an endpoint that leaves) only while it holds RING_LOCK in `taken`, so that
 * a message is either taken or dropped, never both. `epoch` is odd while the table or record kinds
 * change under a reader and grows with each change: what a reader saw of unclaimed records counts
 * only if `epoch` was even and the same before and after.
 */
#ifndef MSGD_PROTO_RING_H
#define MSGD_PROTO_RING_H

#include "proto/address.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_MAGIC           0x6d736764u /* "msgd" */
#define RING_VERSION         3u
#define RING_CHUNK_BYTES     (256u * 1024u)
#define RING_TABLE_ENTRIES   16384u /* chunks between released and head: 4 GiB */
#define RING_HOLE            UINT32_MAX
#define RING_RECORD_ALIGN    64u
#define RING_MAX_PAYLOAD     65535u
#define RING_LOCK            UINT64_C(1)
#define RING_OUTGOING_BYTES  (1024u * 1024u) /* a power of two */
#define RECORD_RETURNS_SHIFT 27
#define RECORD_MAX_RETURNS   31u /* more often is not counted */

/* Between two looks. */
static inline void ring_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

enum ring_state {
    RING_OPEN = 1,
    RING_ENDED =
        2, /* msgd has detached this consumer; what it had not released is kept for the next */
};

/* At the start of the arena, followed at chunks_offset by the chunks. */
struct ring_header {
    uint32_t magic;
    uint32_t version;
    uint32_t chunk_bytes;
    uint32_t table_entries;
    uint64_t arena_bytes;   /* of the whole memfd */
    uint32_t chunks_offset; /* of chunk 0 */
    uint32_t n_chunks;      /* that the arena has room for */
    uint32_t outgoing_bytes;
    _Alignas(64) _Atomic uint64_t head;  /* end of the last whole record */
    _Atomic uint64_t tail;               /* nothing before it is left; a multiple of chunk_bytes */
    _Alignas(64) _Atomic uint64_t epoch; /* odd while msgd changes what readers may look at */
    _Atomic uint32_t state;              /* enum ring_state */
    _Alignas(64) _Atomic uint64_t outgoing_taken; /* how far msgd has copied the outgoing ring */
    _Atomic uint32_t doorbell_wanted; /* 1: write the doorbell after adding to the outgoing ring */
    _Atomic uint32_t release_wanted;  /* 1: write the doorbell after releasing */
    _Alignas(64) _Atomic uint32_t table[RING_TABLE_ENTRIES]; /* chunk number % entries -> chunk */
};

/* The page that the consumer writes. */
struct ring_page {
    _Alignas(64) _Atomic uint64_t taken; /* position | RING_LOCK */
    _Alignas(64) _Atomic uint64_t released;
    _Alignas(64) _Atomic uint32_t waiting; /* 1: write the wake descriptor when head moves */
};

#define RING_PAGE_BYTES 4096u

enum record_kind {
    RECORD_MESSAGE = 1,
    RECORD_REDELIVERED = 2, /* a message that a consumer was given before and did not release */
    RECORD_DEAD = 3,        /* dropped before anybody took it: skip */
    RECORD_END = 4,         /* nothing more in this chunk: go on at the next */
};

/*
 * A record: this header, `length` bytes of payload, a trailer (framed messages only), then padding
 * to RING_RECORD_ALIGN. Integers in the machine's own order. Addresses as in struct address.
 */
struct record {
    /* returns << 27 | kind << 24 | length of the trailer << 17 | length of the payload */
    _Atomic uint32_t word;
    uint32_t slot;   /* the endpoint, as Attach numbered it */
    uint64_t seq;    /* counts the endpoint's messages from 1 */
    int64_t time_ns; /* kernel receive time, CLOCK_REALTIME */
    uint16_t from_port;
    uint16_t to_port;
    uint32_t scope; /* interface the datagram came in by where `from` is link-local or `to`
                       multicast, else 0 */
    uint8_t from_ip[16];
    uint8_t to_ip[16];
};

_Static_assert(sizeof(struct record) == RING_RECORD_ALIGN, "a record header is one cache line");

static inline enum record_kind record_kind_of(uint32_t word)
{
    return (enum record_kind)(word >> 24 & 7u);
}

/* How often a consumer was given it and did not release it, at most RECORD_MAX_RETURNS. */
static inline uint32_t record_returns_of(uint32_t word)
{
    return word >> RECORD_RETURNS_SHIFT;
}

static inline uint32_t record_length_of(uint32_t word)
{
    return word & 0x1ffffu;
}

static inline uint32_t record_trailer_length_of(uint32_t word)
{
    return word >> 17 & 0x7fu;
}

/* Payload and trailer, which lie in one piece. */
static inline uint32_t record_content_of(uint32_t word)
{
    return record_length_of(word) + record_trailer_length_of(word);
}

/* n_trailer: at most RECORD_TRAILER_MAX. */
static inline uint32_t record_word(enum record_kind kind, uint32_t length, uint32_t n_trailer)
{
    return (uint32_t)kind << 24 | n_trailer << 17 | length;
}

/* The word of a record that has become another kind. */
static inline uint32_t record_word_as(enum record_kind kind, uint32_t word)
{
    return (uint32_t)kind << 24 | (word & ~(UINT32_C(7) << 24));
}

/* The word of a message that a consumer was given and has not released. */
static inline uint32_t record_word_returned(uint32_t word)
{
    uint32_t returns = record_returns_of(word);

    returns += returns < RECORD_MAX_RETURNS;
    return record_word_as(RECORD_REDELIVERED,
                          returns << RECORD_RETURNS_SHIFT | (word & 0x7ffffffu));
}

/* Bytes that a record of `content` bytes (payload and trailer) takes in the log. */
static inline uint32_t record_bytes(uint32_t content)
{
    return (uint32_t)(sizeof(struct record) + content + RING_RECORD_ALIGN - 1) &
           ~(RING_RECORD_ALIGN - 1);
}

/*
 * Whoever walks over records asks for headers and trailers that come next: another core, or nobody,
 * has them in its cache. Records in a row are mostly alike.
 */
#define RECORDS_AHEAD 12u
static inline void record_prefetch_behind(const struct record *r, uint32_t word)
{
    uintptr_t next = (uintptr_t)r + (size_t)RECORDS_AHEAD * record_bytes(record_content_of(word));

    __builtin_prefetch((const void *)next);
    if (record_trailer_length_of(word) > 0)
        __builtin_prefetch((const void *)(next + sizeof(*r) + record_length_of(word)));
}

static inline void *record_payload(struct record *r)
{
    return r + 1;
}

/*
 * A trailer: one byte that says what kind of framed message it was, one that says how long an
 * answer to it may be, then its id, which may be empty. A plain message has none.
 */
#define RECORD_TRAILER_HEAD   2u
#define RECORD_TRAILER_MAX    66u
#define RECORD_ALLOWANCE_UNIT 4u    /* bytes */
#define RECORD_AWAITED        0x80u /* its sender waits to hear what has become of it */
#define RECORD_WANTS_DISK     0x80u /* in the second byte: its sender waits until it is on disk */

enum message_type {
    MESSAGE_PLAIN = 0,
    MESSAGE_SEND = 's',
    MESSAGE_REQUEST = 'r',
    MESSAGE_REPLY = 'y',
};

/* What a trailer says; zeroed for a plain message. */
struct message_tag {
    enum message_type type;
    bool is_awaited;
    bool wants_disk;
    size_t allowance; /* bytes that an answer may have; rounded down, and some hundred at most */
    uint32_t n_id;    /* 0: it has none */
    const char *id;   /* n_id bytes, not ended by NUL */
};

/* Does its sender wait to hear what becomes of it? */
static inline bool record_is_awaited(const struct record *r)
{
    uint32_t word = atomic_load_explicit(&r->word, memory_order_relaxed);

    return record_trailer_length_of(word) > 0 &&
           (((const uint8_t *)(r + 1))[record_length_of(word)] & RECORD_AWAITED) != 0;
}

/* Of a whole record. A trailer that cannot be reads as a plain message's. Points into the record.
 */
void record_tag(const struct record *r, struct message_tag *out);
/* Writes a trailer; n_id at most RECORD_TRAILER_MAX - RECORD_TRAILER_HEAD. Returns its length, 0
 * for a plain message.
 */
uint32_t message_tag_write(const struct message_tag *tag, uint8_t trailer[RECORD_TRAILER_MAX]);
/* "plain", "send", "request", "reply". */
const char *message_type_name(enum message_type type);

/* Source and destination of a record; family from the address itself. */
void record_from(const struct record *r, struct address *out);
void record_to(const struct record *r, struct address *out);

/* Position of the first byte after the chunk that `position` lies in. */
static inline uint64_t ring_next_chunk(uint64_t position)
{
    return (position / RING_CHUNK_BYTES + 1) * RING_CHUNK_BYTES;
}

/* Outgoing ring: a consumer's replies and sends, each record padded to 64 bytes and never wrapped.
 */
enum outgoing_kind {
    OUTGOING_REPLY =
        1, /* to the message at `position`, which the consumer has taken and not released */
    OUTGOING_SEND = 2, /* from the endpoint `slot` to ip, scope, port */
    OUTGOING_SKIP = 3, /* nothing: go on at the start of the ring */
};

struct ring_outgoing {
    _Alignas(64) _Atomic uint64_t head; /* bytes ever written */
    _Alignas(64) uint8_t bytes[];
};

struct outgoing_record {
    uint32_t length; /* of the payload, at most RING_MAX_PAYLOAD; OUTGOING_SKIP: of what is skipped,
                        header included */
    uint32_t kind;
    uint64_t position; /* OUTGOING_REPLY */
    uint32_t slot;
    uint32_t scope;
    uint8_t ip[16];
    uint16_t port;
    uint16_t pad;
    uint32_t pad2;
};

_Static_assert(sizeof(struct outgoing_record) == 48, "no hidden padding");

/* One consumer's view of one link. Zeroed, then filled by ring_reader_init. */
struct ring_reader {
    const struct ring_header *header;
    struct ring_page *page;
    size_t arena_bytes;
    uint64_t next;    /* position of the next record to hand out, within what has been claimed */
    uint64_t claimed; /* end of what has been claimed */
};

/*
 * Checks the header of a mapped arena against the layout that this code knows.
 * The reader starts at the page's `taken`. 0, or -EPROTO for another magic, version or size.
 */
int ring_reader_init(struct ring_reader *r, const void *arena, size_t arena_bytes,
                     struct ring_page *page) __attribute__((warn_unused_result));

/*
 * Takes at most `max` messages that are waiting, so that msgd can no longer drop them. 1 if any
 * were taken, 0 if none wait, -EAGAIN if msgd held the lock for too long, -EPROTO if what was found
 * cannot be (msgd is gone or broken).
 */
int ring_claim(struct ring_reader *r, size_t max) __attribute__((warn_unused_result));

/*
 * The next message that has been claimed; valid until it is released. NULL when there is none left.
 * *position names it for ring_release and for replies; *end is the position to release up to.
 */
const struct record *ring_next(struct ring_reader *r, uint64_t *position, uint64_t *end);

/* Releases everything before `end`, which ring_next gave. Cumulative. True: msgd wants its doorbell
 * rung, because somebody waits for the release. */
static inline bool ring_release(struct ring_reader *r, uint64_t end)
{
    atomic_store_explicit(&r->page->released, end, memory_order_release);
    return atomic_load_explicit(&r->header->release_wanted, memory_order_relaxed) != 0;
}

/*
 * Asks to be woken by the wake descriptor. True: nothing waits, go and sleep. False: something
 * came in the meantime, claim again.
 */
bool ring_prepare_wait(struct ring_reader *r);
/* No longer asks. */
void ring_cancel_wait(struct ring_reader *r);

/*
 * Adds one record to the outgoing ring. `header`: everything but its padding. 1: written, and msgd
 * wants its doorbell rung. 0: written. -EAGAIN: no room at present. -EMSGSIZE: longer than
 * RING_MAX_PAYLOAD.
 */
int ring_outgoing_put(struct ring_outgoing *ring, const struct ring_header *arena,
                      const struct outgoing_record *header, const void *payload)
    __attribute__((warn_unused_result));

/*
 * msgd's side: copies the record at `taken`, of which `left` bytes up to the head are filled, and
 * then looks only at the copy. payload: room for RING_MAX_PAYLOAD bytes. Returns how far to move
 * on; 0: what is there cannot be.
 */
uint32_t ring_outgoing_get(const struct ring_outgoing *ring, uint64_t taken, uint64_t left,
                           struct outgoing_record *out, void *payload)
    __attribute__((warn_unused_result));

#endif
