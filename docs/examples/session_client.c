/* SPDX-License-Identifier: MIT */
/*
 * A client of sessions: sends its arguments as messages, and prints what comes back.
 *
 *     cc session_client.c -o session_client $(pkg-config --cflags --libs msgd)
 *     ./session_client 127.0.0.1:7003 '{"question": 1}' '"another one"'
 */
#include <msgd.h>

#include <stdio.h>
#include <string.h>

/* Says everything, then listens until the server has finished, too. 0, or what ended it. */
static int converse(struct msgd_session *s, char **messages)
{
    struct msgd_text text;
    int rc = 0;

    for (; *messages != NULL && rc == 0; messages++)
        rc = msgd_session_write(s, *messages, strlen(*messages), -1);
    if (rc == 0)
        rc = msgd_session_finish(s);
    while (rc >= 0 && (rc = msgd_session_read(s, &text, -1)) > 0)
        printf("%.*s\n", (int)text.length, text.data);
    return rc;
}

int main(int argc, char **argv)
{
    struct msgd_session *s;

    if (argc < 2) {
        fprintf(stderr, "usage: session_client TARGET MESSAGE...\n");
        return 64;
    }
    if (msgd_connect(&s, argv[1], NULL) < 0) {
        fprintf(stderr, "session_client: %s\n", msgd_session_error(NULL));
        return 1;
    }
    int error = converse(s, argv + 2);
    if (error < 0)
        fprintf(stderr, "session_client: %s\n", msgd_session_error(s));
    if (msgd_session_close(s, 5000) < 0)
        error = -1;
    return error < 0;
}
