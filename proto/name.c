/* SPDX-License-Identifier: MIT */
/* Names of endpoints, and the patterns of policy rules. */
#include "proto/name.h"

#include <stddef.h>
#include <string.h>

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool name_is_valid(const char *text)
{
    if (text == NULL || !is_alphanumeric(text[0]))
        return false;
    for (size_t i = 1; text[i] != '\0'; i++) {
        if (i >= NAME_MAX_LENGTH || !(is_alphanumeric(text[i]) || strchr("._-", text[i])))
            return false;
    }
    return true;
}

/* Only the last '*' is ever tried again: what an earlier one took need not change. */
bool name_matches(const char *pattern, const char *name)
{
    const char *after_star = NULL;
    const char *retry = NULL;

    while (*name != '\0') {
        if (*pattern == '*') {
            after_star = ++pattern;
            retry = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (after_star != NULL) {
            pattern = after_star;
            name = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
