/* SPDX-License-Identifier: MIT */
/* What went wrong last, as one sentence for people and, where msgd said it, as its Varlink error.
 */
#ifndef MSGD_CLIENT_FAILURE_H
#define MSGD_CLIENT_FAILURE_H

#include "proto/varlink.h"

#define FAILURE_SENTENCE_MAX 512
#define FAILURE_NAME_MAX     128

struct failure {
    char sentence[FAILURE_SENTENCE_MAX]; /* "": nothing has failed */
    char name[FAILURE_NAME_MAX];         /* "io.msgd.NameTaken", or "" */
    char *parameters;                    /* JSON, owned; NULL: none */
};

void failure_deinit(struct failure *f);

/* Forgets what was noted before and notes a sentence. Returns error, a negative errno. */
int failure_set(struct failure *f, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "cannot reach msgd at PATH: ...". Returns error. */
int failure_unreachable(struct failure *f, const char *path, int error);

/*
 * Notes the error of a reply (reply->error is not NULL) to a call of `method` that was about
 * `subject` (an endpoint's name, or NULL). Returns the negative errno that stands for it.
 */
int failure_from_reply(struct failure *f, const char *method, const char *subject,
                       const struct varlink_reply *reply);

#endif
