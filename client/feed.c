/* SPDX-License-Identifier: MIT */
/* Feeds: opened, closed, and messages put. */
#include "client/feed.h"

#include "client/udp_segment.h"
#include "proto/frame.h"
#include "proto/json_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LINGER_MS 100

static _Thread_local struct failure open_failure;

/* ---- Opening and closing ---- */

static int connect_to(struct msgd_feed *f, const char *target,
                      const struct msgd_feed_options *options)
{
    struct target_addresses addresses;
    int linger_ms = options->linger_ms != 0 ? options->linger_ms : DEFAULT_LINGER_MS;

    int error = target_find(target, options->socket_path, &addresses, &f->failure);
    if (error != 0)
        return error;
    error = feed_socket_open(&f->socket, &addresses, linger_ms > 0 ? linger_ms : 0);
    if (error != 0)
        return failure_set(&f->failure, error, "%s: %s", target, strerror(-error));
    return 0;
}

int msgd_feed_open(struct msgd_feed **out, const char *target,
                   const struct msgd_feed_options *options)
{
    static const struct msgd_feed_options defaults = {0};
    const struct msgd_feed_options *o = options != NULL ? options : &defaults;
    struct msgd_feed *f = malloc(sizeof(*f));

    *out = NULL;
    if (f == NULL)
        return failure_set(&open_failure, -ENOMEM, "%s", strerror(ENOMEM));
    memset(f, 0, offsetof(struct msgd_feed, bytes));
    f->pid = getpid();
    f->socket.fd = -1;
    f->is_raw = o->is_raw != 0;
    f->is_batch = o->is_batch != 0;
    f->max_batch_bytes = o->max_datagram_bytes;
    int error = connect_to(f, target, o);
    if (error != 0) {
        failure_set(&open_failure, error, "%s", f->failure.sentence);
        msgd_feed_close(f);
        return error;
    }
    *out = f;
    return 0;
}

/* A forked child's copy is of messages that are its parent's to send. */
struct msgd_feed *msgd_feed_close(struct msgd_feed *f)
{
    if (f == NULL)
        return NULL;
    if (f->socket.fd >= 0 && f->pid == getpid()) {
        feed_close_batch(f);
        (void)!feed_send(f);
    }
    feed_socket_close(&f->socket);
    failure_deinit(&f->failure);
    free(f);
    return NULL;
}

const char *msgd_feed_error(const struct msgd_feed *f)
{
    return f != NULL ? f->failure.sentence : open_failure.sentence;
}

void msgd_feed_address(const struct msgd_feed *f, struct msgd_address *out)
{
    const struct address *a = feed_socket_address(&f->socket);

    *out = (struct msgd_address){.port = a->port, .scope = a->scope};
    memcpy(out->ip, a->ip, sizeof(out->ip));
}

int msgd_feed_fd(const struct msgd_feed *f)
{
    return f->socket.fd;
}

void msgd_feed_figures(const struct msgd_feed *f, struct msgd_feed_figures *out)
{
    *out = f->figures;
    out->waiting = out->put - out->sent - out->failed;
    out->refusals = f->socket.n_refusals;
}

/* ---- Putting ---- */

/* Asked before anything is sent, not with every message: it is a system call. */
int feed_check_process(struct msgd_feed *f)
{
    if (f->pid == getpid())
        return 0;
    return failure_set(&f->failure, -ESTALE,
                       "this feed belongs to process %d; a forked child opens its own",
                       (int)f->pid);
}

static int check(struct msgd_feed *f, const void *data, size_t length)
{
    if (length > UDP_DATAGRAM_MAX)
        return failure_set(&f->failure, -EMSGSIZE, "%zu bytes are more than a datagram holds (%u)",
                           length, UDP_DATAGRAM_MAX);
    if (!f->is_raw && !json_text_is_valid(data, length))
        return failure_set(&f->failure, -EINVAL, "a message must be one JSON text");
    if (f->is_raw && f->is_batch && length > 0 && memchr(data, FRAME_START, length) != NULL)
        return failure_set(&f->failure, -EINVAL, "RS (0x1e) stands between messages of a batch");
    return 0;
}

static void add_datagram(struct msgd_feed *f, size_t at, size_t length, uint32_t n_messages)
{
    f->datagrams[f->n_datagrams++] = (struct feed_datagram){
        .at = (uint32_t)at, .length = (uint32_t)length, .n_messages = n_messages};
}

/* Of one text no batch is made: it goes as it is, which is shorter. */
void feed_close_batch(struct msgd_feed *f)
{
    size_t length = f->length - f->batch_at;

    if (f->n_batch == 1) {
        add_datagram(f, f->batch_at + FRAME_BATCH_HEADER_BYTES + 1,
                     length - FRAME_BATCH_HEADER_BYTES - FRAME_BATCH_TEXT_EXTRA, 1);
    } else if (f->n_batch > 1) {
        frame_batch_end(f->bytes + f->batch_at, length);
        add_datagram(f, f->batch_at, length, f->n_batch);
    }
    f->n_batch = 0;
}

/* Room for one more datagram of n bytes. 0 or -EAGAIN. */
static int make_room(struct msgd_feed *f, size_t n)
{
    if (f->n_datagrams < FEED_DATAGRAMS && f->length + n <= FEED_BYTES)
        return 0;
    int error = feed_check_process(f);
    if (error == 0 && feed_send(f) == 0)
        return 0;
    if (error != 0)
        return error;
    return failure_set(&f->failure, -EAGAIN,
                       "%u datagrams wait for room in the kernel: flush, then put again",
                       f->n_datagrams - f->n_gone);
}

static int put_plain(struct msgd_feed *f, const void *data, size_t length)
{
    feed_close_batch(f);
    int error = make_room(f, length);
    if (error != 0)
        return error;
    if (length > 0)
        memcpy(f->bytes + f->length, data, length);
    add_datagram(f, f->length, length, 1);
    f->length += length;
    return 0;
}

/* limit: bytes of a batch. */
static int put_into_batch(struct msgd_feed *f, const void *data, size_t length, size_t limit)
{
    size_t n = length + FRAME_BATCH_TEXT_EXTRA;

    if (f->n_batch > 0 && f->length - f->batch_at + n > limit)
        feed_close_batch(f);
    if (f->n_batch == 0) {
        int error = make_room(f, limit);
        if (error != 0)
            return error;
        f->batch_at = f->length;
        frame_batch_begin(f->bytes + f->length);
        f->length += FRAME_BATCH_HEADER_BYTES;
    }
    frame_batch_add(f->bytes + f->length, data, length);
    f->length += n;
    f->n_batch++;
    return 0;
}

static size_t batch_limit(const struct msgd_feed *f)
{
    size_t most = f->socket.path_bytes;

    if (f->max_batch_bytes == 0)
        return most;
    return f->max_batch_bytes < UDP_DATAGRAM_MAX ? f->max_batch_bytes : UDP_DATAGRAM_MAX;
}

int msgd_feed_put(struct msgd_feed *f, const void *data, size_t length)
{
    int error = check(f, data, length);
    size_t limit = batch_limit(f);

    if (error != 0)
        return error;
    if (f->is_batch && FRAME_BATCH_HEADER_BYTES + length + FRAME_BATCH_TEXT_EXTRA <= limit)
        error = put_into_batch(f, data, length, limit);
    else
        error = put_plain(f, data, length);
    f->figures.put += error == 0;
    return error;
}
