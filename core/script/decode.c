/* decode.c -- msgpack to Lua values through the C API: called once per batch, for all its table events.
 *
 * Field names repeat from event to event, and so do short texts: those met in a batch lie on the Lua stack, and what
 * is found among them again, by its bytes as words, is not interned anew.
 *
 * Trust  Bytes come from our own encoders and checked codecs; a bad tag is still an error, not a crash. */
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <string.h>

#include "script/api.h"
#include "state/pack.h"
#include "state/row.h"

#define TEXTS_LOG2 7
#define TEXTS (1 << TEXTS_LOG2) /* places for texts that may come again */
#define TEXT_BYTES 16u          /* longer texts are interned each time */
#define SCATTER UINT64_C(0x9e3779b97f4a7c15)
#define STACK_SLOTS (4 * (SW_PACK_DEPTH + 3)) /* of values at work */
#define EXACT_MAX 9007199254740992LL

enum { ARG_NULL = 3, ARG_ARRAY_META = 4, ARG_BOX = 5, ARG_TEXTS = 6 }; /* stack slots */

/* A text of 1 to TEXT_BYTES bytes: the first eight and the last, which may be the same, or all of fewer, twice. */
typedef struct text {
    uint64_t first, last;
    uint64_t len; /* 0: none */
} text;

typedef struct decoder {
    lua_State *L;          /* decoded values go on its stack */
    sw_pack_reader reader; /* over the body */
    text *texts;           /* TEXTS of them, whose strings are at ARG_TEXTS and above; NULL: none are kept */
} decoder;

static int push_value(decoder *d, int depth);

/* Of 1 to TEXT_BYTES bytes. What is read before a short text is part of its row. */
static inline text load_text(const uint8_t *bytes, uint32_t len)
{
    text t = { 0, 0, len };
    bool is_short = len < 8;
    unsigned unwanted = is_short ? 64 - 8 * len : 0;
    memcpy(&t.first, is_short ? bytes + len - 8 : bytes, 8);
    memcpy(&t.last, bytes + len - 8, 8);
    t.first >>= unwanted;
    t.last >>= unwanted;
    return t;
}

static void push_text(decoder *d, const uint8_t *bytes, uint32_t len)
{
    lua_State *L = d->L;
    if (d->texts == NULL || len - 1 >= TEXT_BYTES) {
        lua_pushlstring(L, (const char *)bytes, len);
        return;
    }
    text wanted = load_text(bytes, len);
    uint64_t mixed = (wanted.first ^ (wanted.last + len) * SCATTER) * SCATTER;
    unsigned at = (unsigned)(mixed >> (64 - TEXTS_LOG2));
    text *found = &d->texts[at];
    if (found->first == wanted.first && found->last == wanted.last && found->len == len) {
        lua_pushvalue(L, ARG_TEXTS + (int)at);
        return;
    }
    lua_pushlstring(L, (const char *)bytes, len);
    lua_pushvalue(L, -1);
    lua_replace(L, ARG_TEXTS + (int)at);
    *found = wanted;
}

static void push_boxed(decoder *d, uint64_t bits, bool is_unsigned)
{
    lua_State *L = d->L;
    lua_pushvalue(L, ARG_BOX);
    lua_pushnumber(L, (double)(bits >> 32));
    lua_pushnumber(L, (double)(bits & 0xffffffffu));
    lua_pushboolean(L, is_unsigned);
    lua_call(L, 3, 1); /* Our own function: it makes a cdata and cannot fail but for memory. */
}

static int push_array(decoder *d, uint32_t count, int depth)
{
    lua_State *L = d->L;
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 1; i <= count; i++) {
        if (push_value(d, depth) != 0) return -1;
        lua_rawseti(L, -2, (int)i);
    }
    if (count == 0) {
        lua_pushvalue(L, ARG_ARRAY_META);
        lua_setmetatable(L, -2);
    }
    return 0;
}

static int push_map(decoder *d, uint32_t count, int depth)
{
    lua_State *L = d->L;
    lua_createtable(L, 0, (int)count);
    for (uint32_t i = 0; i < count; i++) {
        if (push_value(d, depth) != 0 || push_value(d, depth) != 0) return -1; /* Numbers are keys in state tables. */
        lua_rawset(L, -3);
    }
    return 0;
}

