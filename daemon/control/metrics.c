/* SPDX-License-Identifier: MIT */
/* Everything counted, as Prometheus text. */
#include "daemon/control/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* The labels of an endpoint. Names and addresses hold nothing that needs escaping but a scope
 * might. */
static void put_label_value(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            fputc('\\', out);
        if (*text == '\n')
            fputs("\\n", out);
        else
            fputc(*text, out);
    }
}

static void put_labels(FILE *out, const struct metrics_row *row)
{
    char address[ADDRESS_TEXT_MAX];

    fputs("{name=\"", out);
    put_label_value(out, row->name);
    fputs("\",address=\"", out);
    put_label_value(out, address_print(&row->address, address));
    fputc('"', out);
}

static void put_family(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP msgd_%s %s\n# TYPE msgd_%s %s\n", name, help, name, type);
}

static void put_value(FILE *out, const char *name, uint64_t value)
{
    fprintf(out, "msgd_%s %" PRIu64 "\n", name, value);
}

/* ---- Of each endpoint ---- */

struct row_metric {
    const char *name;
    const char *type;
    const char *help;
    uint64_t (*value)(const struct metrics_row *row);
};

#define LEDGER_VALUE(field)                                    \
    static uint64_t value_##field(const struct metrics_row *r) \
    {                                                          \
        return r->ledger.field;                                \
    }

LEDGER_VALUE(datagrams)
LEDGER_VALUE(kernel_dropped)
LEDGER_VALUE(is_kernel_dropped_exact)
LEDGER_VALUE(received)
LEDGER_VALUE(delivered)
LEDGER_VALUE(queued)
LEDGER_VALUE(spooled)
LEDGER_VALUE(protocol)

static uint64_t value_mailbox_bytes(const struct metrics_row *r)
{
    return r->mailbox_bytes;
}

static uint64_t value_mailbox_used(const struct metrics_row *r)
{
    return r->mailbox_used;
}

static uint64_t value_spool_bytes(const struct metrics_row *r)
{
    return r->spool.bytes;
}

static uint64_t value_spool_waiting(const struct metrics_row *r)
{
    return r->spool.n_waiting;
}

static uint64_t value_consumers(const struct metrics_row *r)
{
    return r->n_consumers;
}

static uint64_t value_stalled(const struct metrics_row *r)
{
    return r->n_stalled;
}

static const struct row_metric row_metrics[] = {
    {"datagrams_total", "counter", "Datagrams read from the socket.", value_datagrams},
    {"kernel_dropped_total", "counter", "Datagrams that the kernel dropped for want of buffer.",
     value_kernel_dropped},
    {"kernel_dropped_exact", "gauge", "1 where kernel_dropped is exact.",
     value_is_kernel_dropped_exact},
    {"received_total", "counter", "Messages that came.", value_received},
    {"delivered_total", "counter", "Messages that a consumer released.", value_delivered},
    {"queued", "gauge", "Messages in the mailbox.", value_queued},
    {"spooled", "gauge", "Messages on disk alone.", value_spooled},
    {"protocol_total", "counter", "Datagrams that are protocol and end in no mailbox.",
     value_protocol},
    {"mailbox_bytes", "gauge", "The mailbox's bound.", value_mailbox_bytes},
    {"mailbox_used_bytes", "gauge", "Bytes in the mailbox.", value_mailbox_used},
    {"spool_bytes", "gauge", "Bytes of messages on disk alone.", value_spool_bytes},
    {"spool_waiting", "gauge", "Messages on their way to the disk.", value_spool_waiting},
    {"consumers", "gauge", "Attached or receiving consumers.", value_consumers},
    {"consumers_stalled", "gauge",
     "Consumers that hold messages and have released none for stall_s.", value_stalled},
};

static void put_row_metric(FILE *out, const struct row_metric *metric, const struct metrics *m)
{
    put_family(out, metric->name, metric->type, metric->help);
    for (size_t i = 0; i < m->n_rows; i++) {
        fprintf(out, "msgd_%s", metric->name);
        put_labels(out, &m->rows[i]);
        fprintf(out, "} %" PRIu64 "\n", metric->value(&m->rows[i]));
    }
}

