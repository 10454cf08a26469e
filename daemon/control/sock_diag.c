/* SPDX-License-Identifier: MIT */
/* Whose is a UDP port that another program holds? */
#include "daemon/control/sock_diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
};

static int ask(int fd, const struct address *address, int family)
{
    struct question question = {
        .header = {.nlmsg_len = sizeof(question),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = (uint8_t)family,
                    .sdiag_protocol = IPPROTO_UDP,
                    .idiag_states = UINT32_MAX,
                    .id = {.idiag_sport = htons(address->port)}},
    };
    struct timeval patience = {.tv_sec = 1};

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
        return -errno;
    return send(fd, &question, sizeof(question), 0) < 0 ? -errno : 0;
}

/* The address that a found socket is bound to, in canonical form. */
static void bound_address(const struct inet_diag_msg *found, struct address *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = found->id.idiag_sport};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = found->id.idiag_sport};
    const struct sockaddr *sa = (const struct sockaddr *)&v4;

    memcpy(&v4.sin_addr, found->id.idiag_src, sizeof(v4.sin_addr));
    memcpy(&v6.sin6_addr, found->id.idiag_src, sizeof(v6.sin6_addr));
    if (found->idiag_family == AF_INET6)
        sa = (const struct sockaddr *)&v6;
    if (address_from_sockaddr(sa, out) < 0)
        *out = (struct address){0};
}

static bool stands_in_the_way(const struct inet_diag_msg *found, const struct address *wanted)
{
    struct address bound;

    bound_address(found, &bound);
    if (bound.family == ADDRESS_NONE || bound.port != wanted->port)
        return false;
    return address_is_any(&bound) || address_is_any(wanted) ||
           memcmp(bound.ip, wanted->ip, sizeof(bound.ip)) == 0;
}

/* 1: found; 0: go on; 2: the kernel has said all. */
static int look_through(char *bytes, size_t n, const struct address *wanted, uid_t *uid)
{
    struct nlmsghdr *h = (struct nlmsghdr *)(void *)bytes;

    for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
        const struct inet_diag_msg *found = NLMSG_DATA(h);

        if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
            return 2;
        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*found)) || !stands_in_the_way(found, wanted))
            continue;
        *uid = found->idiag_uid;
        return 1;
    }
    return 0;
}

static int search_family(int fd, const struct address *address, int family, uid_t *uid)
{
    _Alignas(struct nlmsghdr) char bytes[16384];
    int r = ask(fd, address, family);

    while (r == 0) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        r = look_through(bytes, (size_t)n, address, uid);
    }
    return r == 2 ? 0 : r;
}

int sock_diag_holder(const struct address *address, uid_t *uid)
{
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    int r = 0;

    if (fd < 0)
        return -errno;
    if (address->family != ADDRESS_IPV6)
        r = search_family(fd, address, AF_INET, uid);
    /* An IPv6 socket without V6ONLY holds the IPv4 port too. */
    if (r == 0)
        r = search_family(fd, address, AF_INET6, uid);
    close(fd);
    return r;
}
