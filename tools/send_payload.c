/* SPDX-License-Identifier: MIT */
/* Reading and checking what is to be sent. */
#include "tools/send_payload.h"

#include "proto/json_text.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

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

int payload_read_all(int fd, struct payload *out)
{
    ssize_t n;
    out->n = 0;
    do {
        n = read(fd, out->bytes + out->n, sizeof out->bytes - out->n);
        if (n < 0 && errno != EINTR)
            return -errno;
        out->n += n > 0 ? (size_t)n : 0;
    } while (n != 0 && out->n < sizeof out->bytes);
    out->is_too_large = out->n > PAYLOAD_MAX;
    return 0;
}
