/* SPDX-License-Identifier: MIT */
/* Reading framed datagrams: what may be in a header, and what may not. */
#include "proto/frame.h"
#include "tests/support/frame_text.h"

#include <criterion/criterion.h>

#define SESSION "\"session\":\"00112233445566778899aabbccddeeff\""
#define NONCE   "\"nonce\":\"ffeeddccbbaa99887766554433221100\""
#define CRC     FRAME_CRC_ZEROS
#define DATA    "\"type\":\"data\"," SESSION ",\"n\":1,\"ack\":100,\"window\":9"
#define TEN     "0123456789"
#define SIXTY   TEN TEN TEN TEN TEN TEN

/* The datagram lies in *bytes until the next one. */
static bool reads(const char *header, const char *body, struct frame *f, uint8_t **bytes)
{
    size_t n;

    free(*bytes);
    *bytes = frame_from_text(header, body, &n);
    return frame_parse(*bytes, n, f) == 0;
}

static bool is_text(struct frame_slice s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.bytes, text, s.n) == 0;
}

Test(frame, has_a_type_with_what_it_requires)
{
    static const struct {
        const char *header;
        enum frame_type type;
    } cases[] = {
        {"{\"type\":\"send\"}", FRAME_SEND},
        {"{\"type\":\"send\",\"id\":\"a\",\"ack\":\"released\"}", FRAME_SEND},
        {"{\"type\":\"batch\"}", FRAME_BATCH},
        {"{\"type\":\"batch\",\"id\":\"0123456789abcdef.1\",\"ack\":\"stored\"}", FRAME_BATCH},
        {"{\"type\":\"request\",\"id\":\"a\"}", FRAME_REQUEST},
        {"{\"type\":\"reply\",\"id\":\"a\"}", FRAME_REPLY},
        {"{\"type\":\"ack\",\"id\":\"a\"}", FRAME_ACK},
        {"{\"type\":\"ack\",\"id\":\"a\",\"ack\":\"received\"}", FRAME_ACK},
        {"{\"type\":\"nack\",\"id\":\"a\",\"reason\":\"too_large\"}", FRAME_NACK},
        {"{\"type\":\"connect\"," NONCE "}", FRAME_CONNECT},
        {"{\"type\":\"challenge\"," NONCE ",\"cookie\":\"c\"}", FRAME_CHALLENGE},
        {"{\"type\":\"accept\"," NONCE "," SESSION ",\"window\":0}", FRAME_ACCEPT},
        {"{\"type\":\"refuse\"," NONCE ",\"reason\":\"full\"}", FRAME_REFUSE},
        {"{" DATA "," CRC "}", FRAME_DATA},
        {"{\"type\":\"close\"," SESSION ",\"reason\":\"unknown\"," CRC "}", FRAME_CLOSE},
        {"{\"type\":\"ping\"}", FRAME_PING},
        {"{\"type\":\"ping\"," SESSION "," CRC "}", FRAME_PING},
        {"{\"type\":\"pong\",\"token\":\"0123456789abcdef\"}", FRAME_PONG},
        {"{\"type\":\"hello\"}", FRAME_OTHER},
        {"{\"type\":\"sen\"}", FRAME_OTHER},
        {"{\"type\":\"sends\"}", FRAME_OTHER},
    };
    uint8_t *bytes = NULL;
    struct frame f;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert(reads(cases[i].header, "", &f, &bytes), "%s", cases[i].header);
        cr_expect_eq(f.type, cases[i].type, "%s", cases[i].header);
        cr_expect_eq(f.body.n, 0);
    }
    free(bytes);
}

