/* json_decode.h -- one JSON object as the body of an event row: a record, or a msgpack map.
 *
 *     text --json_index.h--> tokens --walk--> record slots and strings, or msgpack
 *
 * A record takes only the fields of its schema; what it skips is checked for syntax too, except for the
 * escapes inside skipped strings, and for skipped numbers behind their first digit. Of keys that come twice
 * the last wins; a field that is null is absent. A map holds integers in their shortest form; a real number
 * is a double unless it is whole and at most 2^53 in size, -0.0 excepted; null in an array is nil.
 *
 * Ownership  sw_json_decoder_free frees it; rows are written to the caller's batch.
 * Threads    one at a time.
 * Limits     objects and arrays nest SW_JSON_DEPTH_MAX deep, the event itself counted. */
#ifndef SW_IO_JSON_DECODE_H
#define SW_IO_JSON_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "state/row.h"

#define SW_JSON_DEPTH_MAX 24

typedef struct sw_json_decoder sw_json_decoder;

/* schema: of the records to make, or NULL for maps. time_field: the top-level field that gives the event
 * time, or NULL; it must outlive the decoder. SW_EINVAL when the schema lacks it or it has no type for a
 * time; SW_ENOMEM. */
int sw_json_decoder_new(sw_json_decoder **out, const sw_schema *schema, const char *time_field, sw_error *err);
void sw_json_decoder_free(sw_json_decoder *decoder);

/* The texts decoded next are these whole lines, whose tokens are then found together, which is quicker than one by
 * one. They, and SW_JSON_PADDING readable bytes behind, stay as they are until the next call; len 0 ends that. */
void sw_json_look_ahead(sw_json_decoder *decoder, const uint8_t *text, size_t len);

/* Appends a row with the event of the line that begins at text, when it is one of those looked ahead at, at
 * most max_len long and plain: an object of known keys, mostly in the usual order, without blanks but where
 * they always are, and of scalars that take no second look. Returns how long the line is, with its line end.
 * 0, with nothing appended: the line's end is to be found and sw_json_decode to be called. */
size_t sw_json_decode_plain(sw_json_decoder *decoder, const uint8_t *text, size_t max_len, sw_batch *out);

/* Appends a row with the event in text, behind which SW_JSON_PADDING bytes can be read, the first of them a
 * control character. Sets the row's time when there is a time field, else to 0. SW_EFORMAT (with the
 * reason; nothing is appended) when the text is no such object; SW_ENOMEM. */
int sw_json_decode(sw_json_decoder *decoder, const uint8_t *text, size_t len, sw_batch *out, sw_error *err);

#endif
