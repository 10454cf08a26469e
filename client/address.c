/* SPDX-License-Identifier: MIT */
/* Addresses in the library's own form, and the one behind a name. */
#include "proto/address.h"
#include "client/call.h"

#include <errno.h>
#include <string.h>

const char *msgd_address_print(const struct msgd_address *a, char buf[MSGD_ADDRESS_TEXT_MAX])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct address address = {.scope = a->scope, .port = a->port};

    _Static_assert(MSGD_ADDRESS_TEXT_MAX >= ADDRESS_TEXT_MAX, "room for any address");
    memcpy(address.ip, a->ip, sizeof(address.ip));
    address.family = memcmp(a->ip, mapped, sizeof(mapped)) == 0 ? ADDRESS_IPV4 : ADDRESS_IPV6;
    return address_print(&address, buf);
}

/* Where a program on this host reaches an endpoint that is bound to `text`. 0 or -EPROTO. */
static int reachable(const char *text, struct address *out)
{
    if (text == NULL || address_parse_ip(text, out) != 0)
        return -EPROTO;
    if (address_is_any(out))
        return address_parse_ip(out->family == ADDRESS_IPV6 ? "::1" : "127.0.0.1", out);
    return 0;
}

static int read_resolved(const json_t *reply, struct msgd_address *out)
{
    json_int_t port = json_integer_value(json_object_get(reply, "port"));
    struct address address;
    int error = reachable(json_string_value(json_object_get(reply, "address")), &address);

    if (error != 0 || port < 0 || port > UINT16_MAX)
        return -EPROTO;
    if (port == 0)
        return -EAGAIN;
    *out = (struct msgd_address){.port = (uint16_t)port, .scope = address.scope};
    memcpy(out->ip, address.ip, sizeof(out->ip));
    return 0;
}

int msgd_resolve(struct msgd *m, const char *name, struct msgd_address *out)
{
    struct varlink_reply reply;
    int error = call_about(m, "io.msgd.Resolve", name, &reply);

    if (error != 0)
        return error;
    error = read_resolved(reply.parameters, out);
    varlink_reply_deinit(&reply);
    if (error == -EAGAIN)
        return failure_set(&m->failure, error, "endpoint \"%s\" is pending: msgls says why", name);
    if (error != 0)
        return failure_set(&m->failure, error, "msgd gave no address for \"%s\"", name);
    return 0;
}
