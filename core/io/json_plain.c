/* json_plain.c -- lines that are written as most are: see sw_json_decode_plain.
 *
 *     {"type":"bid","auction":1007,"url":"https://..."}\n{"type"...
 *      ^lead  ^value^lead     ^value                   ^ the line ends here: nobody has searched for it
 *
 * Where the line ends is not known, so nothing may lead from it into the next: leads hold no line break, a
 * value begins where its lead ends and ends where the next token begins. Whatever is not as expected ends the
 * attempt; what is wrong with the line, if anything, is found by the other decoders. */
#include "io/json_walk.h"
#include "io/mp.h"

#define DIGITS_MAX 16 /* of a number read in two words */

/* A member's value. */
typedef struct value {
    const uint8_t *text; /* its first byte */
    size_t len;          /* bytes */
} value;

/* --- numbers -------------------------------------------------------------------------------------- */

/* The number that 1 to 8 digits make, which come in the highest bytes of the word. False when they are not all
 * digits. */
static inline bool read_eight(uint64_t word, size_t len, uint64_t *out)
{
    const uint64_t zeros = UINT64_C(0x3030303030303030), high = UINT64_C(0xf0f0f0f0f0f0f0f0);
    uint64_t digits = word | (zeros & ~(UINT64_MAX << (64 - 8 * len)));
    bool is_good =
        ((digits & high) | (((digits + UINT64_C(0x0606060606060606)) & high) >> 4)) == UINT64_C(0x3333333333333333);
    digits = (digits & ~high) * 2561 >> 8;
    digits = (digits & UINT64_C(0x00ff00ff00ff00ff)) * 6553601 >> 16;
    *out = (digits & UINT64_C(0x0000ffff0000ffff)) * 42949672960001 >> 32;
    return is_good;
}

