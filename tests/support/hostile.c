/* SPDX-License-Identifier: MIT */
/*
 * A consumer that wants to harm msgd. It attaches by itself (Varlink and proto/ring.h, no libmsgd),
 * checks that it gets no writable view of what only msgd may write, then rewrites everything that
 * it can write at full speed, and comes back whenever msgd throws it out.
 *
 *     hostile SOCKET NAME [--seconds S] [--seed N] [--checks-only]
 *
 * Prints one JSON object. Exit status 1: it could do what it must not.
 */
#include "proto/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 8
#define REPLY_BYTES     65536

struct victim {
    const char *path;
    const char *name;
    int socket;
    int descriptors[MAX_DESCRIPTORS];
    int n_descriptors;
    int arena, page, outgoing, wake, doorbell;
    const struct ring_header *header;
    size_t arena_bytes;
    struct ring_page *page_map;
    struct ring_outgoing *outgoing_map;
    size_t outgoing_bytes;
};

static uint64_t seed = 1;
static unsigned n_breaches;

/* xorshift64* */
static uint64_t any(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(2685821657736338717);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void breach(bool is_possible, const char *what)
{
    if (!is_possible)
        return;
    n_breaches++;
    fprintf(stderr, "hostile: could %s\n", what);
}

/* ---- Attaching ---- */

static void keep_descriptors(struct victim *v, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < n && v->n_descriptors < MAX_DESCRIPTORS; i++)
            memcpy(&v->descriptors[v->n_descriptors++], CMSG_DATA(c) + (size_t)i * sizeof(int),
                   sizeof(int));
    }
}

/* One call and its reply. NULL: msgd hung up, or refused. */
static json_t *call(struct victim *v, const char *text)
{
    static char reply[REPLY_BYTES];
    size_t length = 0;
    if (send(v->socket, text, strlen(text) + 1, MSG_NOSIGNAL) < 0)
        return NULL;
    do {
        union {
            struct cmsghdr header;
            char room[CMSG_SPACE(MAX_DESCRIPTORS * sizeof(int))];
        } control;
        struct iovec part = {reply + length, sizeof reply - length};
        struct msghdr m = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(v->socket, &m, MSG_CMSG_CLOEXEC);
        if (n <= 0)
            return NULL;
        keep_descriptors(v, &m);
        length += (size_t)n;
    } while (reply[length - 1] != '\0');
    json_t *object = json_loads(reply, 0, NULL);
    if (json_object_get(object, "error") != NULL) {
        fprintf(stderr, "hostile: %s\n", reply);
        json_decref(object);
        return NULL;
    }
    return object;
}

static int descriptor_at(const struct victim *v, const json_t *link, const char *key)
{
    json_int_t index = json_integer_value(json_object_get(link, key));
    return index >= 0 && index < v->n_descriptors ? v->descriptors[index] : -1;
}

static bool map_all(struct victim *v)
{
    struct stat arena, outgoing;
    if (fstat(v->arena, &arena) < 0 || fstat(v->outgoing, &outgoing) < 0)
        return false;
    v->arena_bytes = (size_t)arena.st_size;
    v->outgoing_bytes = (size_t)outgoing.st_size;
    void *header = mmap(NULL, v->arena_bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, v->arena, 0);
    void *page = mmap(NULL, RING_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, v->page, 0);
    void *ring = mmap(NULL, v->outgoing_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->outgoing, 0);
    v->header = header == MAP_FAILED ? NULL : header;
    v->page_map = page == MAP_FAILED ? NULL : page;
    v->outgoing_map = ring == MAP_FAILED ? NULL : ring;
    return v->header != NULL && v->page_map != NULL && v->outgoing_map != NULL;
}

static void detach(struct victim *v)
{
    if (v->header != NULL)
        munmap((void *)(uintptr_t)v->header, v->arena_bytes);
    if (v->page_map != NULL)
        munmap(v->page_map, RING_PAGE_BYTES);
    if (v->outgoing_map != NULL)
        munmap(v->outgoing_map, v->outgoing_bytes);
    for (int i = 0; i < v->n_descriptors; i++)
        close(v->descriptors[i]);
    if (v->socket >= 0)
        close(v->socket);
    *v = (struct victim){.path = v->path, .name = v->name, .socket = -1};
}

