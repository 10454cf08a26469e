/* SPDX-License-Identifier: MIT */
/* How msgd's database is, in words. */
#include "tools/database.h"

#include "tools/figures.h"

#include <stdio.h>
#include <string.h>

static const char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

static uint64_t count_at(const json_t *json, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(json, key));
    return n > 0 ? (uint64_t)n : 0;
}

const char *database_found(const json_t *store, char *text)
{
    char used[FIGURE_MAX], bound[FIGURE_MAX], left[FIGURE_MAX], damaged[FIGURE_MAX];
    const char *error = text_at(store, "error");
    uint64_t n_damaged = count_at(store, "damaged_rows");
    int n =
        snprintf(text, DATABASE_TEXT_MAX, "%.300s: %s%s%s%s, %s of %s used, the disk has %s left",
                 text_at(store, "path"), text_at(store, "state"), *error != '\0' ? " (" : "", error,
                 *error != '\0' ? ")" : "", figure_bytes(count_at(store, "used_bytes"), used),
                 figure_bytes(count_at(store, "max_bytes"), bound),
                 figure_bytes(count_at(store, "free_bytes"), left));
    if (n_damaged > 0)
        snprintf(text + n, DATABASE_TEXT_MAX - (size_t)n, ", %s damaged row%s set aside",
                 figure_exact(n_damaged, damaged), n_damaged == 1 ? "" : "s");
    return text;
}

const char *database_advice(const json_t *store, char *text)
{
    const char *state = text_at(store, "state");
    const char *advice = NULL;
    if (strcmp(state, "failed") == 0)
        advice = "nothing more is put on disk or acknowledged as stored: see the log, check the "
                 "disk, then start msgd again";
    else if (strcmp(state, "full") == 0 && *text_at(store, "error") != '\0')
        advice = "messages that would have to go to disk are refused: make room on this disk, or "
                 "lower limits.spool_free_bytes";
    else if (strcmp(state, "full") == 0)
        advice =
            "messages that would have to go to disk are refused: msgctl spool list shows "
            "whose they are; consumers, msgctl spool purge or a larger limits.spool_bytes help";
    else if (count_at(store, "damaged_rows") > 0)
        advice =
            "check the disk; the log says what was lost, and the tables damaged and damaged_row "
            "of the database have what was left";
    if (advice != NULL)
        snprintf(text, DATABASE_TEXT_MAX, "%s", advice);
    return advice != NULL ? text : NULL;
}
