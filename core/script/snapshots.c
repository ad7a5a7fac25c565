#include "script/snapshots.h"

#include <lauxlib.h>
#include <string.h>

#include "base/alloc.h"
#include "run/coordinator.h"
#include "script/keyed_fields.h"
#include "script/state.h"
#include "state/pack.h"

#define LUA_SINK "lua" /* type of a sink that is a Lua table */

static sw_task *check_task(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
    return lua_touserdata(L, 1);
}

static int raise(lua_State *L, const sw_error *err)
{
    return luaL_error(L, "%s", err->text);
}

/* --- barrier ------------------------------------------------------------------------------------------------------ */

static int put_value(sw_task *task, uint32_t component, sw_saved_kind kind, const sw_buf *value)
{
    uint64_t id = __builtin_bswap64(task->answer->checkpoint);
    const sw_saved saved = {
        .component = component,
        .kind = kind,
        .group = task->number,
        .key = (const uint8_t *)&id,
        .key_len = kind == SW_SAVED_SINK ? sizeof(id) : 0,
        .value = value->data,
        .value_len = (uint32_t)value->size,
    };
    return sw_snapshot_put(&task->answer->parts[0], &saved);
}

/* The value of a sink with its type around it. */
static int put_sink(sw_task *task, uint32_t component, const char *type, const sw_buf *prepared)
{
    sw_buf value;
    sw_buf_init(&value);
    int rc = sw_pack_array(&value, 2);
    if (rc == SW_OK) rc = sw_pack_str(&value, type, (uint32_t)strlen(type));
    if (rc == SW_OK) rc = sw_buf_append(&value, prepared->data, prepared->size);
    if (rc == SW_OK) rc = put_value(task, component, SW_SAVED_SINK, &value);
    sw_buf_deinit(&value);
    return rc;
}

static int put_sinks(sw_task *task, sw_error *err)
{
    sw_buf prepared;
    int rc = SW_OK;
    sw_buf_init(&prepared);
    for (uint32_t i = 0; i < task->sink_count && rc == SW_OK; i++) {
        const sw_task_sink *of = &task->sinks[i];
        sw_buf_clear(&prepared);
        if (of->sink->ops->prepare == NULL) rc = of->sink->ops->flush(of->sink, err);
        else rc = of->sink->ops->prepare(of->sink, task->answer->checkpoint, &prepared, err);
        if (rc == SW_OK && prepared.size > 0 && (rc = put_sink(task, of->component, of->type, &prepared)) != SW_OK)
            sw_error_set(err, rc, "out of memory");
    }
    sw_buf_deinit(&prepared);
    return rc;
}

static int put_source(sw_task *task, sw_buf *scratch, sw_error *err)
{
    if (task->source == NULL || task->source->ops->position == NULL) return SW_OK;
    const sw_buf *position = task->acks != NULL ? sw_acks_position(task->acks) : NULL;
    int rc = position != NULL ? SW_OK : task->source->ops->position(task->source, scratch, err);
    if (rc != SW_OK) return rc;
    if (position == NULL) position = scratch;
    rc = put_value(task, task->engine->graph->tasks[task->plan_task].head, SW_SAVED_SOURCE, position);
    if (rc == SW_OK && task->source->ops->release != NULL)
        rc = sw_positions_add(&task->positions, task->answer->checkpoint, position);
    return rc == SW_OK ? SW_OK : sw_error_set(err, rc, "out of memory");
}

int sw_snapshot_pack_task(const sw_task *task, bool is_input_ended, sw_buf *out)
{
    sw_buf_clear(out);
    int rc = sw_pack_array(out, 2 + SW_DOMAINS_MAX);
    if (rc == SW_OK) rc = sw_pack_bool(out, is_input_ended);
    if (rc == SW_OK) rc = sw_pack_i64(out, task->time_max);
    for (uint32_t d = 0; d < SW_DOMAINS_MAX && rc == SW_OK; d++) rc = sw_pack_i64(out, task->wm[d]);
    return rc;
}

static int put_task(sw_task *task, sw_buf *scratch)
{
    int rc = sw_snapshot_pack_task(task, task->answer->is_input_ended, scratch);
    if (rc != SW_OK) return rc;
    return put_value(task, task->engine->graph->tasks[task->plan_task].head, SW_SAVED_TASK, scratch);
}

/* (task, id of the barrier, is it final?, has its input ended?) -> false when nobody takes checkpoints. Begins the
 * task's answer with what C knows: position, watermarks, what sinks have prepared. */
