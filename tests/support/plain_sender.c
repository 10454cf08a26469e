/* SPDX-License-Identifier: MIT */
/* What any program does to send one datagram: plain_sender ADDRESS PORT TEXT. */
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *to;
    if (argc != 4 || getaddrinfo(argv[1], argv[2], &hints, &to) != 0)
        return 1;
    int fd = socket(to->ai_family, to->ai_socktype, 0);
    size_t length = strlen(argv[3]);
    if (sendto(fd, argv[3], length, 0, to->ai_addr, to->ai_addrlen) != (ssize_t)length)
        return 1;
    freeaddrinfo(to);
    return 0;
}
