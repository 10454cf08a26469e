/* SPDX-License-Identifier: MIT */
/* The error queue of a UDP socket (IP_RECVERR). */
#include "client/udp_error.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

void udp_error_watch(int fd, int family)
{
    bool is_v6 = family == AF_INET6;
    int one = 1;

    /* Without it nothing is ever in the queue. */
    (void)setsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_RECVERR : IP_RECVERR, &one,
                     sizeof(one));
}

static void read_error(const struct cmsghdr *h, struct udp_error *out)
{
    struct sock_extended_err error;

    memcpy(&error, CMSG_DATA(h), sizeof(error));
    out->error = -(int)error.ee_errno;
    out->is_local = error.ee_origin == SO_EE_ORIGIN_LOCAL;
    out->mtu = error.ee_errno == EMSGSIZE ? error.ee_info : 0;
}

bool udp_error_next(int fd, struct udp_error *out)
{
    struct sockaddr_storage storage;
    union {
        char bytes[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {.msg_name = &storage,
                             .msg_namelen = sizeof(storage),
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};

    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return false;
    *out = (struct udp_error){0};
    if (message.msg_namelen > 0)
        (void)!address_from_sockaddr((struct sockaddr *)&storage, &out->to);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h != NULL; h = CMSG_NXTHDR(&message, h))
        if ((h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_RECVERR) ||
            (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_RECVERR))
            read_error(h, out);
    return true;
}
