/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a client's session fails in turn, from connecting to the end: each failure is
 * an error or has no effect, what is read is what was written, and nothing is lost or freed twice.
 */
#include "client/msgd.h"
#include "failing_malloc.h"
#include "session_fake.h"

#include <errno.h>
#include <stdlib.h>

#define LARGE 3000000

/* Says one text and reads it back. 0, or what failed. */
static int say(struct msgd_session *s, const char *text, size_t n)
{
    struct msgd_text back;
    int rc = msgd_session_write(s, text, n, 20000);

    if (rc == 0)
        rc = msgd_session_read(s, &back, 20000);
    if (rc != 1)
        return rc == 0 ? -EPROTO : rc;
    cr_expect_eq(back.length, n);
    cr_expect_eq(memcmp(back.data, text, n), 0);
    return 0;
}

/* True if nothing failed. */
static bool live(const char *large)
{
    struct fake_server f = {.act = SERVER_ECHOES};
    char target[32];
    struct msgd_session *s;
    struct msgd_text text;

    fake_server_start(&f, target);
    int rc = msgd_connect(&s, target, NULL);
    if (rc == 0) {
        rc = say(s, "[1]", 3);
        if (rc == 0)
            rc = say(s, large, LARGE);
        if (rc == 0)
            rc = msgd_session_finish(s);
        if (rc == 0)
            rc = msgd_session_read(s, &text, 20000);
        if (rc != 0)
            cr_expect_gt(strlen(msgd_session_error(s)), 0);
        rc |= msgd_session_close(s, rc == 0 ? 20000 : 0);
    }
    fake_server_stop(&f);
    return rc == 0;
}

Test(client_session_no_memory, each_allocation_may_fail, .timeout = 100)
{
    char *large = malloc(LARGE);

    memset(large, 'x', LARGE);
    large[0] = large[LARGE - 1] = '"';
    cr_assert(live(large));
    unsigned long n = n_allocations;
    cr_expect_gt(n, 10);
    for (unsigned long i = 1; i <= n && i <= 100; i++) {
        n_allocations = 0;
        fail_at = i;
        live(large);
        fail_at = 0;
    }
    cr_assert(live(large));
    free(large);
}
