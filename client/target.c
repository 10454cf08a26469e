/* SPDX-License-Identifier: MIT */
/* Targets: their grammar, and their addresses. */
#include "client/target.h"

#include "client/client.h"
#include "proto/name.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong(const char **expected, const char *phrase)
{
    *expected = phrase;
    return TARGET_WRONG;
}

static bool port_parse(const char *text, uint16_t *port)
{
    if (*text < '0' || *text > '9' || strlen(text) > 5)
        return false;
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *port = (uint16_t)value;
    return *end == '\0' && value >= 1 && value <= 65535;
}

static int host_parse(const char *text, const char *colon, struct target *out,
                      const char **expected)
{
    size_t n = (size_t)(colon - text);
    if (memchr(text, ':', n) != NULL)
        return wrong(expected, "an IPv6 address in brackets and a port, such as [::1]:7000");
    if (n == 0)
        return wrong(expected, "a host before the port, such as localhost:7000");
    if (!port_parse(colon + 1, &out->port))
        return wrong(expected, "a port from 1 to 65535 after the colon");
    if (n >= sizeof out->host)
        return wrong(expected, "a shorter host name");
    memcpy(out->host, text, n);
    out->host[n] = '\0';
    out->kind = TARGET_HOST;
    return 0;
}

int target_parse(const char *text, struct target *out, const char **expected)
{
    *out = (struct target){.kind = TARGET_ADDRESS};
    int error = address_parse(text, &out->address);
    if (error == 0 && out->address.port != 0 && out->address.family != ADDRESS_BOTH)
        return 0;
    if (error == 0 && out->address.port == 0)
        return wrong(expected, "a port from 1 to 65535 after the colon");
    if (error == -ENODEV)
        return wrong(expected, "an interface of this host after the %");
    const char *colon = strrchr(text, ':');
    if (error == 0 || *text == '[')
        return wrong(expected, "an address that can be sent to, such as [::1]:7000");
    if (colon != NULL)
        return host_parse(text, colon, out, expected);
    struct address alone;
    if (address_parse_ip(text, &alone) == 0)
        return wrong(expected, "a port after the address, such as 127.0.0.1:7000");
    if (!name_is_valid(text))
        return wrong(expected, "ip:port, [ip6]:port, host:port or the name of an endpoint");
    out->kind = TARGET_NAME;
    out->name = text;
    return 0;
}

/* ---- Addresses ---- */

static int fail_host(const struct target *t, int code, struct failure *failure)
{
    int error = code == EAI_AGAIN    ? -EAGAIN
                : code == EAI_MEMORY ? -ENOMEM
                : code == EAI_SYSTEM ? -errno
                                     : -ENOENT;

    return failure_set(failure, error, "host \"%s\": %s", t->host,
                       code == EAI_SYSTEM ? strerror(-error) : gai_strerror(code));
}

static int find_host(const struct target *t, struct target_addresses *out, struct failure *failure)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *list = NULL;
    int code = getaddrinfo(t->host, NULL, &hints, &list);

    if (code != 0)
        return fail_host(t, code, failure);
    for (struct addrinfo *a = list; a != NULL && out->n < TARGET_MAX_ADDRESSES; a = a->ai_next) {
        struct address *address = &out->items[out->n];
        if (address_from_sockaddr(a->ai_addr, address) != 0)
            continue;
        address->port = t->port;
        out->n++;
    }
    freeaddrinfo(list);
    return out->n > 0 ? 0 : fail_host(t, EAI_NONAME, failure);
}

static int find_name(const char *name, const char *socket_path, struct target_addresses *out,
                     struct failure *failure)
{
    struct msgd *m;
    struct msgd_address found;
    char text[MSGD_ADDRESS_TEXT_MAX];
    int error = msgd_open(&m, socket_path);

    if (error != 0)
        return failure_set(failure, error == -ENOMEM ? error : -ENOTCONN, "%s", msgd_error(NULL));
    error = msgd_resolve(m, name, &found);
    if (error != 0) {
        failure_set(failure, error, "%s", msgd_error(m));
        snprintf(failure->name, sizeof(failure->name), "%s", msgd_error_name(m));
    }
    m = msgd_close(m);
    if (error == -ENOENT && strspn(name, "0123456789") == strlen(name))
        failure_set(failure, error,
                    "no endpoint is called \"%s\"; a port of this host is 127.0.0.1:%s", name,
                    name);
    if (error != 0)
        return error;
    if (address_parse(msgd_address_print(&found, text), &out->items[0]) != 0)
        return failure_set(failure, -EPROTO, "msgd gave no address for \"%s\"", name);
    out->n = 1;
    return 0;
}

int target_find(const char *text, const char *socket_path, struct target_addresses *out,
                struct failure *failure)
{
    struct target t;
    const char *expected;

    out->n = 0;
    if (target_parse(text, &t, &expected) != 0)
        return failure_set(failure, -EINVAL, "target \"%s\": expected %s", text, expected);
    if (t.kind == TARGET_HOST)
        return find_host(&t, out, failure);
    if (t.kind == TARGET_NAME)
        return find_name(t.name, socket_path, out, failure);
    out->items[0] = t.address;
    out->n = 1;
    return 0;
}
