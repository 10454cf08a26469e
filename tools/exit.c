/* SPDX-License-Identifier: MIT */
/* Exit codes, and sentences for the errors of msgd. */
#include "tools/exit.h"

#include "proto/json_input.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A sentence being written, with what it is made from. */
struct sentence {
    char *text;
    size_t length;
    const json_t *parameters;
    const char *(*command_of)(int pid);
};

__attribute__((format(printf, 2, 3))) static void say(struct sentence *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(s->text + s->length, EXIT_SENTENCE_MAX - s->length, format, arguments);
    va_end(arguments);
    if (n > 0)
        s->length += (size_t)n;
    if (s->length >= EXIT_SENTENCE_MAX)
        s->length = EXIT_SENTENCE_MAX - 1;
}

static const char *text_of(const struct sentence *s, const char *key)
{
    const char *text = json_string_value(json_object_get(s->parameters, key));
    return text != NULL ? text : "?";
}

static long long number_of(const struct sentence *s, const char *key)
{
    return json_integer_value(json_object_get(s->parameters, key));
}

static bool has(const struct sentence *s, const char *key)
{
    const json_t *value = json_object_get(s->parameters, key);
    return value != NULL && !json_is_null(value);
}

/* "pid 4211 (collectd), uid 1000" with what is known. */
static void say_process(struct sentence *s)
{
    if (has(s, "pid")) {
        int pid = (int)number_of(s, "pid");
        const char *command = s->command_of(pid);
        say(s, "pid %d%s%s%s, ", pid, command ? " (" : "", command ? command : "",
            command ? ")" : "");
    }
    say(s, "uid %lld", number_of(s, "uid"));
}

static void say_name_taken(struct sentence *s)
{
    say(s, "name \"%s\" is taken by ", text_of(s, "name"));
    say_process(s);
    say(s, "; stop it, or use --on-conflict replace");
}

static void say_already_attached(struct sentence *s)
{
    say(s, "\"%s\" has a consumer already: ", text_of(s, "name"));
    say_process(s);
    say(s, "; stop it, or register with --mode share or --mode copy");
}

static void say_port_taken(struct sentence *s)
{
    say(s, "port %lld of %s is taken by ", number_of(s, "port"), text_of(s, "address"));
    if (has(s, "name"))
        say(s, "\"%s\" of this msgd, uid %lld", text_of(s, "name"), number_of(s, "uid"));
    else if (has(s, "uid"))
        say(s, "another program, uid %lld (ss -ulpn shows it)", number_of(s, "uid"));
    else
        say(s, "another program (ss -ulpn shows it)");
    say(s, "; choose another port, or leave it out for a free one");
}

static void say_not_permitted(struct sentence *s)
{
    say(s, "not permitted: %s", text_of(s, "rule"));
}

static void say_quota(struct sentence *s)
{
    say(s, "the quota %s is used up: %lld of %lld; release something, or have the limit raised",
        text_of(s, "quota"), number_of(s, "used"), number_of(s, "limit"));
}

static void say_no_endpoint(struct sentence *s)
{
    say(s, "no endpoint is called \"%s\"; msgls shows those that exist", text_of(s, "name"));
}

static void say_bad_address(struct sentence *s)
{
    say(s, "bad address \"%s\": %s", text_of(s, "address"), text_of(s, "reason"));
}

static void say_too_large(struct sentence *s)
{
    say(s, "too large: %lld bytes, the limit is %lld", number_of(s, "bytes"),
        number_of(s, "limit"));
}

static void say_try_again(struct sentence *s)
{
    say(s, "not now: %s; try again", text_of(s, "reason"));
}

static void say_bad_configuration(struct sentence *s)
{
    say(s, "%s:%lld:%lld: expected %s; nothing was changed", text_of(s, "file"),
        number_of(s, "line"), number_of(s, "column"), text_of(s, "expected"));
}

static void say_invalid_parameter(struct sentence *s)
{
    say(s,
        "msgd, as it is configured, does not take this value of \"%s\"; msgd.json(5) has the "
        "bounds",
        text_of(s, "parameter"));
}

static void say_no_method(struct sentence *s)
{
    say(s, "this msgd does not know what was asked (%s); tool and daemon are of different versions",
        has(s, "method") ? text_of(s, "method") : text_of(s, "interface"));
}

