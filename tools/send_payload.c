/* SPDX-License-Identifier: MIT */
/* Reading and checking what is to be sent. */
#include "tools/send_payload.h"

#include "proto/json_text.h"

#include <errno.h>

bool payload_check(const void *bytes, size_t n, bool is_raw, char fault[PAYLOAD_FAULT_MAX])
{
    if (n > PAYLOAD_MAX) {
        snprintf(fault, PAYLOAD_FAULT_MAX, "too large: %zu bytes, a datagram holds %d", n,
                 PAYLOAD_MAX);
        return false;
    }
    return is_raw || payload_check_json(bytes, n, fault);
}

bool payload_check_json(const void *bytes, size_t n, char fault[PAYLOAD_FAULT_MAX])
{
    if (json_text_is_valid(bytes, n))
        return true;
    const char *expected = NULL;
    size_t at = json_text_check(bytes, n, &expected);
    if (expected == NULL)
        expected = "a value";
    if (at >= n)
        snprintf(fault, PAYLOAD_FAULT_MAX, "not JSON: it ends where %s is expected", expected);
    else
        snprintf(fault, PAYLOAD_FAULT_MAX, "not JSON: column %zu: expected %s", at + 1, expected);
    return false;
}

bool payload_is_blank(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != ' ' && bytes[i] != '\t' && bytes[i] != '\r' && bytes[i] != '\n')
            return false;
    return true;
}

/* Reads up to `end` (EOF: to the end of the input). Returns the last character read. */
static int read_until(FILE *in, struct payload *out, int end)
{
    int c;
    out->n = 0;
    out->is_too_large = false;
    while ((c = getc_unlocked(in)) != EOF && c != end) {
        if (out->n < PAYLOAD_MAX)
            out->bytes[out->n++] = (uint8_t)c;
        else
            out->is_too_large = true;
    }
    return c;
}

int payload_read_line(FILE *in, struct payload *out)
{
    errno = 0;
    int last = read_until(in, out, '\n');
    if (ferror(in))
        return errno != 0 ? -errno : -EIO;
    return last == EOF && out->n == 0 ? PAYLOAD_END : 0;
}

int payload_read_all(FILE *in, struct payload *out)
{
    errno = 0;
    read_until(in, out, EOF);
    return ferror(in) ? (errno != 0 ? -errno : -EIO) : 0;
}