Test(frame, is_malformed_without_what_it_requires)
{
    static const char *const cases[] = {
        "",
        " ",
        "{}",
        "[]",
        "\"send\"",
        "{\"id\":\"a\"}",
        "{\"type\":\"send\",\"ack\":\"stored\"}",
        "{\"type\":\"send\",\"id\":\"a\",\"ack\":\"received\"}",
        "{\"type\":\"send\",\"id\":\"a\",\"ack\":5}",
        "{\"type\":\"batch\",\"id\":\"a\"}",
        "{\"type\":\"batch\",\"ack\":\"stored\"}",
        "{\"type\":\"request\"}",
        "{\"type\":\"reply\"}",
        "{\"type\":\"ack\"}",
        "{\"type\":\"ack\",\"id\":\"a\",\"ack\":5}",
        "{\"type\":\"nack\",\"id\":\"a\"}",
        "{\"type\":\"nack\",\"reason\":\"a\"}",
        "{\"type\":\"connect\"}",
        "{\"type\":\"challenge\"," NONCE "}",
        "{\"type\":\"challenge\",\"cookie\":\"c\"}",
        "{\"type\":\"accept\"," NONCE "," SESSION "}",
        "{\"type\":\"accept\"," NONCE ",\"window\":0}",
        "{\"type\":\"accept\"," SESSION ",\"window\":0}",
        "{\"type\":\"refuse\"," NONCE "}",
        "{" DATA "}",
        "{\"type\":\"data\",\"n\":1,\"ack\":1,\"window\":9," CRC "}",
        "{\"type\":\"data\"," SESSION ",\"ack\":1,\"window\":9," CRC "}",
        "{\"type\":\"data\"," SESSION ",\"n\":1,\"window\":9," CRC "}",
        "{\"type\":\"data\"," SESSION ",\"n\":1,\"ack\":\"stored\",\"window\":9," CRC "}",
        "{\"type\":\"data\"," SESSION ",\"n\":1,\"ack\":1," CRC "}",
        "{" DATA ",\"fin\":true," CRC "}",
        "{" DATA ",\"sack\":[100,200]," CRC "}",
        "{" DATA ",\"sack\":[1,2]," CRC "}",
        "{\"type\":\"close\"," SESSION "," CRC "}",
        "{\"type\":\"close\",\"reason\":\"x\"," CRC "}",
        "{\"type\":\"close\"," SESSION ",\"reason\":\"x\"}",
        "{\"type\":\"ping\"," SESSION "}",
        "{\"type\":\"pong\"," SESSION "}",
    };
    uint8_t *bytes = NULL;
    struct frame f;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect(!reads(cases[i], "", &f, &bytes), "%s", cases[i]);
    free(bytes);
}

Test(frame, may_have_a_body_if_its_type_has_one)
{
    static const struct {
        const char *header;
        bool may;
    } cases[] = {
        {"{\"type\":\"send\"}", true},
        {"{\"type\":\"batch\"}", true},
        {"{\"type\":\"request\",\"id\":\"a\"}", true},
        {"{\"type\":\"reply\",\"id\":\"a\"}", true},
        {"{\"type\":\"ack\",\"id\":\"a\"}", false},
        {"{\"type\":\"nack\",\"id\":\"a\",\"reason\":\"too_large\"}", false},
        {"{\"type\":\"connect\"," NONCE "}", true},
        {"{\"type\":\"challenge\"," NONCE ",\"cookie\":\"c\"}", false},
        {"{\"type\":\"accept\"," NONCE "," SESSION ",\"window\":0}", false},
        {"{\"type\":\"refuse\"," NONCE ",\"reason\":\"full\"}", false},
        {"{" DATA ",\"offset\":0," CRC "}", true},
        {"{" DATA "," CRC "}", false},
        {"{" DATA ",\"offset\":9223372036854775801," CRC "}", true},
        {"{" DATA ",\"offset\":9223372036854775802," CRC "}", false},
        {"{\"type\":\"close\"," SESSION ",\"reason\":\"x\"," CRC "}", false},
        {"{\"type\":\"ping\"}", true},
        {"{\"type\":\"pong\"}", true},
        {"{\"type\":\"hello\"}", true},
    };
    uint8_t *bytes = NULL;
    struct frame f;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool read = reads(cases[i].header, "[1,\n2]", &f, &bytes);

        cr_expect_eq(read, cases[i].may, "%s", cases[i].header);
        if (read)
            cr_expect(is_text(f.body, "[1,\n2]"), "%s", cases[i].header);
    }
    free(bytes);
}

