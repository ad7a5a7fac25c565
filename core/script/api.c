#include "script/api.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/num.h"
#include "io/registry.h"
#include "run/acking.h"
#include "run/engine.h"
#include "script/inquiries.h"
#include "script/keyed_fields.h"
#include "script/embedded.h"
#include "script/ffi.h"
#include "script/sim.h"
#include "script/snapshots.h"
#include "script/state.h"
#include "state/schema.h"

#define OPTIONS_MAX 32
#define EXIT_STATE 4 /* exit status: state cannot be used */

/* --- helpers ---------------------------------------------------------------------------------------------------- */

static void *check_pointer(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TLIGHTUSERDATA);
    return lua_touserdata(L, index);
}

static int raise_error(lua_State *L, const sw_error *err)
{
    return luaL_error(L, "%s", err->text);
}

/* The table's field as a string, or NULL; valid while the table holds it. */
static const char *field_string(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1);
    return text;
}

static double field_number(lua_State *L, int table, const char *name, double otherwise)
{
    lua_getfield(L, table, name);
    double number = lua_isnumber(L, -1) ? lua_tonumber(L, -1) : otherwise;
    lua_pop(L, 1);
    return number;
}

static bool field_bool(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

/* The table's entries as connector options; their strings live as long as the table does. */
static void read_options(lua_State *L, int table, sw_option *list, sw_options *options)
{
    options->list = list;
    options->count = 0;
    lua_pushnil(L);
    while (lua_next(L, table) != 0 && options->count < OPTIONS_MAX) {
        sw_option *option = &list[options->count];
        int type = lua_type(L, -1);
        if (lua_type(L, -2) == LUA_TSTRING && (type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN)) {
            option->name = lua_tostring(L, -2);
            option->kind = type == LUA_TSTRING   ? SW_OPTION_STRING
                           : type == LUA_TNUMBER ? SW_OPTION_NUMBER
                                                 : SW_OPTION_BOOL;
            option->string = type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
            option->number = type == LUA_TNUMBER ? lua_tonumber(L, -1) : lua_toboolean(L, -1);
            options->count++;
        }
        lua_pop(L, 1);
    }
}

/* --- building the graph ----------------------------------------------------------------------------------------- */

/* (names, types) -> schema id */
static int l_intern_schema(lua_State *L)
{
    const char *names[SW_SCHEMA_FIELDS_MAX];
    sw_type types[SW_SCHEMA_FIELDS_MAX];
    const sw_schema *schema;
    sw_error err;
    size_t count = lua_objlen(L, 1);
    if (count > SW_SCHEMA_FIELDS_MAX) return luaL_error(L, "a record has at most %d fields", SW_SCHEMA_FIELDS_MAX);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (int)i + 1);
        lua_rawgeti(L, 2, (int)i + 1);
        names[i] = luaL_checkstring(L, -2); /* Stays valid: the tables hold the strings. */
        types[i] = sw_type_parse(luaL_checkstring(L, -1));
        lua_pop(L, 2);
    }
    if (sw_schema_intern(names, types, count, &schema, &err) != SW_OK) return raise_error(L, &err);
    lua_pushinteger(L, schema->id);
    return 1;
}

/* (graph, { name, kind, single, parallelism, queue }) */
static int l_graph_component(lua_State *L)
{
    static const char *const kinds[] = { "source", "operator", "sink", NULL };
    sw_graph *graph = check_pointer(L, 1);
    sw_error err;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_getfield(L, 2, "kind");
    int kind = luaL_checkoption(L, -1, NULL, kinds);
    sw_component component = {
        .name = (char *)(uintptr_t)field_string(L, 2, "name"),
        .kind = (sw_component_kind)kind,
        .is_single = field_bool(L, 2, "single"),
        .parallelism_own = (uint32_t)field_number(L, 2, "parallelism", 0),
        .queue_own = (uint32_t)field_number(L, 2, "queue", 0),
    };
    if (sw_graph_add_component(graph, &component, &err) != SW_OK) return raise_error(L, &err);
    return 0;
}

