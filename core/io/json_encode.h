/* json_encode.h -- event rows of either shape as JSON objects.
 *
 *     record slots, or msgpack --> {"auction":7,"price":1.5}
 *
 * A record's fields come in schema order, absent ones are left out. A map's members come sorted by the
 * bytes of their keys, at every level, so that equal events are equal text; nil members are left out, nil
 * elements are null, number keys are written as strings of their digits.
 *
 * Ownership  The caller's sw_json_encoder holds the scratch memory; deinit frees it.
 * Threads    one at a time.
 * Limits     as of the row; maps and arrays nest SW_JSON_DEPTH_MAX deep. */
#ifndef SW_IO_JSON_ENCODE_H
#define SW_IO_JSON_ENCODE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "state/row.h"

typedef struct sw_json_encoder {
    sw_buf members;  /* stack of the members of the maps being written, for sorting */
    sw_buf numbers;  /* texts of their number keys, of SW_NUM_TEXT_SIZE bytes each */
    sw_buf leads;    /* what stands before the values of the schema below, by field */
    size_t room;     /* bytes that a record of it takes at most, but for what its strings hold */
    uint16_t schema; /* of the record written last; 0: none yet */
    bool is_lenient; /* writes what has no JSON form as something that has: for people to look at */
    bool was_exact;  /* lenient: nothing of the last value had to be written as something else */
} sw_json_encoder;

void sw_json_encoder_init(sw_json_encoder *encoder);
void sw_json_encoder_deinit(sw_json_encoder *encoder);

/* Appends the row's object. SW_EFORMAT when a value has no JSON form (NaN, infinities, text that is not
 * UTF-8, msgpack extensions, damaged msgpack; err names the field), SW_ENOMEM; `out` is then as it was. */
int sw_json_encode(sw_json_encoder *encoder, const sw_row *row, sw_buf *out, sw_error *err);

/* Appends one msgpack value of any type. A lenient encoder writes bytes that are no UTF-8 as U+FFFD, and NaN and
 * infinities as the texts "nan", "inf" and "-inf". Codes as above. */
int sw_json_encode_value(sw_json_encoder *encoder, const uint8_t *bytes, size_t len, sw_buf *out, sw_error *err);

#endif
