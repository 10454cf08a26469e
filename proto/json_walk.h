/* SPDX-License-Identifier: MIT */
/*
 * Is this JSON, without a branch for each token. Included by each json_walk_*.c, which has defined
 *
 *     words, LANES    a vector of that many words, see json_words.h
 *     words_any, _last, _shift, _add, _odd, _string     as in json_word.h
 *     classes_load(&classes, p, tail, n)   what the next LANES blocks hold, and
 *     planes_load(&planes, p, tail, n)     the same bit by bit: n bytes from p on, the last, maybe
 *                                          not whole block of them at tail; spaces after them
 *
 * A grammar of words: each rule is about which byte may come after which, white space aside, and is
 * asked for 64 bytes at once. Adding carries a bit through a run of bits: from the place after a
 * comma over white space to what follows it, from an opening quote to the closing one. Only what
 * nests needs a loop, over brackets: it says which bytes have an object around them.
 *
 * Of the tokens
 *
 *     value   begins with a scalar's first byte, a quote, a bracket that opens
 *     scalar  a number or a word: a run of what is nothing else
 *
 * a value must follow ',' ':' '[' '{' or nothing, and nothing else may follow these, save a closing
 * bracket the opening one of its kind. Strings after '{' or ',' are keys if a colon follows; there
 * is a colon after nothing else. In objects, nothing but keys follows '{' or ','; in arrays no key
 * does.
 */
#ifndef MSGD_PROTO_JSON_WALK_H
#define MSGD_PROTO_JSON_WALK_H

#include "proto/json_text.h"

#include <stdbool.h>
#include <string.h>

#include "proto/json_strings.h"

struct after_carry {
    words shift;
    uint64_t run;
};

/* What words hand to the next ones. */
struct carries {
    struct after_carry comma, curly, other, key;
    uint64_t key_run, dot_run, exponent_run;
    words scalar, digit, exponent, needs_digit, minus, zero;
};

/* Brackets. Within a word the depth may go 64 too low or too high before anybody looks. */
struct nesting {
    int64_t depth;
    uint64_t in_object; /* what is innermost: all ones, or none for an array */
    int8_t stack[BLOCK_BYTES + JSON_TEXT_MAX_DEPTH + BLOCK_BYTES + 2];
};

struct walk {
    const uint8_t *end;
    uint64_t is_string; /* all ones: the text is one string, and no comma may stand in it */
    uint64_t first;     /* the first bracket, which nesting begins with; 0 after the first word */
    uint64_t in_string; /* all ones: the words before end inside one */
    struct carries carry;
};

/* What follows each x when what is in `skipped` is skipped. */
ALWAYS_INLINE words after(words x, words skipped, struct after_carry *carry)
{
    return words_add(words_shift(x, &carry->shift), skipped, &carry->run) & ~skipped;
}

ALWAYS_INLINE uint32_t load_32(const void *p)
{
    uint32_t value;

    memcpy(&value, p, sizeof value);
    return value;
}

/* p: at 't', 'f' or 'n'. Is it true, false or null, and then white space, ',' ']' or '}'? */
ALWAYS_INLINE bool word_is_right(const uint8_t *p, const uint8_t *end)
{
    const uint64_t spaces = 1u << '\t' | 1u << '\n' | 1u << '\r' | UINT64_C(1) << ' ';
    size_t n = *p == 'f' ? 5 : 4;

    if ((size_t)(end - p) <= n)
        return false;

    uint32_t last = load_32(p + n - 4);
    uint32_t wanted = load_32(*p == 'f' ? "alse" : *p == 't' ? "true" : "null");
    uint8_t next = p[n];
    bool ends = (next | 0x20) == '}' || next == ',' || (next <= ' ' && (spaces >> next & 1) != 0);

    return last == wanted && ends;
}

/* Follows the brackets of a word. Its bytes that have an object around them; the brackets
 * themselves belong to what is around them when they open and to what they close. */
