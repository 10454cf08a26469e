/* SPDX-License-Identifier: MIT */
/* What the database keeps of a registered name, to bytes and back. */
#include "daemon/core/registered.h"

#include "daemon/core/settings_archive.h"

#define REGISTERED_VERSION 1u

static const struct archive_kind KIND = {{'r', 'e', 'g', 'd'}, REGISTERED_VERSION};

static void archive_registered(struct archive *a, struct registered *r)
{
    uint64_t since_wall_ns = (uint64_t)r->since_wall_ns;

    archive_uint32(a, &r->uid, UINT32_MAX);
    archive_uint(a, &r->generation, UINT64_MAX);
    archive_uint(a, &since_wall_ns, UINT64_MAX);
    archive_flag(a, &r->is_static);
    archive_ip(a, &r->address);
    archive_port(a, &r->address);
    r->since_wall_ns = (int64_t)since_wall_ns;
    settings_archive(a, &r->settings);
}

size_t registered_save(const struct registered *r, void *out, size_t capacity)
{
    struct registered copy = *r; /* shallow: nothing of it is changed */
    struct archive a;

    archive_save(&a, &KIND, 0, out, capacity);
    archive_registered(&a, &copy);
    return archive_finish(&a);
}

int registered_load(struct registered *r, const void *bytes, size_t n)
{
    struct registered loaded = {.uid = 0};
    struct archive a;
    int rc = archive_load(&a, &KIND, 0, bytes, n);

    if (rc < 0)
        return rc;
    archive_registered(&a, &loaded);
    rc = archive_end(&a);
    if (rc < 0)
        settings_deinit(&loaded.settings);
    else
        *r = loaded;
    return rc;
}
