/* SPDX-License-Identifier: MIT */
/* Addresses: text in, text out, and the one canonical form between them. */
#include "proto/address.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

Test(address, parses_address_and_port)
{
    static const struct {
        const char *name;
        const char *text;
        int result;
        enum address_family family;
        uint16_t port;
        const char *printed; /* NULL: as it was written */
    } cases[] = {
        {"IPv4", "10.1.2.3:7000", 0, ADDRESS_IPV4, 7000, NULL},
        {"IPv4, any", "0.0.0.0:0", 0, ADDRESS_IPV4, 0, NULL},
        {"the last port", "127.0.0.1:65535", 0, ADDRESS_IPV4, 65535, NULL},
        {"one port too many", "127.0.0.1:65536", -ERANGE, 0, 0, NULL},
        {"a port of 20 digits", "127.0.0.1:18446744073709551617", -ERANGE, 0, 0, NULL},
        {"a negative port", "127.0.0.1:-1", -EINVAL, 0, 0, NULL},
        {"a port with plus", "127.0.0.1:+1", -EINVAL, 0, 0, NULL},
        {"a port with a leading zero", "127.0.0.1:080", -EINVAL, 0, 0, NULL},
        {"a port with a space", "127.0.0.1: 80", -EINVAL, 0, 0, NULL},
        {"a port with a space after", "127.0.0.1:80 ", -EINVAL, 0, 0, NULL},
        {"hexadecimal", "127.0.0.1:0x50", -EINVAL, 0, 0, NULL},
        {"an empty port", "127.0.0.1:", -EINVAL, 0, 0, NULL},
        {"no port", "127.0.0.1", -EINVAL, 0, 0, NULL},
        {"nothing", "", -EINVAL, 0, 0, NULL},
        {"only a port", ":80", -EINVAL, 0, 0, NULL},
        {"a space before", " 127.0.0.1:80", -EINVAL, 0, 0, NULL},
        {"three numbers", "127.0.1:80", -EINVAL, 0, 0, NULL},
        {"a number above 255", "127.0.0.256:80", -EINVAL, 0, 0, NULL},
        {"a leading zero", "127.0.0.01:80", -EINVAL, 0, 0, NULL},
        {"a name", "localhost:80", -EINVAL, 0, 0, NULL},
        {"IPv6", "[2001:db8::1]:7000", 0, ADDRESS_IPV6, 7000, NULL},
        {"IPv6, any", "[::]:65535", 0, ADDRESS_IPV6, 65535, NULL},
        {"IPv6 written at length", "[2001:0DB8:0:0:0:0:0:1]:1", 0, ADDRESS_IPV6, 1,
         "[2001:db8::1]:1"},
        {"IPv6 without brackets", "2001:db8::1:7000", -EINVAL, 0, 0, NULL},
        {"the shortest without brackets", "::1:80", -EINVAL, 0, 0, NULL},
        {"IPv6 without a port", "[::1]", -EINVAL, 0, 0, NULL},
        {"an open bracket", "[::1:80", -EINVAL, 0, 0, NULL},
        {"a closing bracket alone", "::1]:80", -EINVAL, 0, 0, NULL},
        {"two brackets", "[[::1]]:80", -EINVAL, 0, 0, NULL},
        {"IPv4 in brackets", "[127.0.0.1]:80", -EINVAL, 0, 0, NULL},
        {"empty brackets", "[]:80", -EINVAL, 0, 0, NULL},
        {"IPv4 in IPv6", "[::ffff:10.1.2.3]:80", 0, ADDRESS_IPV4, 80, "10.1.2.3:80"},
        {"IPv4 in IPv6, hexadecimal", "[::ffff:a01:203]:80", 0, ADDRESS_IPV4, 80, "10.1.2.3:80"},
        {"IPv4-compatible is IPv6", "[::10.1.2.3]:80", 0, ADDRESS_IPV6, 80, NULL},
        {"every address", "*:7000", 0, ADDRESS_BOTH, 7000, NULL},
        {"two stars", "**:7000", -EINVAL, 0, 0, NULL},
        {"a star in brackets", "[*]:7000", -EINVAL, 0, 0, NULL},
        {"a scope by name", "[fe80::1%lo]:80", 0, ADDRESS_IPV6, 80, NULL},
        {"a scope that nobody has", "[fe80::1%no-such-if]:80", -ENODEV, 0, 0, NULL},
        {"a scope longer than any", "[fe80::1%abcdefghijklmnopqrstuvwxyzabcdefghijkl]:80", -ENODEV,
         0, 0, NULL},
        {"a number without an interface", "[fe80::1%2000000001]:80", 0, ADDRESS_IPV6, 80, NULL},
        {"scope 0", "[fe80::1%0]:80", -ENODEV, 0, 0, NULL},
        {"an empty scope", "[fe80::1%]:80", -EINVAL, 0, 0, NULL},
        {"a scope of a global address", "[2001:db8::1%lo]:80", -EINVAL, 0, 0, NULL},
        {"a scope of loopback", "[::1%lo]:80", -EINVAL, 0, 0, NULL},
        {"a multicast group on an interface", "[ff02::fb%lo]:5353", 0, ADDRESS_IPV6, 5353, NULL},
        {"an IPv4 group on an interface", "239.1.1.1%lo:80", 0, ADDRESS_IPV4, 80, NULL},
        {"an IPv4 group in IPv6", "[::ffff:239.1.1.1%lo]:80", 0, ADDRESS_IPV4, 80,
         "239.1.1.1%lo:80"},
        {"IPv4 link-local on an interface", "169.254.3.4%lo:80", 0, ADDRESS_IPV4, 80, NULL},
        {"a scope of another IPv4 address", "10.0.0.1%lo:80", -EINVAL, 0, 0, NULL},
        {"longer than any address",
         "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff:0000:1111]:"
         "80",
         -EINVAL, 0, 0, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = cases[i].name;
        struct address a = {.port = 4711};
        char text[ADDRESS_TEXT_MAX];

        cr_expect_eq(address_parse(cases[i].text, &a), cases[i].result, "%s", name);
        if (cases[i].result < 0) {
            cr_expect(a.port == 4711 && a.family == ADDRESS_NONE, "%s: the result is touched",
                      name);
            continue;
        }
        cr_expect_eq(a.family, cases[i].family, "%s", name);
        cr_expect_eq(a.port, cases[i].port, "%s", name);
        cr_expect_str_eq(address_print(&a, text),
                         cases[i].printed ? cases[i].printed : cases[i].text, "%s", name);
    }
}

Test(address, parses_an_address_without_a_port)
{
    static const struct {
        const char *text;
        int result;
        const char *printed;
    } cases[] = {
        {"10.0.0.1", 0, "10.0.0.1"},
        {"::", 0, "::"},
        {"[::1]", 0, "::1"},
        {"::ffff:10.0.0.1", 0, "10.0.0.1"},
        {"*", 0, "*"},
        {"fe80::1%lo", 0, "fe80::1%lo"},
        {"[fe80::1%lo]", 0, "fe80::1%lo"},
        {"239.1.1.1%lo", 0, "239.1.1.1%lo"},
        {"10.0.0.1:80", -EINVAL, NULL},
        {"[::1]:80", -EINVAL, NULL},
        {"", -EINVAL, NULL},
        {"fe80::1%nope", -ENODEV, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address a;
        char text[ADDRESS_TEXT_MAX];

        cr_expect_eq(address_parse_ip(cases[i].text, &a), cases[i].result, "%s", cases[i].text);
        if (cases[i].result == 0) {
            cr_expect_eq(a.port, 0);
            cr_expect_str_eq(address_print_ip(&a, text), cases[i].printed);
        }
    }
}

Test(address, prints_the_longest_in_its_buffer)
{
    struct address a = {.family = ADDRESS_IPV6, .port = 65535, .scope = UINT32_MAX};
    char text[ADDRESS_TEXT_MAX];

    memset(a.ip, 0xff, sizeof a.ip);
    cr_expect_str_eq(address_print(&a, text),
                     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
    a = (struct address){0};
    cr_expect_str_eq(address_print_ip(&a, text), "-");
}

Test(address, says_what_kind_it_is)
{
    enum { ANY = 1, LOOPBACK = 2, MULTICAST = 4, LINK_LOCAL = 8, BROADCAST = 16 };
    static const struct {
        const char *text;
        int kinds;
    } cases[] = {
        {"0.0.0.0", ANY},
        {"::", ANY},
        {"*", ANY},
        {"::ffff:0.0.0.0", ANY},
        {"127.0.0.1", LOOPBACK},
        {"127.255.255.254", LOOPBACK},
        {"::1", LOOPBACK},
        {"::ffff:127.0.0.1", LOOPBACK},
        {"128.0.0.1", 0},
        {"::2", 0},
        {"224.0.0.1", MULTICAST},
        {"239.255.255.255", MULTICAST},
        {"240.0.0.0", 0},
        {"223.255.255.255", 0},
        {"ff02::1", MULTICAST},
        {"fe80::1", LINK_LOCAL},
        {"febf::1", LINK_LOCAL},
        {"fec0::1", 0},
        {"169.254.0.1", LINK_LOCAL},
        {"169.253.0.1", 0},
        {"255.255.255.255", BROADCAST},
        {"10.255.255.255", 0},
        {"2001:db8::1", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address a;

        cr_assert_eq(address_parse_ip(cases[i].text, &a), 0, "%s", cases[i].text);

        int kinds = (address_is_any(&a) ? ANY : 0) | (address_is_loopback(&a) ? LOOPBACK : 0) |
                    (address_is_multicast(&a) ? MULTICAST : 0) |
                    (address_is_link_local(&a) ? LINK_LOCAL : 0) |
                    (address_is_broadcast(&a) ? BROADCAST : 0);

        cr_expect_eq(kinds, cases[i].kinds, "%s: %d", cases[i].text, kinds);
    }

    struct address zeroed = {0};

    cr_expect(!address_is_any(&zeroed) && !address_is_loopback(&zeroed));
}

static struct address parsed(const char *text)
{
    struct address a;

    cr_assert_eq(address_parse(text, &a), 0, "%s", text);
    return a;
}

Test(address, compares_canonical_forms)
{
    struct address a = parsed("[::ffff:10.0.0.1]:80");
    struct address b = parsed("10.0.0.1:80");
    struct address c = parsed("10.0.0.1:81");

    cr_expect(address_equal(&a, &b) && memcmp(&a, &b, sizeof a) == 0);
    cr_expect(!address_equal(&b, &c) && address_same_ip(&b, &c));
    a = parsed("[fe80::1%lo]:80");
    b = parsed("[fe80::1%2000000001]:80");
    cr_expect(!address_equal(&a, &b) && address_same_ip(&a, &b));
    a = parsed("*:80");
    b = parsed("[::]:80");
    cr_expect(!address_equal(&a, &b) && !address_same_ip(&a, &b));
}

Test(address, becomes_a_sockaddr_and_comes_back)
{
    static const struct {
        const char *text;
        int family;
        bool fits;
    } cases[] = {
        {"10.0.0.1:7000", AF_INET, true},       {"10.0.0.1:7000", AF_INET6, false},
        {"[2001:db8::1]:1", AF_INET6, true},    {"[2001:db8::1]:1", AF_INET, false},
        {"[fe80::1%lo]:65535", AF_INET6, true}, {"10.0.0.1:7000", AF_UNIX, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address a = parsed(cases[i].text);
        struct sockaddr_storage sa;
        struct address b;
        socklen_t n = address_to_sockaddr(&a, cases[i].family, &sa);

        cr_expect_eq(n > 0, cases[i].fits, "%s", cases[i].text);
        if (n == 0)
            continue;
        cr_expect_eq(sa.ss_family, cases[i].family);
        cr_expect_eq(address_from_sockaddr((struct sockaddr *)&sa, &b), 0);
        cr_expect(address_equal(&a, &b), "%s", cases[i].text);
    }
}

Test(address, of_both_families_becomes_either)
{
    struct address a = parsed("*:7000");
    struct sockaddr_storage sa;
    struct address b;
    struct address any4 = parsed("0.0.0.0:7000");
    struct address any6 = parsed("[::]:7000");

    cr_expect_eq(address_to_sockaddr(&a, AF_INET, &sa), sizeof(struct sockaddr_in));
    cr_expect(address_from_sockaddr((struct sockaddr *)&sa, &b) == 0 && address_equal(&b, &any4));
    cr_expect_eq(address_to_sockaddr(&a, AF_INET6, &sa), sizeof(struct sockaddr_in6));
    cr_expect(address_from_sockaddr((struct sockaddr *)&sa, &b) == 0 && address_equal(&b, &any6));
}

Test(address, makes_a_mapped_sockaddr_canonical)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_scope_id = 3};
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct address wanted = parsed("192.0.2.1:9");
    struct address a;

    memcpy(&in6.sin6_addr, wanted.ip, 16);
    cr_expect_eq(address_from_sockaddr((struct sockaddr *)&in6, &a), 0);
    cr_expect(address_equal(&a, &wanted));
    cr_expect_eq(address_from_sockaddr(&other, &a), -EAFNOSUPPORT);
}

Test(network, parses_and_prints)
{
    static const struct {
        const char *text;
        const char *printed; /* NULL: refused */
    } cases[] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"10.1.2.3", "10.1.2.3/32"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"10.1.2.3/32", "10.1.2.3/32"},
        {"10.1.2.128/25", "10.1.2.128/25"},
        {"2001:db8::/32", "2001:db8::/32"},
        {"[2001:db8::]/32", "2001:db8::/32"},
        {"::1", "::1/128"},
        {"::/0", "::/0"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
        {"10.0.0.1/8", NULL},
        {"2001:db8::1/64", NULL},
        {"10.0.0.0/33", NULL},
        {"::/129", NULL},
        {"10.0.0.0/", NULL},
        {"10.0.0.0/08", NULL},
        {"10.0.0.0/-1", NULL},
        {"10.0.0.0/8/8", NULL},
        {"10.0.0.0/255.0.0.0", NULL},
        {"::ffff:10.0.0.0/8", NULL},
        {"/8", NULL},
        {"", NULL},
        {"*", NULL},
        {"fe80::1%lo", NULL},
        {"10.0.0.0/88888888888888888888888888888888888888888888888888888888888888888", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct network n;
        char text[ADDRESS_TEXT_MAX];
        int r = network_parse(cases[i].text, &n);

        cr_expect_eq(r, cases[i].printed ? 0 : -EINVAL, "%s: %d", cases[i].text, r);
        if (r == 0 && cases[i].printed)
            cr_expect_str_eq(network_print(&n, text), cases[i].printed);
    }
}

Test(network, contains_what_it_covers)
{
    static const struct {
        const char *network;
        const char *ip;
        bool contains;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.2.3.4", true},
        {"10.1.2.128/25", "10.1.2.127", false},
        {"10.1.2.128/25", "10.1.2.255", true},
        {"10.1.2.3", "10.1.2.3", true},
        {"10.1.2.3", "10.1.2.2", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"fe80::/10", "febf::1", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct network n;
        struct address a;

        cr_assert_eq(network_parse(cases[i].network, &n), 0, "%s", cases[i].network);
        cr_assert_eq(address_parse_ip(cases[i].ip, &a), 0, "%s", cases[i].ip);
        cr_expect_eq(network_contains(&n, a.ip), cases[i].contains, "%s in %s", cases[i].ip,
                     cases[i].network);
    }
}
