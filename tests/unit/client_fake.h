/* SPDX-License-Identifier: MIT */
/*
 * A msgd that does as it is told, for failures that the real one does not have: it follows a script
 * of steps, one for each call that comes, over one connection after the other.
 */
#ifndef MSGD_TESTS_CLIENT_FAKE_H
#define MSGD_TESTS_CLIENT_FAKE_H

#include "proto/ring.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- A lane: memory as msgd makes it, with one chunk ---- */

enum { LANE_ARENA, LANE_PAGE, LANE_OUTGOING, LANE_WAKE, LANE_DOORBELL, LANE_DESCRIPTORS };

struct fake_lane {
    int fds[LANE_DESCRIPTORS];
    struct ring_header *header;
    struct ring_page *page;
    struct ring_outgoing *outgoing;
    uint64_t seq;
};

#define FAKE_CHUNKS_OFFSET  ((sizeof(struct ring_header) + 4095) / 4096 * 4096)
#define FAKE_ARENA_BYTES    (FAKE_CHUNKS_OFFSET + RING_CHUNK_BYTES)
#define FAKE_OUTGOING_BYTES (sizeof(struct ring_outgoing) + RING_OUTGOING_BYTES)

static inline void *fake_memory(int *fd, size_t bytes)
{
    *fd = memfd_create("fake", MFD_CLOEXEC);
    cr_assert_eq(ftruncate(*fd, (off_t)bytes), 0);
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    cr_assert_neq(map, MAP_FAILED);
    return map;
}

static inline void fake_lane_init(struct fake_lane *lane)
{
    *lane = (struct fake_lane){0};
    lane->header = fake_memory(&lane->fds[LANE_ARENA], FAKE_ARENA_BYTES);
    lane->page = fake_memory(&lane->fds[LANE_PAGE], RING_PAGE_BYTES);
    lane->outgoing = fake_memory(&lane->fds[LANE_OUTGOING], FAKE_OUTGOING_BYTES);
    lane->fds[LANE_WAKE] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    lane->fds[LANE_DOORBELL] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    lane->header->magic = RING_MAGIC;
    lane->header->version = RING_VERSION;
    lane->header->chunk_bytes = RING_CHUNK_BYTES;
    lane->header->table_entries = RING_TABLE_ENTRIES;
    lane->header->arena_bytes = FAKE_ARENA_BYTES;
    lane->header->chunks_offset = FAKE_CHUNKS_OFFSET;
    lane->header->n_chunks = 1;
    lane->header->outgoing_bytes = RING_OUTGOING_BYTES;
    atomic_store(&lane->header->state, RING_OPEN);
}

static inline void fake_lane_deinit(struct fake_lane *lane)
{
    munmap(lane->header, FAKE_ARENA_BYTES);
    munmap(lane->page, RING_PAGE_BYTES);
    munmap(lane->outgoing, FAKE_OUTGOING_BYTES);
    for (int i = 0; i < LANE_DESCRIPTORS; i++)
        close(lane->fds[i]);
}

/* Files a message with a trailer ("": plain) and wakes whoever asked for it. */
static inline void fake_publish_framed(struct fake_lane *lane, uint32_t slot, const char *text,
                                       const char *trailer)
{
    uint64_t head = atomic_load(&lane->header->head);
    uint32_t length = (uint32_t)strlen(text), n_trailer = (uint32_t)strlen(trailer);
    struct record *r =
        (void *)((uint8_t *)lane->header + FAKE_CHUNKS_OFFSET + head % RING_CHUNK_BYTES);

    r->slot = slot;
    r->seq = ++lane->seq;
    r->from_port = 4000;
    r->from_ip[10] = r->from_ip[11] = 0xff;
    memcpy(record_payload(r), text, length);
    memcpy((char *)record_payload(r) + length, trailer, n_trailer);
    atomic_store(&r->word, record_word(RECORD_MESSAGE, length, n_trailer));
    atomic_store(&lane->header->head, head + record_bytes(length + n_trailer));
    if (atomic_exchange(&lane->page->waiting, 0) == 1) {
        uint64_t one = 1;
        cr_assert_eq(write(lane->fds[LANE_WAKE], &one, sizeof(one)), sizeof(one));
    }
}

static inline void fake_publish(struct fake_lane *lane, uint32_t slot, const char *text)
{
    fake_publish_framed(lane, slot, text, "");
}

/* ---- The script ---- */

enum fake_act {
    FAKE_REPLY,   /* answer with `reply` */
    FAKE_LINK,    /* the same, with the descriptors of `lane` */
    FAKE_HALF,    /* the first half of `reply`, then hang up */
    FAKE_HANG_UP, /* close without an answer */
    FAKE_CLOSE,   /* not for a call: close the connection, and listen for the next */
    FAKE_VANISH,  /* not for a call: close the connection and the listener for a moment */
    FAKE_HOOK,    /* not for a call: run `hook` */
};

struct fake_step {
    const char *expect; /* in the call's text; NULL: any call */
    const char *reply;
    struct fake_lane *lane;
    int n_descriptors; /* 0: all of them */
    enum fake_act act;
    void (*hook)(void *context);
    void *context;
};

