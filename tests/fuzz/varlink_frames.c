/* SPDX-License-Identifier: MIT */
/* However a stream is split, the same frames come out, and one that is too long ends it. */
#include "proto/varlink.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>

struct stream {
    const uint8_t *data;
    size_t size;
    size_t at; /* bytes that have come out as frames */
    size_t limit;
};

/* Each frame must be what stands in the stream at this place. */
static void take_frames(struct varlink_frames *f, struct stream *s)
{
    size_t length;
    char *frame;

    while ((frame = varlink_frames_next(f, &length)) != NULL) {
        HOLDS(length <= s->limit && length < s->size - s->at);
        HOLDS(memcmp(frame, s->data + s->at, length + 1) == 0 && strlen(frame) == length);
        memset(frame, 'x', length);
        s->at += length + 1;
    }
}

/* Feeds all of it in pieces; the piece sizes come from the seed. Returns 0 or -EMSGSIZE. */
static int feed(struct varlink_frames *f, struct stream *s, unsigned seed)
{
    for (size_t fed = 0; fed < s->size;) {
        size_t want = 1 + (seed = seed * 1103515245 + 12345) / 65536 % 40;
        uint8_t *room;
        size_t n_room;
        int r = varlink_frames_reserve(f, want, &room, &n_room);

        if (r < 0)
            return r;
        HOLDS(n_room >= 1 && n_room <= want);
        if (n_room > s->size - fed)
            n_room = s->size - fed;
        memcpy(room, s->data + fed, n_room);
        varlink_frames_commit(f, n_room);
        fed += n_room;
        take_frames(f, s);
        HOLDS(varlink_frames_has_partial(f) == (s->at < fed));
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;

    struct stream s = {data + 3, size - 3, 0, 1 + data[2]};
    struct varlink_frames f;

    varlink_frames_init(&f, s.limit);

    int r = feed(&f, &s, data[0] * 256u + data[1]);
    size_t rest = s.size - s.at;
    const uint8_t *end = memchr(s.data + s.at, '\0', rest);

    /* what did not come out is a frame without an end, or one that is too long */
    HOLDS(end == NULL || (size_t)(end - s.data) - s.at > s.limit);
    HOLDS(r == 0 || (r == -EMSGSIZE && rest > s.limit));
    HOLDS(s.at < s.size || r < 0 || f.bytes == NULL);
    varlink_frames_deinit(&f);
    return 0;
}
