/* SPDX-License-Identifier: MIT */
/* What a worker's sessions need beside themselves to go on in another process. */
#include "daemon/data/sessions.h"

#include "daemon/data/carrier.h"
#include "proto/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct archive_kind KIND = {{'c', 'n', 'c', 't'}, CARRIER_SAVED_VERSION};

/* ---- Hushing ---- */

struct hushing {
    struct command command;
    bool is_hushed;
};

static void run_hush(struct worker *w, struct command *c)
{
    w->sessions->is_hushed = CONTAINER_OF(c, struct hushing, command)->is_hushed;
    command_finish(w, c);
}

static void hush_done(struct command *c)
{
    free(CONTAINER_OF(c, struct hushing, command));
}

int worker_hush(struct worker *w, bool is_hushed)
{
    struct hushing *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return -ENOMEM;
    h->command = (struct command){.run = run_hush, .done = hush_done};
    h->is_hushed = is_hushed;
    command_post(w, &h->command);
    return 0;
}

/* ---- Connects ---- */

struct remembering {
    struct command command;
    uint8_t *bytes; /* NULL: no memory */
    size_t n;
    connects_done done;
    void *context;
};

static void run_save(struct worker *w, struct command *command)
{
    struct remembering *r = CONTAINER_OF(command, struct remembering, command);
    struct connects *connects = &w->sessions->connects;
    struct archive a;
    uint64_t now_ns = session_now_ns();

    archive_save(&a, &KIND, now_ns, NULL, 0);
    connects_archive(&a, connects);
    r->n = archive_finish(&a);
    r->bytes = malloc(r->n);
    if (r->bytes != NULL) {
        archive_save(&a, &KIND, now_ns, r->bytes, r->n);
        connects_archive(&a, connects);
        r->n = archive_finish(&a);
    }
    command_finish(w, command);
}

static void save_done(struct command *command)
{
    struct remembering *r = CONTAINER_OF(command, struct remembering, command);

    r->done(r->context, r->bytes, r->n);
    free(r->bytes);
    free(r);
}

int worker_save_connects(struct worker *w, connects_done done, void *context)
{
    struct remembering *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return -ENOMEM;
    r->command = (struct command){.run = run_save, .done = save_done};
    r->done = done;
    r->context = context;
    command_post(w, &r->command);
    return 0;
}

static void run_load(struct worker *w, struct command *command)
{
    struct remembering *r = CONTAINER_OF(command, struct remembering, command);
    struct archive a;

    if (archive_load(&a, &KIND, session_now_ns(), r->bytes, r->n) == 0)
        connects_archive(&a, &w->sessions->connects);
    command_finish(w, command);
}

static void load_done(struct command *command)
{
    struct remembering *r = CONTAINER_OF(command, struct remembering, command);

    free(r->bytes);
    free(r);
}

int worker_load_connects(struct worker *w, const void *bytes, size_t n)
{
    struct archive a;
    struct remembering *r;
    int result = archive_load(&a, &KIND, session_now_ns(), bytes, n);

    if (result < 0)
        return result;
    r = calloc(1, sizeof(*r));
    if (r != NULL)
        r->bytes = malloc(n);
    if (r == NULL || r->bytes == NULL) {
        free(r);
        return -ENOMEM;
    }
    memcpy(r->bytes, bytes, n);
    r->n = n;
    r->command = (struct command){.run = run_load, .done = load_done};
    command_post(w, &r->command);
    return 0;
}
