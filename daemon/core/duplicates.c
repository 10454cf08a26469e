/* SPDX-License-Identifier: MIT */
/* Which framed messages have been kept already. */
#include "daemon/core/duplicates.h"

#include <errno.h>
#include <string.h>

#define WINDOW_WORDS (DUPLICATES_WINDOW / 64)

/* What a number's two bits say: neither, it is new; kept alone; both, released; released alone,
 * pending. Bits are those of the numbers from highest - DUPLICATES_WINDOW + 1 to highest, at number
 * modulo DUPLICATES_WINDOW. */
struct source_window {
    struct recent_entry at;
    uint64_t endpoint;
    uint64_t source;
    uint64_t highest;
    uint64_t kept[WINDOW_WORDS];
    uint64_t released[WINDOW_WORDS];
};

struct text_row {
    struct recent_entry at;
    uint64_t endpoint;
    uint8_t n;
    bool is_kept;
    bool is_released;
    char text[FRAME_ID_MAX];
};

static enum duplicate state_of(bool is_kept, bool is_released)
{
    if (is_kept)
        return is_released ? DUPLICATE_RELEASED : DUPLICATE_KEPT;
    return is_released ? DUPLICATE_PENDING : DUPLICATE_NOT;
}

int duplicates_init(struct duplicates *d, const struct duplicates_options *o)
{
    struct recent_options sources = {.entry_bytes = sizeof(struct source_window),
                                     .capacity = o->max_sources,
                                     .life_ms = DUPLICATES_LIFE_MS};
    struct recent_options texts = {.entry_bytes = sizeof(struct text_row),
                                   .capacity = DUPLICATES_TEXTS,
                                   .life_ms = DUPLICATES_LIFE_MS};

    *d = (struct duplicates){.key = o->key};
    if (recent_init(&d->sources, &sources) == 0 && recent_init(&d->texts, &texts) == 0)
        return 0;
    duplicates_deinit(d);
    return -ENOMEM;
}

void duplicates_deinit(struct duplicates *d)
{
    recent_deinit(&d->sources);
    recent_deinit(&d->texts);
    *d = (struct duplicates){0};
}

/* ---- Sources ---- */

static uint64_t hash_source(const struct duplicates *d, const struct message_key *k)
{
    const uint64_t words[2] = {k->endpoint, k->id->source};

    return keyed_hash(&d->key, words, sizeof(words));
}

static bool is_source(const void *entry, const void *key)
{
    const struct source_window *w = entry;
    const struct message_key *k = key;

    return w->endpoint == k->endpoint && w->source == k->id->source;
}

static struct source_window *find_source(struct duplicates *d, const struct message_key *k)
{
    /* A source sends many, one after the other. */
    if (d->last == NULL || !is_source(d->last, k))
        d->last = recent_find(&d->sources, hash_source(d, k), is_source, k);
    return d->last;
}

static uint64_t *word_of(uint64_t *words, uint64_t number, uint64_t *mask)
{
    *mask = UINT64_C(1) << number % 64;
    return &words[number % DUPLICATES_WINDOW / 64];
}

static bool bit_of(const uint64_t *words, uint64_t number)
{
    return (words[number % DUPLICATES_WINDOW / 64] >> number % 64 & 1) != 0;
}

static void clear_bits(struct source_window *w, uint64_t number)
{
    uint64_t mask;

    *word_of(w->kept, number, &mask) &= ~mask;
    *word_of(w->released, number, &mask) &= ~mask;
}

/* Number lies within the window, or above it. */
static bool is_in_reach(const struct source_window *w, uint64_t number)
{
    return number > w->highest || w->highest - number < DUPLICATES_WINDOW;
}

static void advance(struct source_window *w, uint64_t number)
{
    if (number - w->highest >= DUPLICATES_WINDOW) {
        memset(w->kept, 0, sizeof(w->kept));
        memset(w->released, 0, sizeof(w->released));
        w->highest = number;
    }
    while (w->highest < number)
        clear_bits(w, ++w->highest);
}

static enum duplicate look_at_source(struct duplicates *d, const struct message_key *k,
                                     uint64_t now_ms)
{
    struct source_window *w = find_source(d, k);
    uint64_t number = k->id->number;

    if (w == NULL)
        return recent_has_room(&d->sources, now_ms) ? DUPLICATE_NOT : DUPLICATE_NO_ROOM;
    recent_touch(&d->sources, w, now_ms);
    if (number > w->highest)
        return DUPLICATE_NOT;
    if (!is_in_reach(w, number))
        return DUPLICATE_RELEASED;
    return state_of(bit_of(w->kept, number), bit_of(w->released, number));
}