Test(frame, gives_the_members_of_data)
{
    uint8_t *bytes = NULL;
    struct frame f;

    cr_assert(reads("{\"type\":\"data\"," SESSION ",\"n\":7,\"offset\":4096,\"fin\":true,\"ack\":0,"
                    "\"sack\":[10,20,21,9223372036854775807],\"echo\":6,\"delay\":1500,"
                    "\"window\":65536," CRC "}",
                    "bytes", &f, &bytes));
    cr_expect_eq(f.members, FRAME_HAS_SESSION | FRAME_HAS_NUMBER | FRAME_HAS_OFFSET |
                                FRAME_HAS_ACK | FRAME_HAS_ECHO | FRAME_HAS_DELAY |
                                FRAME_HAS_WINDOW | FRAME_HAS_CRC);
    for (size_t i = 0; i < sizeof f.session; i++)
        cr_expect_eq(f.session[i], 0x11 * i);
    cr_expect_eq(f.number, 7);
    cr_expect_eq(f.offset, 4096);
    cr_expect(f.is_fin);
    cr_expect_eq(f.ack, 0);
    cr_assert_eq(f.n_sack, 2);
    cr_expect_eq(f.sack[0].begin, 10);
    cr_expect_eq(f.sack[0].end, 20);
    cr_expect_eq(f.sack[1].begin, 21);
    cr_expect_eq(f.sack[1].end, INT64_MAX);
    cr_expect_eq(f.echo, 6);
    cr_expect_eq(f.delay_us, 1500);
    cr_expect_eq(f.window, 65536);
    cr_expect(is_text(f.body, "bytes"));
    free(bytes);
}

Test(frame, gives_the_members_of_the_others)
{
    uint8_t *bytes = NULL;
    struct frame f;

    cr_assert(reads("{\"type\":\"connect\"," NONCE ",\"identity\":{\"user\": [\"a}\",1]},"
                    "\"window\":1048576,\"cookie\":\"c0 ~!\",\"pad\":\"....\"}",
                    "  ", &f, &bytes));
    cr_expect_eq(f.members,
                 FRAME_HAS_NONCE | FRAME_HAS_IDENTITY | FRAME_HAS_WINDOW | FRAME_HAS_COOKIE);
    for (size_t i = 0; i < sizeof f.nonce; i++)
        cr_expect_eq(f.nonce[i], 0x11 * (15 - i));
    cr_expect(is_text(f.identity, "{\"user\": [\"a}\",1]}"));
    cr_expect(is_text(f.cookie, "c0 ~!"));
    cr_assert(
        reads("{\"type\":\"nack\",\"id\":\"x\",\"reason\":\"full\",\"retry\":true,\"count\":3}", "",
              &f, &bytes));
    cr_expect(is_text(f.reason, "full"));
    cr_expect(f.is_retry);
    cr_expect_eq(f.count, 3);
    cr_assert(reads("{\"type\":\"ack\",\"id\":\"x\",\"ack\":\"released\"}", "", &f, &bytes));
    cr_expect_eq(f.members, FRAME_HAS_ID | FRAME_HAS_WISH);
    cr_expect_eq(f.wish, FRAME_RELEASED);
    cr_expect_eq(f.count, 1);
    cr_expect(!f.is_retry);
    cr_assert(reads("{\"type\":\"pong\",\"token\":\"fedcba9876543210\"}", "", &f, &bytes));
    cr_expect_eq(f.token, UINT64_C(0xfedcba9876543210));
    cr_assert(reads("{\"type\":\"accept\"," NONCE "," SESSION ",\"window\":1,\"port\":65535}", "",
                    &f, &bytes));
    cr_expect_eq(f.port, 65535);
    free(bytes);
}

Test(frame, knows_a_source_and_its_number_from_a_text)
{
    static const struct {
        const char *id;
        uint64_t number; /* 0: a text */
    } cases[] = {
        {"0123456789abcdef.1", 1},
        {"0123456789abcdef.17", 17},
        {"0123456789abcdef.9223372036854775807", INT64_MAX},
        {"0123456789abcdef.9223372036854775808", 0},
        {"0123456789abcdef.18446744073709551617", 0},
        {"0123456789abcdef.0", 0},
        {"0123456789abcdef.01", 0},
        {"0123456789abcdef.", 0},
        {"0123456789abcdef.1x", 0},
        {"0123456789abcdef:1", 0},
        {"0123456789abcdeF.1", 0},
        {"0123456789abcde.12", 0},
        {"0123456789abcdef0.1", 0},
        {"a", 0},
        {"!#[]~", 0},
        {SIXTY "0123", 0},
    };
    uint8_t *bytes = NULL;
    struct frame f;
    char header[200];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(header, sizeof header, "{\"type\":\"send\",\"id\":\"%s\"}", cases[i].id);
        cr_assert(reads(header, "1", &f, &bytes), "%s", header);
        cr_expect(is_text(f.id.text, cases[i].id), "%s", header);
        cr_expect_eq(f.id.is_numbered, cases[i].number > 0, "%s", header);
        cr_expect_eq(f.id.number, cases[i].number, "%s", header);
        cr_expect_eq(f.id.source, cases[i].number > 0 ? UINT64_C(0x0123456789abcdef) : 0, "%s",
                     header);
    }
    free(bytes);
}

