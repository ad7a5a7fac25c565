/* json_write.h -- JSON scalars appended to a buffer.
 *
 * Threads    any. */
#ifndef SW_IO_JSON_WRITE_H
#define SW_IO_JSON_WRITE_H

#include <string.h>

#include "base/buf.h"
#include "base/error.h"

/* The bytes of a text shorter than 8, the first in the lowest byte of the word, and zeros. Reads nothing
 * behind the text, and no byte by itself: a word put together of single bytes stalls whoever loads it. */
static inline uint64_t sw_load_short(const void *text, size_t len)
{
    const uint8_t *bytes = text;
    uint32_t low = 0, high = 0;
    if (len >= 4) {
        memcpy(&low, bytes, 4);
        memcpy(&high, bytes + len - 4, 4);
        return low | (uint64_t)high << (8 * (len - 4));
    }
    if (len == 0) return 0;
    return bytes[0] | (uint64_t)bytes[len / 2] << (8 * (len / 2)) | (uint64_t)bytes[len - 1] << (8 * (len - 1));
}

/* Appends the text in quotes, escaped where JSON requires it. SW_EFORMAT for text that is not UTF-8;
 * SW_ENOMEM. */
int sw_json_write_string(sw_buf *out, const char *text, size_t len, sw_error *err);

/* Appends a member's key: `before` ('{' or ','), the key as above, and a colon. */
int sw_json_write_key(sw_buf *out, char before, const char *key, size_t len, sw_error *err);

#define SW_JSON_NUMBER_SIZE 34 /* Bytes that any number written may touch. */

/* Writes a finite double in the shortest form that reads back the same; returns its length. */
size_t sw_json_format_double(char *out, double value);

/* Appends a double in the shortest form that reads back the same. SW_EFORMAT for NaN and infinities;
 * SW_ENOMEM. */
int sw_json_write_double(sw_buf *out, double value, sw_error *err);

#endif
