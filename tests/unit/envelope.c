/* SPDX-License-Identifier: MIT */
/* Envelopes, as a client of Receive and as a reader of msgrecv --json get them. */
#include "proto/envelope.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN "\"type\":\"plain\",\"id\":null"

#define HEAD(redelivered, deliveries) HEAD_OF(PLAIN, redelivered, deliveries)

#define HEAD_OF(TAG, redelivered, deliveries)                                  \
    "\"name\":\"alarms\",\"generation\":3,\"seq\":17," TAG ","                 \
    "\"time\":\"2026-11-23T07:04:07.123456789Z\",\"from\":\"192.0.2.7:4711\"," \
    "\"to\":\"[2001:db8::1]:65535\",\"redelivered\":" redelivered ","          \
    "\"deliveries\":" deliveries ","

static struct record *record_of(const void *payload, size_t n, enum record_kind kind)
{
    struct record *r = aligned_alloc(_Alignof(struct record), record_bytes((uint32_t)n));
    struct address from;
    struct address to;

    cr_assert_not_null(r);
    cr_assert(address_parse("192.0.2.7:4711", &from) == 0);
    cr_assert(address_parse("[2001:db8::1]:65535", &to) == 0);
    *r = (struct record){.seq = 17, .time_ns = 1795417447123456789};
    r->word = record_word(kind, (uint32_t)n, 0);
    r->from_port = from.port;
    r->to_port = to.port;
    memcpy(r->from_ip, from.ip, 16);
    memcpy(r->to_ip, to.ip, 16);
    memcpy(record_payload(r), payload, n);
    return r;
}

static void expect_envelope(struct record *r, const char *payload_key, const char *wanted)
{
    struct envelope e = {.name = "alarms", .generation = 3, .record = r};
    struct json_writer w;

    json_writer_init(&w);
    envelope_write(&w, &e, payload_key);
    cr_expect(w.error == 0 && w.length == strlen(wanted) && memcmp(w.bytes, wanted, w.length) == 0,
              "%.*s, not %s", (int)w.length, w.bytes, wanted);
    json_writer_deinit(&w);
}

Test(envelope, holds_the_payload_byte_for_byte_as_a_string)
{
    static const struct {
        const char *payload;
        size_t n;
        const char *written;
    } cases[] = {
        {" {\"a\":\r\n1e999}\n", 15, "\"payload\":\" {\\\"a\\\":\\r\\n1e999}\\n\""},
        {"", 0, "\"payload\":\"\""},
        {"not JSON", 8, "\"payload\":\"not JSON\""},
        {"a\0b", 3, "\"payload\":\"a\\u0000b\""},
        {"\xe2\x82\xac", 3, "\"payload\":\"\xe2\x82\xac\""},
        {"\xff\x00", 2, "\"payload_base64\":\"/wA=\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct record *r = record_of(cases[i].payload, cases[i].n, RECORD_MESSAGE);
        char wanted[512];

        snprintf(wanted, sizeof wanted, "%s%s", HEAD("false", "1"), cases[i].written);
        expect_envelope(r, "payload", wanted);
        free(r);
    }
}

Test(envelope, holds_the_message_itself_on_one_line)
{
    static const struct {
        const char *payload;
        size_t n;
        const char *written;
    } cases[] = {
        {"{\"a\":1}", 7, "\"message\":{\"a\":1}"},
        {"\r\n \t{\"a\":\r\n1e999}\n", 18, "\"message\":{\"a\":  1e999}"},
        {"18446744073709551616 ", 21, "\"message\":18446744073709551616"},
        {"\"\\n\\u0000\"", 10, "\"message\":\"\\n\\u0000\""},
        {"", 0, "\"message_base64\":\"\""},
        {"raw", 3, "\"message_base64\":\"cmF3\""},
        {"\xff", 1, "\"message_base64\":\"/w==\""},
        {"1\0", 2, "\"message_base64\":\"MQA=\""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct record *r = record_of(cases[i].payload, cases[i].n, RECORD_MESSAGE);
        char wanted[512];

        r->word = record_word_returned(record_word_returned(r->word));

        snprintf(wanted, sizeof wanted, "%s%s", HEAD("true", "3"), cases[i].written);
        expect_envelope(r, "message", wanted);
        free(r);
    }
}

Test(envelope, says_what_kind_of_message_it_is_and_its_id)
{
    static const struct {
        const char *trailer;
        const char *tag;
    } cases[] = {
        {"s 0123456789abcdef.1", "\"type\":\"send\",\"id\":\"0123456789abcdef.1\""},
        {"\xf3 a", "\"type\":\"send\",\"id\":\"a\""},
        {"s ", "\"type\":\"send\",\"id\":null"},
        {"r b", "\"type\":\"request\",\"id\":\"b\""},
        {"y c", "\"type\":\"reply\",\"id\":\"c\""},
        {"? d", PLAIN},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char content[64], wanted[512];
        int n = snprintf(content, sizeof content, "[1]%s", cases[i].trailer);
        struct record *r = record_of(content, (size_t)n, RECORD_MESSAGE);

        r->word = record_word(RECORD_MESSAGE, 3, (uint32_t)n - 3);
        snprintf(wanted, sizeof wanted, HEAD_OF("%s", "false", "1") "\"payload\":\"[1]\"",
                 cases[i].tag);
        expect_envelope(r, "payload", wanted);
        free(r);
    }
}

Test(envelope, takes_the_largest_payload)
{
    static char payload[RING_MAX_PAYLOAD];
    static char wanted[RING_MAX_PAYLOAD + 512];

    memset(payload, '1', sizeof payload);

    struct record *r = record_of(payload, sizeof payload, RECORD_MESSAGE);
    int n = snprintf(wanted, sizeof wanted, "%s\"message\":", HEAD("false", "1"));

    memset(wanted + n, '1', sizeof payload);
    expect_envelope(r, "message", wanted);
    free(r);
}

Test(envelope, stops_at_a_failed_allocation)
{
    struct json_writer w = {.error = -ENOMEM};

    json_put_one_line(&w, NULL, "1", 1);
    cr_expect(w.error == -ENOMEM && w.length == 0);
}

Test(one_line, leaves_the_inside_of_strings_alone)
{
    struct json_writer w;

    json_writer_init(&w);
    json_put_one_line(&w, "k", " [\"a b\",\n\t2] \n", 14);
    cr_expect(w.length == 15 && memcmp(w.bytes, "\"k\":[\"a b\", \t2]", 15) == 0, "%.*s",
              (int)w.length, w.bytes);
    json_writer_deinit(&w);
}
