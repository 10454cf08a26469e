/* SPDX-License-Identifier: MIT */
/*
 * A stream of JSON texts in the manner of RFC 7464: RS text LF, RS text LF... What the two byte
 * streams of a session carry; docs/protocol.md, section "Streams", is normative.
 *
 * LF ends a text, so a text lies on one line: a writer turns CR and LF in it, which can only be
 * white space there, into spaces. Neither RS nor a mark can stand in a JSON text.
 */
#ifndef MSGD_PROTO_TEXT_SEQUENCE_H
#define MSGD_PROTO_TEXT_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEQUENCE_TEXT_MAX   16777216u /* bytes of a text */
#define SEQUENCE_REASON_MAX 128u      /* bytes behind SEQUENCE_CANCEL */
#define SEQUENCE_FRAMING    2u        /* bytes that a text takes in the stream beside its own */

#define SEQUENCE_START 0x1e /* RS */
/* Marks, on the stream between msgd and a server only. Without one at its end the writer died. */
#define SEQUENCE_FINISH 0x04 /* EOT: the last text was the last */
#define SEQUENCE_CANCEL 0x18 /* CAN: the session has failed; the reason and LF follow */

/* ---- Reading ---- */

/* A text, or a reason, without what is around it. */
struct sequence_text {
    const uint8_t *bytes;
    size_t n;
};

/* Stream bytes in, whole texts out. An idle one holds little memory, a new one none. */
struct sequence_reader {
    uint8_t *bytes; /* of a text whose end is to come */
    size_t n;
    size_t capacity;
    size_t max_text;
    bool has_marks;
    enum { SEQUENCE_BETWEEN, SEQUENCE_IN_TEXT, SEQUENCE_IN_REASON, SEQUENCE_ENDED } state;
};

/* max_text: bytes of the longest text, at least 1; has_marks: the stream may end with one. */
void sequence_reader_init(struct sequence_reader *r, size_t max_text, bool has_marks);
void sequence_reader_deinit(struct sequence_reader *r);

enum sequence_step {
    SEQUENCE_MORE,      /* all of it was taken, and no text is whole */
    SEQUENCE_TEXT,      /* *out is the next text, and is JSON */
    SEQUENCE_FINISHED,  /* SEQUENCE_FINISH has come */
    SEQUENCE_CANCELLED, /* SEQUENCE_CANCEL has come; *out is the reason */
};

/*
 * Goes on reading: n bytes of the stream, of which it takes the first *taken, up to the end of the
 * next text. What *out shows lies in `bytes` or in the reader, and is valid as long as the former
 * and until the next call with this reader. After a mark nothing more is taken.
 * An enum sequence_step; -EBADMSG (what came is no such sequence, or a text is not JSON), -EMSGSIZE
 * (a text is longer than max_text): the stream is of no more use; -ENOMEM: try again, from *taken.
 */
int sequence_reader_take(struct sequence_reader *r, const uint8_t *bytes, size_t n, size_t *taken,
                         struct sequence_text *out) __attribute__((warn_unused_result));

/* May the stream end here? False: it was cut in the middle of a text. */
bool sequence_reader_is_between(const struct sequence_reader *r);

/* ---- Writing ---- */

/* One text on its way into a stream; a zeroed one is done. */
struct sequence_writer {
    const uint8_t *text; /* the caller's */
    size_t n;
    size_t left; /* bytes of the stream to come */
};

/*
 * Begins with a text, which must stay where it is until it is done. 0; -EBADMSG (not JSON),
 * -EMSGSIZE (longer than SEQUENCE_TEXT_MAX): nothing is begun.
 */
int sequence_writer_begin(struct sequence_writer *w, const void *text, size_t n)
    __attribute__((warn_unused_result));

/* The next bytes of the stream, as many as there are and as fit. Returns how many: 0, done. */
size_t sequence_writer_fill(struct sequence_writer *w, uint8_t *room, size_t n_room);

static inline bool sequence_writer_is_done(const struct sequence_writer *w)
{
    return w->left == 0;
}

#endif
