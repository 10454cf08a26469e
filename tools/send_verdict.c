/* SPDX-License-Identifier: MIT */
/* What became of a message, as msgsend says it. */
#include "tools/send_verdict.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* For each reason what it means, and what to do. In `format`: where. */
static const struct reason {
    const char *reason;
    enum exit_code code;
    bool is_of_all;
    const char *meaning;
} reasons[] = {
    {"not_allowed", EXIT_NOT_PERMITTED, true,
     "does not let this host send; its \"allow\" has the networks that may"},
    {"too_large", EXIT_DATA, false,
     "takes no message as large as this; its max_message_bytes is the limit"},
    {"truncated", EXIT_DATA, false, "received only a part of the message; send smaller ones"},
    {"invalid_json", EXIT_DATA, false, "does not take the message for JSON"},
    {"malformed_frame", EXIT_DATA, false,
     "cannot read the header of the message; is it another version of msgd?"},
    {"unsupported", EXIT_UNAVAILABLE, true,
     "does not know this kind of message; is it another version of msgd?"},
    {"mailbox_full", EXIT_TEMPORARY, false,
     "has a full mailbox; start its consumer, or give it more mailbox_bytes"},
    {"quota_exceeded", EXIT_TEMPORARY, false,
     "has used up its owner's quota (mailbox_bytes_per_uid)"},
    {"sources_full", EXIT_TEMPORARY, false,
     "hears too many senders (limits.sources); send less often anew"},
    {"no_memory", EXIT_TEMPORARY, false, "has no memory for the message"},
    {"expired", EXIT_UNAVAILABLE, false,
     "dropped the message: no consumer came before its lease ended"},
    {"released", EXIT_UNAVAILABLE, false,
     "dropped the message: the endpoint was released while it waited"},
};

static void say_refused(const struct msgd_result *result, const char *where, double seconds,
                        struct send_verdict *out)
{
    const struct reason *r = NULL;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (strcmp(reasons[i].reason, result->reason) == 0)
            r = &reasons[i];
    out->code = r != NULL ? r->code : EXIT_UNAVAILABLE;
    out->is_of_all = r != NULL && r->is_of_all;
    if (result->is_temporary)
        out->code = EXIT_TEMPORARY;
    if (r == NULL)
        snprintf(out->sentence, sizeof out->sentence, "%s refused the message: %s", where,
                 result->reason);
    else if (result->is_temporary)
        snprintf(out->sentence, sizeof out->sentence, "for %g s, %s %s", seconds, where,
                 r->meaning);
    else
        snprintf(out->sentence, sizeof out->sentence, "%s %s", where, r->meaning);
}

static void say_timed_out(const struct msgd_result *result, enum msgd_wish wish, const char *where,
                          double seconds, struct send_verdict *out)
{
    const char *form;
    out->code = EXIT_TEMPORARY;
    if (result->is_kept && wish == MSGD_WISH_REPLY)
        form = "%s has the request, but no answer came within %g s; is its consumer at work?";
    else if (result->is_kept)
        form = "%s has stored the message, but no consumer has released it within %g s";
    else if (wish == MSGD_WISH_REPLY)
        form = "no answer from %s within %g s; if it is no msgd that listens there, try --plain";
    else
        form = "no acknowledgement from %s within %g s, so it may have arrived or not; only msgd "
               "acknowledges";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(out->sentence, sizeof out->sentence, form, where, seconds);
#pragma GCC diagnostic pop
}

static void say_unreachable(const struct msgd_result *result, const char *where,
                            struct send_verdict *out)
{
    out->is_of_all = true;
    out->code = EXIT_UNAVAILABLE;
    if (result->error == -EPERM || result->error == -EACCES)
        out->code = EXIT_NOT_PERMITTED;
    if (result->error == -ECONNREFUSED)
        snprintf(out->sentence, sizeof out->sentence,
                 "nobody listens on %s; start the receiver, or register the port with msgrecv",
                 where);
    else if (result->error == -EPERM)
        snprintf(out->sentence, sizeof out->sentence, "%s: a firewall rule of this host forbids it",
                 where);
    else
        snprintf(out->sentence, sizeof out->sentence, "%s: %s", where, strerror(-result->error));
}

void send_verdict(const struct msgd_result *result, enum msgd_wish wish, const char *where,
                  double seconds, struct send_verdict *out)
{
    *out = (struct send_verdict){.code = EXIT_DONE};
    switch (result->outcome) {
    case MSGD_OUTCOME_STORED:
    case MSGD_OUTCOME_REPLIED:
        break;
    case MSGD_OUTCOME_RELEASED:
        if (wish != MSGD_WISH_REPLY)
            break;
        out->code = EXIT_TEMPORARY;
        snprintf(out->sentence, sizeof out->sentence,
                 "the consumer of %s was done with the request without answering", where);
        break;
    case MSGD_OUTCOME_REFUSED:
        say_refused(result, where, seconds, out);
        break;
    case MSGD_OUTCOME_TIMED_OUT:
        say_timed_out(result, wish, where, seconds, out);
        break;
    case MSGD_OUTCOME_UNREACHABLE:
        say_unreachable(result, where, out);
        break;
    }
}
