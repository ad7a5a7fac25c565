/* json_map.c -- JSON objects as msgpack maps.
 *
 * A map's header stands before its members but their number is known behind them: a byte is left for it,
 * and the few objects with more than 15 members are moved up. Of members with the same key the last one
 * stays; since every member of this map lies on a stack, with an id that says cheaply whether its key was
 * met before, the search for them is only made where there may be some. */
#include <stdlib.h>

#include "io/json_walk.h"
#include "io/mp.h"

/* An object on its way to a map. */
typedef struct object {
    uint8_t *header;    /* the byte left for the map's header */
    size_t first;       /* index of its first member on the stack */
    uint64_t seen;      /* ids below 64 that were met */
    uint32_t uncertain; /* members with other ids: equal keys are found by comparing */
    bool needs_tidy;    /* a key came twice, or might have, or a null came that may undo an earlier member */
} object;

static uint8_t *write_value(sw_json_decoder *d, uint8_t *p, int depth);

static uint8_t *fail(const sw_json_decoder *d, const char *reason)
{
    sw_json_fail(d, reason);
    return NULL;
}

static inline sw_json_member *members(const sw_json_decoder *d)
{
    return (sw_json_member *)(void *)d->members.data;
}

static inline size_t member_count(const sw_json_decoder *d)
{
    return d->members.size / sizeof(sw_json_member);
}

static int push_member(sw_json_decoder *d, const uint8_t *p, uint32_t id)
{
    if (sw_buf_reserve(&d->members, sizeof(sw_json_member)) != SW_OK)
        return sw_error_set(d->err, SW_ENOMEM, "out of memory");
    members(d)[member_count(d)] = (sw_json_member){ .off = (uint32_t)(p - d->row), .id = id };
    d->members.size += sizeof(sw_json_member);
    return SW_OK;
}

static inline void note_id(object *o, uint32_t id)
{
    if (id >= 64) {
        o->needs_tidy |= o->uncertain++ > 0;
        return;
    }
    o->needs_tidy |= ((o->seen >> id) & 1) != 0;
    o->seen |= UINT64_C(1) << id;
}

/* --- members that go ------------------------------------------------------------------------------ */

/* Length of the str at p with its header. */
static size_t str_size(const uint8_t *p)
{
    switch (p[0]) {
    case 0xd9: return 2 + (size_t)p[1];
    case 0xda: return 3 + ((size_t)p[1] << 8 | p[2]);
    case 0xdb: return 5 + ((size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4]);
    default: return 1 + (p[0] & 31u);
    }
}

/* By key, then by place. Keys that differ in length differ in their headers. */
static int compare_members(const void *a, const void *b, void *arg)
{
    const sw_json_decoder *d = arg;
    const sw_json_member *left = &members(d)[*(const uint32_t *)a];
    const sw_json_member *right = &members(d)[*(const uint32_t *)b];
    if (left->id != right->id) return left->id < right->id ? -1 : 1;
    const uint8_t *left_key = d->row + left->off;
    const uint8_t *right_key = d->row + right->off;
    size_t left_size = str_size(left_key);
    size_t right_size = str_size(right_key);
    int order = memcmp(left_key, right_key, left_size < right_size ? left_size : right_size);
    if (order != 0) return order;
    return left->off < right->off ? -1 : left->off > right->off;
}

static bool have_same_key(const sw_json_decoder *d, uint32_t a, uint32_t b)
{
    const sw_json_member *left = &members(d)[a];
    const sw_json_member *right = &members(d)[b];
    const uint8_t *key = d->row + left->off;
    return left->id == right->id && memcmp(key, d->row + right->off, str_size(key)) == 0;
}

static int mark_replaced(sw_json_decoder *d, size_t first, size_t count)
{
    sw_buf_clear(&d->order);
    if (sw_buf_reserve(&d->order, count * sizeof(uint32_t)) != SW_OK)
        return sw_error_set(d->err, SW_ENOMEM, "out of memory");
    uint32_t *order = (uint32_t *)(void *)d->order.data;
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)(first + i);
    qsort_r(order, count, sizeof(*order), compare_members, d);
    for (size_t i = 0; i + 1 < count; i++) members(d)[order[i]].is_dead = have_same_key(d, order[i], order[i + 1]);
    return SW_OK;
}

/* Closes the gaps that dead members leave. Returns the new end; *count is how many stay. */
static uint8_t *close_gaps(sw_json_decoder *d, size_t first, uint8_t *end, uint32_t *count)
{
    const sw_json_member *list = members(d);
    size_t all = member_count(d);
    uint8_t *to = d->row + list[first].off;
    *count = 0;
    for (size_t i = first; i < all; i++) {
        const uint8_t *from = d->row + list[i].off;
        const uint8_t *stop = i + 1 < all ? d->row + list[i + 1].off : end;
        if (list[i].is_dead || list[i].is_null) continue;
        memmove(to, from, (size_t)(stop - from));
        to += stop - from;
        ++*count;
    }
    return to;
}

/* --- the walk ------------------------------------------------------------------------------------- */

