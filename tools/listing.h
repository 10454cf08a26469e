/* SPDX-License-Identifier: MIT */
/* What msgls shows: a table of endpoints, one endpoint in full, or drops by reason. */
#ifndef MSGD_TOOLS_LISTING_H
#define MSGD_TOOLS_LISTING_H

#include "tools/endpoint.h"
#include "tools/table.h"

#include <jansson.h>
#include <stdio.h>

/* Two answers of List, and what there is to know beside them. */
struct listing {
    const json_t *endpoints; /* sorted by name */
    const json_t *before;    /* an earlier answer, for rates, or NULL */
    double seconds_between;
    const json_t *store; /* of GetInfo, or NULL */
    struct surroundings around;
    struct layout layout;
    /* The name of a process's program, or NULL. */
    const char *(*command_of)(int pid);
    /* The name of a user. */
    const char *(*user_of)(int64_t uid);
};

/* Sorts an array of endpoints by name, in place. 0 or -ENOMEM. */
int listing_sort(json_t *endpoints) __attribute__((warn_unused_result));

/* All of them print to out and return 0 or -ENOMEM. */
int listing_print_table(const struct listing *l, FILE *out) __attribute__((warn_unused_result));
int listing_print_drops(const struct listing *l, FILE *out) __attribute__((warn_unused_result));
/* Everything about one endpoint. listing_detail.c */
int listing_print_detail(const struct listing *l, const json_t *endpoint, FILE *out)
    __attribute__((warn_unused_result));

/* What is wrong with the endpoint, one paragraph each. */
void listing_print_troubles(const struct listing *l, const struct endpoint *e, FILE *out);

/* What is wrong with the database, if something is. */
void listing_print_database(const struct listing *l, FILE *out);

/* Messages a second since the earlier answer; 0 without one. */
double listing_rate(const struct listing *l, const struct endpoint *e);

/* "pid 4211 msgrecv", "2 consumers" or "-". */
#define LISTING_CONSUMER_MAX 80
const char *listing_consumer(const struct listing *l, const struct endpoint *e,
                             char buf[LISTING_CONSUMER_MAX]);

#endif
