/* SPDX-License-Identifier: MIT */
/* msgctl info: the daemon itself. */
#ifndef MSGD_TOOLS_INFO_H
#define MSGD_TOOLS_INFO_H

#include <jansson.h>
#include <stdio.h>

/* GetInfo's reply, for people. */
void info_print(const json_t *info, FILE *out);

#endif
