/* SPDX-License-Identifier: MIT */
/* Cuts a byte stream into Varlink's frames. */
#include "proto/varlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096

void varlink_frames_init(struct varlink_frames *f, size_t limit)
{
    *f = (struct varlink_frames){.limit = limit};
}

static void release_memory(struct varlink_frames *f)
{
    free(f->bytes);
    varlink_frames_init(f, f->limit);
}

void varlink_frames_deinit(struct varlink_frames *f)
{
    release_memory(f);
}

/* Moves what is in hand to the front, over frames that have been given out. */
static void compact(struct varlink_frames *f)
{
    if (f->start == 0)
        return;
    memmove(f->bytes, f->bytes + f->start, f->length - f->start);
    f->length -= f->start;
    f->scanned -= f->start;
    f->start = 0;
}

static int grow(struct varlink_frames *f, size_t capacity)
{
    size_t wanted = f->capacity > 0 ? f->capacity : FIRST_CAPACITY;

    while (wanted < capacity)
        wanted *= 2;
    if (wanted == f->capacity)
        return 0;

    char *bytes = realloc(f->bytes, wanted);

    if (bytes == NULL)
        return -ENOMEM;
    f->bytes = bytes;
    f->capacity = wanted;
    return 0;
}

int varlink_frames_reserve(struct varlink_frames *f, size_t want, uint8_t **room, size_t *n_room)
{
    compact(f);
    if (f->length > f->limit)
        return -EMSGSIZE;

    /* one byte more than the limit, for the NUL: a frame that is too long never becomes whole */
    size_t allowed = f->limit - f->length + 1;
    size_t n = want < 1 ? 1 : want < allowed ? want : allowed;
    int r = grow(f, f->length + n);

    if (r < 0)
        return r;
    *room = (uint8_t *)f->bytes + f->length;
    *n_room = n;
    return 0;
}

void varlink_frames_commit(struct varlink_frames *f, size_t n)
{
    f->length += n;
    if (f->length == 0)
        release_memory(f);
}

char *varlink_frames_next(struct varlink_frames *f, size_t *length)
{
    if (f->start == f->length)
        release_memory(f);
    if (f->scanned == f->length)
        return NULL;

    char *end = memchr(f->bytes + f->scanned, '\0', f->length - f->scanned);

    if (end == NULL) {
        f->scanned = f->length;
        return NULL;
    }

    char *frame = f->bytes + f->start;

    *length = (size_t)(end - frame);
    f->start += *length + 1;
    f->scanned = f->start;
    return frame;
}

bool varlink_frames_has_partial(const struct varlink_frames *f)
{
    return f->start < f->length;
}
