/* SPDX-License-Identifier: MIT */
/* msgrecv's table of options. */
#include "tools/recv_options.h"

#include "proto/address.h"
#include "proto/name.h"
#include "tools/tool.h"

#define NOT_GIVEN       (-1)
#define LEASE_NOT_GIVEN (-2)

#define OFFSET(member) .offset = offsetof(struct recv_options, member)

static const struct option_spec specs[] = {
    {"address", 'a', "ADDRESS",
     "listen there: an address of this host, 0.0.0.0, ::, or * for both "
     "(127.0.0.1)",
     OPTION_TEXT, OFFSET(address)},
    {"port", 'p', "PORT", "listen on this port (0: one that is free)", OPTION_INTEGER, OFFSET(port),
     .max = 65535},
    {"mode", 0, "MODE", "one consumer, each message to one of several, or to all (exclusive)",
     OPTION_CHOICE, OFFSET(mode), "exclusive share copy"},
    {"on-conflict", 0, "WHAT", "if the name is taken: fail, wait, or take its place (reject)",
     OPTION_CHOICE, OFFSET(on_conflict), "reject queue replace"},
    {"no-replace", 0, NULL, "nobody may take this consumer's place", OPTION_FLAG,
     OFFSET(no_replace)},
    {"lease", 'l', "S",
     "seconds that the port stays and gathers messages after this program has "
     "gone, or forever (60)",
     OPTION_LEASE, OFFSET(lease), .max = 2147483647},
    {"mailbox-bytes", 0, "BYTES", "room for messages that wait (1M)", OPTION_BYTES,
     OFFSET(mailbox_bytes), .min = 1, .max = 1099511627776.0},
    {"when-full", 0, "WHAT",
     "what goes when the mailbox is full: the newest, the oldest, or to disk what has no room "
     "(drop-new; with --durable spool)",
     OPTION_CHOICE, OFFSET(when_full), "drop-new drop-old spool"},
    {"durable", 0, NULL, "keep every message on disk, too, until it is released", OPTION_FLAG,
     OFFSET(durable)},
    {"spool-bytes", 0, "BYTES", "what may be on disk alone (256M; 0: no bound of its own)",
     OPTION_BYTES, OFFSET(spool_bytes), .max = 1125899906842624.0},
    {"spool-messages", 0, "N", "how many messages may be on disk alone (0: no bound)",
     OPTION_INTEGER, OFFSET(spool_messages), .max = 1e15},
    {"format", 0, "FORMAT", "take JSON texts only, or any bytes (json)", OPTION_CHOICE,
     OFFSET(format), "json raw"},
    {"max-message-bytes", 0, "BYTES", "drop what is longer (65507)", OPTION_BYTES,
     OFFSET(max_message_bytes), .min = 1, .max = 65507},
    {"allow", 0, "NETWORK",
     "take messages from this network only, such as 10.0.0.0/8; may be "
     "given several times",
     OPTION_LIST, OFFSET(allow)},
    {"no-gro", 0, NULL, "keep the count of what the kernel drops exact, at a cost in speed",
     OPTION_FLAG, OFFSET(no_gro)},
    {"shards", 0, "N", "let N workers of msgd read it, each from a socket of its own (1)",
     OPTION_INTEGER, OFFSET(shards), .min = 1, .max = 16},
    {"receive-buffer-bytes", 0, "BYTES", "room in the kernel for what msgd has not read yet (4M)",
     OPTION_BYTES, OFFSET(receive_buffer_bytes), .min = 1, .max = 1073741824},
    {"max-deliver", 0, "N",
     "a message that N consumers or tries had and did not release goes to the quarantine (0: no "
     "bound)",
     OPTION_INTEGER, OFFSET(max_deliver), .max = 31},
    {"ttl", 0, "S", "drop a message that nobody has taken for S seconds (0: never)", OPTION_INTEGER,
     OFFSET(ttl), .max = 4294967295.0},
    {"stall", 0, "S",
     "a consumer that holds messages and releases none for S seconds has stalled (60; 0: never)",
     OPTION_INTEGER, OFFSET(stall), .max = 4294967295.0},
    {"on-stall", 0, "WHAT", "show it, or treat it as gone away (show)", OPTION_CHOICE,
     OFFSET(on_stall), "show away"},
    {"count", 'n', "N", "end after N messages", OPTION_INTEGER, OFFSET(count), .min = 1,
     .max = 1e15},
    {"timeout", 't', "S",
     "with --count: end with 75 after S seconds; else end after S seconds of "
     "silence",
     OPTION_DECIMAL, OFFSET(timeout), .max = 1e6},
    {"exec", 'e', "COMMAND",
     "run COMMAND for each message, which it gets on stdin; what it prints "
     "is the answer",
     OPTION_TEXT, OFFSET(exec)},
    {"exec-timeout", 0, "S", "end a COMMAND that takes longer (30)", OPTION_DECIMAL,
     OFFSET(exec_timeout), .min = 0.001, .max = 1e6},
    {"sessions", 's', NULL,
     "accept sessions, and print their messages; with --exec: one COMMAND each", OPTION_FLAG,
     OFFSET(sessions)},
    {"single-port", 0, NULL, "sessions share the port, for servers behind NAT", OPTION_FLAG,
     OFFSET(single_port)},
};

const struct tool_spec recv_tool = {
    .name = "msgrecv",
    .summary = "Registers NAME with msgd and prints each message that is sent to its port.",
    .synopsis = "NAME",
    .details = "  NAME  what the endpoint is called: lower-case letters, digits, '.', '_', '-'\n",
    .options = specs,
    .n_options = sizeof specs / sizeof specs[0],
    .operand_kind = OPERANDS_NAMES,
    .min_operands = 1,
    .max_operands = 1,
};

