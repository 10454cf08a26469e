/* SPDX-License-Identifier: MIT */
/* IP addresses and ports: text, sockaddr and one canonical form. */
#include "proto/address.h"
#include "proto/decimal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

/* "[", an IPv6 address, "%", an interface's name, "]", NUL. */
#define IP_TEXT_MAX (1 + INET6_ADDRSTRLEN + 1 + IFNAMSIZ + 1)

static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};

/* Sets ip and family from 16 bytes of IPv6, which may hold an IPv4 address. */
static void set_ip(struct address *a, const void *ip)
{
    memcpy(a->ip, ip, sizeof a->ip);
    a->family = memcmp(ip, MAPPED, sizeof MAPPED) == 0 ? ADDRESS_IPV4 : ADDRESS_IPV6;
}

static void set_ipv4(struct address *a, const void *ip)
{
    memcpy(a->ip, MAPPED, sizeof MAPPED);
    memcpy(a->ip + sizeof MAPPED, ip, 4);
    a->family = ADDRESS_IPV4;
}

static bool may_have_scope(const struct address *a)
{
    return address_is_link_local(a) || address_is_multicast(a);
}

static int parse_scope(const char *text, struct address *a)
{
    if (!may_have_scope(a) || *text == '\0')
        return -EINVAL;
    a->scope = if_nametoindex(text);
    if (a->scope != 0)
        return 0;
    return decimal_parse(text, INT32_MAX, &a->scope) == 0 && a->scope > 0 ? 0 : -ENODEV;
}

/* Cuts the brackets off IPv6 text. 0 or -EINVAL for one without the other. */
static int strip_brackets(char **text)
{
    size_t n = strlen(*text);

    if (**text != '[')
        return 0;
    if (n < 2 || (*text)[n - 1] != ']' || strchr(*text, ':') == NULL)
        return -EINVAL;
    (*text)[n - 1] = '\0';
    ++*text;
    return 0;
}

/* Parses text, which it changes. */
static int parse_ip(char *text, struct address *a)
{
    uint8_t ip[16];
    char *scope;

    if (strcmp(text, "*") == 0) {
        a->family = ADDRESS_BOTH;
        return 0;
    }
    if (strip_brackets(&text) < 0)
        return -EINVAL;
    scope = strchr(text, '%');
    if (scope != NULL)
        *scope++ = '\0';
    if (inet_pton(AF_INET6, text, ip) == 1)
        set_ip(a, ip);
    else if (inet_pton(AF_INET, text, ip) == 1)
        set_ipv4(a, ip);
    else
        return -EINVAL;
    return scope != NULL ? parse_scope(scope, a) : 0;
}

static int parse_ip_n(const char *text, size_t n, struct address *out)
{
    char copy[IP_TEXT_MAX];
    struct address a = {0};
    int r;

    if (n >= sizeof copy)
        return -EINVAL;
    memcpy(copy, text, n);
    copy[n] = '\0';
    r = parse_ip(copy, &a);
    if (r == 0)
        *out = a;
    return r;
}

int address_parse_ip(const char *text, struct address *out)
{
    return parse_ip_n(text, strlen(text), out);
}

int address_parse(const char *text, struct address *out)
{
    const char *colon = strrchr(text, ':');
    struct address a;
    uint32_t port;
    int r;

    if (colon == NULL)
        return -EINVAL;
    /* IPv6 without brackets: where would the port begin? */
    if (*text != '[' && memchr(text, ':', (size_t)(colon - text)) != NULL)
        return -EINVAL;
    r = decimal_parse(colon + 1, UINT16_MAX, &port);
    if (r == 0)
        r = parse_ip_n(text, (size_t)(colon - text), &a);
    if (r < 0)
        return r;
    a.port = (uint16_t)port;
    *out = a;
    return 0;
}

static char *append_scope(char *end, uint32_t scope)
{
    char name[IF_NAMESIZE];

    if (scope == 0)
        return end;
    *end++ = '%';
    if (if_indextoname(scope, name) == NULL)
        return decimal_print(end, scope);
    return stpcpy(end, name);
}

