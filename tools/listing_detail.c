/* SPDX-License-Identifier: MIT */
/* One endpoint in full. */
#include "tools/listing.h"

#include "tools/figures.h"

#include <stdarg.h>
#include <string.h>

#define MAX_SOURCES    16
#define LABEL_WIDTH    12
#define LINE_MAX_BYTES 2048

/* "settings    text", continued under the text. */
__attribute__((format(printf, 4, 5))) static void print_line(const struct listing *l, FILE *out,
                                                             const char *label, const char *format,
                                                             ...)
{
    char text[LINE_MAX_BYTES];
    int n = snprintf(text, sizeof text, "%-*s", LABEL_WIDTH, label);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + n, sizeof text - (size_t)n, format, arguments);
    va_end(arguments);
    struct layout layout = l->layout;
    layout.indent = 2;
    layout_print(&layout, text, LABEL_WIDTH, out);
}

static const char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "?";
}

static long long number_at(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static const char *join(const json_t *texts, const char *otherwise, char *buf, size_t size)
{
    size_t length = 0, i;
    const json_t *text;
    if (json_array_size(texts) == 0)
        return otherwise;
    buf[0] = '\0';
    json_array_foreach(texts, i, text)
    {
        if (length + 1 < size)
            length += (size_t)snprintf(buf + length, size - length, "%s%s", i == 0 ? "" : ", ",
                                       json_string_value(text));
    }
    return buf;
}

static const char *lease_text(const struct endpoint *e, char buf[64])
{
    char duration[FIGURE_MAX];
    if (e->lease_s < 0)
        return "forever";
    if (e->lease_s == 0)
        return "none";
    snprintf(buf, 64, "%s", figure_duration(e->lease_s, duration));
    return buf;
}

static void print_settings(const struct listing *l, const struct endpoint *e, FILE *out)
{
    char lease[64], mailbox[FIGURE_MAX], buffer[FIGURE_MAX], allow[1200];
    const json_t *j = e->json;
    print_line(
        l, out, "settings",
        "mode %s, on_conflict %s, may_replace %s, lease %s, mailbox_bytes %lld (%s), "
        "when_full %s, durable %s, spool_bytes %lld, spool_messages %lld, format %s, "
        "max_message_bytes %lld, gro %s, shards %lld, receive_buffer_bytes %lld "
        "(granted: %s), max_deliver %lld, ttl_s %lld, stall_s %lld, on_stall %s, sessions %s, "
        "session_ports %s",
        text_at(j, "mode"), text_at(j, "on_conflict"),
        json_is_false(json_object_get(j, "may_replace")) ? "no" : "yes", lease_text(e, lease),
        number_at(j, "mailbox_bytes"),
        figure_bytes((uint64_t)number_at(j, "mailbox_bytes"), mailbox), e->when_full,
        json_is_true(json_object_get(j, "durable")) ? "yes" : "no", number_at(j, "spool_bytes"),
        number_at(j, "spool_messages"), text_at(j, "format"), number_at(j, "max_message_bytes"),
        json_is_false(json_object_get(j, "gro")) ? "off" : "on", number_at(j, "shards"),
        number_at(j, "receive_buffer_bytes"), figure_bytes(e->receive_buffer_granted, buffer),
        number_at(j, "max_deliver"), number_at(j, "ttl_s"), number_at(j, "stall_s"),
        text_at(j, "on_stall"), text_at(j, "sessions_mode"), text_at(j, "session_ports"));
    print_line(l, out, "allow", "%s",
               join(json_object_get(j, "allow"), "everyone", allow, sizeof allow));
}

static void print_owner(const struct listing *l, const struct endpoint *e, FILE *out)
{
    char users[600], groups[600];
    const json_t *owner = json_object_get(e->json, "owner");
    const json_t *pid = json_object_get(owner, "pid");
    const char *exe = json_string_value(json_object_get(owner, "exe"));
    if (json_is_true(json_object_get(e->json, "static")))
        print_line(l, out, "owner", "configured; users: %s; groups: %s",
                   join(json_object_get(e->json, "users"), "-", users, sizeof users),
                   join(json_object_get(e->json, "groups"), "-", groups, sizeof groups));
    else if (e->owner_uid >= 0 && json_is_integer(pid))
        print_line(l, out, "owner", "%s (uid %lld), pid %lld%s%s",
                   e->owner_user != NULL ? e->owner_user : l->user_of(e->owner_uid),
                   (long long)e->owner_uid, (long long)json_integer_value(pid),
                   exe != NULL ? ", " : "", exe != NULL ? exe : "");
    else if (e->owner_uid >= 0)
        print_line(l, out, "owner", "%s (uid %lld)",
                   e->owner_user != NULL ? e->owner_user : l->user_of(e->owner_uid),
                   (long long)e->owner_uid);
}

static void print_ledger(const struct listing *l, const struct endpoint *e, FILE *out)
{
    char rate[FIGURE_MAX], used[FIGURE_MAX], bytes[FIGURE_MAX];
    const json_t *ledger = json_object_get(e->json, "ledger");
    print_line(
        l, out, "ledger",
        "datagrams %lld, received %llu, delivered %lld, queued %llu, spooled %llu, protocol %lld, "
        "dropped %llu, kernel_dropped %llu%s, since %.19sZ; %s messages a second now",
        number_at(ledger, "datagrams"), (unsigned long long)e->received,
        number_at(ledger, "delivered"), (unsigned long long)e->queued,
        (unsigned long long)e->spooled, number_at(ledger, "protocol"),
        (unsigned long long)e->dropped, (unsigned long long)e->kernel_dropped,
        e->is_kernel_dropped_exact ? "" : " (at least)", text_at(ledger, "since"),
        figure_rate(listing_rate(l, e), rate));
    print_line(l, out, "mailbox", "%s of %s used", figure_bytes(e->mailbox_used, used),
               figure_bytes(e->mailbox_bytes, bytes));
}

static void print_spool(const struct listing *l, const struct endpoint *e, FILE *out)
{
    char n[FIGURE_MAX], bytes[FIGURE_MAX], waiting[FIGURE_MAX];
    const char *since = json_string_value(json_object_get(e->spool, "since"));
    if (e->spool == NULL)
        return;
    print_line(
        l, out, "spool", "%s: %s message%s (%s) on disk alone%s%.19s%s, %s on their way there",
        text_at(e->spool, "state"), figure_exact((uint64_t)number_at(e->spool, "messages"), n),
        number_at(e->spool, "messages") == 1 ? "" : "s",
        figure_bytes((uint64_t)number_at(e->spool, "bytes"), bytes),
        since != NULL ? ", the oldest of " : "", since != NULL ? since : "",
        since != NULL ? "Z" : "", figure_exact((uint64_t)number_at(e->spool, "waiting"), waiting));
}

/* One row of a section: what an object of e's array says. */
typedef int add_row_fn(const struct listing *l, const json_t *row, struct table *t);

/* The first n_most of rows as a table below the rest; nothing where there are none. */
static int print_section(const struct listing *l, const json_t *rows, size_t n_most,
                         struct table *t, add_row_fn *add, FILE *out)
{
    const json_t *row;
    size_t i;
    int error = 0;
    json_array_foreach(rows, i, row) if (error == 0 && i < n_most) error = add(l, row, t);
    if (error == 0 && t->n_rows > 0) {
        fputc('\n', out);
        struct layout layout = l->layout;
        layout.indent = 2;
        table_print(t, &layout, out);
    }
    table_deinit(t);
    return error;
}

static int add_consumer(const struct listing *l, const json_t *c, struct table *t)
{
    char who[80], uid[24], delivered[FIGURE_MAX], queued[FIGURE_MAX], missed[FIGURE_MAX];
    const json_t *pid = json_object_get(c, "pid");
    const char *command = json_is_integer(pid) ? l->command_of((int)json_integer_value(pid)) : NULL;
    if (json_is_integer(pid))
        snprintf(who, sizeof who, "pid %lld%s%s", (long long)json_integer_value(pid),
                 command != NULL ? " " : "", command != NULL ? command : "");
    else
        snprintf(who, sizeof who, "-");
    snprintf(uid, sizeof uid, "%lld", number_at(c, "uid"));
    const char *const cells[] = {who,
                                 uid,
                                 text_at(c, "kind"),
                                 figure_exact((uint64_t)number_at(c, "delivered"), delivered),
                                 figure_exact((uint64_t)number_at(c, "queued"), queued),
                                 figure_exact((uint64_t)number_at(c, "missed"), missed),
                                 json_is_true(json_object_get(c, "stalled")) ? "stalled" : ""};
    return table_add(t, cells);
}

static int print_consumers(const struct listing *l, const struct endpoint *e, FILE *out)
{
    static const struct table_column columns[] = {
        {"CONSUMER", false, 10}, {"UID", true, 0},    {"KIND", false, 0}, {"DELIVERED", true, 0},
        {"QUEUED", true, 0},     {"MISSED", true, 0}, {"", false, 0}};
    struct table t;
    table_init(&t, columns, sizeof columns / sizeof columns[0]);
    return print_section(l, e->consumers, SIZE_MAX, &t, add_consumer, out);
}

static int add_source(const struct listing *l, const json_t *source, struct table *t)
{
    char messages[FIGURE_MAX], fault[FIGURE_MAX];
    (void)l;
    const char *const cells[] = {text_at(source, "address"),
                                 figure_exact((uint64_t)number_at(source, "messages"), messages),
                                 figure_exact((uint64_t)number_at(source, "error"), fault)};
    return table_add(t, cells);
}

static int print_sources(const struct listing *l, const struct endpoint *e, FILE *out)
{
    static const struct table_column columns[] = {
        {"TOP SOURCES", false, 15}, {"MESSAGES", true, 0}, {"TOO HIGH BY UP TO", true, 0}};
    struct table t;
    table_init(&t, columns, sizeof columns / sizeof columns[0]);
    return print_section(l, json_object_get(e->json, "sources"), MAX_SOURCES, &t, add_source, out);
}

static int add_session(const struct listing *l, const json_t *s, struct table *t)
{
    (void)l;
    char port[24] = "-", age[FIGURE_MAX], in_flight[FIGURE_MAX], again[FIGURE_MAX];
    const char *identity = json_string_value(json_object_get(s, "identity"));
    if (json_is_integer(json_object_get(s, "port")))
        snprintf(port, sizeof port, "%lld", number_at(s, "port"));
    const char *const cells[] = {text_at(s, "peer"),
                                 port,
                                 text_at(s, "state"),
                                 figure_duration((int64_t)number_at(s, "age_s"), age),
                                 figure_bytes((uint64_t)number_at(s, "in_flight"), in_flight),
                                 figure_exact((uint64_t)number_at(s, "retransmitted"), again),
                                 identity != NULL ? identity : "-"};
    return table_add(t, cells);
}

static int print_sessions(const struct listing *l, const struct endpoint *e, FILE *out)
{
    static const struct table_column columns[] = {
        {"SESSION WITH", false, 15}, {"PORT", true, 0},
        {"STATE", false, 0},         {"AGE", true, 0},
        {"IN FLIGHT", true, 0},      {"SENT AGAIN", true, 0},
        {"IDENTITY", false, 10}};
    struct table t;
    table_init(&t, columns, sizeof columns / sizeof columns[0]);
    return print_section(l, json_object_get(e->json, "sessions"), SIZE_MAX, &t, add_session, out);
}

/* advice, with NAME put in. */
static const char *advice_for(const char *reason, const char *name, char buf[256])
{
    const char *advice = drop_advice(reason);
    const char *place = advice != NULL ? strstr(advice, "NAME") : NULL;
    if (place == NULL)
        return advice;
    snprintf(buf, 256, "%.*s%s%s", (int)(place - advice), advice, name, place + 4);
    return buf;
}

static void print_drops(const struct listing *l, const struct endpoint *e, FILE *out)
{
    struct layout layout = l->layout;
    const char *reason;
    json_t *count;
    bool is_first = true;
    layout.indent = 2;
    json_object_foreach((json_t *)(uintptr_t)e->drops, reason, count)
    {
        char line[600], figure[FIGURE_MAX], buf[256];
        const char *advice = advice_for(reason, e->name, buf), *meaning = drop_meaning(reason);
        if (json_integer_value(count) == 0)
            continue;
        if (is_first)
            fputs("\n  DROPPED BY REASON\n", out);
        is_first = false;
        snprintf(line, sizeof line, "%-15s %s: %s%s%s", reason,
                 figure_exact((uint64_t)json_integer_value(count), figure),
                 meaning != NULL ? meaning : "see docs/protocol.md", advice != NULL ? "; " : "",
                 advice != NULL ? advice : "");
        layout_print(&layout, line, 16, out);
    }
}

int listing_print_detail(const struct listing *l, const json_t *json, FILE *out)
{
    struct endpoint e;
    char address[ENDPOINT_ADDRESS_MAX];
    endpoint_read(json, &e);
    fprintf(out, "%s%s%s at %s: %s, generation %lld\n", l->layout.has_colour ? "\033[1m" : "",
            e.name, l->layout.has_colour ? "\033[0m" : "", endpoint_address(&e, address), e.state,
            number_at(json, "generation"));
    print_owner(l, &e, out);
    print_settings(l, &e, out);
    print_ledger(l, &e, out);
    print_spool(l, &e, out);
    int error = print_consumers(l, &e, out);
    if (error == 0)
        error = print_sessions(l, &e, out);
    if (error == 0)
        error = print_sources(l, &e, out);
    print_drops(l, &e, out);
    fputc('\n', out);
    listing_print_troubles(l, &e, out);
    return error;
}
