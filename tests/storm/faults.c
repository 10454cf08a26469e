/* SPDX-License-Identifier: MIT */
/*
 * What the system may refuse, one call after the other: the n-th write, sync, truncation, opening
 * or allocation of a run fails, for every n until none is left. What was promised is there
 * afterwards. For want of room, descriptors or memory nothing but time is lost; after an error of
 * the disk nothing more is promised.
 */
#include "tests/storm/storm.h"
#include "tests/support/memory_vfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCHES 12
#define SEED    7u

struct kind {
    const char *name;
    unsigned calls; /* 0: allocations */
    int error;
    uint64_t n; /* that fail, one after the other */
    bool passes;
    unsigned stride; /* of the short form: every so-many-th */
};

static const struct kind kinds[] = {
    {"ENOSPC at a write", MEMORY_CALL_WRITE, ENOSPC, 2, true, 31},
    {"ENOSPC at a truncation", MEMORY_CALL_TRUNCATE, ENOSPC, 1, true, 1},
    {"EIO at a write", MEMORY_CALL_WRITE, EIO, 1, false, 11},
    {"EIO at a sync", MEMORY_CALL_SYNC, EIO, 1, false, 3},
    {"EIO at a truncation", MEMORY_CALL_TRUNCATE, EIO, 1, false, 1},
    {"EMFILE at an opening", MEMORY_CALL_OPEN, EMFILE, 1, true, 1},
    {"ENOMEM at an allocation", 0, ENOMEM, 1, true, 41},
};

static char directory[] = "/tmp/msgd-storm-XXXXXX";
static struct store_options options = {.max_bytes = STORE_MIN_BYTES, .vfs = MEMORY_VFS};
static uint8_t *row;
static struct {
    uint64_t n_cases, n_not_opened, n_failed, n_acked;
} figures;

/* ---- Memory ---- */

static sqlite3_mem_methods real_memory;
static struct memory_fault memory_fault; /* guarded by `is_memory_watched` and the order of calls */
static atomic_bool is_memory_watched;

static bool memory_fails(void)
{
    if (!atomic_load(&is_memory_watched))
        return false;
    memory_fault.n_seen++;
    if (memory_fault.n_seen < memory_fault.from || memory_fault.n_failed >= memory_fault.n)
        return false;
    memory_fault.n_failed++;
    return true;
}

static void *allocate(int n)
{
    return memory_fails() ? NULL : real_memory.xMalloc(n);
}

static void *reallocate(void *p, int n)
{
    return memory_fails() ? NULL : real_memory.xRealloc(p, n);
}

static void watch_memory(void)
{
    sqlite3_mem_methods methods;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK)
        abort();
    methods = real_memory;
    methods.xMalloc = allocate;
    methods.xRealloc = reallocate;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
        abort();
}

/* ---- One case ---- */

static void begin_fault(struct memory_disk *disk, const struct kind *k, uint64_t from)
{
    struct memory_fault fault = {.calls = k->calls, .from = from, .n = k->n, .error = k->error};

    if (k->calls != 0) {
        disk->fault = fault;
        return;
    }
    memory_fault = fault;
    atomic_store(&is_memory_watched, true);
}

/* Returns whether anything was refused. */
static bool end_fault(struct memory_disk *disk, const struct kind *k)
{
    atomic_store(&is_memory_watched, false);
    return (k->calls != 0 ? disk->fault.n_failed : memory_fault.n_failed) > 0;
}

static void keep(void *context, enum storm_event event, uint32_t which, uint64_t seq)
{
    storm_promise(context, event, which, seq);
}

/* A store that had no room looks again after a while, whoever asks it what meanwhile. */
static void wait_for_room(struct store_user *u)
{
    while (store_state(u->store) == STORE_FULL) {
        struct store_job read = {
            .act = STORE_READ,
            .read = {.endpoint = 1, .from_seq = 1, .bytes = row, .capacity = STORE_ROW_BYTES}};
        int r = store_user_run(u, &read);

        SIM_HOLDS(r == 0 || r == -ENOENT, "a read was done with %s", strerror(-r));
    }
}