/* (graph, { from, to, output, grouping, fields, detached }): components by their index from 0 */
static int l_graph_edge(lua_State *L)
{
    static const char *const groupings[] = { "forward", "shuffle", "key", "broadcast", "global", "partition", NULL };
    sw_graph *graph = check_pointer(L, 1);
    char *fields[64];
    sw_error err;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_getfield(L, 2, "grouping");
    int grouping = luaL_checkoption(L, -1, NULL, groupings);
    sw_edge edge = {
        .from = (uint32_t)field_number(L, 2, "from", 0),
        .to = (uint32_t)field_number(L, 2, "to", 0),
        .output = (char *)(uintptr_t)field_string(L, 2, "output"),
        .grouping = (sw_grouping)grouping,
        .is_detached = field_bool(L, 2, "detached"),
        .key_fields = fields,
    };
    lua_getfield(L, 2, "fields");
    if (lua_istable(L, -1)) {
        if (lua_objlen(L, -1) > 64) return luaL_error(L, "a key has at most 64 fields");
        edge.key_field_count = (uint32_t)lua_objlen(L, -1);
        for (uint32_t i = 0; i < edge.key_field_count; i++) {
            lua_rawgeti(L, -1, (int)i + 1);
            fields[i] = (char *)(uintptr_t)luaL_checkstring(L, -1);
            lua_pop(L, 1);
        }
    }
    if (sw_graph_add_edge(graph, &edge, &err) != SW_OK) return raise_error(L, &err);
    return 0;
}

/* --- setting up the tasks of a worker ------------------------------------------------------------------------------
 *  */

static void push_inputs(lua_State *L, sw_task *task)
{
    lua_createtable(L, (int)task->input_count, 0);
    for (uint32_t i = 0; i < task->input_count; i++) {
        lua_pushinteger(L, (int)task->inputs[i].edge);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "inputs");
}

static void push_ports(lua_State *L, sw_task *task)
{
    lua_newtable(L);
    for (uint32_t i = 0; i < task->port_count; i++) {
        lua_pushlightuserdata(L, &task->ports[i]);
        lua_rawseti(L, -2, (int)task->port_edges[i]);
    }
    lua_setfield(L, -2, "ports");
}

static void push_components(lua_State *L, sw_task *task)
{
    const sw_engine *engine = task->engine;
    const sw_plan_task *plan = &engine->graph->tasks[task->plan_task];
    lua_createtable(L, (int)plan->count, 0);
    for (uint32_t i = 0; i < plan->count; i++) {
        lua_createtable(L, 0, 2);
        lua_pushinteger(L, (int)plan->components[i]);
        lua_setfield(L, -2, "index");
        lua_pushlightuserdata(L, &engine->instances[plan->components[i]][task->number]);
        lua_setfield(L, -2, "instance");
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "components");
}

/* (worker) -> { { task, number, count, components = { { index, instance } }, inputs = { edge }, ports = { [edge] =
 * port } } } */
