/* SPDX-License-Identifier: MIT */
/* Varlink: frames out of a stream, calls and replies out of frames, and back. */
#include "proto/varlink.h"
#include "proto/json_text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

/* Feeds all bytes at once; they must fit the limit. */
static void feed(struct varlink_frames *f, const char *bytes, size_t n)
{
    while (n > 0) {
        uint8_t *room;
        size_t n_room;

        cr_assert_eq(varlink_frames_reserve(f, n, &room, &n_room), 0);
        cr_assert(n_room >= 1 && n_room <= n);
        memcpy(room, bytes, n_room);
        varlink_frames_commit(f, n_room);
        bytes += n_room;
        n -= n_room;
    }
}

static void expect_frame(struct varlink_frames *f, const char *wanted)
{
    size_t length = 0;
    char *frame = varlink_frames_next(f, &length);

    cr_assert_not_null(frame, "%s", wanted);
    cr_expect_str_eq(frame, wanted);
    cr_expect_eq(length, strlen(wanted));
}

static void expect_no_frame(struct varlink_frames *f)
{
    size_t length;

    cr_expect_null(varlink_frames_next(f, &length));
}

Test(varlink_frames, come_out_whole)
{
    struct varlink_frames f;

    varlink_frames_init(&f, 1000);
    expect_no_frame(&f);
    feed(&f, "{\"a\":1}\0\0{\"b\"", 13);
    cr_expect(varlink_frames_has_partial(&f));
    expect_frame(&f, "{\"a\":1}");
    expect_frame(&f, "");
    expect_no_frame(&f);
    cr_expect(varlink_frames_has_partial(&f));
    feed(&f, ":2}", 4);
    expect_frame(&f, "{\"b\":2}");
    cr_expect(!varlink_frames_has_partial(&f));
    expect_no_frame(&f);
    varlink_frames_deinit(&f);
}

Test(varlink_frames, hold_no_memory_when_idle)
{
    struct varlink_frames f;
    uint8_t *room;
    size_t n_room;

    varlink_frames_init(&f, 100000);
    feed(&f, "{}\0", 3);
    expect_frame(&f, "{}");
    expect_no_frame(&f);
    cr_expect_null(f.bytes);
    cr_assert_eq(varlink_frames_reserve(&f, 65536, &room, &n_room), 0);
    cr_expect_eq(n_room, 65536);
    varlink_frames_commit(&f, 0);
    cr_expect_null(f.bytes);
    varlink_frames_deinit(&f);
}

Test(varlink_frames, are_limited)
{
    for (size_t length = 98; length <= 102; length++) {
        struct varlink_frames f;
        uint8_t *room;
        size_t n_room;
        int r = 0;
        size_t n = 0;

        varlink_frames_init(&f, 100);
        for (; n <= length && r == 0; n++) {
            r = varlink_frames_reserve(&f, 4096, &room, &n_room);
            if (r == 0) {
                *room = n < length ? 'x' : '\0';
                varlink_frames_commit(&f, 1);
                if (n < length)
                    expect_no_frame(&f);
            }
        }
        cr_expect_eq(r, length <= 100 ? 0 : -EMSGSIZE, "%zu", length);
        cr_expect_eq(varlink_frames_next(&f, &n) != NULL, length <= 100);
        varlink_frames_deinit(&f);
    }
}

