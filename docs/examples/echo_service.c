/* SPDX-License-Identifier: MIT */
/*
 * Answers every message with itself, inside an event loop: here poll(2), with the terminal beside
 * msgd; any other loop works the same with the descriptor of msgd_fd.
 *
 *     cc echo_service.c -o echo_service $(pkg-config --cflags --libs msgd) && ./echo_service
 *     msgsend --reply 127.0.0.1:7001 '{"hello": "there"}'        # in another terminal
 */
#include <msgd.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH 64

/* Answers all that is there. 0, or what ended it. */
static int answer(struct msgd *m)
{
    struct msgd_message messages[BATCH];
    int n;

    while ((n = msgd_receive(m, messages, BATCH, 0)) > 0) {
        for (int i = 0; i < n; i++) {
            /* It leaves from the address and port that were asked. */
            int error = msgd_reply(m, &messages[i], messages[i].data, messages[i].length);
            if (error < 0)
                fprintf(stderr, "echo_service: %s\n", msgd_error(m));
        }
        msgd_release(m, &messages[n - 1]);
    }
    return n;
}

static int serve(struct msgd *m)
{
    struct pollfd watched[2] = {
        {.fd = msgd_fd(m), .events = POLLIN},
        {.fd = STDIN_FILENO, .events = POLLIN},
    };
    int error;

    /* The first call with timeout 0 arms the descriptor. */
    while ((error = answer(m)) == 0 || error == -EINTR) {
        if (poll(watched, 2, -1) < 0 && errno != EINTR)
            return -errno;
        if (watched[1].revents != 0)
            return 0;
    }
    return error;
}

int main(int argc, char **argv)
{
    const struct msgd_registration registration = {
        .name = "echo",
        .port = (uint16_t)atoi(argc > 1 ? argv[1] : "7001"),
    };
    struct msgd *m;

    if (msgd_open(&m, NULL) < 0) {
        fprintf(stderr, "echo_service: %s\n", msgd_error(NULL));
        return 1;
    }
    int error = msgd_register(m, &registration, NULL);
    if (error == 0) {
        fprintf(stderr, "echo_service: port %d; press Enter to end\n", registration.port);
        error = serve(m);
    }
    if (error < 0)
        fprintf(stderr, "echo_service: %s\n", msgd_error(m));
    m = msgd_close(m);
    return error < 0;
}
