/* SPDX-License-Identifier: MIT */
/* Parsing JSON without being misled when memory ends. */
#include "proto/json_input.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * What jansson may still ask for after the input has ended: twice the token in hand, as it grows by
 * doubling, and the values of the 1,024 bytes that it has read ahead.
 */
#define RESERVE_BYTES (512u * 1024u)
#define KEPT_BYTES    (8u * 1024u * 1024u)
#define BLOCK_ALIGN   _Alignof(max_align_t)

/* The parse that this thread is in, if any. */
struct parse {
    const char *text;
    size_t left;
    uint8_t *reserve;
    size_t n_reserve;
    size_t used;
};

static _Thread_local struct parse *current;
/* A reserve of this thread for its next parse; never touched while there is memory. */
static _Thread_local uint8_t *kept;
static _Thread_local size_t n_kept;
static bool is_guarded;
static size_t max_kept = KEPT_BYTES;
/* Whom the allocation functions were before. */
static json_malloc_t next_malloc = malloc;
static json_free_t next_free = free;

static void *take_reserve(struct parse *p, size_t n)
{
    size_t wanted = (n + BLOCK_ALIGN - 1) & ~(BLOCK_ALIGN - 1);
    void *block = p->reserve + p->used;

    if (wanted < n || wanted > p->n_reserve - p->used)
        return NULL;
    p->used += wanted;
    return block;
}

static void *allocate(size_t n)
{
    void *block = next_malloc(n);

    return block || !current || !current->reserve ? block : take_reserve(current, n);
}

static void release(void *block)
{
    uint8_t *at = block;

    if (current && current->reserve && at >= current->reserve &&
        at < current->reserve + current->n_reserve)
        return;
    next_free(block);
}

void json_input_guard(void)
{
    if (is_guarded)
        return;
    is_guarded = true;
    json_get_alloc_funcs(&next_malloc, &next_free);
    json_set_alloc_funcs(allocate, release);
}

void json_input_guard_library(void)
{
    max_kept = 0;
    json_input_guard();
}

static size_t feed(void *buffer, size_t room, void *data)
{
    struct parse *p = data;
    size_t n = p->left < room ? p->left : room;

    if (p->used > 0)
        return 0;
    memcpy(buffer, p->text, n);
    p->text += n;
    p->left -= n;
    return n;
}

static json_t *parse(struct parse *p, size_t flags, json_error_t *error)
{
    json_t *root;

    current = p;
    root = json_load_callback(feed, p, flags, error);
    if (p->used > 0 && root) {
        json_decref(root);
        root = NULL;
    }
    current = NULL;
    return root;
}

/* Without a text jansson has mostly met a failed allocation. */
static int outcome_of(const struct parse *p, const json_error_t *error)
{
    if (p->used > 0 || !error->text[0] || json_error_code(error) == json_error_out_of_memory)
        return -ENOMEM;
    return -EINVAL;
}

/* The kept one, or a larger one in its place. False: no memory. */
static bool open_reserve(struct parse *p, size_t n)
{
    if (n > n_kept) {
        free(kept);
        kept = malloc(n);
        n_kept = kept ? n : 0;
    }
    p->reserve = kept;
    p->n_reserve = n_kept;
    return kept != NULL;
}

static void close_reserve(void)
{
    if (n_kept <= max_kept)
        return;
    free(kept);
    kept = NULL;
    n_kept = 0;
}

int json_input_parse(const char *text, size_t n_text, size_t flags, json_t **out,
                     json_error_t *error)
{
    struct parse p = {.text = text, .left = n_text};

    *out = NULL;
    if (is_guarded && !open_reserve(&p, RESERVE_BYTES + 4 * n_text))
        return -ENOMEM;
    *out = parse(&p, flags, error);
    close_reserve();
    return *out ? 0 : outcome_of(&p, error);
}
