/* SPDX-License-Identifier: MIT */
/* Cuts a byte stream into JSON texts, and makes one of them. */
#include "proto/text_sequence.h"

#include "proto/json_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096u
/* What an idle reader may keep. */
#define IDLE_CAPACITY 65536u

void sequence_reader_init(struct sequence_reader *r, size_t max_text, bool has_marks)
{
    *r = (struct sequence_reader){.max_text = max_text, .has_marks = has_marks};
}

void sequence_reader_deinit(struct sequence_reader *r)
{
    free(r->bytes);
    sequence_reader_init(r, r->max_text, r->has_marks);
}

/* What was given out has been used. */
static void forget(struct sequence_reader *r)
{
    r->n = 0;
    if (r->capacity > IDLE_CAPACITY) {
        free(r->bytes);
        r->bytes = NULL;
        r->capacity = 0;
    }
}

/* Room for n more bytes, and for reading past them (JSON_TEXT_SLACK). */
static int make_room(struct sequence_reader *r, size_t n)
{
    size_t needed = r->n + n + JSON_TEXT_SLACK;
    size_t wanted = r->capacity > 0 ? r->capacity : FIRST_CAPACITY;

    while (wanted < needed)
        wanted *= 2;
    if (wanted == r->capacity)
        return 0;

    uint8_t *bytes = realloc(r->bytes, wanted);

    if (bytes == NULL)
        return -ENOMEM;
    r->bytes = bytes;
    r->capacity = wanted;
    return 0;
}

static int keep(struct sequence_reader *r, const uint8_t *bytes, size_t n)
{
    int error = n > 0 ? make_room(r, n) : 0;

    if (error == 0 && n > 0) {
        memcpy(r->bytes + r->n, bytes, n);
        r->n += n;
    }
    return error;
}

/* The first byte of a text, or a mark. */
static int begin(struct sequence_reader *r, uint8_t first)
{
    if (first == SEQUENCE_START)
        r->state = SEQUENCE_IN_TEXT;
    else if (r->has_marks && first == SEQUENCE_CANCEL)
        r->state = SEQUENCE_IN_REASON;
    else if (r->has_marks && first == SEQUENCE_FINISH)
        r->state = SEQUENCE_ENDED;
    else
        return -EBADMSG;
    return r->state == SEQUENCE_ENDED ? SEQUENCE_FINISHED : SEQUENCE_MORE;
}

/* A whole text, or reason. */
static int give(struct sequence_reader *r, const struct sequence_text *text,
                struct sequence_text *out)
{
    bool is_in_hand = text->bytes == r->bytes && text->n > 0;

    if (r->state == SEQUENCE_IN_REASON) {
        r->state = SEQUENCE_ENDED;
        *out = *text;
        return SEQUENCE_CANCELLED;
    }
    r->state = SEQUENCE_BETWEEN;
    if (is_in_hand ? !json_text_is_valid_padded(text->bytes, text->n)
                   : !json_text_is_valid(text->bytes, text->n))
        return -EBADMSG;
    *out = *text;
    return SEQUENCE_TEXT;
}

/* Inside of a text, or a reason. */
static int go_on(struct sequence_reader *r, const uint8_t *bytes, size_t n, size_t *taken,
                 struct sequence_text *out)
{
    const uint8_t *end = n > 0 ? memchr(bytes, '\n', n) : NULL;
    size_t n_piece = end != NULL ? (size_t)(end - bytes) : n;
    size_t limit = r->state == SEQUENCE_IN_REASON ? SEQUENCE_REASON_MAX : r->max_text;

    if (n_piece > limit - r->n)
        return -EMSGSIZE;
    if (end != NULL && r->n == 0) { /* in one piece: it is not copied */
        *taken += n_piece + 1;
        return give(r, &(struct sequence_text){bytes, n_piece}, out);
    }
    if (keep(r, bytes, n_piece) != 0)
        return -ENOMEM;
    *taken += n_piece;
    if (end == NULL)
        return SEQUENCE_MORE;
    ++*taken;
    return give(r, &(struct sequence_text){r->bytes, r->n}, out);
}

int sequence_reader_take(struct sequence_reader *r, const uint8_t *bytes, size_t n, size_t *taken,
                         struct sequence_text *out)
{
    *taken = 0;
    *out = (struct sequence_text){0};
    if (r->state == SEQUENCE_BETWEEN || r->state == SEQUENCE_ENDED)
        forget(r);
    if (r->state == SEQUENCE_ENDED || n == 0)
        return SEQUENCE_MORE;
    if (r->state == SEQUENCE_BETWEEN) {
        int step = begin(r, bytes[0]);
        if (step < 0)
            return step;
        *taken = 1;
        if (step != SEQUENCE_MORE)
            return step;
    }
    return go_on(r, bytes + *taken, n - *taken, taken, out);
}

bool sequence_reader_is_between(const struct sequence_reader *r)
{
    return r->state == SEQUENCE_BETWEEN;
}

/* ---- Writing ---- */

int sequence_writer_begin(struct sequence_writer *w, const void *text, size_t n)
{
    if (n > SEQUENCE_TEXT_MAX)
        return -EMSGSIZE;
    if (!json_text_is_valid(text, n))
        return -EBADMSG;
    *w = (struct sequence_writer){.text = text, .n = n, .left = n + SEQUENCE_FRAMING};
    return 0;
}

/* Copies text; line ends in it become spaces. */
static void copy_on_one_line(uint8_t *to, const uint8_t *from, size_t n)
{
    memcpy(to, from, n);
    for (uint8_t *c = to, *end = to + n; (c = memchr(c, '\n', (size_t)(end - c))) != NULL;)
        *c++ = ' ';
    for (uint8_t *c = to, *end = to + n; (c = memchr(c, '\r', (size_t)(end - c))) != NULL;)
        *c++ = ' ';
}

size_t sequence_writer_fill(struct sequence_writer *w, uint8_t *room, size_t n_room)
{
    size_t filled = 0;

    if (w->left == w->n + SEQUENCE_FRAMING && n_room > 0) {
        room[filled++] = SEQUENCE_START;
        w->left--;
    }
    if (w->left > 1 && filled < n_room) {
        size_t n = w->left - 1 < n_room - filled ? w->left - 1 : n_room - filled;
        copy_on_one_line(room + filled, w->text + (w->n + 1 - w->left), n);
        filled += n;
        w->left -= n;
    }
    if (w->left == 1 && filled < n_room) {
        room[filled++] = '\n';
        w->left = 0;
    }
    return filled;
}