static int l_tasks(lua_State *L)
{
    sw_worker *worker = check_pointer(L, 1);
    lua_createtable(L, (int)worker->task_count, 0);
    for (uint32_t i = 0; i < worker->task_count; i++) {
        sw_task *task = worker->tasks[i];
        lua_createtable(L, 0, 6);
        lua_pushlightuserdata(L, task);
        lua_setfield(L, -2, "task");
        lua_pushinteger(L, (int)task->number);
        lua_setfield(L, -2, "number");
        lua_pushinteger(L, (int)worker->engine->graph->tasks[task->plan_task].parallelism);
        lua_setfield(L, -2, "count");
        push_components(L, task);
        push_inputs(L, task);
        push_ports(L, task);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* (worker, edge) -> is it fused?, consumer's parallelism */
static int l_edge(lua_State *L)
{
    sw_worker *worker = check_pointer(L, 1);
    const sw_graph *graph = worker->engine->graph;
    const sw_edge *edge = &graph->edges[luaL_checkinteger(L, 2)];
    lua_pushboolean(L, edge->is_fused);
    lua_pushinteger(L, (int)graph->components[edge->to].parallelism);
    lua_pushstring(L, sw_grouping_name(edge->grouping));
    return 3;
}

/* (task, coroutine): what resume runs; the caller keeps the coroutine alive */
static int l_set_coroutine(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    luaL_checktype(L, 2, LUA_TTHREAD);
    task->coroutine = lua_tothread(L, 2);
    return 0;
}

/* (port, domain): the port sends with the watermark of this domain */
static int l_port_domain(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    sw_port *port = check_pointer(L, 2);
    port->wm = &task->wm[luaL_checkinteger(L, 3)];
    return 0;
}

/* (task, { rate, max_delay, has_time_function }): what a source in Lua needs */
static int l_set_source(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    const sw_plan_task *plan = &task->engine->graph->tasks[task->plan_task];
    task->rate = field_number(L, 2, "rate", 0) / plan->parallelism;
    task->max_delay_ms = (int64_t)field_number(L, 2, "max_delay", 0);
    lua_getfield(L, 2, "has_time_function");
    task->has_time_function = lua_toboolean(L, -1);
    return 0;
}

/* What somebody else holds (a log that is written) is no fault of the job: the run ends with the status for that. */
static int raise_open_error(lua_State *L, sw_task *task, const char *component, int rc, const sw_error *err)
{
    if (rc == SW_EBUSY || rc == SW_ESTATE)
        sw_engine_fail(task->engine, EXIT_STATE, "%s/%s#%u: %s", task->engine->options.job, component, task->number,
                       err->text);
    return raise_error(L, err);
}

/* (task, type, options, { component, schema, time_field, max_ahead, journal }) */
static int l_open_source(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    const char *type = luaL_checkstring(L, 2);
    sw_option list[OPTIONS_MAX];
    sw_options options;
    sw_error err;
    read_options(L, 3, list, &options);
    sw_parts restored;
    if (sw_parts_collect(&restored, task->engine, field_string(L, 4, "component"), SW_SAVED_SOURCE, &err) != SW_OK)
        return raise_error(L, &err);
    const sw_source_context context = {
        .component = field_string(L, 4, "component"),
        .instance = task->number,
        .count = task->engine->graph->tasks[task->plan_task].parallelism,
        .schema = sw_schema_get((uint16_t)field_number(L, 4, "schema", 0)),
        .time_field = field_string(L, 4, "time_field"),
        .max_ahead_ms = (int64_t)field_number(L, 4, "max_ahead", 0),
        .clock = task->engine->clock,
        .restored = task->engine->options.restore != NULL ? &restored.values : NULL,
        .logs_dir = task->engine->options.logs_dir,
        .job = task->engine->options.job,
        .delivery = task->engine->options.delivery,
        .is_journaled = field_bool(L, 4, "journal"),
    };
    int rc = sw_io_open_source(type, &options, &context, &task->source, &err);
    sw_parts_free(&restored);
    return rc == SW_OK ? 0 : raise_open_error(L, task, context.component, rc, &err);
}

/* (task, type, options, component, its index) -> sink, can it show only what is committed? */
static int l_open_sink(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    const sw_engine *engine = task->engine;
    const char *type = luaL_checkstring(L, 2);
    sw_option list[OPTIONS_MAX];
    sw_options options;
    sw_parts restored;
    sw_error err;
    read_options(L, 3, list, &options);
    sw_task_sink *sinks = sw_realloc(task->sinks, (task->sink_count + 1) * sizeof(*sinks));
    if (sinks == NULL) return luaL_error(L, "out of memory");
    task->sinks = sinks;
    if (sw_parts_collect(&restored, engine, luaL_checkstring(L, 4), SW_SAVED_SINK, &err) != SW_OK)
        return raise_error(L, &err);
    const sw_sink_context context = {
        .component = luaL_checkstring(L, 4),
        .instance = task->number,
        .count = engine->graph->tasks[task->plan_task].parallelism,
        .clock = engine->clock,
        .delivery = engine->options.delivery,
        .state_dir = engine->options.state_dir,
        .restored = engine->options.restore != NULL ? &restored.values : NULL,
        .logs_dir = engine->options.logs_dir,
    };
    sw_task_sink *added = &sinks[task->sink_count];
    int rc = sw_io_open_sink(type, &options, &context, &added->sink, &err);
    sw_parts_free(&restored);
    if (rc != SW_OK) return raise_open_error(L, task, context.component, rc, &err);
    added->component = (uint32_t)luaL_checkinteger(L, 5);
    added->type = sw_io_sink_type(type);
    lua_pushlightuserdata(L, added->sink);
    task->sink_count++;
    return 1;
}

/* --- keyed state: a userdata that owns the stores behind a sw_keyed_instance ---------------------------------------
 *  */

#define KEYED_TYPE "swlua.keyed"

sw_keyed_userdata *sw_check_keyed(lua_State *L, int index)
{
    return luaL_checkudata(L, index, KEYED_TYPE);
}

static int l_keyed_gc(lua_State *L)
{
    sw_keyed_userdata *keyed = sw_check_keyed(L, 1);
    sw_keyed_free(keyed->instance.store);
    for (int i = 0; i < 2; i++) sw_timers_free(keyed->instance.timers[i]);
    for (uint32_t i = 0; i < keyed->by.fields.count; i++) sw_free((char *)(uintptr_t)keyed->by.fields.names[i]);
    sw_free(keyed->by.fields.names);
    sw_free(keyed->by.fields.name_lens);
    sw_free(keyed->by.fields.indexes);
    sw_buf_deinit(&keyed->by.key);
    sw_batch_deinit(&keyed->by.gathered);
    memset(keyed, 0, sizeof(*keyed));
    return 0;
}

/* (state schema id or 0) -> userdata, its address */
static int l_keyed_new(lua_State *L)
{
    const sw_schema *schema = sw_schema_get((uint16_t)luaL_checkinteger(L, 1));
    sw_error err;
    sw_keyed_userdata *keyed = lua_newuserdata(L, sizeof(*keyed));
    memset(keyed, 0, sizeof(*keyed));
    sw_buf_init(&keyed->by.key);
    sw_batch_init(&keyed->by.gathered);
    keyed->instance.fields = &keyed->by;
    keyed->instance.gathered = &keyed->by.gathered;
    if (luaL_newmetatable(L, KEYED_TYPE)) {
        lua_pushcfunction(L, l_keyed_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    if (sw_keyed_new(&keyed->instance.store, schema, &err) != SW_OK) return raise_error(L, &err);
    for (int i = 0; i < 2; i++)
        if (sw_timers_new(&keyed->instance.timers[i], &err) != SW_OK) return raise_error(L, &err);
    lua_pushlightuserdata(L, &keyed->instance);
    return 2;
}

/* (userdata, { field names }): which fields of an event make its key */
static int l_keyed_fields(lua_State *L)
{
    sw_keyed_userdata *keyed = sw_check_keyed(L, 1);
    sw_key_fields *fields = &keyed->by.fields;
    uint32_t count = (uint32_t)lua_objlen(L, 2);
    fields->names = sw_calloc(count, sizeof(*fields->names));
    fields->name_lens = sw_calloc(count, sizeof(*fields->name_lens));
    fields->indexes = sw_calloc(count, sizeof(*fields->indexes));
    if (fields->names == NULL || fields->name_lens == NULL || fields->indexes == NULL)
        return luaL_error(L, "out of memory");
    for (uint32_t i = 0; i < count; i++) {
        size_t len;
        lua_rawgeti(L, 2, (int)i + 1);
        const char *name = luaL_checklstring(L, -1, &len);
        fields->names[i] = sw_strdup(name);
        if (fields->names[i] == NULL) return luaL_error(L, "out of memory");
        fields->name_lens[i] = (uint32_t)len;
        fields->count = i + 1;
        lua_pop(L, 1);
    }
    return 0;
}

static int push_entry(void *arg, sw_entry *entry)
{
    lua_State *L = arg;
    lua_pushlightuserdata(L, entry);
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
    return 0;
}

/* (userdata) -> { address of each entry, in order of key bytes } */
static int l_keyed_entries(lua_State *L)
{
    sw_keyed_userdata *keyed = sw_check_keyed(L, 1);
    lua_newtable(L);
    if (sw_keyed_each(keyed->instance.store, push_entry, L) != SW_OK) return luaL_error(L, "out of memory");
    return 1;
}

/* (userdata, key bytes) -> address of its entry, or nil */
static int l_keyed_find(lua_State *L)
{
    sw_keyed_userdata *keyed = sw_check_keyed(L, 1);
    size_t len;
    const char *key = luaL_checklstring(L, 2, &len);
    sw_entry *entry = sw_keyed_find(keyed->instance.store, sw_hash(key, len), (const uint8_t *)key, (uint32_t)len);
    if (entry != NULL) lua_pushlightuserdata(L, entry);
    else lua_pushnil(L);
    return 1;
}

/* --- scratch ----------------------------------------------------------------------------------------------------- */

#define SCRATCH_TYPE "swlua.scratch"

static int l_scratch_gc(lua_State *L)
{
    sw_scratch *scratch = luaL_checkudata(L, 1, SCRATCH_TYPE);
    sw_free(scratch->data);
    memset(scratch, 0, sizeof(*scratch));
    return 0;
}

/* () -> userdata, its address */
static int l_scratch_new(lua_State *L)
{
    sw_scratch *scratch = lua_newuserdata(L, sizeof(*scratch));
    memset(scratch, 0, sizeof(*scratch));
    if (luaL_newmetatable(L, SCRATCH_TYPE)) {
        lua_pushcfunction(L, l_scratch_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    if (swffi_scratch_grow(scratch, 1024) != SW_OK) return luaL_error(L, "out of memory");
    lua_pushlightuserdata(L, scratch);
    return 2;
}

/* --- acknowledging ---------------------------------------------------------------------------------------------- */

/* (task) -> are events acknowledged? */
static int l_has_acks(lua_State *L)
{
    const sw_task *task = check_pointer(L, 1);
    lua_pushboolean(L, task->acks != NULL);
    return 1;
}

/* (task): the source is told what becomes of its events */
static int l_acks_notices(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    sw_acks_want_notices(task->acks);
    return 0;
}

/* (task, component): it holds events by hand */
static int l_acks_holder(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    sw_acks_set_holder(task->acks, (uint32_t)luaL_checkinteger(L, 2) + 1);
    return 0;
}

/* (task): the source gives no more */
static int l_acks_end(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    sw_acks_end(task->acks);
    return 0;
}

/* (task, position): what the source gives next lies behind it */
static int l_acks_mark(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    size_t len;
    const char *position = luaL_checklstring(L, 2, &len);
    if (sw_acks_mark(task->acks, (const uint8_t *)position, (uint32_t)len) != SW_OK)
        return luaL_error(L, "out of memory");
    return 0;
}

/* (task) -> position before the oldest pending event; nil: none is pending */
static int l_acks_position(lua_State *L)
{
    const sw_task *task = check_pointer(L, 1);
    const sw_buf *position = task->acks != NULL ? sw_acks_position(task->acks) : NULL;
    if (position != NULL) lua_pushlstring(L, (const char *)position->data, position->size);
    else lua_pushnil(L);
    return 1;
}

/* (task, text): why an event is going to be replayed */
static int l_note_error(lua_State *L)
{
    const sw_task *task = check_pointer(L, 1);
    sw_acking_note_error(task->engine, luaL_checkstring(L, 2));
    return 0;
}

/* --- failing, logging -------------------------------------------------------------------------------------------- */

/* (task, exit code, text) */
static int l_fail(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    sw_engine_fail(task->engine, (int)luaL_checkinteger(L, 2), "%s", luaL_checkstring(L, 3));
    return 0;
}

/* (level, who, text) */
static int l_log(lua_State *L)
{
    static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
    sw_log((sw_log_level)luaL_checkoption(L, 1, NULL, levels), luaL_checkstring(L, 2), "%s", luaL_checkstring(L, 3));
    return 0;
}

/* (task, row as cdata) -> bool: hands over a dead letter that nobody in the job reads; false when JSON cannot hold it
 *  */
static int l_dead_letter(lua_State *L)
{
    sw_task *task = check_pointer(L, 1);
    const sw_row *const *row = lua_topointer(L, 2);
    sw_engine *engine = task->engine;
    sw_error err;
    int rc = engine->ops.dead_letter(engine->ops.arg, *row, &err);
    if (rc != SW_OK && rc != SW_EFORMAT) sw_engine_fail(engine, 1, "a dead letter was not kept: %s", err.text);
    lua_pushboolean(L, rc == SW_OK);
    return 1;
}

/* (number) -> shortest exact text */
static int l_format_number(lua_State *L)
{
    char text[40];
    lua_pushlstring(L, text, sw_num_format_double(text, luaL_checknumber(L, 1)));
    return 1;
}

static void push_codes(lua_State *L)
{
    static const int codes[] = { SW_EFULL, SW_ETYPE, SW_EFORMAT };
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        lua_pushinteger(L, codes[i]);
        lua_setfield(L, -2, sw_error_name(codes[i]));
    }
}

/* The path of swlua.so when this code was loaded from it; nil in the program, whose symbols are global. */
static void push_library(lua_State *L)
{
    Dl_info info;
    if (dladdr((void *)(uintptr_t)swffi_abi, &info) != 0 && strstr(info.dli_fname, ".so") != NULL)
        lua_pushstring(L, info.dli_fname);
    else lua_pushnil(L);
}

int l_open_core(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "chunk", l_chunk },
        { "intern_schema", l_intern_schema },
        { "graph_component", l_graph_component },
        { "graph_edge", l_graph_edge },
        { "tasks", l_tasks },
        { "edge", l_edge },
        { "set_coroutine", l_set_coroutine },
        { "port_domain", l_port_domain },
        { "set_source", l_set_source },
        { "open_source", l_open_source },
        { "open_sink", l_open_sink },
        { "keyed_new", l_keyed_new },
        { "keyed_fields", l_keyed_fields },
        { "keyed_entries", l_keyed_entries },
        { "keyed_find", l_keyed_find },
        { "scratch_new", l_scratch_new },
        { "decode_batch", l_decode_batch },
        { "decode_bytes", l_decode_bytes },
        { "send_batch", l_send_batch },
        { "snapshot_begin", l_snapshot_begin },
        { "snapshot_put", l_snapshot_put },
        { "snapshot_end", l_snapshot_end },
        { "keyed_track", l_keyed_track },
        { "keyed_begin_save", l_keyed_begin_save },
        { "keyed_save_some", l_keyed_save_some },
        { "keyed_restore", l_keyed_restore },
        { "restored_parts", l_restored_parts },
        { "restored_version", l_restored_version },
        { "restored_task", l_restored_task },
        { "has_checkpoints", l_has_checkpoints },
        { "set_commits", l_set_commits },
        { "committed", l_committed },
        { "has_acks", l_has_acks },
        { "acks_notices", l_acks_notices },
        { "acks_end", l_acks_end },
        { "acks_holder", l_acks_holder },
        { "acks_mark", l_acks_mark },
        { "acks_position", l_acks_position },
        { "note_error", l_note_error },
        { "inquiry_next", l_inquiry_next },
        { "inquiry_put_entry", l_inquiry_put_entry },
        { "inquiry_put_part", l_inquiry_put_part },
        { "inquiry_end", l_inquiry_end },
        { "keyed_after", l_keyed_after },
        { "fail", l_fail },
        { "log", l_log },
        { "dead_letter", l_dead_letter },
        { "format_number", l_format_number },
        { "sim_open", l_sim_open },
        { "make_temporary", l_make_temporary },
        { "remove_tree", l_remove_tree },
        { NULL, NULL },
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    lua_pushstring(L, sw_ffi_cdef);
    lua_setfield(L, -2, "cdef");
    push_codes(L);
    lua_setfield(L, -2, "codes");
    push_library(L);
    lua_setfield(L, -2, "library");
    return 1;
}
