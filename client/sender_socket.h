/* SPDX-License-Identifier: MIT */
/*
 * The UDP socket of a sender: connected to the first of several addresses behind which somebody is,
 * so that the kernel tells of refusals and only that address's answers come in. Batches both ways.
 */
#ifndef MSGD_CLIENT_SENDER_SOCKET_H
#define MSGD_CLIENT_SENDER_SOCKET_H

#include "client/target.h"
#include "client/udp_segment.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define SENDER_BATCH        64u /* datagrams that one call sends */
#define SENDER_ANSWERS      32u /* that one call receives */
#define SENDER_ANSWER_BYTES 65536u

struct sender_socket {
    int fd; /* non-blocking; -1: none */
    struct target_addresses addresses;
    size_t current;
    size_t path_bytes; /* the largest payload that may be part of a train */
    bool is_settled;   /* somebody has answered: no other address is tried any more */
    bool is_single;    /* no trains on this way */
    uint8_t
        *answers; /* SENDER_ANSWERS of SENDER_ANSWER_BYTES each, touched as far as they are used */
    struct mmsghdr headers[SENDER_ANSWERS];
    struct iovec parts[SENDER_ANSWERS];
};

/*
 * Opens a socket to the first address that takes one. 0; -EINVAL (a broadcast or multicast address:
 * whose answer would it be?), -ENOMEM, or what socket(2) and connect(2) say of the last address.
 */
int sender_socket_open(struct sender_socket *s, const struct target_addresses *addresses)
    __attribute__((warn_unused_result));
/* Safe on a zeroed one. */
void sender_socket_close(struct sender_socket *s);

/* Goes on to the next address that takes a socket. False: there is none, and nothing has changed.
 */
bool sender_socket_advance(struct sender_socket *s);

/* Sends datagrams and trains. Returns how many, at least 1; or -errno, of the first one or of the
 * past. */
int sender_socket_send(struct sender_socket *s, struct mmsghdr *headers, unsigned n);

/*
 * Receives what is there. Returns how many: answer i is headers[i].msg_len bytes at
 * parts[i].iov_base, until the next call. 0: nothing is there. -errno.
 */
int sender_socket_receive(struct sender_socket *s);

const struct address *sender_socket_address(const struct sender_socket *s);

#endif
