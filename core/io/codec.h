/* codec.h -- formats: pieces of input text to event rows, and event rows to text.
 *
 *     line --sw_decoder_decode--> EVENT row, or MALFORMED row { raw, error, where }
 *     row  --sw_encoder_encode--> line
 *
 * Formats: "jsonl" is one JSON object a line; "lines" is the line itself as field `line`. Transport
 * (io/file.h, io/stdio.h) and framing (io/lines.h) know nothing of them.
 *
 * Ownership  The _free functions free; rows and text go to the caller's batch and buffer.
 * Threads    one at a time for each object.
 * Limits     `raw` of a malformed row is cut at SW_MALFORMED_RAW_MAX bytes. */
#ifndef SW_IO_CODEC_H
#define SW_IO_CODEC_H

#include <stdbool.h>

#include "base/buf.h"
#include "run/connector.h"

#define SW_MALFORMED_RAW_MAX 65536u

typedef struct sw_decoder sw_decoder;
typedef struct sw_encoder sw_encoder;

/* A piece of input. */
typedef struct sw_piece {
    const char *text;   /* its bytes, without line end */
    size_t len;         /* bytes */
    size_t padding;     /* bytes that can be read behind it; from 64 on no copy is made */
    const char *origin; /* where it comes from: path, or "stdin" */
    uint64_t line;      /* its number there, from 1 */
} sw_piece;

/* For rows as the context says: shape, time field, how far times may be ahead. SW_EINVAL for an unknown
 * format, and for a schema or time field that does not go with it; SW_ENOMEM. The context's schema,
 * time_field and clock must outlive the decoder. */
int sw_decoder_new(sw_decoder **out, const char *format, const sw_source_context *context, sw_error *err);
void sw_decoder_free(sw_decoder *decoder);

/* Reads the clock, for all pieces until the next call. */
void sw_decoder_tick(sw_decoder *decoder);

/* These whole lines, and 64 readable bytes behind them, stay until the next call: what is decoded until then
 * is in them. len 0: no longer. */
void sw_decoder_look_ahead(sw_decoder *decoder, const char *text, size_t len);

/* Appends an EVENT row for the line that begins at text, where it is one of those looked ahead at, at most
 * max_len long, and needs no second look (json_decode.h). Returns its length with its line end; 0, and nothing
 * is appended: its end is to be found, and sw_decoder_decode to be called. */
size_t sw_decoder_decode_plain(sw_decoder *decoder, const char *text, size_t max_len, sw_batch *out);

/* Appends an EVENT or MALFORMED row; nothing for a blank line of jsonl. SW_OK or SW_ENOMEM. */
int sw_decoder_decode(sw_decoder *decoder, const sw_piece *piece, sw_batch *out, sw_error *err);

/* Appends a MALFORMED row for a piece that cannot be decoded for this reason. SW_OK or SW_ENOMEM. */
int sw_decoder_reject(sw_decoder *decoder, const sw_piece *piece, const char *reason, sw_batch *out, sw_error *err);

/* SW_EINVAL for an unknown format; SW_ENOMEM. */
int sw_encoder_new(sw_encoder **out, const char *format, sw_error *err);
void sw_encoder_free(sw_encoder *encoder);

/* Appends the row's line with its newline. SW_EFORMAT when the event has no such form (err names the
 * field), SW_ENOMEM; `out` is then as it was. */
int sw_encoder_encode(sw_encoder *encoder, const sw_row *row, sw_buf *out, sw_error *err);

#endif
