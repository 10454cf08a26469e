/* SPDX-License-Identifier: MIT */
/* Varlink errors as errno and sentences. */
#include "client/failure.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

struct row {
    const char *name; /* of the error */
    const char *parameters;
    int error;
    const char *sentence;
};

static void expect_row(const struct row *row)
{
    char text[4096];
    struct varlink_reply reply;
    struct failure f = {0};

    snprintf(text, sizeof(text), "{\"error\":\"%s\",\"parameters\":%s}", row->name,
             row->parameters);
    cr_assert_eq(varlink_reply_parse(text, strlen(text), &reply), 0);
    cr_expect_eq(failure_from_reply(&f, "io.msgd.Register", "thermo", &reply), row->error, "%s",
                 row->name);
    cr_expect_str_eq(f.sentence, row->sentence);
    cr_expect_str_eq(f.name, row->name);
    cr_expect_not_null(f.parameters);
    varlink_reply_deinit(&reply);
    failure_deinit(&f);
}

Test(client_failure, each_error_says_what_where_and_what_to_do)
{
    static const struct row table[] = {
        {"io.msgd.NameTaken", "{\"name\":\"a\",\"pid\":42,\"uid\":1000,\"since\":\"today\"}",
         -EEXIST,
         "name \"a\" is held by pid 42 (uid 1000) since today; stop it or use --on-conflict "
         "replace (MSGD_REPLACE)"},
        {"io.msgd.NameTaken", "{\"name\":\"a\",\"pid\":null,\"uid\":1000,\"since\":\"today\"}",
         -EEXIST,
         "name \"a\" is held by another process (uid 1000) since today; stop it or use "
         "--on-conflict replace (MSGD_REPLACE)"},
        {"io.msgd.PortTaken", "{\"address\":\"127.0.0.1\",\"port\":65535,\"name\":\"b\",\"uid\":1}",
         -EADDRINUSE,
         "127.0.0.1:65535 is taken by endpoint \"b\" of this msgd; choose another port or stop it "
         "(msgctl release)"},
        {"io.msgd.PortTaken", "{\"address\":\"::1\",\"port\":7,\"name\":null,\"uid\":33}",
         -EADDRINUSE,
         "[::1]:7 is taken by another program (uid 33); choose another port or stop it (ss -ulpn "
         "shows it)"},
        {"io.msgd.PortTaken", "{\"address\":\"*\",\"port\":7,\"name\":null,\"uid\":null}",
         -EADDRINUSE,
         "*:7 is taken by another program; choose another port or stop it (ss -ulpn shows it)"},
        {"io.msgd.NotPermitted", "{\"rule\":\"ports below 1024 need a rule of policy\"}", -EACCES,
         "not permitted for thermo: ports below 1024 need a rule of policy"},
        {"io.msgd.QuotaExceeded",
         "{\"quota\":\"endpoints_per_uid\",\"limit\":16384,\"used\":16384}", -EDQUOT,
         "quota endpoints_per_uid is used up: 16384 of 16384; release something, or raise it "
         "under \"limits\" in msgd's configuration"},
        {"io.msgd.NoSuchEndpoint", "{\"name\":\"a\"}", -ENOENT,
         "msgd has no endpoint \"a\"; msgls shows those that it has"},
        {"io.msgd.AlreadyAttached", "{\"name\":\"a\",\"pid\":3,\"uid\":4}", -EBUSY,
         "\"a\" has a consumer already: pid 3 (uid 4); stop it, or register with mode share or "
         "copy"},
        {"io.msgd.BadAddress", "{\"address\":\"10.0.0.300\",\"reason\":\"not an address\"}",
         -EADDRNOTAVAIL, "cannot use address 10.0.0.300: not an address"},
        {"io.msgd.TooLarge", "{\"limit\":65507,\"bytes\":65508}", -EMSGSIZE,
         "io.msgd.Register: 65508 bytes are more than the limit of 65507"},
        {"io.msgd.TryAgain", "{\"reason\":\"no descriptors left\"}", -EAGAIN,
         "io.msgd.Register of thermo: no descriptors left; try again later"},
        {"io.msgd.BadConfiguration",
         "{\"file\":\"/etc/msgd/msgd.json\",\"line\":3,\"column\":9,\"expected\":\"a number\"}",
         -EINVAL, "/etc/msgd/msgd.json:3:9: expected a number; nothing has changed"},
        {"org.varlink.service.InvalidParameter", "{\"parameter\":\"shards\"}", -EINVAL,
         "io.msgd.Register does not accept this \"shards\""},
        {"org.varlink.service.InvalidParameter",
         "{\"parameter\":\"shards\",\"expected\":\"not in this version\"}", -EINVAL,
         "io.msgd.Register does not accept this \"shards\": not in this version"},
        {"org.varlink.service.InvalidParameter",
         "{\"parameter\":\"port\",\"expected\":\"0 to 65535\"}", -EINVAL,
         "io.msgd.Register does not accept this \"port\": expected 0 to 65535"},
        {"org.varlink.service.MethodNotFound", "{\"method\":\"io.msgd.Register\"}", -ENOSYS,
         "msgd has no method io.msgd.Register; is it another version?"},
        {"org.varlink.service.ExpectedMore", "{}", -EINVAL,
         "io.msgd.Register must be called with \"more\""},
        {"org.example.Odd", "{\"a\":1}", -EREMOTEIO,
         "io.msgd.Register failed with org.example.Odd {\"a\":1}"},
        {"io.msgd.NameTaken", "{}", -EEXIST,
         "name \"?\" is held by another process since ?; stop it or use --on-conflict replace "
         "(MSGD_REPLACE)"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        expect_row(&table[i]);
}

Test(client_failure, a_sentence_is_one_line_and_never_longer_than_its_room)
{
    char big[2000];
    struct failure f = {0};

    memset(big, '\n', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    cr_expect_eq(failure_set(&f, -EIO, "%s", big), -EIO);
    cr_expect_eq(strlen(f.sentence), FAILURE_SENTENCE_MAX - 1);
    cr_expect_null(strchr(f.sentence, '\n'));
    failure_deinit(&f);
}
