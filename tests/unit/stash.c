/* SPDX-License-Identifier: MIT */
/* The stash. A test's second stash is the successor: it opens copies of the ends. */
#include "daemon/store/stash.h"

#include "daemon/store/stash_segment.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENDS 128

static struct stash *stash;

static void open_empty(void)
{
    cr_assert_eq(stash_open_ends(&stash, NULL, 0), 0);
}

static void close_it(void)
{
    stash = stash_close(stash);
}

TestSuite(stash, .init = open_empty, .fini = close_it);

static struct stash_item item(uint64_t key)
{
    return (struct stash_item){.kind = STASH_SOCKET, .key = key};
}

/* A descriptor that can be told from others. */
static int marked(uint64_t mark)
{
    int fd = memfd_create("marked", MFD_CLOEXEC);

    cr_assert_eq(ftruncate(fd, (off_t)mark), 0);
    return fd;
}

static uint64_t mark_of(int fd)
{
    struct stat st;

    cr_assert_eq(fstat(fd, &st), 0);
    return (uint64_t)st.st_size;
}

static void put(struct stash *s, uint64_t key, uint64_t mark)
{
    int fd = marked(mark);

    cr_assert_eq(stash_put(s, &(struct stash_item){.kind = STASH_SOCKET, .key = key}, fd), 0);
    close(fd);
}

static size_t n_ends(const struct stash *s)
{
    return stash_ends(s, NULL, 0);
}

/* The stash as its successor finds it when this process is killed now. */
static struct stash *succeed(const struct stash *s)
{
    int ends[MAX_ENDS];
    size_t n = stash_ends(s, ends, MAX_ENDS);
    struct stash *successor;

    cr_assert_leq(n, (size_t)MAX_ENDS);
    for (size_t i = 0; i < n; i++)
        ends[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, 0);
    cr_assert_eq(stash_open_ends(&successor, ends, n), 0);
    return successor;
}

static void expect(struct stash *s, uint64_t key, uint64_t mark)
{
    struct stash_item wanted = item(key);
    int fd = stash_take(s, &wanted);

    cr_assert_geq(fd, 0, "item %llu is not there", (unsigned long long)key);
    cr_assert_eq(mark_of(fd), mark);
    close(fd);
    cr_assert_eq(stash_take(s, &wanted), -ENOENT);
}

static void expect_none(struct stash *s, uint64_t key)
{
    struct stash_item wanted = item(key);

    cr_assert_eq(stash_take(s, &wanted), -ENOENT);
}

static void count(void *context, const struct stash_item *left)
{
    (void)left;
    ++*(size_t *)context;
}

static size_t n_left(struct stash *s)
{
    size_t n = 0;

    stash_each_left(s, 0, count, &n);
    return n;
}

