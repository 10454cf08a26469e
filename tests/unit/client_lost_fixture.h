/* SPDX-License-Identifier: MIT */
/* What the tests of a libmsgd that loses its msgd register and receive. */
#ifndef MSGD_TESTS_CLIENT_LOST_FIXTURE_H
#define MSGD_TESTS_CLIENT_LOST_FIXTURE_H

#include "client/msgd.h"
#include "client_fake.h"

#define N(steps) (sizeof(steps) / sizeof((steps)[0]))

static const struct msgd_registration thermo = {.name = "thermo", .port = 7000};

/* A program that has opened libmsgd on a socket whose far end plays steps; with a lane to attach.
 */
struct client {
    struct fake f;
    struct fake_lane lane;
    struct msgd *m;
};

static inline void client_open(struct client *c, const struct fake_step *steps, size_t n_steps)
{
    fake_lane_init(&c->lane);
    fake_start(&c->f, steps, n_steps);
    cr_assert_eq(msgd_open(&c->m, c->f.path), 0, "%s", msgd_error(NULL));
}

/* The script has been played to its end by then, or fake_stop fails the test. */
static inline void client_close(struct client *c)
{
    fake_stop(&c->f);
    c->m = msgd_close(c->m);
    fake_lane_deinit(&c->lane);
}

static inline void expect_text(const struct msgd_message *message, const char *text)
{
    cr_expect_eq(message->length, strlen(text));
    cr_expect_eq(memcmp(message->data, text, message->length), 0, "got %.*s, not %s",
                 (int)message->length, (const char *)message->data, text);
}

#endif
