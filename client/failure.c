/* SPDX-License-Identifier: MIT */
/* Varlink errors as errno and as sentences that say what, where and what to do. */
#include "client/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void failure_deinit(struct failure *f)
{
    free(f->parameters);
    *f = (struct failure){0};
}

/* A sentence stays one line, whatever stood in a reply. */
static void make_one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

int failure_set(struct failure *f, int error, const char *format, ...)
{
    va_list arguments;

    failure_deinit(f);
    va_start(arguments, format);
    vsnprintf(f->sentence, sizeof(f->sentence), format, arguments);
    va_end(arguments);
    make_one_line(f->sentence);
    return error;
}

int failure_unreachable(struct failure *f, const char *path, int error)
{
    if (error == -EACCES || error == -EPERM)
        return failure_set(f, error, "cannot reach msgd at %s: %s; may this user open that path?",
                           path, strerror(-error));
    if (error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENAMETOOLONG)
        return failure_set(f, error, "cannot reach msgd at %s: %s", path, strerror(-error));
    return failure_set(
        f, error, "cannot reach msgd at %s: %s; is it running? (systemctl start msgd, or run msgd)",
        path, strerror(-error));
}

/* ---- The parameters of an error, read leniently: what is missing prints as "?" ---- */

static const char *text_of(const struct varlink_reply *reply, const char *key)
{
    const char *text = json_string_value(json_object_get(reply->parameters, key));
    return text != NULL ? text : "?";
}

static bool has(const struct varlink_reply *reply, const char *key)
{
    const json_t *value = json_object_get(reply->parameters, key);
    return value != NULL && !json_is_null(value);
}

static long long number_of(const struct varlink_reply *reply, const char *key)
{
    return json_integer_value(json_object_get(reply->parameters, key));
}

#define HOLDER_MAX 64

/* "pid 42 (uid 1000)", as far as msgd told. */
static const char *holder_print(const struct varlink_reply *reply, char buf[HOLDER_MAX])
{
    if (has(reply, "pid") && has(reply, "uid"))
        snprintf(buf, HOLDER_MAX, "pid %lld (uid %lld)", number_of(reply, "pid"),
                 number_of(reply, "uid"));
    else if (has(reply, "uid"))
        snprintf(buf, HOLDER_MAX, "another process (uid %lld)", number_of(reply, "uid"));
    else
        snprintf(buf, HOLDER_MAX, "another process");
    return buf;
}

struct subject {
    const char *method;
    const char *name; /* of the endpoint, or NULL */
};

static void say_name_taken(struct failure *f, const struct subject *s,
                           const struct varlink_reply *reply)
{
    char holder[HOLDER_MAX];

    (void)s;
    failure_set(f, 0,
                "name \"%s\" is held by %s since %s; stop it or use --on-conflict replace "
                "(MSGD_REPLACE)",
                text_of(reply, "name"), holder_print(reply, holder), text_of(reply, "since"));
}

static void say_port_taken(struct failure *f, const struct subject *s,
                           const struct varlink_reply *reply)
{
    const char *address = text_of(reply, "address");
    bool is_v6 = strchr(address, ':') != NULL;
    char owner[HOLDER_MAX * 2];

    (void)s;
    if (has(reply, "name"))
        snprintf(owner, sizeof(owner), "endpoint \"%.63s\" of this msgd", text_of(reply, "name"));
    else if (has(reply, "uid"))
        snprintf(owner, sizeof(owner), "another program (uid %lld)", number_of(reply, "uid"));
    else
        snprintf(owner, sizeof(owner), "another program");
    failure_set(f, 0, "%s%s%s:%lld is taken by %s; choose another port or stop it%s",
                is_v6 ? "[" : "", address, is_v6 ? "]" : "", number_of(reply, "port"), owner,
                has(reply, "name") ? " (msgctl release)" : " (ss -ulpn shows it)");
}

static void say_not_permitted(struct failure *f, const struct subject *s,
                              const struct varlink_reply *reply)
{
    failure_set(f, 0, "not permitted%s%s: %s", s->name != NULL ? " for " : "",
                s->name != NULL ? s->name : "", text_of(reply, "rule"));
}

static void say_quota(struct failure *f, const struct subject *s, const struct varlink_reply *reply)
{
    (void)s;
    failure_set(f, 0,
                "quota %s is used up: %lld of %lld; release something, or raise it under "
                "\"limits\" in msgd's configuration",
                text_of(reply, "quota"), number_of(reply, "used"), number_of(reply, "limit"));
}

static void say_no_endpoint(struct failure *f, const struct subject *s,
                            const struct varlink_reply *reply)
{
    (void)s;
    failure_set(f, 0, "msgd has no endpoint \"%s\"; msgls shows those that it has",
                text_of(reply, "name"));
}

static void say_no_session(struct failure *f, const struct subject *s,
                           const struct varlink_reply *reply)
{
    (void)s;
    failure_set(f, 0, "session %s is over", text_of(reply, "session"));
}

