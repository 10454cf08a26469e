/* SPDX-License-Identifier: MIT */
/* msgctl spool: what is on disk of endpoints' messages. */
#ifndef MSGD_TOOLS_SPOOL_H
#define MSGD_TOOLS_SPOOL_H

#include "tools/ctl_options.h"

/* words: what stands after "spool" on the command line. Returns the exit code. */
int spool_run(const struct ctl_options *o, char **words, size_t n_words);

#endif
