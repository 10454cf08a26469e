/* SPDX-License-Identifier: MIT */
/* The parameters of a call, checked: unknown, missing and ill-typed ones are refused. */
#ifndef MSGD_DAEMON_CONTROL_PARAMS_H
#define MSGD_DAEMON_CONTROL_PARAMS_H

#include "daemon/control/call.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum param_type {
    PARAM_STRING,  /* const char *, without U+0000 */
    PARAM_TEXT,    /* json_t *, a string with any characters */
    PARAM_STRINGS, /* json_t *, an array of strings */
    PARAM_INT,     /* int64_t, at least 0 */
    PARAM_BOOL,    /* bool */
};

/* One parameter. out: left as it is where the parameter is absent or null. */
struct param {
    const char *key;
    enum param_type type;
    bool is_required;
    void *out;
};

/* False: the call has been answered with InvalidParameter. What out points to lives as long as the
 * call. */
bool params_parse(struct call *call, const struct param *params, size_t n);

#define PARAMS_PARSE(call, params) \
    params_parse((call), (params), sizeof(params) / sizeof((params)[0]))

/*
 * Reads the one of payload and payload_base64 that is there (json_t * of strings, or NULL). *bytes:
 * malloc'ed. False: the call has been answered (InvalidParameter, TooLarge, TryAgain).
 */
bool params_payload(struct call *call, json_t *text, json_t *base64, uint8_t **bytes,
                    size_t *n_bytes);

#endif
