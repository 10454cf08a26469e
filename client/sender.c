/* SPDX-License-Identifier: MIT */
/* Senders: opened, closed, and messages put. */
#include "client/sender.h"

#include "proto/json_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define DEFAULT_UNANSWERED 256u
#define DEFAULT_TIMEOUT_MS 5000

/* Bytes of a datagram before its text: id, padding, checksum. */
#define HEADER_ROOM 512u
/* No answer may be longer than what caused it: so much is sent at least. */
#define PAD_BYTES      128u
#define PAD_TEXT_BYTES 160u
/* Where datagrams may be so long, which is within a host, a byte costs less than a call: one that
 * is only so much shorter than the one before it is padded to its length, so that they are one
 * train.
 */
#define HOST_PATH_BYTES 16384u
#define EVEN_BYTES      128u
/* A header without padding is longer. */
#define HEADER_MIN 64u

static _Thread_local struct failure open_failure;

/* ---- Opening and closing ---- */

static int init(struct msgd_sender *s, const struct msgd_sender_options *o)
{
    s->pid = getpid();
    s->epoll = s->timer = -1;
    s->armed_ns = RESEND_NEVER;
    s->timeout_ms = o->timeout_ms != 0 ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
    s->max_unanswered = o->max_unanswered != 0 ? o->max_unanswered : DEFAULT_UNANSWERED;
    if (s->max_unanswered > RESEND_SPAN)
        s->max_unanswered = RESEND_SPAN;
    if (getrandom(&s->source, sizeof s->source, 0) != (ssize_t)sizeof s->source)
        return -EIO;
    int error = sender_ids_init(&s->ids, s->max_unanswered, s->source);
    return error != 0 ? error : resend_new(&s->resend, s->max_unanswered, s->source);
}

static int connect_to(struct msgd_sender *s, const char *target, const char *socket_path)
{
    struct target_addresses addresses;
    int error = target_find(target, socket_path, &addresses, &s->failure);
    if (error != 0)
        return error;
    error = sender_socket_open(&s->socket, &addresses);
    if (error == -EINVAL)
        return failure_set(&s->failure, error,
                           "%s is an address of many: an acknowledgement is of one receiver",
                           target);
    if (error != 0)
        return failure_set(&s->failure, error, "%s: %s", target, strerror(-error));
    return 0;
}

int msgd_sender_open(struct msgd_sender **out, const char *target,
                     const struct msgd_sender_options *options)
{
    static const struct msgd_sender_options defaults = {0};
    const struct msgd_sender_options *o = options != NULL ? options : &defaults;
    struct msgd_sender *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL)
        return failure_set(&open_failure, -ENOMEM, "%s", strerror(ENOMEM));
    s->socket.fd = -1;
    int error = init(s, o);
    if (error != 0)
        failure_set(&s->failure, error, "%s", strerror(-error));
    else
        error = connect_to(s, target, o->socket_path);
    if (error != 0) {
        failure_set(&open_failure, error, "%s", s->failure.sentence);
        msgd_sender_close(s);
        return error;
    }
    *out = s;
    return 0;
}

void sender_list_free(struct sender_list *list)
{
    for (struct sender_message *m = list->first, *next; m != NULL; m = next) {
        next = m->next;
        sender_message_free(m);
    }
    *list = (struct sender_list){0};
}

/* Messages that nobody has decided about are told as unreachable, so that they are in a list. */
struct msgd_sender *msgd_sender_close(struct msgd_sender *s)
{
    if (s == NULL)
        return NULL;
    if (s->resend != NULL) {
        resend_unreachable(s->resend);
        sender_collect(s);
    }
    for (uint32_t i = s->outbox_at; i < s->n_outbox; i++) {
        s->outbox[i]->is_in_outbox = false;
        if (s->outbox[i]->is_over)
            free(s->outbox[i]);
    }
    sender_list_free(&s->done);
    sender_list_free(&s->given);
    if (s->epoll >= 0)
        close(s->epoll);
    if (s->timer >= 0)
        close(s->timer);
    sender_socket_close(&s->socket);
    sender_ids_deinit(&s->ids);
    resend_free(s->resend);
    failure_deinit(&s->failure);
    free(s);
    return NULL;
}

const char *msgd_sender_error(const struct msgd_sender *s)
{
    return s != NULL ? s->failure.sentence : open_failure.sentence;
}

void msgd_sender_address(const struct msgd_sender *s, struct msgd_address *out)
{
    const struct address *a = sender_socket_address(&s->socket);
    *out = (struct msgd_address){.port = a->port, .scope = a->scope};
    memcpy(out->ip, a->ip, sizeof out->ip);
}

size_t msgd_sender_unanswered(const struct msgd_sender *s)
{
    return s->n_held;
}

void msgd_sender_figures(const struct msgd_sender *s, struct msgd_sender_figures *out)
{
    struct resend_figures f;
    resend_figures(s->resend, &f);
    *out = (struct msgd_sender_figures){.sent = f.n_sent,
                                        .resent = f.n_resent,
                                        .answers = s->n_answers,
                                        .ignored = s->n_ignored,
                                        .window = f.window,
                                        .rtt_ns = (int64_t)f.smoothed_rtt_ns};
}

/* The numbers of a source must be used by one process. */
int sender_check_process(struct msgd_sender *s)
{
    if (s->pid == getpid())
        return 0;
    return failure_set(&s->failure, -ESTALE,
                       "this sender belongs to process %d; a forked child opens its own",
                       (int)s->pid);
}

/* ---- Putting ---- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* 16 hex digits, a dot and a number are a source's. */
static bool looks_numbered(const char *id, size_t n)
{
    size_t i = 0;
    while (i < 16 && i < n && is_hex(id[i]))
        i++;
    return i == 16 && n > 17 && id[16] == '.' && strspn(id + 17, "0123456789") == n - 17;
}

