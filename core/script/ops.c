#include "script/ops.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "script/dead_letters.h"
#include "script/runner.h"

#define EXIT_STUCK 70

sw_step sw_script_resume(void *arg, sw_task *task)
{
    lua_State *co = task->coroutine;
    (void)arg;
    int rc = lua_resume(co, 0);
    if (rc == 0) return SW_STEP_DONE;
    if (rc == LUA_YIELD) {
        sw_step step = (sw_step)lua_tointeger(co, -1);
        lua_settop(co, 0);
        return step;
    }
    const char *text = lua_tostring(co, -1);
    luaL_traceback(co, co, text != NULL ? text : "(no text)", 0);
    sw_engine_fail(task->engine, EXIT_STUCK, "a bug in the engine: %s", lua_tostring(co, -1));
    return SW_STEP_FAILED;
}

static int start_worker(void *arg, sw_worker *worker, sw_error *err)
{
    return sw_runner_start_worker(arg, worker, err);
}

/* The runner closes the states when all workers have ended. A halted job's components close now. */
static void stop_worker(void *arg, sw_worker *worker)
{
    sw_script *script = worker->script;
    sw_error err;
    (void)arg;
    if (!worker->engine->is_halted || script == NULL) return;
    lua_State *L = script->L;
    int rc = sw_script_push(L, "swlua.internal.engine", "halt", &err);
    if (rc == SW_OK) rc = sw_script_call(L, 0, 0, &err);
    if (rc != SW_OK) sw_log(SW_LOG_WARN, worker->engine->options.job, "closing: %s", err.text);
}

static void on_tick(void *arg)
{
    sw_runner *runner = arg;
    if (runner->on_tick != NULL) runner->on_tick(runner->tick_arg);
}

static int dead_letter(void *arg, const sw_row *row, sw_error *err)
{
    sw_runner *runner = arg;
    return sw_dead_letters_write(runner->letters, row, err);
}

/* A compiled Lua loop cannot be interrupted from outside, so the process ends. */
static void on_stuck(void *arg, sw_task *task)
{
    sw_runner *runner = arg;
    uint32_t at = task->at;
    const char *name = at > 0 && at <= runner->graph.component_count ? runner->graph.components[at - 1].name : "?";
    sw_supervision *page = runner->config.supervision;
    char text[SW_ERROR_TEXT_SIZE];
    snprintf(text, sizeof(text), "%s/%s#%u: a call of its code in %s has not returned for %lld ms (watchdog)",
             runner->job, name, task->number, runner->config.script, (long long)runner->watchdog_ms);
    if (page != NULL && at > 0 && at <= SW_SUPERVISED_MAX) page->is_interpreted[at - 1] = 1;
    if (!sw_supervision_ask_restart(page, text)) sw_log(SW_LOG_ERROR, runner->job, "%s; the process ends", text);
    _exit(EXIT_STUCK);
}

sw_engine_ops sw_script_ops(sw_runner *runner)
{
    return (sw_engine_ops){
        .arg = runner,
        .start_worker = start_worker,
        .resume = sw_script_resume,
        .stop_worker = stop_worker,
        .on_tick = on_tick,
        .dead_letter = dead_letter,
        .on_stuck = on_stuck,
    };
}