/* A reason is shown once it has happened, or 10,000 endpoints would be mostly zeros. */
static void put_dropped(FILE *out, const struct metrics *m)
{
    put_family(out, "dropped_total", "counter", "Messages that were not delivered, by reason.");
    for (size_t i = 0; i < m->n_rows; i++) {
        for (int reason = 0; reason < N_DROP_REASONS; reason++) {
            if (m->rows[i].ledger.dropped[reason] == 0)
                continue;
            fputs("msgd_dropped_total", out);
            put_labels(out, &m->rows[i]);
            fprintf(out, ",reason=\"%s\"} %" PRIu64 "\n", drop_reason_key(reason),
                    m->rows[i].ledger.dropped[reason]);
        }
    }
}

static void put_state(FILE *out, const struct metrics *m)
{
    put_family(out, "endpoint_state", "gauge", "1 for the state that the endpoint is in.");
    for (size_t i = 0; i < m->n_rows; i++) {
        fputs("msgd_endpoint_state", out);
        put_labels(out, &m->rows[i]);
        fprintf(out, ",state=\"%s\"} 1\n", entry_state_key(m->rows[i].state));
    }
}

/* ---- Of msgd itself ---- */

static void put_sum(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
    put_family(out, name, type, help);
    put_value(out, name, value);
}

/* ---- Of sessions ---- */

static const struct {
    const char *name;
    const char *help;
    size_t at;
} session_metrics[] = {
#define ROW(field, help)                                            \
    {                                                               \
#field "_total", help, offsetof(struct session_info, field) \
    }
    ROW(connects, "Connects that came, with and without a cookie."),
    ROW(challenges, "Challenges that were sent."),
    ROW(cookies_refused, "Connects with a cookie that was wrong or old."),
    ROW(connects_repeated, "Connects that were known already."),
    ROW(connects_lost, "Connects that could not be decided at once, for the client to repeat."),
    ROW(sessions_opened, "Sessions that were opened."),
    ROW(sessions_finished, "Sessions that both sides finished."),
    ROW(sessions_failed, "Sessions that were aborted, by either side or by time."),
    ROW(sessions_refused, "Clients with a good cookie that were refused."),
    ROW(sessions_unknown, "Datagrams of sessions that are not there."),
    ROW(sessions_misplaced, "Datagrams of sessions that came to another socket than theirs."),
#undef ROW
#define ROW(field, help)                                                       \
    {                                                                          \
        "session_" #field "_total", help, offsetof(struct session_info, field) \
    }
    ROW(datagrams_received, "Datagrams read from the sockets of sessions."),
    ROW(datagrams_sent, "Datagrams that sessions sent."),
    ROW(datagrams_resent, "Of those, the ones sent again."),
#undef ROW
};

static void put_sessions(FILE *out, const struct metrics *m)
{
    for (size_t i = 0; i < sizeof(session_metrics) / sizeof(session_metrics[0]); i++) {
        uint64_t sum = 0;

        for (size_t k = 0; k < m->n_workers; k++) {
            uint64_t value;
            memcpy(&value, (const char *)&m->workers[k].sessions + session_metrics[i].at,
                   sizeof(value));
            sum += value;
        }
        put_sum(out, session_metrics[i].name, "counter", session_metrics[i].help, sum);
    }
}