static void say_attached(struct failure *f, const struct subject *s,
                         const struct varlink_reply *reply)
{
    char holder[HOLDER_MAX];

    (void)s;
    failure_set(f, 0,
                "\"%s\" has a consumer already: %s; stop it, or register with mode share or copy",
                text_of(reply, "name"), holder_print(reply, holder));
}

static void say_bad_address(struct failure *f, const struct subject *s,
                            const struct varlink_reply *reply)
{
    (void)s;
    failure_set(f, 0, "cannot use address %s: %s", text_of(reply, "address"),
                text_of(reply, "reason"));
}

static void say_too_large(struct failure *f, const struct subject *s,
                          const struct varlink_reply *reply)
{
    failure_set(f, 0, "%s: %lld bytes are more than the limit of %lld", s->method,
                number_of(reply, "bytes"), number_of(reply, "limit"));
}

static void say_try_again(struct failure *f, const struct subject *s,
                          const struct varlink_reply *reply)
{
    failure_set(f, 0, "%s%s%s: %s; try again later", s->method, s->name != NULL ? " of " : "",
                s->name != NULL ? s->name : "", text_of(reply, "reason"));
}

static void say_bad_configuration(struct failure *f, const struct subject *s,
                                  const struct varlink_reply *reply)
{
    (void)s;
    failure_set(f, 0, "%s:%lld:%lld: expected %s; nothing has changed", text_of(reply, "file"),
                number_of(reply, "line"), number_of(reply, "column"), text_of(reply, "expected"));
}

static void say_invalid_parameter(struct failure *f, const struct subject *s,
                                  const struct varlink_reply *reply)
{
    const char *expected = json_string_value(json_object_get(reply->parameters, "expected"));
    bool is_phrase = expected != NULL && strncmp(expected, "not ", 4) == 0;

    failure_set(f, 0, "%s does not accept this \"%s\"%s%s", s->method, text_of(reply, "parameter"),
                expected == NULL ? ""
                : is_phrase      ? ": "
                                 : ": expected ",
                expected == NULL ? "" : expected);
}

static void say_no_method(struct failure *f, const struct subject *s,
                          const struct varlink_reply *reply)
{
    (void)reply;
    failure_set(f, 0, "msgd has no method %s; is it another version?", s->method);
}

static void say_expected_more(struct failure *f, const struct subject *s,
                              const struct varlink_reply *reply)
{
    (void)reply;
    failure_set(f, 0, "%s must be called with \"more\"", s->method);
}

static const struct meaning {
    const char *name;
    int error;
    void (*say)(struct failure *f, const struct subject *s, const struct varlink_reply *reply);
} meanings[] = {
    {"io.msgd.NameTaken", -EEXIST, say_name_taken},
    {"io.msgd.PortTaken", -EADDRINUSE, say_port_taken},
    {"io.msgd.NotPermitted", -EACCES, say_not_permitted},
    {"io.msgd.QuotaExceeded", -EDQUOT, say_quota},
    {"io.msgd.NoSuchEndpoint", -ENOENT, say_no_endpoint},
    {"io.msgd.NoSuchSession", -ENOENT, say_no_session},
    {"io.msgd.AlreadyAttached", -EBUSY, say_attached},
    {"io.msgd.BadAddress", -EADDRNOTAVAIL, say_bad_address},
    {"io.msgd.TooLarge", -EMSGSIZE, say_too_large},
    {"io.msgd.TryAgain", -EAGAIN, say_try_again},
    {"io.msgd.BadConfiguration", -EINVAL, say_bad_configuration},
    {"org.varlink.service.InvalidParameter", -EINVAL, say_invalid_parameter},
    {"org.varlink.service.ExpectedMore", -EINVAL, say_expected_more},
    {"org.varlink.service.MethodNotFound", -ENOSYS, say_no_method},
    {"org.varlink.service.MethodNotImplemented", -ENOSYS, say_no_method},
    {"org.varlink.service.InterfaceNotFound", -ENOSYS, say_no_method},
};

int failure_from_reply(struct failure *f, const char *method, const char *subject,
                       const struct varlink_reply *reply)
{
    const struct subject s = {.method = method, .name = subject};
    char *parameters = json_dumps(reply->parameters, JSON_COMPACT);
    int error = -EREMOTEIO;
    size_t i;

    for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (strcmp(meanings[i].name, reply->error) == 0)
            break;
    if (i < sizeof(meanings) / sizeof(meanings[0])) {
        meanings[i].say(f, &s, reply);
        error = meanings[i].error;
    } else {
        failure_set(f, error, "%s failed with %s %s", method, reply->error,
                    parameters != NULL ? parameters : "");
    }
    snprintf(f->name, sizeof(f->name), "%s", reply->error);
    f->parameters = parameters;
    return error;
}
