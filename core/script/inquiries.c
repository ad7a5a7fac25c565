#include "script/inquiries.h"

#include <lauxlib.h>
#include <string.h>

#include "base/alloc.h"
#include "run/engine.h"
#include "run/inquiry.h"
#include "script/keyed_fields.h"
#include "script/snapshots.h"

#define ANSWER_BYTES_MAX (2u << 20) /* of keys, after which an answer takes no more */
#define KEYS_MAX 65536              /* in one answer */

static sw_task *check_task(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
    return lua_touserdata(L, 1);
}

/* (task) -> "key" | "keys" | "instance", component, key, most keys; nothing when nothing is asked */
int l_inquiry_next(lua_State *L)
{
    static const char *const kinds[] = { "key", "keys", "instance" };
    const sw_inquiry *inquiry = sw_task_next_inquiry(check_task(L));
    if (inquiry == NULL) return 0;
    lua_pushstring(L, kinds[inquiry->kind]);
    lua_pushnumber(L, inquiry->component);
    lua_pushlstring(L, inquiry->key.size > 0 ? (const char *)inquiry->key.data : "", inquiry->key.size);
    lua_pushnumber(L, inquiry->limit);
    return 4;
}

/* (keyed, key bytes, most entries) -> { entry }, in the order of their keys: the first ones behind that key */
int l_keyed_after(lua_State *L)
{
    const sw_keyed_instance *keyed = &sw_check_keyed(L, 1)->instance;
    size_t len;
    const char *key = luaL_checklstring(L, 2, &len);
    uint32_t max = (uint32_t)luaL_checknumber(L, 3);
    if (max > KEYS_MAX) max = KEYS_MAX;
    sw_entry **entries = lua_newuserdata(L, max * sizeof(sw_entry *));
    uint32_t count = 0;
    if (sw_keyed_after(keyed->store, (const uint8_t *)key, (uint32_t)len, max, entries, &count) != SW_OK)
        return luaL_error(L, "out of memory");
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        lua_pushlightuserdata(L, entries[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* (task, keyed, entry, msgpack as a checkpoint holds it) -> is the answer long enough? */
int l_inquiry_put_entry(lua_State *L)
{
    sw_inquiry *inquiry = sw_task_next_inquiry(check_task(L));
    const sw_keyed_instance *keyed = &sw_check_keyed(L, 2)->instance;
    const sw_entry *entry = lua_touserdata(L, 3);
    size_t len;
    const char *value = luaL_checklstring(L, 4, &len);
    const sw_saved saved = {
        .component = inquiry->component,
        .kind = SW_SAVED_KEYED,
        .group = sw_key_group(entry->hash),
        .key = sw_entry_key(keyed->store, entry),
        .key_len = entry->key_len,
        .value = (const uint8_t *)value,
        .value_len = (uint32_t)len,
    };
    if (sw_snapshot_put(&inquiry->answer, &saved) != SW_OK) return luaL_error(L, "out of memory");
    lua_pushboolean(L, inquiry->answer.bytes.size >= ANSWER_BYTES_MAX);
    return 1;
}

static int put_part(sw_task *task, sw_saved_kind kind, const void *value, size_t len)
{
    sw_inquiry *inquiry = sw_task_next_inquiry(task);
    const sw_saved saved = {
        .component = inquiry->component,
        .kind = kind,
        .group = task->number,
        .value = value,
        .value_len = (uint32_t)len,
    };
    return sw_snapshot_put(&inquiry->answer, &saved);
}

/* (task, "instance" | "source", msgpack) */
int l_inquiry_put_part(lua_State *L)
{
    static const char *const names[] = { "instance", "source", NULL };
    static const sw_saved_kind kinds[] = { SW_SAVED_INSTANCE, SW_SAVED_SOURCE };
    sw_saved_kind kind = kinds[luaL_checkoption(L, 2, NULL, names)];
    size_t len;
    const char *value = luaL_checklstring(L, 3, &len);
    return put_part(check_task(L), kind, value, len) == SW_OK ? 0 : luaL_error(L, "out of memory");
}

/* What C knows of a task's first component: position and watermarks. */
static int put_head(sw_task *task, sw_error *err)
{
    sw_buf value = { 0 };
    int rc = SW_OK;
    if (task->source != NULL && task->source->ops->position != NULL) {
        rc = task->source->ops->position(task->source, &value, err);
        if (rc == SW_OK) rc = put_part(task, SW_SAVED_SOURCE, value.data, value.size);
    }
    if (rc == SW_OK) rc = sw_snapshot_pack_task(task, false, &value);
    if (rc == SW_OK) rc = put_part(task, SW_SAVED_TASK, value.data, value.size);
    sw_buf_deinit(&value);
    return rc == SW_ENOMEM ? sw_error_set(err, rc, "out of memory") : rc;
}

/* (task, why there is no answer or nil, are there more keys?): hands the answer back. */
int l_inquiry_end(lua_State *L)
{
    sw_task *task = check_task(L);
    sw_inquiry *inquiry = sw_task_next_inquiry(task);
    const char *why = lua_tostring(L, 2);
    inquiry->rc = why != NULL ? sw_error_set(&inquiry->err, SW_ESTATE, "%s", why) : SW_OK;
    inquiry->is_more = lua_toboolean(L, 3);
    if (inquiry->rc == SW_OK && inquiry->kind == SW_INQUIRY_INSTANCE &&
        inquiry->component == task->engine->graph->tasks[task->plan_task].head)
        inquiry->rc = put_head(task, &inquiry->err);
    sw_task_inquiry_done(task);
    return 0;
}
