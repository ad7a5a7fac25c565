#include "io/json_decode.h"

#include <math.h>

#include "base/alloc.h"
#include "io/json_walk.h"
#include "io/mp.h"

#define EXACT_MAX 9007199254740992.0 /* 2^53: whole doubles up to here stand for themselves alone. */

/* Bytes of msgpack that a text of one byte may need: "-0," becomes a double of nine bytes, and nothing else
 * grows more. */
#define GROWTH_MAX 3u

#define MISSES_MAX 8u /* So many lines in a row that are not plain: from then on one is tried of */
#define RETRY 32u

/* Bytes of lines that are scanned at once; powers of four. */
#define REACH_MIN (1u << 10)
#define REACH_MAX (1u << 18)

#define PLAIN_ROOM 4096u /* Bytes for the values of a plain line. */

bool sw_json_is_whole(double value)
{
    return fabs(value) <= EXACT_MAX && value == trunc(value) && !(value == 0 && signbit(value));
}

/* An object ends with a brace, so a text that stops at something else was cut: whatever the walk expected
 * there, that is why. */
int sw_json_fail(const sw_json_decoder *d, const char *reason)
{
    const uint8_t *here = sw_json_here(d);
    bool is_end = *d->token >= d->limit;
    bool is_last = !is_end && d->token[1] >= d->limit && *here != '}' && *here != ']';
    if (is_end || is_last) return sw_error_set(d->err, SW_EFORMAT, "the text ends before the object does");
    return sw_error_set(d->err, SW_EFORMAT, "%s at byte %u", reason, sw_json_byte(d));
}

const sw_json_key *sw_json_search_key(sw_json_decoder *d)
{
    const uint8_t *lead = d->text + d->token[-1] + 1;
    const uint8_t *quote = sw_json_here(d);
    const char *reason = "expected a key";
    const sw_json_key *key = NULL;
    if (*quote == '"') {
        const uint8_t *colon = sw_json_place(d, d->token + 1);
        const uint8_t *end = sw_json_string_end(colon);
        key = sw_json_keys_search(&d->keys, quote + 1, (size_t)(end - quote - 1), &reason);
        if (key != NULL && *colon != ':') {
            reason = "expected ':' behind a key";
            key = NULL;
        }
    }
    if (key == NULL) {
        sw_json_fail(d, reason);
        return NULL;
    }
    d->token += 2;
    if ((key->id & SW_JSON_KEY_ID_HASH) == 0) sw_json_keys_learn(&d->keys, lead, (size_t)(sw_json_here(d) - lead));
    return key;
}

static int check_time_field(const sw_schema *schema, const char *time_field, sw_error *err)
{
    int index = sw_schema_find(schema, time_field, strlen(time_field));
    if (index < 0) return sw_error_set(err, SW_EINVAL, "the schema lacks the time field \"%s\"", time_field);
    sw_type type = schema->fields[index].type;
    if (type == SW_TYPE_STRING || type == SW_TYPE_BOOL)
        return sw_error_set(err, SW_EINVAL,
                            "the time field \"%s\" has type %s in the schema: expected time, i64 or f64", time_field,
                            sw_type_name(type));
    return index;
}

int sw_json_decoder_new(sw_json_decoder **out, const sw_schema *schema, const char *time_field, sw_error *err)
{
    int time_index = -1;
    if (schema != NULL && time_field != NULL) {
        time_index = check_time_field(schema, time_field, err);
        if (time_index < 0) return time_index;
    }
    sw_json_decoder *d = sw_calloc(1, sizeof(*d));
    if (d == NULL) goto fail;
    d->index = sw_json_index_new();
    if (d->index == NULL) goto free_decoder;
    sw_json_keys_init(&d->keys, schema, schema == NULL ? time_field : NULL);
    d->reach = REACH_MAX;
    d->schema = schema;
    d->time_field = time_field;
    d->time_index = time_index;
    *out = d;
    return SW_OK;

free_decoder:
    sw_free(d);
fail:
    return sw_error_set(err, SW_ENOMEM, "out of memory");
}

void sw_json_decoder_free(sw_json_decoder *decoder)
{
    if (decoder == NULL) return;
    sw_json_index_free(decoder->index);
    sw_json_keys_deinit(&decoder->keys);
    sw_buf_deinit(&decoder->members);
    sw_buf_deinit(&decoder->order);
    sw_free(decoder);
}

/* --- tokens --------------------------------------------------------------------------------------- */

void sw_json_look_ahead(sw_json_decoder *d, const uint8_t *text, size_t len)
{
    d->ready = len > 0 ? text : NULL;
    d->ready_len = len;
    d->alone = text;
    d->block = NULL;
}

