/* SPDX-License-Identifier: MIT */
/* What became of a message, as msgsend says it: a sentence and an exit code. */
#ifndef MSGD_TOOLS_SEND_VERDICT_H
#define MSGD_TOOLS_SEND_VERDICT_H

#include "client/msgd.h"
#include "tools/exit.h"

#include <stdbool.h>

struct send_verdict {
    enum exit_code code;
    bool is_of_all;     /* later messages would fare no better */
    char sentence[512]; /* "" where it went as wished */
};

/* where: the target as it was given. seconds: how long was waited. wish: what for. */
void send_verdict(const struct msgd_result *result, enum msgd_wish wish, const char *where,
                  double seconds, struct send_verdict *out);

#endif
