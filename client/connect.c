/* SPDX-License-Identifier: MIT */
/* msgd_connect: who is asked, and who asks. */
#include "client/session_udp.h"

#include "client/deadline.h"
#include "proto/envelope.h"
#include "proto/json_text.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 10000
#define PASSWD_BYTES       4096
#define HOST_BYTES         256

/* Where a user has no name, its number is one. */
static void put_user(struct json_writer *w)
{
    struct passwd entry, *found = NULL;
    char room[PASSWD_BYTES];

    if (getpwuid_r(geteuid(), &entry, room, sizeof(room), &found) == 0 && found != NULL)
        json_put_string(w, "user", found->pw_name);
    else
        json_put_uint(w, "user", geteuid());
}

static void put_default_identity(struct json_writer *w)
{
    char host[HOST_BYTES] = "";

    (void)!gethostname(host, sizeof(host) - 1);
    json_begin_object(w, NULL);
    put_user(w);
    json_put_string(w, "host", host);
    json_put_string(w, "program", program_invocation_short_name);
    json_end_object(w);
}

/* On one line, as a header needs it. 0 and *out (malloc), or -errno with a sentence. */
static int make_identity(const char *given, char **out, struct failure *failure)
{
    struct json_writer w;
    int error = 0;

    *out = NULL;
    json_writer_init(&w);
    if (given == NULL)
        put_default_identity(&w);
    else if (json_text_is_valid((const uint8_t *)given, strlen(given)))
        json_put_one_line(&w, NULL, given, strlen(given));
    else
        error = failure_set(failure, -EINVAL, "the identity is not JSON: %.100s", given);
    if (error == 0 && w.error == 0 && w.length > FRAME_IDENTITY_MAX)
        error = failure_set(failure, -EINVAL, "the identity has %zu bytes, at most %u are sent",
                            w.length, FRAME_IDENTITY_MAX);
    if (error == 0 && w.error == 0)
        *out = strndup(w.bytes, w.length);
    json_writer_deinit(&w);
    if (error == 0 && *out == NULL)
        error = failure_set(failure, -ENOMEM, "no memory for the identity");
    return error;
}

/* Until it is open, or will never be. */
static int await_open(struct msgd_session *s)
{
    int error = client_session_advance(s);

    while (error == 0 && s->state == MSGD_SESSION_CONNECTING) {
        error = client_session_wait(s, DEADLINE_NEVER);
        if (error == 0)
            error = client_session_advance(s);
        else
            failure_set(&s->failure, error, "connecting with %s: %s", s->peer, strerror(-error));
    }
    return error;
}

/* As the kernel does, but its answers come from the loopback address. */
static void name_loopback(struct target_addresses *addresses)
{
    for (size_t i = 0; i < addresses->n; i++) {
        struct address *a = &addresses->items[i];
        uint16_t port = a->port;
        if (!address_is_any(a))
            continue;
        (void)!address_parse_ip(a->family == ADDRESS_IPV6 ? "::1" : "127.0.0.1", a);
        a->port = port;
    }
}

static int connect_with(struct msgd_session **out, const char *target,
                        const struct msgd_connect_options *o, struct failure *failure)
{
    struct target_addresses addresses;
    char *identity;
    int timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
    int error = make_identity(o->identity, &identity, failure);

    if (error != 0)
        return error;
    error = target_find(target, o->socket_path, &addresses, failure);
    if (error != 0) {
        free(identity);
        return error;
    }
    name_loopback(&addresses);
    error = session_udp_open(out, &addresses, identity, timeout_ms, failure);
    if (error == 0)
        error = o->is_in_background ? client_session_advance(*out) : await_open(*out);
    return error;
}

int msgd_connect(struct msgd_session **out, const char *target,
                 const struct msgd_connect_options *options)
{
    static const struct msgd_connect_options defaults;
    struct failure failure = {0};

    *out = NULL;
    int error = connect_with(out, target, options != NULL ? options : &defaults, &failure);
    if (error == 0)
        return 0;
    client_session_keep_failure(*out != NULL ? &(*out)->failure : &failure,
                                *out != NULL ? (*out)->reason : "");
    *out = msgd_session_abort(*out, "interrupted");
    failure_deinit(&failure);
    return error;
}
