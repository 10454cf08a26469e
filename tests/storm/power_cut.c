/* SPDX-License-Identifier: MIT */
/*
 * Power cuts. The store works on a disk in memory whose every write and sync is recorded, together
 * with what it promised meanwhile. From the record any number of disks is made as a cut at some
 * moment may have left them; the store opens each, and holds what it had promised by then. Of some
 * the power is cut again while it is opened, or it goes on to work.
 */
#include "tests/storm/cut.h"
#include "tests/storm/storm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGES    10000u
#define LONG_RUNS   10u
#define LONG_STATES 10500u
#define STATES      300u
#define RESTARTS    3u  /* of the store, in a run */
#define CUT_AGAIN   10u /* of so many states one is cut again while it is opened, */
#define GOES_ON     20u /* and of so many one is worked on */

static char directory[] = "/tmp/msgd-storm-XXXXXX";
static struct store_options options = {.max_bytes = STORE_MIN_BYTES, .vfs = MEMORY_VFS};
static uint8_t *row;
static struct memory_disk *synced_disk; /* whose directory fsync is of */
static struct {
    uint64_t n_states, n_undone, n_again, n_went_on;
} figures;

/* ---- The directory ---- */

int __wrap_fsync(int fd);
int __real_fsync(int fd);

/* The store syncs the directory itself, past SQLite. */
int __wrap_fsync(int fd)
{
    if (synced_disk == NULL)
        return __real_fsync(fd);
    memory_disk_sync_directory(synced_disk);
    return 0;
}

static void use(struct memory_disk *disk)
{
    memory_vfs_use(disk);
    synced_disk = disk;
}

/* ---- A run that is recorded ---- */

struct run {
    struct memory_disk disk;
    struct memory_record record;
    struct storm_work work;
};

static void note(void *context, enum storm_event event, uint32_t which, uint64_t seq)
{
    struct run *run = context;

    memory_record_mark(&run->record, which * STORM_EVENTS + event, seq);
}

static void open_store(struct store_user *u)
{
    int r = store_user_open(u, &options);

    SIM_HOLDS(r == 0, "the store does not open: %s", strerror(-r));
}

/* n_messages at least; the store ends and starts again in between. */
static void work(struct run *run, uint64_t seed, uint64_t n_messages)
{
    struct storm_work *w = &run->work;
    uint64_t n_between = n_messages / (RESTARTS + 1);

    w->tell = note;
    w->context = run;
    storm_work_init(w, seed);
    for (uint64_t until = n_between; until <= n_messages; until += n_between) {
        open_store(&w->user);
        store_user_start(&w->user);
        while (w->n_messages < until)
            storm_work_batch(w);
        store_user_close(&w->user);
    }
    SIM_HOLDS(w->n_refused == 0, "%llu jobs were refused", (unsigned long long)w->n_refused);
    storm_work_deinit(w);
}

/* ---- One state ---- */

static void look_and_hold(const struct storm_promises *p, struct storm_findings *f,
                          const char *what)
{
    struct store_user u = {0};
    int r;

    open_store(&u);
    r = storm_look(u.store, row, f);
    SIM_HOLDS(r == 0, "%s: cannot load: %s", what, strerror(-r));
    storm_hold(p, f, what);
    store_user_close(&u);
}

static void keep(void *context, enum storm_event event, uint32_t which, uint64_t seq)
{
    storm_promise(context, event, which, seq);
}

/* What was promised before the cut and what is promised now. */
static void go_on(struct memory_disk *disk, const struct storm_promises *before,
                  const struct storm_findings *found, uint64_t seed)
{
    static struct storm_findings f;
    struct storm_promises p = *before;
    struct storm_work w = {.tell = keep, .context = &p};

    use(disk);
    storm_work_init(&w, seed);
    storm_work_resume(&w, before, found);
    open_store(&w.user);
    store_user_start(&w.user);
    for (int i = 0; i < 3; i++)
        storm_work_batch(&w);
    store_user_close(&w.user);
    storm_work_deinit(&w);
    look_and_hold(&p, &f, "going on");
    figures.n_went_on++;
}

/* The power is cut again while the store opens what the first cut had left. */
static void cut_again(const struct memory_disk *base, const struct memory_record *record,
                      const struct storm_promises *p, struct sim_random *random)
{
    static struct storm_findings f;
    struct memory_disk disk = {0};
    struct cut cut;

    cut_init(&cut, base, record);
    cut_advance(&cut, sim_below(random, record->n_ops + 1));
    figures.n_undone += cut_build(&cut, random, &disk);
    cut_deinit(&cut);
    use(&disk);
    look_and_hold(p, &f, "cut again");
    memory_disk_clear(&disk);
    figures.n_again++;
}

