/* decode.c -- msgpack to Lua values through the C API: called once per batch, for all its table events.
 *
 * Field names repeat from event to event: the key at each position is compared with the one that stood there last
 * time and, when equal, taken from a Lua table by number instead of being interned again.
 *
 * Trust  Bytes come from our own encoders and checked codecs; a bad tag is still an error, not a crash. */
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <string.h>

#include "script/api.h"
#include "state/pack.h"
#include "state/row.h"

#define KEY_CACHE 64       /* positions whose key is remembered */
#define KEY_CACHE_BYTES 32 /* keys longer than this are interned each time */
#define EXACT_MAX 9007199254740992LL

enum { ARG_NULL = 3, ARG_ARRAY_META = 4, ARG_BOX = 5, ARG_KEYS = 6 }; /* stack slots; decode_bytes shifts its own */

typedef struct key_cache {
    uint32_t count;                         /* positions filled */
    uint8_t len[KEY_CACHE];                 /* bytes */
    char bytes[KEY_CACHE][KEY_CACHE_BYTES]; /* what stood there */
} key_cache;

typedef struct decoder {
    lua_State *L;          /* decoded values go on its stack */
    sw_pack_reader reader; /* over the body */
    key_cache *keys;       /* NULL: no cache */
    uint32_t position;     /* of the next key in this event */
    int base;              /* stack slot before ARG_NULL - 2 */
} decoder;

static int push_value(decoder *d, int depth);

static void push_key(decoder *d, const sw_pack_item *item)
{
    lua_State *L = d->L;
    key_cache *keys = d->keys;
    uint32_t at = d->position++;
    if (keys == NULL || at >= KEY_CACHE || item->count > KEY_CACHE_BYTES) {
        lua_pushlstring(L, (const char *)item->v.bytes, item->count);
        return;
    }
    if (at < keys->count && keys->len[at] == item->count && memcmp(keys->bytes[at], item->v.bytes, item->count) == 0) {
        lua_rawgeti(L, d->base + ARG_KEYS, (int)at + 1);
        return;
    }
    lua_pushlstring(L, (const char *)item->v.bytes, item->count);
    if (at > keys->count) return;
    lua_pushvalue(L, -1);
    lua_rawseti(L, d->base + ARG_KEYS, (int)at + 1);
    keys->len[at] = (uint8_t)item->count;
    memcpy(keys->bytes[at], item->v.bytes, item->count);
    if (at == keys->count) keys->count++;
}

static void push_boxed(decoder *d, uint64_t bits, bool is_unsigned)
{
    lua_State *L = d->L;
    lua_pushvalue(L, d->base + ARG_BOX);
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
        lua_pushvalue(L, d->base + ARG_ARRAY_META);
        lua_setmetatable(L, -2);
    }
    return 0;
}

static int push_map(decoder *d, uint32_t count, int depth)
{
    lua_State *L = d->L;
    sw_pack_item key;
    lua_createtable(L, 0, (int)count);
    for (uint32_t i = 0; i < count; i++) {
        if (d->reader.p < d->reader.end && (*d->reader.p >> 5 == 5 || (*d->reader.p >= 0xd9 && *d->reader.p <= 0xdb))) {
            if (sw_pack_next(&d->reader, &key) != SW_OK) return -1;
            push_key(d, &key);
        } else if (push_value(d, depth) != 0) { /* Numbers are keys in state tables. */
            return -1;
        }
        if (push_value(d, depth) != 0) return -1;
        lua_rawset(L, -3);
    }
    return 0;
}

/* Pushes the next value; -1 for bytes that are none (the stack may hold parts). */
static int push_value(decoder *d, int depth)
{
    lua_State *L = d->L;
    sw_pack_item item;
    if (depth > SW_PACK_DEPTH + 1 || sw_pack_next(&d->reader, &item) != SW_OK) return -1;
    luaL_checkstack(L, 4, "too deep");
    switch (item.type) {
    case SW_PACK_NIL: lua_pushvalue(L, d->base + ARG_NULL); return 0;
    case SW_PACK_BOOL: lua_pushboolean(L, item.v.i != 0); return 0;
    case SW_PACK_I64:
        if (item.v.i < EXACT_MAX && item.v.i > -EXACT_MAX) lua_pushnumber(L, (double)item.v.i);
        else push_boxed(d, (uint64_t)item.v.i, false);
        return 0;
    case SW_PACK_U64: push_boxed(d, item.v.u, true); return 0;
    case SW_PACK_F64: lua_pushnumber(L, item.v.f); return 0;
    case SW_PACK_STR:
    case SW_PACK_BIN: lua_pushlstring(L, (const char *)item.v.bytes, item.count); return 0;
    case SW_PACK_ARRAY: return push_array(d, item.count, depth + 1);
    case SW_PACK_MAP: return push_map(d, item.count, depth + 1);
    }
    return -1;
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
    key_cache keys = { 0 };
    bool has_keys = false;
    lua_settop(L, ARG_BOX);
    for (uint32_t i = 0; i < batch->count; i++, row = sw_row_next(row)) {
        if (row->schema != 0 || row->kind > SW_ROW_MALFORMED) continue;
        if (!has_keys) lua_createtable(L, KEY_CACHE, 0);
        has_keys = true;
        decoder d = { .L = L, .keys = &keys, .base = 0 };
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
    decoder d = { .L = L, .reader = { bytes, bytes + len } };
    if (push_value(&d, 0) != 0) return luaL_error(L, "state bytes are damaged");
    return 1;
}
