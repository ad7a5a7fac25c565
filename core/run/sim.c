/* sim.c -- the simulating scheduler of engine.h: one thread, a virtual clock, a seeded order of tasks. */
#include "base/alloc.h"
#include "run/coordinator.h"
#include "run/engine.h"

int sw_engine_sim_start(sw_engine *engine)
{
    for (uint32_t w = 0; w < engine->options.workers; w++) {
        sw_error err = { 0 };
        if (engine->ops.start_worker(engine->ops.arg, &engine->workers[w], &err) == SW_OK) continue;
        sw_engine_fail(engine, err.code == SW_ESCRIPT ? 3 : 1, "%s", err.text);
        break;
    }
    return engine->exit_code;
}

/* A task drawn among those that can run; NULL when none can. Reservoir sampling: one pass, each equally likely. */
static sw_task *draw_runnable(sw_engine *engine)
{
    sw_task *drawn = NULL;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < engine->task_count; i++) {
        sw_task *task = &engine->tasks[i];
        if (sw_task_is_runnable(task) && sw_rng_below(&engine->rng, ++seen) == 0) drawn = task;
    }
    return drawn;
}

/* Publishes what waiting tasks still hold. True when that made something readable. */
static bool publish_rest(sw_engine *engine)
{
    int64_t now_ns = sw_clock_mono_ns(engine->clock);
    bool has_published = false;
    for (uint32_t i = 0; i < engine->task_count; i++)
        for (uint32_t p = 0; p < engine->tasks[i].port_count; p++) {
            sw_port *port = &engine->tasks[i].ports[p];
            if (port->open_since_ns != 0 && sw_port_flush(port, now_ns, true)) has_published = true;
        }
    return has_published;
}

bool sw_engine_sim_step(sw_engine *engine)
{
    if (engine->coordinator != NULL) sw_coordinator_step(engine->coordinator);
    if (engine->is_halted || engine->is_failed) return false;
    sw_task *task = draw_runnable(engine);
    if (task == NULL) return publish_rest(engine);
    return sw_worker_run_task(&engine->workers[task->worker], task) && !engine->is_failed;
}

bool sw_engine_sim_settle(sw_engine *engine)
{
    while (sw_engine_sim_step(engine)) continue;
    return !engine->is_failed;
}

int64_t sw_engine_sim_deadline_ms(const sw_engine *engine)
{
    int64_t deadline = INT64_MAX, now_ms = sw_engine_now_ms(engine);
    if (engine->coordinator != NULL) deadline = sw_coordinator_deadline_ms(engine->coordinator);
    for (uint32_t i = 0; i < engine->task_count; i++) {
        int64_t task_deadline = sw_task_deadline_ms(&engine->tasks[i], now_ms);
        if (task_deadline < deadline) deadline = task_deadline;
    }
    return deadline;
}
