/* encode.c -- Lua tables to msgpack through the C API: called once per batch of emitted events, never once per event.
 *
 *     events[1..n] --l_send_batch--> rows --> a port's channels, or a sink
 *
 * The form is that of internal/pack.lua, byte for byte. Events that do not fit wait: the call returns how many went.
 *
 * Threads  The task's worker. */
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "run/engine.h"
#include "script/api.h"
#include "script/ffi.h"
#include "state/pack.h"

#define EXACT_MAX 9007199254740992.0 /* 2^53 */
#define LUA_TCDATA 10                /* LuaJIT's type of FFI values */

/* Stack slots of l_send_batch. */
enum {
    ARG_TASK = 1,
    ARG_PORT,       /* light userdata, or nil */
    ARG_SINK,       /* light userdata, or nil */
    ARG_EVENTS,     /* { event } */
    ARG_FROM,       /* index of the first to send */
    ARG_COUNT,      /* index of the last */
    ARG_TIMES,      /* double *: event times, by index */
    ARG_STAMPS,     /* uint32_t *: stamps, by index */
    ARG_WATERMARKS, /* int64_t *: watermark in force before each, by index */
    ARG_NULL,       /* sw.null */
    ARG_ARRAY_META, /* metatable of sw.array */
    ARG_WIDE,       /* function(cdata) -> high, low, is unsigned; or nothing when it is no 64-bit integer */
    ARG_OVER,       /* may a full port take them over its bound? */
    ARG_ANCHORS,    /* sw_anchor *: what each descends from, by index; or nil: events are not acknowledged */
};

typedef struct encoder {
    lua_State *L; /* its top is the value at work */
    sw_buf *out;  /* where the bytes go; borrowed */
    int depth;    /* tables open */
    char *reason; /* where a refusal is written */
    size_t size;  /* of reason */
} encoder;

static int encode_value(encoder *e);

static int refuse(encoder *e, const char *what)
{
    snprintf(e->reason, e->size, "%s", what);
    return SW_ETYPE;
}

/* Puts the key of the value that was refused before what is known of its place. */
static void refuse_in(encoder *e, const char *key)
{
    char rest[512];
    snprintf(rest, sizeof(rest), "%s", e->reason);
    if (strncmp(rest, "field '", 7) == 0) snprintf(e->reason, e->size, "field '%.200s.%s", key, rest + 7);
    else snprintf(e->reason, e->size, "field '%.200s': %s", key, rest);
}

static int encode_number(encoder *e, double value)
{
    bool is_integral = value == floor(value) && fabs(value) <= EXACT_MAX && !(value == 0 && signbit(value));
    return is_integral ? sw_pack_i64(e->out, (int64_t)value) : sw_pack_f64(e->out, value);
}

/* int64_t and uint64_t; a record inside an event is refused here and handled in Lua. */
static int encode_cdata(encoder *e)
{
    lua_State *L = e->L;
    lua_pushvalue(L, ARG_WIDE);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 3); /* Our own function; it raises nothing but for memory. */
    bool is_wide = lua_isnumber(L, -3);
    uint64_t bits = ((uint64_t)lua_tonumber(L, -3) << 32) | (uint64_t)lua_tonumber(L, -2);
    bool is_unsigned = lua_toboolean(L, -1);
    lua_pop(L, 3);
    if (!is_wide) return refuse(e, "a cdata cannot be part of an event");
    return is_unsigned ? sw_pack_u64(e->out, bits) : sw_pack_i64(e->out, (int64_t)bits);
}

static int encode_array(encoder *e, uint32_t count)
{
    lua_State *L = e->L;
    int rc = sw_pack_array(e->out, count);
    for (uint32_t i = 1; rc == SW_OK && i <= count; i++) {
        lua_rawgeti(L, -1, (int)i);
        rc = lua_isnil(L, -1) ? refuse(e, "a hole in an array (sw.null stands for null)") : encode_value(e);
        lua_pop(L, 1);
        if (rc == SW_ETYPE) {
            char key[16];
            snprintf(key, sizeof(key), "%u", i);
            refuse_in(e, key);
        }
    }
    return rc;
}

