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

void sw_text_source_restart(sw_text_source *text)
{
    sw_decoder_look_ahead(text->decoder, NULL, 0);
    sw_lines_restart(&text->lines);
}

uint8_t *sw_text_source_room(sw_text_source *text, size_t *room)
{
    sw_decoder_look_ahead(text->decoder, NULL, 0);
    return sw_lines_room(&text->lines, room);
}

void sw_text_source_added(sw_text_source *text, size_t size)
{
    size_t len;
    sw_lines_added(&text->lines, size);
    const uint8_t *ready = sw_lines_ready(&text->lines, &len);
    sw_decoder_look_ahead(text->decoder, (const char *)ready, len);
}

void sw_text_source_finish(sw_text_source *text)
{
    sw_lines_finish(&text->lines);
}

/* Decodes plain lines up to one that is not. */
static void decode_plain(sw_text_source *text, sw_batch *out, uint32_t row_limit)
{
    sw_lines *lines = &text->lines;
    while (out->count < row_limit) {
        const char *line = (const char *)lines->data + lines->begin;
        size_t size = sw_decoder_decode_plain(text->decoder, line, lines->max_line, out);
        if (size == 0) return;
        sw_lines_pass(lines, size);
    }
}

int sw_text_source_decode(sw_text_source *text, const char *origin, sw_batch *out, uint32_t row_limit, sw_error *err)
{
    sw_line line;
    int rc = SW_OK;
    sw_decoder_tick(text->decoder);
    while (rc == SW_OK) {
        decode_plain(text, out, row_limit);
        if (out->count >= row_limit || !sw_lines_next(&text->lines, &line)) break;
        const sw_piece piece = { line.text, line.len, line.padding, origin, line.number };
        if (line.is_too_long) {
            rc = sw_decoder_reject(text->decoder, &piece, "the line is longer than max_line", out, err);
        } else {
            rc = sw_decoder_decode(text->decoder, &piece, out, err);
        }
    }
    return rc;
}
