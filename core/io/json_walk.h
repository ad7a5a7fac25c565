/* json_walk.h -- what the two decoders of json_decode.h share: the walk over tokens. Internal to them. */
#ifndef SW_IO_JSON_WALK_H
#define SW_IO_JSON_WALK_H

#include "base/error.h"
#include "io/json_decode.h"
#include "io/json_index.h"
#include "io/json_keys.h"
#include "io/json_text.h"

/* A member of the map being built, or of one of those around it. */
typedef struct sw_json_member {
    uint32_t off; /* where it begins, from the start of the row */
    uint32_t id;  /* of its key */
    bool is_null; /* its value is null: absent, unless a later one has the key */
    bool is_dead; /* a later one has the key */
} sw_json_member;

struct sw_json_decoder {
    const uint8_t *text;        /* being decoded */
    const uint32_t *token;      /* the next token's place in text; behind the last: the length */
    const uint32_t *end;        /* behind the last token */
    sw_error *err;              /* where to put the reason */
    uint8_t *row;               /* start of the row being written */
    sw_json_keys keys;          /* seen so far */
    const sw_schema *schema;    /* of the records to make; NULL: maps */
    const char *time_field;     /* NUL-terminated, or NULL; the caller's */
    const uint32_t *time_token; /* maps: value of the time field, or NULL while it was not met */
    int time_index;             /* records: the time field's index; -1 without */
    sw_buf members;             /* maps: stack of sw_json_member */
    sw_buf order;               /* maps: scratch for sorting members */
    sw_json_index *index;       /* owned */
};

static inline const uint8_t *sw_json_here(const sw_json_decoder *d)
{
    return d->text + *d->token;
}

/* Fails at the next token. */
int sw_json_fail(const sw_json_decoder *d, const char *reason) __attribute__((cold));

/* The key at the next token and the colon behind it; the walk is then at the value. NULL when there is
 * none. */
static inline __attribute__((always_inline)) const sw_json_key *sw_json_take_key(sw_json_decoder *d)
{
    const uint8_t *quote = sw_json_here(d);
    const char *reason = "expected a key";
    const sw_json_key *key = NULL;
    if (*quote == '"') {
        key = sw_json_keys_guess(&d->keys, quote + 1);
        if (key == NULL) {
            const uint8_t *end = sw_json_string_end(d->text + d->token[1]);
            key = sw_json_keys_search(&d->keys, quote + 1, (size_t)(end - quote - 1), &reason);
        }
        if (key != NULL && d->text[d->token[1]] != ':') {
            reason = "expected ':' behind a key";
            key = NULL;
        }
    }
    if (key == NULL) {
        sw_json_fail(d, reason);
        return NULL;
    }
    d->token += 2;
    return key;
}

/* Goes on behind a member or element: 1 when another follows, 0 when `close` ended it, or SW_EFORMAT. */
static inline __attribute__((always_inline)) int sw_json_take_comma(sw_json_decoder *d, uint8_t close)
{
    uint8_t c = *sw_json_here(d);
    if (c == ',') {
        d->token++;
        return 1;
    }
    if (c != close) return sw_json_fail(d, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    d->token++;
    return 0;
}

/* Writes the body of the row, whose room is reserved, and returns its length or a negative code. */
int64_t sw_json_decode_record(sw_json_decoder *d, sw_row *row);
int64_t sw_json_decode_map(sw_json_decoder *d, sw_row *row);

/* Is it a whole number that a double holds exactly (not -0.0)? */
bool sw_json_is_whole(double value);

#endif