int l_snapshot_begin(lua_State *L)
{
    sw_task *task = check_task(L);
    sw_error err;
    sw_buf scratch;
    sw_snapshot first;
    if (task->engine->coordinator == NULL) {
        lua_pushboolean(L, false);
        return 1;
    }
    SW_ASSERT(task->answer == NULL);
    sw_snapshot_init(&first);
    int rc = sw_answer_new(&task->answer, task, (uint32_t)luaL_checkinteger(L, 2));
    if (rc == SW_OK) rc = sw_answer_add(task->answer, &first);
    if (rc != SW_OK) return luaL_error(L, "out of memory");
    task->answer->is_final = lua_toboolean(L, 3);
    task->answer->is_input_ended = lua_toboolean(L, 4);
    sw_buf_init(&scratch);
    rc = put_source(task, &scratch, &err);
    if (rc == SW_OK && (rc = put_task(task, &scratch)) != SW_OK) sw_error_set(&err, rc, "out of memory");
    if (rc == SW_OK) rc = put_sinks(task, &err);
    sw_buf_deinit(&scratch);
    if (rc != SW_OK) return raise(L, &err);
    lua_pushboolean(L, true);
    return 1;
}

/* (task, component, "instance" | "source" | "sink", msgpack) */
int l_snapshot_put(lua_State *L)
{
    static const char *const names[] = { "instance", "source", "sink", NULL };
    static const sw_saved_kind kinds[] = { SW_SAVED_INSTANCE, SW_SAVED_SOURCE, SW_SAVED_SINK };
    sw_task *task = check_task(L);
    uint32_t component = (uint32_t)luaL_checkinteger(L, 2);
    sw_saved_kind kind = kinds[luaL_checkoption(L, 3, NULL, names)];
    size_t len;
    const char *bytes = luaL_checklstring(L, 4, &len);
    sw_buf value = { .data = (uint8_t *)(uintptr_t)bytes, .size = len };
    int rc =
        kind == SW_SAVED_SINK ? put_sink(task, component, LUA_SINK, &value) : put_value(task, component, kind, &value);
    return rc == SW_OK ? 0 : luaL_error(L, "out of memory");
}

/* (task): hands the answer to the coordinator. */
int l_snapshot_end(lua_State *L)
{
    sw_task *task = check_task(L);
    sw_answer *answer = task->answer;
    task->answer = NULL;
    sw_coordinator_deliver(task->engine->coordinator, answer);
    return 0;
}

/* (keyed, component, state version, has it keys?, instance) */
int l_keyed_track(lua_State *L)
{
    const sw_keyed_instance *keyed = &sw_check_keyed(L, 1)->instance;
    uint32_t component = (uint32_t)luaL_checkinteger(L, 2);
    bool has_keys = lua_toboolean(L, 4);
    if (has_keys) sw_keyed_track(keyed->store, component, (uint32_t)luaL_checkinteger(L, 3));
    for (uint8_t which = 0; which < 2; which++)
        sw_timers_track(keyed->timers[which], component, which, has_keys ? -1 : (int)luaL_checkinteger(L, 5));
    return 0;
}

/* (keyed, has it keys?) */
int l_keyed_begin_save(lua_State *L)
{
    const sw_keyed_instance *keyed = &sw_check_keyed(L, 1)->instance;
    if (lua_toboolean(L, 2)) sw_keyed_begin_save(keyed->store);
    for (int which = 0; which < 2; which++) sw_timers_begin_save(keyed->timers[which]);
    return 0;
}

static int add_part(sw_task *task, sw_snapshot *part)
{
    int rc = part->count > 0 ? sw_answer_add(task->answer, part) : SW_OK;
    sw_snapshot_deinit(part);
    return rc;
}

static int save_timers(sw_task *task, const sw_keyed_instance *keyed, uint32_t max)
{
    for (int which = 0; which < 2; which++) {
        sw_snapshot part;
        if (!sw_timers_is_saving(keyed->timers[which])) continue;
        int rc = sw_timers_save_some(keyed->timers[which], max);
        if (rc != SW_ECLOSED) return rc;
        sw_timers_take_part(keyed->timers[which], &part);
        if ((rc = add_part(task, &part)) != SW_OK) return rc;
    }
    return SW_ECLOSED;
}

static int save_keyed(sw_task *task, const sw_keyed_instance *keyed, uint32_t max, sw_entry **live)
{
    sw_snapshot part;
    if (!sw_keyed_is_saving(keyed->store)) return save_timers(task, keyed, max);
    int rc = sw_keyed_save_some(keyed->store, max, live);
    if (rc != SW_ECLOSED) return rc;
    sw_keyed_take_part(keyed->store, &part);
    rc = add_part(task, &part);
    return rc == SW_OK ? save_timers(task, keyed, max) : rc;
}

