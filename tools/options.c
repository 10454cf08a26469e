/* SPDX-License-Identifier: MIT */
/* Parsing a command line by a table. */
#include "tools/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec common_specs[] = {
    {.name = "json",
     .help = "machine-readable output, keys as the manual documents them",
     .offset = offsetof(struct common_options, json)},
    {.name = "socket",
     .argument = "PATH",
     .kind = OPTION_TEXT,
     .help = "msgd's control socket (default: $MSGD_SOCKET, else the user's, else the system's)",
     .offset = offsetof(struct common_options, socket)},
    {.name = "help",
     .letter = 'h',
     .help = "show this help",
     .offset = offsetof(struct common_options, help)},
    {.name = "version",
     .letter = 'V',
     .help = "show the version",
     .offset = offsetof(struct common_options, version)},
    {.name = "completion",
     .is_hidden = true,
     .offset = offsetof(struct common_options, completion)},
};

const struct option_spec *options_at(const struct tool_spec *tool, size_t i)
{
    if (i < tool->n_options)
        return &tool->options[i];
    i -= tool->n_options;
    return i < sizeof common_specs / sizeof common_specs[0] ? &common_specs[i] : NULL;
}

const struct option_spec *options_find(const struct tool_spec *tool, const char *name, size_t n)
{
    const struct option_spec *spec;
    for (size_t i = 0; (spec = options_at(tool, i)) != NULL; i++)
        if (strlen(spec->name) == n && memcmp(spec->name, name, n) == 0)
            return spec;
    return NULL;
}

static const struct option_spec *find_letter(const struct tool_spec *tool, char letter)
{
    const struct option_spec *spec;
    for (size_t i = 0; (spec = options_at(tool, i)) != NULL; i++)
        if (spec->letter != 0 && spec->letter == letter)
            return spec;
    return NULL;
}

/* Where parsing stands. */
struct parse {
    const struct tool_spec *tool;
    char **argv;
    int argc;
    int next;
    void *values;
    char *error;
};

static int wrong(const struct parse *p, const char *what, const char *subject, const char *rest)
{
    snprintf(p->error, OPTIONS_ERROR_MAX, "%s %s%s; try '%s --help'", what, subject, rest,
             p->tool->name);
    return OPTIONS_WRONG;
}

#define MAX_CANDIDATES 64

static int wrong_name(const struct parse *p, const char *name, size_t n)
{
    const char *candidates[MAX_CANDIDATES];
    const struct option_spec *spec;
    size_t n_candidates = 0;
    for (size_t i = 0; (spec = options_at(p->tool, i)) != NULL; i++)
        if (!spec->is_hidden && n_candidates < MAX_CANDIDATES)
            candidates[n_candidates++] = spec->name;
    const char *near = options_nearest(name, n, candidates, n_candidates);
    char subject[128], rest[128] = "";
    snprintf(subject, sizeof subject, "--%.*s", (int)(n < 100 ? n : 100), name);
    if (near != NULL)
        snprintf(rest, sizeof rest, ", did you mean --%s?", near);
    return wrong(p, "unknown option", subject, rest);
}

static int take_value(struct parse *p, const struct option_spec *spec, const char *text)
{
    char expected[OPTIONS_ERROR_MAX];
    int error = option_value_parse(spec, text, p->values, expected);
    if (error != OPTIONS_WRONG)
        return error;
    snprintf(p->error, OPTIONS_ERROR_MAX, "--%s \"%.60s\": expected %.200s; try '%s --help'",
             spec->name, text, expected, p->tool->name);
    return OPTIONS_WRONG;
}

/* attached: the text after '=' or after a short option's letter, or NULL. */
static int take_option(struct parse *p, const struct option_spec *spec, const char *attached)
{
    char subject[80];
    snprintf(subject, sizeof subject, "--%.60s", spec->name);
    if (spec->argument == NULL) {
        if (attached != NULL)
            return wrong(p, "option", subject, " takes no argument");
        *(bool *)((char *)p->values + spec->offset) = true;
        return 0;
    }
    if (attached != NULL)
        return take_value(p, spec, attached);
    if (spec->is_optional) {
        *(int *)((char *)p->values + spec->offset) = 0;
        return 0;
    }
    if (p->next >= p->argc) {
        char rest[80];
        snprintf(rest, sizeof rest, " needs an argument: %.40s", spec->argument);
        return wrong(p, "option", subject, rest);
    }
    return take_value(p, spec, p->argv[p->next++]);
}

static int take_long(struct parse *p, const char *name)
{
    const char *equals = strchr(name, '=');
    size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct option_spec *spec = options_find(p->tool, name, n);
    if (spec == NULL)
        return wrong_name(p, name, n);
    return take_option(p, spec, equals != NULL ? equals + 1 : NULL);
}

static int take_letters(struct parse *p, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        const struct option_spec *spec = find_letter(p->tool, *letters);
        if (spec == NULL) {
            const char subject[] = {'-', *letters, '\0'};
            return wrong(p, "unknown option", subject, "");
        }
        bool has_rest = spec->argument != NULL && letters[1] != '\0';
        int error = take_option(p, spec, has_rest ? letters + 1 : NULL);
        if (error != 0 || has_rest)
            return error;
    }
    return 0;
}

static bool is_operand(const char *text)
{
    return text[0] != '-' || text[1] == '\0' || (text[1] >= '0' && text[1] <= '9') ||
           text[1] == '.';
}

static int parse_all(struct parse *p, struct common_options *common)
{
    bool has_ended = false;
    while (p->next < p->argc) {
        char *text = p->argv[p->next++];
        int error = 0;
        if (has_ended || is_operand(text))
            common->operands[common->n_operands++] = text;
        else if (strcmp(text, "--") == 0)
            has_ended = true;
        else
            error = text[1] == '-' ? take_long(p, text + 2) : take_letters(p, text + 1);
        if (error != 0)
            return error;
    }
    return 0;
}

static int check_operands(const struct parse *p, const struct common_options *common)
{
    if (common->help || common->version || common->completion)
        return 0;
    if (common->n_operands < p->tool->min_operands)
        return wrong(p, "missing operand: expected", p->tool->synopsis, "");
    if (common->n_operands > p->tool->max_operands) {
        char subject[80];
        snprintf(subject, sizeof subject, "\"%.60s\"", common->operands[p->tool->max_operands]);
        return wrong(p, "unexpected operand", subject,
                     p->tool->max_operands > 1 ? " (a text with spaces needs quotes)" : "");
    }
    return 0;
}

int options_parse(const struct tool_spec *tool, int argc, char **argv, void *values,
                  char error[OPTIONS_ERROR_MAX])
{
    struct common_options *common = values;
    struct parse p = {
        .tool = tool, .argv = argv, .argc = argc, .next = 1, .values = values, .error = error};
    /* Operands move to the front of argv: one never lies before the place where it is put. */
    common->operands = argv;
    common->n_operands = 0;
    int result = parse_all(&p, common);
    return result != 0 ? result : check_operands(&p, common);
}

void options_deinit(const struct tool_spec *tool, void *values)
{
    for (size_t i = 0; i < tool->n_options; i++)
        if (tool->options[i].kind == OPTION_LIST) {
            struct option_list *list =
                (struct option_list *)(void *)((char *)values + tool->options[i].offset);
            free(list->items);
            *list = (struct option_list){0};
        }
}
