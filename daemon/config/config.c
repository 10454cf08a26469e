/* SPDX-License-Identifier: MIT */
/* The configuration: reading its files. */
#include "daemon/config/config.h"
#include "daemon/config/config_keys.h"
#include "daemon/core/registry.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ENDPOINTS_DIRECTORY "endpoints.d"

/* The files stay until all is read, so that the last check can say where something stands. */
struct loader {
    struct config *config;
    struct config_error *error;
    struct document *documents; /* one for each of config->files */
    bool has_main;              /* the first is the configuration, the others endpoints */
};

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

void config_deinit(struct config *config)
{
    for (size_t i = 0; i < config->n_endpoints; i++) {
        settings_deinit(&config->endpoints[i].settings);
        principals_deinit(&config->endpoints[i].owners);
    }
    free(config->endpoints);
    policy_deinit(&config->policy);
    free_texts(config->files, config->n_files);
    free(config->file);
    free(config->endpoints_directory);
    free(config->socket_path);
    free(config->state_directory);
    *config = (struct config){0};
}

/* ---- Files ---- */

/* Adds a document that is empty until it is loaded. */
static int add_file(struct loader *l, const char *path)
{
    struct config *config = l->config;
    size_t n = config->n_files;
    char **files = reallocarray(config->files, n + 1, sizeof(files[0]));
    struct document *documents;

    if (!files)
        return -ENOMEM;
    config->files = files;
    documents = reallocarray(l->documents, n + 1, sizeof(documents[0]));
    if (!documents)
        return -ENOMEM;
    l->documents = documents;
    files[n] = strdup(path);
    if (!files[n])
        return -ENOMEM;
    documents[n] = (struct document){.file = files[n]};
    config->n_files++;
    return 0;
}

static int load_file(struct loader *l, const char *path, bool is_main)
{
    struct reader r = {.config = l->config, .error = l->error};
    struct document *d;
    int outcome = add_file(l, path);

    if (outcome != 0)
        return outcome;
    d = &l->documents[l->config->n_files - 1];
    outcome = document_load(d, d->file, l->error);
    if (outcome != 0)
        return outcome;
    r.document = d;
    if (is_main)
        return config_keys_read(&r, d->root);
    return json_is_array(d->root) ? read_endpoints(&r, d->root, NULL)
                                  : read_endpoint(&r, d->root, NULL);
}

static int is_endpoint_file(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0;
}

/* By bytes, so that the order is the same in every locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_named(struct loader *l, const char *directory, const char *name)
{
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path))
        return document_refuse_file(directory, l->error, "a shorter path");
    return load_file(l, path, false);
}

static int load_directory(struct loader *l, const char *directory)
{
    struct dirent **entries = NULL;
    int n = scandir(directory, &entries, is_endpoint_file, compare_names);
    int outcome = 0;

    if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (n < 0 && errno == ENOMEM)
        return -ENOMEM;
    if (n < 0)
        return document_refuse_file(directory, l->error, "a directory that can be read: %s",
                                    strerrordesc_np(errno));
    for (int i = 0; i < n; i++) {
        if (outcome == 0)
            outcome = load_named(l, directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return outcome;
}

/* ---- What only the whole can say: no two endpoints in one place ---- */

/* Where the name of an endpoint stands. */
static void locate(const struct loader *l, const struct config_endpoint *e, int *line, int *column)
{
    const struct config *config = l->config;
    const struct place endpoints = {.key = "endpoints"};
    struct place element = {.in = NULL};
    struct place name = {.key = "name"};
    size_t file = 0;

    while (config->files[file] != e->file)
        file++;
    while (e > config->endpoints && e[-1].file == e->file) {
        element.index++;
        e--;
    }
    if (file == 0 && l->has_main)
        element.in = &endpoints;
    if (element.in || json_is_array(l->documents[file].root))
        name.in = &element;
    document_locate(&l->documents[file], &name, REFUSED_VALUE, line, column);
}

