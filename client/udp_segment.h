/* SPDX-License-Identifier: MIT */
/*
 * Trains: datagrams of one length to one address, the last one maybe shorter, that the kernel takes
 * as one packet and cuts as late as it can (UDP_SEGMENT).
 */
#ifndef MSGD_CLIENT_UDP_SEGMENT_H
#define MSGD_CLIENT_UDP_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define UDP_DATAGRAM_MAX 65507u /* the largest payload of UDP over IPv4, also of a whole train */
#define UDP_SEGMENTS_MAX 64u    /* datagrams of a train; the kernel's own bound */

/* What says that a message is a train. */
struct udp_segment {
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

/* Makes h a train of datagrams of `length` bytes. Keeps s. */
void udp_segment_set(struct msghdr *h, struct udp_segment *s, size_t length);

/* Is that what a kernel or device says that cannot send this train? Its datagrams may go alone. */
bool udp_segment_is_refused(int error);

/* The largest payload that a connected socket's datagram may have without being cut on its way, as
 * far as is known: only such ones may be a train. */
size_t udp_segment_max(int fd, int family);

#endif
