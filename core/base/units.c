/* units.c -- durations and sizes of num.h: a decimal number and a unit, computed exactly. */
#include <stdbool.h>
#include <string.h>

#include "base/num.h"

#define MAX_DIGITS 18 /* So that a mantissa fits 64 bits and, times a unit, 128. */

typedef struct unit {
    const char *name; /* As written behind the number. */
    uint64_t scale;   /* Milliseconds or bytes in one of it. */
} unit;

static const unit duration_units[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
};

static const unit size_units[] = {
    { "", 1 },
    { "B", 1 },
    { "KB", 1000u },
    { "MB", 1000000u },
    { "GB", 1000000000u },
    { "TB", 1000000000000u },
    { "KiB", (uint64_t)1 << 10 },
    { "MiB", (uint64_t)1 << 20 },
    { "GiB", (uint64_t)1 << 30 },
    { "TiB", (uint64_t)1 << 40 },
    { NULL, 0 },
};

/* The number mantissa / divisor, where divisor is a power of ten. */
typedef struct decimal {
    uint64_t mantissa; /* All digits as one number. */
    uint64_t divisor;  /* 10 to the count of digits behind the point. */
    int digits;        /* Read so far, before and behind the point. */
} decimal;

/* Reads digits on to d; returns where they end. Digits beyond MAX_DIGITS are counted only. */
static const char *read_digits(const char *text, decimal *d, bool behind_point)
{
    for (; *text >= '0' && *text <= '9'; text++) {
        if (++d->digits > MAX_DIGITS) continue;
        d->mantissa = d->mantissa * 10 + (uint64_t)(*text - '0');
        if (behind_point) d->divisor *= 10;
    }
    return text;
}

/* Reads "12" or "1.5"; NULL when the text does not begin so. */
static const char *read_decimal(const char *text, decimal *d)
{
    *d = (decimal){ 0, 1, 0 };
    const char *p = read_digits(text, d, false);
    if (p == text || *p != '.') return p == text ? NULL : p;
    const char *fraction = p + 1;
    p = read_digits(fraction, d, true);
    return p == fraction ? NULL : p;
}

/* SW_OK, SW_EINVAL or SW_ELIMIT; *out is at most max. */
static int parse_quantity(const char *text, const unit *units, uint64_t max, uint64_t *out)
{
    decimal d;
    const char *rest = read_decimal(text, &d);
    if (rest == NULL) return SW_EINVAL;
    while (units->name != NULL && strcmp(units->name, rest) != 0) units++;
    if (units->name == NULL) return SW_EINVAL;
    if (d.digits > MAX_DIGITS) return SW_ELIMIT;
    unsigned __int128 scaled = (unsigned __int128)d.mantissa * units->scale;
    if (scaled % d.divisor != 0) return SW_EINVAL;
    if (scaled / d.divisor > max) return SW_ELIMIT;
    *out = (uint64_t)(scaled / d.divisor);
    return SW_OK;
}

int sw_duration_parse_ms(const char *text, int64_t *ms, sw_error *err)
{
    bool negative = text[0] == '-';
    uint64_t size = 0;
    int rc = parse_quantity(text + negative, duration_units, INT64_MAX, &size);
    if (rc == SW_ELIMIT) return sw_error_set(err, rc, "duration \"%.64s\" is too large", text);
    if (rc != SW_OK) {
        return sw_error_set(err, rc,
                            "bad duration \"%.64s\": expected whole milliseconds as in \"250ms\", \"1.5s\", "
                            "\"5m\", \"1h\" or \"2d\"",
                            text);
    }
    *ms = negative ? -(int64_t)size : (int64_t)size;
    return SW_OK;
}

int sw_size_parse(const char *text, uint64_t *bytes, sw_error *err)
{
    int rc = parse_quantity(text, size_units, UINT64_MAX, bytes);
    if (rc == SW_ELIMIT) return sw_error_set(err, rc, "size \"%.64s\" is too large", text);
    if (rc != SW_OK) {
        return sw_error_set(err, rc,
                            "bad size \"%.64s\": expected whole bytes as in \"512B\", \"64KB\", \"16MiB\" or "
                            "\"1GiB\"",
                            text);
    }
    return SW_OK;
}
