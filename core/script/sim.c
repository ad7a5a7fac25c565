#include "script/sim.h"

#include <lauxlib.h>
#include <string.h>

#include "base/alloc.h"
#include "run/engine.h"
#include "script/ops.h"

#define SIM_TYPE "swlua.sim"

typedef struct sim {
    sw_graph graph;   /* declared by Lua; planned by the engine */
    sw_engine engine; /* open while is_open */
    sw_clock *clock;  /* virtual */
    char *job;        /* name */
    bool is_open;     /* the engine is to be closed */
} sim;

static int start_worker(void *arg, sw_worker *worker, sw_error *err)
{
    (void)arg;
    (void)worker;
    (void)err;
    return SW_OK; /* The tasks are made by Lua, which called us. */
}

static void stop_worker(void *arg, sw_worker *worker)
{
    (void)arg;
    (void)worker;
}

static int dead_letter(void *arg, const sw_row *row, sw_error *err)
{
    (void)arg;
    (void)row;
    (void)err;
    return SW_OK; /* sw.test keeps letters before they are encoded. */
}

static sim *check_sim(lua_State *L)
{
    sim *s = luaL_checkudata(L, 1, SIM_TYPE);
    if (!s->is_open) luaL_error(L, "the test is closed");
    return s;
}

static int l_sim_close(lua_State *L)
{
    sim *s = luaL_checkudata(L, 1, SIM_TYPE);
    if (s->is_open) sw_engine_close(&s->engine);
    if (s->clock != NULL) sw_clock_free(s->clock);
    sw_graph_deinit(&s->graph);
    sw_free(s->job);
    memset(s, 0, sizeof(*s));
    return 0;
}

/* sim:worker() -> light userdata */
static int l_sim_worker(lua_State *L)
{
    lua_pushlightuserdata(L, &check_sim(L)->engine.workers[0]);
    return 1;
}

/* sim:settle(): runs until nothing can run now; raises the job's failure */
static int l_sim_settle(lua_State *L)
{
    sim *s = check_sim(L);
    if (sw_engine_sim_settle(&s->engine)) return 0;
    return luaL_error(L, "%s", s->engine.failure.text);
}

static int l_sim_now(lua_State *L)
{
    lua_pushnumber(L, (double)sw_engine_now_ms(&check_sim(L)->engine));
    return 1;
}

/* sim:deadline() -> engine time at which something falls due, or nil */
static int l_sim_deadline(lua_State *L)
{
    int64_t deadline = sw_engine_sim_deadline_ms(&check_sim(L)->engine);
    if (deadline == INT64_MAX) lua_pushnil(L);
    else lua_pushnumber(L, (double)deadline);
    return 1;
}

/* sim:set_time(ms): moves the clock on */
static int l_sim_set_time(lua_State *L)
{
    sim *s = check_sim(L);
    int64_t to = (int64_t)luaL_checknumber(L, 2), now_ms = sw_engine_now_ms(&s->engine);
    if (to > now_ms) sw_clock_virtual_advance(s->clock, to - now_ms);
    return 0;
}

static int l_sim_stop(lua_State *L)
{
    sw_engine_stop(&check_sim(L)->engine);
    return 0;
}

static int l_sim_is_done(lua_State *L)
{
    lua_pushboolean(L, sw_engine_is_done(&check_sim(L)->engine));
    return 1;
}

/* sim:control() -> id of a control item sent from all sources */
static int l_sim_control(lua_State *L)
{
    lua_pushinteger(L, (int)sw_engine_send_control(&check_sim(L)->engine));
    return 1;
}

/* sim:answers() -> tasks that have acted on the newest control item, tasks in all */
static int l_sim_answers(lua_State *L)
{
    sim *s = check_sim(L);
    lua_pushinteger(L, (int)atomic_load(&s->engine.control_answers));
    lua_pushinteger(L, (int)s->engine.task_count);
    return 2;
}

static void push_metatable(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "worker", l_sim_worker },
        { "settle", l_sim_settle },
        { "now", l_sim_now },
        { "deadline", l_sim_deadline },
        { "set_time", l_sim_set_time },
        { "stop", l_sim_stop },
        { "is_done", l_sim_is_done },
        { "control", l_sim_control },
        { "answers", l_sim_answers },
        { "close", l_sim_close },
        { NULL, NULL },
    };
    if (!luaL_newmetatable(L, SIM_TYPE)) return;
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_sim_close);
    lua_setfield(L, -2, "__gc");
}

int l_sim_open(lua_State *L)
{
    const char *job = luaL_checkstring(L, 1);
    sw_error err;
    luaL_checktype(L, 6, LUA_TFUNCTION);
    sim *s = lua_newuserdata(L, sizeof(*s));
    memset(s, 0, sizeof(*s));
    push_metatable(L);
    lua_setmetatable(L, -2);
    sw_graph_init(&s->graph);
    s->job = sw_strdup(job);
    s->clock = sw_clock_virtual_new((int64_t)luaL_checknumber(L, 2));
    if (s->job == NULL || s->clock == NULL) return luaL_error(L, "out of memory");
    lua_pushvalue(L, 6);
    lua_pushlightuserdata(L, &s->graph);
    lua_call(L, 1, 0); /* Declares the graph; an error goes to our caller, and __gc frees what is made. */
    const sw_engine_options options = {
        .job = s->job,
        .workers = 1,
        .parallelism = (uint32_t)luaL_checknumber(L, 4),
        .queue = (uint32_t)luaL_checknumber(L, 5),
        .seed = (uint64_t)luaL_checknumber(L, 3),
        .is_sim = true,
        .clock = s->clock,
    };
    const sw_engine_ops ops = {
        .start_worker = start_worker,
        .resume = sw_script_resume,
        .stop_worker = stop_worker,
        .dead_letter = dead_letter,
    };
    if (sw_engine_open(&s->engine, &s->graph, &options, &ops, &err) != SW_OK) return luaL_error(L, "%s", err.text);
    s->is_open = true;
    return 1;
}
