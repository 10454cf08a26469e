/* SPDX-License-Identifier: MIT */
/* Source networks, as in `allow`. */
#include "proto/address.h"
#include "proto/decimal.h"

#include <errno.h>
#include <string.h>

#define MAPPED_PREFIX 96

static bool is_mapped(const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(ip, mapped, sizeof mapped) == 0;
}

static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned bytes = bits / 8;

    if (memcmp(a, b, bytes) != 0)
        return false;
    return bits % 8 == 0 || (uint8_t)((a[bytes] ^ b[bytes]) >> (8 - bits % 8)) == 0;
}

static bool is_zero_after(const uint8_t ip[16], unsigned bits)
{
    for (unsigned i = bits; i < 128; i++) {
        if (ip[i / 8] & 0x80 >> i % 8)
            return false;
    }
    return true;
}

/* Bits of the prefix that was written after '/', or of a whole address without one. */
static int parse_prefix(const char *slash, bool is_ipv4_text, uint32_t *out)
{
    uint32_t base = is_ipv4_text ? MAPPED_PREFIX : 0;
    uint32_t bits;

    *out = 128;
    if (slash == NULL)
        return 0;
    if (decimal_parse(slash + 1, 128 - base, &bits) < 0)
        return -EINVAL;
    *out = base + bits;
    return 0;
}

int network_parse(const char *text, struct network *out)
{
    const char *slash = strchr(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char ip[ADDRESS_TEXT_MAX];
    struct address a;
    uint32_t prefix;

    if (n >= sizeof ip)
        return -EINVAL;
    memcpy(ip, text, n);
    ip[n] = '\0';
    if (address_parse_ip(ip, &a) < 0 || a.family == ADDRESS_BOTH || a.scope != 0)
        return -EINVAL;
    if (parse_prefix(slash, strchr(ip, ':') == NULL, &prefix) < 0 || !is_zero_after(a.ip, prefix))
        return -EINVAL;
    memcpy(out->ip, a.ip, sizeof out->ip);
    out->prefix = (uint8_t)prefix;
    return 0;
}

const char *network_print(const struct network *n, char buf[ADDRESS_TEXT_MAX])
{
    bool is_ipv4 = is_mapped(n->ip) && n->prefix >= MAPPED_PREFIX;
    struct address a = {.family = is_ipv4 ? ADDRESS_IPV4 : ADDRESS_IPV6};
    char *end;

    memcpy(a.ip, n->ip, sizeof a.ip);
    address_print_ip(&a, buf);
    end = buf + strlen(buf);
    *end++ = '/';
    decimal_print(end, n->prefix - (is_ipv4 ? MAPPED_PREFIX : 0u));
    return buf;
}

bool network_contains(const struct network *n, const uint8_t ip[16])
{
    if (n->prefix < MAPPED_PREFIX && is_mapped(ip))
        return false;
    return prefix_equal(n->ip, ip, n->prefix);
}
