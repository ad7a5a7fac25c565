/* json_record.c -- JSON objects as records: the fields of the schema are decoded, the others skipped. */
#include "io/json_walk.h"

static int skip_value(sw_json_decoder *d, int depth);

static int skip_object(sw_json_decoder *d, int depth)
{
    int more = 1;
    if (*sw_json_here(d) == '}') {
        d->token++;
        return SW_OK;
    }
    while (more > 0) {
        if (*sw_json_here(d) != '"') return sw_json_fail(d, "expected a key");
        d->token++;
        if (*sw_json_here(d) != ':') return sw_json_fail(d, "expected ':' behind a key");
        d->token++;
        int rc = skip_value(d, depth);
        if (rc != SW_OK) return rc;
        more = sw_json_take_comma(d, '}');
    }
    return more;
}

static int skip_array(sw_json_decoder *d, int depth)
{
    int more = 1;
    if (*sw_json_here(d) == ']') {
        d->token++;
        return SW_OK;
    }
    while (more > 0) {
        int rc = skip_value(d, depth);
        if (rc != SW_OK) return rc;
        more = sw_json_take_comma(d, ']');
    }
    return more;
}

/* What a number that nobody asked for holds behind its first digit is not looked at. */
static int skip_scalar(sw_json_decoder *d, const uint8_t *value)
{
    bool is_number = *value == '-' || (uint8_t)(*value - '0') < 10;
    if (!is_number && !sw_json_is_null(value) && !sw_json_is_true(value) && !sw_json_is_false(value))
        return sw_json_fail(d, "not a JSON value");
    d->token++;
    return SW_OK;
}

/* Skips the value at the next token, which stands `depth` levels deep. */
static int skip_value(sw_json_decoder *d, int depth)
{
    const uint8_t *value = sw_json_here(d);
    if (*value == '"') {
        d->token++;
        return SW_OK;
    }
    if (*value != '{' && *value != '[') return skip_scalar(d, value);
    if (depth == SW_JSON_DEPTH_MAX) return sw_json_fail(d, "nested too deep");
    d->token++;
    return *value == '{' ? skip_object(d, depth + 1) : skip_array(d, depth + 1);
}

__attribute__((cold)) static int wrong_field(const sw_json_decoder *d, const sw_field *field, const char *reason)
{
    return sw_error_set(d->err, SW_EFORMAT, "field \"%s\": %s at byte %u", field->name, reason, sw_json_byte(d));
}

__attribute__((cold)) static int wrong_type(const sw_json_decoder *d, const sw_field *field)
{
    const uint8_t *value = sw_json_here(d);
    const char *found = "something that is no JSON value";
    sw_number number;
    if (*value == '"') {
        found = "a string";
    } else if (*value == '{') {
        found = "an object";
    } else if (*value == '[') {
        found = "an array";
    } else if (sw_json_is_true(value) || sw_json_is_false(value)) {
        found = "a bool";
    } else if (*value == '-' || (*value >= '0' && *value <= '9')) {
        const char *reason = sw_json_number(value, &number);
        if (reason != NULL) return wrong_field(d, field, reason);
        found = "a number";
    }
    return sw_error_set(d->err, SW_EFORMAT, "field \"%s\": expected %s, found %s", field->name,
                        sw_type_name(field->type), found);
}

#define QUICK_DIGITS 18 /* so many always fit into 63 bits */

/* The usual whole number: digits without a leading zero, then the end of the value. */
static inline bool read_quick_i64(const uint8_t *p, int64_t *out)
{
    const uint8_t *first = p;
    uint64_t value = (uint8_t)(*p - '0');
    if (value == 0 || value > 9) return false;
    for (p++; (uint8_t)(*p - '0') < 10; p++) value = value * 10 + (uint8_t)(*p - '0');
    if (p - first > QUICK_DIGITS || (*p != ',' && *p != '}')) return false;
    *out = (int64_t)value;
    return true;
}

