/* SPDX-License-Identifier: MIT */
/* What was parsed, printed and parsed again is the same; addresses, networks and sockaddrs. */
#include "proto/address.h"
#include "tests/fuzz/fuzz.h"

#include <netinet/in.h>

static void round_trip_address(const char *text)
{
    char printed[ADDRESS_TEXT_MAX];
    struct address a;
    struct address b;

    if (address_parse(text, &a) == 0) {
        HOLDS(address_parse(address_print(&a, printed), &b) == 0);
        HOLDS(address_equal(&a, &b));
    }
    if (address_parse_ip(text, &a) == 0) {
        HOLDS(a.port == 0);
        HOLDS(address_parse_ip(address_print_ip(&a, printed), &b) == 0);
        HOLDS(address_equal(&a, &b) && address_same_ip(&a, &b));
        HOLDS(address_is_loopback(&a) + address_is_multicast(&a) + address_is_link_local(&a) +
                  address_is_any(&a) + address_is_broadcast(&a) <=
              1);
    }
}

static void round_trip_network(const char *text)
{
    char printed[ADDRESS_TEXT_MAX];
    struct network a;
    struct network b;

    if (network_parse(text, &a) < 0)
        return;
    HOLDS(network_parse(network_print(&a, printed), &b) == 0);
    HOLDS(a.prefix == b.prefix && memcmp(a.ip, b.ip, sizeof a.ip) == 0);
    HOLDS(network_contains(&a, a.ip));
}

static void round_trip_sockaddr(const uint8_t *data, size_t size, int family)
{
    struct sockaddr_storage in = {0};
    struct sockaddr_storage out;
    struct address a;
    struct address b;

    memcpy(&in, data, size < sizeof in ? size : sizeof in);
    in.ss_family = (sa_family_t)family;
    HOLDS(address_from_sockaddr((struct sockaddr *)&in, &a) == 0);
    HOLDS(address_to_sockaddr(&a, a.family == ADDRESS_IPV4 ? AF_INET : AF_INET6, &out) > 0);
    HOLDS(address_from_sockaddr((struct sockaddr *)&out, &b) == 0);
    b.scope = a.scope; /* IPv4 has no place for it there */
    HOLDS(address_equal(&a, &b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);

    round_trip_address(text);
    round_trip_network(text);
    round_trip_sockaddr(data, size, AF_INET);
    round_trip_sockaddr(data, size, AF_INET6);
    free(text);
    return 0;
}
