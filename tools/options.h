/* SPDX-License-Identifier: MIT */
/*
 * The command line of a tool, described once: parsing, --help, bash completion and the check of the
 * man page all come from the same table.
 *
 * Options may stand before, between and after the operands; "--" ends them. An argument that starts
 * with '-' and a digit, and "-" alone, are operands, so that `msgsend sensor -5` sends a number.
 */
#ifndef MSGD_TOOLS_OPTIONS_H
#define MSGD_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What an option's argument is, and the type of the member that takes it. */
enum option_kind {
    OPTION_FLAG,    /* bool; no argument */
    OPTION_TEXT,    /* const char *: the argument itself */
    OPTION_LIST,    /* struct option_list: may be given several times */
    OPTION_INTEGER, /* int64_t, min to max */
    OPTION_BYTES,   /* int64_t, min to max; K, M and G stand for powers of 1,024 */
    OPTION_DECIMAL, /* double, min to max */
    OPTION_LEASE,   /* int64_t: seconds, or -1 for "forever" */
    OPTION_CHOICE,  /* int: the index of the argument in choices */
};

struct option_list {
    const char **items; /* ended by NULL; NULL: never given */
    size_t n;
};

struct option_spec {
    const char *name;     /* without the dashes */
    char letter;          /* its short form, 0: none */
    const char *argument; /* the name of its argument, NULL for flags */
    const char *help;
    enum option_kind kind;
    size_t offset;       /* of the member in the tool's struct of values */
    const char *choices; /* OPTION_CHOICE: the words, between spaces */
    double min, max;
    bool is_optional; /* OPTION_CHOICE: without "=WORD" it is the first of them */
    bool is_hidden;   /* neither in --help nor in the man page */
};

/* What the operands are, for completion. */
enum operand_kind { OPERANDS_NONE, OPERANDS_NAMES, OPERANDS_TARGET, OPERANDS_VERBS };

struct tool_spec {
    const char *name;
    const char *summary;
    const char *synopsis; /* the operands: "TARGET [PAYLOAD]" */
    const char *details;  /* about the operands, whole lines */
    const struct option_spec *options;
    size_t n_options;
    enum operand_kind operand_kind;
    const char *const *verbs; /* OPERANDS_VERBS: ended by NULL */
    size_t min_operands, max_operands;
};

/* The first member of each tool's struct of values. */
struct common_options {
    bool json;
    bool help;
    bool version;
    bool completion; /* print the bash completion of this tool */
    const char *socket;
    char **operands; /* in argv, whose order is changed for it */
    size_t n_operands;
};

/* Bytes for the sentence that says what is wrong with a command line. */
#define OPTIONS_ERROR_MAX 512

enum options_outcome { OPTIONS_WRONG = 1 };

/*
 * Parses argv into values, a struct that starts with struct common_options and holds the defaults.
 * With --help, --version or --completion nothing else is asked of the command line.
 * 0; OPTIONS_WRONG: error names the option, what was expected and where to look; -ENOMEM.
 */
int options_parse(const struct tool_spec *tool, int argc, char **argv, void *values,
                  char error[OPTIONS_ERROR_MAX]) __attribute__((warn_unused_result));

/* Frees the lists in values. */
void options_deinit(const struct tool_spec *tool, void *values);

/* What --help says. */
void options_print_help(const struct tool_spec *tool, FILE *out);

/* A bash completion script for the tool. */
void options_print_completion(const struct tool_spec *tool, FILE *out);

/* The option of that name among the tool's own and the common ones, or NULL. */
const struct option_spec *options_find(const struct tool_spec *tool, const char *name, size_t n);

/* The i-th option, the tool's own first, or NULL after the last. */
const struct option_spec *options_at(const struct tool_spec *tool, size_t i);

/*
 * The argument's value, stored where the spec says. 0; OPTIONS_WRONG: *expected describes what
 * would do, in buffer; -ENOMEM.
 */
int option_value_parse(const struct option_spec *spec, const char *text, void *values,
                       char expected[OPTIONS_ERROR_MAX]) __attribute__((warn_unused_result));

/*
 * The candidate that was most likely meant by word, or NULL if none is near: one that word begins,
 * or with at most two letters (a third of its length) inserted, left out, changed or swapped.
 */
const char *options_nearest(const char *word, size_t n, const char *const *candidates,
                            size_t n_candidates);

#endif
