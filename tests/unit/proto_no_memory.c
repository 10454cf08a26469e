/* SPDX-License-Identifier: MIT */
/* Every allocation of the writer, of frames and of calls failed in turn: -ENOMEM, and no leak. */
#include "proto/json_input.h"
#include "proto/json_text.h"
#include "proto/text_sequence.h"
#include "proto/varlink.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

/* The linker sends the library's calls here (CMakeLists.txt, --wrap). */
void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_realloc(void *p, size_t n);

static unsigned long left; /* 0: none fails; the one that makes it 0 does */
static bool has_failed;

static bool fails(void)
{
    if (left == 0 || --left > 0)
        return false;
    return has_failed = true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

/* Runs it with the first, second, ... allocation failed, until none is left to fail. */
static void fail_each(int (*run)(void))
{
    for (unsigned long n = 1; n < 10000; n++) {
        has_failed = false;
        left = n;

        int r = run();

        left = 0;
        if (!has_failed) {
            cr_assert_eq(r, 0);
            cr_assert_gt(n, 1);
            return;
        }
        cr_assert_eq(r, -ENOMEM, "allocation %lu: %d", n, r);
    }
    cr_assert(false, "there is no end to it");
}

static int write_text(void)
{
    struct json_writer w;
    int r;

    json_writer_init(&w);
    json_begin_array(&w, NULL);
    for (int i = 0; i < 400; i++) {
        json_begin_object(&w, NULL);
        json_put_string(&w, "text", "a \"quoted\" one");
        json_put_base64(&w, "bytes", "abc", 3);
        json_put_double(&w, "number", 0.1 * i);
        json_end_object(&w);
    }
    json_end_array(&w);
    r = w.error;
    cr_assert(r < 0 || json_text_is_valid((uint8_t *)w.bytes, w.length));
    json_writer_deinit(&w);
    return r;
}

Test(proto_no_memory, of_a_writer)
{
    fail_each(write_text);
}

static int cut_frames(void)
{
    struct varlink_frames f;
    uint8_t *room;
    size_t n_room;
    size_t length;
    int r = 0;

    varlink_frames_init(&f, 100000);
    for (int i = 0; i < 40 && r == 0; i++) {
        r = varlink_frames_reserve(&f, 1000, &room, &n_room);
        if (r == 0) {
            memset(room, 'x', n_room);
            room[n_room - 1] = i % 20 == 19 ? '\0' : 'x';
            varlink_frames_commit(&f, n_room);
            while (varlink_frames_next(&f, &length) != NULL)
                cr_assert_eq(length, 19999);
        }
    }
    varlink_frames_deinit(&f);
    return r;
}

Test(proto_no_memory, of_frames)
{
    fail_each(cut_frames);
}

/* A call that failed goes on where it stopped. */
static int cut_texts(void)
{
    struct sequence_reader r;
    struct sequence_text text;
    uint8_t piece[1000];
    size_t taken;
    int step = 0;

    sequence_reader_init(&r, 100000, false);
    memset(piece, '1', sizeof piece);
    for (int i = 0; i < 20 && step >= 0; i++) {
        piece[0] = i == 0 ? SEQUENCE_START : '1';
        step = sequence_reader_take(&r, piece, sizeof piece, &taken, &text);
        cr_assert(step < 0 || taken == sizeof piece);
    }
    if (step >= 0) {
        cr_assert_eq(sequence_reader_take(&r, (const uint8_t *)"\n", 1, &taken, &text),
                     SEQUENCE_TEXT);
        cr_assert_eq(text.n, 20 * sizeof piece - 1);
    }
    sequence_reader_deinit(&r);
    return step < 0 ? step : 0;
}

Test(proto_no_memory, of_a_text_sequence)
{
    fail_each(cut_texts);
}

static int parse_call(void)
{
    static const char text[] = "{\"method\":\"io.msgd.List\",\"more\":true}";
    struct varlink_call call;
    int r = varlink_call_parse(text, sizeof text - 1, &call);

    cr_assert((r == 0) == (call.root != NULL));
    if (r == 0)
        cr_assert_str_eq(call.method, "io.msgd.List");
    varlink_call_deinit(&call);
    return r;
}

static int parse_reply(void)
{
    static const char text[] =
        "{\"parameters\":{\"name\":\"a long enough text\",\"list\":[1,2.5,{}]},"
        "\"continues\":true}";
    struct varlink_reply reply;
    int r = varlink_reply_parse(text, sizeof text - 1, &reply);

    cr_assert((r == 0) == (reply.root != NULL));
    if (r == 0)
        cr_assert_eq(json_object_size(reply.parameters), 2);
    varlink_reply_deinit(&reply);
    return r;
}

Test(proto_no_memory, of_calls_and_replies)
{
    json_input_guard();
    fail_each(parse_call);
    fail_each(parse_reply);
}
