/* SPDX-License-Identifier: MIT */
/* Room on the file system that the store has allocated ahead. */
#include "tests/unit/store_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_BOUND (3 * STORE_MIN_BYTES / 16)

static struct stat look(const struct fixture *f, const char *name)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    return st;
}

/* What is read now is read behind all that followed the last commit: a checkpoint, and the
 * reserve after it. */
static int64_t allocated(struct fixture *f, const char *name)
{
    int status;

    if (f->store != NULL)
        (void)read_from(f, 1, 1, &status);
    return look(f, name).st_blocks * 512;
}

static bool can_allocate(const struct fixture *f)
{
    char path[128];
    bool is_possible;
    int fd;

    snprintf(path, sizeof(path), "%s/probe", f->directory);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_assert_geq(fd, 0);
    is_possible = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
    close(fd);
    unlink(path);
    return is_possible;
}

static void open_small(struct fixture *f)
{
    open_fixture(f);
    f->options.max_bytes = STORE_MIN_BYTES;
    reopen(f);
    start(f);
}

Test(store_reserve, is_there_from_the_start_and_after_each_checkpoint)
{
    struct fixture f;
    uint64_t n_lost;

    open_small(&f);
    cr_assert_eq(trim(&f, 1, 0), 0); /* what the thread does first is behind it */
    if (can_allocate(&f)) {
        cr_assert_geq(allocated(&f, "msgd.db-wal"), (int64_t)LOG_BOUND);
        cr_assert_geq(allocated(&f, "msgd.db"), look(&f, "msgd.db").st_size + (int64_t)LOG_BOUND);
        for (uint64_t i = 0; i < 20; i++) {
            cr_assert_eq(append(&f, 1, i * 100 + 1, i * 100 + 100, 2000), 0);
            cr_assert_geq(allocated(&f, "msgd.db-wal"), (int64_t)LOG_BOUND);
        }
        cr_assert_eq(trim(&f, 1, 0), 0); /* and the last checkpoint */
        cr_assert_gt(look(&f, "msgd.db").st_size, 2000 * 1000, "it has grown");
        cr_assert_geq(allocated(&f, "msgd.db"),
                      look(&f, "msgd.db").st_size + (int64_t)LOG_BOUND / 3);
    }
    cr_assert_eq(read_all(&f, 1, 1, 2000, &n_lost), can_allocate(&f) ? 2000 : 0);
    close_fixture(&f);
}

Test(store_reserve, of_the_log_outlives_the_daemon_and_the_log_is_an_empty_one)
{
    struct fixture f;
    char path[128];
    uint8_t header[32], nothing[32] = {0};
    uint64_t n_lost;
    int fd;

    open_small(&f);
    cr_assert_eq(append(&f, 1, 1, 100, 2000), 0);
    stop(&f);
    if (can_allocate(&f))
        cr_assert_geq(allocated(&f, "msgd.db-wal"), (int64_t)LOG_BOUND);
    snprintf(path, sizeof(path), "%s/msgd.db-wal", f.directory);
    fd = open(path, O_RDONLY);
    cr_assert(fd >= 0 && read(fd, header, 32) == 32);
    close(fd);
    cr_assert_arr_eq(header, nothing, 32);
    unlink(path);
    cr_assert_eq(store_open(&f.store, &f.options), 0, "it is in the database");
    start(&f);
    cr_assert_eq(read_all(&f, 1, 1, 2000, &n_lost), 100);
    close_fixture(&f);
}

Test(store_reserve, all_files_together_keep_within_the_bound)
{
    struct fixture f;
    uint64_t last = 0;

    open_small(&f);
    while (store_has_room(f.store)) {
        cr_assert_eq(append(&f, 1, last + 1, last + 100, 2000), 0);
        last += 100;
        /* but for what the file system needs to find the blocks */
        cr_assert_leq(allocated(&f, "msgd.db") + allocated(&f, "msgd.db-wal"),
                      (int64_t)STORE_MIN_BYTES + 16384);
    }
    cr_assert_gt(last, 1000);
    close_fixture(&f);
}
