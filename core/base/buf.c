#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

#define SMALLEST_CAP 64

void sw_buf_init(sw_buf *b)
{
    *b = (sw_buf){ NULL, 0, 0 };
}

void sw_buf_deinit(sw_buf *b)
{
    sw_free(b->data);
    sw_buf_init(b);
}

void sw_buf_clear(sw_buf *b)
{
    b->size = 0;
}

int sw_buf_reserve(sw_buf *b, size_t extra)
{
    if (extra <= b->cap - b->size) return SW_OK;
    if (extra > SIZE_MAX / 2 - b->size) return SW_ENOMEM;
    size_t cap = b->cap < SMALLEST_CAP / 2 ? SMALLEST_CAP : b->cap * 2;
    if (cap < b->size + extra) cap = b->size + extra;
    uint8_t *data = sw_realloc(b->data, cap);
    if (data == NULL) return SW_ENOMEM;
    b->data = data;
    b->cap = cap;
    return SW_OK;
}

int sw_buf_append(sw_buf *b, const void *bytes, size_t n)
{
    if (n == 0) return SW_OK;
    int rc = sw_buf_reserve(b, n);
    if (rc != SW_OK) return rc;
    memcpy(b->data + b->size, bytes, n);
    b->size += n;
    return SW_OK;
}

int sw_buf_append_str(sw_buf *b, const char *text)
{
    return sw_buf_append(b, text, strlen(text));
}

int sw_buf_printf(sw_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    SW_ASSERT(length >= 0);
    int rc = sw_buf_reserve(b, (size_t)length + 1);
    if (rc != SW_OK) return rc;
    va_start(args, fmt);
    vsnprintf((char *)b->data + b->size, (size_t)length + 1, fmt, args);
    va_end(args);
    b->size += (size_t)length;
    return SW_OK;
}
