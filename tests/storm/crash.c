/* SPDX-License-Identifier: MIT */
/*
 * The process dies, as by kill -9, at each of the store's named crash points (daemon/base/
 * crash_point.h); once, twice and three times in a row, while it works and while it comes back.
 * What it promises lies in memory that outlives it, and each of its successors holds what it finds
 * against that before it goes on.
 */
#include "tests/storm/storm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCHES    14
#define LONG_TIMES 100u
#define TIMES      3u
#define TRIES      20u /* a point that is not reached in so many runs is never reached */

/* How often a run comes by: from 1 to so many times. */
static const struct point {
    const char *name;
    uint32_t most;
    bool is_in_new; /* only where there is no database yet */
} points[] = {
    {"store.before_create", 1, true},     {"store.after_create", 1, true},
    {"store.opened", 1, false},           {"store.append", 40, false},
    {"store.remember", 8, false},         {"store.release", 8, false},
    {"store.delete", 60, false},          {"store.forget", 2, false},
    {"store.registration", 4, false},     {"store.unregistration", 2, false},
    {"store.rejected", 3, false},         {"store.read", 4, false},
    {"store.set_aside", 1, false},        {"store.before_commit", 14, false},
    {"store.after_commit", 14, false},    {"store.before_done", 14, false},
    {"store.after_done", 14, false},      {"store.before_checkpoint", 1, false},
    {"store.after_checkpoint", 1, false},
};
#define N_POINTS (sizeof(points) / sizeof(*points))

static char directory[] = "/dev/shm/msgd-storm-XXXXXX";

static void in_directory(char *path, size_t size, const char *folder, const char *name)
{
    snprintf(path, size, "%s/%s", folder, name);
}

/* ---- The one that dies ---- */

static struct storm_promises *map_promises(const char *folder)
{
    char path[128];
    void *p = MAP_FAILED;
    int fd;

    in_directory(path, sizeof(path), folder, "promises");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && ftruncate(fd, sizeof(struct storm_promises)) == 0)
        p = mmap(NULL, sizeof(struct storm_promises), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SIM_HOLDS(p != MAP_FAILED, "%s: %s", path, strerror(errno));
    close(fd);
    return p;
}

static void keep(void *context, enum storm_event event, uint32_t which, uint64_t seq)
{
    storm_promise(context, event, which, seq);
}

