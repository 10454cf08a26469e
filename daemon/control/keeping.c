/* SPDX-License-Identifier: MIT */
/* What outlives msgd of each registered name. */
#include "daemon/control/keeping.h"

#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/state.h"
#include "daemon/core/registered.h"
#include "daemon/store/stash.h"
#include "daemon/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- The database ---- */

/* A job with what it points to. */
struct keeping_job {
    struct store_job job;
    char bytes[];
};

int keeping_open(struct control *control)
{
    int r = store_port_open(&control->port, control->options.store, control->loop);

    return r < 0 ? error_trace(r, "cannot reach the thread of the database") : 0;
}

static void on_port_closed(void *context)
{
    struct control *control = context;

    control->n_handles--;
    control_check_closed(control);
}

void keeping_close(struct control *control)
{
    struct store_port *port = control->port;

    if (!port)
        return;
    control->port = NULL;
    control->n_handles++;
    store_port_close(port, on_port_closed, control);
}

/* Those whose answers waited for this are run; who waits for more comes back. */
static void written(struct control *control)
{
    control->n_written++;
    control_check_serving(control);
    list_for_each(at, next, &control->unwritten)
    {
        struct connection *c = list_member(at, struct connection, unwritten);

        if (c->awaited_write > control->n_written)
            continue;
        list_remove(&c->unwritten);
        connection_schedule(c);
    }
}

static void on_done(struct store_job *job)
{
    struct control *control = job->context;

    written(control);

    if (job->status < 0)
        control_complain(control, "the database does not take what changes in registrations: %s",
                         strerrordesc_np(-job->status));
    free(list_member(job, struct keeping_job, job));
}

static struct keeping_job *new_job(struct control *control, enum store_act act, size_t n_bytes)
{
    struct keeping_job *k = control->port ? calloc(1, sizeof(*k) + n_bytes) : NULL;

    if (!k) {
        if (control->port)
            control_complain(control, "a registration is not written to the database: no memory");
        return NULL;
    }
    k->job = (struct store_job){.act = act, .done = on_done, .context = control};
    return k;
}

static void post(struct control *control, struct keeping_job *k)
{
    control->n_writes++;
    store_post(control->port, &k->job);
}

void keeping_save(struct desk *desk)
{
    const struct entry *e = desk->entry;
    const struct registered registered = {.uid = e->owner.uid,
                                          .generation = e->generation,
                                          .since_wall_ns = e->since_wall_ns,
                                          .is_static = e->is_static,
                                          .address = e->address,
                                          .settings = e->settings};
    size_t n_name = strlen(desk->name) + 1, n = registered_save(&registered, NULL, 0);
    struct keeping_job *k = new_job(desk->control, STORE_PUT_REGISTRATION, n_name + n);

    if (!k)
        return;
    memcpy(k->bytes, desk->name, n_name);
    (void)registered_save(&registered, k->bytes + n_name, n);
    k->job.registration = (struct store_registration){
        .number = desk->number, .name = k->bytes, .bytes = k->bytes + n_name, .n_bytes = n};
    post(desk->control, k);
}

void keeping_forget_messages(struct control *control, uint64_t number)
{
    struct keeping_job *k = new_job(control, STORE_FORGET, 0);

    if (!k)
        return;
    k->job.forget = number;
    post(control, k);
}

/* ---- The stash ---- */

static struct stash_item socket_item(uint64_t number, uint32_t index)
{
    return (struct stash_item){.kind = STASH_SOCKET, .index = index, .key = number};
}

void keeping_take_sockets(struct control *control, uint64_t number, struct kept_socket *sockets,
                          unsigned n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct stash_item item = socket_item(number, i);
        uint64_t note = 0;
        int fd = stash_take_noted(control->options.stash, &item, &note);

        sockets[i] = (struct kept_socket){.descriptor = fd < 0 ? -1 : fd, .note = note};
    }
}

static bool is_same_socket(const struct kept_socket *a, const struct kept_socket *b)
{
    return a->descriptor == b->descriptor && a->note == b->note;
}

void keeping_hold_sockets(struct desk *desk, struct endpoint *endpoint,
                          const struct kept_socket *taken, unsigned n_taken)
{
    struct stash *stash = desk->control->options.stash;
    struct kept_socket sockets[ENDPOINT_SOCKETS_MAX];
    unsigned n = endpoint_sockets(endpoint, sockets);

    for (uint32_t i = 0; i < n; i++) {
        struct stash_item item = socket_item(desk->number, i);
        int r = i < n_taken && is_same_socket(&sockets[i], &taken[i])
                    ? 0
                    : stash_put_noted(stash, &item, sockets[i].descriptor, sockets[i].note);

        if (r < 0)
            control_complain(desk->control, "the socket of %s would not outlive msgd: %s",
                             desk->name, strerrordesc_np(-r));
    }
}

void keeping_drop_sockets(struct control *control, uint64_t number, unsigned n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct stash_item item = socket_item(number, i);

        stash_remove(control->options.stash, &item);
    }
}

void keeping_end(struct control *control, uint64_t number, unsigned n)
{
    struct keeping_job *k = new_job(control, STORE_DELETE_REGISTRATION, 0);

    keeping_drop_sockets(control, number, n);
    if (!k)
        return;
    k->job.registration = (struct store_registration){.number = number};
    post(control, k);
}