static uint8_t *write_string(sw_json_decoder *d, uint8_t *p, const uint8_t *quote)
{
    const uint8_t *last = sw_json_string_end(sw_json_place(d, d->token + 1));
    size_t raw_len = (size_t)(last - quote - 1);
    unsigned header = sw_mp_str_header_size(raw_len);
    int64_t len = sw_json_string(p + header, quote + 1, raw_len);
    if (len < 0) return fail(d, "a bad escape in a string");
    unsigned shorter = sw_mp_str_header_size((uint64_t)len);
    if (shorter != header) memmove(p + shorter, p + header, (size_t)len); /* Escapes made it that much shorter. */
    sw_mp_str_header(p, (uint32_t)len);
    d->token++;
    return p + shorter + len;
}

static uint8_t *write_number(sw_json_decoder *d, uint8_t *p, const uint8_t *value)
{
    sw_number number;
    const char *reason = sw_json_number(value, &number);
    if (reason != NULL) return fail(d, reason);
    if (number.kind == SW_NUMBER_HUGE) return fail(d, "a whole number beyond 64 bits");
    d->token++;
    if (number.kind == SW_NUMBER_I64) return sw_mp_i64(p, number.i);
    if (number.kind == SW_NUMBER_U64) return sw_mp_u64(p, number.u);
    return sw_json_is_whole(number.f) ? sw_mp_i64(p, (int64_t)number.f) : sw_mp_f64(p, number.f);
}

static uint8_t *write_word(sw_json_decoder *d, uint8_t *p, const uint8_t *value)
{
    if (sw_json_is_null(value)) {
        *p++ = SW_MP_NIL;
    } else if (sw_json_is_true(value)) {
        *p++ = SW_MP_TRUE;
    } else if (sw_json_is_false(value)) {
        *p++ = SW_MP_FALSE;
    } else {
        return write_number(d, p, value);
    }
    d->token++;
    return p;
}

/* Puts the header of size `size` before the bytes from begin + 1 to end, where one byte was left for it. */
static uint8_t *make_room(uint8_t *begin, uint8_t *end, unsigned size)
{
    if (size > 1) memmove(begin + size, begin + 1, (size_t)(end - begin - 1));
    return end + (size - 1);
}

static uint8_t *write_array(sw_json_decoder *d, uint8_t *p, int depth)
{
    uint8_t *header = p++;
    uint32_t count = 0;
    int more = *sw_json_here(d) != ']';
    if (more == 0) d->token++;
    while (more > 0) {
        p = write_value(d, p, depth);
        if (p == NULL) return NULL;
        count++;
        more = sw_json_take_comma(d, ']');
    }
    if (more < 0) return NULL;
    p = make_room(header, p, sw_mp_count_header_size(count));
    sw_mp_array_header(header, count);
    return p;
}

/* A null member takes no room, unless it may undo an earlier one. */
static uint8_t *write_member(sw_json_decoder *d, uint8_t *p, object *o, int depth)
{
    const sw_json_key *key = sw_json_take_key(d);
    if (key == NULL) return NULL;
    if (key->is_time && depth == 1) d->time_token = d->token;
    bool is_null = sw_json_is_null(sw_json_here(d));
    if (is_null && key->id < 64 && ((o->seen >> key->id) & 1) == 0) {
        d->token++;
        return p;
    }
    if (push_member(d, p, key->id) != SW_OK) return NULL;
    note_id(o, key->id);
    o->needs_tidy |= is_null;
    members(d)[member_count(d) - 1].is_null = is_null;
    p = sw_mp_str(p, key->bytes, key->len);
    return write_value(d, p, depth);
}

static uint8_t *end_object(sw_json_decoder *d, uint8_t *p, const object *o)
{
    uint32_t count = (uint32_t)(member_count(d) - o->first);
    if (o->needs_tidy) {
        if (mark_replaced(d, o->first, count) != SW_OK) return NULL;
        p = close_gaps(d, o->first, p, &count);
    }
    d->members.size = o->first * sizeof(sw_json_member);
    p = make_room(o->header, p, sw_mp_count_header_size(count));
    sw_mp_map_header(o->header, count);
    return p;
}

static uint8_t *write_object(sw_json_decoder *d, uint8_t *p, int depth)
{
    object o = { .header = p++, .first = member_count(d) };
    int more = *sw_json_here(d) != '}';
    if (more == 0) d->token++;
    while (more > 0) {
        p = write_member(d, p, &o, depth);
        if (p == NULL) return NULL;
        more = sw_json_take_comma(d, '}');
    }
    return more < 0 ? NULL : end_object(d, p, &o);
}

/* Writes the value at the next token, which stands in an object or array at this depth, at p. Returns the
 * end of it, or NULL. */
static uint8_t *write_value(sw_json_decoder *d, uint8_t *p, int depth)
{
    const uint8_t *value = sw_json_here(d);
    if (*value == '"') return write_string(d, p, value);
    if (*value != '{' && *value != '[') return write_word(d, p, value);
    if (depth == SW_JSON_DEPTH_MAX) return fail(d, "nested too deep");
    d->token++;
    return *value == '{' ? write_object(d, p, depth + 1) : write_array(d, p, depth + 1);
}

int64_t sw_json_decode_map(sw_json_decoder *d, sw_row *row)
{
    uint8_t *body = sw_row_body(row);
    sw_buf_clear(&d->members);
    d->token++;
    uint8_t *end = write_object(d, body, 1);
    if (end == NULL) return d->err != NULL ? d->err->code : SW_EFORMAT;
    return end - body;
}
