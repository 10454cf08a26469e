/* SPDX-License-Identifier: MIT */
/* What holds of a session at any moment. */
#include "tests/support/session_check.h"

#include "proto/session_state.h"

#define HOLDS(property)       \
    do {                      \
        if (!(property))      \
            return #property; \
    } while (0)

static const struct segment *at(const struct stream_out *o, uint64_t place)
{
    return &o->slots[place & o->mask];
}

/* The chain's length, or -1: its links are at odds, or a member does not belong. */
static int64_t count(const struct stream_out *o, const struct segment_list *list, int state)
{
    uint64_t before = SEGMENT_NONE, number = 0;
    int64_t n = 0;

    for (uint64_t p = list->first; p != SEGMENT_NONE; before = p, p = at(o, p)->next) {
        const struct segment *s = at(o, p);

        if (p < o->first || p >= o->end || s->previous != before || s->state != state)
            return -1;
        if (state == SEGMENT_IN_FLIGHT && s->number <= number)
            return -1;
        number = s->number;
        n++;
    }
    return before == list->last ? n : -1;
}

static const char *check_out(const struct stream_out *o)
{
    uint64_t offset = o->sent, n_bytes = 0;
    int64_t n[3] = {0};

    HOLDS(o->acked <= o->sent && o->sent <= o->written + o->is_finished);
    HOLDS(o->written - (o->acked < o->written ? o->acked : o->written) <= o->max_bytes);
    if (o->first < o->end)
        offset = at(o, o->first)->offset;
    HOLDS(o->first == o->end || offset <= o->acked);
    for (uint64_t p = o->first; p < o->end; p++) {
        const struct segment *s = at(o, p);

        HOLDS(s->offset == offset);
        HOLDS(s->n_bytes > 0 || s->is_end);
        HOLDS(!s->is_end || p + 1 == o->end);
        offset += s->n_bytes + s->is_end;
        n[s->state]++;
        if (s->state == SEGMENT_IN_FLIGHT)
            n_bytes += s->n_charged;
    }
    HOLDS(offset == o->sent);
    HOLDS(n_bytes == o->n_in_flight);
    HOLDS(count(o, &o->in_flight, SEGMENT_IN_FLIGHT) == n[SEGMENT_IN_FLIGHT]);
    HOLDS(count(o, &o->lost, SEGMENT_LOST) == n[SEGMENT_LOST]);
    return NULL;
}

static const char *check_in(const struct stream_in *in)
{
    uint64_t end = in->next, n_blocks = 0;

    HOLDS(in->consumed <= in->next && in->highest <= in->window);
    HOLDS(in->window <= in->consumed + in->max_bytes);
    HOLDS(in->n_ranges <= in->max_bytes / STREAM_IN_RANGE + 16);
    HOLDS(in->first + in->n_ranges <= in->capacity);
    for (uint32_t i = 0; i < in->n_ranges; i++) {
        const struct frame_range *r = &in->ranges[in->first + i];

        HOLDS(r->begin > end && r->end > r->begin);
        end = r->end;
    }
    for (uint64_t i = 0; in->blocks.table != NULL && i <= in->blocks.mask; i++)
        n_blocks += in->blocks.table[i] != NULL;
    HOLDS(n_blocks <= in->max_bytes / BLOCK_BYTES + 2);
    return NULL;
}

const char *session_check(const struct session *s)
{
    const char *broken = check_out(&s->out);

    if (broken == NULL)
        broken = check_in(&s->in);
    if (broken != NULL)
        return broken;
    HOLDS(s->congestion.window >= 2u * s->path.datagram_bytes);
    HOLDS(s->path.datagram_bytes <= s->max_datagram);
    HOLDS(s->loss.number <= s->last_number);
    HOLDS(s->state != SESSION_FAILED || s->reason[0] != '\0');
    HOLDS(s->state != SESSION_DONE || (stream_out_is_done(&s->out) && stream_in_has_end(&s->in)));
    return NULL;
}