static size_t n_descriptors(void)
{
    size_t n = 0;

    for (int fd = 0; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

Test(stash, gives_a_successor_what_was_put_in)
{
    struct stash *successor;

    put(stash, 1, 11);
    put(stash, 2, 22);
    successor = succeed(stash);
    expect(successor, 2, 22);
    expect(successor, 1, 11);
    stash_close(successor);
}

Test(stash, tells_kinds_indices_and_keys_apart)
{
    static const struct stash_item items[] = {{STASH_SOCKET, 0, 1},
                                              {STASH_SOCKET, 1, 1},
                                              {STASH_ARENA, 0, 1},
                                              {STASH_SOCKET, 0, UINT64_MAX}};
    struct stash *successor;

    for (size_t i = 0; i < 4; i++) {
        int fd = marked(i + 1);

        cr_assert_eq(stash_put(stash, &items[i], fd), 0);
        close(fd);
    }
    successor = succeed(stash);
    for (size_t i = 0; i < 4; i++) {
        int fd = stash_take(successor, &items[i]);

        cr_assert_eq(mark_of(fd), i + 1);
        close(fd);
    }
    stash_close(successor);
}

/* Also where the segment that it was in is written anew. */
Test(stash, gives_the_note_back)
{
    const struct stash_item wanted = item(300);
    struct stash *successor;
    uint64_t note = 0;
    int fd = marked(1);

    put(stash, 1, 11);
    cr_assert_eq(stash_put_noted(stash, &wanted, fd, UINT64_MAX - 1), 0);
    close(fd);
    stash_remove(stash, &(struct stash_item){.kind = STASH_SOCKET, .key = 1});
    stash_flush(stash);
    successor = succeed(stash);
    fd = stash_take_noted(successor, &wanted, &note);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(note, UINT64_MAX - 1);
    stash_close(successor);
}

Test(stash, keeps_everything_when_the_successor_dies_before_it_has_taken_it)
{
    struct stash *successor;

    for (uint64_t key = 0; key < 300; key++)
        put(stash, key, key + 1);
    for (int i = 0; i < 3; i++)
        stash_close(succeed(stash));
    successor = succeed(stash);
    for (uint64_t key = 0; key < 300; key++)
        expect(successor, key, key + 1);
    stash_close(successor);
}

Test(stash, lets_a_successor_go_on_with_what_it_found)
{
    struct stash *second, *third;

    put(stash, 1, 11);
    put(stash, 2, 22);
    second = succeed(stash);
    close_it();
    put(second, 3, 33);
    put(second, 2, 222);
    stash_remove(second, &(struct stash_item){.kind = STASH_SOCKET, .key = 1});
    stash_flush(second);
    third = succeed(second);
    stash_close(second);
    cr_assert_eq(n_left(third), 2);
    expect_none(third, 1);
    expect(third, 2, 222);
    expect(third, 3, 33);
    stash_close(third);
    open_empty();
}

Test(stash, gives_the_latest_of_what_was_put_in_twice)
{
    struct stash *successor;

    put(stash, 1, 11);
    put(stash, 1, 12);
    successor = succeed(stash);
    expect(successor, 1, 12);
    stash_close(successor);
}

Test(stash, holds_a_socket_bound_until_what_was_removed_is_let_go_of)
{
    struct stash_item wanted = item(1);
    int ends[2], reading;
    char byte;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    put(stash, 2, 22);
    cr_assert_eq(stash_put(stash, &wanted, ends[0]), 0);
    close(ends[0]);
    reading = ends[1];
    stash_remove(stash, &wanted);
    cr_assert_eq(recv(reading, &byte, 1, MSG_DONTWAIT), -1);
    cr_assert_eq(errno, EAGAIN);
    stash_flush(stash);
    cr_assert_eq(recv(reading, &byte, 1, MSG_DONTWAIT), 0);
    close(reading);
}

Test(stash, is_some_segments_for_thousands)
{
    const uint64_t n = 2000;
    struct stash *successor;
    size_t before;

    for (uint64_t key = 0; key < n; key++)
        put(stash, key, key + 1);
    before = n_ends(stash);
    cr_assert_leq(before, 2 * n / SEGMENT_RECORDS);
    for (uint64_t key = 0; key < n; key++)
        if (key % 10 != 0)
            stash_remove(stash, &(struct stash_item){.kind = STASH_SOCKET, .key = key});
    stash_flush(stash);
    cr_assert_leq(n_ends(stash), 2u, "%zu segments for %llu items", n_ends(stash),
                  (unsigned long long)n / 10);
    successor = succeed(stash);
    cr_assert_eq(n_left(successor), n / 10);
    for (uint64_t key = 0; key < n; key += 10)
        expect(successor, key, key + 1);
    stash_close(successor);
}

/* Whoever takes over reads so many. */
static size_t n_messages(const struct stash *s)
{
    int ends[MAX_ENDS];
    size_t n = stash_ends(s, ends, MAX_ENDS), count = 0;

    for (size_t i = 0; i < n; i++) {
        struct segment_batch message;
        struct segment *g;
        uint32_t version;

        cr_assert_eq(segment_adopt(&g, fcntl(ends[i], F_DUPFD_CLOEXEC, 0), &version), 0);
        cr_assert_eq(segment_walk_begin(g), 0);
        while (segment_walk_next(g, &message) > 0) {
            count++;
            segment_batch_close(&message);
        }
        segment_free(g);
    }
    return count;
}

Test(stash, is_few_messages_for_thousands)
{
    const uint64_t n = 2000;
    struct stash *successor;

    for (uint64_t key = 0; key < n; key++) {
        put(stash, key, key + 1);
        if (key % 100 == 99)
            stash_flush(stash);
    }
    cr_assert_leq(n_messages(stash), SEGMENT_RECORDS + 2 * n / SEGMENT_BATCH);
    successor = succeed(stash);
    cr_assert_eq(n_left(successor), n);
    for (uint64_t key = 0; key < n; key++)
        expect(successor, key, key + 1);
    stash_close(successor);
}

Test(stash, holds_no_descriptor_for_what_was_removed)
{
    size_t before, segments;

    put(stash, 0, 1);
    before = n_descriptors();
    segments = n_ends(stash);
    for (uint64_t round = 0; round < 1000; round++) {
        put(stash, 1, round + 2);
        stash_remove(stash, &(struct stash_item){.kind = STASH_SOCKET, .key = 1});
        stash_flush(stash);
    }
    cr_assert_eq(n_ends(stash), segments);
    cr_assert_eq(n_descriptors(), before);
}

Test(stash, agrees_with_a_plain_table_after_random_changes)
{
    enum { N_KEYS = 700, N_CHANGES = 20000 };
    uint64_t model[N_KEYS] = {0};

    srand(1);
    for (int i = 0; i < N_CHANGES; i++) {
        uint64_t key = (uint64_t)rand() % N_KEYS;

        if (rand() % 2) {
            put(stash, key, model[key] = (uint64_t)rand() % 1000 + 1);
        } else {
            stash_remove(stash, &(struct stash_item){.kind = STASH_SOCKET, .key = key});
            model[key] = 0;
        }
        if (rand() % 10 == 0)
            stash_flush(stash);
        if (i % 1000 == 0) {
            struct stash *successor;

            stash_flush(stash);
            successor = succeed(stash);
            stash_close(stash);
            stash = successor;
        }
    }
    stash_flush(stash);
    {
        struct stash *successor = succeed(stash);

        for (uint64_t key = 0; key < N_KEYS; key++) {
            if (model[key])
                expect(successor, key, model[key]);
            else
                expect_none(successor, key);
        }
        stash_close(successor);
    }
}

Test(stash, loses_nothing_when_there_are_no_descriptors_to_let_go_with)
{
    struct rlimit limit, low;
    struct stash *successor;

    for (uint64_t key = 0; key < 200; key++)
        put(stash, key, key + 1);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = (struct rlimit){.rlim_cur = n_descriptors() + 1, .rlim_max = limit.rlim_max};
    stash_remove(stash, &(struct stash_item){.kind = STASH_SOCKET, .key = 7});
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    stash_flush(stash);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    stash_flush(stash);
    successor = succeed(stash);
    cr_assert_eq(n_left(successor), 199);
    expect_none(successor, 7);
    stash_close(successor);
}

Test(stash, refuses_a_version_that_it_does_not_know_and_leaves_it)
{
    struct {
        char magic[8];
        uint32_t version, reserved;
        uint64_t number;
    } head = {.version = STASH_VERSION + 1, .number = 1}, again;
    struct stash *successor;
    int ends[2], copy;

    memcpy(head.magic, "msgdstsh", 8);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    cr_assert_eq(send(ends[1], &head, sizeof(head), 0), sizeof(head));
    copy = dup(ends[0]);
    cr_assert_eq(stash_open_ends(&successor, &copy, 1), STASH_UNKNOWN_VERSION);
    cr_assert_null(successor);
    cr_assert_eq(recv(ends[0], &again, sizeof(again), MSG_DONTWAIT), sizeof(again));
    close(ends[0]);
    close(ends[1]);
}

Test(stash, refuses_what_is_no_segment)
{
    struct stash *successor;
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    cr_assert_eq(stash_open_ends(&successor, &ends[0], 1), -EBADMSG);
    close(ends[1]);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    cr_assert_eq(send(ends[1], "{}", 2, 0), 2);
    cr_assert_eq(stash_open_ends(&successor, &ends[0], 1), -EBADMSG);
    close(ends[1]);
}
