/* SPDX-License-Identifier: MIT */
/* One allocation of this thread fails. For one file of a test that is linked with --wrap for the
 * allocating functions. */
#ifndef MSGD_TESTS_FAILING_MALLOC_H
#define MSGD_TESTS_FAILING_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

static _Thread_local unsigned long n_allocations;
static _Thread_local unsigned long fail_at; /* 0: none */

static bool fails(void)
{
    return ++n_allocations == fail_at;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t each);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t each);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t each)
{
    return fails() ? NULL : __real_calloc(n, each);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
    return fails() ? NULL : __real_strndup(text, n);
}

#endif
