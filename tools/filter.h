/* SPDX-License-Identifier: MIT */
/* Which messages a tap shows. */
#ifndef MSGD_TOOLS_FILTER_H
#define MSGD_TOOLS_FILTER_H

#include "proto/address.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * "from=10.0.0.0/8": from one of these networks. "match=TEXT": contains one of these texts. Of
 * filters of one kind one must fit; where there are both kinds, one of each.
 */
struct filter {
    struct network *networks;
    size_t n_networks;
    const char **texts; /* the caller's */
    size_t n_texts;
};

enum filter_outcome { FILTER_WRONG = 1 };

/* texts: kept. 0; FILTER_WRONG: *wrong is the first that cannot be understood; -ENOMEM. */
int filter_init(struct filter *f, const char *const *texts, size_t n, const char **wrong)
    __attribute__((warn_unused_result));
void filter_deinit(struct filter *f);

/* from: "ip:port". An address that cannot be read fits no network. */
bool filter_fits(const struct filter *f, const char *from, const void *data, size_t length);

#endif
