/* SPDX-License-Identifier: MIT */
/* Opening the UDP socket of an endpoint. */
#include "daemon/data/socket.h"

#include "daemon/core/table.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : -errno;
}

/* ---- Multicast ---- */

static int join_on(int fd, const struct address *group, uint32_t interface)
{
    int rc;

    if (group->family == ADDRESS_IPV4) {
        struct ip_mreqn request = {.imr_ifindex = (int)interface};
        memcpy(&request.imr_multiaddr, group->ip + 12, 4);
        rc = setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request));
    } else {
        struct ipv6_mreq request = {.ipv6mr_interface = interface};
        memcpy(&request.ipv6mr_multiaddr, group->ip, 16);
        rc = setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof(request));
    }
    return rc == 0 ? 0 : -errno;
}

/* Joins on the group's interface, else on every one that there is. 0 if at least one was joined. */
static int join(int fd, const struct address *group)
{
    if (group->scope != 0)
        return join_on(fd, group, group->scope);

    struct if_nameindex *interfaces = if_nameindex();
    int rc = interfaces == NULL ? -errno : -ENODEV;
    bool is_joined = false;
    for (struct if_nameindex *i = interfaces; i != NULL && i->if_index != 0; i++) {
        int failed = join_on(fd, group, i->if_index);
        if (failed == 0)
            is_joined = true;
        else
            rc = failed;
    }
    if (interfaces != NULL)
        if_freenameindex(interfaces);
    return is_joined ? 0 : rc;
}

/* ---- Opening ---- */

/* One of a host's own. What comes there was sent to it, so the kernel need not say (50 ns a
 * datagram), but for the interface of a link-local one. */
static bool is_specific(const struct address *a)
{
    return !address_is_any(a) && !address_is_multicast(a) && !address_is_broadcast(a);
}

static int set_ipv4_options(int fd, const struct address *a)
{
    int rc = set(fd, IPPROTO_IP, is_specific(a) ? IP_FREEBIND : IP_PKTINFO, 1);

    return rc == 0 ? set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) : rc;
}

static int set_ipv6_options(int fd, const struct address *a)
{
    int rc = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);

    if (rc == 0 && (!is_specific(a) || address_is_link_local(a)))
        rc = set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (rc == 0 && is_specific(a))
        rc = set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
    return rc;
}

/* The kernel doubles what is set; both directions are said in the unit of the setting. */
static int set_receive_buffer(int fd, uint32_t bytes, uint32_t *granted)
{
    int value = 0;
    socklen_t length = sizeof(value);

    if ((set(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)bytes) != 0 &&
         set(fd, SOL_SOCKET, SO_RCVBUF, (int)bytes) != 0) ||
        getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &length) != 0)
        return -errno;
    *granted = (uint32_t)value / 2;
    return 0;
}

/*
 * What a socket is, in one number: ten thousand are adopted at once, and asking the kernel about
 * each took a third of that. The last bit is set where it gave another receive buffer than was
 * asked for: it may have been allowed more since. A change of what udp_socket_open does changes
 * NOTE_SEED.
 */
#define NOTE_SEED  UINT64_C(2)
#define NOTE_OTHER UINT64_C(1)

static uint64_t note_of(const struct settings *s, const struct address *a, uint32_t granted)
{
    struct {
        uint8_t ip[16];
        uint32_t scope, port, family, gro, is_shared, receive_buffer_bytes;
    } what = {.scope = a->scope,
              .port = a->port,
              .family = a->family,
              .gro = s->gro,
              .is_shared = s->shards > 1,
              .receive_buffer_bytes = s->receive_buffer_bytes};

    memcpy(what.ip, a->ip, sizeof(what.ip));
    return (table_hash(NOTE_SEED, &what, sizeof(what)) & ~NOTE_OTHER) |
           (granted == s->receive_buffer_bytes ? 0 : NOTE_OTHER);
}

static int set_options(int fd, const struct settings *s, const struct address *a, uint32_t *granted)
{
    int rc = a->family == ADDRESS_IPV4 ? set_ipv4_options(fd, a) : set_ipv6_options(fd, a);

    if (rc == 0)
        rc = set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    if (rc == 0)
        rc = set(fd, SOL_SOCKET, SO_BROADCAST, 1);
    if (rc == 0 && s->shards > 1)
        rc = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0)
        rc = set_receive_buffer(fd, s->receive_buffer_bytes, granted);
    if (rc == 0 && s->gro)
        (void)!set(fd, IPPROTO_UDP, UDP_GRO, 1); /* an old kernel does without */
    return rc;
}

