#include "script/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "io/log.h"
#include "run/coordinator.h"
#include "script/dead_letters.h"
#include "script/ops.h"

#define SCRIPT_BYTES_MAX (64u << 20)
#define ENGINE_MODULE "swlua.internal.engine"

/* --- what the script gets --------------------------------------------------------------------------------------- */

static void push_pairs(lua_State *L, const sw_pair *pairs, uint32_t count)
{
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        lua_createtable(L, 2, 0);
        lua_pushstring(L, pairs[i].name);
        lua_rawseti(L, -2, 1);
        lua_pushstring(L, pairs[i].value);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* Pushes the table that engine.load takes. */
static void push_config(lua_State *L, const sw_runner_config *config, const sw_buf *text)
{
    lua_createtable(L, 0, 8);
    lua_pushstring(L, config->script);
    lua_setfield(L, -2, "path");
    lua_pushlstring(L, (const char *)text->data, text->size);
    lua_setfield(L, -2, "text");
    lua_createtable(L, config->arg_count, 0);
    for (int i = 0; i < config->arg_count; i++) {
        lua_pushstring(L, config->args[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "args");
    push_pairs(L, config->sets, config->set_count);
    lua_setfield(L, -2, "sets");
    push_pairs(L, config->settings, config->setting_count);
    lua_setfield(L, -2, "settings");
    lua_pushboolean(L, config->is_sim);
    lua_setfield(L, -2, "sim");
    lua_pushnumber(L, (double)config->seed);
    lua_setfield(L, -2, "seed");
    if (config->supervision == NULL) return;
    lua_pushlightuserdata(L, config->supervision->is_interpreted);
    lua_setfield(L, -2, "interpreted");
    lua_pushlightuserdata(L, (void *)&config->supervision->checkpoints);
    lua_setfield(L, -2, "checkpoints");
}

static int load_script(sw_runner *runner, sw_script *script, sw_error *err)
{
    lua_State *L = script->L;
    int rc = sw_script_push(L, ENGINE_MODULE, "load", err);
    if (rc != SW_OK) return rc;
    push_config(L, &runner->config, &runner->text);
    return sw_script_call(L, 1, 0, err);
}

static int read_script(const sw_runner_config *config, sw_buf *text, sw_error *err)
{
    int rc = sw_fs_read_all(config->script, text, SCRIPT_BYTES_MAX, err);
    if (rc == SW_OK) return SW_OK;
    return sw_error_set(err, rc == SW_ENOMEM ? rc : SW_ESCRIPT, "%s", err->text);
}

/* --- what the job says -------------------------------------------------------------------------------------------- */

/* What engine.plan returns, in this order. */
enum { PLAN_JOB = 1, PLAN_FINGERPRINT, PLAN_SETTINGS, PLAN_COUNT = PLAN_SETTINGS };

static double setting(lua_State *L, const char *name)
{
    lua_getfield(L, PLAN_SETTINGS, name);
    double value = lua_isboolean(L, -1) ? lua_toboolean(L, -1) : lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

static sw_delivery delivery_setting(lua_State *L)
{
    lua_getfield(L, PLAN_SETTINGS, "delivery");
    const char *name = lua_tostring(L, -1);
    sw_delivery delivery = strcmp(name, "exactly-once") == 0    ? SW_EXACTLY_ONCE
                           : strcmp(name, "at-least-once") == 0 ? SW_AT_LEAST_ONCE
                                                                : SW_AT_MOST_ONCE;
    lua_pop(L, 1);
    return delivery;
}

/* Calls engine.plan(graph) in the main state: declares the graph and returns what the engine needs of the settings. */
static int make_graph(sw_runner *runner, sw_error *err)
{
    lua_State *L = runner->scripts[0]->L;
    lua_settop(L, 0);
    int rc = sw_script_push(L, ENGINE_MODULE, "plan", err);
    if (rc != SW_OK) return rc;
    lua_pushlightuserdata(L, &runner->graph);
    if ((rc = sw_script_call(L, 1, PLAN_COUNT, err)) != SW_OK) return rc;
    runner->job = sw_strdup(lua_tostring(L, PLAN_JOB));
    runner->fingerprint = sw_strdup(lua_tostring(L, PLAN_FINGERPRINT));
    runner->parallelism = (uint32_t)setting(L, "parallelism");
    runner->queue = (uint32_t)setting(L, "queue");
    runner->ack_timeout_ms = (int64_t)setting(L, "ack_timeout_ms");
    runner->watchdog_ms = (int64_t)setting(L, "watchdog_ms");
    runner->delivery = delivery_setting(L);
    runner->checkpoints = (sw_checkpoint_settings){
        .is_on = setting(L, "checkpoints") != 0,
        .interval_ms = (int64_t)setting(L, "interval_ms"),
        .timeout_ms = (int64_t)setting(L, "timeout_ms"),
        .retain = (uint32_t)setting(L, "retain"),
    };
    runner->restart_attempts = (uint32_t)setting(L, "restart_attempts");
    runner->restart_delay_ms = (int64_t)setting(L, "restart_delay_ms");
    lua_pop(L, PLAN_COUNT);
    if (runner->job == NULL || runner->fingerprint == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    return SW_OK;
}

/* Tells the supervisor when to restart. */
static void publish_policy(const sw_runner *runner)
{
    sw_supervision *page = runner->config.supervision;
    if (page == NULL) return;
    page->attempts = runner->restart_attempts;
    page->delay_ms = runner->restart_delay_ms;
    page->has_guarantee = runner->delivery != SW_AT_MOST_ONCE && runner->checkpoints.is_on;
    snprintf(page->job, sizeof(page->job), "%s", runner->job);
}

/* A component that is run interpreted is to be caught by its own hook before the watchdog ends the process. */
static int64_t watchdog_of(const sw_runner *runner)
{
    const sw_supervision *page = runner->config.supervision;
    bool is_hooked = page != NULL && memchr(page->is_interpreted, 1, sizeof(page->is_interpreted)) != NULL;
    return is_hooked ? 2 * runner->watchdog_ms : runner->watchdog_ms;
}

/* The state directory as an absolute path, whether it exists or not. */
static int name_state_dir(sw_runner *runner, sw_error *err)
{
    char path[4096], cwd[4096];
    const char *given = runner->config.state_dir, *home = getenv("XDG_STATE_HOME"), *user = getenv("HOME");
    if (given != NULL) snprintf(path, sizeof(path), "%s", given);
    else if (home != NULL && home[0] != '\0') snprintf(path, sizeof(path), "%s/swlua/%s", home, runner->job);
    else snprintf(path, sizeof(path), "%s/.local/state/swlua/%s", user != NULL ? user : ".", runner->job);
    if (path[0] == '/') {
        runner->state_dir = sw_strdup(path);
    } else if (getcwd(cwd, sizeof(cwd)) != NULL) {
        sw_buf whole = { 0 };
        if (sw_buf_printf(&whole, "%s/%s", cwd, path) == SW_OK) runner->state_dir = sw_strdup((char *)whole.data);
        sw_buf_deinit(&whole);
    }
    return runner->state_dir != NULL ? SW_OK : sw_error_set(err, SW_ENOMEM, "no state directory: out of memory");
}

/* --- the stored script -------------------------------------------------------------------------------------------- */

/* The name of the job that the file's text makes: it says where its state is. */
static int name_job(sw_runner *runner, sw_error *err)
{
    sw_script *script = NULL;
    int rc = sw_script_new(&script, err);
    if (rc == SW_OK) rc = load_script(runner, script, err);
    if (rc == SW_OK) rc = sw_script_push(script->L, ENGINE_MODULE, "job", err);
    if (rc == SW_OK) rc = sw_script_call(script->L, 0, 1, err);
    if (rc == SW_OK) {
        lua_getfield(script->L, -1, "name");
        runner->job = sw_strdup(lua_tostring(script->L, -1));
        if (runner->job == NULL) rc = sw_error_set(err, SW_ENOMEM, "out of memory");
    }
    sw_script_free(script);
    return rc;
}

static int copy_stored_text(sw_runner *runner, const sw_checkpoint_meta *meta, sw_error *err)
{
    if (meta->script_len == 0)
        return sw_error_set(err, SW_ESTATE, "checkpoint %llu holds no script", (unsigned long long)meta->id);
    sw_buf_clear(&runner->text);
    if (sw_buf_append(&runner->text, meta->script, meta->script_len) != SW_OK)
        return sw_error_set(err, SW_ENOMEM, "out of memory");
    sw_log(SW_LOG_INFO, meta->job, "running the script that checkpoint %llu was taken with, not %s",
           (unsigned long long)meta->id, runner->config.script);
    return SW_OK;
}

/* Reads beside whoever has the directory; opening it to go on from is refused then. */
static int read_stored_text(sw_runner *runner, sw_error *err)
{
    const sw_checkpoints_options options = { .is_read_only = true };
    const char *from = runner->config.from != NULL ? runner->config.from : "latest";
    sw_checkpoints *checkpoints = NULL;
    sw_restore *restore = NULL;
    int rc = sw_checkpoints_open(&checkpoints, runner->state_dir, &options, err);
    if (rc == SW_OK) rc = sw_restore_open(&restore, checkpoints, from, NULL, NULL, err);
    if (rc == SW_OK) rc = copy_stored_text(runner, sw_restore_meta(restore), err);
    sw_restore_close(restore);
    sw_checkpoints_close(checkpoints);
    return rc == SW_OK || rc == SW_ENOMEM ? rc : sw_error_set(err, SW_ESTATE, "%s", err->text);
}

static int take_stored_text(sw_runner *runner, sw_error *err)
{
    int rc = runner->config.state_dir == NULL ? name_job(runner, err) : SW_OK;
    if (rc == SW_OK) rc = name_state_dir(runner, err);
    if (rc == SW_OK) rc = read_stored_text(runner, err);
    sw_free(runner->job);
    sw_free(runner->state_dir);
    runner->job = runner->state_dir = NULL; /* The stored script says how they are called. */
    return rc;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int open_dead_letters(sw_runner *runner, sw_error *err)
{
    const char *dir = runner->config.state_dir; /* Messages say it as the user did. */
    return sw_dead_letters_open(&runner->letters, dir != NULL ? dir : runner->state_dir, err);
}

static int open_checkpoints(sw_runner *runner, sw_error *err)
{
    const sw_runner_config *config = &runner->config;
    const sw_checkpointed_job job = {
        .name = runner->job,
        .state_dir = runner->state_dir,
        .script_path = config->script,
        .script = (const char *)runner->text.data,
        .script_len = runner->text.size,
        .from = config->from,
        .drops = config->drops,
        .drop_count = config->drop_count,
        .settings = runner->checkpoints,
    };
    if (!runner->checkpoints.is_on && config->from != NULL && strcmp(config->from, "none") != 0 &&
        strcmp(config->from, "latest") != 0)
        return sw_error_set(err, SW_ESTATE, "there is no checkpoint \"%s\": %s takes none", config->from, runner->job);
    if (!runner->checkpoints.is_on || config->is_detached) return SW_OK;
    return sw_checkpointing_open(&runner->checkpointing, &job, err);
}

static int open_engine(sw_runner *runner, sw_error *err)
{
    const sw_engine_options options = {
        .job = runner->job,
        .workers = runner->config.workers,
        .parallelism = runner->parallelism,
        .queue = runner->queue,
        .acks = { .timeout_ms = runner->ack_timeout_ms, .errors_max = runner->restart_attempts },
        .watchdog_ms = watchdog_of(runner),
        .seed = runner->config.seed,
        .is_sim = runner->config.is_sim,
        .is_unaligned = runner->delivery == SW_AT_LEAST_ONCE,
        .delivery = runner->delivery,
        .state_dir = runner->checkpointing != NULL ? runner->state_dir : NULL,
        .restore = runner->checkpointing != NULL ? sw_checkpointing_restore(runner->checkpointing) : NULL,
        .clock = runner->clock,
        .logs_dir = (const char *)runner->logs_dir.data,
        .supervision = runner->config.supervision,
    };
    sw_engine_ops ops = sw_script_ops(runner);
    int rc = sw_engine_open(&runner->engine, &runner->graph, &options, &ops, err);
    if (rc == SW_OK) runner->has_engine = true;
    if (rc == SW_OK && runner->checkpointing != NULL)
        rc = sw_checkpointing_begin(runner->checkpointing, &runner->engine, runner->scripts[0]->L, err);
    return rc == SW_EINVAL ? sw_error_set(err, SW_ESCRIPT, "%s", err->text) : rc;
}

static int open_clock(sw_runner *runner, sw_error *err)
{
    runner->clock = runner->config.is_sim ? sw_clock_virtual_new(runner->config.start_ms) : sw_clock_real();
    return runner->clock != NULL ? SW_OK : sw_error_set(err, SW_ENOMEM, "out of memory");
}

int sw_runner_open(sw_runner *runner, const sw_runner_config *config, sw_error *err)
{
    memset(runner, 0, sizeof(*runner));
    runner->config = *config;
    if (runner->config.workers == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        runner->config.workers = cores > 0 ? (uint32_t)cores : 1;
    }
    sw_buf_init(&runner->text);
    sw_buf_init(&runner->logs_dir);
    sw_graph_init(&runner->graph);
    runner->scripts = sw_calloc(runner->config.workers, sizeof(*runner->scripts));
    if (runner->scripts == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    int rc = read_script(config, &runner->text, err);
    if (rc == SW_OK && config->is_with_code) rc = take_stored_text(runner, err);
    if (rc == SW_OK) rc = sw_script_new(&runner->scripts[0], err);
    if (rc == SW_OK) rc = load_script(runner, runner->scripts[0], err);
    if (rc == SW_OK) rc = make_graph(runner, err);
    if (rc == SW_OK) publish_policy(runner);
    if (rc == SW_OK) rc = open_clock(runner, err);
    if (rc == SW_OK) rc = name_state_dir(runner, err);
    if (rc == SW_OK) rc = open_dead_letters(runner, err);
    if (rc == SW_OK) rc = open_checkpoints(runner, err);
    if (rc == SW_OK) rc = sw_log_folder(config->logs_dir, &runner->logs_dir, err);
    if (rc == SW_OK) rc = open_engine(runner, err);
    return rc;
}

void sw_runner_close(sw_runner *runner)
{
    if (runner->has_engine) sw_engine_close(&runner->engine);
    sw_checkpointing_free(runner->checkpointing);
    for (uint32_t w = 0; runner->scripts != NULL && w < runner->config.workers; w++) sw_script_free(runner->scripts[w]);
    if (runner->clock != NULL && runner->config.is_sim) sw_clock_free(runner->clock);
    sw_dead_letters_close(runner->letters);
    sw_graph_deinit(&runner->graph);
    sw_buf_deinit(&runner->text);
    sw_buf_deinit(&runner->logs_dir);
    sw_free(runner->scripts);
    sw_free(runner->fingerprint);
    sw_free(runner->state_dir);
    sw_free(runner->job);
    memset(runner, 0, sizeof(*runner));
}

/* --- the state of a worker
 * ------------------------------------------------------------------------------------------ */

/* A worker's own state executes the same text; the job it builds must be the main state's. */
static int open_worker_state(sw_runner *runner, uint32_t index, sw_error *err)
{
    int rc = sw_script_new(&runner->scripts[index], err);
    if (rc == SW_OK) rc = load_script(runner, runner->scripts[index], err);
    if (rc != SW_OK) return rc;
    lua_State *L = runner->scripts[index]->L;
    if ((rc = sw_script_push(L, ENGINE_MODULE, "compare", err)) != SW_OK) return rc;
    lua_pushstring(L, runner->fingerprint);
    return sw_script_call(L, 1, 0, err);
}

int sw_runner_start_worker(sw_runner *runner, sw_worker *worker, sw_error *err)
{
    int rc = SW_OK;
    if (worker->index > 0) rc = open_worker_state(runner, worker->index, err);
    if (rc != SW_OK) return rc;
    worker->script = runner->scripts[worker->index];
    lua_State *L = runner->scripts[worker->index]->L;
    if ((rc = sw_script_push(L, ENGINE_MODULE, "start", err)) != SW_OK) return rc;
    lua_pushlightuserdata(L, worker);
    rc = sw_script_call(L, 1, 0, err);
    if (rc == SW_ESCRIPT) err->code = SW_EIO; /* The script loaded: what failed is the job's start. */
    return rc;
}

/* --- running
 * ---------------------------------------------------------------------------------------------------------- */

int sw_runner_run(sw_runner *runner)
{
    runner->began_ns = sw_clock_mono_ns(sw_clock_real());
    int code = sw_engine_run(&runner->engine);
    runner->ended_ns = sw_clock_mono_ns(sw_clock_real());
    return code;
}

static void note_stop(sw_runner *runner)
{
    atomic_store(&runner->is_stopping, true);
    if (runner->config.supervision != NULL) atomic_store(&runner->config.supervision->is_stopping, true);
}

void sw_runner_drain(sw_runner *runner)
{
    note_stop(runner);
    sw_engine_stop(&runner->engine);
}

void sw_runner_stop(sw_runner *runner)
{
    note_stop(runner);
    if (runner->engine.coordinator != NULL) sw_coordinator_stop(runner->engine.coordinator);
    else sw_engine_stop(&runner->engine);
}

uint64_t sw_runner_restored_from(const sw_runner *runner)
{
    const sw_restore *restore = runner->has_engine ? runner->engine.options.restore : NULL;
    return restore != NULL ? sw_restore_meta(restore)->id : 0;
}

sw_instance sw_runner_totals(const sw_runner *runner, uint32_t component)
{
    sw_instance sum = { .component = component };
    for (uint32_t i = 0; i < runner->graph.components[component].parallelism; i++) {
        const sw_instance *one = &runner->engine.instances[component][i];
        const uint64_t *from = &one->in;
        uint64_t *to = &sum.in;
        sum.in += sw_instance_in(one);
        for (size_t k = 1; k < offsetof(sw_instance, fed_by) / sizeof(uint64_t); k++)
            to[k] += __atomic_load_n(&from[k], __ATOMIC_RELAXED);
    }
    return sum;
}

/* --- asking the main state
 * --------------------------------------------------------------------------------------------- */

static int append_result(lua_State *L, sw_buf *out, sw_error *err)
{
    size_t len = 0;
    const char *text = lua_tolstring(L, -1, &len);
    int rc = text != NULL ? sw_buf_append(out, text, len) : SW_OK;
    lua_pop(L, 1);
    return rc == SW_OK ? SW_OK : sw_error_set(err, rc, "out of memory");
}

int sw_runner_call(sw_runner *runner, const char *module, const char *name, const char *argument, sw_buf *out,
                   sw_error *err)
{
    lua_State *L = runner->scripts[0]->L;
    int rc = sw_script_push(L, module, name, err);
    if (rc != SW_OK) return rc;
    rc = sw_script_push(L, ENGINE_MODULE, "job", err);
    if (rc != SW_OK) return rc;
    if ((rc = sw_script_call(L, 0, 1, err)) != SW_OK) return rc;
    lua_pushstring(L, argument);
    if ((rc = sw_script_call(L, 2, 1, err)) != SW_OK) return rc;
    return append_result(L, out, err);
}

int sw_runner_warnings(sw_runner *runner, sw_buf *out)
{
    sw_error err;
    return sw_runner_call(runner, ENGINE_MODULE, "warnings", NULL, out, &err);
}

/* Runs engine.check in a state of its own. */
static int check_in(sw_script *script, const sw_runner_config *config, const sw_buf *text, sw_buf *problems,
                    sw_buf *warnings, sw_error *err)
{
    lua_State *L = script->L;
    int rc = sw_script_push(L, ENGINE_MODULE, "check", err);
    if (rc != SW_OK) return rc;
    push_config(L, config, text);
    if ((rc = sw_script_call(L, 1, 3, err)) != SW_OK) return rc;
    int count = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    if ((rc = append_result(L, warnings, err)) != SW_OK) return rc;
    if ((rc = append_result(L, problems, err)) != SW_OK) return rc;
    return count;
}

int sw_runner_check(const sw_runner_config *config, sw_buf *problems, sw_buf *warnings, sw_error *err)
{
    sw_script *script = NULL;
    sw_buf text;
    sw_buf_init(&text);
    int rc = read_script(config, &text, err);
    if (rc == SW_OK) rc = sw_script_new(&script, err);
    if (rc == SW_OK) rc = check_in(script, config, &text, problems, warnings, err);
    sw_script_free(script);
    sw_buf_deinit(&text);
    return rc;
}
