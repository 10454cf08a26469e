/* SPDX-License-Identifier: MIT */
/* Segmentation offload of UDP. */
#include "client/udp_segment.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

/* Debian 11's headers do not have it. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* Headers of IP and UDP. */
#define OVERHEAD_IPV4 28
#define OVERHEAD_IPV6 48
/* Where the path's size is not known. */
#define ETHERNET_MTU 1500

void udp_segment_set(struct msghdr *h, struct udp_segment *s, size_t length)
{
    uint16_t value = (uint16_t)length;

    h->msg_control = s->bytes;
    h->msg_controllen = sizeof(s->bytes);
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(value));
    memcpy(CMSG_DATA(c), &value, sizeof(value));
}

bool udp_segment_is_refused(int error)
{
    return error == -EINVAL || error == -EIO || error == -EMSGSIZE;
}

size_t udp_segment_max(int fd, int family)
{
    bool is_v6 = family == AF_INET6;
    int overhead = is_v6 ? OVERHEAD_IPV6 : OVERHEAD_IPV4;
    int mtu = 0;
    socklen_t length = sizeof(mtu);

    if (getsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_MTU : IP_MTU, &mtu,
                   &length) != 0 ||
        mtu <= overhead)
        mtu = ETHERNET_MTU;
    size_t bytes = (size_t)(mtu - overhead);
    return bytes < UDP_DATAGRAM_MAX ? bytes : UDP_DATAGRAM_MAX;
}
