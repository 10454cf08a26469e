/* SPDX-License-Identifier: MIT */
/* What "replay" of msgctl quarantine and msgctl spool have in common. */
#ifndef MSGD_TOOLS_REPLAY_H
#define MSGD_TOOLS_REPLAY_H

#include "tools/ctl_options.h"

#include <jansson.h>

/* Messages or entries of a name. */
struct number_range {
    int64_t first, last;
};

#define EVERY_NUMBER ((struct number_range){1, INT64_MAX})

/* "7": that one; "7-9"; "7-": from there on; NULL: every one. False: none of these. */
bool number_range_parse(const char *text, struct number_range *out);

/* Options of msgctl that only some of its words take. */
struct ctl_words {
    const char *verb, *word; /* "spool", "show" */
    bool takes_count, takes_number, takes_to, takes_bare;
};
/* EXIT_DONE, or the exit code: one that is not for them was given, or --number or --to is wrong. */
int ctl_options_check(const struct ctl_options *o, const struct ctl_words *words);

/* Calls QuarantineReplay or SpoolReplay and says what came of it. parameters: taken. */
int replay_call(struct msgd *m, const struct common_options *common, const char *method,
                json_t *parameters);
/* Gives quarantined entries again. parameters: which, as QuarantineReplay takes it, to which
 * --number and --to are added; taken. */
int replay_quarantine(struct msgd *m, const struct ctl_options *o, json_t *parameters);

#endif
