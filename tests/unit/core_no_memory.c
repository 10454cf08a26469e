/* SPDX-License-Identifier: MIT */
/* Every allocation of the configuration and of the logic below it failed in turn: no crash, no
 * leak. */
#include "daemon/config/config.h"
#include "daemon/core/quarantine.h"
#include "daemon/core/registry.h"
#include "daemon/core/reply_cache.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The linker sends the libraries' calls here (CMakeLists.txt, --wrap). */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **out, const char *format, va_list arguments);
int __wrap___vasprintf_chk(char **out, int flag, const char *format, va_list arguments);

static unsigned long left; /* 0: none fails; the one that makes it 0 does */
static bool has_failed;

static bool fails(void)
{
    if (left == 0 || --left > 0)
        return false;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

int __wrap_vasprintf(char **out, const char *format, va_list arguments)
{
    char text[512];

    if (fails())
        return -1;
    vsnprintf(text, sizeof(text), format, arguments);
    *out = __real_strdup(text);
    return (int)strlen(text);
}

int __wrap___vasprintf_chk(char **out, int flag, const char *format, va_list arguments)
{
    (void)flag;
    return __wrap_vasprintf(out, format, arguments);
}

/* Runs `attempt` with its first, second... allocation failed until one run has no failure. */
static void fail_each(void (*attempt)(void))
{
    unsigned long n = 0;

    do {
        left = ++n;
        has_failed = false;
        attempt();
        left = 0;
    } while (has_failed);
    cr_assert_gt(n, 5);
}

static void load_example(void)
{
    static const struct config_environment user = {.uid = 1000, .home = "/home/a"};
    static struct config_error error;
    struct config config;
    int outcome = config_init_defaults(&config, &user);

    if (outcome == 0) {
        outcome = config_load(&config, EXAMPLES "/msgd.json", &error);
        config_deinit(&config);
    }
    cr_expect_eq(outcome, has_failed ? -ENOMEM : 0, "%d: %s", outcome, error.expected);
}

Test(core_no_memory, the_configuration_is_refused_and_nothing_leaks)
{
    fail_each(load_example);
}

static void fill_registry(struct registry *r)
{
    struct settings s, changed;
    struct entry *e;

    for (int i = 0; i < 40; i++) {
        settings_init(&s);
        snprintf(s.name, sizeof(s.name), "n%d", i);
        if (registry_insert(r, &s, NULL, (struct owner){0}, 0, &e) < 0) {
            settings_deinit(&s);
            continue;
        }
        for (int j = 0; j < 5; j++) {
            if (registry_wait(e, &s) == 0)
                continue;
            cr_expect_eq(e->n_waiters, j);
            break;
        }
        while (registry_pop_waiter(e))
            ;
        if (settings_copy(&e->settings, &changed) == 0)
            registry_configure(r, e, &changed);
        cr_expect_eq(registry_find(r, e->settings.name), e);
    }
    cr_expect_geq(registry_count(r), 39);
}

static void use_registry(void)
{
    struct registry *r;

    if (registry_new(&r, (struct port_span){1, 9}, 1) < 0) {
        cr_expect_null(r);
        return;
    }
    fill_registry(r);
    registry_free(r);
}

Test(core_no_memory, the_registry_goes_on_with_what_it_has)
{
    fail_each(use_registry);
}

static void use_quarantine(void)
{
    struct quarantine *q;
    int n = 0, n_written = 0;

    if (quarantine_new(&q, 1 << 20, 1) < 0)
        return;
    for (uid_t i = 0; i < 40; i++) {
        struct rejected r = {.uid = i, .bytes = (const uint8_t *)"x", .n_bytes = 1};

        n += quarantine_add(q, &r) == 0;
    }
    cr_expect_eq(quarantine_count(q), (size_t)n);
    cr_expect_eq(quarantine_discarded_all(q), (uint64_t)(40 - n));
    for (const struct rejected *r; (r = quarantine_unwritten(q));) {
        uint64_t id = r->id;

        if (quarantine_begin_write(q, id) < 0)
            break;
        quarantine_end_write(q, id, true);
        n_written++;
    }
    quarantine_purge(q, NULL);
    while (quarantine_take_deletion(q) != 0)
        n_written--;
    cr_expect_eq(n_written, 0, "what was written is deleted");
    quarantine_free(q);
}

Test(core_no_memory, the_quarantine_counts_what_it_cannot_keep)
{
    fail_each(use_quarantine);
}

static void use_quota(void)
{
    static const struct quota_limits limits = {9, 9, 9, 9};
    struct quota_refusal refusal;
    struct account *account;
    struct quota *q;
    size_t n = 0;

    if (quota_new(&q, &limits, 1) < 0)
        return;
    for (uid_t i = 0; i < 40; i++) {
        int outcome = quota_take_endpoint(q, i, &account, &refusal);

        cr_expect(outcome == 0 || (outcome == -ENOMEM && !account));
        n += outcome == 0;
    }
    cr_expect_eq(quota_count(q), n);
    quota_free(q);
}

Test(core_no_memory, a_quota_that_cannot_be_counted_is_not_given)
{
    fail_each(use_quota);
}

static void use_duplicates(void)
{
    const struct duplicates_options options = {.max_sources = 10};
    struct duplicates duplicates;
    struct reply_cache cache;
    struct frame_id id;
    struct message_key key = {.endpoint = 1, .id = &id};

    frame_id_read("once", 4, &id);
    if (duplicates_init(&duplicates, &options) == 0 &&
        duplicates_look(&duplicates, &key, 0) == DUPLICATE_NOT)
        duplicates_keep(&duplicates, &key, 0);
    if (reply_cache_init(&cache, &options.key, 1000) == 0)
        reply_cache_put(&cache, &key, "1", 1);
    duplicates_deinit(&duplicates);
    reply_cache_deinit(&cache);
}

Test(core_no_memory, what_remembers_messages_is_there_whole_or_not_at_all)
{
    fail_each(use_duplicates);
}
