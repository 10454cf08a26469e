/* SPDX-License-Identifier: MIT */
/* What waits to be written to a control connection. */
#include "daemon/control/outgoing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Small replies gather in one chunk, so that many of them cost one write. */
#define GATHER_BYTES (256u * 1024u)

struct outgoing_chunk {
    struct outgoing_chunk *next;
    struct json_writer text;
    size_t sent;
    int descriptors[OUTGOING_MAX_DESCRIPTORS];
    size_t n_descriptors; /* 0 once they are sent */
    bool owns_descriptors;
    struct mark *marks;
    size_t n_marks;
    size_t next_mark;
    struct call *call;
};

static void close_all(const int *descriptors, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(descriptors[i]);
}

/* They are sent, or will never be. */
static void let_go_of_descriptors(struct outgoing_chunk *chunk)
{
    if (chunk->owns_descriptors)
        close_all(chunk->descriptors, chunk->n_descriptors);
    chunk->n_descriptors = 0;
}

static struct outgoing_chunk *chunk_free(struct outgoing_chunk *chunk)
{
    let_go_of_descriptors(chunk);
    json_writer_deinit(&chunk->text);
    free(chunk->marks);
    free(chunk);
    return NULL;
}

void outgoing_deinit(struct outgoing *o)
{
    while (o->first) {
        struct outgoing_chunk *chunk = o->first;

        o->first = chunk->next;
        chunk_free(chunk);
    }
    *o = (struct outgoing){0};
}

static bool can_gather(const struct outgoing *o, const struct outgoing_item *item)
{
    const struct outgoing_chunk *last = o->last;

    return last && last->sent == 0 && last->n_marks == 0 && item->n_marks == 0 &&
           item->n_descriptors == 0 && last->text.length + item->text->length <= GATHER_BYTES;
}

static int add_to_last(struct outgoing *o, struct outgoing_item *item)
{
    struct json_writer *text = &o->last->text;
    size_t length = text->length;

    json_put_raw_bytes(text, item->text->bytes, item->text->length);
    if (text->error == 0)
        return 0;
    text->error = 0;
    text->length = length;
    return -ENOMEM;
}

static int add_new(struct outgoing *o, struct outgoing_item *item)
{
    struct outgoing_chunk *chunk = calloc(1, sizeof(*chunk));

    if (!chunk)
        return -ENOMEM;
    chunk->text = *item->text;
    json_writer_init(item->text);
    for (size_t i = 0; i < item->n_descriptors; i++)
        chunk->descriptors[i] = item->descriptors[i];
    chunk->n_descriptors = item->n_descriptors;
    chunk->owns_descriptors = item->gives_descriptors;
    item->gives_descriptors = false;
    chunk->marks = item->marks;
    chunk->n_marks = item->n_marks;
    chunk->call = item->call;
    item->marks = NULL;
    if (o->last)
        o->last->next = chunk;
    else
        o->first = chunk;
    o->last = chunk;
    return 0;
}

void outgoing_drop(struct outgoing_item *item)
{
    if (item->gives_descriptors)
        close_all(item->descriptors, item->n_descriptors);
    item->gives_descriptors = false;
}

int outgoing_add(struct outgoing *o, struct outgoing_item *item)
{
    size_t n_bytes = item->text->length;
    int r = can_gather(o, item) ? add_to_last(o, item) : add_new(o, item);

    if (r == 0)
        o->n_bytes += n_bytes;
    outgoing_drop(item);
    json_writer_deinit(item->text);
    free(item->marks);
    item->marks = NULL;
    return r;
}

void outgoing_forget_call(struct outgoing *o, const struct call *call)
{
    for (struct outgoing_chunk *chunk = o->first; chunk; chunk = chunk->next)
        if (chunk->call == call)
            chunk->call = NULL;
}

static ssize_t send_chunk(struct outgoing_chunk *chunk, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * OUTGOING_MAX_DESCRIPTORS)];
    } control = {0};
    struct iovec part = {.iov_base = chunk->text.bytes + chunk->sent,
                         .iov_len = chunk->text.length - chunk->sent};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    size_t payload = chunk->n_descriptors * sizeof(int);
    ssize_t n;

    if (chunk->n_descriptors > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(payload);
        control.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(payload), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), chunk->descriptors, payload);
    }
    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n;
}

static void report_marks(struct outgoing_chunk *chunk, void (*passed)(struct call *, uint64_t))
{
    uint64_t value = 0;
    bool is_any = false;

    for (; chunk->next_mark < chunk->n_marks && chunk->marks[chunk->next_mark].end <= chunk->sent;
         chunk->next_mark++) {
        value = chunk->marks[chunk->next_mark].value;
        is_any = true;
    }
    if (is_any && chunk->call)
        passed(chunk->call, value);
}

static void drop_first(struct outgoing *o)
{
    struct outgoing_chunk *chunk = o->first;

    o->first = chunk->next;
    if (!o->first)
        o->last = NULL;
    chunk_free(chunk);
}

int outgoing_flush(struct outgoing *o, int fd, void (*passed)(struct call *call, uint64_t mark),
                   size_t *n_written)
{
    *n_written = 0;
    while (o->first) {
        struct outgoing_chunk *chunk = o->first;
        ssize_t n = send_chunk(chunk, fd);

        if (n < 0)
            return errno == EAGAIN ? 1 : -errno;
        let_go_of_descriptors(chunk);
        chunk->sent += (size_t)n;
        o->n_bytes -= (size_t)n;
        *n_written += (size_t)n;
        report_marks(chunk, passed);
        if (chunk->sent == chunk->text.length)
            drop_first(o);
    }
    return 0;
}