static void put_workers(FILE *out, const struct metrics *m)
{
    struct worker_info sum = {0};

    for (size_t i = 0; i < m->n_workers; i++) {
        sum.evidence_lost += m->workers[i].evidence_lost;
        sum.tap_missed += m->workers[i].tap_missed;
        sum.links_broken += m->workers[i].links_broken;
        sum.replies_limited += m->workers[i].replies_limited;
        sum.replies_refused += m->workers[i].replies_refused;
        sum.answers_suppressed += m->workers[i].answers_suppressed;
        sum.answers_limited += m->workers[i].answers_limited;
        sum.reads_coalesced += m->workers[i].reads_coalesced;
        sum.reads_anticipated += m->workers[i].reads_anticipated;
        sum.anticipation_ns += m->workers[i].anticipation_ns;
        sum.bytes_resident += m->workers[i].bytes_resident;
    }
    put_sum(out, "quarantine_missed_total", "counter",
            "Rejected datagrams that were counted but not kept.", sum.evidence_lost);
    put_sum(out, "tap_missed_total", "counter", "Copies that taps could not keep up with.",
            sum.tap_missed);
    put_sum(out, "links_broken_total", "counter",
            "Consumers that were detached for what they wrote.", sum.links_broken);
    put_sum(out, "replies_limited_total", "counter", "Replies refused by replies_per_source.",
            sum.replies_limited);
    put_sum(out, "replies_refused_total", "counter", "Replies refused for their destination.",
            sum.replies_refused);
    put_sum(out, "answers_suppressed_total", "counter",
            "Answers of msgd's own that would have been longer than what they answer.",
            sum.answers_suppressed);
    put_sum(out, "answers_limited_total", "counter",
            "Answers of msgd's own refused by answers_per_source.", sum.answers_limited);
    put_sum(out, "reads_coalesced_total", "counter",
            "Reads before which a worker let datagrams gather.", sum.reads_coalesced);
    put_sum(out, "reads_anticipated_total", "counter",
            "Reads for which a worker was awake, since they were due.", sum.reads_anticipated);
    put_sum(out, "anticipation_microseconds_total", "counter",
            "What workers have used to be awake for what is due.", sum.anticipation_ns / 1000);
    put_sum(out, "arena_bytes", "gauge", "Memory that messages lie in.", sum.bytes_resident);
}

static void put_store(FILE *out, const struct store_info *s)
{
    put_family(out, "store_state", "gauge", "1 for the state that the database is in.");
    fprintf(out, "msgd_store_state{state=\"%s\"} 1\n", store_state_name(s->state));
    put_sum(out, "store_max_bytes", "gauge", "The database's bound on disk.", s->max_bytes);
    put_sum(out, "store_used_bytes", "gauge", "Bytes of the database in use.", s->used_bytes);
    put_sum(out, "store_file_bytes", "gauge", "Bytes of the database's files.", s->file_bytes);
    put_sum(out, "store_free_bytes", "gauge", "Bytes that the database's file system has left.",
            s->free_bytes);
    put_sum(out, "store_commits_total", "counter", "Transactions of the database.", s->commits);
    put_sum(out, "store_messages_total", "counter", "Messages that were put on disk.", s->appended);
    put_sum(out, "store_damaged_rows", "gauge", "Rows of the database that were damaged.",
            s->damaged_rows);
    put_sum(out, "store_log_mended", "gauge",
            "Places of the database's log that were wrong at the start, without a loss.",
            s->log_mended);
    put_sum(out, "store_log_broke_off", "gauge",
            "1: the database's log ended before what had been written to it, at the start.",
            s->log_broke_off);
}

void metrics_write(FILE *out, const struct metrics *m)
{
    put_family(out, "build_info", "gauge", "Always 1.");
    fprintf(out, "msgd_build_info{version=\"%s\"} 1\n", MSGD_VERSION);
    put_family(out, "start_time_seconds", "gauge", "When msgd was started, in Unix time.");
    fprintf(out, "msgd_start_time_seconds %.3f\n", (double)m->since_ns / 1e9);
    put_sum(out, "endpoints", "gauge", "Registered names.", m->n_rows);
    put_sum(out, "connections", "gauge", "Control connections.", m->connections);
    put_sum(out, "quarantine_entries", "gauge", "Datagrams in quarantine.", m->quarantine_entries);
    put_sum(out, "quarantine_bytes", "gauge", "Bytes in quarantine.", m->quarantine_bytes);
    put_sum(out, "quarantine_discarded_total", "counter",
            "Datagrams that left quarantine for newer ones.", m->quarantine_discarded);
    put_sum(out, "quarantine_unwritten", "gauge", "Datagrams in quarantine that are not on disk.",
            m->quarantine_unwritten);
    put_sum(out, "sessions", "gauge", "Sessions that are offered, open or ending.", m->sessions);
    put_store(out, &m->store);
    put_workers(out, m);
    put_sessions(out, m);
    for (size_t i = 0; i < sizeof(row_metrics) / sizeof(row_metrics[0]); i++)
        put_row_metric(out, &row_metrics[i], m);
    put_dropped(out, m);
    put_state(out, m);
}