Test(frame, keeps_members_within_their_limits)
{
    /* In a frame of type hello, which requires nothing. */
    static const struct {
        const char *members;
        bool fits;
    } cases[] = {
        {"\"id\":\"" SIXTY "0123\"", true},
        {"\"id\":\"" SIXTY "01234\"", false},
        {"\"id\":\"\"", false},
        {"\"id\":\"a b\"", false},
        {"\"id\":\"a\\u0062\"", false},
        {"\"id\":\"a\xc3\xa4\"", false},
        {"\"id\":\"a\x7f\"", false},
        {"\"id\":\"1234567\t90\"", false},
        {"\"id\":17", false},
        {"\"id\":null", false},
        {"\"id\":[\"a\"]", false},
        {"\"ack\":\"stored\"", true},
        {"\"ack\":\"Stored\"", false},
        {"\"ack\":\"\"", false},
        {"\"ack\":true", false},
        {"\"ack\":0", true},
        {"\"ack\":9223372036854775807", true},
        {"\"ack\":9223372036854775808", false},
        {"\"ack\":99999999999999999999", false},
        {"\"ack\":-1", false},
        {"\"ack\":1.0", false},
        {"\"ack\":1e3", false},
        {"\"ack\":01", false},
        {"\"ack\":", false},
        {"\"n\":0", false},
        {"\"n\":1", true},
        {"\"count\":0", false},
        {"\"count\":65535", true},
        {"\"count\":65536", false},
        {"\"port\":0", false},
        {"\"port\":1", true},
        {"\"port\":65535", true},
        {"\"port\":65536", false},
        {"\"port\":\"7000\"", false},
        {"\"window\":0", true},
        {"\"fin\":true", true},
        {"\"fin\":false", true},
        {"\"fin\":1", false},
        {"\"fin\":null", false},
        {"\"fin\":truex", false},
        {"\"retry\":fals", false},
        {"\"nonce\":\"ffeeddccbbaa9988776655443322110\"", false},
        {"\"nonce\":\"ffeeddccbbaa998877665544332211000\"", false},
        {"\"nonce\":\"ffeeddccbbaa9988776655443322110G\"", false},
        {"\"nonce\":\"FFeeddccbbaa99887766554433221100\"", false},
        {"\"nonce\":12345678901234567890123456789012", false},
        {"\"token\":\"0123456789abcdef\"", true},
        {"\"token\":\"0123456789abcdg0\"", false},
        {"\"token\":\"0123456789abcdo0\"", false},
        {"\"token\":\"0123456789abcd\xe1\xb0\"", false},
        {"\"token\":\"0123456789abcde\"", false},
        {"\"token\":\"0123456789abcdex\"", false},
        {"\"crc\":\"0000000\"", false},
        {"\"crc\":\"0000000G\"", false},
        {"\"crc\":0", false},
        {"\"reason\":\"" SIXTY SIXTY "01234567\"", true},
        {"\"reason\":\"" SIXTY SIXTY "012345678\"", false},
        {"\"reason\":\"\"", false},
        {"\"cookie\":\"" SIXTY "0123\"", true},
        {"\"cookie\":\"" SIXTY "01234\"", false},
        {"\"identity\":null", true},
        {"\"identity\":\"\\u0000\"", true},
        {"\"identity\":{\"a\":[1,{}]}", true},
        {"\"identity\":{\"a\":[1,{}}", false},
        {"\"identity\":nul", false},
        {"\"identity\":", false},
        {"\"identity\":\"" SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY TEN TEN TEN "\"", true},
        {"\"identity\":\"" SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY TEN TEN TEN "0\"",
         false},
        {"\"sack\":[]", true},
        {"\"sack\":[ 1 , 2 ]", true},
        {"\"sack\":[1]", false},
        {"\"sack\":[1,2,3]", false},
        {"\"sack\":[1,1]", false},
        {"\"sack\":[2,1]", false},
        {"\"sack\":[1,2,2,3]", false},
        {"\"sack\":[1,2,]", false},
        {"\"sack\":[1,2", false},
        {"\"sack\":[[1,2]]", false},
        {"\"sack\":1", false},
        {"\"pad\":\"\"", true},
        {"\"pad\":\"" SIXTY "\"", true},
        {"\"pad\":\"\\\\\"", false},
        {"\"pad\":0", false},
        {"\"id\":\"a\",\"id\":\"a\"", false},
        {"\"type\":\"hello\"", false},
        {"\"pad\":\"\",\"pad\":\"\"", false},
        {"\"ack\":\"stored\",\"ack\":1", false},
    };
    uint8_t *bytes = NULL;
    struct frame f;
    char header[1024];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(header, sizeof header, "{\"type\":\"hello\",%s}", cases[i].members);
        cr_expect_eq(reads(header, "", &f, &bytes), cases[i].fits, "%s", header);
        snprintf(header, sizeof header, "{%s,\"type\":\"hello\"}", cases[i].members);
        cr_expect_eq(reads(header, "", &f, &bytes), cases[i].fits, "%s", header);
    }
    free(bytes);
}

