/* SPDX-License-Identifier: MIT */
/* Mapping what Attach brought, with every size checked before it is used. */
#include "client/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* More endpoints than one connection can have. */
#define MAX_SLOTS (1u << 20)

#define OUTGOING_MAP_BYTES (offsetof(struct ring_outgoing, bytes) + RING_OUTGOING_BYTES)

/* A descriptor out of the set that has not been taken yet, or -1. */
static int set_fd(const struct descriptor_set *set, size_t index)
{
    return index < set->n ? set->fds[index] : -1;
}

/* Maps the whole file if bytes is 0, else the first bytes of it. */
static int map_fd(int fd, size_t *bytes, int protection, void **out)
{
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0 || status.st_size <= 0)
        return -EPROTO;
    if (*bytes == 0)
        *bytes = (size_t)status.st_size;
    if ((uint64_t)status.st_size < *bytes)
        return -EPROTO;
    void *map = mmap(NULL, *bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    *out = map;
    return 0;
}

static int link_map(struct link *link, const struct link_place *place,
                    const struct descriptor_set *set)
{
    size_t arena_bytes = 0;
    size_t page_bytes = RING_PAGE_BYTES;
    size_t outgoing_bytes = OUTGOING_MAP_BYTES;
    void *map = NULL;
    int error = map_fd(set_fd(set, place->arena), &arena_bytes, PROT_READ, &map);

    if (error != 0)
        return error;
    link->arena = map;
    link->reader.arena_bytes = arena_bytes;
    error = map_fd(set_fd(set, place->page), &page_bytes, PROT_READ | PROT_WRITE, &map);
    if (error != 0)
        return error;
    link->page = map;
    error = map_fd(set_fd(set, place->outgoing), &outgoing_bytes, PROT_READ | PROT_WRITE, &map);
    if (error != 0)
        return error;
    link->outgoing = map;
    return ring_reader_init(&link->reader, link->arena, arena_bytes, link->page);
}

static int take_fd(struct descriptor_set *set, size_t index)
{
    int fd = set_fd(set, index);

    if (fd >= 0)
        set->fds[index] = -1;
    return fd;
}

int link_open(struct link **out, const struct link_place *place, struct descriptor_set *set)
{
    struct link *link = calloc(1, sizeof(*link));

    *out = NULL;
    if (link == NULL)
        return -ENOMEM;
    link->lane = place->lane;
    link->is_live = true;
    link->wake = link->doorbell = link->epoll = -1;
    int error = link_map(link, place, set);
    if (error == 0) {
        link->wake = take_fd(set, place->wake);
        link->doorbell = take_fd(set, place->doorbell);
        if (link->wake < 0 || link->doorbell < 0)
            error = -EPROTO;
    }
    if (error != 0) {
        link_free(link);
        return error;
    }
    link->handed = link->released = link->reader.claimed;
    *out = link;
    return 0;
}

int link_watch(struct link *link, int epoll)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = link->wake};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, link->wake, &event) != 0)
        return -errno;
    link->epoll = epoll;
    return 0;
}

int link_set_slot(struct link *link, uint64_t slot, struct registration *r)
{
    if (slot >= MAX_SLOTS)
        return -EPROTO;
    if (slot >= link->n_slots) {
        size_t n = link->n_slots == 0 ? 8 : link->n_slots;
        while (n <= slot)
            n *= 2;
        struct registration **slots = realloc(link->slots, n * sizeof(*slots));
        if (slots == NULL)
            return -ENOMEM;
        memset(slots + link->n_slots, 0, (n - link->n_slots) * sizeof(*slots));
        link->slots = slots;
        link->n_slots = n;
    }
    link->slots[slot] = r;
    return 0;
}

void link_ring_doorbell(const struct link *link)
{
    const uint64_t one = 1;

    /* It fails only where it has been rung 2^64 times, and then it is heard as well. */
    if (link->doorbell >= 0 && write(link->doorbell, &one, sizeof(one)) < 0)
        return;
}

void link_end(struct link *link)
{
    link->is_live = false;
    link->held = NULL;
    /* Closing is not enough where a forked child has the descriptor too. */
    if (link->epoll >= 0)
        epoll_ctl(link->epoll, EPOLL_CTL_DEL, link->wake, NULL);
    link->epoll = -1;
    if (link->wake >= 0)
        close(link->wake);
    if (link->doorbell >= 0)
        close(link->doorbell);
    link->wake = link->doorbell = -1;
    if (link->outgoing != NULL)
        munmap(link->outgoing, OUTGOING_MAP_BYTES);
    link->outgoing = NULL;
    free(link->slots);
    link->slots = NULL;
    link->n_slots = 0;
}

struct link *link_free(struct link *link)
{
    if (link == NULL)
        return NULL;
    /* A forked child may close what it has, without taking it from its parent's epoll. */
    link->epoll = -1;
    link_end(link);
    if (link->page != NULL)
        munmap(link->page, RING_PAGE_BYTES);
    if (link->arena != NULL)
        munmap(link->arena, link->reader.arena_bytes);
    free(link);
    return NULL;
}
