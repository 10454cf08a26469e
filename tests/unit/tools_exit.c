/* SPDX-License-Identifier: MIT */
/* Exit codes, and what msgd's errors say. */
#include "tools/exit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

Test(tools_exit, every_error_has_its_code)
{
    static const struct {
        const char *name;
        int error;
        enum exit_code code;
    } cases[] = {
        {"", 0, EXIT_DONE},
        {"", -EINVAL, EXIT_USAGE},
        {"", -EMSGSIZE, EXIT_DATA},
        {"", -ECONNREFUSED, EXIT_UNAVAILABLE},
        {"", -ENOENT, EXIT_UNAVAILABLE},
        {"", -EPIPE, EXIT_UNAVAILABLE},
        {"", -ENOMEM, EXIT_SYSTEM},
        {"", -EMFILE, EXIT_SYSTEM},
        {"", -EEXIST, EXIT_TAKEN},
        {"", -EADDRINUSE, EXIT_TAKEN},
        {"", -EAGAIN, EXIT_TEMPORARY},
        {"", -EDQUOT, EXIT_TEMPORARY},
        {"", -EACCES, EXIT_NOT_PERMITTED},
        {NULL, -EPERM, EXIT_NOT_PERMITTED},
        {"io.msgd.NameTaken", -EEXIST, EXIT_TAKEN},
        {"io.msgd.PortTaken", -EADDRINUSE, EXIT_TAKEN},
        {"io.msgd.AlreadyAttached", -EBUSY, EXIT_TAKEN},
        {"io.msgd.NotPermitted", -EACCES, EXIT_NOT_PERMITTED},
        {"io.msgd.QuotaExceeded", -EDQUOT, EXIT_TEMPORARY},
        {"io.msgd.NoSuchEndpoint", -ENOENT, EXIT_NO_NAME},
        {"io.msgd.BadAddress", -EINVAL, EXIT_USAGE},
        {"io.msgd.TooLarge", -EMSGSIZE, EXIT_DATA},
        {"io.msgd.TryAgain", -EAGAIN, EXIT_TEMPORARY},
        {"io.msgd.BadConfiguration", -EINVAL, EXIT_CONFIGURATION},
        {"org.varlink.service.InvalidParameter", -EINVAL, EXIT_USAGE},
        {"org.varlink.service.MethodNotFound", -ENOSYS, EXIT_SYSTEM},
        {"io.msgd.Unheard", -EPROTO, EXIT_SYSTEM},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(exit_code_of(cases[i].name, cases[i].error), cases[i].code, "%s %d",
                     cases[i].name, cases[i].error);
}

static const char *command_of(int pid)
{
    return pid == 4211 ? "collectd" : NULL;
}

Test(tools_exit, says_what_where_and_what_to_do)
{
    static const struct {
        const char *name;
        const char *parameters;
        const char *sentence;
    } cases[] = {
        {"io.msgd.NameTaken",
         "{\"name\":\"thermo\",\"pid\":4211,\"uid\":1000,\"since\":\"2026-11-23T07:04:07Z\"}",
         "name \"thermo\" is taken by pid 4211 (collectd), uid 1000; stop it, or use --on-conflict "
         "replace"},
        {"io.msgd.NameTaken", "{\"name\":\"thermo\",\"pid\":null,\"uid\":1000,\"since\":\"\"}",
         "name \"thermo\" is taken by uid 1000; stop it, or use --on-conflict replace"},
        {"io.msgd.PortTaken", "{\"address\":\"0.0.0.0\",\"port\":7000,\"name\":null,\"uid\":5}",
         "port 7000 of 0.0.0.0 is taken by another program, uid 5 (ss -ulpn shows it); choose "
         "another port, or leave it out for a free one"},
        {"io.msgd.BadConfiguration",
         "{\"file\":\"msgd.json\",\"line\":4,\"column\":9,\"expected\":\"a number\"}",
         "msgd.json:4:9: expected a number; nothing was changed"},
        {"io.msgd.QuotaExceeded",
         "{\"quota\":\"endpoints_per_uid\",\"limit\":16384,\"used\":16384}",
         "the quota endpoints_per_uid is used up: 16384 of 16384; release something, or have the "
         "limit raised"},
        {"io.msgd.NoSuchEndpoint", "nonsense",
         "no endpoint is called \"?\"; msgls shows those that exist"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char buf[EXIT_SENTENCE_MAX];
        const char *said = exit_sentence(cases[i].name, cases[i].parameters, command_of, buf);
        cr_assert_not_null(said, "%s", cases[i].name);
        cr_expect_str_eq(said, cases[i].sentence);
    }
}

Test(tools_exit, says_something_for_every_error_without_parameters)
{
    static const char *const names[] = {"io.msgd.NameTaken",
                                        "io.msgd.PortTaken",
                                        "io.msgd.AlreadyAttached",
                                        "io.msgd.NotPermitted",
                                        "io.msgd.BadAddress",
                                        "io.msgd.QuotaExceeded",
                                        "io.msgd.NoSuchEndpoint",
                                        "io.msgd.TooLarge",
                                        "io.msgd.TryAgain",
                                        "io.msgd.BadConfiguration",
                                        "org.varlink.service.InvalidParameter",
                                        "org.varlink.service.MethodNotFound"};
    char buf[EXIT_SENTENCE_MAX];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cr_expect_not_null(exit_sentence(names[i], NULL, NULL, buf), "%s", names[i]);
        cr_expect_gt(strlen(buf), 10, "%s", names[i]);
    }
    cr_expect_null(exit_sentence("io.msgd.Unheard", "{}", NULL, buf));
    cr_expect_null(exit_sentence("", "{}", NULL, buf));
}

Test(tools_exit, never_runs_over_a_sentence)
{
    static char parameters[8000];
    char buf[EXIT_SENTENCE_MAX];

    int n = snprintf(parameters, sizeof parameters, "{\"rule\":\"");
    memset(parameters + n, 'x', 7000);
    strcpy(parameters + n + 7000, "\"}");
    cr_expect_not_null(exit_sentence("io.msgd.NotPermitted", parameters, NULL, buf));
    cr_expect_eq(strlen(buf), EXIT_SENTENCE_MAX - 1);
}