static void check_state(struct memory_disk *disk, const struct storm_promises *p,
                        struct sim_random *random)
{
    static struct storm_findings f;
    bool is_cut_again = sim_below(random, CUT_AGAIN) == 0;
    struct memory_disk base = {0};
    struct memory_record record;

    memory_record_init(&record);
    if (is_cut_again) {
        memory_disk_copy(&base, disk);
        disk->record = &record;
    }
    use(disk);
    look_and_hold(p, &f, "cut");
    disk->record = NULL;
    if (is_cut_again)
        cut_again(&base, &record, p, random);
    if (sim_below(random, GOES_ON) == 0)
        go_on(disk, p, &f, sim_random(random));
    memory_record_deinit(&record);
    memory_disk_clear(&base);
    figures.n_states++;
}

/* ---- All states of a run ---- */

static int compare(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return x < y ? -1 : x > y;
}

static size_t *choose_moments(const struct memory_record *record, size_t n,
                              struct sim_random *random)
{
    size_t *moments = calloc(n, sizeof(*moments));

    if (moments == NULL)
        abort();
    for (size_t i = 0; i < n; i++)
        moments[i] = sim_below(random, record->n_ops + 1);
    qsort(moments, n, sizeof(*moments), compare);
    return moments;
}

/* Promises up to a moment, from those up to an earlier one. */
static void advance(struct storm_promises *p, const struct memory_record *record, size_t from,
                    size_t to)
{
    for (; from < to; from++) {
        const struct memory_op *op = &record->ops[from];

        if (op->act == MEMORY_MARK)
            storm_promise(p, (enum storm_event)(op->n % STORM_EVENTS), op->n / STORM_EVENTS,
                          op->at);
    }
}

static void cut_everywhere(const struct memory_record *record, size_t n_states,
                           struct sim_random *random)
{
    size_t *moments = choose_moments(record, n_states, random);
    struct storm_promises promises = {0};
    const struct memory_disk nothing = {0};
    struct memory_disk disk = {0};
    struct cut cut;

    for (unsigned i = 1; i <= STORM_REGISTRATIONS; i++)
        promises.registrations[i].is_sure = true;
    cut_init(&cut, &nothing, record);
    for (size_t i = 0; i < n_states; i++) {
        advance(&promises, record, cut.at, moments[i]);
        cut_advance(&cut, moments[i]);
        figures.n_undone += cut_build(&cut, random, &disk);
        check_state(&disk, &promises, random);
    }
    cut_deinit(&cut);
    memory_disk_clear(&disk);
    free(moments);
}

static void one_run(uint64_t seed, uint64_t n_messages, size_t n_states)
{
    static struct run run;
    struct sim_random random = {seed};

    sim_begin("power cut", seed);
    run = (struct run){0};
    memory_record_init(&run.record);
    run.disk.record = &run.record;
    use(&run.disk);
    work(&run, sim_random(&random), n_messages);
    printf("seed %llu: %llu messages, %zu operations", (unsigned long long)seed,
           (unsigned long long)run.work.n_messages, run.record.n_ops);
    fflush(stdout);
    cut_everywhere(&run.record, n_states, &random);
    printf(", %zu states\n", n_states);
    memory_record_deinit(&run.record);
    memory_disk_clear(&run.disk);
}

int main(int argc, char **argv)
{
    struct sim_options o;
    unsigned n_runs;

    sim_options_parse(&o, argc, argv);
    if (mkdtemp(directory) == NULL)
        return 1;
    options.directory = directory;
    row = store_user_row();
    n_runs = o.is_long && !o.has_seed ? LONG_RUNS : 1;
    for (unsigned i = 0; i < n_runs; i++)
        one_run(o.has_seed ? o.seed : i + 1, MESSAGES, o.is_long ? LONG_STATES : STATES);
    printf("%llu states, %llu operations undone or torn, %llu cut again, %llu worked on: all "
           "opened, 0 acknowledged lost\n",
           (unsigned long long)figures.n_states, (unsigned long long)figures.n_undone,
           (unsigned long long)figures.n_again, (unsigned long long)figures.n_went_on);
    free(row);
    rmdir(directory);
    return 0;
}
