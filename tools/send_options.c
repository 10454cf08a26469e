/* SPDX-License-Identifier: MIT */
/* msgsend's command line. */
#include "tools/send_options.h"

#include "proto/name.h"
#include "tools/send_payload.h"
#include "tools/tool.h"

#include <errno.h>
#include <string.h>

#define OFFSET(member) .offset = offsetof(struct send_options, member)

static const struct option_spec specs[] = {
    {"file", 'f', "FILE",
     "take the messages from FILE, one JSON text a line (- is stdin); with "
     "--raw the whole file is one message",
     OPTION_TEXT, OFFSET(file)},
    {"count", 'n', "N", "send each message N times (1)", OPTION_INTEGER, OFFSET(count), .min = 1,
     .max = 1e15},
    {"rate", 'r', "N", "send at most N messages a second", OPTION_DECIMAL, OFFSET(rate),
     .min = 1e-6, .max = 1e9},
    {"from", 0, "NAME", "send from the address and port of your endpoint NAME", OPTION_TEXT,
     OFFSET(from)},
    {"raw", 0, NULL, "send the bytes as they are, JSON or not", OPTION_FLAG, OFFSET(raw)},
    {"batch", 0, NULL,
     "put as many messages into a datagram as it holds; for endpoints of msgd only", OPTION_FLAG,
     OFFSET(batch)},
    {"ack", 0, "WISH",
     "send each message until msgd acknowledges that it is stored (without "
     "WISH), or released by its consumer",
     OPTION_CHOICE, OFFSET(ack), .choices = "stored released", .is_optional = true},
    {"reply", 0, NULL, "send each message as a request, and print the answer", OPTION_FLAG,
     OFFSET(reply)},
    {"plain", 0, NULL,
     "with --reply: a plain datagram, for servers that know nothing of msgd; "
     "it is not sent again",
     OPTION_FLAG, OFFSET(plain)},
    {"id", 0, "ID",
     "with --ack or --reply: the message's id; the same id within four minutes "
     "is the same message, delivered once",
     OPTION_TEXT, OFFSET(id)},
    {"in-flight", 0, "N", "with --ack: messages that are unanswered at a time (256); 1 keeps order",
     OPTION_INTEGER, OFFSET(in_flight), .min = 1, .max = 4096},
    {"timeout", 't', "S", "seconds to wait for an answer or acknowledgement (5)", OPTION_DECIMAL,
     OFFSET(timeout), .max = 1e6},
    {"linger", 0, "S", "seconds to wait for a refusal from another host at the end (0.1)",
     OPTION_DECIMAL, OFFSET(linger), .max = 1e6},
};

const struct tool_spec send_tool = {
    .name = "msgsend",
    .summary = "Sends JSON messages by UDP.",
    .synopsis = "TARGET [PAYLOAD]",
    .details = "  TARGET   ip:port, [ip6]:port, host:port or the name of an endpoint of msgd\n"
               "  PAYLOAD  one JSON text; without it, one JSON text a line from stdin\n",
    .options = specs,
    .n_options = sizeof specs / sizeof specs[0],
    .operand_kind = OPERANDS_TARGET,
    .min_operands = 1,
    .max_operands = 2,
};

void send_options_init(struct send_options *o)
{
    *o = (struct send_options){.count = 1, .ack = -1, .in_flight = -1, .timeout = 5, .linger = 0.1};
}

const char *send_options_payload(const struct send_options *o)
{
    return o->common.n_operands > 1 ? o->common.operands[1] : NULL;
}

bool send_options_are_framed(const struct send_options *o)
{
    return o->ack >= 0 || (o->reply && !o->plain && !o->raw);
}

/* Answers to what an endpoint sends go to that endpoint. */
static int check_from(const struct send_options *o)
{
    if (o->from == NULL)
        return EXIT_DONE;
    if (!name_is_valid(o->from))
        return tool_usage("--from \"%s\": expected the name of an endpoint of yours", o->from);
    if (o->reply)
        return tool_usage("--reply: an answer to what --from sends goes to that endpoint; "
                          "msgrecv %s shows it",
                          o->from);
    if (o->ack >= 0)
        return tool_usage("--ack: msgd does not pass on acknowledgements of what --from sends; "
                          "leave one of them out");
    return EXIT_DONE;
}

static int check_wishes(const struct send_options *o)
{
    bool is_framed = send_options_are_framed(o);
    if (o->ack >= 0 && o->reply)
        return tool_usage("--ack: the answer of --reply acknowledges the message; leave --ack out");
    if (o->ack >= 0 && o->raw)
        return tool_usage("--ack: raw bytes have no header that could ask for it");
    if (o->plain && !o->reply)
        return tool_usage(
            "--plain: goes with --reply; without it and --ack every message is plain");
    if (o->batch && (o->raw || o->reply || o->ack >= 0 || o->from != NULL))
        return tool_usage("--batch: goes with neither --ack, --reply, --from nor --raw");
    if (o->id != NULL && !is_framed)
        return tool_usage("--id: goes with --ack or --reply%s",
                          o->plain || o->raw ? ", and plain messages have none" : "");
    if (o->id != NULL && (send_options_payload(o) == NULL || o->count > 1))
        return tool_usage("--id: is of one message; give it as PAYLOAD, without --count");
    if (o->in_flight >= 0 && o->ack < 0)
        return tool_usage("--in-flight: goes with --ack");
    return EXIT_DONE;
}

int send_fail_target(int error, const char *sentence)
{
    enum exit_code code = error == -EINVAL     ? EXIT_USAGE
                          : error == -ENOENT   ? EXIT_NO_NAME
                          : error == -ENOTCONN ? EXIT_UNAVAILABLE
                                               : exit_code_of("", error);
    return tool_fail(code, "%s", sentence);
}

int send_options_check(const struct send_options *o)
{
    char fault[PAYLOAD_FAULT_MAX];
    const char *payload = send_options_payload(o);
    if (payload != NULL && o->file != NULL)
        return tool_usage("--file: there is a PAYLOAD already; give one of them");
    int code = check_from(o);
    if (code == EXIT_DONE)
        code = check_wishes(o);
    if (code != EXIT_DONE)
        return code;
    if (payload != NULL && !payload_check(payload, strlen(payload), o->raw, fault))
        return tool_fail(EXIT_DATA,
                         "PAYLOAD: %s; nothing was sent (a string needs its quotes, as in "
                         "'\"text\"'; --raw sends anything)",
                         fault);
    return EXIT_DONE;
}
