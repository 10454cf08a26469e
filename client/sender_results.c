/* SPDX-License-Identifier: MIT */
/* What became of messages: fetched, or waited for. */
#include "client/sender.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* ---- Results ---- */

const char *msgd_outcome_name(enum msgd_outcome outcome)
{
    static const char *const names[] = {"stored",  "released",  "replied",
                                        "refused", "timed_out", "unreachable"};
    return (size_t)outcome < sizeof names / sizeof names[0] ? names[outcome] : "";
}

static int error_of_reason(const char *reason)
{
    static const struct {
        const char *reason;
        int error;
    } meanings[] = {
        {"not_allowed", -EACCES},   {"too_large", -EMSGSIZE},      {"truncated", -EMSGSIZE},
        {"invalid_json", -EBADMSG}, {"malformed_frame", -EBADMSG}, {"unsupported", -ENOTSUP},
    };
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (strcmp(meanings[i].reason, reason) == 0)
            return meanings[i].error;
    return -ECONNABORTED;
}

static int error_of(const struct sender_message *m)
{
    switch (m->fate.outcome) {
    case RESEND_REFUSED:
        return m->fate.is_temporary ? -EAGAIN : error_of_reason(m->fate.reason);
    case RESEND_TIMED_OUT:
        return -ETIMEDOUT;
    case RESEND_UNREACHABLE:
        return m->error != 0 ? m->error : -ECONNREFUSED;
    default:
        return 0;
    }
}

_Static_assert((int)MSGD_OUTCOME_UNREACHABLE == (int)RESEND_UNREACHABLE &&
                   (int)MSGD_OUTCOME_REPLIED == (int)RESEND_REPLIED,
               "the program's outcomes are resend's");

static void give(struct msgd_sender *s, struct sender_message *m, struct msgd_result *out)
{
    *out = (struct msgd_result){.token = m->token,
                                .outcome = (enum msgd_outcome)m->fate.outcome,
                                .error = error_of(m),
                                .reason = m->fate.reason,
                                .is_temporary = m->fate.is_temporary,
                                .is_kept = m->fate.is_kept,
                                .reply = m->reply,
                                .reply_length = m->n_reply,
                                .n_sent = m->fate.n_sent,
                                .took_ns = (int64_t)m->fate.took_ns};
    sender_list_add(&s->given, m);
    s->n_held--;
}

static int fetch(struct msgd_sender *s, struct msgd_result *results, size_t max)
{
    int n = 0;
    while ((size_t)n < max && s->done.first != NULL) {
        struct sender_message *m = s->done.first;
        s->done.first = m->next;
        if (s->done.first == NULL)
            s->done.last = NULL;
        give(s, m, &results[n++]);
    }
    return n;
}

/* Waits until something comes, something is due, or the time is over. 0 or -EINTR. */
static int wait_for_more(struct msgd_sender *s, uint64_t until_ns)
{
    struct pollfd fd = {.fd = s->socket.fd,
                        .events = (short)(POLLIN | (sender_is_blocked(s) ? POLLOUT : 0))};
    uint64_t now_ns = sender_now(),
             due_ns = sender_is_blocked(s) ? RESEND_NEVER : resend_deadline(s->resend);
    uint64_t first_ns = until_ns < due_ns ? until_ns : due_ns;
    uint64_t left_ns = first_ns > now_ns ? first_ns - now_ns : 0;
    const struct timespec left = {.tv_sec = (time_t)(left_ns / UINT64_C(1000000000)),
                                  .tv_nsec = (long)(left_ns % UINT64_C(1000000000))};
    int n = ppoll(&fd, 1, first_ns == RESEND_NEVER ? NULL : &left, NULL);
    return n < 0 && errno == EINTR ? -EINTR : 0;
}

static uint64_t until(int timeout_ms)
{
    return timeout_ms < 0 ? RESEND_NEVER : sender_now() + (uint64_t)timeout_ms * UINT64_C(1000000);
}

static int fetch_or_wait(struct msgd_sender *s, struct msgd_result *results, size_t max,
                         uint64_t until_ns)
{
    int error = 0;
    for (;;) {
        sender_step(s);
        int n = fetch(s, results, max);
        if (n > 0 || error != 0)
            return n > 0 ? n : error;
        if (s->n_held == 0 || sender_now() >= until_ns)
            return 0;
        error = wait_for_more(s, until_ns);
    }
}

