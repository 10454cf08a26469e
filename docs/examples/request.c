/* SPDX-License-Identifier: MIT */
/*
 * Asks a service and prints its answer.
 *
 *     cc request.c $(pkg-config --cflags --libs msgd) -o request
 *     msgrecv shout --exec 'tr a-z A-Z' &
 *     ./request shout '"hello"'
 */
#include <msgd.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *target = argc > 1 ? argv[1] : "shout";
    const char *question = argc > 2 ? argv[2] : "\"hello\"";
    const void *answer;
    size_t length;
    struct msgd_sender *s;
    int error = msgd_sender_open(&s, target, NULL);

    if (error == 0)
        error = msgd_request(s, question, strlen(question), 5000, &answer, &length);
    if (error == 0)
        printf("%.*s\n", (int)length, (const char *)answer);
    else
        fprintf(stderr, "%s\n", msgd_sender_error(s));
    s = msgd_sender_close(s);
    return error != 0;
}
