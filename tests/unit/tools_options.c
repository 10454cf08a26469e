/* SPDX-License-Identifier: MIT */
/* Command lines of tools. */
#include "tools/options.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

struct values {
    struct common_options common;
    bool flag;
    const char *text;
    struct option_list list;
    int64_t integer;
    int64_t bytes;
    double decimal;
    int64_t lease;
    int choice;
    int optional;
};

#define AT(member) .offset = offsetof(struct values, member)

static const struct option_spec specs[] = {
    {"flag", 'f', NULL, "a flag", OPTION_FLAG, AT(flag)},
    {"text", 't', "TEXT", "a text", OPTION_TEXT, AT(text)},
    {"list", 0, "ITEM", "many", OPTION_LIST, AT(list)},
    {"count", 'n', "N", "a number", OPTION_INTEGER, AT(integer), .min = 1, .max = 65535},
    {"bytes", 0, "BYTES", "bytes", OPTION_BYTES, AT(bytes), .max = 4294967296.0},
    {"decimal", 'd', "S", "seconds", OPTION_DECIMAL, AT(decimal), .max = 100},
    {"lease", 0, "S", "lease", OPTION_LEASE, AT(lease), .max = 1000},
    {"choice", 0, "WORD", "choice", OPTION_CHOICE, AT(choice), "one two three"},
    {"optional", 0, "WORD", "choice", OPTION_CHOICE, AT(optional), "one two", .is_optional = true},
};

static const struct tool_spec tool = {
    .name = "tool",
    .summary = "Does things.",
    .synopsis = "NAME",
    .options = specs,
    .n_options = sizeof specs / sizeof *specs,
    .max_operands = 2,
};

#define MAX_WORDS 8

struct line {
    char error[OPTIONS_ERROR_MAX];
    struct values values;
    char *argv[MAX_WORDS + 1];
    int argc;
    int result;
};

static void parse(struct line *l, const char *const *words)
{
    memset(l, 0, sizeof *l);
    l->argv[l->argc++] = (char *)(uintptr_t) "tool";
    for (; words[l->argc - 1] != NULL; l->argc++)
        l->argv[l->argc] = (char *)(uintptr_t)words[l->argc - 1];
    l->result = options_parse(&tool, l->argc, l->argv, &l->values, l->error);
}

#define PARSE(l, ...) parse(l, (const char *const[]){__VA_ARGS__, NULL})

Test(tools_options, take_values_of_every_kind)
{
    struct line l;

    PARSE(&l, "-f", "--text=a=b", "-n7", "--bytes", "4K", "-d", ".5", "--choice");
    cr_expect_eq(l.result, OPTIONS_WRONG);
    PARSE(&l, "-ft", "x", "--count=65535", "--bytes", "4K", "-d.5", "--choice=two");
    cr_assert_eq(l.result, 0, "%s", l.error);
    cr_expect(l.values.flag);
    cr_expect_str_eq(l.values.text, "x");
    cr_expect_eq(l.values.integer, 65535);
    cr_expect_eq(l.values.bytes, 4096);
    cr_expect_eq(l.values.decimal, 0.5);
    cr_expect_eq(l.values.choice, 1);
    options_deinit(&tool, &l.values);
}

Test(tools_options, stand_anywhere_between_operands)
{
    struct line l;

    PARSE(&l, "first", "-f", "second", "--text", "-x");
    cr_assert_eq(l.result, 0, "%s", l.error);
    cr_expect_eq(l.values.common.n_operands, 2);
    cr_expect_str_eq(l.values.common.operands[0], "first");
    cr_expect_str_eq(l.values.common.operands[1], "second");
    cr_expect_str_eq(l.values.text, "-x");
}

Test(tools_options, leave_numbers_and_a_dash_to_the_operands)
{
    struct line l;

    PARSE(&l, "-5", "-");
    cr_assert_eq(l.result, 0, "%s", l.error);
    cr_expect_str_eq(l.values.common.operands[0], "-5");
    cr_expect_str_eq(l.values.common.operands[1], "-");
    PARSE(&l, "--", "--flag");
    cr_assert_eq(l.result, 0, "%s", l.error);
    cr_expect_not(l.values.flag);
    cr_expect_str_eq(l.values.common.operands[0], "--flag");
}

Test(tools_options, collect_what_may_be_given_several_times)
{
    struct line l;

    PARSE(&l, "--list", "a", "--list=b", "--list", "c");
    cr_assert_eq(l.result, 0, "%s", l.error);
    cr_assert_eq(l.values.list.n, 3);
    cr_expect_str_eq(l.values.list.items[2], "c");
    cr_expect_null(l.values.list.items[3]);
    options_deinit(&tool, &l.values);
    cr_expect_null(l.values.list.items);
}

