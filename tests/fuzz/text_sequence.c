/* SPDX-License-Identifier: MIT */
/* However a stream is split, the same texts come out, and writing them makes the same stream. */
#include "proto/text_sequence.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>

/* A text written in pieces is what stands in the stream, but for its carriage returns. */
static void write_again(const struct sequence_text *text, const uint8_t *stream, size_t n_room)
{
    struct sequence_writer w = {0};
    uint8_t room[32];
    size_t n, at = 0;

    HOLDS(sequence_writer_begin(&w, text->bytes, text->n) == 0);
    while ((n = sequence_writer_fill(&w, room, n_room)) > 0) {
        HOLDS(n <= n_room);
        for (size_t i = 0; i < n; i++)
            HOLDS(room[i] == (stream[at + i] == '\r' ? ' ' : stream[at + i]));
        at += n;
    }
    HOLDS(at == text->n + SEQUENCE_FRAMING && sequence_writer_is_done(&w));
}

struct outcome {
    size_t at; /* bytes taken */
    size_t n_texts;
    int step;
};

/* seed 0: all at once, else in pieces. */
static struct outcome feed(struct sequence_reader *r, const uint8_t *stream, size_t size,
                           unsigned seed)
{
    struct outcome o = {0};
    size_t begun = 0;

    while (o.at < size && o.step >= 0 && o.step < SEQUENCE_FINISHED) {
        size_t piece = seed == 0 ? size : 1 + (seed = seed * 1103515245 + 12345) / 65536 % 40;
        size_t taken;
        struct sequence_text text;

        piece = piece < size - o.at ? piece : size - o.at;
        o.step = sequence_reader_take(r, stream + o.at, piece, &taken, &text);
        HOLDS(taken <= piece && (o.step != SEQUENCE_MORE || taken == piece));
        o.at += taken;
        if (o.step != SEQUENCE_TEXT)
            continue;
        HOLDS(text.n <= r->max_text && text.n + SEQUENCE_FRAMING == o.at - begun);
        write_again(&text, stream + begun, 1 + seed / 7 % 32);
        begun = o.at;
        o.n_texts++;
    }
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;

    struct outcome outcomes[2];

    for (int i = 0; i < 2; i++) {
        struct sequence_reader r;
        sequence_reader_init(&r, 1 + data[2] / 2u, data[2] % 2 != 0);
        outcomes[i] = feed(&r, data + 3, size - 3, i * (1 + data[0] * 256u + data[1]));
        sequence_reader_deinit(&r);
    }
    /* a bad stream ends at the same text; how much of it was taken depends on its pieces */
    HOLDS(outcomes[0].n_texts == outcomes[1].n_texts);
    HOLDS((outcomes[0].step < 0) == (outcomes[1].step < 0));
    HOLDS(outcomes[0].step < 0 || outcomes[0].at == outcomes[1].at);
    return 0;
}