int udp_socket_open(struct udp_socket *out, const struct settings *s, const struct address *address,
                    const char **what)
{
    int family = address->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
    struct sockaddr_storage name;
    socklen_t length = address_to_sockaddr(address, family, &name);

    *what = "socket";
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0)
        return -errno;

    *what = "setsockopt";
    int rc = set_options(fd, s, address, &out->granted);
    if (rc == 0) {
        *what = "bind";
        rc = bind(fd, (struct sockaddr *)&name, length) == 0 ? 0 : -errno;
    }
    if (rc == 0 && address_is_multicast(address)) {
        *what = "join the multicast group";
        rc = join(fd, address);
    }
    if (rc == 0) {
        out->descriptor = fd;
        out->note = note_of(s, address, out->granted);
        return 0;
    }
    close(fd);
    return rc;
}

int udp_socket_probe(const struct address *address)
{
    int family = address->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
    struct sockaddr_storage name;
    socklen_t length = address_to_sockaddr(address, family, &name);
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    int rc = fd < 0 ? -errno : 0;

    if (rc == 0)
        rc = family == AF_INET ? set_ipv4_options(fd, address) : set_ipv6_options(fd, address);
    if (rc == 0 && bind(fd, (struct sockaddr *)&name, length) != 0)
        rc = -errno;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* ---- Adopting ---- */

static bool is_shared(int fd)
{
    int value = 0;
    socklen_t length = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &length) == 0 && value != 0;
}

static bool is_bound_at(int fd, const struct address *address)
{
    struct sockaddr_storage name = {0};
    struct address bound;
    socklen_t length = sizeof(name);
    int type = 0;
    socklen_t type_length = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) != 0 || type != SOCK_DGRAM ||
        getsockname(fd, (struct sockaddr *)&name, &length) != 0 ||
        address_from_sockaddr((struct sockaddr *)&name, &bound) != 0)
        return false;
    return bound.family == address->family && bound.port == address->port &&
           bound.scope == address->scope && memcmp(bound.ip, address->ip, sizeof(bound.ip)) == 0;
}

static bool adjust(int fd, const struct settings *s, const struct address *address)
{
    if (!is_bound_at(fd, address) || is_shared(fd) != (s->shards > 1))
        return false;
    (void)!set(fd, IPPROTO_UDP, UDP_GRO, s->gro);
    return true;
}

bool udp_socket_adopt(struct udp_socket *socket, const struct settings *s,
                      const struct address *address)
{
    const uint64_t wanted = note_of(s, address, s->receive_buffer_bytes);
    int fd = socket->descriptor;

    if (fd < 0)
        return false;
    if (socket->note == wanted) {
        socket->granted = s->receive_buffer_bytes;
        return true;
    }
    if (((socket->note & ~NOTE_OTHER) == wanted || adjust(fd, s, address)) &&
        set_receive_buffer(fd, s->receive_buffer_bytes, &socket->granted) == 0) {
        socket->note = note_of(s, address, socket->granted);
        return true;
    }
    close(fd);
    socket->descriptor = -1;
    return false;
}

size_t source_control(struct cmsghdr *c, const struct address *from)
{
    if (from->family == ADDRESS_IPV4) {
        struct in_pktinfo info = {.ipi_ifindex = (int)from->scope};
        memcpy(&info.ipi_spec_dst, from->ip + 12, 4);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        return CMSG_SPACE(sizeof(info));
    }
    struct in6_pktinfo info = {.ipi6_ifindex = from->scope};
    memcpy(&info.ipi6_addr, from->ip, 16);
    c->cmsg_level = IPPROTO_IPV6;
    c->cmsg_type = IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(c), &info, sizeof(info));
    return CMSG_SPACE(sizeof(info));
}

/* ---- Own ports ---- */

/* Endpoints bound to each port; written by control, read by workers. */
static _Atomic uint16_t own_ports[65536];

void own_port_add(uint16_t port)
{
    atomic_fetch_add_explicit(&own_ports[port], 1, memory_order_relaxed);
}

void own_port_remove(uint16_t port)
{
    atomic_fetch_sub_explicit(&own_ports[port], 1, memory_order_relaxed);
}

/* Is it an address of this host? One that can be bound without IP_FREEBIND is. */
static bool is_local(const struct address *a)
{
    int family = a->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
    struct address anywhere = *a;
    struct sockaddr_storage name;

    if (address_is_loopback(a) || address_is_any(a))
        return true;
    anywhere.port = 0;
    socklen_t length = address_to_sockaddr(&anywhere, family, &name);
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0)
        return true; /* when in doubt, no loop */
    bool is_bound = bind(fd, (struct sockaddr *)&name, length) == 0;
    close(fd);
    return is_bound;
}

bool own_port_is(const struct address *a)
{
    return atomic_load_explicit(&own_ports[a->port], memory_order_relaxed) > 0 && is_local(a);
}
