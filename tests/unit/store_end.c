/* SPDX-License-Identifier: MIT */
/* Ports that close while the disk has no room at all. */
#include "tests/support/memory_vfs.h"
#include "tests/unit/store_fixture.h"

static struct memory_disk disk;

static void open_on_memory(struct fixture *f)
{
    memory_vfs_use(&disk);
    open_fixture(f);
    f->options.vfs = MEMORY_VFS;
    reopen(f);
    start(f);
}

/* From now on, or no more. Nothing is under way. */
static void fill_disk(bool is_full)
{
    disk.fault = (struct memory_fault){.calls = MEMORY_CALL_WRITE | MEMORY_CALL_TRUNCATE,
                                       .from = is_full,
                                       .n = UINT64_MAX,
                                       .error = ENOSPC};
}

static void close_port(struct fixture *f)
{
    store_port_close(f->port, NULL, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void close_on_memory(struct fixture *f)
{
    cr_assert_eq(store_port_open(&f->port, f->store, &f->loop), 0);
    close_fixture(f);
    memory_disk_clear(&disk);
}

Test(store_end, comes_though_there_is_no_room_for_what_was_posted, .timeout = 60)
{
    struct fixture f;
    struct store_job put = {
        .act = STORE_PUT_REGISTRATION,
        .registration = {.number = 3, .name = "one", .bytes = "{}", .n_bytes = 2}};
    struct store_job trim_it = {.act = STORE_TRIM, .trim = {.endpoint = 1, .up_to = 5}};

    open_on_memory(&f);
    cr_assert_eq(append(&f, 1, 1, 10, 50), 0);
    fill_disk(true);
    post(&f, &put);
    post(&f, &trim_it);
    close_port(&f);
    cr_assert_eq(put.status, -ECANCELED);
    cr_assert_eq(trim_it.status, -ECANCELED);
    fill_disk(false);
    close_on_memory(&f);
}

Test(store_end, waits_for_nobody_else_s_jobs, .timeout = 60)
{
    struct fixture f;
    struct store_port *other;
    struct store_job mine = {
        .act = STORE_PUT_REGISTRATION,
        .registration = {.number = 3, .name = "one", .bytes = "{}", .n_bytes = 2}};
    struct store_job theirs = {
        .act = STORE_PUT_REGISTRATION,
        .done = on_done,
        .context = &f,
        .registration = {.number = 4, .name = "two", .bytes = "{}", .n_bytes = 2}};

    open_on_memory(&f);
    cr_assert_eq(store_port_open(&other, f.store, &f.loop), 0);
    fill_disk(true);
    post(&f, &mine);
    store_post(other, &theirs);
    store_port_close(f.port, NULL, NULL);
    wait_for(&f, &mine);
    cr_assert_eq(mine.status, -ECANCELED);
    cr_assert_not_null(theirs.context, "it still waits");
    fill_disk(false);
    wait_for(&f, &theirs);
    cr_assert_eq(theirs.status, 0);
    store_port_close(other, NULL, NULL);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    close_on_memory(&f);
}
