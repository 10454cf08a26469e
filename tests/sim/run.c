/* SPDX-License-Identifier: MIT */
/* How a simulation is run, and how one that failed is had again. */
#include "tests/sim/network.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *program = "sim";
static const char *run_part = "";
static uint64_t run_seed;

static void refuse(void)
{
    fprintf(stderr, "usage: %s [--long] [--only PART] [--seed N]\n", program);
    exit(64);
}

void sim_options_parse(struct sim_options *o, int argc, char **argv)
{
    *o = (struct sim_options){0};
    program = argv[0];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--long") == 0) {
            o->is_long = true;
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            o->only = argv[++i];
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            char *end;
            errno = 0;
            o->seed = strtoull(argv[++i], &end, 0);
            o->has_seed = errno == 0 && end != argv[i] && *end == '\0';
            if (!o->has_seed)
                refuse();
        } else {
            refuse();
        }
    }
}

bool sim_is_wanted(const struct sim_options *o, const char *part)
{
    return o->only == NULL || strstr(part, o->only) != NULL;
}

void sim_begin(const char *part, uint64_t seed)
{
    run_part = part;
    run_seed = seed;
}

void sim_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\nagain: %s --only '%s' --seed %llu\n", program, run_part,
            (unsigned long long)run_seed);
    va_end(arguments);
    abort();
}
