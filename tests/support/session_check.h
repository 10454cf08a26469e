/* SPDX-License-Identifier: MIT */
/* What holds of a session at any moment, seen from inside. For simulations and fuzzing. */
#ifndef MSGD_TESTS_SUPPORT_SESSION_CHECK_H
#define MSGD_TESTS_SUPPORT_SESSION_CHECK_H

#include "proto/session.h"

/* NULL, or what does not hold. */
const char *session_check(const struct session *s);

#endif
