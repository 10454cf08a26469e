/* SPDX-License-Identifier: MIT */
/* Lines from a descriptor that is read when it has something: a pipe, a terminal, a file. */
#ifndef MSGD_TOOLS_LINES_H
#define MSGD_TOOLS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines {
    uint8_t *bytes; /* owned */
    size_t start;   /* of the line in hand */
    size_t scanned; /* no line end from start up to here */
    size_t length;
    size_t capacity;
    size_t limit;
    uint64_t number;  /* of the line given out last, from 1 */
    bool is_at_end;   /* nothing more comes */
    bool is_skipping; /* the rest of a line that is too long */
};

/* limit: bytes of the longest line, its end not counted. */
void lines_init(struct lines *l, size_t limit);
void lines_deinit(struct lines *l);

/*
 * Reads once, when no whole line is in hand. 0: something came, or the end (is_at_end); -EAGAIN;
 * -ENOMEM; what read(2) says.
 */
int lines_read(struct lines *l, int fd) __attribute__((warn_unused_result));

enum lines_outcome {
    LINES_NONE,     /* none is whole; at the end: there are no more */
    LINES_LINE,     /* *line has *n bytes, valid until the next lines_read */
    LINES_TOO_LONG, /* the line `number` is longer than the limit and is passed over */
};

/* The next line, without its end. The last one need not have an end. */
enum lines_outcome lines_next(struct lines *l, const uint8_t **line, size_t *n);

#endif
