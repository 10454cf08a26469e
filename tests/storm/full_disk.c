/* SPDX-License-Identifier: MIT */
/*
 * A disk that is full: a small file system of its own (memory, and ext4 in a file), which the store
 * fills up, or somebody else, to the last block. Then everything is read and released while not one
 * block is free, the other's file goes, and the store goes on; again and again.
 */
#include "tests/storm/storm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DISK_BYTES  "24m"
#define MAX_BYTES   (UINT64_C(16) << 20)
#define LONG_CYCLES 100u
#define CYCLES      4u
#define PAYLOAD     1000u
#define EACH        100u /* records of an append */
#define UNDER_WAY   8u   /* appends */

static char directory[] = "/tmp/msgd-storm-XXXXXX";

struct slot {
    struct store_job job;
    uint8_t *bytes;
};

struct disk {
    struct store_user user;
    struct store_options options;
    struct slot slots[UNDER_WAY];
    struct store_job trim;
    uint64_t posted, acked, read, n_before;
    bool is_taken; /* somebody else wants whatever becomes free */
    uint8_t *row;
    uint64_t n_refusals, n_waited, most_bytes; /* for the report */
};

/* ---- File systems ---- */

static bool run(const char *command)
{
    return system(command) == 0; /* NOLINT: names of our own */
}

static bool mount_memory(void)
{
    return mount("msgd-storm", directory, "tmpfs", 0, "size=" DISK_BYTES) == 0;
}

static bool mount_ext4(void)
{
    char command[300];

    snprintf(command, sizeof(command),
             "{ truncate -s " DISK_BYTES " %s.img && mkfs.ext4 -q %s.img && mount -o loop %s.img %s"
             " ; } >/dev/null 2>&1",
             directory, directory, directory, directory);
    return run(command);
}

static void unmount(void)
{
    char path[64];

    SIM_HOLDS(umount(directory) == 0, "cannot unmount: %s", strerror(errno));
    snprintf(path, sizeof(path), "%s.img", directory);
    unlink(path);
}

static uint64_t used_by(const char *name)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/* Somebody else takes all that is free but for so much, to the last byte. */
static void take_all_but(uint64_t left)
{
    static uint8_t bytes[1 << 14];
    char path[64];
    size_t n = sizeof(bytes);
    struct statvfs fs;
    int fd;

    snprintf(path, sizeof(path), "%s/other", directory);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    SIM_HOLDS(fd >= 0, "%s: %s", path, strerror(errno));
    memset(bytes, 'x', sizeof(bytes));
    while (n > 0 && fstatvfs(fd, &fs) == 0 && (left == 0 || fs.f_bfree * fs.f_frsize > left))
        if (write(fd, bytes, n) <= 0)
            n /= 2;
    close(fd);
}

static void give_back(void)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/other", directory);
    SIM_HOLDS(unlink(path) == 0, "%s: %s", path, strerror(errno));
}

/* ---- Filling ---- */

static void measure(struct disk *d)
{
    uint64_t bytes = used_by("msgd.db") + used_by("msgd.db-wal");

    /* A block or two belong to the file system: where the others are. */
    SIM_HOLDS(bytes <= MAX_BYTES + 16384, "%llu bytes on disk", (unsigned long long)bytes);
    if (bytes > d->most_bytes)
        d->most_bytes = bytes;
}

static void on_done(struct store_user *u, struct store_job *job)
{
    struct disk *d = u->context;

    SIM_HOLDS(job->status == 0, "%s was done with %s",
              job->act == STORE_APPEND ? "an append" : "a release", strerror(-job->status));
    job->context = NULL;
    if (job->act != STORE_APPEND)
        return;
    SIM_HOLDS(d->acked + EACH <= d->posted, "more is done than was posted");
    d->acked += EACH;
}

static struct slot *idle_slot(struct disk *d)
{
    for (unsigned i = 0; i < UNDER_WAY; i++)
        if (d->slots[i].job.context == NULL)
            return &d->slots[i];
    return NULL;
}

static void post(struct disk *d, struct slot *s)
{
    s->job = (struct store_job){.act = STORE_APPEND, .append = {.endpoint = 1, .bytes = s->bytes}};
    s->job.append.n_bytes = store_user_write(s->bytes, 1, d->posted + 1, d->posted + EACH, PAYLOAD);
    d->posted += EACH;
    store_user_post(&d->user, &s->job);
}

/* As senders do it: no more once they are told that there is no room. What is under way then
 * waits. */
static void fill(struct disk *d, uint64_t most)
{
    uint64_t until = d->posted + most;

    while (store_has_room(d->user.store) && d->posted < until) {
        struct slot *s = idle_slot(d);

        if (s != NULL)
            post(d, s);
        else
            uv_run(&d->user.loop, UV_RUN_NOWAIT);
        measure(d);
    }
    if (store_has_room(d->user.store))
        return;
    d->n_refusals++;
    d->n_waited += d->user.n_under_way;
}

/* ---- Draining ---- */

static void take_records(struct disk *d, const struct store_read *read)
{
    SIM_HOLDS(read->n_lost == 0, "%llu are damaged", (unsigned long long)read->n_lost);
    for (size_t at = 0; at < read->n_bytes;) {
        const struct record *r = (const struct record *)(const void *)(read->bytes + at);

        SIM_HOLDS(r->seq == d->read + 1 && store_user_is_good(r, 1), "%llu comes after %llu",
                  (unsigned long long)r->seq, (unsigned long long)d->read);
        d->read++;
        at += store_user_bytes_of(r);
    }
}

