/* SPDX-License-Identifier: MIT */
/* Judging a host by its settings. */
#include "tools/check_host.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct host_facts good = {
    .is_msgd_up = true,
    .rmem_max = 4194304,
    .buffer_bytes = 4194304,
    .ephemeral = {32768, 60999},
    .port_range = {10000, 24999},
    .session_port_range = {25000, 29999},
    .descriptors_used = 20,
    .descriptors_limit = 20000,
};

static const struct host_check *find(const struct host_check *checks, const char *name)
{
    for (size_t i = 0; i < HOST_CHECKS; i++)
        if (strcmp(checks[i].name, name) == 0)
            return &checks[i];
    cr_assert_fail("no check is called %s", name);
    return NULL;
}

Test(tools_check_host, finds_nothing_wrong_with_a_good_host)
{
    struct host_check checks[HOST_CHECKS];

    check_host(&good, checks);
    for (size_t i = 0; i < HOST_CHECKS; i++)
        cr_expect(checks[i].is_ok, "%s: %s", checks[i].name, checks[i].found);
}

Test(tools_check_host, says_what_to_do)
{
    struct host_facts down = good, small = good, overlap = good, touch = good, full = good,
                      lossy = good, no_room = good;
    down.is_msgd_up = false;
    small.rmem_max = 212992;
    overlap.ephemeral[0] = 1024;
    touch.ephemeral[0] = 29999;
    full.descriptors_used = 19000;
    lossy.n_kernel_dropped = 5;
    strcpy(no_room.database_advice, "msgctl spool list shows whose");
    const struct {
        const struct host_facts *facts;
        const char *check;
        const char *advice;
    } cases[] = {
        {&down, "msgd", "defaults"},
        {&small, "net.core.rmem_max", "net.core.rmem_max=4194304"},
        {&overlap, "port_range", "port_range"},
        {&touch, "session_port_range", "session_port_range"},
        {&full, "descriptors", "LimitNOFILE"},
        {&lossy, "kernel drops", "msgls --drops"},
        {&no_room, "database", "msgctl spool list"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct host_check checks[HOST_CHECKS];
        check_host(cases[i].facts, checks);
        const struct host_check *c = find(checks, cases[i].check);
        cr_expect_not(c->is_ok, "%s", cases[i].check);
        cr_expect_not_null(strstr(c->advice, cases[i].advice), "%s", c->advice);
    }
}

Test(tools_check_host, does_not_judge_what_it_cannot_read)
{
    struct host_facts blind = good;
    struct host_check checks[HOST_CHECKS];
    blind.rmem_max = -1;
    blind.ephemeral[0] = blind.ephemeral[1] = -1;
    blind.receive_buffer_errors = -1;
    blind.descriptors_limit = 0;

    check_host(&blind, checks);
    for (size_t i = 0; i < HOST_CHECKS; i++)
        cr_expect(checks[i].is_ok, "%s: %s", checks[i].name, checks[i].found);
}

Test(tools_check_host, reads_ranges)
{
    int64_t range[2];

    host_range_parse("32768\t60999\n", range);
    cr_expect(range[0] == 32768 && range[1] == 60999);
    host_range_parse("", range);
    cr_expect(range[0] == -1 && range[1] == -1);
    host_range_parse(NULL, range);
    cr_expect(range[0] == -1 && range[1] == -1);
}

Test(tools_check_host, reads_counters_of_the_kernel)
{
    static const char snmp[] =
        "Tcp: InSegs RcvbufErrors\n"
        "Tcp: 1 2\n"
        "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\n"
        "Udp: 10 20 30 40 179190 60\n"
        "UdpLite: InDatagrams RcvbufErrors\n"
        "UdpLite: 0 7\n";
    static const char snmp6[] = "Udp6InDatagrams                 \t5\n"
                                "Udp6RcvbufErrors                \t12\n";

    cr_expect_eq(host_snmp_parse(snmp, "Udp", "RcvbufErrors"), 179190);
    cr_expect_eq(host_snmp_parse(snmp, "UdpLite", "RcvbufErrors"), 7);
    cr_expect_eq(host_snmp_parse(snmp, "Udp", "Nothing"), -1);
    cr_expect_eq(host_snmp_parse(snmp, "Icmp", "RcvbufErrors"), -1);
    cr_expect_eq(host_snmp_parse("", "Udp", "RcvbufErrors"), -1);
    cr_expect_eq(host_snmp_parse("Udp: A\n", "Udp", "A"), -1);
    cr_expect_eq(host_snmp_parse(snmp6, "", "Udp6RcvbufErrors"), 12);
}

Test(tools_check_host, sees_a_firewall_that_drops)
{
    cr_expect(host_nft_drops("chain input {\n type filter hook input priority 0; policy drop;\n}"));
    cr_expect_not(
        host_nft_drops("chain input {\n type filter hook input priority 0; policy accept;\n}"));
    cr_expect_not(
        host_nft_drops("type filter hook output priority 0; policy drop;\n hook input;\n"));
    cr_expect_not(host_nft_drops(""));
}