Test(varlink_call, is_parsed)
{
    static const struct {
        const char *text;
        int result;
        const char *method;
        unsigned flags; /* 1 oneway, 2 more, 4 upgrade */
        size_t n_parameters;
    } cases[] = {
        {"{\"method\":\"a.B\"}", 0, "a.B", 0, 0},
        {"{\"method\":\"a.B\",\"parameters\":{\"x\":1,\"y\":null}}", 0, "a.B", 0, 2},
        {"{\"method\":\"a.B\",\"parameters\":null,\"more\":null}", 0, "a.B", 0, 0},
        {"{\"method\":\"a.B\",\"oneway\":true}", 0, "a.B", 1, 0},
        {"{\"method\":\"a.B\",\"more\":true,\"oneway\":false}", 0, "a.B", 2, 0},
        {"{\"method\":\"a.B\",\"upgrade\":true,\"other\":[]}", 0, "a.B", 4, 0},
        {" {\"parameters\":{\"x\":\"\\u0000\"},\"method\":\"\"} ", 0, "", 0, 1},
        {"", -EINVAL, NULL, 0, 0},
        {"{}", -EINVAL, NULL, 0, 0},
        {"[]", -EINVAL, NULL, 0, 0},
        {"1", -EINVAL, NULL, 0, 0},
        {"{\"method\":null}", -EINVAL, NULL, 0, 0},
        {"{\"method\":1}", -EINVAL, NULL, 0, 0},
        {"{\"method\":\"a\\u0000b\"}", -EINVAL, NULL, 0, 0},
        {"{\"method\":\"a.B\",\"parameters\":[]}", -EINVAL, NULL, 0, 0},
        {"{\"method\":\"a.B\",\"more\":1}", -EINVAL, NULL, 0, 0},
        {"{\"method\":\"a.B\",\"oneway\":\"true\"}", -EINVAL, NULL, 0, 0},
        {"{\"method\":\"a.B\",\"method\":\"a.C\"}", -EINVAL, NULL, 0, 0},
        {"{\"method\":\"a.B\",\"parameters\":{\"x\":1,\"x\":2}}", -EINVAL, NULL, 0, 0},
        {"{\"method\":\"a.B\"} {}", -EINVAL, NULL, 0, 0},
        {"{\"method\":\"a.B\"", -EINVAL, NULL, 0, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].text;
        struct varlink_call call;

        cr_expect_eq(varlink_call_parse(text, strlen(text), &call), cases[i].result, "%s", text);
        if (cases[i].result < 0) {
            cr_expect(call.root == NULL && call.method == NULL && call.parameters == NULL);
            continue;
        }
        cr_expect_str_eq(call.method, cases[i].method);
        cr_expect_eq((unsigned)call.oneway | (unsigned)call.more << 1 | (unsigned)call.upgrade << 2,
                     cases[i].flags, "%s", text);
        cr_expect_eq(json_object_size(call.parameters), cases[i].n_parameters, "%s", text);
        varlink_call_deinit(&call);
        varlink_call_deinit(&call);
    }
}

Test(varlink_reply, is_parsed)
{
    static const struct {
        const char *text;
        int result;
        const char *error;
        bool continues;
    } cases[] = {
        {"{}", 0, NULL, false},
        {"{\"parameters\":{\"a\":1},\"continues\":true}", 0, NULL, true},
        {"{\"error\":\"a.B\"}", 0, "a.B", false},
        {"{\"error\":null}", 0, NULL, false},
        {"{\"error\":1}", -EINVAL, NULL, false},
        {"{\"continues\":0}", -EINVAL, NULL, false},
        {"{\"parameters\":1}", -EINVAL, NULL, false},
        {"null", -EINVAL, NULL, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].text;
        struct varlink_reply reply;

        cr_expect_eq(varlink_reply_parse(text, strlen(text), &reply), cases[i].result, "%s", text);
        if (cases[i].result < 0) {
            cr_expect(reply.root == NULL && reply.parameters == NULL);
            continue;
        }
        cr_expect(json_is_object(reply.parameters));
        cr_expect_eq(reply.continues, cases[i].continues);
        if (cases[i].error == NULL)
            cr_expect_null(reply.error);
        else
            cr_expect_str_eq(reply.error, cases[i].error);
        varlink_reply_deinit(&reply);
    }
}

Test(varlink, is_written_as_frames)
{
    static const char wanted[] =
        "{\"method\":\"a.B\",\"parameters\":{\"x\":1}}\0"
        "{\"method\":\"a.B\",\"oneway\":true,\"more\":true,\"parameters\":{}}\0"
        "{\"parameters\":{}}\0"
        "{\"continues\":true,\"parameters\":{\"y\":\"z\"}}\0"
        "{\"error\":\"a.E\",\"parameters\":{\"p\":null}}";
    struct json_writer w;

    json_writer_init(&w);
    varlink_begin_call(&w, "a.B", false, false);
    json_put_int(&w, "x", 1);
    varlink_end(&w);
    varlink_begin_call(&w, "a.B", true, true);
    varlink_end(&w);
    varlink_begin_reply(&w, false);
    varlink_end(&w);
    varlink_begin_reply(&w, true);
    json_put_string(&w, "y", "z");
    varlink_end(&w);
    varlink_begin_error(&w, "a.E");
    json_put_null(&w, "p");
    varlink_end(&w);
    cr_expect(w.length == sizeof wanted && memcmp(w.bytes, wanted, w.length) == 0, "%.*s",
              (int)w.length, w.bytes);
    json_writer_deinit(&w);
}
