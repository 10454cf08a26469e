/* SPDX-License-Identifier: MIT */
/*
 * State that outlives its process: fields to bytes and back. One function for each struct walks its
 * fields, and does both: what is written is what is read, and each field's bounds stand once.
 *
 *     magic (4)  version (4)  fields...  CRC-32C of all before it (4)
 *
 * Integers are little-endian. Moments are kept as how long ago, or how long until then, so that the
 * clock stands still between saving and loading, and another clock will do. The first error stays:
 * whoever walks looks once, at the end; what was read wrongly is 0.
 */
#ifndef MSGD_PROTO_ARCHIVE_H
#define MSGD_PROTO_ARCHIVE_H

#include "proto/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARCHIVE_NEVER UINT64_MAX /* a moment that does not come */

struct archive {
    uint8_t *out;      /* saving */
    const uint8_t *in; /* loading; NULL: saving */
    size_t at;         /* saving: goes on behind the capacity, which tells the length */
    size_t capacity;
    uint64_t now_ns;
    int error;
};

/* What it is, and of which layout. */
struct archive_kind {
    char magic[4];
    uint32_t version;
};

/* Begins to save; out: capacity bytes, the caller's. NULL and 0: only tells how long it will be. */
void archive_save(struct archive *a, const struct archive_kind *kind, uint64_t now_ns, void *out,
                  size_t capacity);
/* Ends it. Returns the length, also where that did not fit; 0: a field is out of its bounds. */
size_t archive_finish(struct archive *a);

/* Begins to load. bytes: the caller's until it is done. Checks the frame: -EBADMSG; -EPROTO: a
 * version that this program does not know; else 0. */
int archive_load(struct archive *a, const struct archive_kind *kind, uint64_t now_ns,
                 const void *bytes, size_t n) __attribute__((warn_unused_result));
/* Everything has been read, without an error: 0, else that error. */
int archive_end(struct archive *a) __attribute__((warn_unused_result));

static inline bool archive_is_loading(const struct archive *a)
{
    return a->in != NULL;
}

/* The first error counts. */
void archive_fail(struct archive *a, int error);
/* What was loaded cannot be. */
void archive_require(struct archive *a, bool holds);

void archive_uint(struct archive *a, uint64_t *value, uint64_t max);
void archive_uint32(struct archive *a, uint32_t *value, uint32_t max);
void archive_flag(struct archive *a, bool *value);
void archive_real(struct archive *a, double *value, double min, double max);
/* A moment of the past; 0: none. */
void archive_past(struct archive *a, uint64_t *ns);
/* One that is to come; ARCHIVE_NEVER stays that, and what has passed is now. */
void archive_due(struct archive *a, uint64_t *ns);
/* n bytes as they are. */
void archive_bytes(struct archive *a, void *bytes, size_t n);
/* Of size bytes with its NUL; printable ASCII but '"' and '\'. */
void archive_text(struct archive *a, char *text, size_t size);
/* IPv4 or IPv6. */
void archive_address(struct archive *a, struct address *address);
/* ADDRESS_NONE as well. */
void archive_any_address(struct archive *a, struct address *address);

/* Loading: the next n bytes, where they lie; NULL: there are not so many. */
const uint8_t *archive_take(struct archive *a, size_t n);
/* Loading: how many bytes are left. */
size_t archive_left(const struct archive *a);

#endif
