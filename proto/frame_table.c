/* SPDX-License-Identifier: MIT */
/* The types of frames and the members of their headers. docs/protocol.md, "Framed datagrams". */
#include "proto/frame_table.h"

#define NAMED(text) .name = (text), .n_name = sizeof(text) - 1

const struct frame_type_row FRAME_TYPES[FRAME_OTHER] = {
    [FRAME_SEND] = {NAMED("send"), 0, BODY_MESSAGE},
    [FRAME_BATCH] = {NAMED("batch"), 0, BODY_MESSAGE},
    [FRAME_REQUEST] = {NAMED("request"), FRAME_HAS_ID, BODY_MESSAGE},
    [FRAME_REPLY] = {NAMED("reply"), FRAME_HAS_ID, BODY_MESSAGE},
    [FRAME_ACK] = {NAMED("ack"), FRAME_HAS_ID, BODY_NONE},
    [FRAME_NACK] = {NAMED("nack"), FRAME_HAS_ID | FRAME_HAS_REASON, BODY_NONE},
    [FRAME_CONNECT] = {NAMED("connect"), FRAME_HAS_NONCE, BODY_IGNORED},
    [FRAME_CHALLENGE] = {NAMED("challenge"), FRAME_HAS_NONCE | FRAME_HAS_COOKIE, BODY_NONE},
    [FRAME_ACCEPT] = {NAMED("accept"), FRAME_HAS_NONCE | FRAME_HAS_SESSION | FRAME_HAS_WINDOW,
                      BODY_NONE},
    [FRAME_REFUSE] = {NAMED("refuse"), FRAME_HAS_NONCE | FRAME_HAS_REASON, BODY_NONE},
    [FRAME_DATA] = {NAMED("data"),
                    FRAME_HAS_SESSION | FRAME_HAS_NUMBER | FRAME_HAS_ACK | FRAME_HAS_WINDOW |
                        FRAME_HAS_CRC,
                    BODY_MESSAGE},
    [FRAME_CLOSE] = {NAMED("close"), FRAME_HAS_SESSION | FRAME_HAS_REASON | FRAME_HAS_CRC,
                     BODY_NONE},
    [FRAME_PING] = {NAMED("ping"), 0, BODY_IGNORED},
    [FRAME_PONG] = {NAMED("pong"), 0, BODY_IGNORED},
};

#define AT(member) .offset = offsetof(struct frame, member)

/* clang-format off */
const struct frame_member_row FRAME_MEMBERS[FRAME_N_MEMBERS] = {
    {"type",     VALUE_TYPE,    0,                  AT(type),     1, UINT64_MAX},
    {"session",  VALUE_HEX,     FRAME_HAS_SESSION,  AT(session),  16, 16},
    {"n",        VALUE_INTEGER, FRAME_HAS_NUMBER,   AT(number),   1, INT64_MAX},
    {"offset",   VALUE_INTEGER, FRAME_HAS_OFFSET,   AT(offset),   0, INT64_MAX},
    {"fin",      VALUE_FLAG,    0,                  AT(is_fin),   0, 0},
    {"id",       VALUE_ID,      FRAME_HAS_ID,       AT(id),       1, FRAME_ID_MAX},
    {"ack",      VALUE_ACK,     0,                  AT(ack),      0, INT64_MAX},
    {"sack",     VALUE_SACK,    0,                  AT(sack),     0, INT64_MAX},
    {"echo",     VALUE_INTEGER, FRAME_HAS_ECHO,     AT(echo),     0, INT64_MAX},
    {"delay",    VALUE_INTEGER, FRAME_HAS_DELAY,    AT(delay_us), 0, INT64_MAX},
    {"nonce",    VALUE_HEX,     FRAME_HAS_NONCE,    AT(nonce),    16, 16},
    {"cookie",   VALUE_TEXT,    FRAME_HAS_COOKIE,   AT(cookie),   1, FRAME_COOKIE_MAX},
    {"identity", VALUE_JSON,    FRAME_HAS_IDENTITY, AT(identity), 1, FRAME_IDENTITY_MAX},
    {"port",     VALUE_PORT,    FRAME_HAS_PORT,     AT(port),     1, UINT16_MAX},
    {"window",   VALUE_INTEGER, FRAME_HAS_WINDOW,   AT(window),   0, INT64_MAX},
    {"count",    VALUE_INTEGER, FRAME_HAS_COUNT,    AT(count),    1, FRAME_COUNT_MAX},
    {"reason",   VALUE_TEXT,    FRAME_HAS_REASON,   AT(reason),   1, FRAME_REASON_MAX},
    {"retry",    VALUE_FLAG,    0,                  AT(is_retry), 0, 0},
    {"token",    VALUE_TOKEN,   FRAME_HAS_TOKEN,    AT(token),    0, UINT64_MAX},
    {"pad",      VALUE_PAD,     0,                  0,            0, FRAME_HEADER_MAX},
    {"crc",      VALUE_CRC,     FRAME_HAS_CRC,      0,            0, UINT32_MAX},
};
/* clang-format on */

const char *frame_type_name(enum frame_type type)
{
    return type < FRAME_OTHER ? FRAME_TYPES[type].name : "";
}
