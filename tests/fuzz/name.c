/* SPDX-License-Identifier: MIT */
/* Names against their definition, patterns against a table of all prefixes. Input: PATTERN LF NAME.
 */
#include "proto/name.h"
#include "tests/fuzz/fuzz.h"

#include <regex.h>

#define MAX_TEXT 200

/* fits[i][j]: the first i characters of the pattern fit the first j of the name. */
static bool table_matches(const char *pattern, const char *name)
{
    static bool fits[MAX_TEXT + 1][MAX_TEXT + 1];
    size_t n_pattern = strlen(pattern);
    size_t n_name = strlen(name);

    for (size_t i = 0; i <= n_pattern; i++) {
        for (size_t j = 0; j <= n_name; j++) {
            if (i == 0)
                fits[i][j] = j == 0;
            else if (pattern[i - 1] == '*')
                fits[i][j] = fits[i - 1][j] || (j > 0 && fits[i][j - 1]);
            else
                fits[i][j] = j > 0 && fits[i - 1][j - 1] &&
                             (pattern[i - 1] == '?' || pattern[i - 1] == name[j - 1]);
        }
    }
    return fits[n_pattern][n_name];
}

static bool regex_is_valid(const char *name)
{
    static regex_t regex;
    static bool compiled;

    if (!compiled)
        HOLDS(regcomp(&regex, "^[a-z0-9][a-z0-9._-]{0,62}$", REG_EXTENDED | REG_NOSUB) == 0);
    compiled = true;
    return regexec(&regex, name, 0, NULL, 0) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > MAX_TEXT)
        return 0;

    char *pattern = fuzz_text(data, size);
    char *name = strchr(pattern, '\n');

    if (name != NULL)
        *name++ = '\0';
    else
        name = pattern;
    HOLDS(name_is_valid(name) == regex_is_valid(name));
    HOLDS(name_matches(pattern, name) == table_matches(pattern, name));
    free(pattern);
    return 0;
}
