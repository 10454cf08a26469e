/* SPDX-License-Identifier: MIT */
/* Names and the patterns of policy rules. */
#include "proto/name.h"

#include <criterion/criterion.h>
#include <string.h>

#define FIFTY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

Test(name, is_valid_by_its_alphabet_and_length)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"a", true},
        {"0", true},
        {"alarms", true},
        {"a.b_c-d", true},
        {"0-.", true},
        {FIFTY "bbbbbbbbbbbbb", true},   /* 63 */
        {FIFTY "bbbbbbbbbbbbbb", false}, /* 64 */
        {FIFTY FIFTY FIFTY, false},
        {"", false},
        {".a", false},
        {"-a", false},
        {"_a", false},
        {"A", false},
        {"aB", false},
        {"a b", false},
        {"a/b", false},
        {"a*", false},
        {"a\n", false},
        {"\xc3\xa9", false},
        {"a\xc3\xa9", false},
        {NULL, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(name_is_valid(cases[i].text), cases[i].valid, "%s",
                     cases[i].text ? cases[i].text : "NULL");
}

Test(name, fits_a_pattern_as_a_whole)
{
    static const struct {
        const char *pattern;
        const char *name;
        bool fits;
    } cases[] = {
        {"alarms", "alarms", true},
        {"alarms", "alarm", false},
        {"alarm", "alarms", false},
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything", true},
        {"**", "a", true},
        {"?", "a", true},
        {"?", "", false},
        {"?", "ab", false},
        {"sensor-*", "sensor-", true},
        {"sensor-*", "sensor-12", true},
        {"sensor-*", "sensor", false},
        {"*-out", "a-out-out", true},
        {"*-out", "a-out-outs", false},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXcYb", false},
        {"a?c*", "abcd", true},
        {"a?c*", "acd", false},
        {"*?", "", false},
        {"*?", "x", true},
        {"[ab]", "a", false},
        {"[ab]", "[ab]", true},
        {"a\\*", "a*", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(name_matches(cases[i].pattern, cases[i].name), cases[i].fits, "%s, %s",
                     cases[i].pattern, cases[i].name);
}

Test(name, takes_no_longer_for_many_stars, .timeout = 5)
{
    char pattern[20001];
    char name[5001];

    for (size_t i = 0; i < 20000; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[20000] = '\0';
    memset(name, 'a', 5000);
    name[5000] = '\0';
    cr_expect(!name_matches(pattern, name));
    pattern[9999] = '\0';
    cr_expect(name_matches(pattern, name));
}
