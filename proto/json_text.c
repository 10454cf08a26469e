/* SPDX-License-Identifier: MIT */
/*
 * The JSON validator of the data path.
 *
 * Two bitmaps describe a window of 64 bytes: where a string may stop, and what is no digit. They
 * are made with a few vector instructions, so that finding the end of a string or of a number is a
 * count of zeros instead of a loop with a branch a byte; one window serves all tokens in it.
 *
 * White space is cut off at both ends first. An object or array then ends with '}' or ']', and
 * since no token runs over these, the walk meets the last byte before it could pass it: it needs no
 * comparison with the end. Other values, rare at the top, go to json_text_check.c, which answers
 * the same question the plain way.
 */
#include "proto/json_text.h"
#include "proto/text.h"

#include <endian.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define WINDOW_BYTES  64

_Static_assert(JSON_TEXT_SLACK >= WINDOW_BYTES, "a window may start at the last byte");
_Static_assert(JSON_TEXT_MAX_DEPTH == 128, "struct walk has a bit for each level");

/* What is where in WINDOW_BYTES bytes; bit i is byte i. */
struct bitmaps {
    uint64_t stops;  /* '"', '\\', below 0x20, above 0x7f */
    uint64_t others; /* all but '0' to '9' */
};

struct walk {
    const uint8_t *end;
    const uint8_t *window;
    struct bitmaps bits; /* of the window; stops before the position are gone */
    unsigned depth;
    uint64_t nesting[2]; /* a stack of bits, the innermost lowest in [0]; 1: object, 0: array */
    bool padded;
};

#ifdef __SSE2__
static inline uint64_t mask_16(__m128i bytes)
{
    return (uint64_t)(uint32_t)_mm_movemask_epi8(bytes);
}

static inline struct bitmaps classify(const uint8_t *p)
{
    struct bitmaps bits = {0};

#pragma GCC unroll 4
    for (int i = 0; i < WINDOW_BYTES; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        /* signed: bytes from 0x80 on are less than 0x20 too */
        __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));
        __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
        __m128i backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
        __m128i value = _mm_sub_epi8(v, _mm_set1_epi8('0'));
        __m128i digit = _mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value);

        bits.stops |= mask_16(_mm_or_si128(low, _mm_or_si128(quote, backslash))) << i;
        bits.others |= mask_16(digit) << i;
    }
    bits.others = ~bits.others;
    return bits;
}
#else
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The highest bit of each byte, as eight bits. */
static inline uint64_t mask_8(uint64_t bytes)
{
    return ((bytes >> 7 & EACH(1)) * UINT64_C(0x0102040810204080)) >> 56;
}

/* The highest bit of each byte says whether it is at least so much, which is at most 0x80. */
static inline uint64_t at_least(uint64_t bytes, uint8_t least)
{
    return ((bytes & EACH(0x7f)) + EACH(0x80u - least)) | bytes;
}

static inline struct bitmaps classify(const uint8_t *p)
{
    struct bitmaps bits = {0};

    for (int i = 0; i < WINDOW_BYTES; i += 8) {
        uint64_t v;

        memcpy(&v, p + i, sizeof v);
        v = le64toh(v);

        uint64_t plain =
            at_least(v, 0x20) & at_least(v ^ EACH('"'), 1) & at_least(v ^ EACH('\\'), 1) & ~v;

        bits.stops |= mask_8(~plain) << i;
        bits.others |= mask_8(at_least(v ^ EACH('0'), 10)) << i;
    }
    return bits;
}
#endif

/* The bitmaps of what is left from p on, at least one byte. */
static __attribute__((noinline)) struct bitmaps bitmaps_load(const uint8_t *p, size_t left,
                                                             bool padded)
{
    if (left >= WINDOW_BYTES)
        return classify(p);

    uint8_t copy[WINDOW_BYTES] = {0};
    uint64_t text = ~(~UINT64_C(0) << left);

    if (!padded)
        p = memcpy(copy, p, left);

    struct bitmaps bits = classify(p);

    bits.stops &= text;
    bits.others |= ~text;
    return bits;
}

