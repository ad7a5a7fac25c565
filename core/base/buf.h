/* buf.h -- a growable byte buffer.
 *
 * Ownership  the sw_buf owns data; sw_buf_deinit frees it. data may move with every call that adds bytes.
 * Threads    one at a time.
 * Limits     memory; capacity at least doubles, so n bytes appended cost O(n). */
#ifndef SW_BASE_BUF_H
#define SW_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sw_buf {
    uint8_t *data; /* Owned; NULL while cap is 0. */
    size_t size;   /* Bytes in use. */
    size_t cap;    /* Bytes allocated. */
} sw_buf;

/* An empty buffer that holds no memory; all bytes zero is the same. */
void sw_buf_init(sw_buf *b);

/* Frees the memory and leaves an empty buffer; doing it twice is fine. */
void sw_buf_deinit(sw_buf *b);

/* Forgets the bytes and keeps the memory. */
void sw_buf_clear(sw_buf *b);

/* Makes room for `extra` bytes beyond size: data[size .. size+extra) may be written directly.
 * This and the calls below return SW_OK, or SW_ENOMEM with the buffer as it was. */
int sw_buf_reserve(sw_buf *b, size_t extra);

/* Adds n bytes; bytes must not point into the buffer (it may be NULL when n is 0). */
int sw_buf_append(sw_buf *b, const void *bytes, size_t n);

/* Adds the text without its NUL. */
int sw_buf_append_str(sw_buf *b, const char *text);

/* Adds formatted text without its NUL, which however stands at data[size] until the next change. */
int sw_buf_printf(sw_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif
