#include "io/text_source.h"

#include <string.h>

#define MAX_LINE_DEFAULT (16u << 20)

static size_t number_option(const sw_options *options, const char *name, size_t otherwise)
{
    const sw_option *option = sw_options_find(options, name);
    return option != NULL && option->number >= 1 ? (size_t)option->number : otherwise;
}

int sw_text_source_init(sw_text_source *text, const sw_options *options, const sw_source_context *context,
                        sw_error *err)
{
    const sw_option *format = sw_options_find(options, "format");
    memset(text, 0, sizeof(*text));
    int rc = sw_lines_init(&text->lines, number_option(options, "max_line_bytes", MAX_LINE_DEFAULT),
                           number_option(options, "chunk_bytes", SW_LINES_CHUNK));
    if (rc != SW_OK) return sw_error_set(err, rc, "out of memory");
    rc = sw_decoder_new(&text->decoder, format != NULL ? format->string : "jsonl", context, err);
    if (rc != SW_OK) sw_lines_deinit(&text->lines);
    return rc;
}

void sw_text_source_deinit(sw_text_source *text)
{
    sw_lines_deinit(&text->lines);
    sw_decoder_free(text->decoder);
}

int sw_text_source_decode(sw_text_source *text, const char *origin, sw_batch *out, uint32_t row_limit, sw_error *err)
{
    sw_line line;
    int rc = SW_OK;
    sw_decoder_tick(text->decoder);
    while (rc == SW_OK && out->count < row_limit && sw_lines_next(&text->lines, &line)) {
        const sw_piece piece = { line.text, line.len, line.padding, origin, line.number };
        if (line.is_too_long) {
            rc = sw_decoder_reject(text->decoder, &piece, "the line is longer than max_line", out, err);
        } else {
            rc = sw_decoder_decode(text->decoder, &piece, out, err);
        }
    }
    return rc;
}
