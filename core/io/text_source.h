/* text_source.h -- rows from lines of text, wherever the bytes come from: what file and stdin sources
 * share.
 *
 *     bytes --lines.h--> lines --codec.h--> rows
 *
 * Ownership  deinit frees lines and decoder; the bytes' origin is the caller's.
 * Threads    One: the worker of the source's instance. */
#ifndef SW_IO_TEXT_SOURCE_H
#define SW_IO_TEXT_SOURCE_H

#include "io/codec.h"
#include "io/lines.h"

typedef struct sw_text_source {
    sw_lines lines;      /* bytes that are not decoded yet */
    sw_decoder *decoder; /* owned */
} sw_text_source;

/* Options: format (default "jsonl"), max_line_bytes (default 16 MiB), chunk_bytes (tests). */
int sw_text_source_init(sw_text_source *text, const sw_options *options, const sw_source_context *context,
                        sw_error *err);
void sw_text_source_deinit(sw_text_source *text);

/* Begins another input (sw_lines_restart). */
void sw_text_source_restart(sw_text_source *text);

/* As the functions of lines.h by these names. */
uint8_t *sw_text_source_room(sw_text_source *text, size_t *room);
void sw_text_source_added(sw_text_source *text, size_t size);
void sw_text_source_finish(sw_text_source *text);

/* Decodes lines that are there already, until `out` has row_limit rows or no whole line is left. */
int sw_text_source_decode(sw_text_source *text, const char *origin, sw_batch *out, uint32_t row_limit, sw_error *err);

#endif
