/* SPDX-License-Identifier: MIT */
/*
 * Nanoseconds of CPU that JSON validators take for a text: ours, simdjson's DOM parse, yajl and
 * jansson, as far as they are installed.
 *
 *     validator [--rounds N] [--only WORKLOAD]
 *
 * Prints one JSON object: {"WORKLOAD": {"bytes": B, "VALIDATOR": [ns of each round], ...}, ...}.
 * In a round each validator goes over all texts of a workload in turn, so that what else the
 * machine does hits all of them.
 */
#include "bench/validator_texts.h"
#include "proto/json_text.h"

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef HAVE_YAJL
#include <yajl_parse.h>
#endif

/* Of the texts of one workload: more than a branch predictor remembers. */
#define TOTAL_BYTES (512 * 1024)
/* A validator's part of a round, at least. */
#define ROUND_NS   2e6
#define MAX_ROUNDS 99

struct validator {
    const char *name;
    bool (*is_valid)(const uint8_t *bytes, size_t n);
};

static bool jansson_is_valid(const uint8_t *bytes, size_t n)
{
    json_t *root = json_loadb((const char *)bytes, n, JSON_ALLOW_NUL, NULL);

    json_decref(root);
    return root != NULL;
}

#ifdef HAVE_YAJL
static bool yajl_is_valid(const uint8_t *bytes, size_t n)
{
    yajl_handle handle = yajl_alloc(NULL, NULL, NULL);
    bool is_valid = yajl_parse(handle, bytes, n) == yajl_status_ok &&
                    yajl_complete_parse(handle) == yajl_status_ok;

    yajl_free(handle);
    return is_valid;
}
#endif

#ifdef HAVE_SIMDJSON
bool simdjson_is_valid(const uint8_t *bytes, size_t n);
#endif

static const struct validator validators[] = {
    {"msgd", json_text_is_valid_padded},
    {"msgd_unpadded", json_text_is_valid},
#ifdef HAVE_SIMDJSON
    {"simdjson", simdjson_is_valid},
#endif
#ifdef HAVE_YAJL
    {"yajl", yajl_is_valid},
#endif
    {"jansson", jansson_is_valid},
};

#define N_VALIDATORS (sizeof validators / sizeof *validators)

static const struct workload {
    const char *name;
    enum texts_kind kind;
    size_t size;
} workloads[] = {
    {"60", TEXTS_MIXED, 60},
    {"241", TEXTS_MIXED, 241},
    {"969", TEXTS_MIXED, 969},
    {"same_60", TEXTS_SAME, 60},
    {"same_241", TEXTS_SAME, 241},
    {"same_969", TEXTS_SAME, 969},
    {"string_4096", TEXTS_STRING, 4096},
    {"nesting_700", TEXTS_NESTING, 700},
    {"numbers_969", TEXTS_NUMBERS, 969},
    {"non_ascii_969", TEXTS_NON_ASCII, 969},
    {"indented_969", TEXTS_INDENTED, 969},
};

/* Of this thread alone: what others on the machine take is not counted. */
static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One pass over all texts. Exits if one of them is refused: all are valid. */
static void validate_all(const struct validator *v, const struct texts *t)
{
    bool is_valid = true;

    for (size_t i = 0; i < t->n_texts; i++)
        is_valid &= v->is_valid(t->memory + t->offsets[i], t->lengths[i]);
    if (!is_valid) {
        fprintf(stderr, "validator: %s refuses a valid text\n", v->name);
        exit(70);
    }
}

static double ns_per_text(const struct validator *v, const struct texts *t)
{
    double start = cpu_ns(), spent = 0;
    unsigned passes = 0;

    while (spent < ROUND_NS) {
        validate_all(v, t);
        passes++;
        spent = cpu_ns() - start;
    }
    return spent / passes / (double)t->n_texts;
}

static void workload_run(const struct workload *w, unsigned rounds)
{
    static double ns[N_VALIDATORS][MAX_ROUNDS];
    struct texts texts;

    texts_init(&texts, w->kind, w->size, TOTAL_BYTES);
    for (size_t i = 0; i < N_VALIDATORS; i++)
        validate_all(&validators[i], &texts);
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t i = 0; i < N_VALIDATORS; i++)
            ns[i][round] = ns_per_text(&validators[i], &texts);
    }
    printf("\"%s\": {\"bytes\": %zu", w->name, texts.n_bytes / texts.n_texts);
    for (size_t i = 0; i < N_VALIDATORS; i++) {
        printf(", \"%s\": [", validators[i].name);
        for (unsigned round = 0; round < rounds; round++)
            printf("%s%.2f", round > 0 ? ", " : "", ns[i][round]);
        printf("]");
    }
    printf("}");
    texts_deinit(&texts);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"rounds", 1, NULL, 'r'}, {"only", 1, NULL, 'o'}, {NULL, 0, NULL, 0}};
    unsigned long rounds = 9;
    const char *only = NULL, *separator = "{";
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'r')
            rounds = strtoul(optarg, NULL, 10);
        else if (option == 'o')
            only = optarg;
        else
            return 64;
    }
    if (rounds < 1 || rounds > MAX_ROUNDS)
        return 64;
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        if (only != NULL && strcmp(only, workloads[i].name) != 0)
            continue;
        printf("%s", separator);
        workload_run(&workloads[i], (unsigned)rounds);
        separator = ",\n";
    }
    puts("}");
    return 0;
}
