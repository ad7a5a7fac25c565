#include "io/json_text.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/num.h"

#define EXACT_MANTISSA (UINT64_C(1) << 53) /* Whole numbers up to here are doubles. */
#define EXACT_POWER 22                     /* Powers of ten up to here are doubles. */
#define MANTISSA_DIGITS 19                 /* So many decimal digits fit into 64 bits. */
#define EXPONENT_MAX 100000                /* Larger exponents mean the same: too large, or 0. */

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* A number's parts, as its digits are read. */
typedef struct decimal {
    uint64_t mantissa; /* The digits without the point, modulo 2^64. */
    int digits;        /* Digits in mantissa, without leading zeros. */
    int exponent;      /* Power of ten that mantissa is multiplied by. */
    bool is_negative;  /* It has a minus. */
} decimal;

static const double powers_of_ten[EXACT_POWER + 1] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

static inline bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

bool sw_json_ends_scalar(uint8_t byte)
{
    switch (byte) {
    case ',':
    case '}':
    case ']':
    case ' ':
    case '\t':
    case '\r':
    case '\n': return true;
    default: return false;
    }
}

static const uint8_t *read_digits(const uint8_t *p, decimal *d)
{
    for (; is_digit(*p); p++) {
        d->mantissa = d->mantissa * 10 + (*p - '0');
        d->digits += d->digits != 0 || *p != '0';
    }
    return p;
}

static const uint8_t *read_exponent(const uint8_t *p, decimal *d)
{
    bool is_negative = *p == '-';
    int value = 0;
    if (*p == '-' || *p == '+') p++;
    if (!is_digit(*p)) return NULL;
    for (; is_digit(*p); p++)
        if (value < EXPONENT_MAX) value = value * 10 + (*p - '0');
    d->exponent += is_negative ? -value : value;
    return p;
}

/* The double nearest to the text from `text` to `end`. False when it is too large for one. */
static bool nearest_double(const uint8_t *text, const uint8_t *end, const decimal *d, double *out)
{
    if (d->digits <= MANTISSA_DIGITS && d->mantissa <= EXACT_MANTISSA && d->exponent >= -EXACT_POWER &&
        d->exponent <= EXACT_POWER) {
        double value = (double)d->mantissa; /* Exact, and so is the power: one rounding, as it should be. */
        value = d->exponent < 0 ? value / powers_of_ten[-d->exponent] : value * powers_of_ten[d->exponent];
        *out = d->is_negative ? -value : value;
        return true;
    }
    int rc = sw_num_parse_double((const char *)text, (size_t)(end - text), out);
    if (rc == SW_OK) return isfinite(*out);
    if (d->digits + d->exponent > 0) return false;
    *out = d->is_negative ? -0.0 : 0.0; /* Too small to be told from 0. */
    return true;
}

static const char *read_real(const uint8_t *text, const uint8_t *p, decimal *d, sw_number *out)
{
    if (*p == '.') {
        const uint8_t *fraction = p + 1;
        p = read_digits(fraction, d);
        if (p == fraction) return "a number has no digit behind its point";
        d->exponent = -(int)(p - fraction);
    }
    if (*p == 'e' || *p == 'E') {
        p = read_exponent(p + 1, d);
        if (p == NULL) return "a number has no digit in its exponent";
    }
    if (!sw_json_ends_scalar(*p)) return "not a number";
    out->kind = SW_NUMBER_F64;
    return nearest_double(text, p, d, &out->f) ? NULL : "a number is too large";
}

/* Whole numbers of 20 digits may or may not fit into 64 bits; longer ones don't. */
static const char *read_large(const uint8_t *text, const uint8_t *p, const decimal *d, sw_number *out)
{
    const uint8_t *last = p - 1;
    decimal head = { 0, 0, 0, false };
    for (const uint8_t *q = text + d->is_negative; q < last; q++) head.mantissa = head.mantissa * 10 + (*q - '0');
    uint64_t tens = 0;
    bool is_over = d->digits > MANTISSA_DIGITS + 1 || __builtin_mul_overflow(head.mantissa, UINT64_C(10), &tens) ||
                   __builtin_add_overflow(tens, (uint64_t)(*last - '0'), &tens);
    if (!is_over && !d->is_negative) {
        out->kind = SW_NUMBER_U64;
        out->u = tens;
        return NULL;
    }
    out->kind = SW_NUMBER_HUGE;
    return nearest_double(text, p, d, &out->f) ? NULL : "a number is too large";
}

