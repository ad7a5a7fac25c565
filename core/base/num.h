/* num.h -- numbers, durations and sizes to and from text, independent of the locale.
 *
 * Numbers are in num.cpp, since the exact and fast conversions are C++17's std::to_chars and std::from_chars;
 * durations and sizes are in units.c.
 *
 * Ownership  nothing is kept.
 * Threads    any.
 * Limits     SW_NUM_TEXT_SIZE bytes hold any formatted number and its NUL. */
#ifndef SW_BASE_NUM_H
#define SW_BASE_NUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SW_NUM_TEXT_SIZE 32

/* Each writes the text and a NUL to out (SW_NUM_TEXT_SIZE bytes) and returns the length without the NUL.
 *
 * The double has the shortest form that reads back as the same double; whole numbers up to 2^53 in size
 * have neither fraction nor exponent; negative zero is "-0.0"; then there are "nan", "inf" and "-inf". */
size_t sw_num_format_double(char *out, double v);
size_t sw_num_format_i64(char *out, int64_t v);
size_t sw_num_format_u64(char *out, uint64_t v);

/* Reads all `size` bytes as one decimal number ("-12", "1.5e3", "inf", "nan"; no "+", no blanks).
 * SW_EFORMAT when it is none, SW_ELIMIT when no double is near it (too large, or too small and not 0). */
int sw_num_parse_double(const char *text, size_t size, double *out);

/* Reads "250ms", "10s", "1.5m", "1h", "-2d" as milliseconds. SW_EINVAL with a text that quotes the
 * duration when it is none or not a whole number of milliseconds; SW_ELIMIT when it is too large. */
int sw_duration_parse_ms(const char *text, int64_t *ms, sw_error *err);

/* Reads "16MiB" (powers of 1024), "64KB" (of 1000), "512B" or "512" as bytes; B, K, M, G and T units.
 * SW_EINVAL when it is none or not a whole number of bytes; SW_ELIMIT when it is too large. */
int sw_size_parse(const char *text, uint64_t *bytes, sw_error *err);

#ifdef __cplusplus
}
#endif

#endif
