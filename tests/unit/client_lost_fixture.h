/* SPDX-License-Identifier: MIT */
/* What the tests of a libmsgd that loses its msgd register and receive. */
#ifndef MSGD_TESTS_CLIENT_LOST_FIXTURE_H
#define MSGD_TESTS_CLIENT_LOST_FIXTURE_H

#include "client/msgd.h"
#include "client_fake.h"

#define N(steps) (sizeof(steps) / sizeof((steps)[0]))

static const struct msgd_registration thermo = {.name = "thermo", .port = 7000};

static inline void expect_text(const struct msgd_message *message, const char *text)
{
    cr_expect_eq(message->length, strlen(text));
    cr_expect_eq(memcmp(message->data, text, message->length), 0, "got %.*s, not %s",
                 (int)message->length, (const char *)message->data, text);
}

#endif
