/* SPDX-License-Identifier: MIT */
/* What the database keeps of a registered name. */
#include "daemon/core/registered.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 8192

static struct network networks[] = {
    {.ip = {[10] = 0xff, 0xff, 10}, .prefix = 104},
    {.ip = {0xfe, 0x80}, .prefix = 10},
};

/* Nothing in it is as by default; its owned parts are static. */
static struct registered other_than_defaults(void)
{
    struct registered r = {.uid = 4294967294u,
                           .generation = UINT64_MAX,
                           .since_wall_ns = -5,
                           .is_static = true,
                           .settings = {.name = "a.b",
                                        .mode = MODE_SHARE,
                                        .on_conflict = CONFLICT_QUEUE,
                                        .lease_s = LEASE_FOREVER,
                                        .mailbox_bytes = INT64_MAX,
                                        .when_full = WHEN_FULL_DROP_OLD,
                                        .is_durable = true,
                                        .spool_messages = INT64_MAX,
                                        .format = FORMAT_RAW,
                                        .max_message_bytes = 9,
                                        .receive_buffer_bytes = 8192,
                                        .max_deliver = 1,
                                        .ttl_s = UINT32_MAX,
                                        .on_stall = STALL_AWAY,
                                        .sessions = SESSIONS_ASK,
                                        .session_ports = SESSION_PORTS_SINGLE,
                                        .allow = networks,
                                        .n_allow = 2}};

    cr_assert_eq(address_parse("[ff02::1%lo]:65535", &r.address), 0);
    cr_assert_eq(address_parse("*:1", &r.settings.address), 0);
    return r;
}

static struct registered with_defaults(void)
{
    struct registered r = {.generation = 1};

    settings_init(&r.settings);
    memcpy(r.settings.name, "a", 2);
    r.address = r.settings.address;
    return r;
}

static size_t save(const struct registered *r, uint8_t *bytes)
{
    size_t n = registered_save(r, NULL, 0);

    cr_assert_lt(n, ROOM);
    cr_assert_eq(registered_save(r, bytes, n), n);
    return n;
}

static void assert_kept(const struct registered *r)
{
    uint8_t bytes[ROOM];
    size_t n = save(r, bytes);
    struct registered loaded;

    cr_assert_eq(registered_load(&loaded, bytes, n), 0);
    cr_assert_eq(loaded.uid, r->uid);
    cr_assert_eq(loaded.generation, r->generation);
    cr_assert_eq(loaded.since_wall_ns, r->since_wall_ns);
    cr_assert_eq(loaded.is_static, r->is_static);
    cr_assert_arr_eq(&loaded.address, &r->address, sizeof(r->address));
    cr_assert_str_eq(loaded.settings.name, r->settings.name);
    cr_assert_eq(settings_difference(&loaded.settings, &r->settings), 0);
    settings_deinit(&loaded.settings);
}

/* Whoever adds a field adds it to settings_archive and here, or it is lost when msgd is started
 * again. */
Test(registered, keeps_every_field)
{
    struct registered r = other_than_defaults(), defaults = with_defaults();
    uint32_t static_only = FIELD_BIT(USERS) | FIELD_BIT(GROUPS);

    cr_assert_eq(settings_difference(&r.settings, &defaults.settings) | static_only, FIELDS_ALL);
    assert_kept(&r);
}

Test(registered, keeps_the_last_of_every_choice)
{
    struct registered r = with_defaults();

    r.settings.mode = MODE_COPY;
    r.settings.on_conflict = CONFLICT_REPLACE;
    r.settings.when_full = WHEN_FULL_SPOOL;
    r.settings.lease_s = 4294967295;
    assert_kept(&r);
}

/* A database leaves out what is as by default. Where a default is to change, what is left out there
 * must go on to mean this: REGISTERED_VERSION changes, too. */
Test(registered, what_is_left_out_means)
{
    struct registered r = with_defaults(), loaded;
    const struct settings *s = &loaded.settings;
    uint8_t bytes[ROOM];
    size_t n = save(&r, bytes);

    cr_assert_leq(n, 80);
    cr_assert_eq(registered_load(&loaded, bytes, n), 0);
    cr_assert(address_is_loopback(&s->address) && s->address.family == ADDRESS_IPV4);
    cr_assert_eq(s->address.port, 0);
    cr_assert_eq(s->mode, MODE_EXCLUSIVE);
    cr_assert_eq(s->on_conflict, CONFLICT_REJECT);
    cr_assert(s->may_replace);
    cr_assert_eq(s->lease_s, 60);
    cr_assert_eq(s->mailbox_bytes, 1048576);
    cr_assert_eq(s->when_full, WHEN_FULL_DROP_NEW);
    cr_assert_not(s->is_durable);
    cr_assert_eq(s->spool_bytes, 256u << 20);
    cr_assert_eq(s->spool_messages, 0);
    cr_assert_eq(s->format, FORMAT_JSON);
    cr_assert_eq(s->max_message_bytes, 65507);
    cr_assert_eq(s->n_allow, 0);
    cr_assert(s->gro);
    cr_assert_eq(s->receive_buffer_bytes, 4194304);
    cr_assert_eq(s->max_deliver, 0);
    cr_assert_eq(s->ttl_s, 0);
    cr_assert_eq(s->stall_s, 60);
    cr_assert_eq(s->on_stall, STALL_SHOW);
    cr_assert_eq(s->sessions, SESSIONS_OFF);
    cr_assert_eq(s->session_ports, SESSION_PORTS_OWN);
    settings_deinit(&loaded.settings);
}

/* Each is read as nothing or as what it was: no bit of a registration changes unnoticed. */
Test(registered, notices_every_flipped_bit_and_every_cut)
{
    struct registered r = other_than_defaults(), loaded;
    uint8_t bytes[ROOM];
    size_t n = save(&r, bytes);

    for (size_t bit = 0; bit < 8 * n; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_lt(registered_load(&loaded, bytes, n), 0, "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < n; cut++)
        cr_assert_eq(registered_load(&loaded, bytes, cut), -EBADMSG, "%zu bytes", cut);
}
