/* SPDX-License-Identifier: MIT */
/* Sessions that go on in another process. */
#include "daemon/control/passing.h"

#include "daemon/control/desk.h"
#include "daemon/control/state.h"
#include "daemon/control/visit.h"
#include "daemon/store/stash.h"
#include "proto/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_VERSION 1u
#define INDEX_SECRET   0u
#define INDEX_CONNECTS 1u /* key: worker */

static const struct archive_kind SECRET = {{'c', 'o', 'o', 'k'}, SECRET_VERSION};
static const struct stash_item SECRET_ITEM = {.kind = STASH_SECRETS, .index = INDEX_SECRET};
static const struct stash_item STATE_ITEM = {.kind = STASH_SESSION_STATE};

static struct stash_item connects_item(uint64_t worker)
{
    return (struct stash_item){.kind = STASH_SECRETS, .index = INDEX_CONNECTS, .key = worker};
}

static struct stash_item session_item(uint32_t kind, uint64_t record)
{
    return (struct stash_item){.kind = kind, .key = record};
}

/* ---- Memory in the stash ---- */

static bool write_all(int fd, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;

    while (n > 0) {
        ssize_t written = write(fd, at, n);

        if (written <= 0)
            return false;
        at += written;
        n -= (size_t)written;
    }
    return true;
}

static int put_bytes(struct control *control, const struct stash_item *item, const void *bytes,
                     size_t n)
{
    int fd = memfd_create("msgd-sessions", MFD_CLOEXEC);
    int r;

    if (fd < 0)
        return -errno;
    r = write_all(fd, bytes, n) ? stash_put(control->options.stash, item, fd) : -ENOMEM;
    close(fd);
    return r;
}

/* The caller's; it is out of the stash. NULL: there is none. */
static uint8_t *take_bytes(struct control *control, const struct stash_item *item, size_t *n)
{
    int fd = stash_take(control->options.stash, item);
    struct stat st;
    uint8_t *bytes = NULL;

    *n = 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && st.st_size > 0)
        bytes = malloc((size_t)st.st_size);
    if (bytes && pread(fd, bytes, (size_t)st.st_size, 0) == st.st_size) {
        *n = (size_t)st.st_size;
    } else {
        free(bytes);
        bytes = NULL;
    }
    close(fd);
    return bytes;
}

/* ---- The secret ---- */

static bool find_secret(struct control *control, struct cookie_secret *secret)
{
    struct archive a;
    size_t n;
    uint8_t *bytes = take_bytes(control, &SECRET_ITEM, &n);
    bool is_found = bytes && archive_load(&a, &SECRET, 0, bytes, n) == 0;

    if (is_found) {
        archive_bytes(&a, secret->key, sizeof(secret->key));
        is_found = archive_end(&a) == 0;
    }
    free(bytes);
    return is_found;
}

static int put_secret(struct control *control, struct cookie_secret *secret)
{
    uint8_t bytes[sizeof(secret->key) + 64];
    struct archive a;

    archive_save(&a, &SECRET, 0, bytes, sizeof(bytes));
    archive_bytes(&a, secret->key, sizeof(secret->key));
    return put_bytes(control, &SECRET_ITEM, bytes, archive_finish(&a));
}

int passing_open(struct control *control, struct cookie_secret *secret)
{
    int r;

    if (find_secret(control, secret))
        return 0;
    r = cookie_secret_init(secret);
    if (r == 0 && stash_is_kept(control->options.stash) && put_secret(control, secret) < 0)
        control_complain(control, "clients that connect while msgd restarts begin anew: no memory");
    return r;
}

/* ---- Starting ---- */

static void load_connects(struct control *control, const uint8_t *bytes, size_t n)
{
    /* An endpoint may be on another worker now. What is not remembered is decided again. */
    for (uint32_t i = 0; i < control->n_workers; i++)
        (void)!worker_load_connects(control->workers[i], bytes, n);
}

static void hush(struct control *control, bool is_hushed)
{
    for (uint32_t i = 0; i < control->n_workers; i++)
        if (worker_hush(control->workers[i], is_hushed) < 0)
            control_complain(control, "sessions may end by the restart: no memory");
}

void passing_prepare(struct control *control)
{
    struct passing *p = &control->passing;
    uint8_t *connects;
    size_t n;

    for (uint64_t worker = 0;; worker++) {
        struct stash_item item = connects_item(worker);

        connects = take_bytes(control, &item, &n);
        if (!connects)
            break;
        stash_remove(control->options.stash, &item);
        load_connects(control, connects, n);
        free(connects);
    }
    p->bytes = take_bytes(control, &STATE_ITEM, &p->n_bytes);
    if (p->bytes)
        hush(control, true);
}

static int take_descriptor(struct control *control, uint32_t kind, uint64_t record)
{
    struct stash_item item = session_item(kind, record);
    int fd = stash_take(control->options.stash, &item);

    return fd < 0 ? -1 : fd;
}

static void forget_item(void *context, const struct stash_item *item)
{
    struct control *control = context;

    stash_remove(control->options.stash, item);
}

/* The descriptors of a session, in the order of struct visit_descriptors. */
static const uint32_t KINDS[] = {STASH_SESSION_SOCKET, STASH_SESSION_STREAM, STASH_SESSION_SERVER};
#define N_KINDS (sizeof(KINDS) / sizeof(KINDS[0]))

/* Whoever dies from here on leaves no session behind that somebody else would go on with once more.
 */
