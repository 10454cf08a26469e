/* SPDX-License-Identifier: MIT */
/* Fields to bytes and back. */
#include "proto/archive.h"

#include "proto/crc32c.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define CRC_BYTES  4u
#define HEAD_BYTES 8u
#define DUE_MAX    (UINT64_C(1) << 62) /* added to any clock it does not overflow */

/* ---- Bytes ---- */

void archive_fail(struct archive *a, int error)
{
    if (a->error == 0)
        a->error = error;
}

void archive_require(struct archive *a, bool holds)
{
    if (!holds)
        archive_fail(a, -EBADMSG);
}

size_t archive_left(const struct archive *a)
{
    return a->error == 0 ? a->capacity - a->at : 0;
}

const uint8_t *archive_take(struct archive *a, size_t n)
{
    const uint8_t *bytes = a->in + a->at;

    archive_require(a, n <= archive_left(a));
    if (a->error != 0)
        return NULL;
    a->at += n;
    return bytes;
}

static void put(struct archive *a, const void *bytes, size_t n)
{
    if (a->at <= a->capacity && n <= a->capacity - a->at && n > 0)
        memcpy(a->out + a->at, bytes, n);
    a->at += n;
}

void archive_bytes(struct archive *a, void *bytes, size_t n)
{
    if (!archive_is_loading(a)) {
        put(a, bytes, n);
        return;
    }

    const uint8_t *from = archive_take(a, n);

    if (from == NULL)
        memset(bytes, 0, n);
    else if (n > 0)
        memcpy(bytes, from, n);
}

/* ---- Integers ---- */

static void integer(struct archive *a, uint64_t *value, unsigned n_bytes)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)(*value >> 8 * i);
    archive_bytes(a, bytes, n_bytes);
    *value = 0;
    for (unsigned i = 0; i < n_bytes; i++)
        *value |= (uint64_t)bytes[i] << 8 * i;
}

void archive_uint(struct archive *a, uint64_t *value, uint64_t max)
{
    uint64_t v = *value;

    integer(a, &v, 8);
    archive_require(a, v <= max);
    if (archive_is_loading(a))
        *value = a->error == 0 ? v : 0;
}

void archive_uint32(struct archive *a, uint32_t *value, uint32_t max)
{
    uint64_t v = *value;

    integer(a, &v, 4);
    archive_require(a, v <= max);
    if (archive_is_loading(a))
        *value = a->error == 0 ? (uint32_t)v : 0;
}

void archive_flag(struct archive *a, bool *value)
{
    uint64_t v = *value;

    integer(a, &v, 1);
    archive_require(a, v <= 1);
    if (archive_is_loading(a))
        *value = a->error == 0 && v == 1;
}

void archive_real(struct archive *a, double *value, double min, double max)
{
    uint64_t bits;
    double v;

    memcpy(&bits, value, sizeof bits);
    integer(a, &bits, 8);
    memcpy(&v, &bits, sizeof v);
    archive_require(a, isfinite(v) && v >= min && v <= max);
    if (archive_is_loading(a))
        *value = a->error == 0 ? v : 0;
}

/* ---- Moments ---- */

void archive_past(struct archive *a, uint64_t *ns)
{
    uint64_t ago = 0; /* and 1, to leave 0 for none */

    if (*ns != 0)
        ago = (*ns < a->now_ns ? a->now_ns - *ns : 0) + 1;
    archive_uint(a, &ago, archive_is_loading(a) ? a->now_ns : UINT64_MAX);
    if (archive_is_loading(a))
        *ns = ago == 0 ? 0 : a->now_ns - (ago - 1);
}

void archive_due(struct archive *a, uint64_t *ns)
{
    uint64_t until = *ns > a->now_ns ? *ns - a->now_ns : 0;

    if (*ns == ARCHIVE_NEVER)
        until = ARCHIVE_NEVER;
    archive_uint(a, &until, ARCHIVE_NEVER);
    archive_require(a, until <= DUE_MAX || until == ARCHIVE_NEVER);
    if (archive_is_loading(a))
        *ns = until == ARCHIVE_NEVER ? ARCHIVE_NEVER : a->error == 0 ? a->now_ns + until : 0;
}

/* ---- Texts and addresses ---- */

static bool is_plain(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '"' || text[i] == '\\')
            return false;
    return true;
}

void archive_text(struct archive *a, char *text, size_t size)
{
    uint32_t n = archive_is_loading(a) ? 0 : (uint32_t)strlen(text);

    archive_uint32(a, &n, (uint32_t)size - 1);
    archive_bytes(a, text, n);
    archive_require(a, is_plain(text, n));
    if (archive_is_loading(a))
        text[a->error == 0 ? n : 0] = '\0';
}

void archive_any_address(struct archive *a, struct address *address)
{
    static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};
    uint32_t port = address->port, family = address->family;

    archive_bytes(a, address->ip, sizeof address->ip);
    archive_uint32(a, &address->scope, UINT32_MAX);
    archive_uint32(a, &port, UINT16_MAX);
    archive_uint32(a, &family, UINT8_MAX);
    if (!archive_is_loading(a))
        return;

    bool is_mapped = memcmp(address->ip, MAPPED, sizeof MAPPED) == 0;

    archive_require(a, family == ADDRESS_NONE || (family == ADDRESS_IPV4 && is_mapped) ||
                           (family == ADDRESS_IPV6 && !is_mapped));
    address->port = (uint16_t)port;
    address->family = a->error == 0 ? (uint8_t)family : ADDRESS_NONE;
}

void archive_address(struct archive *a, struct address *address)
{
    archive_any_address(a, address);
    archive_require(a, address->family != ADDRESS_NONE);
}

/* ---- The whole ---- */

static void head(struct archive *a, const struct archive_kind *kind)
{
    uint32_t version = kind->version;

    put(a, kind->magic, sizeof kind->magic);
    archive_uint32(a, &version, UINT32_MAX);
}

void archive_save(struct archive *a, const struct archive_kind *kind, uint64_t now_ns, void *out,
                  size_t capacity)
{
    *a = (struct archive){.out = out, .capacity = capacity, .now_ns = now_ns};
    head(a, kind);
}

size_t archive_finish(struct archive *a)
{
    bool is_whole = a->at <= a->capacity;
    uint64_t crc = is_whole ? crc32c(0, a->out, a->at) : 0;

    integer(a, &crc, CRC_BYTES);
    return a->error == 0 ? a->at : 0;
}

int archive_load(struct archive *a, const struct archive_kind *kind, uint64_t now_ns,
                 const void *bytes, size_t n)
{
    uint64_t version = 0, crc = 0;

    *a = (struct archive){.in = bytes, .capacity = n, .now_ns = now_ns};
    if (n < HEAD_BYTES + CRC_BYTES || memcmp(bytes, kind->magic, sizeof kind->magic) != 0)
        return -EBADMSG;
    a->at = sizeof kind->magic;
    integer(a, &version, 4);
    if (version != kind->version)
        return -EPROTO;
    a->at = n - CRC_BYTES;
    integer(a, &crc, CRC_BYTES);
    if (crc != crc32c(0, bytes, n - CRC_BYTES))
        return -EBADMSG;
    a->at = HEAD_BYTES;
    a->capacity = n - CRC_BYTES;
    return 0;
}

int archive_end(struct archive *a)
{
    archive_require(a, a->at == a->capacity);
    return a->error;
}