int msgd_sender_results(struct msgd_sender *s, struct msgd_result *results, size_t max,
                        int timeout_ms)
{
    int n = sender_check_process(s);
    if (n != 0)
        return n;
    sender_list_free(&s->given);
    n = fetch_or_wait(s, results, max, until(timeout_ms));
    sender_arm(s);
    return n;
}

/* ---- Waiting for one ---- */

static void take_out(struct sender_list *list, struct sender_message *m)
{
    struct sender_message *before = NULL;
    for (struct sender_message *at = list->first; at != m; at = at->next)
        before = at;
    if (before != NULL)
        before->next = m->next;
    else
        list->first = m->next;
    if (list->last == m)
        list->last = before;
}

/* Nobody waits for it any more. */
static void abandon(struct msgd_sender *s, struct sender_message *m)
{
    if (!resend_cancel(s->resend, m->number))
        return;
    if (m->n_id > 0)
        sender_ids_remove(&s->ids, m->id, m->n_id);
    sender_message_free(m);
    s->n_held--;
}

static int say_result(struct msgd_sender *s, const struct msgd_result *result)
{
    char text[MSGD_ADDRESS_TEXT_MAX];
    struct msgd_address to;
    msgd_sender_address(s, &to);
    msgd_address_print(&to, text);
    switch (result->outcome) {
    case MSGD_OUTCOME_REFUSED:
        return failure_set(&s->failure, result->error, "%s refused the message: %s%s", text,
                           result->reason, result->is_temporary ? ", until its time was over" : "");
    case MSGD_OUTCOME_TIMED_OUT:
        return failure_set(&s->failure, result->error, "no answer from %s in time%s", text,
                           result->is_kept ? "; the message is stored there" : "");
    case MSGD_OUTCOME_UNREACHABLE:
        return failure_set(&s->failure, result->error, "%s: %s", text,
                           result->error == -ECONNREFUSED ? "nobody listens there"
                                                          : strerror(-result->error));
    default:
        return 0;
    }
}

int msgd_send_wait(struct msgd_sender *s, const struct msgd_send *message,
                   struct msgd_result *result)
{
    struct msgd_result ignored, *out = result != NULL ? result : &ignored;
    struct sender_message *m;
    int error = sender_check(s, message);
    if (error != 0)
        return error;
    sender_list_free(&s->given);
    error = sender_put(s, message, &m);
    while (error == 0) {
        sender_step(s);
        if (m->is_done)
            break;
        error = wait_for_more(s, RESEND_NEVER);
    }
    if (error == -EINTR)
        abandon(s, m);
    sender_arm(s);
    if (error != 0)
        return error == -EINTR ? failure_set(&s->failure, error, "interrupted by a signal") : error;
    take_out(&s->done, m);
    give(s, m, out);
    return say_result(s, out);
}

int msgd_request(struct msgd_sender *s, const void *data, size_t length, int timeout_ms,
                 const void **reply, size_t *reply_length)
{
    const struct msgd_send message = {
        .data = data, .length = length, .wish = MSGD_WISH_REPLY, .timeout_ms = timeout_ms};
    struct msgd_result result;
    int error = msgd_send_wait(s, &message, &result);
    if (error != 0)
        return error;
    if (result.outcome != MSGD_OUTCOME_REPLIED)
        return failure_set(&s->failure, -ENOMSG, "the consumer was done with it without a reply");
    *reply = result.reply;
    *reply_length = result.reply_length;
    return 0;
}

/* ---- For an event loop ---- */

void sender_watch(struct msgd_sender *s)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = s->socket.fd};
    if (s->epoll >= 0)
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->socket.fd, &event);
}

static int open_epoll(struct msgd_sender *s)
{
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (s->epoll < 0 || s->timer < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = s->timer};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->timer, &event) != 0)
        return -errno;
    event.data.fd = s->socket.fd;
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->socket.fd, &event) != 0 ? -errno : 0;
}

int msgd_sender_fd(struct msgd_sender *s)
{
    if (s->epoll >= 0)
        return s->epoll;
    int error = open_epoll(s);
    if (error == 0) {
        sender_arm(s);
        return s->epoll;
    }
    if (s->epoll >= 0)
        close(s->epoll);
    if (s->timer >= 0)
        close(s->timer);
    s->epoll = s->timer = -1;
    return failure_set(&s->failure, error, "cannot make a descriptor to wait for: %s",
                       strerror(-error));
}