Test(frame, has_a_header_of_exact_JSON_whatever_it_does_not_know)
{
    static const struct {
        const char *header;
        bool fits;
    } cases[] = {
        {" \t\r{ \t\"type\" \r:\t\"hello\" , \"a\" : 1 \r} \r", true},
        {"{\"type\":\"hello\",\"\":0,\"\xc3\xa4\":0}", true},
        {"{\"type\":\"hello\",\"a\":1,\"a\":2}", true},
        {"{\"type\":\"hello\",\"a\":-1.5e+7,\"b\":[{},\"\\\"}\",{\"c\":[]}],\"d\":\"\\u0000\"}",
         true},
        {"{\"type\":\"hello\",\"a\":true,\"b\":null,\"c\":\"\xf0\x9f\x98\x80\"}", true},
        {"{\"a\":{\"type\":1,\"id\":[]},\"type\":\"hello\"}", true},
        {"{\"identities\":1,\"identit\":2,\"crcs\":1,\"x\":1,\"type\":\"hello\"}", true},
        {"{\"type\":\"hello\",\"a\\n\":1}", false},
        {"{\"type\":\"hello\",\"typ\\u0065\":\"send\"}", false},
        {"{\"type\":\"hello\",\"a\":[\"\x1f\"]}", false},
        {"{\"type\":\"hello\",\"a\":\"\xff\"}", false},
        {"{\"type\":\"hello\",\"\xff\":1}", false},
        {"{\"type\":\"hello\",\"a\":01}", false},
        {"{\"type\":\"hello\",\"a\":[1,]}", false},
        {"{\"type\":\"hello\",\"a\":{\"b\"}}", false},
        {"{\"type\":\"hello\",\"a\":[1]]}", false},
        {"{\"type\":\"hello\",\"a\":[}", false},
        {"{\"type\":\"hello\",\"a\":\"}", false},
        {"{\"type\":\"hello\",\"a\":\"\\", false},
        {"{\"type\":\"hello\",\"a\":}", false},
        {"{\"type\":\"hello\",\"a\"}", false},
        {"{\"type\":\"hello\",\"a", false},
        {"{\"type\":\"hello\",a:1}", false},
        {"{\"type\":\"hello\",'a':1}", false},
        {"{\"type\":\"hello\",}", false},
        {"{,\"type\":\"hello\"}", false},
        {"{\"type\":\"hello\" \"a\":1}", false},
        {"{\"type\" \"hello\"}", false},
        {"{\"type\":\"hello\"", false},
        {"{\"type\":\"hello\"}}", false},
        {"{\"type\":\"hello\"} 1", false},
        {"x{\"type\":\"hello\"}", false},
        {"\xef\xbb\xbf{\"type\":\"hello\"}", false},
        {"{\"type\":\"hello\",/**/\"a\":1}", false},
    };
    uint8_t *bytes = NULL;
    struct frame f;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(reads(cases[i].header, "", &f, &bytes), cases[i].fits, "%s", cases[i].header);
    free(bytes);
}

