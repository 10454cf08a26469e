/* SPDX-License-Identifier: MIT */
/* JSON texts in a byte stream: cut out of it, and written into it. */
#include "proto/text_sequence.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTCOME_MAX 512

/* Feeds a stream in pieces and notes what comes out, such as "[1][2]finished". */
static void read_stream(struct sequence_reader *r, const char *stream, size_t n_piece,
                        char outcome[OUTCOME_MAX])
{
    size_t n = strlen(stream);
    struct sequence_text text;
    int step = 0;

    outcome[0] = '\0';
    for (size_t at = 0; at < n && step >= 0 && step < SEQUENCE_FINISHED;) {
        size_t taken, length = n_piece < n - at ? n_piece : n - at;
        char *now = outcome + strlen(outcome);
        /* of its own, so that a read past the end is found */
        uint8_t *piece = malloc(length);
        memcpy(piece, stream + at, length);
        step = sequence_reader_take(r, piece, length, &taken, &text);
        cr_assert(step != SEQUENCE_MORE || taken == length);
        cr_assert_leq(taken, length);
        at += taken;
        if (step == SEQUENCE_TEXT)
            sprintf(now, "[%.*s]", (int)text.n, (const char *)text.bytes);
        else if (step == SEQUENCE_FINISHED)
            strcpy(now, "finished");
        else if (step == SEQUENCE_CANCELLED)
            sprintf(now, "cancelled:%.*s", (int)text.n, (const char *)text.bytes);
        else if (step < 0)
            strcpy(now, step == -EBADMSG ? "bad" : step == -EMSGSIZE ? "too large" : "?");
        free(piece);
    }
}

static const struct stream {
    const char *name;
    const char *bytes;
    const char *outcome;
    bool has_marks;
    bool is_cut;
} streams[] = {
    {"nothing", "", "", false, false},
    {"one text", "\x1e{\"a\": 1}\n", "[{\"a\": 1}]", false, false},
    {"a few",
     "\x1e"
     "1\n\x1e\"two\"\n\x1e[3]\n",
     "[1][\"two\"][[3]]", false, false},
    {"white space around", "\x1e 1\t\r\n", "[ 1\t\r]", false, false},
    {"cut after its start", "\x1e", "", false, true},
    {"a cut number",
     "\x1e"
     "1\n\x1e"
     "12",
     "[1]", false, true},
    {"no start", "1\n", "bad", false, false},
    {"a line end too many",
     "\x1e"
     "1\n\n",
     "[1]bad", false, false},
    {"two starts",
     "\x1e\x1e"
     "1\n",
     "bad", false, false},
    {"no end before the next",
     "\x1e"
     "1\x1e"
     "2\n",
     "bad", false, false},
    {"an empty text", "\x1e\n", "bad", false, false},
    {"not JSON",
     "\x1e"
     "1\n\x1e{\n",
     "[1]bad", false, false},
    {"a line end inside", "\x1e[1,\n2]\n", "bad", false, false},
    {"as long as may be",
     "\x1e"
     "12345678901234567890\n",
     "[12345678901234567890]", false, false},
    {"longer",
     "\x1e"
     "123456789012345678901\n",
     "too large", false, false},
    {"finished",
     "\x1e"
     "1\n\x04",
     "[1]finished", true, false},
    {"finished at once", "\x04", "finished", true, false},
    {"cancelled",
     "\x1e"
     "1\n\x18idle for 30 s\n",
     "[1]cancelled:idle for 30 s", true, false},
    {"cancelled without a word", "\x18\n", "cancelled:", true, false},
    {"a mark in a text",
     "\x1e"
     "1\x04\n",
     "bad", true, false},
    {"a mark where there is none", "\x04", "bad", false, false},
    {"a reason where there is none", "\x18x\n", "bad", false, false},
};

Test(text_sequence, is_cut_alike_however_it_comes)
{
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        for (size_t n_piece = 1; n_piece <= 40; n_piece++) {
            const struct stream *s = &streams[i];
            struct sequence_reader r;
            char outcome[OUTCOME_MAX];

            sequence_reader_init(&r, 20, s->has_marks);
            read_stream(&r, s->bytes, n_piece, outcome);
            cr_expect_str_eq(outcome, s->outcome, "%s, %zu at a time: %s", s->name, n_piece,
                             outcome);
            if (strstr(outcome, "bad") == NULL && strchr("f", s->outcome[0]) == NULL &&
                !s->has_marks && strcmp(outcome, "too large") != 0)
                cr_expect_eq(sequence_reader_is_between(&r), !s->is_cut, "%s", s->name);
            sequence_reader_deinit(&r);
        }
    }
}

