/* SPDX-License-Identifier: MIT */
/* Frames of SQLite's log. */
#include "daemon/store/log_frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Numbers ---- */

uint32_t big_endian_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t log_word_at(const struct log *log, const uint8_t *at)
{
    if (log->is_big_endian)
        return big_endian_at(at);
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

struct sum log_add(const struct log *log, struct sum s, const uint8_t *bytes, uint32_t n)
{
    for (uint32_t at = 0; at < n; at += 8) {
        s.a += log_word_at(log, bytes + at) + s.b;
        s.b += log_word_at(log, bytes + at + 4) + s.a;
    }
    return s;
}

struct sum sum_at(const uint8_t *at)
{
    return (struct sum){big_endian_at(at), big_endian_at(at + 4)};
}

unsigned n_bits_between(const uint8_t *x, const uint8_t *y, unsigned n)
{
    unsigned n_bits = 0;

    for (unsigned i = 0; i < n; i++)
        n_bits += (unsigned)__builtin_popcount((unsigned)(x[i] ^ y[i]));
    return n_bits;
}

/* ---- Files ---- */

int64_t frame_at(const struct log *log, uint32_t i)
{
    return LOG_HEADER_BYTES + (int64_t)i * (FRAME_HEADER_BYTES + log->page_bytes);
}

int frame_read(const struct log *log, uint32_t i, uint8_t *frame)
{
    int n = (int)(FRAME_HEADER_BYTES + log->page_bytes);

    if (frame_at(log, i) + n > log->n_bytes)
        return 0;
    return log->file->pMethods->xRead(log->file, frame, n, frame_at(log, i)) == SQLITE_OK ? 1
                                                                                          : -EIO;
}

int log_put(const struct log *log, const uint8_t *bytes, int n, int64_t at)
{
    const sqlite3_io_methods *m = log->file->pMethods;

    return m->xWrite(log->file, bytes, n, at) == SQLITE_OK ? 0 : -EIO;
}

/* ---- One frame ---- */

static struct sum frame_sum(const struct log *log, struct sum before, const uint8_t *frame)
{
    return log_add(log, log_add(log, before, frame, 8), frame + FRAME_HEADER_BYTES,
                   log->page_bytes);
}

bool frame_is_ours(const struct log *log, const uint8_t *frame)
{
    return n_bits_between(frame + 8, log->salts, 8) <= 1;
}

bool frame_is_good(const struct log *log, struct sum before, const uint8_t *frame)
{
    return memcmp(frame + 8, log->salts, 8) == 0 && big_endian_at(frame) != 0 &&
           sum_is(frame_sum(log, before, frame), sum_at(frame + 16));
}

/* ---- What lies behind one that is not good ---- */

/* The pages of all frames of this log, in order; behind the last commit there are none. */
struct pages {
    uint32_t *numbers;
    uint32_t n;
};

/* What a frame says its sum is goes on into the next one's, but where that is what is wrong. */
static int list_pages(struct log *log, uint32_t bad, struct pages *out)
{
    uint32_t n_most = (uint32_t)(log->n_bytes / (FRAME_HEADER_BYTES + log->page_bytes));
    struct sum sum = log->sum, computed = log->sum;
    int r;

    *out = (struct pages){.numbers = calloc((size_t)n_most + 1, sizeof(uint32_t))};
    if (out->numbers == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; (r = frame_read(log, i, log->frame)) > 0; i++) {
        if (!frame_is_ours(log, log->frame))
            break;
        out->numbers[i] = big_endian_at(log->frame);
        if (i > bad && big_endian_at(log->frame + 4) != 0 &&
            (frame_is_good(log, sum, log->frame) || frame_is_good(log, computed, log->frame)))
            out->n = i + 1;
        sum = sum_at(log->frame + 16);
        computed = i == bad ? frame_sum(log, log->sum, log->frame) : sum;
    }
    return r < 0 ? r : 0;
}

/* Is the page of frame i in the database as it is there, or has a later frame put it aside? */
static int is_in_database(struct log *log, uint32_t i, const struct pages *pages)
{
    sqlite3_int64 at = ((sqlite3_int64)pages->numbers[i] - 1) * log->page_bytes;
    int r;

    for (uint32_t later = i + 1; later < pages->n; later++)
        if (pages->numbers[later] == pages->numbers[i])
            return 1;
    r = frame_read(log, i, log->frame);
    if (r <= 0 || pages->numbers[i] == 0)
        return r;
    return log->database->pMethods->xRead(log->database, log->page, (int)log->page_bytes, at) ==
               SQLITE_OK &&
           memcmp(log->page, log->frame + FRAME_HEADER_BYTES, log->page_bytes) == 0;
}

int log_look_behind(struct log *log, uint32_t bad, bool *breaks_off, bool *is_moved)
{
    struct pages pages;
    int r = list_pages(log, bad, &pages);

    *breaks_off = r == 0 && pages.n > 0;
    *is_moved = *breaks_off && log->database != NULL;
    for (uint32_t i = 0; i < pages.n && r >= 0 && *is_moved; i++) {
        r = i == bad ? 1 : is_in_database(log, i, &pages);
        *is_moved = r > 0;
    }
    free(pages.numbers);
    return r < 0 ? r : 0;
}