static inline uint64_t load(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

/* A whole number of up to 16 digits and nothing else. */
static inline __attribute__((always_inline)) bool read_whole(value v, uint64_t *out)
{
    uint64_t low = 0, high = 0;
    if (v.len > DIGITS_MAX || (*v.text == '0' && v.len > 1)) return false;
    if (v.len <= 8) return read_eight(load(v.text) << (64 - 8 * v.len), v.len, out);
    bool is_good = read_eight(load(v.text) << (128 - 8 * v.len), v.len - 8, &high);
    is_good &= read_eight(load(v.text + v.len - 8), 8, &low);
    *out = high * 100000000 + low;
    return is_good;
}

/* --- the walk ------------------------------------------------------------------------------------- */

/* Where the walk is. */
typedef struct place {
    const uint8_t *at;     /* the brace or comma before the next member */
    const uint32_t *token; /* its token */
    sw_json_key *key;      /* of the member before */
} place;

/* The key at this place, which was not guessed; NULL when its lead cannot be told by what was learned. */
static __attribute__((noinline)) sw_json_key *search_key(sw_json_decoder *d, place here)
{
    d->token = here.token + 1;
    d->keys.last = here.key;
    const sw_json_key *key = sw_json_search_key(d);
    return key == d->keys.last && sw_json_key_matches(key, here.at + 1) ? d->keys.last : NULL;
}

/* Goes to the next place and finds the value of the member between: what stands where the key's lead ends, if
 * only blanks. False when it does not end where the next token begins. */
static inline __attribute__((always_inline)) bool take_member(sw_json_decoder *d, place *here, value *v)
{
    const uint8_t *lead = here->at + 1;
    sw_json_key *key = sw_json_keys_guess(here->key, lead);
    if (__builtin_expect(key == NULL, 0) && (key = search_key(d, *here)) == NULL) return false;
    const uint8_t *text = d->text;
    const uint32_t *token = here->token;
    v->text = lead + key->lead_len;
    const uint8_t *next = text + token[4]; /* Behind brace or comma, key, colon and value. */
    v->len = (size_t)(next - v->text);
    bool is_plain = next[-1] > ' ';
    *here = (place){ next, token + 4, key };
    return is_plain;
}

/* The place before the first member. */
static inline place first_place(const sw_json_decoder *d)
{
    return (place){ sw_json_here(d), d->token, d->keys.last };
}

/* --- records -------------------------------------------------------------------------------------- */

static bool read_i64(value v, sw_slot *slot)
{
    uint64_t whole;
    sw_number number;
    if (read_whole(v, &whole)) {
        slot->i = (int64_t)whole;
        return true;
    }
    if (sw_json_number(v.text, &number) != NULL || number.kind != SW_NUMBER_I64) return false;
    slot->i = number.i;
    return true;
}

static bool read_f64(value v, sw_slot *slot)
{
    uint64_t whole;
    sw_number number;
    if (read_whole(v, &whole)) {
        slot->f = (double)whole;
        return true;
    }
    if (sw_json_number(v.text, &number) != NULL) return false;
    slot->f = number.kind == SW_NUMBER_I64   ? (double)number.i
              : number.kind == SW_NUMBER_U64 ? (double)number.u
                                             : number.f;
    return true;
}

static bool read_string(const sw_json_decoder *d, value v, sw_slot *slot, uint8_t **end, const uint8_t *stop)
{
    if (*v.text != '"' || v.len > (size_t)(stop - *end)) return false;
    int64_t len = sw_json_string(*end, v.text + 1, v.len - 2);
    if (len < 0) return false;
    slot->s.off = (uint32_t)(*end - d->row);
    slot->s.len = (uint32_t)len;
    *end += len;
    return true;
}

static inline __attribute__((always_inline)) bool read_field(const sw_json_decoder *d, const sw_json_key *key, value v,
                                                             uint8_t **end, const uint8_t *stop)
{
    sw_slot *slot = (sw_slot *)(void *)(d->row + key->slot);
    uint64_t *presence = (uint64_t *)(void *)(d->row + key->presence);
    if (*v.text == 'n' && sw_json_is_null(v.text)) {
        *presence &= ~key->bit;
        slot->i = 0;
        return true;
    }
    *presence |= key->bit;
    switch (key->type) {
    case SW_TYPE_I64:
    case SW_TYPE_TIME: return read_i64(v, slot);
    case SW_TYPE_F64: return read_f64(v, slot);
    case SW_TYPE_BOOL: slot->i = sw_json_is_true(v.text); return slot->i != 0 || sw_json_is_false(v.text);
    case SW_TYPE_STRING: return read_string(d, v, slot, end, stop);
    }
    return false;
}

/* May a value that nobody asked for be passed over? */
static inline bool may_skip(const uint8_t *text)
{
    if (*text == '"' || *text == '-' || (uint8_t)(*text - '0') < 10) return true;
    return sw_json_is_null(text) || sw_json_is_true(text) || sw_json_is_false(text);
}

/* As memset for so few bytes that a call costs more; some behind them too. */
static inline void clear(uint8_t *p, uint32_t len)
{
    for (const uint8_t *end = p + len; p < end; p += 32) memset(p, 0, 32);
}

uint32_t sw_json_plain_record(sw_json_decoder *d, sw_row *row, const uint8_t *stop)
{
    uint8_t *body = sw_row_body(row);
    uint8_t *end = body + d->schema->fixed_size;
    place here = first_place(d);
    if (*here.at != '{') return 0;
    clear(body, d->schema->fixed_size);
    do {
        value v;
        if (!take_member(d, &here, &v)) return 0;
        if (here.key->field >= 0 ? !read_field(d, here.key, v, &end, stop) : !may_skip(v.text)) return 0;
    } while (*here.at == ',');
    d->token = here.token + 1;
    return *here.at == '}' ? (uint32_t)(end - body) : 0;
}

/* --- maps ----------------------------------------------------------------------------------------- */

static inline uint8_t *write_key(uint8_t *p, const sw_json_key *key)
{
    memcpy(p, key->packed, 16);
    if (key->packed_len > 16) memcpy(p + 16, key->packed + 16, SW_JSON_KEY_PACKED - 16);
    return p + key->packed_len;
}

static inline uint8_t *write_string(uint8_t *p, value v)
{
    size_t raw_len = v.len - 2;
    unsigned header = sw_mp_str_header_size(raw_len);
    int64_t len = sw_json_string(p + header, v.text + 1, raw_len);
    if (len < 0 || sw_mp_str_header_size((uint64_t)len) != header) return NULL;
    sw_mp_str_header(p, (uint32_t)len);
    return p + header + len;
}

static inline uint8_t *write_other(uint8_t *p, value v)
{
    uint64_t whole;
    sw_number number;
    if (read_whole(v, &whole)) return sw_mp_u64(p, whole);
    if (sw_json_is_true(v.text) || sw_json_is_false(v.text)) {
        *p = *v.text == 't' ? SW_MP_TRUE : SW_MP_FALSE;
        return p + 1;
    }
    if (sw_json_number(v.text, &number) != NULL) return NULL;
    if (number.kind == SW_NUMBER_I64) return sw_mp_i64(p, number.i);
    if (number.kind != SW_NUMBER_F64) return NULL;
    return sw_json_is_whole(number.f) ? sw_mp_i64(p, (int64_t)number.f) : sw_mp_f64(p, number.f);
}

/* Members whose keys are told apart by a bit, no second one of a key, and not more than the smallest header
 * counts. A null that undoes nothing takes no room. */
uint32_t sw_json_plain_map(sw_json_decoder *d, sw_row *row, const uint8_t *stop)
{
    uint8_t *body = sw_row_body(row), *p = body + 1;
    uint64_t seen = 0;
    uint32_t count = 0;
    place here = first_place(d);
    if (*here.at != '{') return 0;
    do {
        value v;
        if (!take_member(d, &here, &v)) return 0;
        const sw_json_key *key = here.key;
        if (key->id >= 64 || ((seen >> key->id) & 1) != 0) return 0;
        if (SW_JSON_KEY_PACKED + v.len + SW_MP_HEADER_MAX > (size_t)(stop - p)) return 0;
        if (key->is_time) d->time_token = here.token - 1;
        if (*v.text == 'n') {
            if (!sw_json_is_null(v.text)) return 0;
            continue;
        }
        seen |= UINT64_C(1) << key->id;
        count++;
        p = write_key(p, key);
        p = *v.text == '"' ? write_string(p, v) : write_other(p, v);
        if (p == NULL) return 0;
    } while (*here.at == ',');
    if (*here.at != '}' || sw_mp_count_header_size(count) != 1) return 0;
    sw_mp_map_header(body, count);
    d->token = here.token + 1;
    return (uint32_t)(p - body);
}
