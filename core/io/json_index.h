/* json_index.h -- where the tokens of a JSON text are: simdjson's first stage behind a C interface.
 *
 *     {"a": [1, "x"]}  --scan-->  offsets of  {  "  :  [  1  ,  "  ]  }
 *
 * A token is one of {}[]:, or the first byte of a string, number or word. The scan has checked that the
 * text is UTF-8, that every string is closed, and that no string holds a bare control character. Between
 * the closing quote of a string and the next token there is nothing but white space. What numbers and words
 * look like, and which token may follow which, is the caller's to check.
 *
 * Why not simdjson's on-demand parser: it does not check what it skips, so a line would be malformed with
 * one schema and well with another; and the walk over the offsets is where predicted keys save their time.
 *
 * A text may be many lines: where strings are closed and hold no line break, no line's tokens depend on
 * another's.
 *
 * Ownership  sw_json_index_free frees it; the tokens are valid until the next scan.
 * Threads    one at a time.
 * Limits     texts under 4 GiB; memory is 4 bytes per byte of the longest text seen. */
#ifndef SW_IO_JSON_INDEX_H
#define SW_IO_JSON_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SW_JSON_PADDING 64 /* Bytes behind a text that must be readable. */
#define SW_JSON_BLANK "nothing but white space"

typedef struct sw_json_index sw_json_index;

/* NULL when memory is out. */
sw_json_index *sw_json_index_new(void);
void sw_json_index_free(sw_json_index *index);

/* Finds the tokens of text, behind which SW_JSON_PADDING bytes can be read. tokens[count] is len. Returns
 * NULL, or what is wrong with the text; *is_memory tells whether it is memory that was out. */
const char *sw_json_index_scan(sw_json_index *index, const uint8_t *text, size_t len, const uint32_t **tokens,
                               uint32_t *count, bool *is_memory);

/* Is it well-formed UTF-8? */
bool sw_utf8_is_valid(const void *bytes, size_t len);

#ifdef __cplusplus
}
#endif

#endif
