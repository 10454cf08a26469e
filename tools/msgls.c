/* SPDX-License-Identifier: MIT */
/* msgls: who has which port, and what became of every datagram. */
#include "tools/ending.h"
#include "tools/listing.h"
#include "tools/tool.h"

#include "proto/json_input.h"
#include "proto/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Between the two looks that a rate takes. */
#define RATE_WINDOW_NS 200000000
#define WATCH_NS       1000000000

/* Where the width of the terminal is not known. */
#define USUAL_WIDTH 80

struct ls_options {
    struct common_options common;
    bool watch;
    bool drops;
};

static const struct option_spec specs[] = {
    {"watch", 'w', NULL, "show it again each second, until Ctrl-C", OPTION_FLAG,
     .offset = offsetof(struct ls_options, watch)},
    {"drops", 'd', NULL, "show how many messages were dropped for which reason", OPTION_FLAG,
     .offset = offsetof(struct ls_options, drops)},
};

static const struct tool_spec tool = {
    .name = "msgls",
    .summary = "Shows the endpoints of msgd, what waits in them, and what is wrong.",
    .synopsis = "[NAME...]",
    .details = "  NAME  show everything about these endpoints\n",
    .options = specs,
    .n_options = sizeof specs / sizeof specs[0],
    .operand_kind = OPERANDS_NAMES,
    .max_operands = SIZE_MAX,
};

