/* SPDX-License-Identifier: MIT */
/*
 * Registers "thermo" on port 7000 and prints every message that is sent there, read in place.
 *
 *     cc consumer.c -o consumer $(pkg-config --cflags --libs msgd) && ./consumer
 *     echo '{"celsius": 21.5}' >/dev/udp/127.0.0.1/7000          # in another bash
 *
 * Stop it, send some more, start it again: what came in between is there. Restart msgd meanwhile:
 * the library registers again by itself.
 */
#include <msgd.h>

#include <stdio.h>
#include <stdlib.h>

#define BATCH 64

int main(int argc, char **argv)
{
    const struct msgd_registration registration = {
        .name = argc > 1 ? argv[1] : "thermo",
        .port = (uint16_t)atoi(argc > 2 ? argv[2] : "7000"),
    };
    struct msgd_message messages[BATCH];
    struct msgd_endpoint endpoint;
    struct msgd *m;

    if (msgd_open(&m, NULL) < 0) {
        fprintf(stderr, "consumer: %s\n", msgd_error(NULL));
        return 1;
    }
    int n = msgd_register(m, &registration, &endpoint);
    if (n == 0)
        fprintf(stderr, "consumer: %s at %s port %d\n", endpoint.name, endpoint.address,
                endpoint.port);
    while (n >= 0) {
        n = msgd_receive(m, messages, BATCH, -1);
        for (int i = 0; i < n; i++) {
            char from[MSGD_ADDRESS_TEXT_MAX];
            printf("%s #%llu from %s: %.*s\n", messages[i].name,
                   (unsigned long long)messages[i].seq, msgd_address_print(&messages[i].from, from),
                   (int)messages[i].length, (const char *)messages[i].data);
        }
        /* Only what has left this process for good is released: if it dies before, it comes again.
         */
        if (n > 0 && fflush(stdout) == 0)
            msgd_release(m, &messages[n - 1]);
    }
    fprintf(stderr, "consumer: %s\n", msgd_error(m));
    m = msgd_close(m);
    return 1;
}
