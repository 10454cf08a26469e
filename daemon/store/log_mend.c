/* SPDX-License-Identifier: MIT */
/* The log where a bit has flipped. */
#include "daemon/store/log_mend.h"

#include "daemon/store/log_frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC    0x377f0682u
#define PAGE_MAX 65536u

/*
 * One wrong bit in the salts, and all else right. (A wrong bit in the page could be computed from
 * the sum; but what a power cut has torn can look like one, and then the page would be wrong and
 * pass.) 1: the frame is what it was; 0: more is wrong, or it is no frame of this log.
 */
static bool mend_frame(const struct log *log)
{
    if (n_bits_between(log->frame + 8, log->salts, 8) != 1)
        return false;
    memcpy(log->frame + 8, log->salts, 8);
    return frame_is_good(log, log->sum, log->frame);
}

/* ---- The header ---- */

static bool is_header_good(struct log *log, const uint8_t *header)
{
    uint32_t magic = big_endian_at(header);

    log->is_big_endian = (magic & 1) != 0;
    log->page_bytes = big_endian_at(header + 8);
    return (magic & ~UINT32_C(1)) == MAGIC && log->page_bytes >= 512 &&
           log->page_bytes <= PAGE_MAX && (log->page_bytes & (log->page_bytes - 1)) == 0 &&
           sum_is(log_add(log, (struct sum){0, 0}, header, 24), sum_at(header + 24));
}

/* One wrong bit. Here, too, several may come into question: the first frame has the salts as well.
 */
static bool mend_log_header(struct log *log, uint8_t *header, const uint8_t *frame)
{
    for (unsigned bit = 0; bit < LOG_HEADER_BYTES * 8; bit++) {
        uint8_t mask = (uint8_t)(1u << bit % 8);

        header[bit / 8] ^= mask;
        if (is_header_good(log, header) && memcmp(header + 16, frame + 8, 8) == 0)
            return true;
        header[bit / 8] ^= mask;
    }
    return false;
}

/* 1: it is good now; 0: there is no log; -errno. */
static int begin(struct log *log, struct log_verdict *out)
{
    uint8_t bytes[LOG_HEADER_BYTES + FRAME_HEADER_BYTES], *frame = bytes + LOG_HEADER_BYTES;

    if (log->file->pMethods->xFileSize(log->file, &log->n_bytes) != SQLITE_OK)
        return -EIO;
    if (log->n_bytes < (sqlite3_int64)sizeof(bytes))
        return 0;
    if (log->file->pMethods->xRead(log->file, bytes, sizeof(bytes), 0) != SQLITE_OK)
        return -EIO;
    if (!is_header_good(log, bytes)) {
        if (!mend_log_header(log, bytes, frame))
            return 0;
        if (log_put(log, bytes, LOG_HEADER_BYTES, 0) < 0)
            return -EIO;
        out->n_mended++;
    }
    memcpy(log->salts, bytes + 16, 8);
    log->sum = sum_at(bytes + 24);
    return 1;
}

/* ---- All of it ---- */

/* 1: frame i, which has been read, is good or has been mended; 0: it is not; -errno. */
static int go_over(struct log *log, uint32_t i, struct log_verdict *out)
{
    int r;

    if (frame_is_good(log, log->sum, log->frame))
        return 1;
    if (!mend_frame(log))
        return 0;
    out->n_mended++;
    r = log_put(log, log->frame, FRAME_HEADER_BYTES, frame_at(log, i));
    return r < 0 ? r : 1;
}

/* Where it breaks off, but is in the database already, it is better without. */
static int settle(struct log *log, uint32_t i, struct log_verdict *out)
{
    static const uint8_t no_header[LOG_HEADER_BYTES];
    bool is_moved;
    int r = log_look_behind(log, i, &out->breaks_off, &is_moved);

    if (r < 0 || !is_moved)
        return r;
    out->breaks_off = false;
    out->n_mended++;
    return log_put(log, no_header, sizeof(no_header), 0);
}

static int mend_frames(struct log *log, struct log_verdict *out)
{
    uint32_t i = 0;
    int r;

    for (; (r = frame_read(log, i, log->frame)) > 0; i++) {
        r = go_over(log, i, out);
        if (r <= 0)
            break;
        log->sum = sum_at(log->frame + 16);
    }
    return r < 0 ? r : settle(log, i, out);
}

static int sync_log(const struct log *log)
{
    return log->file->pMethods->xSync(log->file, SQLITE_SYNC_NORMAL) == SQLITE_OK ? 0 : -EIO;
}

int log_mend(sqlite3 *db, struct log_verdict *out)
{
    struct log log = {0};
    size_t n_bytes;
    int r;

    *out = (struct log_verdict){0};
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log.file) != SQLITE_OK ||
        log.file == NULL || log.file->pMethods == NULL)
        return 0;
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &log.database);
    r = begin(&log, out);
    if (r <= 0)
        return r;
    n_bytes = FRAME_HEADER_BYTES + log.page_bytes;
    log.frame = malloc(2 * n_bytes);
    if (log.frame == NULL)
        return -ENOMEM;
    log.page = log.frame + n_bytes;
    r = mend_frames(&log, out);
    free(log.frame);
    if (r == 0 && out->n_mended > 0)
        r = sync_log(&log);
    return r;
}
