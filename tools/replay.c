/* SPDX-License-Identifier: MIT */
/* What "replay" of msgctl quarantine and msgctl spool have in common. */
#include "tools/replay.h"

#include "proto/name.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- The command line ---- */

/* Digits, and where they end; false: there are none, or too many. */
static bool read_number(const char **text, int64_t *out)
{
    size_t n = strspn(*text, "0123456789");
    if (n == 0 || n > 18)
        return false;
    *out = atoll(*text);
    *text += n;
    return true;
}

bool number_range_parse(const char *text, struct number_range *out)
{
    *out = EVERY_NUMBER;
    if (text == NULL)
        return true;
    if (!read_number(&text, &out->first))
        return false;
    if (*text == '\0') {
        out->last = out->first;
        return true;
    }
    if (*text++ != '-')
        return false;
    if (*text == '\0')
        return true;
    return read_number(&text, &out->last) && *text == '\0' && out->last >= out->first;
}

int ctl_options_check(const struct ctl_options *o, const struct ctl_words *w)
{
    struct number_range range;
    const char *surplus = o->count > 0 && !w->takes_count         ? "count"
                          : o->number != NULL && !w->takes_number ? "number"
                          : o->to != NULL && !w->takes_to         ? "to"
                          : o->bare && !w->takes_bare             ? "bare"
                                                                  : NULL;
    if (surplus != NULL)
        return tool_usage("--%s: not with %s%s%s", surplus, w->verb, w->word != NULL ? " " : "",
                          w->word != NULL ? w->word : "");
    if (!number_range_parse(o->number, &range))
        return tool_usage(
            "--number \"%s\": expected a number, FROM-TO, or FROM- for all from there on",
            o->number);
    if (o->to != NULL && !name_is_valid(o->to))
        return tool_usage("--to \"%s\": expected the NAME of an endpoint", o->to);
    return EXIT_DONE;
}

/* ---- The calls ---- */

static int64_t number_at(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

int replay_call(struct msgd *m, const struct common_options *common, const char *method,
                json_t *parameters)
{
    json_t *reply;
    int code = tool_call(m, method, parameters, &reply);
    if (code != EXIT_DONE)
        return code;
    int64_t next = number_at(reply, "next");
    if (common->json)
        code = tool_print_json(reply);
    else
        printf("%" PRId64 " accepted, %" PRId64 " refused\n", number_at(reply, "accepted"),
               number_at(reply, "refused"));
    if (number_at(reply, "lost") > 0)
        tool_say("messages are missing that cannot be read any more: the database was damaged");
    if (code == EXIT_DONE && next > 0)
        code = tool_fail(EXIT_TEMPORARY,
                         "there is no room for number %" PRId64 "; go on with --number %" PRId64
                         "- when there is",
                         next, next);
    json_decref(reply);
    return code;
}

int replay_quarantine(struct msgd *m, const struct ctl_options *o, json_t *p)
{
    struct number_range range;
    if (o->number != NULL && number_range_parse(o->number, &range)) {
        json_object_set_new(p, "id", json_integer(range.first));
        json_object_set_new(p, "last_id", json_integer(range.last));
    }
    if (o->to != NULL)
        json_object_set_new(p, "to", json_string(o->to));
    return replay_call(m, &o->common, "io.msgd.QuarantineReplay", p);
}