Test(text_sequence, takes_nothing_behind_a_mark)
{
    struct sequence_reader r;
    struct sequence_text text;
    size_t taken;

    sequence_reader_init(&r, 20, true);
    cr_expect_eq(sequence_reader_take(&r, (const uint8_t *)"\x04\x1e", 2, &taken, &text),
                 SEQUENCE_FINISHED);
    cr_expect_eq(taken, 1);
    cr_expect_eq(sequence_reader_take(&r, (const uint8_t *)"\x1e", 1, &taken, &text),
                 SEQUENCE_MORE);
    cr_expect_eq(taken, 0);
    cr_expect(!sequence_reader_is_between(&r));
    sequence_reader_deinit(&r);
}

Test(text_sequence, a_reason_has_its_bound)
{
    char stream[SEQUENCE_REASON_MAX + 4] = "\x18";
    char outcome[OUTCOME_MAX];
    struct sequence_reader r;

    memset(stream + 1, 'x', SEQUENCE_REASON_MAX + 1);
    sequence_reader_init(&r, 10, true);
    read_stream(&r, stream, sizeof stream, outcome);
    cr_expect_str_eq(outcome, "too large");
    sequence_reader_deinit(&r);
}

/* Writes the text in pieces of n_room bytes; returns the length of what came out. */
static size_t write_text(const char *text, size_t n_room, char *out)
{
    struct sequence_writer w = {0};
    size_t n, length = 0;

    cr_expect(sequence_writer_is_done(&w));
    cr_assert_eq(sequence_writer_begin(&w, text, strlen(text)), 0);
    while ((n = sequence_writer_fill(&w, (uint8_t *)out + length, n_room)) > 0)
        length += n;
    cr_expect(sequence_writer_is_done(&w));
    cr_expect_eq(length, strlen(text) + SEQUENCE_FRAMING);
    out[length] = '\0';
    return length;
}

Test(text_sequence, a_text_is_written_on_one_line)
{
    char out[64];

    for (size_t n_room = 1; n_room < 40; n_room++) {
        write_text("{\r\n  \"a\": \"\\n\",\n  \"b\": 1\n}\n", n_room, out);
        cr_expect_str_eq(out, "\x1e{    \"a\": \"\\n\",   \"b\": 1 } \n");
        write_text("1", n_room, out);
        cr_expect_str_eq(out, "\x1e"
                              "1\n");
    }
}

Test(text_sequence, what_is_no_text_is_not_written)
{
    static const struct {
        const char *name, *text;
    } cases[] = {{"empty", ""}, {"blank", " "}, {"a word", "hello"}, {"two", "1 2"}};
    struct sequence_writer w = {0};
    char *large = malloc(SEQUENCE_TEXT_MAX + 1);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(sequence_writer_begin(&w, cases[i].text, strlen(cases[i].text)), -EBADMSG,
                     "%s", cases[i].name);
        cr_expect(sequence_writer_is_done(&w));
    }
    memset(large, ' ', SEQUENCE_TEXT_MAX + 1);
    large[0] = '1';
    cr_expect_eq(sequence_writer_begin(&w, large, SEQUENCE_TEXT_MAX + 1), -EMSGSIZE);
    cr_expect_eq(sequence_writer_begin(&w, large, SEQUENCE_TEXT_MAX), 0);
    free(large);
}

Test(text_sequence, the_longest_text_goes_through_and_its_memory_with_it)
{
    struct sequence_writer w = {0};
    struct sequence_reader r;
    struct sequence_text text;
    uint8_t room[40000];
    char *large = malloc(SEQUENCE_TEXT_MAX);
    size_t n, taken;
    int step = SEQUENCE_MORE;

    memset(large, 'x', SEQUENCE_TEXT_MAX);
    large[0] = large[SEQUENCE_TEXT_MAX - 1] = '"';
    cr_assert_eq(sequence_writer_begin(&w, large, SEQUENCE_TEXT_MAX), 0);
    sequence_reader_init(&r, SEQUENCE_TEXT_MAX, false);
    while ((n = sequence_writer_fill(&w, room, sizeof room)) > 0) {
        cr_assert_eq(step, SEQUENCE_MORE);
        step = sequence_reader_take(&r, room, n, &taken, &text);
        cr_assert_eq(taken, n);
    }
    cr_assert_eq(step, SEQUENCE_TEXT);
    cr_expect_eq(text.n, SEQUENCE_TEXT_MAX);
    cr_expect(memcmp(text.bytes, large, text.n) == 0);
    cr_expect_eq(sequence_reader_take(&r, room, 0, &taken, &text), SEQUENCE_MORE);
    cr_expect_null(r.bytes);
    sequence_reader_deinit(&r);
    free(large);
}