/* Widens the one byte left for a map's header when it has more than 15 entries. */
static int finish_map(encoder *e, size_t start, uint32_t count)
{
    if (count < 16) {
        e->out->data[start] = (uint8_t)(0x80 + count);
        return SW_OK;
    }
    size_t extra = count < 65536 ? 2 : 4;
    if (sw_buf_reserve(e->out, extra) != SW_OK) return SW_ENOMEM;
    memmove(e->out->data + start + 1 + extra, e->out->data + start + 1, e->out->size - start - 1);
    e->out->size += extra;
    e->out->data[start] = extra == 2 ? 0xde : 0xdf;
    for (size_t i = 0; i < extra; i++) e->out->data[start + 1 + i] = (uint8_t)(count >> (8 * (extra - 1 - i)));
    return SW_OK;
}

static int encode_entry(encoder *e)
{
    lua_State *L = e->L;
    size_t len;
    if (lua_type(L, -2) != LUA_TSTRING) {
        char what[64];
        snprintf(what, sizeof(what), "a %s cannot be a key", luaL_typename(L, -2));
        return refuse(e, what);
    }
    const char *key = lua_tolstring(L, -2, &len);
    int rc = sw_pack_str(e->out, key, (uint32_t)len);
    if (rc == SW_OK) rc = encode_value(e);
    if (rc == SW_ETYPE) refuse_in(e, key);
    return rc;
}

static int encode_map(encoder *e)
{
    lua_State *L = e->L;
    size_t start = e->out->size;
    uint32_t count = 0;
    int rc = sw_pack_map(e->out, 0);
    lua_pushnil(L);
    while (rc == SW_OK && lua_next(L, -2) != 0) {
        rc = encode_entry(e);
        lua_pop(L, 1);
        count++;
        if (rc != SW_OK) lua_pop(L, 1);
    }
    return rc == SW_OK ? finish_map(e, start, count) : rc;
}

static bool is_marked_array(lua_State *L)
{
    if (!lua_getmetatable(L, -1)) return false;
    bool is_array = lua_rawequal(L, -1, ARG_ARRAY_META);
    lua_pop(L, 1);
    return is_array;
}

/* Elements of the table on top when it is an array, -1 for a map, -2 when it is neither, -3 for an array with holes. */
static int64_t array_count(encoder *e)
{
    lua_State *L = e->L;
    uint32_t length = (uint32_t)lua_objlen(L, -1), count = 0;
    bool is_marked = is_marked_array(L);
    if (length == 0 && !is_marked) return -1;
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        lua_pop(L, 1);
        count++;
    }
    if (count == length) return length;
    return is_marked ? -3 : -2;
}

static int encode_table(encoder *e)
{
    if (e->depth >= SW_PACK_DEPTH) return refuse(e, "nested too deep");
    luaL_checkstack(e->L, 6, "nested too deep");
    e->depth++;
    int64_t count = array_count(e);
    int rc;
    if (count >= 0) rc = encode_array(e, (uint32_t)count);
    else if (count == -1) rc = encode_map(e);
    else if (count == -2) rc = refuse(e, "a table is either an array (1..n without holes) or has string keys");
    else rc = refuse(e, "a hole in an array (sw.null stands for null)");
    e->depth--;
    return rc;
}

static int encode_value(encoder *e)
{
    lua_State *L = e->L;
    size_t len;
    const char *bytes;
    char what[64];
    switch (lua_type(L, -1)) {
    case LUA_TNUMBER: return encode_number(e, lua_tonumber(L, -1));
    case LUA_TSTRING: bytes = lua_tolstring(L, -1, &len); return sw_pack_str(e->out, bytes, (uint32_t)len);
    case LUA_TBOOLEAN: return sw_pack_bool(e->out, lua_toboolean(L, -1));
    case LUA_TTABLE: return encode_table(e);
    case LUA_TCDATA: return encode_cdata(e);
    default: break;
    }
    if (lua_rawequal(L, -1, ARG_NULL)) return sw_pack_nil(e->out);
    snprintf(what, sizeof(what), "a %s cannot be part of an event", luaL_typename(L, -1));
    return refuse(e, what);
}

