/* SPDX-License-Identifier: MIT */
/* Cookies that prove an address. */
#include "daemon/core/cookie.h"

#include <criterion/criterion.h>

static struct cookie_secret secret;
static struct cookie_claim claim;
static char text[COOKIE_TEXT_BYTES];

static void make(void)
{
    cr_assert_eq(cookie_secret_init(&secret), 0);
    cr_assert_eq(address_parse("192.0.2.7:40000", &claim.client), 0);
    cr_assert_eq(address_parse("192.0.2.1:7000", &claim.server), 0);
    memset(claim.nonce, 7, sizeof(claim.nonce));
    cookie_write(&secret, &claim, 1000, text);
}

TestSuite(cookie, .init = make);

static bool is_valid(const struct cookie_claim *c, uint32_t now_s)
{
    return cookie_is_valid(&secret, c, now_s, text, sizeof(text));
}

Test(cookie, is_good_for_thirty_seconds)
{
    cr_expect(is_valid(&claim, 1000));
    cr_expect(is_valid(&claim, 1030));
    cr_expect_not(is_valid(&claim, 1031));
    cr_expect_not(is_valid(&claim, 999));
}

static void other_client(struct cookie_claim *c)
{
    c->client.ip[15]++;
}
static void other_client_port(struct cookie_claim *c)
{
    c->client.port++;
}
static void other_server(struct cookie_claim *c)
{
    c->server.ip[15]++;
}
static void other_server_port(struct cookie_claim *c)
{
    c->server.port++;
}
static void other_interface(struct cookie_claim *c)
{
    c->client.scope++;
}
static void other_nonce(struct cookie_claim *c)
{
    c->nonce[0]++;
}

static const struct {
    const char *name;
    void (*change)(struct cookie_claim *c);
} changes[] = {
    {"client", other_client},       {"its port", other_client_port},
    {"server", other_server},       {"the server's port", other_server_port},
    {"interface", other_interface}, {"nonce", other_nonce},
};

Test(cookie, is_good_for_nothing_else)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct cookie_claim other = claim;

        changes[i].change(&other);
        cr_expect_not(is_valid(&other, 1000), "%s", changes[i].name);
    }
}

Test(cookie, of_another_secret_is_none)
{
    cr_assert_eq(cookie_secret_init(&secret), 0);
    cr_expect_not(is_valid(&claim, 1000));
}

Test(cookie, that_was_changed_or_cut_is_none)
{
    for (size_t i = 0; i < sizeof(text); i++) {
        char changed[COOKIE_TEXT_BYTES];

        memcpy(changed, text, sizeof(text));
        changed[i] = changed[i] == '0' ? '1' : '0';
        cr_expect_not(cookie_is_valid(&secret, &claim, 1000, changed, sizeof(changed)), "%zu", i);
        changed[i] = 'x';
        cr_expect_not(cookie_is_valid(&secret, &claim, 1000, changed, sizeof(changed)), "%zu", i);
        cr_expect_not(cookie_is_valid(&secret, &claim, 1000, text, i), "%zu", i);
    }
}