/* Bytes of the lines from text on that are within reach, of `left`; at least of one line. */
static size_t lines_within(const uint8_t *text, size_t left, size_t reach)
{
    if (left <= reach) return left;
    const uint8_t *newline = memrchr(text, '\n', reach);
    if (newline == NULL) newline = memchr(text + reach, '\n', left - reach);
    return (size_t)(newline + 1 - text);
}

/* Scans lines from text on. One that is wrong spoils all that are scanned with it: then fewer are tried, and of the
 * fewest each is left to itself. */
static bool begin_block(sw_json_decoder *d, const uint8_t *text)
{
    uint32_t count = 0;
    bool is_memory = false;
    d->block = NULL;
    for (;;) {
        size_t len = lines_within(text, (size_t)(d->ready + d->ready_len - text), d->reach);
        if (sw_json_index_scan(d->index, text, len, &d->tokens, &count, &is_memory) == NULL) {
            d->block = text;
            d->block_len = len;
            d->ahead = d->tokens;
            d->reach = d->reach < REACH_MAX ? 2 * d->reach : REACH_MAX;
            return true;
        }
        if (d->reach <= REACH_MIN) {
            d->alone = text + len;
            return false;
        }
        d->reach /= 4;
    }
}

/* Is the line at text part of the block, or of one that begins there? */
static inline bool is_in_block(sw_json_decoder *d, const uint8_t *text)
{
    if (d->block != NULL && text >= d->block && text < d->block + d->block_len) return true;
    if (d->ready == NULL || text < d->alone || text >= d->ready + d->ready_len) return false;
    return begin_block(d, text);
}

static void begin_line(sw_json_decoder *d, const uint8_t *text, uint32_t begin, uint32_t limit)
{
    d->text = text;
    d->begin = begin;
    d->limit = limit;
    sw_json_keys_rewind(&d->keys);
    d->time_token = NULL;
}

/* The first token of the block that is not before this place. */
static const uint32_t *seek(const sw_json_decoder *d, uint32_t place)
{
    const uint32_t *token = d->ahead;
    if (token > d->tokens && token[-1] >= place) token = d->tokens; /* A line is decoded once more. */
    while (*token < place) token++;
    return token;
}

/* Finds the line's tokens, and checks that the first is the brace of an object. */
static int scan(sw_json_decoder *d, const uint8_t *text, size_t len)
{
    uint32_t count = 0;
    bool is_memory = false;
    const char *reason = NULL;
    if (is_in_block(d, text)) {
        uint32_t begin = (uint32_t)(text - d->block);
        begin_line(d, d->block, begin, begin + (uint32_t)len);
        d->token = seek(d, begin);
        if (*d->token >= d->limit) reason = SW_JSON_BLANK;
    } else {
        d->block = NULL; /* The index holds the tokens of one text. */
        begin_line(d, text, 0, (uint32_t)len);
        reason = sw_json_index_scan(d->index, text, len, &d->token, &count, &is_memory);
    }
    if (reason != NULL) return sw_error_set(d->err, is_memory ? SW_ENOMEM : SW_EFORMAT, "%s", reason);
    if (*sw_json_here(d) != '{') return sw_error_set(d->err, SW_EFORMAT, "not a JSON object");
    return SW_OK;
}

/* --- time ----------------------------------------------------------------------------------------- */

static int time_from_number(const sw_json_decoder *d, const sw_number *number, int64_t *time)
{
    if (number->kind == SW_NUMBER_I64) {
        *time = number->i;
    } else if (number->kind == SW_NUMBER_F64 && (sw_json_is_whole(number->f) || number->f == 0)) {
        *time = (int64_t)number->f;
    } else {
        return sw_error_set(d->err, SW_EFORMAT, "time field \"%s\" is not a whole number of milliseconds",
                            d->time_field);
    }
    return SW_OK;
}

static int missing_time(const sw_json_decoder *d)
{
    return sw_error_set(d->err, SW_EFORMAT, "time field \"%s\" is missing", d->time_field);
}

static int time_of_map(const sw_json_decoder *d, int64_t *time)
{
    sw_number number;
    if (d->time_token == NULL) return missing_time(d);
    const uint8_t *value = d->text + *d->time_token;
    if (*value == 'n') return missing_time(d);
    if (sw_json_number(value, &number) != NULL)
        return sw_error_set(d->err, SW_EFORMAT, "time field \"%s\" is not a number", d->time_field);
    return time_from_number(d, &number, time);
}