void recv_options_init(struct recv_options *o)
{
    *o = (struct recv_options){
        .port = NOT_GIVEN,
        .mode = NOT_GIVEN,
        .on_conflict = NOT_GIVEN,
        .lease = LEASE_NOT_GIVEN,
        .mailbox_bytes = NOT_GIVEN,
        .when_full = NOT_GIVEN,
        .spool_bytes = NOT_GIVEN,
        .spool_messages = NOT_GIVEN,
        .format = NOT_GIVEN,
        .max_message_bytes = NOT_GIVEN,
        .shards = NOT_GIVEN,
        .receive_buffer_bytes = NOT_GIVEN,
        .max_deliver = NOT_GIVEN,
        .ttl = NOT_GIVEN,
        .stall = NOT_GIVEN,
        .on_stall = NOT_GIVEN,
        .timeout = -1,
        .exec_timeout = 30,
    };
}

int recv_options_check(const struct recv_options *o)
{
    struct address address;
    struct network network;
    if (!name_is_valid(o->common.operands[0]))
        return tool_usage("NAME \"%s\": expected up to 63 lower-case letters, digits, '.', '_' and "
                          "'-', the first a letter or digit",
                          o->common.operands[0]);
    if (o->single_port && !o->sessions)
        return tool_usage("--single-port: only together with --sessions");
    if (o->sessions && o->format == MSGD_RAW)
        return tool_usage("--sessions: an endpoint of format raw has none");
    if (o->address != NULL && address_parse_ip(o->address, &address) != 0)
        return tool_usage("--address \"%s\": expected an address of this host, 0.0.0.0, :: or *",
                          o->address);
    for (size_t i = 0; i < o->allow.n; i++)
        if (network_parse(o->allow.items[i], &network) != 0)
            return tool_usage("--allow \"%s\": expected a network, such as 10.0.0.0/8",
                              o->allow.items[i]);
    return -1;
}

bool recv_options_have_settings(const struct recv_options *o)
{
    return o->address != NULL || o->port != NOT_GIVEN || o->mode != NOT_GIVEN ||
           o->on_conflict != NOT_GIVEN || o->no_replace || o->lease != LEASE_NOT_GIVEN ||
           o->single_port || o->mailbox_bytes != NOT_GIVEN || o->when_full != NOT_GIVEN ||
           o->durable || o->spool_bytes != NOT_GIVEN || o->spool_messages != NOT_GIVEN ||
           o->format != NOT_GIVEN || o->max_message_bytes != NOT_GIVEN || o->allow.n > 0 ||
           o->no_gro || o->shards != NOT_GIVEN || o->receive_buffer_bytes != NOT_GIVEN ||
           o->max_deliver != NOT_GIVEN || o->ttl != NOT_GIVEN || o->stall != NOT_GIVEN ||
           o->on_stall != NOT_GIVEN;
}

/* The library takes 0 for "the default". */
static int64_t given_or_0(int64_t value)
{
    return value == NOT_GIVEN ? 0 : value;
}

/* Given, it is meant, also where it is the default. */
static enum msgd_when_full when_full_of(int choice)
{
    return choice == NOT_GIVEN ? MSGD_WHEN_FULL_DEFAULT
                               : (enum msgd_when_full)(MSGD_DROP_NEW + choice);
}

static int64_t lease_of(int64_t lease)
{
    if (lease == LEASE_NOT_GIVEN)
        return MSGD_LEASE_DEFAULT;
    if (lease == 0)
        return MSGD_LEASE_NONE;
    return lease == -1 ? MSGD_LEASE_FOREVER : lease;
}

void recv_options_registration(const struct recv_options *o, struct msgd_registration *out)
{
    *out = (struct msgd_registration){
        .name = o->common.operands[0],
        .address = o->address,
        .port = (uint16_t)given_or_0(o->port),
        .mode = (enum msgd_mode)given_or_0(o->mode),
        .on_conflict = (enum msgd_on_conflict)given_or_0(o->on_conflict),
        .is_irreplaceable = o->no_replace,
        .lease_s = lease_of(o->lease),
        .mailbox_bytes = (uint64_t)given_or_0(o->mailbox_bytes),
        .when_full = when_full_of(o->when_full),
        .is_durable = o->durable,
        .spool_bytes =
            o->spool_bytes == 0 ? MSGD_SPOOL_UNBOUNDED : (uint64_t)given_or_0(o->spool_bytes),
        .spool_messages = (uint64_t)given_or_0(o->spool_messages),
        .format = (enum msgd_format)given_or_0(o->format),
        .max_message_bytes = (uint32_t)given_or_0(o->max_message_bytes),
        .allow = o->allow.n > 0 ? o->allow.items : NULL,
        .sessions = o->sessions ? MSGD_SESSIONS_AUTO : MSGD_SESSIONS_OFF,
        .is_single_port = o->single_port,
        .no_gro = o->no_gro,
        .shards = (uint32_t)given_or_0(o->shards),
        .receive_buffer_bytes = (uint32_t)given_or_0(o->receive_buffer_bytes),
        .max_deliver = (uint32_t)given_or_0(o->max_deliver),
        .ttl_s = (uint32_t)given_or_0(o->ttl),
        .stall_s = o->stall == 0 ? -1 : given_or_0(o->stall),
        .on_stall = (enum msgd_on_stall)given_or_0(o->on_stall),
    };
}