static void forget_all(struct control *control, uint64_t n_records)
{
    struct stash *stash = control->options.stash;

    for (size_t k = 0; k < N_KINDS; k++) {
        for (uint64_t i = 0; i < n_records; i++) {
            struct stash_item item = session_item(KINDS[k], i);

            stash_remove(stash, &item);
        }
        stash_each_left(stash, KINDS[k], forget_item, control);
    }
    stash_remove(stash, &STATE_ITEM);
    stash_flush(stash);
}

/* The next record, NULL: none. */
static const uint8_t *next_record(const struct passing *p, size_t *at, uint32_t *n)
{
    const uint8_t *record = p->bytes + *at;

    if (p->n_bytes - *at < sizeof(*n))
        return NULL;
    memcpy(n, record, sizeof(*n));
    if (*n > p->n_bytes - *at - sizeof(*n))
        return NULL;
    *at += sizeof(*n) + *n;
    return record + sizeof(*n);
}

static uint64_t count_records(const struct passing *p)
{
    uint64_t n_records = 0;
    size_t at = 0;
    uint32_t n;

    while (next_record(p, &at, &n))
        n_records++;
    return n_records;
}

static void close_descriptors(const struct visit_descriptors *d)
{
    for (size_t k = 0; k < N_KINDS; k++)
        if (d->fds[k] >= 0)
            close(d->fds[k]);
}

static void load_record(struct control *control, const uint8_t *bytes, uint32_t n,
                        const struct visit_descriptors *d)
{
    int r = visit_load(control, bytes, n, d);

    if (r >= 0)
        return;
    close_descriptors(d);
    control_complain(control, "a session could not go on after the restart: %s",
                     r == -EPROTO ? "another version of msgd has saved it" : strerrordesc_np(-r));
}

static void take_descriptors(struct control *control, struct visit_descriptors *all, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        for (size_t k = 0; k < N_KINDS; k++)
            all[i].fds[k] = take_descriptor(control, KINDS[k], i);
}

void passing_resume(struct control *control)
{
    struct passing *p = &control->passing;
    uint64_t n_records;
    struct visit_descriptors *all;
    const uint8_t *record;
    size_t at = 0;
    uint32_t n;

    if (!p->bytes)
        return;
    n_records = count_records(p);
    all = calloc(n_records + 1, sizeof(*all));
    if (all)
        take_descriptors(control, all, n_records);
    forget_all(control, n_records);
    for (uint64_t i = 0; all && (record = next_record(p, &at, &n)); i++)
        load_record(control, record, n, &all[i]);
    free(all);
    free(p->bytes);
    p->bytes = NULL;
    hush(control, false);
}

/* ---- Stopping ---- */

struct connects_of {
    struct control *control;
    uint64_t worker;
};

static void on_connects(void *context, const void *bytes, size_t n)
{
    struct connects_of *of = context;
    struct stash_item item = connects_item(of->worker);

    if (bytes)
        (void)!put_bytes(of->control, &item, bytes, n); /* who asks again is decided again */
    free(of);
}

static void save_connects(struct control *control)
{
    for (uint32_t i = 0; i < control->n_workers; i++) {
        struct connects_of *of = calloc(1, sizeof(*of));

        if (!of)
            return;
        *of = (struct connects_of){control, i};
        if (worker_save_connects(control->workers[i], on_connects, of) < 0)
            free(of);
    }
}

void passing_begin(struct control *control)
{
    struct passing *p = &control->passing;

    p->fd = memfd_create("msgd-sessions", MFD_CLOEXEC);
    hush(control, true);
    list_for_each(at, next, &control->desks)
    {
        visits_pass(list_member(at, struct desk, by_change), p->fd >= 0);
    }
    save_connects(control);
}

static bool put_descriptors(struct control *control, const struct visit_descriptors *d)
{
    for (size_t k = 0; k < N_KINDS; k++) {
        struct stash_item item = session_item(KINDS[k], control->passing.n_records);

        if (d->fds[k] >= 0 && stash_put(control->options.stash, &item, d->fds[k]) < 0)
            return false;
    }
    return true;
}

static bool put_record(struct control *control, const struct visit *visit,
                       const struct carrier_saved *saved)
{
    const struct visit_descriptors d = {.fds = {saved->udp, saved->stream, visit->stream}};
    uint32_t n = (uint32_t)visit_save(visit, saved, NULL, 0);
    uint8_t *bytes = n > 0 ? malloc(sizeof(n) + n) : NULL;
    bool is_put;

    if (!bytes)
        return false;
    memcpy(bytes, &n, sizeof(n));
    is_put = visit_save(visit, saved, bytes + sizeof(n), n) == n && put_descriptors(control, &d) &&
             write_all(control->passing.fd, bytes, sizeof(n) + n);
    free(bytes);
    return is_put;
}

void passing_take(struct visit *visit, const struct carrier_saved *saved)
{
    struct control *control = visit->control;
    struct passing *p = &control->passing;

    if (!saved->bytes)
        return;
    if (put_record(control, visit, saved))
        p->n_records++;
    else
        control_complain(control, "%s: a session does not outlive the restart: no memory",
                         visit->desk->name);
}

void passing_finish(struct control *control)
{
    struct passing *p = &control->passing;

    if (p->fd >= 0 && p->n_records > 0 && stash_put(control->options.stash, &STATE_ITEM, p->fd) < 0)
        log_error("no session outlives the restart: no memory");
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    free(p->bytes);
    p->bytes = NULL;
}