/* Moves the window to p, which is before the end. */
ALWAYS_INLINE void window_load(struct walk *w, const uint8_t *p)
{
    w->window = p;
    w->bits = bitmaps_load(p, (size_t)(w->end - p), w->padded);
}

/* False: there is no text after this window. */
ALWAYS_INLINE bool window_next(struct walk *w)
{
    if (w->end - w->window <= WINDOW_BYTES)
        return false;
    window_load(w, w->window + WINDOW_BYTES);
    return true;
}

/* Moves on to p, which is before the end: stops before it are done with. */
ALWAYS_INLINE void window_seek(struct walk *w, const uint8_t *p)
{
    while (p - w->window >= WINDOW_BYTES)
        window_load(w, w->window + WINDOW_BYTES);
    w->bits.stops &= ~UINT64_C(0) << (p - w->window);
}

/* Number of the lowest bit that is set; bits is not 0. */
ALWAYS_INLINE unsigned first_bit(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits);
}

static inline bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* There is a byte at or after p that is no space. */
ALWAYS_INLINE const uint8_t *space_end(const uint8_t *p)
{
    while (*p <= ' ' && is_space(*p))
        p++;
    return p;
}

static bool is_hex(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9 || (uint8_t)((c | 0x20) - 'a') <= 5;
}

/* p: at the backslash, which is not the last byte. The end of the escape, or NULL. */
static const uint8_t *escape_end(const uint8_t *p, const uint8_t *end)
{
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 2;
    case 'u':
        if (end - p < 6 || !is_hex(p[2]) || !is_hex(p[3]) || !is_hex(p[4]) || !is_hex(p[5]))
            return NULL;
        return p + 6;
    default:
        return NULL;
    }
}

/* p: at a byte above 0x7f. The end of the run of well-formed sequences, or NULL. */
static const uint8_t *utf8_run_end(const uint8_t *p, const uint8_t *end)
{
    while (p<end && * p> 0x7f) {
        size_t n = utf8_sequence_length(p, (size_t)(end - p));

        if (n == 0)
            return NULL;
        p += n;
    }
    return p;
}

/* q: at a stop inside a string that is not its end. Where the string goes on, or NULL. */
static const uint8_t *stop_end(const uint8_t *q, const uint8_t *end)
{
    if (*q == '\\')
        return escape_end(q, end);
    return *q > 0x7f ? utf8_run_end(q, end) : NULL;
}

/*
 * p: at the opening quote. What follows the closing one, or NULL.
 * Where the string ends comes from the bitmap alone; p is only compared. So one string's end does
 * not wait for the end of the number before it, and the processor works on both at once.
 */
ALWAYS_INLINE const uint8_t *string_end(struct walk *w, const uint8_t *p)
{
    if (w->bits.stops == 0 || w->window + first_bit(w->bits.stops) != p)
        window_seek(w, p);
    w->bits.stops &= w->bits.stops - 1;
    for (;;) {
        while (w->bits.stops == 0) {
            if (!window_next(w))
                return NULL;
        }

        const uint8_t *q = w->window + first_bit(w->bits.stops);

        w->bits.stops &= w->bits.stops - 1;
        if (*q == '"')
            return q + 1;
        q = stop_end(q, w->end);
        if (q == NULL)
            return NULL;
        window_seek(w, q);
    }
}

/* The end of the digits from p on, which may be none. The text does not end with a digit. */
ALWAYS_INLINE const uint8_t *digits_end(struct walk *w, const uint8_t *p)
{
    for (;;) {
        if (p - w->window >= WINDOW_BYTES)
            window_seek(w, p);

        uint64_t others = w->bits.others >> (p - w->window);

        if (others != 0)
            return p + first_bit(others);
        p = w->window + WINDOW_BYTES;
    }
}

