/* SPDX-License-Identifier: MIT */
/* Lines out of a pipe, however they come. */
#include "tools/lines.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What comes out of the stream when it comes n_piece bytes at a time, such as "[a][b]!3[c]". */
static void cut(const char *stream, size_t n_piece, char out[256])
{
    struct lines l;
    int fds[2];
    size_t n = strlen(stream), at = 0;

    cr_assert_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    lines_init(&l, 5);
    out[0] = '\0';
    while (!l.is_at_end || at < n) {
        size_t length = n_piece < n - at ? n_piece : n - at;
        const uint8_t *line;
        size_t n_line;
        enum lines_outcome outcome;
        if (length == 0) {
            close(fds[1]);
        } else {
            cr_assert_eq(write(fds[1], stream + at, length), (ssize_t)length);
        }
        at += length;
        cr_assert_eq(lines_read(&l, fds[0]), 0);
        while ((outcome = lines_next(&l, &line, &n_line)) != LINES_NONE) {
            if (outcome == LINES_LINE)
                sprintf(out + strlen(out), "[%.*s]", (int)n_line, (const char *)line);
            else
                sprintf(out + strlen(out), "!%d", (int)l.number);
        }
    }
    close(fds[0]);
    lines_deinit(&l);
}

Test(tools_lines, come_out_alike_however_they_come)
{
    static const struct {
        const char *name, *stream, *lines;
    } cases[] = {
        {"nothing", "", ""},
        {"one", "a\n", "[a]"},
        {"without its end", "a\nb", "[a][b]"},
        {"empty ones", "\n\na\n", "[][][a]"},
        {"as long as may be", "12345\n6", "[12345][6]"},
        {"too long", "a\n123456\nb\n", "[a]!2[b]"},
        {"much too long", "1234567890123456789012345678901234567890\nb\n", "!1[b]"},
        {"too long, without its end", "a\n123456", "[a]!2"},
        {"a carriage return stays", "a\r\n", "[a\r]"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t n_piece = 1; n_piece < 45; n_piece++) {
            char out[256];
            cut(cases[i].stream, n_piece, out);
            cr_expect_str_eq(out, cases[i].lines, "%s, %zu at a time: %s", cases[i].name, n_piece,
                             out);
        }
}

Test(tools_lines, a_descriptor_that_has_nothing_is_no_end)
{
    struct lines l;
    int fds[2];

    cr_assert_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    lines_init(&l, 5);
    cr_expect_eq(lines_read(&l, fds[0]), -EAGAIN);
    cr_expect(!l.is_at_end);
    cr_expect_eq(lines_read(&l, -1), -EBADF);
    close(fds[0]);
    close(fds[1]);
    lines_deinit(&l);
}
