/* SPDX-License-Identifier: MIT */
/* msgctl quarantine: what could not be a message. */
#ifndef MSGD_TOOLS_QUARANTINE_H
#define MSGD_TOOLS_QUARANTINE_H

#include "tools/ctl_options.h"

/* words: what stands after "quarantine" on the command line. Returns the exit code. */
int quarantine_run(const struct ctl_options *o, char **words, size_t n_words);

/*
 * Writes bytes as a dump: offset, 16 bytes in hexadecimal, the same as text. Bytes that do not show
 * are dots.
 */
void quarantine_dump(const unsigned char *bytes, size_t n, FILE *out);

#endif