static void push_i64(decoder *d, int64_t value)
{
    if (value < EXACT_MAX && value > -EXACT_MAX) lua_pushnumber(d->L, (double)value);
    else push_boxed(d, (uint64_t)value, false);
}

static int push_item(decoder *d, int depth)
{
    lua_State *L = d->L;
    sw_pack_item item;
    if (sw_pack_next(&d->reader, &item) != SW_OK) return -1;
    switch (item.type) {
    case SW_PACK_NIL: lua_pushvalue(L, ARG_NULL); return 0;
    case SW_PACK_BOOL: lua_pushboolean(L, item.v.i != 0); return 0;
    case SW_PACK_I64: push_i64(d, item.v.i); return 0;
    case SW_PACK_U64: push_boxed(d, item.v.u, true); return 0;
    case SW_PACK_F64: lua_pushnumber(L, item.v.f); return 0;
    case SW_PACK_STR:
    case SW_PACK_BIN: push_text(d, item.v.bytes, item.count); return 0;
    case SW_PACK_ARRAY: return depth <= SW_PACK_DEPTH ? push_array(d, item.count, depth + 1) : -1;
    case SW_PACK_MAP: return depth <= SW_PACK_DEPTH ? push_map(d, item.count, depth + 1) : -1;
    }
    return -1;
}

/* Pushes the next value; -1 for bytes that are none (the stack may hold parts). The most usual ones are read here. */
static int push_value(decoder *d, int depth)
{
    const uint8_t *p = d->reader.p;
    size_t left = (size_t)(d->reader.end - p);
    if (left < 10) return push_item(d, depth); /* Room for the tag and the longest number. */
    unsigned size = *p - 0xcc;
    if (size < 4) { /* An unsigned number of 1, 2, 4 or 8 bytes. */
        uint64_t value;
        memcpy(&value, p + 1, 8);
        size = 1u << size;
        value = __builtin_bswap64(value) >> (64 - 8 * size);
        if (value >= EXACT_MAX) return push_item(d, depth);
        lua_pushnumber(d->L, (double)(int64_t)value);
        d->reader.p = p + 1 + size;
        return 0;
    }
    uint32_t len, head;
    if (*p >> 5 == 5) len = *p & 31u, head = 1;
    else if (*p == 0xd9) len = p[1], head = 2;
    else if (*p == 0xda) len = (uint32_t)(p[1] << 8 | p[2]), head = 3;
    else return push_item(d, depth);
    if (head + len > left) return -1;
    push_text(d, p + head, len);
    d->reader.p = p + head + len;
    return 0;
}

/* The address in a cdata pointer. */
static const void *cdata_pointer(lua_State *L, int index)
{
    const void *const *at = lua_topointer(L, index);
    return at != NULL ? *at : NULL;
}

/* The address of a struct, given as a pointer or (rows of a task) as a reference: both hold the address. */
int l_decode_batch(lua_State *L)
{
    const sw_batch *batch = cdata_pointer(L, 1);
    const sw_row *row = (const sw_row *)(const void *)batch->data;
    text texts[TEXTS];
    bool has_texts = false;
    lua_settop(L, ARG_BOX);
    for (uint32_t i = 0; i < batch->count; i++, row = sw_row_next(row)) {
        if (row->schema != 0 || row->kind > SW_ROW_MALFORMED) continue;
        if (!has_texts) {
            memset(texts, 0, sizeof(texts));
            luaL_checkstack(L, TEXTS + STACK_SLOTS, "too deep");
            lua_settop(L, ARG_TEXTS + TEXTS - 1);
            has_texts = true;
        }
        decoder d = { .L = L, .texts = texts };
        d.reader = (sw_pack_reader){ sw_row_body(row), sw_row_body(row) + row->body_len };
        if (push_value(&d, 0) != 0) return luaL_error(L, "a row's msgpack is damaged");
        lua_rawseti(L, 2, (int)i + 1);
    }
    return 0;
}

/* (pointer, length, null, array metatable, box) -> value */
int l_decode_bytes(lua_State *L)
{
    const uint8_t *bytes = cdata_pointer(L, 1);
    size_t len = (size_t)lua_tonumber(L, 2);
    lua_settop(L, ARG_BOX);
    luaL_checkstack(L, STACK_SLOTS, "too deep");
    decoder d = { .L = L, .reader = { bytes, bytes + len } };
    if (push_value(&d, 0) != 0) return luaL_error(L, "state bytes are damaged");
    return 1;
}
