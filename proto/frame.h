/* SPDX-License-Identifier: MIT */
/*
 * Framed datagrams: 0x1E (RS), a header object, LF, a body. Bytes to struct and back, without
 * allocation. docs/protocol.md, section "Framed datagrams", is normative.
 *
 *   RS  {"type":"send","id":"9f8e7d6c5b4a3921.17","ack":"stored","crc":"1a2b3c4d"}  LF
 * {"temp": 21.5}
 *
 * The header is one JSON object (RFC 8259) on one line. Members that this version does not know are
 * ignored; a known member that is given twice, has another type than it should, or a value outside
 * its limits makes the frame malformed. Strings of known members contain no escapes.
 */
#ifndef MSGD_PROTO_FRAME_H
#define MSGD_PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_START        0x1e  /* RS, as in RFC 7464 */
#define FRAME_HEADER_MAX   2048u /* bytes of the header object */
#define FRAME_ID_MAX       64u   /* bytes of an id */
#define FRAME_IDENTITY_MAX 512u  /* bytes of connect's identity, a JSON text */
#define FRAME_REASON_MAX   128u
#define FRAME_COOKIE_MAX   64u
#define FRAME_SACK_MAX     40u    /* ranges: so many fit into any header */
#define FRAME_COUNT_MAX    65535u /* messages in one datagram */

enum frame_type {
    FRAME_SEND,      /* one message; id, ack */
    FRAME_BATCH,     /* many: body RS text RS text...; id = that of the first, ack */
    FRAME_REQUEST,   /* one message that wants a reply; id */
    FRAME_REPLY,     /* the answer to a request; id */
    FRAME_ACK,       /* id, ack = which, count */
    FRAME_NACK,      /* id, reason, retry */
    FRAME_CONNECT,   /* nonce, identity, window, cookie */
    FRAME_CHALLENGE, /* nonce, cookie */
    FRAME_ACCEPT,    /* nonce, session, port, window */
    FRAME_REFUSE,    /* nonce, reason */
    FRAME_DATA,      /* session, n, offset, fin, ack, sack, echo, delay, window */
    FRAME_CLOSE,     /* session, reason: the session has ended at once */
    FRAME_PING,      /* session, token; the body is padding */
    FRAME_PONG,      /* session, token */
    FRAME_OTHER,     /* a type that this version does not know */
};

/* Bits of frame.members: which members were given (or are to be written). */
enum frame_member {
    FRAME_HAS_ID = 1 << 0,
    FRAME_HAS_WISH = 1 << 1, /* "ack" as a string */
    FRAME_HAS_COUNT = 1 << 2,
    FRAME_HAS_REASON = 1 << 3,
    FRAME_HAS_NONCE = 1 << 4,
    FRAME_HAS_IDENTITY = 1 << 5,
    FRAME_HAS_COOKIE = 1 << 6,
    FRAME_HAS_SESSION = 1 << 7,
    FRAME_HAS_PORT = 1 << 8,
    FRAME_HAS_NUMBER = 1 << 9,
    FRAME_HAS_OFFSET = 1 << 10,
    FRAME_HAS_ACK = 1 << 11, /* "ack" as an integer */
    FRAME_HAS_WINDOW = 1 << 12,
    FRAME_HAS_ECHO = 1 << 13,
    FRAME_HAS_DELAY = 1 << 14,
    FRAME_HAS_TOKEN = 1 << 15,
    FRAME_HAS_CRC = 1 << 16,
};

enum frame_wish { FRAME_STORED, FRAME_RELEASED, FRAME_RECEIVED /* in an ack only */ };

struct frame_slice {
    const uint8_t *bytes; /* into the datagram, or the caller's */
    size_t n;
};

/*
 * Whose message: 16 lower-case hex digits, a dot and a decimal from 1 without leading zeros is a
 * source and its number; anything else of 1 to FRAME_ID_MAX bytes out of 0x21..0x7e but '"' and '\'
 * is a text.
 */
