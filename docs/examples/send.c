/* SPDX-License-Identifier: MIT */
/* Sends a JSON text to 127.0.0.1:PORT. It knows nothing of msgd: cc send.c -o send && ./send 7000
 * '{"t": 21.5}' */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *text = argc > 2 ? argv[2] : "\"hello\"";
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    to.sin_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : "7000"));
    if (fd < 0 || sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
        return perror("send"), 1;
    return 0;
}
