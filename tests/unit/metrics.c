/* SPDX-License-Identifier: MIT */
/* The text of Metrics. */
#include "daemon/control/metrics.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct metrics_row row(const char *name, const char *address)
{
    struct metrics_row r = {.state = ENTRY_ATTACHED, .n_consumers = 1, .mailbox_bytes = 4096};

    strcpy(r.name, name);
    cr_assert_eq(address_parse(address, &r.address), 0);
    return r;
}

static char *text_of(const struct metrics *m)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    metrics_write(out, m);
    cr_assert_eq(fclose(out), 0);
    return text;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

Test(metrics, names_each_endpoint_in_each_family)
{
    struct metrics_row rows[] = {row("thermo", "127.0.0.1:7000"), row("six", "[::1]:7001")};
    struct metrics m = {.rows = rows, .n_rows = 2};
    char *text;

    rows[0].ledger.received = 12;
    text = text_of(&m);
    cr_assert(
        strstr(text, "\nmsgd_received_total{name=\"thermo\",address=\"127.0.0.1:7000\"} 12\n"));
    cr_assert(strstr(text, "\nmsgd_received_total{name=\"six\",address=\"[::1]:7001\"} 0\n"));
    cr_assert(strstr(
        text, "\nmsgd_endpoint_state{name=\"six\",address=\"[::1]:7001\",state=\"attached\"} 1\n"));
    cr_assert(strstr(text, "\nmsgd_endpoints 2\n"));
    free(text);
}

Test(metrics, shows_the_reasons_that_have_happened_and_no_others)
{
    struct metrics_row rows[] = {row("thermo", "127.0.0.1:7000")};
    struct metrics m = {.rows = rows, .n_rows = 1};
    char *text;

    rows[0].ledger.dropped[DROP_INVALID_JSON] = 3;
    text = text_of(&m);
    cr_assert(strstr(text, ",reason=\"invalid_json\"} 3\n"));
    cr_assert_eq(count(text, "reason="), 1);
    free(text);
}

Test(metrics, describes_each_family_once_and_before_its_values)
{
    struct metrics_row rows[] = {row("a", "127.0.0.1:1"), row("b", "127.0.0.1:2")};
    struct metrics m = {.rows = rows, .n_rows = 2};
    char *text = text_of(&m);
    char *help = strstr(text, "# HELP msgd_datagrams_total");

    cr_assert_eq(count(text, "# HELP msgd_datagrams_total "), 1);
    cr_assert_eq(count(text, "# TYPE msgd_datagrams_total counter\n"), 1);
    cr_assert_lt(help, strstr(text, "\nmsgd_datagrams_total{"));
    cr_assert_eq(count(text, "# HELP"), count(text, "# TYPE"));
    cr_assert_eq(text[strlen(text) - 1], '\n');
    free(text);
}

Test(metrics, adds_up_the_workers)
{
    struct worker_info workers[] = {{.tap_missed = 2}, {.tap_missed = 5}};
    struct metrics m = {.workers = workers, .n_workers = 2};
    char *text = text_of(&m);

    cr_assert(strstr(text, "\nmsgd_tap_missed_total 7\n"));
    free(text);
}

Test(metrics, shows_the_database_and_what_each_endpoint_has_there)
{
    struct metrics_row rows[] = {row("thermo", "127.0.0.1:7000")};
    struct metrics m = {.rows = rows,
                        .n_rows = 1,
                        .store = {.state = STORE_FULL, .used_bytes = 900, .max_bytes = 1000}};
    char *text;

    rows[0].ledger.spooled = 5;
    rows[0].spool.bytes = 640;
    rows[0].spool.n_waiting = 2;
    text = text_of(&m);
    cr_assert(strstr(text, "\nmsgd_store_state{state=\"full\"} 1\n"));
    cr_assert(strstr(text, "\nmsgd_store_used_bytes 900\n"));
    cr_assert(strstr(text, "\nmsgd_store_max_bytes 1000\n"));
    cr_assert(strstr(text, "\nmsgd_spooled{name=\"thermo\",address=\"127.0.0.1:7000\"} 5\n"));
    cr_assert(strstr(text, "\nmsgd_spool_bytes{name=\"thermo\",address=\"127.0.0.1:7000\"} 640\n"));
    cr_assert(strstr(text, "\nmsgd_spool_waiting{name=\"thermo\",address=\"127.0.0.1:7000\"} 2\n"));
    free(text);
}
