/* SPDX-License-Identifier: MIT */
/* The table of endpoints, and of drops. */
#include "tools/listing.h"

#include "tools/database.h"
#include "tools/figures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const json_t *endpoint)
{
    const char *name = json_string_value(json_object_get(endpoint, "name"));
    return name != NULL ? name : "";
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(name_of(*(const json_t *const *)a), name_of(*(const json_t *const *)b));
}

int listing_sort(json_t *endpoints)
{
    size_t n = json_array_size(endpoints);
    json_t **all = calloc(n + 1, sizeof(json_t *));
    if (all == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        all[i] = json_incref(json_array_get(endpoints, i));
    qsort(all, n, sizeof(json_t *), compare_names);
    /* Each place is taken by a reference that was made above. */
    for (size_t i = 0; i < n; i++)
        json_array_set_new(endpoints, i, all[i]);
    free(all);
    return 0;
}

/* The endpoint of that name in a sorted array, or NULL. */
static const json_t *find(const json_t *endpoints, const char *name)
{
    size_t low = 0, high = json_array_size(endpoints);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const json_t *endpoint = json_array_get(endpoints, middle);
        int order = strcmp(name_of(endpoint), name);
        if (order == 0)
            return endpoint;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

double listing_rate(const struct listing *l, const struct endpoint *e)
{
    struct endpoint before;
    const json_t *found = l->before != NULL ? find(l->before, e->name) : NULL;
    if (found == NULL || l->seconds_between <= 0)
        return 0;
    endpoint_read(found, &before);
    return e->received > before.received
               ? (double)(e->received - before.received) / l->seconds_between
               : 0;
}

const char *listing_consumer(const struct listing *l, const struct endpoint *e,
                             char buf[LISTING_CONSUMER_MAX])
{
    size_t n = json_array_size(e->consumers);
    const json_t *pid = json_object_get(json_array_get(e->consumers, 0), "pid");
    if (n == 0)
        return "-";
    if (n > 1)
        snprintf(buf, LISTING_CONSUMER_MAX, "%zu consumers", n);
    else if (!json_is_integer(pid))
        snprintf(buf, LISTING_CONSUMER_MAX, "1 consumer");
    else {
        const char *command = l->command_of((int)json_integer_value(pid));
        snprintf(buf, LISTING_CONSUMER_MAX, "%lld%s%s", (long long)json_integer_value(pid),
                 command != NULL ? " " : "", command != NULL ? command : "");
    }
    return buf;
}

static const char *owner_of(const struct listing *l, const struct endpoint *e)
{
    if (e->owner_user != NULL)
        return e->owner_user;
    return e->owner_uid >= 0 ? l->user_of(e->owner_uid) : "-";
}

static int add_row(const struct listing *l, const struct endpoint *e, struct table *t)
{
    char address[ENDPOINT_ADDRESS_MAX], queued[FIGURE_MAX], rate[FIGURE_MAX], dropped[FIGURE_MAX];
    char consumer[LISTING_CONSUMER_MAX];
    const char *const cells[] = {
        e->name,
        endpoint_address(e, address),
        e->state,
        owner_of(l, e),
        figure_count(e->queued + e->spooled, queued),
        figure_rate(listing_rate(l, e), rate),
        figure_count(e->dropped + e->kernel_dropped, dropped),
        listing_consumer(l, e, consumer),
    };
    return table_add(t, cells);
}

struct trouble_context {
    const struct listing *l;
    FILE *out;
};

static void print_trouble(void *context, const char *sentence)
{
    const struct trouble_context *c = context;
    layout_print(&c->l->layout, sentence, 4, c->out);
}

void listing_print_troubles(const struct listing *l, const struct endpoint *e, FILE *out)
{
    struct trouble_context context = {.l = l, .out = out};
    endpoint_troubles(e, &l->around, print_trouble, &context);
}

void listing_print_database(const struct listing *l, FILE *out)
{
    char found[DATABASE_TEXT_MAX], advice[DATABASE_TEXT_MAX];
    char line[2 * DATABASE_TEXT_MAX + 16];
    const char *state = json_string_value(json_object_get(l->store, "state"));
    /* Damage of long ago stays, and is for msgctl check-host to name. */
    if (state == NULL || strcmp(state, "open") == 0)
        return;
    if (database_advice(l->store, advice) == NULL)
        return;
    snprintf(line, sizeof line, "the database %s; %s", database_found(l->store, found), advice);
    layout_print(&l->layout, line, 4, out);
}

static void print_all_troubles(const struct listing *l, FILE *out)
{
    const json_t *json;
    size_t i;
    if (l->layout.has_colour)
        fputs("\033[33m", out);
    listing_print_database(l, out);
    json_array_foreach(l->endpoints, i, json)
    {
        struct endpoint e;
        endpoint_read(json, &e);
        listing_print_troubles(l, &e, out);
    }
    if (l->layout.has_colour)
        fputs("\033[0m", out);
}

int listing_print_table(const struct listing *l, FILE *out)
{
    static const struct table_column columns[] = {
        {"NAME", false, 10}, {"ADDRESS", false, 15}, {"STATE", false, 0},  {"OWNER", false, 4},
        {"QUEUED", true, 0}, {"RATE", true, 0},      {"DROPPED", true, 0}, {"CONSUMER", false, 8},
    };
    struct table t;
    const json_t *json;
    size_t i;
    int error = 0;
    table_init(&t, columns, sizeof columns / sizeof columns[0]);
    json_array_foreach(l->endpoints, i, json)
    {
        struct endpoint e;
        endpoint_read(json, &e);
        if (error == 0)
            error = add_row(l, &e, &t);
    }
    if (error == 0) {
        table_print(&t, &l->layout, out);
        print_all_troubles(l, out);
    }
    table_deinit(&t);
    return error;
}

static int add_drop(struct table *t, const struct endpoint *e, const char *reason, uint64_t count,
                    const char *meaning)
{
    char text[FIGURE_MAX];
    const char *const cells[] = {e->name, reason, figure_exact(count, text), meaning};
    return count == 0 ? 0 : table_add(t, cells);
}

static int add_drops(struct table *t, const struct endpoint *e)
{
    const char *reason;
    json_t *count;
    int error =
        add_drop(t, e, "kernel_dropped", e->kernel_dropped, "the kernel's receive buffer was full");
    json_object_foreach((json_t *)(uintptr_t)e->drops, reason, count) if (error == 0) error =
        add_drop(t, e, reason, (uint64_t)json_integer_value(count), drop_meaning(reason));
    return error;
}

int listing_print_drops(const struct listing *l, FILE *out)
{
    static const struct table_column columns[] = {
        {"NAME", false, 10}, {"REASON", false, 0}, {"DROPPED", true, 0}, {"MEANING", false, 20}};
    struct table t;
    const json_t *json;
    size_t i;
    int error = 0;
    table_init(&t, columns, sizeof columns / sizeof columns[0]);
    json_array_foreach(l->endpoints, i, json)
    {
        struct endpoint e;
        endpoint_read(json, &e);
        if (error == 0)
            error = add_drops(&t, &e);
    }
    if (error == 0)
        table_print(&t, &l->layout, out);
    table_deinit(&t);
    return error;
}
