/* SPDX-License-Identifier: MIT */
/* msgctl spool: what is on disk of endpoints' messages. */
#ifndef MSGD_TOOLS_SPOOL_H
#define MSGD_TOOLS_SPOOL_H

#include "tools/tool.h"

/* words: what stands after "spool" on the command line; count: that of --count, 0: all. Returns the
 * exit code. */
int spool_run(const struct common_options *common, int64_t count, char **words, size_t n_words);

#endif