/* p: at '-' or a digit; a byte that no number contains follows. The number's end, or NULL. */
ALWAYS_INLINE const uint8_t *number_end(struct walk *w, const uint8_t *p)
{
    if (*p == '-')
        p++;

    const uint8_t *q = digits_end(w, p);

    if (q == p || (*p == '0' && q != p + 1))
        return NULL;
    if (*q == '.') {
        p = q + 1;
        q = digits_end(w, p);
        if (q == p)
            return NULL;
    }
    if ((*q | 0x20) == 'e') {
        q++;
        if (*q == '+' || *q == '-')
            q++;
        p = q;
        q = digits_end(w, p);
        if (q == p)
            return NULL;
    }
    return q;
}

ALWAYS_INLINE const uint8_t *word_end(const struct walk *w, const uint8_t *p, const char *word,
                                      size_t n)
{
    return (size_t)(w->end - p) >= n && memcmp(p, word, n) == 0 ? p + n : NULL;
}

ALWAYS_INLINE bool nesting_push(struct walk *w, unsigned is_object)
{
    w->nesting[1] = w->nesting[1] << 1 | w->nesting[0] >> 63;
    w->nesting[0] = w->nesting[0] << 1 | is_object;
    return w->depth++ < JSON_TEXT_MAX_DEPTH;
}

ALWAYS_INLINE void nesting_pop(struct walk *w)
{
    w->nesting[0] = w->nesting[0] >> 1 | w->nesting[1] << 63;
    w->nesting[1] >>= 1;
    w->depth--;
}

/*
 * p: at the '{' or '[' of a text whose last byte is '}' or ']', so that nothing else runs past it.
 * One switch for all values: with the scalars' in a function of their own it takes a tenth longer.
 */
ALWAYS_INLINE bool walk_container(struct walk *w, const uint8_t *p)
{
value:
    p = space_end(p);
    switch (*p) {
    case '{':
        if (!nesting_push(w, 1))
            return false;
        p = space_end(p + 1);
        if (*p == '}')
            goto close;
        goto member;
    case '[':
        if (!nesting_push(w, 0))
            return false;
        p = space_end(p + 1);
        if (*p == ']')
            goto close;
        goto value;
    case '"':
        p = string_end(w, p);
        break;
    case '-':
    case '0' ... '9':
        p = number_end(w, p);
        break;
    case 't':
        p = word_end(w, p, "true", 4);
        break;
    case 'f':
        p = word_end(w, p, "false", 5);
        break;
    case 'n':
        p = word_end(w, p, "null", 4);
        break;
    default:
        return false;
    }
    if (p == NULL)
        return false;
next:
    p = space_end(p);
    if (*p == ',') {
        p++;
        if ((w->nesting[0] & 1) == 0)
            goto value;
        p = space_end(p);
        goto member;
    }
    if (*p != (w->nesting[0] & 1 ? '}' : ']'))
        return false;
close:
    nesting_pop(w);
    p++;
    if (w->depth == 0 || p == w->end)
        return w->depth == 0 && p == w->end;
    goto next;
member:
    if (*p != '"')
        return false;
    p = string_end(w, p);
    if (p == NULL)
        return false;
    p = space_end(p);
    if (*p != ':')
        return false;
    p++;
    goto value;
}

static bool scalar_is_valid(const uint8_t *p, size_t n)
{
    const char *expected;

    json_text_check(p, n, &expected);
    return expected == NULL;
}

ALWAYS_INLINE bool text_is_valid(const uint8_t *p, size_t n, bool padded)
{
    const uint8_t *end = p + n;

    while (p < end && is_space(*p))
        p++;
    while (p < end && is_space(end[-1]))
        end--;
    if (end - p < 2)
        return p < end && (uint8_t)(*p - '0') <= 9;
    if (*p != '{' && *p != '[')
        return scalar_is_valid(p, (size_t)(end - p));
    if (end[-1] != '}' && end[-1] != ']')
        return false;

    struct walk w = {.end = end, .padded = padded};

    window_load(&w, p);
    return walk_container(&w, p);
}

bool json_text_is_valid_padded(const uint8_t *bytes, size_t n)
{
    return text_is_valid(bytes, n, true);
}

bool json_text_is_valid(const uint8_t *bytes, size_t n)
{
    return text_is_valid(bytes, n, false);
}
