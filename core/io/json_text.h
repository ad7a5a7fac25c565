/* json_text.h -- the scalars of a JSON text: numbers, strings and words at a token that json_index.h found.
 *
 * All take the place of a token's first byte in a text that has passed the scan and has SW_JSON_PADDING
 * readable bytes behind it.
 *
 * Ownership  nothing is kept.
 * Threads    any. */
#ifndef SW_IO_JSON_TEXT_H
#define SW_IO_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SW_JSON_COPY_SLACK 16 /* Bytes that sw_json_string may overwrite behind what it returns. */

typedef enum sw_number_kind {
    SW_NUMBER_I64,  /* A whole number in int64. */
    SW_NUMBER_U64,  /* One beyond int64, in uint64. */
    SW_NUMBER_F64,  /* A double, written with fraction or exponent, or as -0. */
    SW_NUMBER_HUGE, /* A whole number beyond 64 bits; f is the nearest double. */
} sw_number_kind;

typedef struct sw_number {
    sw_number_kind kind; /* Which of the values below. */
    int64_t i;           /* Of SW_NUMBER_I64. */
    uint64_t u;          /* Of SW_NUMBER_U64. */
    double f;            /* Of SW_NUMBER_F64 and SW_NUMBER_HUGE. */
} sw_number;

/* Reads the number at p. Returns NULL, or what is wrong with it. */
const char *sw_json_number(const uint8_t *p, sw_number *out);

/* Copies a string's len bytes at src to dst, with its escapes resolved: the number of bytes written (never
 * more than len), or -1 for an escape that is none or half of a surrogate pair. */
int64_t sw_json_string(uint8_t *dst, const uint8_t *src, size_t len);

/* May this byte stand behind a number or word that is a member or element? */
bool sw_json_ends_scalar(uint8_t byte);

static inline bool sw_json_is_null(const uint8_t *p)
{
    return p[0] == 'n' && p[1] == 'u' && p[2] == 'l' && p[3] == 'l' && sw_json_ends_scalar(p[4]);
}
static inline bool sw_json_is_true(const uint8_t *p)
{
    return p[0] == 't' && p[1] == 'r' && p[2] == 'u' && p[3] == 'e' && sw_json_ends_scalar(p[4]);
}
static inline bool sw_json_is_false(const uint8_t *p)
{
    return p[0] == 'f' && p[1] == 'a' && p[2] == 'l' && p[3] == 's' && p[4] == 'e' && sw_json_ends_scalar(p[5]);
}

/* The closing quote of the string before `next`, which is the next token or the end of the text: the scan
 * guarantees that there is only white space between. */
static inline const uint8_t *sw_json_string_end(const uint8_t *next)
{
    const uint8_t *p = next - 1;
    while (*p != '"') p--;
    return p;
}

#endif
