/* SPDX-License-Identifier: MIT */
/* A visit to bytes and back: what control needs to know of a session that goes on. */
#include "daemon/control/visit.h"

#include "daemon/control/desk.h"
#include "daemon/control/state.h"
#include "proto/archive.h"
#include "proto/frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VISIT_SAVED_VERSION 1u
#define AGE_MAX_MS          (UINT64_C(1) << 53)
#define CARRIER_MAX         (UINT64_C(1) << 31)

static const struct archive_kind KIND = {{'v', 'i', 's', 't'}, VISIT_SAVED_VERSION};

/* A visit's fields, and those that are not in it. */
struct saved_visit {
    struct visit visit;
    char name[NAME_BYTES_MAX + 1];
    uint64_t number; /* of the endpoint */
    char identity[FRAME_IDENTITY_MAX + 1];
    uint64_t age_ms;
    bool is_open;
    const uint8_t *carrier;
    uint64_t n_carrier;
};

/* ---- Fields ---- */

static void archive_identity(struct archive *a, struct saved_visit *s)
{
    uint32_t n = archive_is_loading(a) ? 0 : (uint32_t)strlen(s->identity);

    archive_uint32(a, &n, FRAME_IDENTITY_MAX);
    archive_bytes(a, s->identity, n);
    archive_require(a, memchr(s->identity, '\0', n) == NULL);
    s->identity[n] = '\0';
}

static void archive_carrier(struct archive *a, struct saved_visit *s)
{
    archive_uint(a, &s->n_carrier, CARRIER_MAX);
    if (archive_is_loading(a))
        s->carrier = archive_take(a, (size_t)s->n_carrier);
    else
        archive_bytes(a, (void *)(uintptr_t)s->carrier, (size_t)s->n_carrier);
}

static void archive_visit(struct archive *a, struct saved_visit *s)
{
    struct visit *v = &s->visit;
    uint32_t port = v->port;

    archive_text(a, s->name, sizeof(s->name));
    archive_uint(a, &s->number, UINT64_MAX);
    archive_bytes(a, v->raw_id, sizeof(v->raw_id));
    archive_address(a, &v->claim.client);
    archive_address(a, &v->claim.server);
    archive_bytes(a, v->claim.nonce, sizeof(v->claim.nonce));
    archive_address(a, &v->peer);
    archive_uint(a, &v->window, UINT64_MAX);
    archive_uint32(a, &port, UINT16_MAX);
    v->port = (uint16_t)port;
    archive_flag(a, &v->has_quota);
    archive_text(a, v->reason, sizeof(v->reason));
    archive_uint(a, &s->age_ms, AGE_MAX_MS);
    archive_flag(a, &s->is_open);
    archive_identity(a, s);
    archive_carrier(a, s);
}

/* ---- Saving ---- */

size_t visit_save(const struct visit *visit, const struct carrier_saved *saved, void *out,
                  size_t capacity)
{
    struct saved_visit s = {.visit = *visit,
                            .number = visit->desk->number,
                            .age_ms = uv_now(visit->control->loop) - visit->since_ms,
                            .is_open = saved->is_open,
                            .carrier = saved->bytes,
                            .n_carrier = saved->n_bytes};
    struct archive a;

    snprintf(s.name, sizeof(s.name), "%s", visit->desk->name);
    if (visit->identity)
        snprintf(s.identity, sizeof(s.identity), "%s", visit->identity);
    archive_save(&a, &KIND, 0, out, capacity);
    archive_visit(&a, &s);
    return archive_finish(&a);
}

/* ---- Loading ---- */

/* The desk that it belongs to, with an endpoint; NULL: it is gone. */
static struct desk *find_desk(const struct control *control, const struct saved_visit *s)
{
    struct entry *entry = registry_find(control->registry, s->name);

    if (!entry || !entry->endpoint || desk_of(entry)->number != s->number)
        return NULL;
    return desk_of(entry);
}

static struct visit *make_visit(struct desk *desk, const struct saved_visit *s)
{
    struct visit *visit = calloc(1, sizeof(*visit));
    uint64_t now_ms = uv_now(desk->control->loop);

    if (!visit)
        return NULL;
    visit->control = desk->control;
    visit->desk = desk;
    memcpy(visit->raw_id, s->visit.raw_id, sizeof(visit->raw_id));
    visit->claim = s->visit.claim;
    visit->peer = s->visit.peer;
    visit->window = s->visit.window;
    visit->stream = -1;
    visit->since_ms = now_ms > s->age_ms ? now_ms - s->age_ms : 0;
    visit->state = s->is_open ? VISIT_OPEN : VISIT_ENDED;
    memcpy(visit->reason, s->visit.reason, sizeof(visit->reason));
    if (s->identity[0] != '\0')
        visit->identity = strdup(s->identity);
    if (s->identity[0] == '\0' || visit->identity)
        return visit;
    free(visit);
    return NULL;
}

static int resume(struct visit *visit, const struct saved_visit *s,
                  const struct visit_descriptors *d)
{
    struct carrier_options o = {.endpoint = visit->desk->entry->endpoint,
                                .claim = visit->claim,
                                .udp = d->fds[0],
                                .stream = d->fds[1],
                                .port = s->visit.port,
                                .context = visit};
    int r;

    memcpy(o.id, visit->raw_id, sizeof(o.id));
    if (s->visit.has_quota && quota_take_session(visit->control->quota, visit->desk->uid) != 0)
        return -EDQUOT;
    r = carrier_load(&visit->carrier, &o, s->carrier, (size_t)s->n_carrier);
    if (r < 0) {
        if (s->visit.has_quota)
            quota_give_session(visit->control->quota, visit->desk->uid);
        return r;
    }
    visit->has_quota = s->visit.has_quota;
    visit->port = s->visit.port;
    if (visit->port != 0)
        port_pool_take(&visit->control->visits.ports, visit->port);
    visit_join(visit);
    visit->stream = d->fds[2];
    if (visit->stream >= 0)
        visit_await(visit);
    desk_changed(visit->desk);
    return 0;
}

int visit_load(struct control *control, const void *bytes, size_t n,
               const struct visit_descriptors *d)
{
    struct saved_visit s = {0};
    struct archive a;
    struct desk *desk;
    struct visit *visit;
    int r = archive_load(&a, &KIND, 0, bytes, n);

    if (r < 0)
        return r;
    archive_visit(&a, &s);
    r = archive_end(&a);
    if (r < 0)
        return r;
    desk = find_desk(control, &s);
    if (!desk)
        return -ENOENT;
    visit = make_visit(desk, &s);
    if (!visit)
        return -ENOMEM;
    r = resume(visit, &s, d);
    if (r < 0) {
        free(visit->identity);
        free(visit);
    }
    return r;
}
