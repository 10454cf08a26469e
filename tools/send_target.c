/* SPDX-License-Identifier: MIT */
/* What a TARGET means. */
#include "tools/send_target.h"

#include "proto/name.h"

#include <errno.h>
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