static void keep_of_source(struct duplicates *d, const struct message_key *k, uint64_t now_ms,
                           bool is_pending)
{
    struct source_window *w = find_source(d, k);
    uint64_t mask;

    if (w == NULL) {
        w = recent_add(&d->sources, hash_source(d, k), now_ms);
        w->endpoint = k->endpoint;
        w->source = k->id->source;
        w->highest = k->id->number;
        memset(w->kept, 0, sizeof(w->kept));
        memset(w->released, 0, sizeof(w->released));
        d->last = w;
    }
    if (k->id->number > w->highest)
        advance(w, k->id->number);
    *word_of(is_pending ? w->released : w->kept, k->id->number, &mask) |= mask;
}

/* ---- Texts ---- */

static uint64_t hash_text(const struct duplicates *d, const struct message_key *k)
{
    uint8_t bytes[sizeof(k->endpoint) + FRAME_ID_MAX];

    memcpy(bytes, &k->endpoint, sizeof(k->endpoint));
    memcpy(bytes + sizeof(k->endpoint), k->id->text.bytes, k->id->text.n);
    return keyed_hash(&d->key, bytes, sizeof(k->endpoint) + k->id->text.n);
}

static bool is_text(const void *entry, const void *key)
{
    const struct text_row *t = entry;
    const struct message_key *k = key;

    return t->endpoint == k->endpoint && t->n == k->id->text.n &&
           memcmp(t->text, k->id->text.bytes, t->n) == 0;
}

static struct text_row *find_text(const struct duplicates *d, const struct message_key *k)
{
    return recent_find(&d->texts, hash_text(d, k), is_text, k);
}

static enum duplicate look_at_text(struct duplicates *d, const struct message_key *k,
                                   uint64_t now_ms)
{
    struct text_row *t = find_text(d, k);

    if (t == NULL)
        return recent_has_room(&d->texts, now_ms) ? DUPLICATE_NOT : DUPLICATE_NO_ROOM;
    recent_touch(&d->texts, t, now_ms);
    return state_of(t->is_kept, t->is_released);
}

static void keep_text(struct duplicates *d, const struct message_key *k, uint64_t now_ms,
                      bool is_pending)
{
    struct text_row *t = find_text(d, k);

    if (t == NULL) {
        t = recent_add(&d->texts, hash_text(d, k), now_ms);
        t->endpoint = k->endpoint;
        t->n = (uint8_t)k->id->text.n;
        memcpy(t->text, k->id->text.bytes, t->n);
    }
    t->is_kept = !is_pending;
    t->is_released = is_pending;
}

/* ---- Both ---- */

enum duplicate duplicates_look(struct duplicates *d, const struct message_key *k, uint64_t now_ms)
{
    return k->id->is_numbered ? look_at_source(d, k, now_ms) : look_at_text(d, k, now_ms);
}

void duplicates_keep(struct duplicates *d, const struct message_key *k, uint64_t now_ms)
{
    if (k->id->is_numbered)
        keep_of_source(d, k, now_ms, false);
    else
        keep_text(d, k, now_ms, false);
}

void duplicates_pend(struct duplicates *d, const struct message_key *k, uint64_t now_ms)
{
    if (k->id->is_numbered)
        keep_of_source(d, k, now_ms, true);
    else
        keep_text(d, k, now_ms, true);
}

bool duplicates_commit(struct duplicates *d, const struct message_key *k)
{
    if (!k->id->is_numbered) {
        struct text_row *t = find_text(d, k);
        bool is_pending = t != NULL && state_of(t->is_kept, t->is_released) == DUPLICATE_PENDING;
        if (is_pending) {
            t->is_kept = true;
            t->is_released = false;
        }
        return is_pending;
    }
    struct source_window *w = find_source(d, k);
    uint64_t number = k->id->number, mask;
    if (w == NULL || number > w->highest || !is_in_reach(w, number) ||
        state_of(bit_of(w->kept, number), bit_of(w->released, number)) != DUPLICATE_PENDING)
        return false;
    *word_of(w->kept, number, &mask) |= mask;
    *word_of(w->released, number, &mask) &= ~mask;
    return true;
}

void duplicates_release(struct duplicates *d, const struct message_key *k, uint64_t now_ms)
{
    if (k->id->is_numbered) {
        struct source_window *w = find_source(d, k);
        uint64_t mask;
        if (w == NULL || k->id->number > w->highest || !is_in_reach(w, k->id->number))
            return;
        recent_touch(&d->sources, w, now_ms);
        *word_of(w->released, k->id->number, &mask) |= mask;
        *word_of(w->kept, k->id->number, &mask) |= mask;
        return;
    }
    struct text_row *t = find_text(d, k);
    if (t == NULL)
        return;
    recent_touch(&d->texts, t, now_ms);
    t->is_kept = t->is_released = true;
}

void duplicates_forget(struct duplicates *d, const struct message_key *k)
{
    if (k->id->is_numbered) {
        struct source_window *w = find_source(d, k);
        if (w != NULL && k->id->number <= w->highest && is_in_reach(w, k->id->number))
            clear_bits(w, k->id->number);
        return;
    }
    struct text_row *t = find_text(d, k);
    if (t != NULL)
        t->is_kept = t->is_released = false;
}