static int time_of_record(const sw_json_decoder *d, const sw_row *row, int64_t *time)
{
    if (!sw_row_has(row, (unsigned)d->time_index)) return missing_time(d);
    sw_slot slot = sw_row_slots(row, d->schema)[d->time_index];
    if (d->schema->fields[d->time_index].type == SW_TYPE_F64)
        return time_from_number(d, &(sw_number){ .kind = SW_NUMBER_F64, .f = slot.f }, time);
    *time = slot.i;
    return SW_OK;
}

static inline int set_time(const sw_json_decoder *d, sw_row *row)
{
    if (d->time_field == NULL) return SW_OK;
    return d->schema != NULL ? time_of_record(d, row, &row->time) : time_of_map(d, &row->time);
}

static inline void set_body(const sw_json_decoder *d, sw_row *row, uint32_t len)
{
    row->schema = d->schema != NULL ? d->schema->id : 0;
    row->body_len = len;
}

/* --- one object ----------------------------------------------------------------------------------- */

static uint64_t room_for(const sw_json_decoder *d, size_t len)
{
    uint64_t body = d->schema != NULL ? d->schema->fixed_size + (uint64_t)len : GROWTH_MAX * (uint64_t)len;
    return sizeof(sw_row) + body + SW_JSON_COPY_SLACK + SW_MP_HEADER_MAX;
}

static int decode_line(sw_json_decoder *d, sw_row *row)
{
    d->row = (uint8_t *)row;
    memset(row, 0, sizeof(*row));
    int64_t body_len = d->schema != NULL ? sw_json_decode_record(d, row) : sw_json_decode_map(d, row);
    if (body_len < 0) return (int)body_len;
    if (*d->token < d->limit)
        return sw_error_set(d->err, SW_EFORMAT, "more text behind the object at byte %u", sw_json_byte(d));
    set_body(d, row, (uint32_t)body_len);
    return set_time(d, row);
}

int sw_json_decode(sw_json_decoder *d, const uint8_t *text, size_t len, sw_batch *out, sw_error *err)
{
    d->err = err;
    uint64_t room = room_for(d, len);
    if (room > SW_ROW_BYTES_MAX) return sw_error_set(err, SW_EFORMAT, "an event of %zu bytes is too large", len);
    int rc = scan(d, text, len);
    if (rc != SW_OK) return rc;
    sw_row *row = sw_batch_reserve(out, (uint32_t)room);
    if (row == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    rc = decode_line(d, row);
    if (d->block != NULL) d->ahead = d->token;
    if (rc == SW_OK) sw_batch_commit(out, sw_row_size(row->body_len, 0));
    return rc;
}

/* --- plain lines ---------------------------------------------------------------------------------- */

/* Decodes the line that begins at this place of the block; returns its length with its line end, or 0. */
static size_t decode_plain(sw_json_decoder *d, uint32_t begin, size_t max_len, sw_batch *out)
{
    uint32_t fixed = d->schema != NULL ? d->schema->fixed_size : 0;
    uint32_t room = (uint32_t)sizeof(sw_row) + fixed + PLAIN_ROOM;
    begin_line(d, d->block, begin, (uint32_t)d->block_len - 1); /* At the last line's end. */
    d->token = seek(d, begin);
    if (*d->token != begin) return 0; /* Blanks; it may be the first token of another line. */
    sw_row *row = sw_batch_reserve(out, room);
    if (row == NULL) return 0;
    d->row = (uint8_t *)row;
    d->err = NULL;
    memset(row, 0, sizeof(*row));
    const uint8_t *stop = d->row + room - SW_JSON_COPY_SLACK;
    uint32_t body_len = d->schema != NULL ? sw_json_plain_record(d, row, stop) : sw_json_plain_map(d, row, stop);
    if (body_len == 0) return 0;
    const uint8_t *text = d->text + begin, *end = d->text + d->token[-1] + 1;
    size_t len = (size_t)(end - text);
    if (*end == '\r') end++;
    if (*end != '\n' || len > max_len || set_time(d, row) != SW_OK) return 0;
    set_body(d, row, body_len);
    d->ahead = d->token;
    sw_batch_commit(out, sw_row_size(body_len, 0));
    return (size_t)(end + 1 - text);
}

size_t sw_json_decode_plain(sw_json_decoder *d, const uint8_t *text, size_t max_len, sw_batch *out)
{
    if (!is_in_block(d, text)) return 0;
    if (d->misses >= MISSES_MAX && ++d->misses % RETRY != 0) return 0;
    size_t size = decode_plain(d, (uint32_t)(text - d->block), max_len, out);
    d->misses = size > 0 ? 0 : d->misses + 1;
    return size;
}