static const struct {
    const char *name;
    enum exit_code code;
    void (*write)(struct sentence *s);
} varlink_errors[] = {
    {"io.msgd.NameTaken", EXIT_TAKEN, say_name_taken},
    {"io.msgd.PortTaken", EXIT_TAKEN, say_port_taken},
    {"io.msgd.AlreadyAttached", EXIT_TAKEN, say_already_attached},
    {"io.msgd.NotPermitted", EXIT_NOT_PERMITTED, say_not_permitted},
    {"io.msgd.QuotaExceeded", EXIT_TEMPORARY, say_quota},
    {"io.msgd.NoSuchEndpoint", EXIT_NO_NAME, say_no_endpoint},
    {"io.msgd.BadAddress", EXIT_USAGE, say_bad_address},
    {"io.msgd.TooLarge", EXIT_DATA, say_too_large},
    {"io.msgd.TryAgain", EXIT_TEMPORARY, say_try_again},
    {"io.msgd.BadConfiguration", EXIT_CONFIGURATION, say_bad_configuration},
    {"org.varlink.service.InvalidParameter", EXIT_USAGE, say_invalid_parameter},
    {"org.varlink.service.MethodNotFound", EXIT_SYSTEM, say_no_method},
    {"org.varlink.service.MethodNotImplemented", EXIT_SYSTEM, say_no_method},
    {"org.varlink.service.InterfaceNotFound", EXIT_SYSTEM, say_no_method},
};

#define N_VARLINK_ERRORS (sizeof varlink_errors / sizeof varlink_errors[0])

static const struct {
    int error;
    enum exit_code code;
} errors[] = {
    {0, EXIT_DONE},
    {EINVAL, EXIT_USAGE},
    {EMSGSIZE, EXIT_DATA},
    {EEXIST, EXIT_TAKEN},
    {EADDRINUSE, EXIT_TAKEN},
    {EBUSY, EXIT_TAKEN},
    {EADDRNOTAVAIL, EXIT_USAGE},
    {EACCES, EXIT_NOT_PERMITTED},
    {EPERM, EXIT_NOT_PERMITTED},
    {EDQUOT, EXIT_TEMPORARY},
    {EAGAIN, EXIT_TEMPORARY},
    {ETIMEDOUT, EXIT_TEMPORARY},
    {ENOBUFS, EXIT_TEMPORARY},
    {ENOENT, EXIT_UNAVAILABLE},
    {ECONNREFUSED, EXIT_UNAVAILABLE},
    {ECONNRESET, EXIT_UNAVAILABLE},
    {ECONNABORTED, EXIT_UNAVAILABLE},
    {ENOTCONN, EXIT_UNAVAILABLE},
    {EPIPE, EXIT_UNAVAILABLE},
    {ENETUNREACH, EXIT_UNAVAILABLE},
    {EHOSTUNREACH, EXIT_UNAVAILABLE},
};

enum exit_code exit_code_of(const char *varlink_error, int error)
{
    for (size_t i = 0; varlink_error != NULL && i < N_VARLINK_ERRORS; i++)
        if (strcmp(varlink_errors[i].name, varlink_error) == 0)
            return varlink_errors[i].code;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].error == -error)
            return errors[i].code;
    return EXIT_SYSTEM;
}

static const char *no_command(int pid)
{
    (void)pid;
    return NULL;
}

const char *exit_sentence(const char *varlink_error, const char *parameters,
                          const char *(*command_of)(int pid), char buf[EXIT_SENTENCE_MAX])
{
    for (size_t i = 0; varlink_error != NULL && i < N_VARLINK_ERRORS; i++) {
        if (strcmp(varlink_errors[i].name, varlink_error) != 0)
            continue;
        json_t *root = NULL;
        json_error_t fault;
        if (parameters != NULL &&
            json_input_parse(parameters, strlen(parameters), 0, &root, &fault) != 0)
            root = NULL; /* every parameter reads as "?" */
        struct sentence s = {.text = buf,
                             .parameters = root,
                             .command_of = command_of != NULL ? command_of : no_command};
        buf[0] = '\0';
        varlink_errors[i].write(&s);
        json_decref(root);
        return buf;
    }
    return NULL;
}
