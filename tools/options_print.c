/* SPDX-License-Identifier: MIT */
/* What a table of options yields for people and for bash. */
#include "tools/options.h"

#include <string.h>

#define HELP_COLUMN 30
#define HELP_WIDTH  80

/* Prints words from column HELP_COLUMN on, broken before HELP_WIDTH. */
static void print_wrapped(const char *text, FILE *out)
{
    size_t column = HELP_COLUMN;
    const char *gap = "";
    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        if (column + strlen(gap) + n > HELP_WIDTH) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
            gap = "";
        }
        fprintf(out, "%s%.*s", gap, (int)n, text);
        column += strlen(gap) + n;
        gap = " ";
        text += n + (text[n] == ' ');
    }
    fputc('\n', out);
}

static void print_option(const struct option_spec *spec, FILE *out)
{
    char head[64];
    char letter[8] = "    ";
    if (spec->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", spec->letter);
    snprintf(head, sizeof head, "  %s--%s%s%s%s", letter, spec->name,
             spec->argument == NULL ? ""
             : spec->is_optional    ? "[="
                                    : " ",
             spec->argument != NULL ? spec->argument : "", spec->is_optional ? "]" : "");
    if (strlen(head) >= HELP_COLUMN)
        fprintf(out, "%s\n%*s", head, HELP_COLUMN, "");
    else
        fprintf(out, "%-*s", HELP_COLUMN, head);
    print_wrapped(spec->help, out);
    if (spec->kind == OPTION_CHOICE)
        fprintf(out, "%*sone of: %s\n", HELP_COLUMN, "", spec->choices);
}

void options_print_help(const struct tool_spec *tool, FILE *out)
{
    fprintf(out, "Usage: %s [OPTION]...%s%s\n%s\n", tool->name, *tool->synopsis ? " " : "",
            tool->synopsis, tool->summary);
    if (tool->details != NULL)
        fprintf(out, "\n%s", tool->details);
    fprintf(out, "\nOptions:\n");
    const struct option_spec *spec;
    for (size_t i = 0; (spec = options_at(tool, i)) != NULL; i++)
        if (!spec->is_hidden)
            print_option(spec, out);
    fprintf(out, "\nThe manual page %s(1) has the details and examples.\n", tool->name);
}

static void print_cases(const struct tool_spec *tool, FILE *out)
{
    const struct option_spec *spec;
    for (size_t i = 0; (spec = options_at(tool, i)) != NULL; i++) {
        /* An argument that may be missing is no word of its own. */
        if (spec->is_hidden || spec->argument == NULL || spec->is_optional)
            continue;
        fprintf(out, "    --%s) ", spec->name);
        if (spec->kind == OPTION_CHOICE)
            fprintf(out, "COMPREPLY=($(compgen -W '%s' -- \"$cur\"))", spec->choices);
        else if (strcmp(spec->argument, "PATH") == 0 || strcmp(spec->argument, "FILE") == 0)
            fprintf(out, "COMPREPLY=($(compgen -f -- \"$cur\"))");
        else if (strcmp(spec->argument, "COMMAND") == 0)
            fprintf(out, "COMPREPLY=($(compgen -c -- \"$cur\"))");
        else if (strcmp(spec->argument, "NAME") == 0)
            fprintf(out, "COMPREPLY=($(compgen -W \"$(_%s_names)\" -- \"$cur\"))", tool->name);
        else
            fprintf(out, "COMPREPLY=()");
        fprintf(out, "; return ;;\n");
    }
}

static void print_operands(const struct tool_spec *tool, FILE *out)
{
    switch (tool->operand_kind) {
    case OPERANDS_NONE:
        break;
    case OPERANDS_NAMES:
    case OPERANDS_TARGET:
        fprintf(out, "    COMPREPLY=($(compgen -W \"$(_%s_names)\" -- \"$cur\"))\n", tool->name);
        break;
    case OPERANDS_VERBS:
        fprintf(out, "    COMPREPLY=($(compgen -W '");
        for (const char *const *verb = tool->verbs; *verb != NULL; verb++)
            fprintf(out, "%s%s", verb == tool->verbs ? "" : " ", *verb);
        fprintf(out, "'\" $(_%s_names)\" -- \"$cur\"))\n", tool->name);
        break;
    }
}

void options_print_completion(const struct tool_spec *tool, FILE *out)
{
    fprintf(
        out,
        "# SPDX-License-Identifier: MIT\n"
        "# bash completion for %s, made from its table of options\n\n"
        "_%s_names()\n{\n"
        "    msgls --json 2>/dev/null | grep -o '\"name\": *\"[a-z0-9._-]*\"' | cut -d '\"' -f 4\n"
        "}\n\n"
        "_%s()\n{\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
        "    case $prev in\n",
        tool->name, tool->name, tool->name);
    print_cases(tool, out);
    fprintf(out, "    esac\n    if [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W '");
    const struct option_spec *spec;
    for (size_t i = 0; (spec = options_at(tool, i)) != NULL; i++)
        if (!spec->is_hidden)
            fprintf(out, "%s--%s", i == 0 ? "" : " ", spec->name);
    fprintf(out, "' -- \"$cur\"))\n        return\n    fi\n");
    print_operands(tool, out);
    fprintf(out, "}\n\ncomplete -F _%s %s\n", tool->name, tool->name);
}
