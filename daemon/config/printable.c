/* SPDX-License-Identifier: MIT */
/* What came from outside, fit for one line of a log and for a text in JSON. */
#include "daemon/config/printable.h"
#include "proto/text.h"

#include <string.h>

void make_printable(char *text)
{
    uint8_t *at = (uint8_t *)text;
    uint8_t *end = at + strlen(text);

    while (at < end) {
        size_t n = utf8_sequence_length(at, (size_t)(end - at));

        if (n == 0 || *at < 0x20 || *at == 0x7f) {
            *at = '?';
            n = 1;
        }
        at += n;
    }
}