struct frame_id {
    struct frame_slice text; /* as it stands in the header, in either case */
    bool is_numbered;
    uint64_t source;
    uint64_t number;
};

struct frame_range {
    uint64_t begin;
    uint64_t end; /* first one after it */
};

struct frame {
    enum frame_type type;
    uint32_t members; /* enum frame_member */
    struct frame_id id;
    enum frame_wish wish;
    uint64_t count;              /* ack: messages from id on, at least 1; absent = 1 */
    struct frame_slice reason;   /* printable ASCII but '"' and '\' */
    bool is_retry;               /* nack "retry": it may go another time */
    uint8_t nonce[16];           /* 32 hex digits */
    uint8_t session[16];         /* 32 hex digits */
    struct frame_slice identity; /* a JSON text, any value */
    struct frame_slice cookie;   /* characters as in reason */
    uint16_t port;               /* accept: of the session's own socket; absent = single port */
    bool is_fin;                 /* data: the body is the last of the stream */
    uint64_t number;             /* data "n": counts the datagrams of one side from 1 */
    uint64_t offset;             /* data: of the body's first byte in the stream */
    uint64_t ack;                /* data: everything before this offset has come */
    uint64_t window;             /* offset up to which the other side may send */
    uint64_t echo;               /* data: the highest number that has come */
    uint64_t delay_us;           /* data "delay": from when that came until this was sent */
    uint64_t token;              /* ping, pong: 16 hex digits */
    uint32_t n_sack;
    struct frame_slice body;
    size_t pad_bytes; /* frame_write only: the datagram is padded to this length */
    struct frame_range sack[FRAME_SACK_MAX]; /* data: a flat array of offsets [begin, end, ...],
                                                growing, behind ack; n_sack of them are set */
};

enum { FRAME_MALFORMED = 1 };

/*
 * Reads a whole datagram that begins with FRAME_START. 0, or FRAME_MALFORMED: no header, not an
 * object, a member that cannot be, a required member missing (of that type), or `crc` does not
 * match. For FRAME_MALFORMED nothing of *out may be used. Slices point into bytes.
 */
int frame_parse(const uint8_t *bytes, size_t n, struct frame *out)
    __attribute__((warn_unused_result));

/*
 * Writes a datagram: the members in f->members, is_fin, is_retry and the ranges of sack where they
 * are given, crc always. It is padded by its body where that is ignored (connect, ping, pong), else
 * in its header, by a `pad` member or white space. What the members hold must be within their
 * limits. Returns its length, or 0 if it does not fit into capacity, its header is
 * longer than FRAME_HEADER_MAX, or its type is FRAME_OTHER.
 */
size_t frame_write(const struct frame *f, uint8_t *buf, size_t capacity);

/* A frame's length without body and padding is at most this for a data frame without sack. */
#define FRAME_DATA_HEADER_MAX 320u

/*
 * Writes a batch that wants no answer in place: its header, texts behind it, and at the end the
 * checksum. n: bytes of the text, which must be one; of the whole datagram.
 */
#define FRAME_BATCH_HEADER_BYTES 35u
#define FRAME_BATCH_TEXT_EXTRA   2u /* bytes that a text takes beside its own */
void frame_batch_begin(uint8_t *buf);
void frame_batch_add(uint8_t *at, const void *text, size_t n);
void frame_batch_end(uint8_t *buf, size_t n);

/* Walks the body of a batch: RS text RS text... *at begins at 0. False: no more. An element may be
 * empty or no JSON: the caller looks. A body that does not begin with RS is one element. */
bool frame_batch_next(const struct frame_slice *body, size_t *at, struct frame_slice *text);

/* Tells a source and its number from a text. text: as struct frame_id has it, at most FRAME_ID_MAX
 * bytes; out->text points there. */
void frame_id_read(const void *text, size_t n, struct frame_id *out);
/* Writes the id of a source's message. Returns its length. */
size_t frame_id_print(uint64_t source, uint64_t number, char text[FRAME_ID_MAX]);

const char *frame_type_name(enum frame_type type); /* "send"; FRAME_OTHER: "" */

#endif
