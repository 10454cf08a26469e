/* SPDX-License-Identifier: MIT */
/* Registrations of version 1 of the database, which are JSON, and of today's. */
#include "daemon/config/registered_text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static int load(struct registered *r, const char *text)
{
    return registered_load_any(r, text, strlen(text));
}

Test(registered_text, reads_what_version_1_has_written)
{
    struct registered r;

    cr_assert_eq(load(&r, "{\"uid\":1000,\"generation\":7,\"since\":1764000000123456789,"
                          "\"static\":false,\"address\":\"127.0.0.1\",\"port\":7411,"
                          "\"settings\":{\"name\":\"thermo\",\"mode\":\"copy\",\"lease_s\":-1,"
                          "\"durable\":true,\"when_full\":\"spool\"}}"),
                 0);
    cr_expect_eq(r.uid, 1000);
    cr_expect_eq(r.generation, 7);
    cr_expect_eq(r.since_wall_ns, INT64_C(1764000000123456789));
    cr_expect_not(r.is_static);
    cr_expect(address_is_loopback(&r.address));
    cr_expect_eq(r.address.port, 7411);
    cr_expect_str_eq(r.settings.name, "thermo");
    cr_expect_eq(r.settings.mode, MODE_COPY);
    cr_expect_eq(r.settings.lease_s, LEASE_FOREVER);
    cr_expect(r.settings.is_durable);
    cr_expect_eq(r.settings.when_full, WHEN_FULL_SPOOL);
    settings_deinit(&r.settings);
}

Test(registered_text, reads_an_archive_as_before)
{
    struct registered r = {.uid = 5, .generation = 2}, loaded;
    uint8_t bytes[1024];

    settings_init(&r.settings);
    memcpy(r.settings.name, "a", 2);
    r.address = r.settings.address;
    size_t n = registered_save(&r, bytes, sizeof bytes);
    cr_assert_leq(n, sizeof bytes);
    cr_assert_eq(registered_load_any(&loaded, bytes, n), 0);
    cr_expect_eq(loaded.uid, 5);
    cr_expect_str_eq(loaded.settings.name, "a");
    settings_deinit(&loaded.settings);
}

Test(registered_text, what_is_neither_is_refused)
{
    static const char *const texts[] = {
        "",
        "{",
        "{}",
        "hello",
        "{\"address\":\"127.0.0.1\",\"port\":7000}",
        "{\"address\":\"127.0.0.1\",\"port\":70000,\"settings\":{\"name\":\"a\"}}",
        "{\"address\":\"nowhere\",\"port\":7000,\"settings\":{\"name\":\"a\"}}",
        "{\"address\":\"127.0.0.1\",\"port\":7000,\"settings\":{\"name\":\"A\"}}",
        "{\"address\":\"127.0.0.1\",\"port\":7000,\"settings\":{\"name\":\"a\"}} {}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct registered r;

        cr_expect_eq(load(&r, texts[i]), -EBADMSG, "%s", texts[i]);
    }
}
