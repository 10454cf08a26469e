/* SPDX-License-Identifier: MIT */
/* IP addresses, ports and networks: text, sockaddr and one canonical form. */
#ifndef MSGD_PROTO_ADDRESS_H
#define MSGD_PROTO_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum address_family {
    ADDRESS_NONE = 0, /* a zeroed struct address */
    ADDRESS_IPV4 = 4,
    ADDRESS_IPV6 = 6,
    ADDRESS_BOTH = 46, /* "*": both families, every address */
};

/*
 * An IP address and port in canonical form: an IPv4 address, however it was written
 * (also ::ffff:a.b.c.d), has family ADDRESS_IPV4 and is kept in ip[] as IPv4-mapped
 * (RFC 4291, section 2.5.5.2), so that two equal addresses compare equal byte by byte.
 */
struct address {
    uint8_t ip[16]; /* network byte order; IPv4 as ::ffff:a.b.c.d; zero for ADDRESS_BOTH */
    uint32_t scope; /* interface index of a link-local or multicast address, 0 = none */
    uint16_t port;  /* host byte order */
    uint8_t family; /* enum address_family */
};

/* Bytes for any address_print, NUL included: "[" 39 "%" 15 "]:65535". */
#define ADDRESS_TEXT_MAX 68

/* A source network, as in `allow`. IPv4 networks are kept as ::ffff:a.b.c.d/96+n. */
struct network {
    uint8_t ip[16];
    uint8_t prefix; /* 0..128 */
};

/*
 * Parses an IP address without a port: "10.0.0.1", "fe80::1%eth0", "::", "*".
 * Brackets around IPv6 are accepted. A scope, by name or number, belongs to a link-local or
 * multicast address. port is 0 in the result.
 * 0, -EINVAL (not an address), -ENODEV (no interface of that name); *out is untouched on error.
 */
int address_parse_ip(const char *text, struct address *out) __attribute__((warn_unused_result));

/*
 * Parses "ip:port", "[ip6]:port" or "*:port"; port is decimal, 0..65535, without sign, spaces or
 * leading zeros.
 * 0, -EINVAL, -ERANGE (port above 65535), -ENODEV.
 */
int address_parse(const char *text, struct address *out) __attribute__((warn_unused_result));

/*
 * Writes the address without its port ("fe80::1%eth0"); a scope without an interface is written as
 * its number, a zeroed address as "-". Returns buf.
 */
const char *address_print_ip(const struct address *a, char buf[ADDRESS_TEXT_MAX]);

/* Writes "ip:port" or "[ip6]:port". Returns buf. */
const char *address_print(const struct address *a, char buf[ADDRESS_TEXT_MAX]);

/* From sockaddr_in or sockaddr_in6, made canonical. 0 or -EAFNOSUPPORT. */
int address_from_sockaddr(const struct sockaddr *sa, struct address *out)
    __attribute__((warn_unused_result));

/*
 * To a sockaddr for a socket of the given family (AF_INET or AF_INET6); an IPv4 address has no
 * sockaddr for AF_INET6 here, since every IPv6 socket is V6ONLY. Returns the length, 0 if the
 * families do not fit.
 */
socklen_t address_to_sockaddr(const struct address *a, int family, struct sockaddr_storage *out);

/* The same address, scope and port. */
bool address_equal(const struct address *a, const struct address *b);
/* The same address, whatever the port and scope. */
bool address_same_ip(const struct address *a, const struct address *b);

bool address_is_any(const struct address *a);        /* 0.0.0.0, ::, * */
bool address_is_loopback(const struct address *a);   /* 127.0.0.0/8, ::1 */
bool address_is_multicast(const struct address *a);  /* 224.0.0.0/4, ff00::/8 */
bool address_is_link_local(const struct address *a); /* 169.254.0.0/16, fe80::/10 */
/* 255.255.255.255 only; whether an address is a subnet's broadcast address is the host's to know.
 */
bool address_is_broadcast(const struct address *a);

/*
 * Parses "10.0.0.0/8", "2001:db8::/32", or an address alone. Bits past the prefix must be 0.
 * 0 or -EINVAL, and *out is untouched.
 */
int network_parse(const char *text, struct network *out) __attribute__((warn_unused_result));
/* Writes "10.0.0.0/8". Returns buf. */
const char *network_print(const struct network *n, char buf[ADDRESS_TEXT_MAX]);
/*
 * Is the 16-byte canonical address in the network? An IPv4 address is in IPv4 networks only: not in
 * "::/0".
 */
bool network_contains(const struct network *n, const uint8_t ip[16]);

#endif
