/* SPDX-License-Identifier: MIT */
/* Between loops and the store's thread: jobs there, and back when they are done. */
#include "daemon/store/store_state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* ---- Lists ---- */

void job_list_init(struct job_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

void job_list_append(struct job_list *list, struct store_job *job)
{
    job->next = NULL;
    *list->last = job;
    list->last = &job->next;
}

void job_list_prepend_all(struct job_list *list, struct job_list *from)
{
    if (job_list_is_empty(from))
        return;
    *from->last = list->first;
    if (list->first == NULL)
        list->last = from->last;
    list->first = from->first;
    job_list_init(from);
}

void job_list_append_all(struct job_list *list, struct job_list *from)
{
    if (job_list_is_empty(from))
        return;
    *list->last = from->first;
    list->last = from->last;
    job_list_init(from);
}

struct store_job *job_list_take(struct job_list *list)
{
    struct store_job *job = list->first;

    if (job == NULL)
        return NULL;
    list->first = job->next;
    if (list->first == NULL)
        list->last = &list->first;
    job->next = NULL;
    return job;
}

/* ---- Ports ---- */

void store_post(struct store_port *port, struct store_job *job)
{
    struct store *s = port->store;

    job->port = port;
    job->status = 0;
    job->cursor = 0;
    port->n_posted++;
    uv_mutex_lock(&s->lock);
    assert(s->is_started && !s->is_stopping);
    job_list_append(&s->posted, job);
    uv_cond_signal(&s->has_posted);
    uv_mutex_unlock(&s->lock);
}

void port_finish(struct store_job *job)
{
    struct store_port *port = job->port;

    /* Under the lock, so that the port is not closed between the two. */
    uv_mutex_lock(&port->lock);
    job_list_append(&port->finished, job);
    uv_async_send(&port->async);
    uv_mutex_unlock(&port->lock);
}

static void on_freed(uv_handle_t *handle)
{
    struct store_port *port = handle->data;
    store_port_closed closed = port->closed;
    void *context = port->context;

    uv_mutex_destroy(&port->lock);
    atomic_fetch_sub(&port->store->n_ports, 1);
    free(port);
    if (closed != NULL)
        closed(context);
}

static void on_finished(uv_async_t *async)
{
    struct store_port *port = async->data;
    struct job_list finished;
    struct store_job *job;

    job_list_init(&finished);
    uv_mutex_lock(&port->lock);
    job_list_prepend_all(&finished, &port->finished);
    uv_mutex_unlock(&port->lock);
    while ((job = job_list_take(&finished)) != NULL) {
        port->n_posted--;
        job->done(job);
    }
    if (port->is_closing && port->n_posted == 0 && !uv_is_closing((uv_handle_t *)async))
        uv_close((uv_handle_t *)async, on_freed);
}

int store_port_open(struct store_port **out, struct store *s, uv_loop_t *loop)
{
    struct store_port *port = calloc(1, sizeof(*port));
    int r = port == NULL ? -ENOMEM : uv_async_init(loop, &port->async, on_finished);

    if (r < 0) {
        free(port);
        return error_trace(r, "cannot open a port to the store");
    }
    if (uv_mutex_init(&port->lock) < 0)
        abort(); /* Linux: cannot fail */
    port->store = s;
    port->async.data = port;
    job_list_init(&port->finished);
    atomic_fetch_add(&s->n_ports, 1);
    *out = port;
    return 0;
}

static void on_cancelled(struct store_job *job)
{
    (void)job;
}

void store_port_close(struct store_port *port, store_port_closed done, void *context)
{
    if (port == NULL) {
        if (done != NULL)
            done(context);
        return;
    }
    assert(!port->is_closing);
    port->is_closing = true;
    port->closed = done;
    port->context = context;
    port->cancel = (struct store_job){.act = STORE_CANCEL, .done = on_cancelled};
    store_post(port, &port->cancel);
}