/* {"type":"hello","a":[[...]]} */
static bool reads_nested(size_t depth)
{
    char header[400] = "{\"type\":\"hello\",\"a\":";
    size_t at = strlen(header);
    uint8_t *bytes = NULL;
    struct frame f;

    memset(header + at, '[', depth);
    memset(header + at + depth, ']', depth);
    strcpy(header + at + 2 * depth, "}");

    bool read = reads(header, "", &f, &bytes);

    free(bytes);
    return read;
}

Test(frame, nests_no_deeper_than_any_JSON_text)
{
    cr_expect(reads_nested(127));
    cr_expect(!reads_nested(128));
}

static bool reads_bytes(const char *text, size_t n)
{
    uint8_t *bytes = malloc(n > 0 ? n : 1);
    struct frame f;

    memcpy(bytes, text, n);

    bool read = frame_parse(bytes, n, &f) == 0;

    free(bytes);
    return read;
}

Test(frame, is_malformed_however_it_is_cut)
{
    static const char whole[] =
        "\x1e{\"type\":\"ack\",\"id\":\"0123456789abcdef.1\",\"x\":[true,\"\\n\"]}\n";

    cr_expect(reads_bytes(whole, sizeof whole - 1));
    for (size_t n = 0; n < sizeof whole - 1; n++)
        cr_expect(!reads_bytes(whole, n), "%zu", n);
    cr_expect(!reads_bytes(whole + 1, sizeof whole - 2));
}

Test(frame, has_no_NUL_in_a_name)
{
    static const char text[] = "\x1e{\"type\0\":\"send\"}\n1";

    cr_expect(!reads_bytes(text, sizeof text - 1));
}

Test(frame, has_a_header_of_at_most_2048_bytes)
{
    static const char begin[] = "{\"type\":\"hello\",\"pad\":\"";
    char header[FRAME_HEADER_MAX + 2];
    uint8_t *bytes = NULL;
    struct frame f;

    for (size_t n = FRAME_HEADER_MAX; n <= FRAME_HEADER_MAX + 1; n++) {
        memset(header, '.', n);
        memcpy(header, begin, sizeof begin - 1);
        strcpy(header + n - 2, "\"}");
        cr_expect_eq(reads(header, "", &f, &bytes), n == FRAME_HEADER_MAX);
    }
    free(bytes);
}

Test(frame, is_refused_with_any_bit_of_it_flipped)
{
    static const char header[] =
        "{" CRC ",\"type\":\"send\",\"id\":\"0123456789abcdef.1\",\"a\":\"b\"}";
    size_t n;
    uint8_t *bytes = frame_from_text(header, "{\"temp\": 21.5}", &n);
    struct frame f;

    cr_assert_eq(frame_parse(bytes, n, &f), 0);
    /* a frame without crc has no such protection: leave its name alone */
    for (size_t bit = 7 * 8; bit < n * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_expect_eq(frame_parse(bytes, n, &f), FRAME_MALFORMED, "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

Test(frame, of_many_messages_is_walked)
{
    static const struct {
        const char *body;
        const char *texts[4];
    } cases[] = {
        {"", {NULL}},
        {"1", {"1"}},
        {"1\x1e"
         "2",
         {"1\x1e"
          "2"}},
        {"\x1e", {""}},
        {"\x1e"
         "1",
         {"1"}},
        {"\x1e"
         "1\n\x1e{}\n",
         {"1\n", "{}\n"}},
        {"\x1e\x1e"
         "1\x1e",
         {"", "1", ""}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct frame_slice body = {(const uint8_t *)cases[i].body, strlen(cases[i].body)};
        struct frame_slice text;
        size_t at = 0;
        size_t n = 0;

        for (; frame_batch_next(&body, &at, &text); n++) {
            cr_assert(cases[i].texts[n] != NULL, "case %zu", i);
            cr_expect(is_text(text, cases[i].texts[n]), "case %zu", i);
        }
        cr_expect(cases[i].texts[n] == NULL, "case %zu", i);
    }
}

Test(frame, names_its_types)
{
    cr_expect_str_eq(frame_type_name(FRAME_SEND), "send");
    cr_expect_str_eq(frame_type_name(FRAME_PONG), "pong");
    cr_expect_str_eq(frame_type_name(FRAME_OTHER), "");
}
