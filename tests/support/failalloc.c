/* SPDX-License-Identifier: MIT */
/*
 * An LD_PRELOAD library that fails one allocation: the n-th that msgd's own code, libmsgd or
 * jansson asks for, directly or through libc (strdup, asprintf...). Allocations of libuv, which
 * aborts without memory by its own decision, of libsystemd, of libc for itself and of its name
 * service are left alone.
 *
 *     FAILALLOC_AT=N       fails the N-th (0 or unset: none)
 *     FAILALLOC_EVERY=1    fails every one from the N-th on
 *     FAILALLOC_REPORT=F   writes how many were counted to F when the process ends, and " failed"
 * if one was
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_RANGES 32
#define MAX_FRAMES 24

struct range {
    uintptr_t from, to;
    bool is_counted; /* else libc: look at who called it */
};

static struct range ranges[MAX_RANGES];
static unsigned n_ranges;
static _Atomic uint64_t n_counted;
static _Atomic bool has_failed;
static uint64_t fail_at;
static bool fails_every;
static char report_path[256];
static _Atomic bool is_ready;
static __thread bool is_inside;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);

/* dlsym may allocate before it has found the allocator. */
static _Alignas(16) char early[16384];
static size_t n_early;

static void *early_alloc(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (sizeof early - n_early < size)
        return NULL;
    void *p = early + n_early;
    n_early += size;
    return p;
}

static bool is_early(const void *p)
{
    return (const char *)p >= early && (const char *)p < early + sizeof early;
}

static void find_real(void)
{
    static bool is_finding;
    if (real_free != NULL || is_finding)
        return;
    is_finding = true;
    *(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&real_free = dlsym(RTLD_NEXT, "free");
    is_finding = false;
}

/* ---- Whose allocation it is ---- */

static bool has_name(const char *path, const char *start)
{
    const char *slash = strrchr(path, '/');
    return strncmp(slash == NULL ? path : slash + 1, start, strlen(start)) == 0;
}

static int note_object(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    bool is_program = info->dlpi_name[0] == '\0';
    bool is_counted = is_program || has_name(info->dlpi_name, "libmsgd") ||
                      has_name(info->dlpi_name, "libjansson");
    if (!is_counted && !has_name(info->dlpi_name, "libc.so"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum && n_ranges < MAX_RANGES; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0)
            ranges[n_ranges++] =
                (struct range){info->dlpi_addr + p->p_vaddr,
                               info->dlpi_addr + p->p_vaddr + p->p_memsz, is_counted};
    }
    return 0;
}

static const struct range *range_of(const void *code)
{
    for (unsigned i = 0; i < n_ranges; i++)
        if ((uintptr_t)code >= ranges[i].from && (uintptr_t)code < ranges[i].to)
            return &ranges[i];
    return NULL;
}

/* Looking up users, groups and hosts: glibc's own code asserts or crashes without memory. */
static bool is_name_service(const void *code)
{
    static const char *const starts[] = {"getgr", "getpw", "getaddrinfo", "initgroups"};
    Dl_info info;

    if (dladdr(code, &info) == 0 || info.dli_sname == NULL)
        return false;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strncmp(info.dli_sname, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

/* For a call out of libc: the first frame above libc decides. */
static bool is_for_counted(void)
{
    void *frames[MAX_FRAMES];
    bool was_in_libc = false;
    is_inside = true;
    int n = backtrace(frames, MAX_FRAMES);
    is_inside = false;
    for (int i = 1; i < n; i++) {
        const struct range *r = range_of(frames[i]);
        bool is_libc = r != NULL && !r->is_counted;
        if (was_in_libc && !is_libc)
            return r != NULL && r->is_counted && !is_name_service(frames[i - 1]);
        was_in_libc = was_in_libc || is_libc;
    }
    return false;
}

static bool must_fail(const void *caller)
{
    if (!atomic_load_explicit(&is_ready, memory_order_acquire) || is_inside)
        return false;
    const struct range *r = range_of(caller);
    if (r == NULL || (!r->is_counted && !is_for_counted()))
        return false;
    uint64_t number = atomic_fetch_add(&n_counted, 1) + 1;
    if (fail_at == 0 || (fails_every ? number < fail_at : number != fail_at))
        return false;
    atomic_store(&has_failed, true);
    errno = ENOMEM;
    return true;
}

/* ---- What is interposed ---- */

void *malloc(size_t size)
{
    find_real();
    if (real_malloc == NULL)
        return early_alloc(size);
    return must_fail(__builtin_return_address(0)) ? NULL : real_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    find_real();
    if (real_calloc == NULL)
        return early_alloc(n * size);
    return must_fail(__builtin_return_address(0)) ? NULL : real_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    find_real();
    if (must_fail(__builtin_return_address(0)))
        return NULL;
    if (!is_early(p))
        return real_realloc(p, size);
    void *fresh = real_malloc(size);
    if (fresh != NULL)
        memcpy(fresh, p,
               (size_t)(early + sizeof early - (char *)p) < size
                   ? (size_t)(early + sizeof early - (char *)p)
                   : size);
    return fresh;
}

void *reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    find_real();
    return must_fail(__builtin_return_address(0)) ? NULL : real_realloc(p, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    static int (*real)(void **, size_t, size_t);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "posix_memalign");
    return must_fail(__builtin_return_address(0)) ? ENOMEM : real(out, alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    static void *(*real)(size_t, size_t);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "aligned_alloc");
    return must_fail(__builtin_return_address(0)) ? NULL : real(alignment, size);
}

void free(void *p)
{
    find_real();
    if (p != NULL && !is_early(p))
        real_free(p);
}

/* ---- Begin and end ---- */

__attribute__((constructor)) static void begin(void)
{
    void *frames[2];
    is_inside = true;
    backtrace(frames, 2); /* loads the unwinder, which allocates */
    dl_iterate_phdr(note_object, NULL);
    const char *at = getenv("FAILALLOC_AT"), *every = getenv("FAILALLOC_EVERY"),
               *report = getenv("FAILALLOC_REPORT");
    fail_at = at == NULL ? 0 : strtoull(at, NULL, 10);
    fails_every = every != NULL;
    if (report != NULL)
        snprintf(report_path, sizeof report_path, "%s", report);
    is_inside = false;
    atomic_store_explicit(&is_ready, true, memory_order_release);
}

__attribute__((destructor)) static void finish(void)
{
    char text[64];
    atomic_store(&is_ready, false);
    if (report_path[0] == '\0')
        return;
    int fd = open(report_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int n = snprintf(text, sizeof text, "%llu%s\n", (unsigned long long)n_counted,
                     has_failed ? " failed" : "");
    if (fd >= 0 && write(fd, text, (size_t)n) == n)
        close(fd);
}