/* (task, keyed, most entries) -> true: all saved | false: more to do | an entry whose live table Lua has to save */
int l_keyed_save_some(lua_State *L)
{
    sw_task *task = check_task(L);
    sw_entry *live = NULL;
    int rc = save_keyed(task, &sw_check_keyed(L, 2)->instance, (uint32_t)luaL_checkinteger(L, 3), &live);
    if (rc == SW_ENOMEM) return luaL_error(L, "out of memory for a checkpoint");
    if (rc == SW_EEMPTY) lua_pushlightuserdata(L, live);
    else lua_pushboolean(L, rc == SW_ECLOSED);
    return 1;
}

/* (task): this task commits sinks itself */
int l_set_commits(lua_State *L)
{
    check_task(L)->has_commits = true;
    return 0;
}

/* (task, id): it has committed them */
int l_committed(lua_State *L)
{
    sw_task *task = check_task(L);
    __atomic_store_n(&task->committed_seen, (uint32_t)luaL_checkinteger(L, 2), __ATOMIC_RELEASE);
    sw_engine_wake(task->engine);
    return 0;
}

/* --- restore ------------------------------------------------------------------------------------------------------ */

static int make_room(sw_parts *parts)
{
    if (parts->values.count < parts->cap) return SW_OK;
    uint32_t cap = parts->cap > 0 ? 2 * parts->cap : 8;
    uint32_t *instances = sw_realloc(parts->instances, cap * sizeof(*instances));
    if (instances != NULL) parts->instances = instances;
    uint8_t **data = sw_realloc(parts->data, cap * sizeof(*data));
    if (data != NULL) parts->data = data;
    uint32_t *lens = sw_realloc(parts->lens, cap * sizeof(*lens));
    if (lens != NULL) parts->lens = lens;
    uint64_t *checkpoints = sw_realloc(parts->checkpoints, cap * sizeof(*checkpoints));
    if (checkpoints != NULL) parts->checkpoints = checkpoints;
    if (instances == NULL || data == NULL || lens == NULL || checkpoints == NULL) return SW_ENOMEM;
    parts->cap = cap;
    return SW_OK;
}

/* What follows the type in a sink's saved value. */
static int skip_type(const sw_saved *saved, const uint8_t **value, uint32_t *len)
{
    sw_pack_reader reader = { saved->value, saved->value + saved->value_len };
    sw_pack_item item;
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_ARRAY || item.count != 2) return SW_EFORMAT;
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_STR) return SW_EFORMAT;
    *value = reader.p;
    *len = (uint32_t)(reader.end - reader.p);
    return SW_OK;
}

/* The checkpoint at which a sink's value was prepared; 0 of other kinds. */
static uint64_t prepared_at(const sw_saved *saved)
{
    uint64_t id = 0;
    if (saved->kind == SW_SAVED_SINK && saved->key_len == sizeof(id)) memcpy(&id, saved->key, sizeof(id));
    return __builtin_bswap64(id);
}

static int add_copy(void *arg, const sw_saved *saved)
{
    sw_parts *parts = arg;
    const uint8_t *value = saved->value;
    uint32_t len = saved->value_len;
    int rc = saved->kind == SW_SAVED_SINK ? skip_type(saved, &value, &len) : SW_OK;
    if (rc == SW_OK) rc = make_room(parts);
    if (rc != SW_OK) return rc;
    uint8_t *copy = sw_alloc(len + 1);
    if (copy == NULL) return SW_ENOMEM;
    memcpy(copy, value, len);
    uint32_t i = parts->values.count++;
    parts->instances[i] = saved->group;
    parts->data[i] = copy;
    parts->lens[i] = len;
    parts->checkpoints[i] = prepared_at(saved);
    return SW_OK;
}

/* What the checkpoint says of a component; NULL when it was not in the job then. */
static const sw_saved_component *component_then(const sw_restore *restore, const char *component)
{
    const sw_checkpoint_meta *meta = sw_restore_meta(restore);
    for (uint32_t i = 0; i < meta->component_count; i++)
        if (strcmp(meta->components[i].name, component) == 0) return &meta->components[i];
    return NULL;
}

/* (task): are checkpoints taken? */
int l_has_checkpoints(lua_State *L)
{
    lua_pushboolean(L, check_task(L)->engine->options.state_dir != NULL);
    return 1;
}

/* (task, component's name) -> version of its state in the restored checkpoint; nil when it was not there, or the job
 * starts afresh */
