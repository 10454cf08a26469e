/* SPDX-License-Identifier: MIT */
/* Reading an endpoint of List, and saying what is wrong with it. */
#include "tools/endpoint.h"

#include "tools/figures.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *text_at(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : otherwise;
}

static int64_t number_at(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static uint64_t count_at(const json_t *object, const char *key)
{
    int64_t value = number_at(object, key, 0);
    return value > 0 ? (uint64_t)value : 0;
}

static void read_ledger(const json_t *ledger, struct endpoint *out)
{
    out->received = count_at(ledger, "received");
    out->queued = count_at(ledger, "queued");
    out->kernel_dropped = count_at(ledger, "kernel_dropped");
    out->is_kernel_dropped_exact = !json_is_false(json_object_get(ledger, "kernel_dropped_exact"));
    out->drops = json_object_get(ledger, "dropped");
    out->spooled = count_at(ledger, "spooled");
    uint64_t kept =
        count_at(ledger, "delivered") + out->queued + out->spooled + count_at(ledger, "protocol");
    /* Not from the reasons: those are for the owner's eyes. */
    out->dropped = out->received > kept ? out->received - kept : 0;
}

void endpoint_read(const json_t *json, struct endpoint *out)
{
    const json_t *owner = json_object_get(json, "owner");
    const json_t *mailbox = json_object_get(json, "mailbox");
    *out = (struct endpoint){
        .json = json,
        .name = text_at(json, "name", "?"),
        .address = text_at(json, "address", "?"),
        .port = (uint16_t)number_at(json, "port", 0),
        .state = text_at(json, "state", "?"),
        .error = text_at(json, "error", NULL),
        .away_since = text_at(json, "away_since", NULL),
        .lease_s = number_at(json, "lease_s", 0),
        .lease_left_s = number_at(json, "lease_left_s", -1),
        .owner_uid = number_at(owner, "uid", -1),
        .owner_user = text_at(owner, "user", NULL),
        .when_full = text_at(json, "when_full", "drop-new"),
        .mailbox_bytes = count_at(mailbox, "bytes"),
        .mailbox_used = count_at(mailbox, "used"),
        .receive_buffer_bytes = count_at(json, "receive_buffer_bytes"),
        .receive_buffer_granted = count_at(json, "receive_buffer_granted"),
        .consumers = json_object_get(json, "consumers"),
        .spool =
            json_is_object(json_object_get(json, "spool")) ? json_object_get(json, "spool") : NULL,
    };
    read_ledger(json_object_get(json, "ledger"), out);
}

const char *endpoint_address(const struct endpoint *e, char buf[ENDPOINT_ADDRESS_MAX])
{
    bool is_v6 = strchr(e->address, ':') != NULL;
    snprintf(buf, ENDPOINT_ADDRESS_MAX, "%s%.80s%s:%u", is_v6 ? "[" : "", e->address,
             is_v6 ? "]" : "", e->port);
    return buf;
}

static const struct {
    const char *reason;
    const char *meaning;
    const char *advice;
} drop_reasons[] = {
    {"not_allowed", "its source is in none of the networks of allow",
     "if it should come in, add its network to allow"},
    {"truncated", "the kernel cut it; it is never delivered in part", "send shorter messages"},
    {"too_large", "longer than max_message_bytes", "raise max_message_bytes, or send less"},
    {"unsupported", "of a type that this version does not read, or signed or sealed",
     "send plain JSON, or types that this version knows"},
    {"malformed_frame", "framed, but its header cannot be, or its checksum does not match",
     "msgctl quarantine list NAME shows what came"},
    {"invalid_json", "not one JSON text", "msgctl quarantine list NAME shows what came"},
    {"duplicate", "a message with this id has been kept before",
     "nothing: its sender did not hear of it, and asked again"},
    {"sources_full", "more senders with ids than limits.sources remembers",
     "raise limits.sources, or see who sends"},
    {"mailbox_full", "the mailbox was full", "a faster consumer, or a larger mailbox_bytes"},
    {"quota_exceeded", "its owner's mailbox_bytes_per_uid was used up",
     "consume what waits, or have the limit raised"},
    {"no_memory", "the machine had no memory for it", "see to memory on this machine"},
    {"expired", "older than ttl_s, or the lease ended before a consumer came",
     "a longer ttl_s or lease, or an earlier consumer"},
    {"max_deliver", "given to consumers max_deliver times, and released by none",
     "msgctl quarantine list NAME shows them; replay gives them again"},
    {"spool_full", "the disk, or the endpoint's part of it, was full, or did not keep up",
     "a consumer, or a larger spool_bytes; msgls says how full the database is"},
    {"spool_failed", "a write to the database failed",
     "see the log and the disk, then start msgd again"},
    {"damaged", "it was on disk, and cannot be read back", "see to the disk; the log has more"},
    {"purged", "msgctl spool purge threw away what was on disk", "nothing: somebody wanted it"},
    {"released", "the endpoint was released while it waited", "consume before releasing"},
};

const char *drop_meaning(const char *reason)
{
    for (size_t i = 0; i < sizeof drop_reasons / sizeof drop_reasons[0]; i++)
        if (strcmp(drop_reasons[i].reason, reason) == 0)
            return drop_reasons[i].meaning;
    return NULL;
}

const char *drop_advice(const char *reason)
{
    for (size_t i = 0; i < sizeof drop_reasons / sizeof drop_reasons[0]; i++)
        if (strcmp(drop_reasons[i].reason, reason) == 0)
            return drop_reasons[i].advice;
    return NULL;
}

/* Who is told about an endpoint. */
struct report {
    const struct endpoint *e;
    const struct surroundings *around;
    void (*say)(void *context, const char *sentence);
    void *context;
};

__attribute__((format(printf, 2, 3))) static void say(const struct report *r, const char *format,
                                                      ...)
{
    char sentence[TROUBLE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    r->say(r->context, sentence);
}

static void say_pending(const struct report *r)
{
    const struct endpoint *e = r->e;
    char address[ENDPOINT_ADDRESS_MAX];
    if (strcmp(e->state, "pending") == 0)
        say(r, "%s: pending, not bound to %s yet: %s; msgd tries again by itself", e->name,
            endpoint_address(e, address), e->error != NULL ? e->error : "the address is not there");
}

static void say_away(const struct report *r)
{
    const struct endpoint *e = r->e;
    char ago[FIGURE_MAX], left[FIGURE_MAX], queued[FIGURE_MAX];
    if (strcmp(e->state, "away") != 0)
        return;
    uint64_t waiting = e->queued + e->spooled;
    int64_t since = figure_seconds(e->away_since);
    char lease[64] = "kept forever";
    if (e->lease_left_s >= 0)
        snprintf(lease, sizeof lease, "its lease ends in %s",
                 figure_duration(e->lease_left_s, left));
    say(r, "%s: its consumer is away since %.19s%s (%s), %s; %s message%s wait%s", e->name,
        e->away_since != NULL ? e->away_since : "?", e->away_since != NULL ? "Z" : "",
        since >= 0 ? figure_duration(r->around->now_s - since, ago) : "?", lease,
        figure_exact(waiting, queued), waiting == 1 ? "" : "s", waiting == 1 ? "s" : "");
}

static void say_stalled(const struct report *r)
{
    const struct endpoint *e = r->e;
    char time[FIGURE_MAX];
    const json_t *consumer;
    size_t i;

    json_array_foreach(e->consumers, i, consumer)
    {
        if (!json_is_true(json_object_get(consumer, "stalled")))
            continue;
        say(r,
            "%s: its consumer pid %lld has stalled: it holds %lld message%s and has released none "
            "for "
            "%s or longer; is it stuck?",
            e->name, (long long)number_at(consumer, "pid", 0),
            (long long)number_at(consumer, "queued", 0),
            number_at(consumer, "queued", 0) == 1 ? "" : "s",
            figure_duration(number_at(e->json, "stall_s", 0), time));
    }
}

static bool is_full(const struct endpoint *e)
{
    return e->mailbox_bytes > 0 && e->mailbox_used >= e->mailbox_bytes - e->mailbox_bytes / 20;
}

static void say_full(const struct report *r)
{
    const struct endpoint *e = r->e;
    char used[FIGURE_MAX], bytes[FIGURE_MAX], lost[FIGURE_MAX];
    uint64_t dropped = count_at(e->drops, "mailbox_full");
    bool is_in_the_way = is_full(e) && strcmp(e->when_full, "spool") != 0;
    if (dropped == 0 && !is_in_the_way)
        return;
    say(r,
        "%s: the mailbox %s full (%s of %s used now), %s message%s dropped (%s); a faster consumer "
        "or "
        "a larger --mailbox-bytes helps",
        e->name, is_full(e) ? "is" : "was", figure_bytes(e->mailbox_used, used),
        figure_bytes(e->mailbox_bytes, bytes), figure_exact(dropped, lost),
        dropped == 1 ? " was" : "s were", e->when_full);
}

static void say_spool(const struct report *r)
{
    const struct endpoint *e = r->e;
    char lost[FIGURE_MAX], bytes[FIGURE_MAX], n[FIGURE_MAX];
    const char *state = text_at(e->spool, "state", "open");
    uint64_t dropped = count_at(e->drops, "spool_full") + count_at(e->drops, "spool_failed");
    if (dropped == 0 && strcmp(state, "open") == 0)
        return;
    say(r, "%s: its spool %s (%s message%s, %s on disk now), %s message%s dropped; %s", e->name,
        strcmp(state, "failed") == 0 ? "has failed"
        : strcmp(state, "full") == 0 ? "is full"
                                     : "was full or had failed",
        figure_exact(e->spooled, n), e->spooled == 1 ? "" : "s",
        figure_bytes(count_at(e->spool, "bytes"), bytes), figure_exact(dropped, lost),
        dropped == 1 ? " was" : "s were",
        strcmp(state, "failed") == 0
            ? "see the log and the disk, then start msgd again"
            : "a faster consumer, a larger --spool-bytes or more room for the database helps");
}

static void say_kernel_drops(const struct report *r)
{
    const struct endpoint *e = r->e;
    char lost[FIGURE_MAX];
    if (e->kernel_dropped == 0)
        return;
    /* Twice what there was, and never less than what was asked for. */
    uint64_t wanted = e->receive_buffer_granted * 2;
    if (wanted < e->receive_buffer_bytes)
        wanted = e->receive_buffer_bytes;
    say(r,
        "%s: the kernel dropped %s%s datagram%s before msgd could read them; sysctl -w "
        "net.core.rmem_max=%llu and --receive-buffer-bytes %llu help",
        e->name, e->is_kernel_dropped_exact ? "" : "at least ",
        figure_exact(e->kernel_dropped, lost), e->kernel_dropped == 1 ? "" : "s",
        (unsigned long long)(wanted > r->around->rmem_max ? wanted : r->around->rmem_max),
        (unsigned long long)wanted);
}

static void say_small_buffer(const struct report *r)
{
    const struct endpoint *e = r->e;
    char granted[FIGURE_MAX], asked[FIGURE_MAX];
    if (e->receive_buffer_granted == 0 || e->receive_buffer_granted >= e->receive_buffer_bytes)
        return;
    say(r,
        "%s: the kernel gave a receive buffer of %s where %s was asked for; sysctl -w "
        "net.core.rmem_max=%llu, then register again or restart msgd",
        e->name, figure_bytes(e->receive_buffer_granted, granted),
        figure_bytes(e->receive_buffer_bytes, asked), (unsigned long long)e->receive_buffer_bytes);
}

void endpoint_troubles(const struct endpoint *e, const struct surroundings *around,
                       void (*tell)(void *context, const char *sentence), void *context)
{
    const struct report r = {.e = e, .around = around, .say = tell, .context = context};
    say_pending(&r);
    say_kernel_drops(&r);
    say_full(&r);
    say_spool(&r);
    say_stalled(&r);
    say_away(&r);
    say_small_buffer(&r);
}
