/* json_write.h -- JSON scalars appended to a buffer.
 *
 * Threads    any. */
#ifndef SW_IO_JSON_WRITE_H
#define SW_IO_JSON_WRITE_H

#include "base/buf.h"
#include "base/error.h"

/* Appends the text in quotes, escaped where JSON requires it. SW_EFORMAT for text that is not UTF-8; SW_ENOMEM. */
int sw_json_write_string(sw_buf *out, const char *text, size_t len, sw_error *err);

/* Appends a double in the shortest form that reads back the same. SW_EFORMAT for NaN and infinities; SW_ENOMEM. */
int sw_json_write_double(sw_buf *out, double value, sw_error *err);

#endif