static bool attach(struct victim *v)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char text[256];
    snprintf(to.sun_path, sizeof to.sun_path, "%s", v->path);
    v->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (v->socket < 0 || connect(v->socket, (struct sockaddr *)&to, sizeof to) < 0)
        return false;
    snprintf(text, sizeof text,
             "{\"method\":\"io.msgd.Register\",\"parameters\":{\"name\":\"%s\",\"on_conflict\":"
             "\"replace\"}}",
             v->name);
    json_t *registered = call(v, text);
    snprintf(text, sizeof text, "{\"method\":\"io.msgd.Attach\",\"parameters\":{\"name\":\"%s\"}}",
             v->name);
    json_t *attached = registered == NULL ? NULL : call(v, text);
    const json_t *link = json_object_get(json_object_get(attached, "parameters"), "link");
    bool has_link = json_is_object(link);
    if (has_link) {
        v->arena = descriptor_at(v, link, "arena");
        v->page = descriptor_at(v, link, "page");
        v->outgoing = descriptor_at(v, link, "outgoing");
        v->wake = descriptor_at(v, link, "wake");
        v->doorbell = descriptor_at(v, link, "doorbell");
    }
    json_decref(registered);
    json_decref(attached);
    return has_link && map_all(v);
}

/* ---- What must not be possible ---- */

static bool is_mappable(int fd, int protection)
{
    void *p = mmap(NULL, 4096, protection, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return false;
    munmap(p, 4096);
    return true;
}

static bool is_openable_for_writing(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDWR | O_CLOEXEC);
    if (again < 0)
        return false;
    bool is_writable = is_mappable(again, PROT_READ | PROT_WRITE) || pwrite(again, "x", 1, 0) == 1;
    close(again);
    return is_writable;
}

static void check_arena(const struct victim *v)
{
    breach(is_mappable(v->arena, PROT_READ | PROT_WRITE), "map the arena writable");
    breach(is_mappable(v->arena, PROT_WRITE), "map the arena for writing only");
    breach(mprotect((void *)(uintptr_t)v->header, 4096, PROT_READ | PROT_WRITE) == 0,
           "make the arena's mapping writable");
    breach(pwrite(v->arena, "x", 1, 0) == 1, "write to the arena");
    breach(is_openable_for_writing(v->arena), "open the arena for writing");
    breach(fallocate(v->arena, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0,
           "punch a hole in the arena");
}

/* msgd would be killed by a bus error when it touched what is no longer there. */
static void check_sizes(const struct victim *v)
{
    static const char *const names[] = {"the arena", "the page", "the outgoing ring"};
    const int all[] = {v->arena, v->page, v->outgoing};
    for (unsigned i = 0; i < 3; i++) {
        struct stat before;
        if (fstat(all[i], &before) < 0)
            continue;
        char what[64];
        snprintf(what, sizeof what, "shrink %s", names[i]);
        breach(ftruncate(all[i], 0) == 0, what);
        snprintf(what, sizeof what, "grow %s", names[i]);
        breach(ftruncate(all[i], before.st_size + 4096) == 0, what);
    }
}

/* ---- Doing harm ---- */

static uint64_t nasty_position(const struct victim *v)
{
    uint64_t head = atomic_load_explicit(&v->header->head, memory_order_relaxed);
    switch (any() % 10) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return head;
    case 3:
        return head + RING_RECORD_ALIGN;
    case 4:
        return head - RING_RECORD_ALIGN;
    case 5:
        return head | RING_LOCK;
    case 6:
        return head - any() % (2 * RING_CHUNK_BYTES);
    case 7:
        return (head / RING_CHUNK_BYTES) * RING_CHUNK_BYTES;
    case 8:
        return UINT64_C(1) << (any() % 64);
    default:
        return any();
    }
}

static void scribble_page(const struct victim *v)
{
    switch (any() % 4) {
    case 0:
        atomic_store(&v->page_map->taken, nasty_position(v));
        break;
    case 1:
        atomic_store(&v->page_map->released, nasty_position(v));
        break;
    case 2:
        atomic_store(&v->page_map->waiting, (uint32_t)any());
        break;
    default:
        ((_Atomic uint64_t *)v->page_map)[any() % (RING_PAGE_BYTES / 8)] = any();
    }
}