static int read_i64(const sw_json_decoder *d, const sw_field *field, const uint8_t *value, sw_slot *slot)
{
    sw_number number;
    if (read_quick_i64(value, &slot->i)) return SW_OK;
    if (sw_json_number(value, &number) != NULL) return wrong_type(d, field);
    switch (number.kind) {
    case SW_NUMBER_I64: slot->i = number.i; return SW_OK;
    case SW_NUMBER_F64:
        if (!sw_json_is_whole(number.f) && number.f != 0) return wrong_field(d, field, "not a whole number up to 2^53");
        slot->i = (int64_t)number.f;
        return SW_OK;
    default: return wrong_field(d, field, "a whole number beyond 64 bits");
    }
}

static int read_f64(const sw_json_decoder *d, const sw_field *field, const uint8_t *value, sw_slot *slot)
{
    sw_number number;
    if (sw_json_number(value, &number) != NULL) return wrong_type(d, field);
    switch (number.kind) {
    case SW_NUMBER_I64: slot->f = (double)number.i; break;
    case SW_NUMBER_U64: slot->f = (double)number.u; break;
    default: slot->f = number.f; break;
    }
    return SW_OK;
}

static int read_bool(const sw_json_decoder *d, const sw_field *field, const uint8_t *value, sw_slot *slot)
{
    bool is_true = sw_json_is_true(value);
    if (!is_true && !sw_json_is_false(value)) return wrong_type(d, field);
    slot->i = is_true;
    return SW_OK;
}

static int read_string(const sw_json_decoder *d, const sw_field *field, const uint8_t *value, sw_slot *slot,
                       uint8_t **end)
{
    if (*value != '"') return wrong_type(d, field);
    const uint8_t *last = sw_json_string_end(sw_json_place(d, d->token + 1));
    int64_t len = sw_json_string(*end, value + 1, (size_t)(last - value - 1));
    if (len < 0) return wrong_field(d, field, "a bad escape in a string");
    slot->s.off = (uint32_t)(*end - d->row);
    slot->s.len = (uint32_t)len;
    *end += len;
    return SW_OK;
}

/* Reads the value at the next token into its slot; strings go to *end. */
static inline __attribute__((always_inline)) int read_field(sw_json_decoder *d, sw_row *row, uint32_t at, uint8_t **end)
{
    const sw_field *field = &d->schema->fields[at];
    sw_slot *slot = &sw_row_slots(row, d->schema)[at];
    uint64_t *presence = &sw_row_presence(row)[at / 64];
    const uint8_t *value = sw_json_here(d);
    int rc = SW_EFORMAT;
    if (sw_json_is_null(value)) { /* Also takes back what an earlier member of this name set. */
        *presence &= ~(UINT64_C(1) << (at % 64));
        slot->i = 0;
        d->token++;
        return SW_OK;
    }
    switch (field->type) {
    case SW_TYPE_I64:
    case SW_TYPE_TIME: rc = read_i64(d, field, value, slot); break;
    case SW_TYPE_F64: rc = read_f64(d, field, value, slot); break;
    case SW_TYPE_BOOL: rc = read_bool(d, field, value, slot); break;
    case SW_TYPE_STRING: rc = read_string(d, field, value, slot, end); break;
    }
    if (rc != SW_OK) return rc;
    *presence |= UINT64_C(1) << (at % 64);
    d->token++;
    return SW_OK;
}

/* Is it a string, or the beginning of a number: one token, to be passed over as it is? */
static inline bool is_skipped_at_once(uint8_t first)
{
    return first == '"' || first == '-' || (uint8_t)(first - '0') < 10;
}

/* A string of a key that comes twice leaves its bytes behind unused: the text was that long, so there is
 * room. */
int64_t sw_json_decode_record(sw_json_decoder *d, sw_row *row)
{
    uint8_t *body = sw_row_body(row);
    uint8_t *end = body + d->schema->fixed_size;
    int more = 1;
    memset(body, 0, d->schema->fixed_size);
    d->token++;
    if (*sw_json_here(d) == '}') {
        d->token++;
        return end - body;
    }
    while (more > 0) {
        const sw_json_key *key = sw_json_take_key(d);
        if (key == NULL) return SW_EFORMAT;
        int rc = SW_OK;
        if (key->field >= 0) rc = read_field(d, row, (uint32_t)key->field, &end);
        else if (is_skipped_at_once(*sw_json_here(d))) d->token++;
        else rc = skip_value(d, 1);
        if (rc != SW_OK) return rc;
        more = sw_json_take_comma(d, '}');
    }
    return more < 0 ? more : end - body;
}
