#include "script/sim.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "run/coordinator.h"
#include "run/engine.h"
#include "script/checkpointing.h"
#include "script/ops.h"

#define SIM_TYPE "swlua.sim"

typedef struct sim {
    sw_graph graph;                  /* declared by Lua; planned by the engine */
    sw_engine engine;                /* open while is_open */
    sw_clock *clock;                 /* virtual */
    char *job;                       /* name */
    char *state_dir;                 /* for checkpoints */
    sw_checkpointing *checkpointing; /* owned */
    bool is_open;                    /* the engine is to be closed */
    uint32_t done_id;                /* of the last checkpoint asked for, when it is done */
    int done_rc;                     /* how it went */
    sw_error done_err;               /* and why it failed */
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
    sw_checkpointing_free(s->checkpointing);
    if (s->clock != NULL) sw_clock_free(s->clock);
    sw_graph_deinit(&s->graph);
    sw_free(s->job);
    sw_free(s->state_dir);
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

/* sim:step(n) -> true while something can run: runs at most n steps of tasks; raises the job's failure */
static int l_sim_step(lua_State *L)
{
    sim *s = check_sim(L);
    bool can_run = true;
    for (lua_Integer n = luaL_checkinteger(L, 2); n > 0 && can_run; n--) can_run = sw_engine_sim_step(&s->engine);
    if (s->engine.is_failed) return luaL_error(L, "%s", s->engine.failure.text);
    lua_pushboolean(L, can_run);
    return 1;
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

/* sim:control() -> id of a barrier sent from all sources */
static int l_sim_control(lua_State *L)
{
    sw_engine *engine = &check_sim(L)->engine;
    uint32_t id = atomic_load(&engine->control_sent) + 1;
    sw_engine_send_control(engine, id);
    lua_pushinteger(L, (int)id);
    return 1;
}

/* sim:answers() -> tasks that have acted on the newest barrier, tasks in all */
static int l_sim_answers(lua_State *L)
{
    sim *s = check_sim(L);
    lua_pushinteger(L, (int)atomic_load(&s->engine.control_answers));
    lua_pushinteger(L, (int)s->engine.task_count);
    return 2;
}

static void on_checkpoint(void *arg, uint32_t id, int rc, const sw_error *err)
{
    sim *s = arg;
    s->done_id = id;
    s->done_rc = rc;
    if (rc != SW_OK) s->done_err = *err;
}

/* sim:checkpoint() -> id: takes one; raises when it fails or cannot be complete now */
static int l_sim_checkpoint(lua_State *L)
{
    sim *s = check_sim(L);
    s->done_id = 0;
    if (sw_coordinator_request(s->engine.coordinator, NULL, on_checkpoint, s) != SW_OK)
        return luaL_error(L, "out of memory");
    if (!sw_engine_sim_settle(&s->engine)) return luaL_error(L, "%s", s->engine.failure.text);
    if (s->done_id == 0) return luaL_error(L, "the checkpoint is not complete: a component does not return");
    if (s->done_rc != SW_OK) return luaL_error(L, "the checkpoint failed: %s", s->done_err.text);
    lua_pushinteger(L, (int)s->done_id);
    return 1;
}

/* sim:request(): asks for a checkpoint, which the steps that follow take */
static int l_sim_request(lua_State *L)
{
    sim *s = check_sim(L);
    if (sw_coordinator_request(s->engine.coordinator, NULL, NULL, NULL) != SW_OK) return luaL_error(L, "out of memory");
    return 0;
}

/* sim:checkpoints() -> completed, failed, id of the last completed */
static int l_sim_checkpoints(lua_State *L)
{
    sw_coordinator_stats stats = sw_coordinator_get_stats(check_sim(L)->engine.coordinator);
    lua_pushnumber(L, (double)stats.completed);
    lua_pushnumber(L, (double)stats.failed);
    lua_pushnumber(L, stats.last_id);
    return 3;
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
        { "checkpoint", l_sim_checkpoint },
        { "close", l_sim_close },
        { "step", l_sim_step },
        { "request", l_sim_request },
        { "checkpoints", l_sim_checkpoints },
        { NULL, NULL },
    };
    if (!luaL_newmetatable(L, SIM_TYPE)) return;
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_sim_close);
    lua_setfield(L, -2, "__gc");
}