static const char *whole_number(const uint8_t *text, const uint8_t *p, const decimal *d, sw_number *out)
{
    if (d->digits > MANTISSA_DIGITS) return read_large(text, p, d, out);
    if (d->is_negative && d->mantissa == 0) {
        out->kind = SW_NUMBER_F64;
        out->f = -0.0;
    } else if (d->mantissa <= (uint64_t)INT64_MAX + d->is_negative) {
        out->kind = SW_NUMBER_I64;
        out->i = d->is_negative ? (int64_t)(0 - d->mantissa) : (int64_t)d->mantissa;
    } else if (!d->is_negative) {
        out->kind = SW_NUMBER_U64;
        out->u = d->mantissa;
    } else {
        return read_large(text, p, d, out);
    }
    return NULL;
}

const char *sw_json_number(const uint8_t *p, sw_number *out)
{
    decimal d = { 0, 0, 0, *p == '-' };
    const uint8_t *text = p;
    const uint8_t *first = p + d.is_negative;
    if (!is_digit(*first)) return "not a JSON value";
    p = read_digits(first, &d);
    if (*first == '0' && p - first > 1) return "a number begins with 0";
    if (sw_json_ends_scalar(*p)) return whole_number(text, p, &d, out);
    if (*p != '.' && *p != 'e' && *p != 'E') return "not a number";
    return read_real(text, p, &d, out);
}

/* --- strings -------------------------------------------------------------------------------------- */

static int hex_value(uint8_t c)
{
    if (is_digit(c)) return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX at p, or -1. */
static int32_t read_unit(const uint8_t *p)
{
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(p[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static uint8_t *write_utf8(uint8_t *dst, uint32_t c)
{
    if (c < 0x80) {
        *dst++ = (uint8_t)c;
    } else if (c < 0x800) {
        *dst++ = (uint8_t)(0xc0 | (c >> 6));
        *dst++ = (uint8_t)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *dst++ = (uint8_t)(0xe0 | (c >> 12));
        *dst++ = (uint8_t)(0x80 | ((c >> 6) & 0x3f));
        *dst++ = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        *dst++ = (uint8_t)(0xf0 | (c >> 18));
        *dst++ = (uint8_t)(0x80 | ((c >> 12) & 0x3f));
        *dst++ = (uint8_t)(0x80 | ((c >> 6) & 0x3f));
        *dst++ = (uint8_t)(0x80 | (c & 0x3f));
    }
    return dst;
}

/* Resolves the \uXXXX whose u is at *src; *src ends behind it. NULL when it is none, or half of a pair. */
static uint8_t *unescape_unicode(uint8_t *dst, const uint8_t **src, const uint8_t *end)
{
    const uint8_t *p = *src + 1;
    if (end - p < 4) return NULL;
    int32_t unit = read_unit(p);
    p += 4;
    if (unit < 0 || (unit >= 0xdc00 && unit < 0xe000)) return NULL;
    uint32_t c = (uint32_t)unit;
    if (unit >= 0xd800 && unit < 0xdc00) {
        if (end - p < 6 || p[0] != '\\' || p[1] != 'u') return NULL;
        int32_t low = read_unit(p + 2);
        if (low < 0xdc00 || low >= 0xe000) return NULL;
        c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        p += 6;
    }
    *src = p;
    return write_utf8(dst, c);
}

static int simple_escape(uint8_t c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return -1;
    }
}

/* Copies the rest of a string, of which it is known that there is a backslash in it. */
static uint8_t *unescape(uint8_t *dst, const uint8_t *src, const uint8_t *end)
{
    while (src < end) {
        if (*src != '\\') {
            *dst++ = *src++;
            continue;
        }
        if (++src == end) return NULL;
        if (*src == 'u') {
            dst = unescape_unicode(dst, &src, end);
            if (dst == NULL) return NULL;
            continue;
        }
        int c = simple_escape(*src++);
        if (c < 0) return NULL;
        *dst++ = (uint8_t)c;
    }
    return dst;
}

/* Copies whole blocks, beyond the end too (padding and slack allow it), until one holds a backslash. One
 * that lies behind the end only sends the last block round the slow way. */
int64_t sw_json_string(uint8_t *dst, const uint8_t *src, size_t len)
{
    const bytes16 backslash = { '\\', '\\', '\\', '\\', '\\', '\\', '\\', '\\',
                                '\\', '\\', '\\', '\\', '\\', '\\', '\\', '\\' };
    for (size_t at = 0; at < len; at += sizeof(bytes16)) {
        bytes16 block;
        memcpy(&block, src + at, sizeof(block));
        memcpy(dst + at, &block, sizeof(block));
        words2 found = (words2)(block == backslash);
        if ((found[0] | found[1]) != 0) {
            uint8_t *end = unescape(dst + at, src + at, src + len);
            return end == NULL ? -1 : end - dst;
        }
    }
    return (int64_t)len;
}
