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
    const uint8_t *text;        /* that was scanned: the line being decoded, or the block it is part of */
    const uint32_t *token;      /* the next token's place in text */
    uint32_t begin, limit;      /* where the line being decoded begins and ends in text */
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
    const uint8_t *ready;       /* lines that will be decoded next; NULL: not known */
    size_t ready_len;           /* bytes of them */
    const uint8_t *alone;       /* those before here are looked at one by one */
    size_t reach;               /* bytes of them that are scanned at once */
    const uint8_t *block;       /* the part of them that was scanned; NULL: none */
    size_t block_len;           /* bytes of that */
    uint32_t misses;            /* lines in a row that were not plain */
    const uint32_t *tokens;     /* of the block */
    const uint32_t *ahead;      /* one of them, from which the next line's first is sought */
};

/* Where a token is. The tokens behind a line are those of the next one: they count as its end. */
static inline const uint8_t *sw_json_place(const sw_json_decoder *d, const uint32_t *token)
{
    return d->text + (*token < d->limit ? *token : d->limit);
}

static inline const uint8_t *sw_json_here(const sw_json_decoder *d)
{
    return sw_json_place(d, d->token);
}

/* The number of the next token's first byte in the line, from 1. */
static inline uint32_t sw_json_byte(const sw_json_decoder *d)
{
    return *d->token - d->begin + 1;
}

/* Fails at the next token. */
int sw_json_fail(const sw_json_decoder *d, const char *reason) __attribute__((cold));

/* The key at the next token, which was not guessed; the walk is then at the value. NULL when there is none. */
const sw_json_key *sw_json_search_key(sw_json_decoder *d);

/* The key behind the brace or comma that was the last token; the walk is then at the value. NULL when there
 * is none. */
static inline __attribute__((always_inline)) const sw_json_key *sw_json_take_key(sw_json_decoder *d)
{
    sw_json_key *key = sw_json_keys_guess(d->keys.last, d->text + d->token[-1] + 1);
    if (key == NULL) return sw_json_search_key(d);
    d->keys.last = key;
    d->token += 2; /* The key and the colon. */
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

/* The decoders of plain lines: see sw_json_decode_plain. They return how many bytes the body has, and the
 * walk is behind the object's brace; 0: the line is not that plain, or the room, up to `stop`, too small. */
uint32_t sw_json_plain_record(sw_json_decoder *d, sw_row *row, const uint8_t *stop);
uint32_t sw_json_plain_map(sw_json_decoder *d, sw_row *row, const uint8_t *stop);

/* Writes the body of the row, whose room is reserved, and returns its length or a negative code. */
int64_t sw_json_decode_record(sw_json_decoder *d, sw_row *row);
int64_t sw_json_decode_map(sw_json_decoder *d, sw_row *row);

/* Is it a whole number that a double holds exactly (not -0.0)? */
bool sw_json_is_whole(double value);

#endif