/* A row that is damaged, of the endpoint of which nobody expects anything. */
static void damage(const char *folder)
{
    char path[128];
    sqlite3 *db;

    in_directory(path, sizeof(path), folder, "msgd.db");
    SIM_HOLDS(sqlite3_open(path, &db) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    /* (One that was begun and not finished has no rows.) */
    int code = sqlite3_exec(db,
                            "UPDATE chunk SET content = zeroblob(length(content))"
                            " WHERE endpoint = 9",
                            NULL, NULL, NULL);
    SIM_HOLDS(code == SQLITE_OK || strstr(sqlite3_errmsg(db), "no such table") != NULL, "%s",
              sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void read_damaged(struct storm_work *w, uint64_t last)
{
    struct store_job read = {.act = STORE_READ,
                             .read = {.endpoint = STORM_DAMAGED,
                                      .from_seq = last > 1 ? last : 1,
                                      .bytes = w->row,
                                      .capacity = STORE_ROW_BYTES}};
    struct store_job append = {.act = STORE_APPEND,
                               .append = {.endpoint = STORM_DAMAGED, .bytes = w->jobs[0].bytes}};
    int r;

    (void)store_user_run(&w->user, &read);
    append.append.n_bytes =
        store_user_write(w->jobs[0].bytes, STORM_DAMAGED, last + 1, last + 1, 100);
    r = store_user_run(&w->user, &append);
    SIM_HOLDS(r == 0, "an append was done with %s", strerror(-r));
}

/* Holds what is there against what was promised, and goes on. */
static int live(const char *folder, uint64_t seed, bool has_damage)
{
    static struct storm_findings found;
    struct storm_promises *promises = map_promises(folder);
    struct store_options options = {.directory = folder, .max_bytes = STORE_MIN_BYTES};
    struct storm_work w = {.tell = keep, .context = promises, .n_texts = seed << 20};
    int r;

    sim_begin("life", seed);
    if (has_damage)
        damage(folder);
    storm_work_init(&w, seed);
    r = store_user_open(&w.user, &options);
    SIM_HOLDS(r == 0, "the store does not open: %s", strerror(-r));
    r = storm_look(w.user.store, w.row, &found);
    SIM_HOLDS(r == 0, "it cannot be loaded: %s", strerror(-r));
    storm_hold(promises, &found, "afterwards");
    storm_work_resume(&w, promises, &found);
    store_user_start(&w.user);
    read_damaged(&w, found.damaged_last);
    for (int i = 0; i < BATCHES; i++)
        storm_work_batch(&w);
    SIM_HOLDS(w.n_refused == 0, "%llu jobs were refused", (unsigned long long)w.n_refused);
    store_user_close(&w.user);
    storm_work_deinit(&w);
    return 0;
}

/* ---- The one that sees it die ---- */

/* True: it died at the point. */
static bool run_life(const struct point *point, uint32_t n, uint64_t seed)
{
    char self[] = "/proc/self/exe", crash[80], number[24];
    char *arguments[] = {self, "--life", directory, number, NULL, NULL};
    bool has_damage = point != NULL && strcmp(point->name, "store.set_aside") == 0;
    char path[128];
    pid_t pid;
    int status;

    snprintf(number, sizeof(number), "%llu", (unsigned long long)seed);
    snprintf(crash, sizeof(crash), "%s:%u", point != NULL ? point->name : "none", n);
    in_directory(path, sizeof(path), directory, "msgd.db");
    if (has_damage && access(path, F_OK) == 0)
        arguments[4] = "damage";
    setenv("MSGD_CRASH", crash, 1);
    SIM_HOLDS(posix_spawn(&pid, self, NULL, NULL, arguments, environ) == 0, "cannot start a life");
    while (waitpid(pid, &status, 0) < 0)
        SIM_HOLDS(errno == EINTR, "waitpid: %s", strerror(errno));
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    SIM_HOLDS(WIFEXITED(status) && WEXITSTATUS(status) == 0, "with MSGD_CRASH=%s it ended with %d",
              crash, status);
    return false;
}

static void begin_anew(void)
{
    DIR *folder = opendir(directory);
    const struct dirent *entry;
    char path[400];

    SIM_HOLDS(folder != NULL, "%s: %s", directory, strerror(errno));
    while ((entry = readdir(folder)) != NULL) {
        in_directory(path, sizeof(path), directory, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(folder);
    struct storm_promises *p = map_promises(directory);
    for (unsigned i = 1; i <= STORM_REGISTRATIONS; i++)
        p->registrations[i].is_sure = true;
    munmap(p, sizeof(*p));
}

struct count {
    uint64_t died, again;
};

/* Dies at the point, then `more` times at others, then lives. */
static bool die_at(const struct point *point, unsigned more, struct sim_random *random,
                   struct count *count)
{
    bool has_died;

    if (point->is_in_new)
        begin_anew();
    has_died =
        run_life(point, (uint32_t)sim_between(random, 1, point->most), sim_random(random) >> 32);
    count->died += has_died;
    for (unsigned i = 0; i < more; i++) {
        const struct point *next = &points[sim_below(random, N_POINTS)];

        count->again +=
            run_life(next, (uint32_t)sim_between(random, 1, next->most), sim_random(random) >> 32);
    }
    SIM_HOLDS(!run_life(NULL, 0, sim_random(random) >> 32), "it died by itself");
    return has_died;
}

static struct count one_point(const struct point *point, unsigned times, struct sim_random *random)
{
    struct count count = {0};
    unsigned n_missed = 0;

    sim_begin(point->name, random->state);
    begin_anew();
    while (count.died < times) {
        if (count.died % 20 == 19 && n_missed == 0) /* numbers do not go on for ever */
            begin_anew();
        n_missed = die_at(point, (unsigned)(count.died % 3), random, &count) ? 0 : n_missed + 1;
        SIM_HOLDS(n_missed < TRIES, "%s is never reached", point->name);
    }
    return count;
}

int main(int argc, char **argv)
{
    struct sim_options o;
    struct sim_random random;
    struct count sum = {0};

    if (argc >= 4 && strcmp(argv[1], "--life") == 0)
        return live(argv[2], strtoull(argv[3], NULL, 10), argc > 4);
    sim_options_parse(&o, argc, argv);
    random.state = o.has_seed ? o.seed : 1;
    if (access("/dev/shm", W_OK) != 0)
        memcpy(directory, "/var/tmp", 8);
    if (mkdtemp(directory) == NULL)
        return 1;
    for (size_t i = 0; i < N_POINTS; i++) {
        struct count count;

        if (!sim_is_wanted(&o, points[i].name))
            continue;
        count = one_point(&points[i], o.is_long ? LONG_TIMES : TIMES, &random);
        sum.died += count.died;
        sum.again += count.again;
    }
    printf("%zu crash points: died %llu times there, %llu times more before it had come back: 0 "
           "acknowledged lost\n",
           N_POINTS, (unsigned long long)sum.died, (unsigned long long)sum.again);
    begin_anew();
    char path[128];
    in_directory(path, sizeof(path), directory, "promises");
    unlink(path);
    rmdir(directory);
    return 0;
}