ALWAYS_INLINE uint64_t nesting_follow(struct nesting *nesting, uint64_t brackets, uint64_t open,
                                      uint64_t curly, bool *is_wrong)
{
    uint64_t done = 0, result = 0, in_object = nesting->in_object;
    int64_t depth = nesting->depth, wrong = 0;
    int8_t *stack = nesting->stack + BLOCK_BYTES;

    /* Most short texts are one object, with nothing in it that nests. */
    if (depth == 1 && brackets != 0 && (brackets & ((brackets - 1) | open)) == 0) {
        nesting->depth = 0;
        nesting->in_object = 0;
        return (brackets ^ (brackets - 1)) & in_object;
    }

    for (; brackets != 0; brackets &= brackets - 1) {
        unsigned i = (unsigned)__builtin_ctzll(brackets);
        uint64_t until = brackets ^ (brackets - 1);

        result |= (until ^ done) & in_object;
        done = until;
        wrong |= depth - 1; /* after the last bracket of the text */
        stack[depth + 1] = (int8_t) - (int8_t)(curly >> i & 1);
        depth += (int64_t)(open >> i & 1) * 2 - 1;
        wrong |= JSON_TEXT_MAX_DEPTH - depth;
        in_object = (uint64_t)(int64_t)stack[depth];
    }
    nesting->depth = depth;
    nesting->in_object = in_object;
    *is_wrong |= wrong < 0;
    return result | (~done & in_object);
}

/* What of each block is outside strings and has to be followed. */
struct blocks {
    uint64_t word[LANES], brackets[LANES], open[LANES], curly[LANES];
};

ALWAYS_INLINE void blocks_load(struct blocks *b, const struct classes *c, words string)
{
    words outside = c->word & ~string, both = (c->open | c->close) & ~string;

    memcpy(b->word, &outside, sizeof b->word);
    memcpy(b->brackets, &both, sizeof b->brackets);
    memcpy(b->open, &c->open, sizeof b->open);
    memcpy(b->curly, &c->curly, sizeof b->curly);
}

/* Words and brackets of block i, which is at p. Its bytes that have an object around them. */
ALWAYS_INLINE uint64_t block_follow(const struct blocks *b, size_t i, struct nesting *nesting,
                                    const uint8_t *p, const uint8_t *end, bool *is_wrong)
{
    for (uint64_t left = b->word[i]; left != 0; left &= left - 1)
        *is_wrong |= !word_is_right(p + (unsigned)__builtin_ctzll(left), end);
    return nesting_follow(nesting, b->brackets[i], b->open[i], b->curly[i], is_wrong);
}

/* The same, block by block. */
ALWAYS_INLINE words blocks_follow(struct walk *w, struct nesting *nesting, const uint8_t *p,
                                  size_t n, const struct classes *c, words string, bool *is_wrong)
{
    uint64_t in_object[LANES] = {0};
    struct blocks blocks;
    words result;

    blocks_load(&blocks, c, string);
    blocks.brackets[0] &= ~w->first;
    w->first = 0;
    for (size_t i = 0; i < LANES && i * BLOCK_BYTES < n; i++) {
        in_object[i] = block_follow(&blocks, i, nesting, p + i * BLOCK_BYTES, w->end, is_wrong);
        if (*is_wrong)
            break; /* before the depth leaves the stack */
    }
    memcpy(&result, in_object, sizeof result);
    return result;
}

/*
 * scalar: bytes of numbers and words; begin: the first of each. Those that are wrong, words left
 * aside. Of the points and exponents of a number, adding the number's bits leaves a bit at all but
 * the first, and takes the bits after the first.
 */
ALWAYS_INLINE words numbers_check(struct carries *carry, const struct classes *c, words scalar,
                                  words begin)
{
    words digit = c->digit & scalar, dot = c->dot & scalar;
    words sign = (c->minus | c->plus) & scalar, minus = c->minus & begin;
    words after_digit = words_shift(digit, &carry->digit);
    words exponent = c->e & scalar & after_digit;
    words after_exponent = words_shift(exponent, &carry->exponent);
    words zero = c->zero & scalar & (begin | words_shift(minus, &carry->minus));
    words second_dot = words_add(dot, scalar, &carry->dot_run) & dot;
    words no_exponent = words_add(exponent, scalar, &carry->exponent_run);
    words wrong = second_dot | (no_exponent & exponent) | (dot & ~no_exponent);

    wrong |= dot & ~after_digit;
    wrong |= sign & ~(minus | after_exponent);
    wrong |= after_exponent & ~(digit | sign);
    wrong |= words_shift(dot | sign, &carry->needs_digit) & ~digit;
    wrong |= words_shift(zero, &carry->zero) & digit;
    wrong |= after_digit & scalar & ~(digit | dot | exponent);
    wrong |= begin & ~(digit | minus | c->word);
    return wrong;
}