int l_restored_version(lua_State *L)
{
    const sw_restore *restore = check_task(L)->engine->options.restore;
    if (restore == NULL) return 0;
    const sw_saved_component *then = component_then(restore, luaL_checkstring(L, 2));
    if (then == NULL) return 0;
    lua_pushnumber(L, then->version);
    return 1;
}

int sw_parts_collect(sw_parts *parts, const sw_engine *engine, const char *component, sw_saved_kind kind, sw_error *err)
{
    const sw_restore *restore = engine->options.restore;
    memset(parts, 0, sizeof(*parts));
    if (restore == NULL) return SW_OK;
    int rc = sw_restore_parts(restore, component, kind, add_copy, parts, err);
    if (rc == SW_ENOMEM) sw_error_set(err, rc, "out of memory");
    if (rc == SW_EFORMAT) sw_error_set(err, rc, "%s: a saved value is damaged", component);
    const sw_saved_component *then = component_then(restore, component);
    parts->values.parallelism = then != NULL ? then->parallelism : 0;
    parts->values.is_finished = sw_restore_meta(restore)->is_finished;
    parts->values.instances = parts->instances;
    parts->values.data = (const uint8_t *const *)parts->data;
    parts->values.lens = parts->lens;
    if (rc != SW_OK) sw_parts_free(parts);
    return rc;
}

void sw_parts_free(sw_parts *parts)
{
    for (uint32_t i = 0; i < parts->values.count; i++) sw_free(parts->data[i]);
    sw_free(parts->instances);
    sw_free(parts->data);
    sw_free(parts->lens);
    sw_free(parts->checkpoints);
    memset(parts, 0, sizeof(*parts));
}

/* (task, component's name, "instance" | "source" | "sink") -> { { instance, msgpack, of a sink: checkpoint at which it
 * was prepared } }, instances there were; nothing when the job starts afresh */
int l_restored_parts(lua_State *L)
{
    static const char *const names[] = { "instance", "source", "sink", NULL };
    static const sw_saved_kind kinds[] = { SW_SAVED_INSTANCE, SW_SAVED_SOURCE, SW_SAVED_SINK };
    sw_task *task = check_task(L);
    sw_parts parts;
    sw_error err;
    if (task->engine->options.restore == NULL) return 0;
    if (sw_parts_collect(&parts, task->engine, luaL_checkstring(L, 2), kinds[luaL_checkoption(L, 3, NULL, names)],
                         &err) != SW_OK)
        return raise(L, &err);
    lua_createtable(L, (int)parts.values.count, 0);
    for (uint32_t i = 0; i < parts.values.count; i++) {
        lua_createtable(L, 2, 0);
        lua_pushinteger(L, (int)parts.instances[i]);
        lua_rawseti(L, -2, 1);
        lua_pushlstring(L, (const char *)parts.data[i], parts.lens[i]);
        lua_rawseti(L, -2, 2);
        lua_pushnumber(L, (double)parts.checkpoints[i]);
        lua_rawseti(L, -2, 3);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_pushinteger(L, (int)parts.values.parallelism);
    sw_parts_free(&parts);
    return 2;
}

/* What one instance of the task said of itself. */
typedef struct task_then {
    bool is_ended;              /* all instances' input had ended */
    int64_t time_max;           /* the least of all instances' */
    int64_t wm[SW_DOMAINS_MAX]; /* likewise */
    uint32_t count;             /* instances */
} task_then;

static int add_task(void *arg, const sw_saved *saved)
{
    task_then *then = arg;
    sw_pack_reader reader = { saved->value, saved->value + saved->value_len };
    sw_pack_item item;
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_ARRAY || item.count != 2 + SW_DOMAINS_MAX)
        return SW_EFORMAT;
    if (sw_pack_next(&reader, &item) != SW_OK) return SW_EFORMAT;
    then->is_ended = (then->count == 0 || then->is_ended) && item.v.i != 0;
    if (sw_pack_next(&reader, &item) != SW_OK) return SW_EFORMAT;
    if (then->count == 0 || item.v.i < then->time_max) then->time_max = item.v.i;
    for (uint32_t d = 0; d < SW_DOMAINS_MAX; d++) {
        if (sw_pack_next(&reader, &item) != SW_OK) return SW_EFORMAT;
        if (then->count == 0 || item.v.i < then->wm[d]) then->wm[d] = item.v.i;
    }
    then->count++;
    return SW_OK;
}

/* (task) -> has its input ended? Sets the task's watermarks as they were. A job that goes on though all its input had
 * ended looks for more. */