struct lister {
    const struct ls_options *options;
    struct msgd *m;
    json_t *before;
    int64_t before_ns;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* An interruption ends it: the caller looks whether the tool is to end. */
static void sleep_ns(int64_t ns)
{
    const struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    nanosleep(&t, NULL);
}

static uint64_t read_rmem_max(void)
{
    unsigned long long value = 0;
    FILE *file = fopen("/proc/sys/net/core/rmem_max", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu", &value) != 1)
        value = 0;
    fclose(file);
    return value;
}

static json_t *parameters_of(const struct ls_options *o)
{
    json_t *parameters = json_object(), *names = json_array();
    if (o->common.n_operands == 0) {
        json_decref(names);
        return parameters;
    }
    bool is_good = names != NULL;
    for (size_t i = 0; i < o->common.n_operands && is_good; i++)
        is_good = json_array_append_new(names, json_string(o->common.operands[i])) == 0;
    if (is_good && json_object_set(parameters, "names", names) == 0) {
        json_decref(names);
        return parameters;
    }
    json_decref(names);
    json_decref(parameters);
    return NULL;
}

static bool has_name(const json_t *endpoints, const char *name)
{
    const json_t *endpoint;
    size_t i;
    json_array_foreach(endpoints, i, endpoint)
    {
        const char *found = json_string_value(json_object_get(endpoint, "name"));
        if (found != NULL && strcmp(found, name) == 0)
            return true;
    }
    return false;
}

/* 0 and *endpoints, sorted, to be released with json_decref; else the exit code. */
static int fetch(struct lister *l, json_t **endpoints)
{
    json_t *reply;
    const struct common_options *common = &l->options->common;
    int code = tool_call(l->m, "io.msgd.List", parameters_of(l->options), &reply);
    if (code != EXIT_DONE)
        return code;
    *endpoints = json_incref(json_object_get(reply, "endpoints"));
    json_decref(reply);
    if (*endpoints == NULL || listing_sort(*endpoints) != 0) {
        json_decref(*endpoints);
        return tool_fail(EXIT_SYSTEM, "%s", strerror(ENOMEM));
    }
    for (size_t i = 0; i < common->n_operands; i++)
        if (!has_name(*endpoints, common->operands[i])) {
            json_decref(*endpoints);
            return tool_fail(EXIT_NO_NAME,
                             "no endpoint is called \"%s\"; msgls shows those that exist",
                             common->operands[i]);
        }
    return EXIT_DONE;
}

/* The member of GetInfo's reply, to be released, or NULL: it is only for a warning. */
static json_t *fetch_store(const struct lister *l)
{
    char *text = NULL;
    json_t *info, *store;
    json_error_t fault;
    if (msgd_call(l->m, "io.msgd.GetInfo", NULL, &text) != 0)
        return NULL;
    int error = json_input_parse(text, strlen(text), 0, &info, &fault);
    free(text);
    if (error != 0)
        return NULL;
    store = json_incref(json_object_get(info, "store"));
    json_decref(info);
    return store;
}

static int print_endpoints(const struct lister *l, const struct listing *listing)
{
    const json_t *endpoint;
    size_t i;
    int error = 0;
    if (l->options->drops)
        return listing_print_drops(listing, stdout);
    if (l->options->common.n_operands == 0)
        return listing_print_table(listing, stdout);
    json_array_foreach(listing->endpoints, i, endpoint)
    {
        if (i > 0)
            fputc('\n', stdout);
        if (error == 0)
            error = listing_print_detail(listing, endpoint, stdout);
    }
    listing_print_database(listing, stdout);
    return error;
}

static int print_json(const json_t *endpoints)
{
    char *text = json_dumps(endpoints, JSON_COMPACT);
    if (text == NULL)
        return -ENOMEM;
    puts(text);
    free(text);
    return 0;
}

static int print(struct lister *l, const json_t *endpoints, int64_t at_ns)
{
    int width = tool_columns();
    json_t *store = l->options->common.json ? NULL : fetch_store(l);
    const struct listing listing = {
        .endpoints = endpoints,
        .store = store,
        .before = l->before,
        .seconds_between = (double)(at_ns - l->before_ns) / 1e9,
        .around = {.now_s = time(NULL), .rmem_max = read_rmem_max()},
        .layout = {.width = width > 0 ? (size_t)width : USUAL_WIDTH,
                   .has_utf8 = tool_has_utf8() && isatty(STDOUT_FILENO),
                   .has_colour = tool_has_colour()},
        .command_of = tool_command_of,
        .user_of = tool_user_of,
    };
    int error = l->options->common.json ? print_json(endpoints) : print_endpoints(l, &listing);
    fflush(stdout);
    json_decref(store);
    return error == 0 ? EXIT_DONE : tool_fail(EXIT_SYSTEM, "%s", strerror(-error));
}

/* Keeps an answer for the rates of the next. */
static void keep(struct lister *l, json_t *endpoints, int64_t at_ns)
{
    json_decref(l->before);
    l->before = endpoints;
    l->before_ns = at_ns;
}

static int list_once(struct lister *l)
{
    json_t *endpoints;
    int code = fetch(l, &endpoints);
    if (code != EXIT_DONE)
        return code;
    if (!l->options->common.json && !l->options->drops && json_array_size(endpoints) > 0) {
        keep(l, endpoints, now_ns());
        sleep_ns(RATE_WINDOW_NS);
        code = fetch(l, &endpoints);
        if (code != EXIT_DONE)
            return code;
    }
    code = print(l, endpoints, now_ns());
    json_decref(endpoints);
    return code;
}

/* The other screen of a terminal, so that what was there before comes back at the end. */
static void enter_screen(void)
{
    fputs("\033[?1049h\033[?25l", stdout);
}

static void leave_screen(void)
{
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
}

static int watch(struct lister *l)
{
    bool is_screen = isatty(STDOUT_FILENO) && !l->options->common.json;
    int code = EXIT_DONE;
    if (is_screen)
        enter_screen();
    while (code == EXIT_DONE && !ending_is_asked() && !ferror(stdout)) {
        json_t *endpoints;
        code = fetch(l, &endpoints);
        if (code != EXIT_DONE)
            break;
        if (is_screen)
            fputs("\033[H\033[2J", stdout);
        else if (l->before != NULL && !l->options->common.json)
            fputc('\n', stdout);
        int64_t at_ns = now_ns();
        code = print(l, endpoints, at_ns);
        keep(l, endpoints, at_ns);
        sleep_ns(WATCH_NS);
    }
    if (is_screen)
        leave_screen();
    return ending_is_asked() ? EXIT_DONE : code;
}

static int run(const struct ls_options *options)
{
    struct lister l = {.options = options};
    int error = options->watch ? ending_init() : 0;
    if (error != 0)
        return tool_fail(EXIT_SYSTEM, "%s", strerror(-error));
    int code = tool_connect(&options->common, &l.m);
    if (code == EXIT_DONE)
        code = options->watch ? watch(&l) : list_once(&l);
    json_decref(l.before);
    l.m = msgd_close(l.m);
    ending_deinit();
    return code;
}

static int check_names(const struct common_options *common)
{
    for (size_t i = 0; i < common->n_operands; i++)
        if (!name_is_valid(common->operands[i]))
            return tool_usage("NAME \"%s\": expected the name of an endpoint", common->operands[i]);
    return -1;
}

int main(int argc, char **argv)
{
    struct ls_options options = {0};
    int code = tool_begin(&tool, argc, argv, &options);
    if (code < 0)
        code = check_names(&options.common);
    if (code < 0)
        code = run(&options);
    return tool_end(&tool, &options, code);
}