struct fake {
    char directory[64];
    char path[96];
    int listener;
    int connection;
    const struct fake_step *steps;
    size_t n_steps;
    size_t n_done;
    bool has_failed;
    pthread_t thread;
};

static inline void fake_listen(struct fake *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, f->path, strlen(f->path));
    unlink(f->path);
    if (bind(f->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(f->listener, 8) != 0)
        f->has_failed = true;
}

/* Reads one call. False: the connection has ended. */
static inline bool fake_read_call(struct fake *f, char *text, size_t max)
{
    for (size_t n = 0; n < max; n++) {
        if (read(f->connection, text + n, 1) != 1)
            return false;
        if (text[n] == '\0')
            return true;
    }
    return false;
}

static inline void fake_send(struct fake *f, const struct fake_step *step, size_t n)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * LANE_DESCRIPTORS)];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec data = {.iov_base = (void *)(uintptr_t)step->reply, .iov_len = n};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    int n_fds = step->n_descriptors > 0 ? step->n_descriptors : LANE_DESCRIPTORS;

    if (step->act == FAKE_LINK) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
        struct cmsghdr *h = CMSG_FIRSTHDR(&message);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
        memcpy(CMSG_DATA(h), step->lane->fds, sizeof(int) * (size_t)n_fds);
    }
    if (sendmsg(f->connection, &message, MSG_NOSIGNAL) != (ssize_t)n)
        f->has_failed = true;
}

static inline void fake_hang_up(struct fake *f)
{
    close(f->connection);
    f->connection = -1;
}

/* Accepts if there is no connection; true when the step is to be tried again on a new connection.
 */
static inline bool fake_answer(struct fake *f, const struct fake_step *step)
{
    char text[65536];

    if (f->connection < 0)
        f->connection = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
    if (!fake_read_call(f, text, sizeof(text))) {
        fake_hang_up(f);
        return true;
    }
    if (step->expect != NULL && strstr(text, step->expect) == NULL) {
        fprintf(stderr, "expected %s, got %s\n", step->expect, text);
        f->has_failed = true;
    }
    if (step->act == FAKE_HALF)
        fake_send(f, step, strlen(step->reply) / 2);
    else if (step->act != FAKE_HANG_UP)
        fake_send(f, step, strlen(step->reply) + 1);
    if (step->act == FAKE_HALF || step->act == FAKE_HANG_UP)
        fake_hang_up(f);
    return false;
}

static inline void fake_do(struct fake *f, const struct fake_step *step)
{
    switch (step->act) {
    case FAKE_CLOSE:
        fake_hang_up(f);
        break;
    case FAKE_VANISH:
        close(f->listener);
        unlink(f->path);
        fake_hang_up(f);
        usleep(50000);
        fake_listen(f);
        break;
    case FAKE_HOOK:
        step->hook(step->context);
        break;
    default:
        while (fake_answer(f, step))
            ;
    }
}

static inline void *fake_run(void *context)
{
    struct fake *f = context;

    for (f->n_done = 0; f->n_done < f->n_steps; f->n_done++)
        fake_do(f, &f->steps[f->n_done]);
    return NULL;
}

static inline void fake_start(struct fake *f, const struct fake_step *steps, size_t n_steps)
{
    *f = (struct fake){.connection = -1, .steps = steps, .n_steps = n_steps};
    strcpy(f->directory, "/tmp/msgd-fake-XXXXXX");
    cr_assert_not_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/msgd.sock", f->directory);
    fake_listen(f);
    cr_assert_eq(pthread_create(&f->thread, NULL, fake_run, f), 0);
}

/* Waits for the end of the script, which the program must have brought about. */
static inline void fake_stop(struct fake *f)
{
    pthread_join(f->thread, NULL);
    if (f->connection >= 0)
        close(f->connection);
    close(f->listener);
    unlink(f->path);
    rmdir(f->directory);
    cr_expect(!f->has_failed, "the script was not followed");
    cr_expect_eq(f->n_done, f->n_steps);
}

#define FAKE_INFO(since)                                                                     \
    {                                                                                        \
        .expect = "GetInfo", .reply = "{\"parameters\":{\"since\":\"" since "\",\"pid\":7}}" \
    }
#define FAKE_REGISTERED                                                                    \
    {                                                                                      \
        .expect = "Register", .reply = "{\"parameters\":{\"name\":\"thermo\",\"address\":" \
                                       "\"127.0.0.1\",\"port\":7000,\"generation\":1,"     \
                                       "\"resumed\":false,\"receive_buffer_granted\":1}}"  \
    }
#define FAKE_ATTACHED(memory)                                                                    \
    {                                                                                            \
        .expect = "Attach", .act = FAKE_LINK, .lane = (memory),                                  \
        .reply = "{\"parameters\":{\"slot\":3,\"generation\":1,\"lane\":0,\"link\":{\"lane\":0," \
                 "\"arena\":0,\"page\":1,\"outgoing\":2,\"wake\":3,\"doorbell\":4}}}"            \
    }

#endif