int l_restored_task(lua_State *L)
{
    sw_task *task = check_task(L);
    const sw_engine *engine = task->engine;
    const sw_restore *restore = engine->options.restore;
    task_then then = { .count = 0 };
    sw_error err;
    if (restore == NULL) return 0;
    const char *head = engine->graph->components[engine->graph->tasks[task->plan_task].head].name;
    int rc = sw_restore_parts(restore, head, SW_SAVED_TASK, add_task, &then, &err);
    if (rc == SW_EFORMAT) return luaL_error(L, "%s: a saved value is damaged", head);
    if (rc != SW_OK) return raise(L, &err);
    if (then.count > 0) {
        task->time_max = then.time_max;
        memcpy(task->wm, then.wm, sizeof(task->wm));
    }
    lua_pushboolean(L, then.is_ended && !sw_restore_meta(restore)->is_finished);
    return 1;
}

/* What is being restored into. */
typedef struct restoring {
    lua_State *L;
    const sw_keyed_instance *keyed;
    bool has_upgrade; /* the function on top of the stack makes new values of old ones */
    uint64_t count;   /* entries */
    sw_error *err;
} restoring;

/* Calls upgrade(value) -> value and restores what it returns. */
static int restore_upgraded(restoring *to, const sw_saved *saved)
{
    lua_State *L = to->L;
    size_t len;
    lua_pushvalue(L, -1);
    lua_pushlstring(L, (const char *)saved->value, saved->value_len);
    int rc = sw_script_call(L, 1, 1, to->err);
    if (rc != SW_OK) return rc;
    const char *value = luaL_checklstring(L, -1, &len);
    rc = sw_keyed_restore(to->keyed->store, saved->key, saved->key_len, (const uint8_t *)value, (uint32_t)len, true,
                          to->err);
    lua_pop(L, 1);
    return rc;
}

static int restore_entry(void *arg, const sw_saved *saved)
{
    restoring *to = arg;
    to->count++;
    if (to->has_upgrade) return restore_upgraded(to, saved);
    return sw_keyed_restore(to->keyed->store, saved->key, saved->key_len, saved->value, saved->value_len, false,
                            to->err);
}

static int restore_timer(void *arg, const sw_saved *saved)
{
    restoring *to = arg;
    for (int which = 0; which < 2; which++) {
        int rc = sw_timers_restore(to->keyed->timers[which], saved);
        if (rc < 0) return sw_error_set(to->err, rc, "a saved timer is damaged");
    }
    return SW_OK;
}

/* Key groups of the task's instance; without keys, the instances there were are dealt out. */
static int restore_timers(restoring *to, const sw_task *task, const char *component, bool has_keys, uint32_t first,
                          uint32_t end)
{
    const sw_restore *restore = task->engine->options.restore;
    uint32_t count = task->engine->graph->tasks[task->plan_task].parallelism;
    if (has_keys) return sw_restore_each(restore, component, SW_SAVED_TIMER, first, end, restore_timer, to, to->err);
    int rc = SW_OK;
    for (uint32_t then = task->number; then < SW_PARALLELISM_MAX && rc == SW_OK; then += count)
        rc = sw_restore_each(restore, component, SW_SAVED_TIMER, then, then + 1, restore_timer, to, to->err);
    return rc;
}

/* (task, keyed, component's name, has it keys?, upgrade function or nil) -> entries restored */
int l_keyed_restore(lua_State *L)
{
    sw_task *task = check_task(L);
    sw_error err;
    restoring to = { .L = L, .keyed = &sw_check_keyed(L, 2)->instance, .err = &err };
    const char *component = luaL_checkstring(L, 3);
    bool has_keys = lua_toboolean(L, 4);
    to.has_upgrade = lua_isfunction(L, 5);
    if (task->engine->options.restore == NULL) return 0;
    uint32_t count = task->engine->graph->tasks[task->plan_task].parallelism;
    uint32_t first = (task->number * SW_KEY_GROUPS + count - 1) / count;
    uint32_t end = ((task->number + 1) * SW_KEY_GROUPS + count - 1) / count;
    lua_settop(L, 5);
    int rc = SW_OK;
    if (has_keys)
        rc = sw_restore_each(task->engine->options.restore, component, SW_SAVED_KEYED, first, end, restore_entry, &to,
                             &err);
    if (rc == SW_OK) rc = restore_timers(&to, task, component, has_keys, first, end);
    if (rc != SW_OK) return raise(L, &err);
    lua_pushnumber(L, (double)to.count);
    return 1;
}