/* in_object: bytes with an object around them. The bytes that are wrong. */
ALWAYS_INLINE words grammar_check(struct walk *w, const struct classes *c, words string,
                                  words in_object)
{
    struct carries *carry = &w->carry;
    words open = c->open & ~string, close = c->close & ~string, space = c->space & ~string;
    words comma = c->comma & ~string, colon = c->colon & ~string;
    words scalar = ~(string | c->quote | open | close | comma | colon | space);
    words begin = scalar & ~words_shift(scalar, &carry->scalar);
    words text = c->quote & string, value = begin | text | open, curly = open & c->curly;
    words after_comma = after(comma, space, &carry->comma);
    words after_curly = after(curly, space, &carry->curly);
    words after_other = after(colon | (open & ~c->curly), space, &carry->other);
    words wrong = numbers_check(carry, c, scalar, begin);

    wrong |= after_comma & ~value;
    wrong |= after_curly & ~(text | close);
    wrong |= after_other & ~(value | (close & ~c->curly));
    wrong |= value & ~(after_comma | after_curly | after_other);

    words key = text & (after_comma | after_curly);
    words key_end = words_add(key, string, &carry->key_run) & ~string;
    words after_key = after(key_end, space, &carry->key);
    words element = (after_key & ~colon) | (after_comma & ~text);

    wrong |= colon & ~after_key;
    wrong |= comma & w->is_string;
    wrong |= (element & in_object) | (colon & ~in_object);
    wrong |= close & (c->curly ^ in_object);
    return wrong;
}

/* The next LANES blocks. False: there is something wrong in them. */
ALWAYS_INLINE bool walk_on(struct walk *w, struct strings *strings, struct nesting *nesting,
                           const uint8_t *p, const uint8_t *tail, size_t n)
{
    struct classes c;
    words wrong = {0};
    bool is_wrong = false;

    classes_load(&c, p, tail, n);

    words odd = c.backslash | c.high;

    if (w->in_string != 0 && !strings->is_pending && !words_any(odd | c.quote | c.control))
        return true;
    if (strings->is_pending || words_any(odd)) {
        struct planes planes;

        planes_load(&planes, p, tail, n);
        wrong = strings_check(strings, &planes, c.backslash, &c.quote);
    }

    words string = words_string(words_odd(c.quote), &w->in_string);
    words in_object = blocks_follow(w, nesting, p, n, &c, string, &is_wrong);

    wrong |= c.control & string;
    wrong |= grammar_check(w, &c, string, in_object);
    return !is_wrong && !words_any(wrong);
}

ALWAYS_INLINE void walk_begin(struct walk *w, const uint8_t *p, size_t n)
{
    const struct after_carry none = {0};
    bool is_string = *p == '"';

    w->end = p + n;
    w->is_string = -(uint64_t)is_string;
    w->first = !is_string;
    w->in_string = 0;
    w->carry.comma = w->carry.curly = w->carry.other = w->carry.key = none;
    w->carry.key_run = w->carry.dot_run = w->carry.exponent_run = 0;
    w->carry.scalar = w->carry.digit = w->carry.exponent = none.shift;
    w->carry.needs_digit = w->carry.minus = w->carry.zero = none.shift;
    w->carry.other.run = 1; /* a value must come, as after '[' */
}

ALWAYS_INLINE void nesting_begin(struct nesting *nesting, uint8_t first)
{
    nesting->depth = 1;
    nesting->in_object = -(uint64_t)(first == '{');
    memset(nesting->stack, 0, BLOCK_BYTES);
    nesting->stack[BLOCK_BYTES] = 0;
    nesting->stack[BLOCK_BYTES + 1] = (int8_t)nesting->in_object;
}

/*
 * As json_variant.walk. What fits into the first words is walked by code of its own: the compiler
 * knows that nothing was handed over. (The structs are apart so that it keeps them in registers.)
 */
ALWAYS_INLINE bool walk(const uint8_t *p, size_t n, const uint8_t *tail)
{
    const size_t step = LANES * BLOCK_BYTES;
    struct walk w;
    struct strings strings;
    struct nesting nesting;

    walk_begin(&w, p, n);
    strings_begin(&strings);
    nesting_begin(&nesting, *p);
    if (n <= step) {
        if (!walk_on(&w, &strings, &nesting, p, tail, n))
            return false;
    } else {
        for (;; p += step, n -= step) {
            if (!walk_on(&w, &strings, &nesting, p, tail, n))
                return false;
            if (n <= step)
                break;
        }
    }
    return w.in_string == 0 && nesting.depth == (w.is_string != 0);
}

#endif
