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

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* What was wrong with it, each with a comma before it. */
static void put_damage(const json_t *store, char *text, size_t room)
{
    char rows[FIGURE_MAX], places[FIGURE_MAX];
    uint64_t n_rows = count_at(store, "damaged_rows"), n_places = count_at(store, "log_mended");
    int n = 0;
    *text = '\0';
    if (n_rows > 0)
        n = snprintf(text, room, ", %s damaged row%s", figure_exact(n_rows, rows), plural(n_rows));
    if (n_places > 0)
        n += snprintf(text + n, room - (size_t)n, ", its log was wrong in %s place%s",
                      figure_exact(n_places, places), plural(n_places));
    if (json_is_true(json_object_get(store, "log_broke_off")))
        snprintf(text + n, room - (size_t)n, ", its log broke off when msgd was started");
}

const char *database_found(const json_t *store, char *text)
{
    char used[FIGURE_MAX], bound[FIGURE_MAX], left[FIGURE_MAX], damage[200];
    const char *error = text_at(store, "error");
    put_damage(store, damage, sizeof damage);
    snprintf(text, DATABASE_TEXT_MAX, "%.300s: %s%s%s%s, %s of %s used, the disk has %s left%s",
             text_at(store, "path"), text_at(store, "state"), *error != '\0' ? " (" : "", error,
             *error != '\0' ? ")" : "", figure_bytes(count_at(store, "used_bytes"), used),
             figure_bytes(count_at(store, "max_bytes"), bound),
             figure_bytes(count_at(store, "free_bytes"), left), damage);
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
    else if (count_at(store, "log_mended") > 0)
        advice = "check the disk; nothing is lost";
    if (advice != NULL)
        snprintf(text, DATABASE_TEXT_MAX, "%s", advice);
    return advice != NULL ? text : NULL;
}