/* Returns where the NUL is. */
static char *print_ip(const struct address *a, char *buf)
{
    switch ((enum address_family)a->family) {
    case ADDRESS_BOTH:
        return stpcpy(buf, "*");
    case ADDRESS_IPV4:
        inet_ntop(AF_INET, a->ip + sizeof MAPPED, buf, INET_ADDRSTRLEN);
        break;
    case ADDRESS_IPV6:
        inet_ntop(AF_INET6, a->ip, buf, INET6_ADDRSTRLEN);
        break;
    case ADDRESS_NONE:
    default:
        return stpcpy(buf, "-");
    }
    return append_scope(buf + strlen(buf), a->scope);
}

const char *address_print_ip(const struct address *a, char buf[ADDRESS_TEXT_MAX])
{
    print_ip(a, buf);
    return buf;
}

const char *address_print(const struct address *a, char buf[ADDRESS_TEXT_MAX])
{
    char *end = buf;

    if (a->family == ADDRESS_IPV6)
        *end++ = '[';
    end = print_ip(a, end);
    if (a->family == ADDRESS_IPV6)
        *end++ = ']';
    *end++ = ':';
    decimal_print(end, a->port);
    return buf;
}

int address_from_sockaddr(const struct sockaddr *sa, struct address *out)
{
    struct address a = {0};

    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)sa;

        set_ipv4(&a, &in->sin_addr);
        a.port = ntohs(in->sin_port);
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)sa;

        set_ip(&a, &in6->sin6_addr);
        a.port = ntohs(in6->sin6_port);
        a.scope = may_have_scope(&a) ? in6->sin6_scope_id : 0;
    } else {
        return -EAFNOSUPPORT;
    }
    *out = a;
    return 0;
}

static socklen_t to_ipv4(const struct address *a, struct sockaddr_storage *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};

    if (a->family != ADDRESS_IPV4 && a->family != ADDRESS_BOTH)
        return 0;
    memcpy(&in.sin_addr, a->ip + sizeof MAPPED, 4);
    memcpy(out, &in, sizeof in);
    return sizeof in;
}

static socklen_t to_ipv6(const struct address *a, struct sockaddr_storage *out)
{
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};

    if (a->family != ADDRESS_IPV6 && a->family != ADDRESS_BOTH)
        return 0;
    memcpy(&in6.sin6_addr, a->ip, sizeof a->ip);
    memcpy(out, &in6, sizeof in6);
    return sizeof in6;
}

socklen_t address_to_sockaddr(const struct address *a, int family, struct sockaddr_storage *out)
{
    *out = (struct sockaddr_storage){0};
    if (family == AF_INET)
        return to_ipv4(a, out);
    return family == AF_INET6 ? to_ipv6(a, out) : 0;
}

bool address_same_ip(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return address_same_ip(a, b) && a->scope == b->scope && a->port == b->port;
}

bool address_is_any(const struct address *a)
{
    static const uint8_t zero[16];

    if (a->family == ADDRESS_IPV4)
        return memcmp(a->ip + sizeof MAPPED, zero, 4) == 0;
    return a->family == ADDRESS_BOTH ||
           (a->family == ADDRESS_IPV6 && memcmp(a->ip, zero, sizeof zero) == 0);
}

bool address_is_loopback(const struct address *a)
{
    static const uint8_t loopback[16] = {[15] = 1};

    if (a->family == ADDRESS_IPV4)
        return a->ip[12] == 127;
    return a->family == ADDRESS_IPV6 && memcmp(a->ip, loopback, sizeof loopback) == 0;
}

bool address_is_multicast(const struct address *a)
{
    if (a->family == ADDRESS_IPV4)
        return (a->ip[12] & 0xf0) == 224;
    return a->family == ADDRESS_IPV6 && a->ip[0] == 0xff;
}

bool address_is_link_local(const struct address *a)
{
    if (a->family == ADDRESS_IPV4)
        return a->ip[12] == 169 && a->ip[13] == 254;
    return a->family == ADDRESS_IPV6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool address_is_broadcast(const struct address *a)
{
    static const uint8_t ones[4] = {255, 255, 255, 255};

    return a->family == ADDRESS_IPV4 && memcmp(a->ip + sizeof MAPPED, ones, 4) == 0;
}
