/* SPDX-License-Identifier: MIT */
/* The types of frames and the members of their headers. docs/protocol.md, "Framed datagrams". */
#include "proto/frame_table.h"

#define NAME(text) .name = (text), .n_name = sizeof(text) - 1

const struct frame_type_row FRAME_TYPES[FRAME_OTHER] = {
    [FRAME_SEND] = {NAME("send"), 0, BODY_MESSAGE},
    [FRAME_BATCH] = {NAME("batch"), 0, BODY_MESSAGE},
    [FRAME_REQUEST] = {NAME("request"), FRAME_HAS_ID, BODY_MESSAGE},
    [FRAME_REPLY] = {NAME("reply"), FRAME_HAS_ID, BODY_MESSAGE},
    [FRAME_ACK] = {NAME("ack"), FRAME_HAS_ID, BODY_NONE},
    [FRAME_NACK] = {NAME("nack"), FRAME_HAS_ID | FRAME_HAS_REASON, BODY_NONE},
    [FRAME_CONNECT] = {NAME("connect"), FRAME_HAS_NONCE, BODY_IGNORED},
    [FRAME_CHALLENGE] = {NAME("challenge"), FRAME_HAS_NONCE | FRAME_HAS_COOKIE, BODY_NONE},
    [FRAME_ACCEPT] = {NAME("accept"), FRAME_HAS_NONCE | FRAME_HAS_SESSION | FRAME_HAS_WINDOW,
                      BODY_NONE},
    [FRAME_REFUSE] = {NAME("refuse"), FRAME_HAS_NONCE | FRAME_HAS_REASON, BODY_NONE},
    [FRAME_DATA] = {NAME("data"),
                    FRAME_HAS_SESSION | FRAME_HAS_NUMBER | FRAME_HAS_ACK | FRAME_HAS_WINDOW |
                        FRAME_HAS_CRC,
                    BODY_MESSAGE},
    [FRAME_CLOSE] = {NAME("close"), FRAME_HAS_SESSION | FRAME_HAS_REASON | FRAME_HAS_CRC,
                     BODY_NONE},
    [FRAME_PING] = {NAME("ping"), 0, BODY_IGNORED},
    [FRAME_PONG] = {NAME("pong"), 0, BODY_IGNORED},
};

#define AT(member) .offset = offsetof(struct frame, member)

/* clang-format off */
const struct frame_member_row FRAME_MEMBERS[FRAME_N_MEMBERS] = {
    {NAME("type"),     VALUE_TYPE,    0,                  AT(type),     1, UINT64_MAX},
    {NAME("id"),       VALUE_ID,      FRAME_HAS_ID,       AT(id),       1, FRAME_ID_MAX},
    {NAME("session"),  VALUE_HEX,     FRAME_HAS_SESSION,  AT(session),  16, 16},
    {NAME("n"),        VALUE_INTEGER, FRAME_HAS_NUMBER,   AT(number),   1, INT64_MAX},
    {NAME("offset"),   VALUE_INTEGER, FRAME_HAS_OFFSET,   AT(offset),   0, INT64_MAX},
    {NAME("fin"),      VALUE_FLAG,    0,                  AT(is_fin),   0, 0},
    {NAME("ack"),      VALUE_ACK,     0,                  AT(ack),      0, INT64_MAX},
    {NAME("sack"),     VALUE_SACK,    0,                  AT(sack),     0, INT64_MAX},
    {NAME("echo"),     VALUE_INTEGER, FRAME_HAS_ECHO,     AT(echo),     0, INT64_MAX},
    {NAME("delay"),    VALUE_INTEGER, FRAME_HAS_DELAY,    AT(delay_us), 0, INT64_MAX},
    {NAME("window"),   VALUE_INTEGER, FRAME_HAS_WINDOW,   AT(window),   0, INT64_MAX},
    {NAME("nonce"),    VALUE_HEX,     FRAME_HAS_NONCE,    AT(nonce),    16, 16},
    {NAME("cookie"),   VALUE_TEXT,    FRAME_HAS_COOKIE,   AT(cookie),   1, FRAME_COOKIE_MAX},
    {NAME("identity"), VALUE_JSON,    FRAME_HAS_IDENTITY, AT(identity), 1, FRAME_IDENTITY_MAX},
    {NAME("port"),     VALUE_PORT,    FRAME_HAS_PORT,     AT(port),     1, UINT16_MAX},
    {NAME("count"),    VALUE_INTEGER, FRAME_HAS_COUNT,    AT(count),    1, FRAME_COUNT_MAX},
    {NAME("reason"),   VALUE_TEXT,    FRAME_HAS_REASON,   AT(reason),   1, FRAME_REASON_MAX},
    {NAME("retry"),    VALUE_FLAG,    0,                  AT(is_retry), 0, 0},
    {NAME("token"),    VALUE_TOKEN,   FRAME_HAS_TOKEN,    AT(token),    0, UINT64_MAX},
    {NAME("pad"),      VALUE_PAD,     0,                  0,            0, FRAME_HEADER_MAX},
    {NAME("crc"),      VALUE_CRC,     FRAME_HAS_CRC,      0,            0, UINT32_MAX},
};
/* clang-format on */

const char *frame_type_name(enum frame_type type)
{
    return type < FRAME_OTHER ? FRAME_TYPES[type].name : "";
}
