/* SPDX-License-Identifier: MIT */
/* What outlives msgd of each registered name. */
#include "daemon/control/keeping.h"

#include "daemon/config/settings_text.h"
#include "daemon/control/connection.h"
#include "daemon/control/desk.h"
#include "daemon/control/state.h"
#include "daemon/store/stash.h"
#include "daemon/store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- The database ---- */

/* A job with the texts that it points to. */
struct keeping_job {
    struct store_job job;
    char text[];
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

static struct keeping_job *new_job(struct control *control, enum store_act act, size_t n_text)
{
    struct keeping_job *k = control->port ? calloc(1, sizeof(*k) + n_text) : NULL;

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

static void write_registration(struct json_writer *w, const struct entry *e)
{
    char address[ADDRESS_TEXT_MAX];

    json_begin_object(w, NULL);
    json_put_uint(w, "uid", e->owner.uid);
    json_put_uint(w, "generation", e->generation);
    json_put_int(w, "since", e->since_wall_ns);
    json_put_bool(w, "static", e->is_static);
    json_put_string(w, "address", address_print_ip(&e->address, address));
    json_put_int(w, "port", e->address.port);
    json_begin_object(w, "settings");
    settings_write(w, &e->settings);
    json_end_object(w);
    json_end_object(w);
    json_put_raw_bytes(w, "", 1);
}

void keeping_save(struct desk *desk)
{
    struct json_writer w;
    struct keeping_job *k;
    size_t n_name = strlen(desk->name) + 1;

    json_writer_init(&w);
    write_registration(&w, desk->entry);
    k = w.error ? NULL : new_job(desk->control, STORE_PUT_REGISTRATION, n_name + w.length);
    if (k) {
        memcpy(k->text, desk->name, n_name);
        memcpy(k->text + n_name, w.bytes, w.length);
        k->job.registration = (struct store_registration){
            .number = desk->number, .name = k->text, .text = k->text + n_name};
        post(desk->control, k);
    }
    json_writer_deinit(&w);
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

void keeping_take_sockets(struct control *control, uint64_t number, int sockets[2])
{
    for (uint32_t i = 0; i < 2; i++) {
        struct stash_item item = socket_item(number, i);
        int fd = stash_take(control->options.stash, &item);

        sockets[i] = fd < 0 ? -1 : fd;
    }
}

void keeping_hold_sockets(struct desk *desk, const struct endpoint *endpoint, const int taken[2])
{
    struct stash *stash = desk->control->options.stash;
    int sockets[2];
    unsigned n = endpoint_descriptors(endpoint, sockets);

    for (uint32_t i = 0; i < n; i++) {
        struct stash_item item = socket_item(desk->number, i);
        int r = sockets[i] == taken[i] ? 0 : stash_put(stash, &item, sockets[i]);

        if (r < 0)
            control_complain(desk->control, "the socket of %s would not outlive msgd: %s",
                             desk->name, strerrordesc_np(-r));
    }
}

void keeping_drop_sockets(struct control *control, uint64_t number)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct stash_item item = socket_item(number, i);

        stash_remove(control->options.stash, &item);
    }
}

void keeping_end(struct control *control, uint64_t number)
{
    struct keeping_job *k = new_job(control, STORE_DELETE_REGISTRATION, 0);

    keeping_drop_sockets(control, number);
    if (!k)
        return;
    k->job.registration = (struct store_registration){.number = number};
    post(control, k);
}