static const sw_engine_ops sim_ops = {
    .start_worker = start_worker,
    .resume = sw_script_resume,
    .stop_worker = stop_worker,
    .dead_letter = dead_letter,
};

enum {
    ARG_JOB = 1,
    ARG_START,
    ARG_SEED,
    ARG_PARALLELISM,
    ARG_QUEUE,
    ARG_DECLARE,
    ARG_DIR,
    ARG_FROM,
    ARG_DELIVERY,
    ARG_ACK_TIMEOUT,
    ARG_ATTEMPTS
};

/* Everything behind the userdata at the top of the stack; what fails half done is freed by its __gc. */
static int open_sim(lua_State *L, sim *s, sw_error *err)
{
    s->job = sw_strdup(luaL_checkstring(L, ARG_JOB));
    s->state_dir = sw_strdup(luaL_checkstring(L, ARG_DIR));
    s->clock = sw_clock_virtual_new((int64_t)luaL_checknumber(L, ARG_START));
    if (s->job == NULL || s->state_dir == NULL || s->clock == NULL)
        return sw_error_set(err, SW_ENOMEM, "out of memory");
    lua_pushvalue(L, ARG_DECLARE);
    lua_pushlightuserdata(L, &s->graph);
    lua_call(L, 1, 0); /* Declares the graph; an error goes to our caller. */
    const sw_checkpointed_job job = {
        .name = s->job,
        .state_dir = s->state_dir,
        .script = "",
        .from = luaL_checkstring(L, ARG_FROM),
        .settings = { .is_on = true, .timeout_ms = INT64_MAX, .retain = 3 },
    };
    static const char *const deliveries[] = { "at-most-once", "at-least-once", "exactly-once", NULL };
    sw_delivery delivery = (sw_delivery)luaL_checkoption(L, ARG_DELIVERY, NULL, deliveries); /* In its order. */
    int rc = sw_checkpointing_open(&s->checkpointing, &job, err);
    if (rc != SW_OK) return rc;
    const sw_engine_options options = {
        .job = s->job,
        .workers = 1,
        .parallelism = (uint32_t)luaL_checknumber(L, ARG_PARALLELISM),
        .queue = (uint32_t)luaL_checknumber(L, ARG_QUEUE),
        .acks = { .timeout_ms = (int64_t)luaL_checknumber(L, ARG_ACK_TIMEOUT),
                  .errors_max = (uint32_t)luaL_checknumber(L, ARG_ATTEMPTS) },
        .seed = (uint64_t)luaL_checknumber(L, ARG_SEED),
        .is_sim = true,
        .is_unaligned = delivery == SW_AT_LEAST_ONCE,
        .delivery = delivery,
        .clock = s->clock,
        .state_dir = s->state_dir,
        .restore = sw_checkpointing_restore(s->checkpointing),
    };
    if ((rc = sw_engine_open(&s->engine, &s->graph, &options, &sim_ops, err)) != SW_OK) return rc;
    s->is_open = true;
    return sw_checkpointing_begin(s->checkpointing, &s->engine, L, err);
}

int l_sim_open(lua_State *L)
{
    sw_error err;
    luaL_checktype(L, ARG_DECLARE, LUA_TFUNCTION);
    sim *s = lua_newuserdata(L, sizeof(*s));
    memset(s, 0, sizeof(*s));
    push_metatable(L);
    lua_setmetatable(L, -2);
    sw_graph_init(&s->graph);
    if (open_sim(L, s, &err) != SW_OK) return luaL_error(L, "%s", err.text);
    return 1;
}

/* () -> a new folder of its own */
int l_make_temporary(lua_State *L)
{
    const char *base = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof(path), "%s/swlua-test-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(path) == NULL) return luaL_error(L, "cannot make the folder %s: %s", path, strerror(errno));
    lua_pushstring(L, path);
    return 1;
}

/* (path): removes the folder with all that is in it */
int l_remove_tree(lua_State *L)
{
    sw_error err;
    if (sw_fs_remove_tree(luaL_checkstring(L, 1), &err) != SW_OK) return luaL_error(L, "%s", err.text);
    return 0;
}
