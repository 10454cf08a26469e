/* SPDX-License-Identifier: MIT */
/* Cuts what is read into lines. */
#include "tools/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 65536u

void lines_init(struct lines *l, size_t limit)
{
    *l = (struct lines){.limit = limit};
}

void lines_deinit(struct lines *l)
{
    free(l->bytes);
    lines_init(l, l->limit);
}

/* Moves the line in hand to the front, and makes room behind it. */
static int make_room(struct lines *l)
{
    if (l->start > 0) {
        memmove(l->bytes, l->bytes + l->start, l->length - l->start);
        l->length -= l->start;
        l->scanned -= l->start;
        l->start = 0;
    }
    size_t wanted = l->capacity > 0 ? l->capacity : READ_BYTES;
    while (wanted - l->length < READ_BYTES)
        wanted *= 2;
    if (wanted == l->capacity)
        return 0;
    uint8_t *bytes = realloc(l->bytes, wanted);
    if (bytes == NULL)
        return -ENOMEM;
    l->bytes = bytes;
    l->capacity = wanted;
    return 0;
}

int lines_read(struct lines *l, int fd)
{
    int error = make_room(l);
    if (error != 0)
        return error;
    ssize_t n = read(fd, l->bytes + l->length, l->capacity - l->length);
    if (n < 0)
        return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
    l->length += (size_t)n;
    l->is_at_end = n == 0;
    return 0;
}

/* A line is given out, or the rest of one that was too long ends here. */
static enum lines_outcome give(struct lines *l, size_t n, size_t n_end, const uint8_t **line,
                               size_t *n_line)
{
    *line = l->bytes + l->start;
    *n_line = n;
    l->start += n + n_end;
    l->scanned = l->start;
    l->number++;
    bool is_too_long = l->is_skipping || n > l->limit;
    l->is_skipping = false;
    return is_too_long ? LINES_TOO_LONG : LINES_LINE;
}

enum lines_outcome lines_next(struct lines *l, const uint8_t **line, size_t *n)
{
    if (l->scanned < l->length) {
        const uint8_t *end = memchr(l->bytes + l->scanned, '\n', l->length - l->scanned);
        if (end != NULL)
            return give(l, (size_t)(end - l->bytes) - l->start, 1, line, n);
    }
    l->scanned = l->length;
    size_t left = l->length - l->start;
    if (l->is_at_end && (left > 0 || l->is_skipping))
        return give(l, left, 0, line, n);
    if (left > l->limit) { /* it need not be kept */
        l->is_skipping = true;
        l->start = l->length;
    }
    return LINES_NONE;
}
