/* SPDX-License-Identifier: MIT */
/* Ids of messages as the database keeps them. */
#include "daemon/core/remembered.h"

#include <errno.h>
#include <string.h>

#define KIND_RUN  1u
#define KIND_TEXT 2u
#define MAX_RUN   (UINT32_C(1) << 20) /* more cannot be in a row of the database */

struct run {
    uint64_t source;
    uint64_t first;
    uint32_t count;
};

#define RUN_BYTES (1 + 8 + 8 + 4)

static void put_run(uint8_t *at, const struct run *run)
{
    at[0] = KIND_RUN;
    memcpy(at + 1, &run->source, 8);
    memcpy(at + 9, &run->first, 8);
    memcpy(at + 17, &run->count, 4);
}

static void get_run(const uint8_t *at, struct run *run)
{
    memcpy(&run->source, at + 1, 8);
    memcpy(&run->first, at + 9, 8);
    memcpy(&run->count, at + 17, 4);
}

static bool add_number(struct remembered *r, const struct frame_id *id)
{
    struct run run;

    if (r->run > 0) {
        get_run(r->bytes + r->run - 1, &run);
        if (run.source == id->source && run.first + run.count == id->number &&
            run.count < MAX_RUN) {
            run.count++;
            put_run(r->bytes + r->run - 1, &run);
            return true;
        }
    }
    if (r->n + RUN_BYTES > r->capacity)
        return false;
    run = (struct run){.source = id->source, .first = id->number, .count = 1};
    put_run(r->bytes + r->n, &run);
    r->run = r->n + 1;
    r->n += RUN_BYTES;
    return true;
}

bool remembered_add(struct remembered *r, const struct frame_id *id)
{
    size_t n = id->text.n;

    if (id->is_numbered)
        return add_number(r, id);
    if (n > FRAME_ID_MAX || r->n + 2 + n > r->capacity)
        return false;
    r->bytes[r->n] = KIND_TEXT;
    r->bytes[r->n + 1] = (uint8_t)n;
    memcpy(r->bytes + r->n + 2, id->text.bytes, n);
    r->n += 2 + n;
    return true;
}

int remembered_each(const uint8_t *bytes, size_t n, remembered_seen seen, void *context)
{
    for (size_t at = 0; at < n;) {
        size_t left = n - at;
        if (bytes[at] == KIND_RUN && left >= RUN_BYTES) {
            struct run run;
            get_run(bytes + at, &run);
            if (run.count > MAX_RUN || run.first + run.count < run.first)
                return -EBADMSG;
            seen(context,
                 &(struct frame_id){.is_numbered = true, .source = run.source, .number = run.first},
                 run.count);
            at += RUN_BYTES;
        } else if (bytes[at] == KIND_TEXT && left >= 2 && bytes[at + 1] <= FRAME_ID_MAX &&
                   left >= 2 + (size_t)bytes[at + 1]) {
            struct frame_id id;
            frame_id_read(bytes + at + 2, bytes[at + 1], &id);
            seen(context, &id, 1);
            at += 2 + (size_t)bytes[at + 1];
        } else {
            return -EBADMSG;
        }
    }
    return 0;
}