static void release(struct disk *d, uint64_t up_to)
{
    while (d->trim.context != NULL)
        uv_run(&d->user.loop, UV_RUN_ONCE);
    d->trim = (struct store_job){.act = STORE_TRIM, .trim = {.endpoint = 1, .up_to = up_to}};
    store_user_post(&d->user, &d->trim);
}

/* False: there is nothing. */
static bool read_some(struct disk *d)
{
    struct store_job read = {
        .act = STORE_READ,
        .read = {
            .endpoint = 1, .from_seq = d->read + 1, .bytes = d->row, .capacity = STORE_ROW_BYTES}};
    int r = store_user_run(&d->user, &read);

    SIM_HOLDS(r == 0 || r == -ENOENT, "a read was done with %s", strerror(-r));
    if (r == 0)
        take_records(d, &read.read);
    return r == 0;
}

/* Reads and releases all that is there. */
static void drain(struct disk *d)
{
    while (read_some(d)) {
        release(d, d->read);
        if (d->is_taken)
            take_all_but(0);
        measure(d);
    }
    while (d->trim.context != NULL)
        uv_run(&d->user.loop, UV_RUN_ONCE);
    SIM_HOLDS(d->read >= d->acked, "%llu were acknowledged, %llu came back",
              (unsigned long long)d->acked, (unsigned long long)d->read);
}

/* Whatever was waiting is done, too, and the store takes more. */
static void go_on(struct disk *d)
{
    while (d->user.n_under_way > 0 || !store_has_room(d->user.store))
        drain(d);
    drain(d);
    SIM_HOLDS(d->read == d->posted && d->acked == d->posted,
              "%llu posted, %llu acknowledged, %llu "
              "came back",
              (unsigned long long)d->posted, (unsigned long long)d->acked,
              (unsigned long long)d->read);
}

/* ---- Cycles ---- */

static void open_store(struct disk *d)
{
    int r = store_user_open(&d->user, &d->options);

    SIM_HOLDS(r == 0, "it does not open: %s", strerror(-r));
    d->user.done = on_done;
    d->user.context = d;
    store_user_start(&d->user);
}

/* The store comes to its own bound. */
static void fill_to_the_bound(struct disk *d)
{
    fill(d, UINT32_MAX);
    drain(d);
    go_on(d);
}

/* The store takes the last blocks itself. */
static void fill_the_disk(struct disk *d)
{
    take_all_but(UINT64_C(5) << 20);
    fill(d, UINT32_MAX);
    drain(d);
    go_on(d);
    give_back();
}

/* Somebody else takes them, and each one that becomes free. */
static void be_left_without(struct disk *d, bool restarts)
{
    fill(d, 4000);
    store_user_wait(&d->user, 0);
    d->is_taken = true;
    take_all_but(0);
    if (restarts) {
        store_user_close(&d->user);
        take_all_but(0);
        open_store(d);
    } else {
        fill(d, 4000);
    }
    drain(d);
    d->is_taken = false;
    give_back();
    go_on(d);
}

/* A database that has been large keeps its blocks: nobody can take those. */
static void begin_anew(struct disk *d)
{
    static const char *const names[] = {"msgd.db", "msgd.db-wal"};
    char path[128];

    store_user_close(&d->user);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        SIM_HOLDS(unlink(path) == 0, "%s: %s", path, strerror(errno));
    }
    d->n_before += d->acked;
    d->posted = d->acked = d->read = 0;
    open_store(d);
}

static void cycle(struct disk *d, unsigned n)
{
    sim_begin("cycle", n);
    if (n % 8 < 4)
        begin_anew(d);
    switch (n % 4) {
    case 0:
        be_left_without(d, false);
        break;
    case 1:
        be_left_without(d, true);
        break;
    case 2:
        fill_the_disk(d);
        break;
    default:
        fill_to_the_bound(d);
    }
}

/* False: there is no such file system here. */
static bool on_a(const char *name, bool (*mount_it)(void), unsigned n_cycles)
{
    struct disk d = {.options = {.directory = directory, .max_bytes = MAX_BYTES},
                     .row = store_user_row()};

    if (!mount_it()) {
        printf("%s: cannot be mounted here\n", name);
        free(d.row);
        return false;
    }
    for (unsigned i = 0; i < UNDER_WAY; i++)
        d.slots[i].bytes = store_user_row();
    open_store(&d);
    for (unsigned n = 0; n < n_cycles; n++)
        cycle(&d, n);
    store_user_close(&d.user);
    unmount();
    printf("%s: %u cycles, %llu messages, refused %llu times, %llu appends waited for room, at "
           "most %llu bytes on disk of %llu: 0 lost\n",
           name, n_cycles, (unsigned long long)(d.n_before + d.acked),
           (unsigned long long)d.n_refusals, (unsigned long long)d.n_waited,
           (unsigned long long)d.most_bytes, (unsigned long long)MAX_BYTES);
    for (unsigned i = 0; i < UNDER_WAY; i++)
        free(d.slots[i].bytes);
    free(d.row);
    return true;
}

int main(int argc, char **argv)
{
    struct sim_options o;
    unsigned n_cycles, n_done = 0;

    sim_options_parse(&o, argc, argv);
    n_cycles = o.is_long ? LONG_CYCLES : CYCLES;
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        printf("SKIPPED: mounting takes root\n");
        return 77;
    }
    if (mkdtemp(directory) == NULL)
        return 1;
    n_done += on_a("tmpfs", mount_memory, n_cycles);
    n_done += on_a("ext4", mount_ext4, n_cycles);
    rmdir(directory);
    if (n_done == 0)
        printf("SKIPPED: no file system can be mounted\n");
    return n_done > 0 ? 0 : 77;
}