/* Makes the row of the event on top of the stack in the task's buffer. */
static int make_row(encoder *e, sw_task *task, double time, uint32_t stamp)
{
    static const uint8_t padding[8] = { 0 };
    sw_row header = { .time = (int64_t)time, .stamp = stamp };
    sw_buf_clear(e->out);
    int rc = sw_buf_append(e->out, &header, sizeof(header));
    if (rc == SW_OK) rc = encode_map(e);
    if (rc != SW_OK) return rc;
    uint32_t body_len = (uint32_t)(e->out->size - sizeof(header)), len = sw_row_size(body_len, 0);
    rc = sw_buf_append(e->out, padding, len - e->out->size);
    sw_row *row = (sw_row *)(void *)task->encoded.data;
    row->len = len;
    row->body_len = body_len;
    return rc;
}

/* Writes to a sink, and so is done with the event. */
static int write_row(sw_task *task, sw_sink *sink, const sw_row *row, const sw_anchor *anchor)
{
    int rc = swffi_sink_write(task, sink, row);
    if (rc != SW_OK || anchor == NULL) return rc;
    sw_acks_open_reserved(task->acks, anchor);
    sw_acks_close(task->acks);
    return SW_OK;
}

static int put_row(lua_State *L, sw_task *task, const sw_row *row, const int64_t *wm)
{
    sw_port *port = lua_touserdata(L, ARG_PORT);
    const int64_t *standing = port->wm;
    port->wm = wm; /* The row goes out with the watermark that was in force when it was emitted. */
    int rc = lua_toboolean(L, ARG_OVER) ? sw_port_put_over(port, row, NULL, 0, 0, &task->err)
                                        : swffi_port_put(task, port, row);
    port->wm = standing;
    return rc;
}

static int send_row(lua_State *L, sw_task *task, const sw_row *row, const int64_t *wm, const sw_anchor *anchor)
{
    sw_sink *sink = lua_touserdata(L, ARG_SINK);
    if (sink != NULL) return write_row(task, sink, row, anchor);
    if (anchor == NULL) return put_row(L, task, row, wm);
    sw_acks_use(task->acks, anchor);
    int rc = put_row(L, task, row, wm);
    sw_acks_unuse(task->acks);
    return rc;
}

static const void *cdata_pointer(lua_State *L, int index)
{
    return *(const void *const *)lua_topointer(L, index);
}

/* Sends events from..count; returns the index of the first that was not sent, and why (a code; 0 when all went). An
 * event that cannot be encoded or sent is named by its index with the reason in task->err. */
int l_send_batch(lua_State *L)
{
    sw_task *task = lua_touserdata(L, ARG_TASK);
    const double *times = cdata_pointer(L, ARG_TIMES);
    const uint32_t *stamps = cdata_pointer(L, ARG_STAMPS);
    const int64_t *watermarks = cdata_pointer(L, ARG_WATERMARKS);
    int from = (int)lua_tointeger(L, ARG_FROM), count = (int)lua_tointeger(L, ARG_COUNT), rc = SW_OK;
    encoder e = { .L = L, .out = &task->encoded, .reason = task->err.text, .size = sizeof(task->err.text) };
    lua_settop(L, ARG_ANCHORS);
    const sw_anchor *anchors = lua_isnil(L, ARG_ANCHORS) ? NULL : cdata_pointer(L, ARG_ANCHORS);
    for (; from <= count; from++) {
        lua_rawgeti(L, ARG_EVENTS, from);
        e.depth = 1;
        rc = make_row(&e, task, times[from], stamps[from]);
        lua_settop(L, ARG_ANCHORS);
        if (rc == SW_ENOMEM) sw_error_set(&task->err, rc, "out of memory for an event");
        if (rc == SW_OK)
            rc = send_row(L, task, (const sw_row *)(const void *)task->encoded.data, &watermarks[from],
                          anchors != NULL ? &anchors[from] : NULL);
        if (rc != SW_OK) break;
    }
    lua_pushinteger(L, from);
    lua_pushinteger(L, rc);
    return 2;
}