static int check_id(struct msgd_sender *s, const char *id, size_t n)
{
    bool is_good = n >= 1 && n <= FRAME_ID_MAX;
    for (size_t i = 0; i < n && is_good; i++)
        is_good = id[i] > ' ' && id[i] <= '~' && id[i] != '"' && id[i] != '\\';
    if (!is_good)
        return failure_set(&s->failure, -EINVAL,
                           "an id is 1 to %u printable characters without blanks, \" and \\",
                           FRAME_ID_MAX);
    if (looks_numbered(id, n))
        return failure_set(&s->failure, -EINVAL,
                           "id \"%s\" has the form of the library's own; choose another", id);
    if (sender_ids_find(&s->ids, id, n) != 0)
        return failure_set(&s->failure, -EEXIST, "a message of id \"%s\" is under way", id);
    return 0;
}

int sender_check(struct msgd_sender *s, const struct msgd_send *message)
{
    int error = sender_check_process(s);
    if (error == 0 && message->id != NULL)
        error = check_id(s, message->id, strlen(message->id));
    if (error != 0)
        return error;
    if (message->length > UDP_DATAGRAM_MAX)
        return failure_set(&s->failure, -EMSGSIZE, "%zu bytes are more than a datagram holds",
                           message->length);
    if (!json_text_is_valid(message->data, message->length))
        return failure_set(&s->failure, -EINVAL, "a message must be one JSON text");
    return 0;
}

/* How long the datagram of a text of n bytes is to be at least. */
static size_t least_bytes(const struct msgd_sender *s, const struct sender_message *m, size_t n)
{
    size_t least = m->n_id > 0 ? PAD_TEXT_BYTES : PAD_BYTES;
    bool is_even =
        s->socket.path_bytes >= HOST_PATH_BYTES && s->last_length <= n + HEADER_MIN + EVEN_BYTES;
    return is_even && s->last_length > least ? s->last_length : least;
}

/* Writes the datagram. False: it is longer than a datagram may be. */
static bool write_datagram(struct msgd_sender *s, struct sender_message *m,
                           const struct msgd_send *message, size_t capacity)
{
    char numbered[FRAME_ID_MAX];
    struct frame_slice id = {(const uint8_t *)m->id, m->n_id};
    if (m->n_id == 0)
        id = (struct frame_slice){(const uint8_t *)numbered,
                                  frame_id_print(s->source, m->number, numbered)};
    struct frame f = {.type = message->wish == MSGD_WISH_REPLY ? FRAME_REQUEST : FRAME_SEND,
                      .members = FRAME_HAS_ID,
                      .id.text = id,
                      .wish = message->wish == MSGD_WISH_RELEASED ? FRAME_RELEASED : FRAME_STORED,
                      .body = {message->data, message->length},
                      .pad_bytes = least_bytes(s, m, message->length)};
    if (message->wish != MSGD_WISH_REPLY)
        f.members |= FRAME_HAS_WISH;
    m->length = frame_write(&f, m->datagram, capacity);
    s->last_length = m->length;
    return m->length > 0;
}

static uint64_t deadline_of(const struct msgd_sender *s, const struct msgd_send *message)
{
    int timeout_ms = message->timeout_ms != 0 ? message->timeout_ms : s->timeout_ms;
    return timeout_ms < 0 ? RESEND_NEVER : sender_now() + (uint64_t)timeout_ms * UINT64_C(1000000);
}

static int put(struct msgd_sender *s, struct sender_message *m, const struct msgd_send *message,
               size_t capacity)
{
    static const enum resend_wish wishes[] = {RESEND_WISH_STORED, RESEND_WISH_RELEASED,
                                              RESEND_WISH_REPLY};
    const struct resend_message what = {
        .wish = wishes[message->wish], .deadline_ns = deadline_of(s, message), .context = m};
    if (s->n_held >= s->max_unanswered || resend_put(s->resend, &what, &m->number) != 0)
        return failure_set(&s->failure, -EAGAIN,
                           "%u messages are under way: fetch results before more are put",
                           s->n_held);
    if (!write_datagram(s, m, message, capacity)) {
        resend_cancel(s->resend, m->number);
        return failure_set(&s->failure, -EMSGSIZE,
                           "%zu bytes and a header are more than a datagram holds",
                           message->length);
    }
    if (m->n_id > 0)
        sender_ids_add(&s->ids, m->id, m->n_id, m->number);
    s->n_held++;
    return 0;
}

int sender_put(struct msgd_sender *s, const struct msgd_send *message, struct sender_message **out)
{
    size_t capacity = message->length + HEADER_ROOM;
    if (capacity > UDP_DATAGRAM_MAX)
        capacity = UDP_DATAGRAM_MAX;
    struct sender_message *m = malloc(sizeof *m + capacity);
    if (m == NULL)
        return failure_set(&s->failure, -ENOMEM, "%s", strerror(ENOMEM));
    *m = (struct sender_message){.token = message->token};
    if (message->id != NULL) {
        m->n_id = strlen(message->id);
        memcpy(m->id, message->id, m->n_id);
    }
    int error = put(s, m, message, capacity);
    if (error != 0) {
        free(m);
        return error;
    }
    *out = m;
    return 0;
}

int msgd_sender_put(struct msgd_sender *s, const struct msgd_send *message)
{
    struct sender_message *m;
    int error = sender_check(s, message);
    if (error == 0)
        error = sender_put(s, message, &m);
    if (error != 0)
        return error;
    if (++s->n_put >= SENDER_BATCH)
        sender_step(s);
    sender_arm(s);
    return 0;
}
