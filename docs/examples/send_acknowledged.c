/* SPDX-License-Identifier: MIT */
/*
 * Sends each line of stdin, a JSON text, and says what became of it. Many are under way at a time.
 *
 *     cc send_acknowledged.c $(pkg-config --cflags --libs msgd) -o send_acknowledged
 *     ./send_acknowledged sensor-hub.example:7000 <readings
 */
#include <errno.h>
#include <msgd.h>
#include <stdio.h>
#include <string.h>

#define MANY 64

/* The results that are there, waiting at most timeout_ms for the first. How many, or -errno. */
static int print_results(struct msgd_sender *s, int timeout_ms)
{
    struct msgd_result results[MANY];
    int n = msgd_sender_results(s, results, MANY, timeout_ms);

    for (int i = 0; i < n; i++)
        printf("line %lu: %s %s\n", (unsigned long)results[i].token,
               msgd_outcome_name(results[i].outcome), results[i].reason);
    return n;
}

int main(int argc, char **argv)
{
    struct msgd_sender *s;
    char line[4096];
    unsigned long number = 0;
    int n = msgd_sender_open(&s, argc > 1 ? argv[1] : "127.0.0.1:7000", NULL);

    while (n >= 0 && fgets(line, sizeof(line), stdin) != NULL) {
        struct msgd_send message = {.data = line, .token = (void *)++number};
        message.length = strcspn(line, "\n");
        while ((n = msgd_sender_put(s, &message)) == -EAGAIN)
            if ((n = print_results(s, -1)) < 0)
                break;
        if (n == -EINVAL) {
            fprintf(stderr, "line %lu: %s\n", number, msgd_sender_error(s));
            n = 0;
        }
    }
    while (n >= 0 && msgd_sender_unanswered(s) > 0)
        n = print_results(s, -1);
    if (n < 0)
        fprintf(stderr, "%s\n", msgd_sender_error(s));
    s = msgd_sender_close(s);
    return n < 0;
}