static struct outgoing_record nasty_outgoing(const struct victim *v)
{
    static const uint32_t lengths[] = {
        0, 1, 4096, RING_MAX_PAYLOAD, RING_MAX_PAYLOAD + 1, RING_OUTGOING_BYTES, UINT32_MAX};
    struct outgoing_record r = {
        .length = lengths[any() % 7],
        .kind = (uint32_t)(any() % 5),
        .position = nasty_position(v),
        .slot = (uint32_t)(any() % 3 == 0 ? any() : any() % 2),
        .port = (uint16_t)any(),
    };
    r.ip[10] = r.ip[11] = 0xff;
    r.ip[12] = 127;
    r.ip[15] = 1;
    return r;
}

static void scribble_outgoing(const struct victim *v)
{
    size_t room = v->outgoing_bytes - offsetof(struct ring_outgoing, bytes);
    struct outgoing_record record = nasty_outgoing(v);
    size_t at = any() % (room - sizeof record);
    if (any() % 2 == 0)
        at = atomic_load(&v->outgoing_map->head) % room & ~(size_t)7;
    if (at + sizeof record <= room)
        memcpy(v->outgoing_map->bytes + at, &record, sizeof record);
    uint64_t step = any() % 3 == 0 ? any() : (sizeof record + record.length + 7) & ~UINT64_C(7);
    atomic_fetch_add(&v->outgoing_map->head, step);
}

/* Fills what msgd writes, empties what msgd reads, and makes both blocking: nothing may stop msgd.
 */
static void abuse_descriptors(const struct victim *v)
{
    const int both[] = {v->wake, v->doorbell};
    static const uint64_t full = UINT64_MAX - 1;
    static char scrap[4096];
    for (unsigned i = 0; i < 2; i++) {
        fcntl(both[i], F_SETFL, O_NONBLOCK);
        if (any() % 2 == 0)
            while (read(both[i], scrap, sizeof scrap) > 0)
                ;
        else
            while (write(both[i], &full, sizeof full) > 0)
                ;
        fcntl(both[i], F_SETFL, 0);
    }
}

static bool is_thrown_out(const struct victim *v)
{
    struct pollfd p = {.fd = v->socket, .events = POLLIN};
    return poll(&p, 1, 0) > 0 ||
           atomic_load_explicit(&v->header->state, memory_order_relaxed) == RING_ENDED;
}

static uint64_t harm(const struct victim *v, double until)
{
    uint64_t n = 0;
    for (; now() < until && !is_thrown_out(v); n++)
        for (unsigned i = 0; i < 64; i++) {
            uint64_t what = any() % 1024;
            if (what == 0)
                abuse_descriptors(v);
            else if (what < 512)
                scribble_outgoing(v);
            else
                scribble_page(v);
        }
    return n * 64;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seconds", 1, NULL, 's'},
                                            {"seed", 1, NULL, 'r'},
                                            {"checks-only", 0, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    double seconds = 5;
    bool is_checks_only = false;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            seconds = strtod(optarg, NULL);
        else if (option == 'r')
            seed = strtoull(optarg, NULL, 10) | 1;
        else if (option == 'c')
            is_checks_only = true;
        else
            return 64;
    }
    if (argc - optind != 2)
        return 64;
    struct victim v = {.path = argv[optind], .name = argv[optind + 1], .socket = -1};
    uint64_t attached = 0, writes = 0, refused = 0;
    for (double until = now() + seconds; now() < until && refused < 100; detach(&v)) {
        if (!attach(&v)) {
            refused++;
            poll(NULL, 0, 1); /* msgd may still be busy with throwing it out */
            continue;
        }
        refused = 0;
        if (attached++ == 0) {
            check_arena(&v);
            check_sizes(&v);
            if (is_checks_only)
                break;
        }
        writes += harm(&v, until);
    }
    printf("{\"attached\": %llu, \"writes\": %llu, \"breaches\": %u}\n",
           (unsigned long long)attached, (unsigned long long)writes, n_breaches);
    return attached == 0 ? 71 : n_breaches != 0;
}
