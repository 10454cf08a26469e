/* SPDX-License-Identifier: MIT */
/* What msgsend says of a message's fate, its quantiles and its pace. */
#include "tools/quantiles.h"
#include "tools/send_rate.h"
#include "tools/send_verdict.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct {
    const char *name;
    struct msgd_result result;
    enum msgd_wish wish;
    enum exit_code code;
    bool is_of_all;
    const char *said; /* NULL: nothing */
} fates[] = {
    {"stored", {.outcome = MSGD_OUTCOME_STORED}, MSGD_WISH_STORED, EXIT_DONE, false, NULL},
    {"released", {.outcome = MSGD_OUTCOME_RELEASED}, MSGD_WISH_RELEASED, EXIT_DONE, false, NULL},
    {"replied", {.outcome = MSGD_OUTCOME_REPLIED}, MSGD_WISH_REPLY, EXIT_DONE, false, NULL},
    {"a request that nobody answers",
     {.outcome = MSGD_OUTCOME_RELEASED},
     MSGD_WISH_REPLY,
     EXIT_TEMPORARY,
     false,
     "without answering"},
    {"not allowed",
     {.outcome = MSGD_OUTCOME_REFUSED, .reason = "not_allowed"},
     MSGD_WISH_STORED,
     EXIT_NOT_PERMITTED,
     true,
     "\"allow\""},
    {"too large",
     {.outcome = MSGD_OUTCOME_REFUSED, .reason = "too_large"},
     MSGD_WISH_STORED,
     EXIT_DATA,
     false,
     "max_message_bytes"},
    {"not JSON",
     {.outcome = MSGD_OUTCOME_REFUSED, .reason = "invalid_json"},
     MSGD_WISH_STORED,
     EXIT_DATA,
     false,
     "JSON"},
    {"full",
     {.outcome = MSGD_OUTCOME_REFUSED, .reason = "mailbox_full", .is_temporary = 1},
     MSGD_WISH_STORED,
     EXIT_TEMPORARY,
     false,
     "for 5 s, thermo has a full mailbox"},
    {"expired",
     {.outcome = MSGD_OUTCOME_REFUSED, .reason = "expired"},
     MSGD_WISH_RELEASED,
     EXIT_UNAVAILABLE,
     false,
     "lease"},
    {"of a later version",
     {.outcome = MSGD_OUTCOME_REFUSED, .reason = "too_late"},
     MSGD_WISH_STORED,
     EXIT_UNAVAILABLE,
     false,
     "thermo refused the message: too_late"},
    {"of a later version, for the moment",
     {.outcome = MSGD_OUTCOME_REFUSED, .reason = "tired", .is_temporary = 1},
     MSGD_WISH_STORED,
     EXIT_TEMPORARY,
     false,
     "tired"},
    {"no answer",
     {.outcome = MSGD_OUTCOME_TIMED_OUT, .error = -ETIMEDOUT},
     MSGD_WISH_STORED,
     EXIT_TEMPORARY,
     false,
     "no acknowledgement from thermo within 5 s"},
    {"no reply",
     {.outcome = MSGD_OUTCOME_TIMED_OUT, .error = -ETIMEDOUT},
     MSGD_WISH_REPLY,
     EXIT_TEMPORARY,
     false,
     "--plain"},
    {"kept",
     {.outcome = MSGD_OUTCOME_TIMED_OUT, .error = -ETIMEDOUT, .is_kept = 1},
     MSGD_WISH_RELEASED,
     EXIT_TEMPORARY,
     false,
     "has stored the message"},
    {"a request that is kept",
     {.outcome = MSGD_OUTCOME_TIMED_OUT, .error = -ETIMEDOUT, .is_kept = 1},
     MSGD_WISH_REPLY,
     EXIT_TEMPORARY,
     false,
     "has the request"},
    {"nobody",
     {.outcome = MSGD_OUTCOME_UNREACHABLE, .error = -ECONNREFUSED},
     MSGD_WISH_STORED,
     EXIT_UNAVAILABLE,
     true,
     "nobody listens on thermo"},
    {"a firewall",
     {.outcome = MSGD_OUTCOME_UNREACHABLE, .error = -EPERM},
     MSGD_WISH_STORED,
     EXIT_NOT_PERMITTED,
     true,
     "firewall"},
};

Test(tools_send_verdict, each_fate_has_its_code_and_says_what_to_do)
{
    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
        struct send_verdict v;
        struct msgd_result result = fates[i].result;
        if (result.reason == NULL)
            result.reason = "";
        send_verdict(&result, fates[i].wish, "thermo", 5, &v);
        cr_expect_eq((int)v.code, (int)fates[i].code, "%s: %d", fates[i].name, (int)v.code);
        cr_expect_eq(v.is_of_all, fates[i].is_of_all, "%s", fates[i].name);
        if (fates[i].said == NULL)
            cr_expect_str_eq(v.sentence, "", "%s", fates[i].name);
        else
            cr_expect_not_null(strstr(v.sentence, fates[i].said), "%s: %s", fates[i].name,
                               v.sentence);
    }
}

Test(tools_send_verdict, quantiles_are_right_to_a_sixteenth)
{
    static struct quantiles q;

    cr_expect_eq(quantiles_at(&q, 0.5), 0u);
    for (uint64_t v = 1; v <= 100000; v++)
        quantiles_add(&q, v);
    for (double part = 0.01; part < 1; part += 0.01) {
        double got = (double)quantiles_at(&q, part), exact = part * 100000;
        cr_expect(got >= exact - 1 && got <= exact * 17 / 16 + 1, "%g: %g", part, got);
    }
    cr_expect_eq(quantiles_at(&q, 1), 100000u);
    quantiles_add(&q, UINT64_MAX);
    cr_expect_eq(quantiles_at(&q, 1), UINT64_MAX);
    static struct quantiles small;
    for (uint64_t v = 0; v < 16; v++)
        quantiles_add(&small, v);
    cr_expect_eq(quantiles_at(&small, 0.5), 7u);
}

Test(tools_send_verdict, a_rate_holds_back_and_catches_up_a_little)
{
    struct send_rate r = {.rate = 100};
    int64_t now = INT64_C(1000000000);

    cr_expect_eq(send_rate_left_ns(&r, now), 0);
    send_rate_take(&r);
    cr_expect_eq(send_rate_left_ns(&r, now), 10000000);
    cr_expect_eq(send_rate_left_ns(&r, now + 10000000), 0);
    int n = 0;
    for (; send_rate_left_ns(&r, now + 5000000000) == 0; n++)
        send_rate_take(&r);
    cr_expect(n >= 1 && n <= 12, "%d at once after five seconds", n);
    struct send_rate none = {0};
    send_rate_take(&none);
    cr_expect_eq(send_rate_left_ns(&none, now), 0);
}