/* Works until it is done, or the store has failed. */
static void work(const struct kind *k, struct storm_promises *p, struct memory_disk *disk)
{
    struct storm_work w = {.tell = keep, .context = p};
    int r;

    storm_work_init(&w, SEED);
    r = store_user_open(&w.user, &options);
    SIM_HOLDS(r == 0 || r == -k->error || (!k->passes && r < 0), "opening says %s", strerror(-r));
    if (r == 0) {
        store_user_start(&w.user);
        for (int i = 0; i < BATCHES; i++)
            storm_work_batch(&w);
        SIM_HOLDS(w.n_refused == 0 || store_state(w.user.store) == STORE_FAILED,
                  "jobs were refused, but the store says that it has not failed");
        SIM_HOLDS(!k->passes || w.n_refused == 0, "%llu jobs were refused for what passes",
                  (unsigned long long)w.n_refused);
        wait_for_room(&w.user);
        figures.n_failed += store_state(w.user.store) == STORE_FAILED;
        store_user_close(&w.user);
    } else {
        figures.n_not_opened++;
        w.user.store = NULL;
    }
    (void)disk;
    for (unsigned i = 1; i <= STORM_ENDPOINTS; i++)
        figures.n_acked += p->endpoints[i].acked;
    storm_work_deinit(&w);
}

static void look_and_hold(const struct storm_promises *p)
{
    static struct storm_findings f;
    struct store_user u = {0};
    int r = store_user_open(&u, &options);

    SIM_HOLDS(r == 0, "afterwards it does not open: %s", strerror(-r));
    r = storm_look(u.store, row, &f);
    SIM_HOLDS(r == 0, "afterwards it cannot be loaded: %s", strerror(-r));
    storm_hold(p, &f, "afterwards");
    store_user_close(&u);
}

/* False: nothing was refused; there are not so many calls. */
static bool one_case(const struct kind *k, uint64_t from)
{
    struct storm_promises promises = {0};
    struct memory_disk disk = {0};
    bool was_refused;

    sim_begin(k->name, from);
    for (unsigned i = 1; i <= STORM_REGISTRATIONS; i++)
        promises.registrations[i].is_sure = true;
    memory_vfs_use(&disk);
    begin_fault(&disk, k, from);
    work(k, &promises, &disk);
    was_refused = end_fault(&disk, k);
    disk.fault = (struct memory_fault){0};
    look_and_hold(&promises);
    memory_disk_clear(&disk);
    figures.n_cases++;
    return was_refused;
}

static void all_cases(const struct kind *k, const struct sim_options *o)
{
    uint64_t stride = o->is_long ? 1 : k->stride, from = 1, before = figures.n_cases;

    if (o->has_seed) {
        (void)one_case(k, o->seed);
        return;
    }
    while (one_case(k, from))
        from += stride;
    SIM_HOLDS(from > 1, "nothing was ever refused");
    printf("%s: %llu places of %llu\n", k->name, (unsigned long long)(figures.n_cases - before),
           (unsigned long long)from);
}

int main(int argc, char **argv)
{
    struct sim_options o;

    sim_options_parse(&o, argc, argv);
    watch_memory();
    if (mkdtemp(directory) == NULL)
        return 1;
    options.directory = directory;
    row = store_user_row();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (sim_is_wanted(&o, kinds[i].name))
            all_cases(&kinds[i], &o);
    printf("%llu cases, %llu did not open at first, %llu failed, %llu messages acknowledged: 0 "
           "lost\n",
           (unsigned long long)figures.n_cases, (unsigned long long)figures.n_not_opened,
           (unsigned long long)figures.n_failed, (unsigned long long)figures.n_acked);
    free(row);
    rmdir(directory);
    return 0;
}