static int refuse_pair(const struct loader *l, const struct config_endpoint *e,
                       const struct entry *same, const char *what)
{
    const struct config_endpoint *earlier = same->control;
    int line, column;

    locate(l, earlier, &line, &column);
    document_refuse_file(e->file, l->error, "%s than \"%s\" (%.120s:%d) has", what,
                         earlier->settings.name, earlier->file, line);
    locate(l, e, &l->error->line, &l->error->column);
    return CONFIG_REFUSED;
}

static int add_to_check(struct loader *l, struct registry *registry, struct config_endpoint *e)
{
    struct settings place = {.address = e->settings.address};
    struct entry *same = registry_find(registry, e->settings.name);
    int error;

    if (same)
        return refuse_pair(l, e, same, "another name");
    same = registry_overlapping(registry, &e->settings.address, NULL);
    if (same)
        return refuse_pair(l, e, same, "another address and port");
    memcpy(place.name, e->settings.name, sizeof(place.name));
    error = registry_insert(registry, &place, NULL, (struct owner){0}, 0, &same);
    if (error == 0)
        same->control = e;
    return error;
}

static int check_places(struct loader *l)
{
    struct registry *registry;
    int outcome = registry_new(&registry, (struct port_span){0}, 0);

    for (size_t i = 0; outcome == 0 && i < l->config->n_endpoints; i++)
        outcome = add_to_check(l, registry, &l->config->endpoints[i]);
    registry_free(registry);
    return outcome;
}

/* ---- The whole ---- */

/* config->file, and endpoints.d beside it. */
static int set_paths(struct config *config, const char *path)
{
    const char *slash;
    size_t n_folder;

    if (path) {
        free(config->file);
        config->file = strdup(path);
        config->is_file_required = true;
    }
    if (!config->file)
        return path ? -ENOMEM : 0;
    slash = strrchr(config->file, '/');
    n_folder = slash ? (size_t)(slash - config->file) + 1 : 0;
    config->endpoints_directory = malloc(n_folder + sizeof(ENDPOINTS_DIRECTORY));
    if (!config->endpoints_directory)
        return -ENOMEM;
    memcpy(config->endpoints_directory, config->file, n_folder);
    memcpy(config->endpoints_directory + n_folder, ENDPOINTS_DIRECTORY,
           sizeof(ENDPOINTS_DIRECTORY));
    return 0;
}

static int load_all(struct loader *l)
{
    struct config *config = l->config;
    int outcome = 0;

    if (!config->file)
        return 0;
    l->has_main = config->is_file_required || access(config->file, F_OK) == 0 || errno != ENOENT;
    if (l->has_main)
        outcome = load_file(l, config->file, true);
    if (outcome == 0)
        outcome = load_directory(l, config->endpoints_directory);
    return outcome == 0 ? check_places(l) : outcome;
}

int config_load(struct config *config, const char *path, struct config_error *error)
{
    struct loader l = {.config = config, .error = error};
    int outcome = set_paths(config, path);

    if (outcome == 0)
        outcome = load_all(&l);
    for (size_t i = 0; l.documents && i < config->n_files; i++)
        document_deinit(&l.documents[i]);
    free(l.documents);
    return outcome;
}

const char *config_error_print(const struct config_error *error, char *buf, size_t n_buf)
{
    if (error->line > 0)
        snprintf(buf, n_buf, "%s:%d:%d: expected %s", error->file, error->line, error->column,
                 error->expected);
    else
        snprintf(buf, n_buf, "%s: expected %s", error->file, error->expected);
    return buf;
}

/* ---- Ranges of ports ---- */

bool port_span_overlaps(struct port_span a, struct port_span b)
{
    return a.first <= b.last && b.first <= a.last;
}

bool port_span_parse_kernel(const char *text, struct port_span *out)
{
    unsigned first, last;

    if (sscanf(text, "%5u %5u", &first, &last) != 2 || first > last || last > UINT16_MAX)
        return false;
    *out = (struct port_span){.first = (uint16_t)first, .last = (uint16_t)last};
    return true;
}