Test(tools_options, say_what_is_wrong_and_where_to_look)
{
    static const struct {
        const char *name;
        const char *words[4];
        const char *said;
    } cases[] = {
        {"unknown", {"--nosuch"}, "--nosuch"},
        {"near", {"--cuont", "1"}, "did you mean --count?"},
        {"begun", {"--decim", "1"}, "did you mean --decimal?"},
        {"near with a value", {"--choic=two"}, "did you mean --choice?"},
        {"later versions", {"--ack"}, "unknown option --ack"},
        {"letter", {"-z"}, "-z"},
        {"no argument", {"--text"}, "needs an argument: TEXT"},
        {"empty", {"--text="}, "expected TEXT"},
        {"flag with one", {"--flag=1"}, "takes no argument"},
        {"not a number", {"--count", "x"}, "expected a number from 1 to 65535"},
        {"too small", {"--count", "0"}, "from 1 to 65535"},
        {"too large", {"--count", "65536"}, "from 1 to 65535"},
        {"past 64 bits", {"--count", "99999999999999999999"}, "from 1 to 65535"},
        {"sign", {"--count=-1"}, "from 1 to 65535"},
        {"suffix on a number", {"--count=1K"}, "from 1 to 65535"},
        {"trailing", {"--bytes=4Kx"}, "4M"},
        {"bytes beyond", {"--bytes=5G"}, "from 0 to 4294967296"},
        {"bytes past 64 bits", {"--bytes=9223372036854775807G"}, "from 0"},
        {"decimal", {"--decimal=1s"}, "from 0 to 100"},
        {"hexadecimal", {"--decimal=0x10"}, "from 0 to 100"},
        {"infinite", {"--decimal=inf"}, "from 0 to 100"},
        {"lease", {"--lease=never"}, "\"forever\""},
        {"choice", {"--choice=four"}, "one of: one two three"},
        {"part of a choice", {"--choice=on"}, "one of: one two three"},
        {"operands", {"a", "b", "c"}, "unexpected operand \"c\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct line l;
        parse(&l, cases[i].words);
        cr_expect_eq(l.result, OPTIONS_WRONG, "%s", cases[i].name);
        cr_expect_not_null(strstr(l.error, cases[i].said), "%s: %s", cases[i].name, l.error);
        cr_expect_not_null(strstr(l.error, "try 'tool --help'"), "%s: %s", cases[i].name, l.error);
        cr_expect_null(strchr(l.error, '\n'), "%s", cases[i].name);
    }
}

Test(tools_options, know_a_lease_of_zero_and_for_ever)
{
    struct line l;

    PARSE(&l, "--lease", "0");
    cr_expect_eq(l.result, 0);
    cr_expect_eq(l.values.lease, 0);
    PARSE(&l, "--lease", "forever");
    cr_expect_eq(l.result, 0);
    cr_expect_eq(l.values.lease, -1);
}

Test(tools_options, ask_for_nothing_else_with_help)
{
    static const struct tool_spec needy = {.name = "needy", .synopsis = "NAME", .min_operands = 1};
    char error[OPTIONS_ERROR_MAX];
    struct common_options values = {0};
    char *alone[] = {(char *)(uintptr_t) "needy", NULL};
    char *help[] = {(char *)(uintptr_t) "needy", (char *)(uintptr_t) "--help", NULL};

    cr_expect_eq(options_parse(&needy, 1, alone, &values, error), OPTIONS_WRONG);
    cr_expect_not_null(strstr(error, "NAME"));
    cr_expect_eq(options_parse(&needy, 2, help, &values, error), 0);
    cr_expect(values.help);
}

Test(tools_options, show_every_option_in_help_and_completion)
{
    static char help[8192], completion[8192];
    FILE *out = fmemopen(help, sizeof help, "w");
    options_print_help(&tool, out);
    fclose(out);
    out = fmemopen(completion, sizeof completion, "w");
    options_print_completion(&tool, out);
    fclose(out);

    const struct option_spec *spec;
    for (size_t i = 0; (spec = options_at(&tool, i)) != NULL; i++) {
        char text[64];
        snprintf(text, sizeof text, "--%s", spec->name);
        cr_expect_eq(strstr(help, text) != NULL, !spec->is_hidden, "%s", text);
        cr_expect_eq(strstr(completion, text) != NULL, !spec->is_hidden, "%s", text);
    }
    for (const char *line = help; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        cr_expect_leq(end != NULL ? end - line : 0, 80);
        line = end != NULL ? end + 1 : NULL;
    }
}

Test(tools_options, an_argument_that_may_be_missing_stands_behind_an_equals_sign)
{
    static struct line l;

    parse(&l, (const char *const[]){"--optional=two", NULL});
    cr_expect(l.result == 0 && l.values.optional == 1);
    memset(&l, 0, sizeof l);
    parse(&l, (const char *const[]){"--optional", "two", NULL});
    cr_expect(l.result == 0 && l.values.optional == 0, "%s", l.error);
    cr_expect(l.values.common.n_operands == 1 && strcmp(l.values.common.operands[0], "two") == 0);
    parse(&l, (const char *const[]){"--optional=three", NULL});
    cr_expect_eq(l.result, OPTIONS_WRONG);
}
