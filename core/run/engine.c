#include "run/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "run/acking.h"
#include "run/coordinator.h"
#include "run/threads.h"

/* --- making --------------------------------------------------------------------------------------------------- */

static int make_instances(sw_engine *engine)
{
    const sw_graph *graph = engine->graph;
    engine->instances = sw_calloc(graph->component_count + 1, sizeof(*engine->instances));
    if (engine->instances == NULL) return SW_ENOMEM;
    for (uint32_t c = 0; c < graph->component_count; c++) {
        uint32_t count = graph->components[c].parallelism;
        engine->instances[c] = sw_calloc(count, sizeof(sw_instance));
        if (engine->instances[c] == NULL) return SW_ENOMEM;
        for (uint32_t i = 0; i < count; i++) {
            engine->instances[c][i].component = c;
            engine->instances[c][i].number = i;
        }
    }
    return SW_OK;
}

static void init_task(sw_engine *engine, sw_task *task, uint32_t plan_task, uint32_t number)
{
    task->engine = engine;
    task->plan_task = plan_task;
    task->number = number;
    task->worker = number % engine->options.workers;
    task->step = SW_STEP_RAN;
    task->timer_ms = INT64_MAX;
    task->wake_ms = INT64_MAX;
    task->time_max = SW_TIME_MIN;
    task->rate_ns = -1;
    for (uint32_t d = 0; d < SW_DOMAINS_MAX; d++) task->wm[d] = SW_TIME_MIN;
    sw_batch_init(&task->rows);
    sw_buf_init(&task->encoded);
    sw_histogram_init(&task->latency);
}

static int make_tasks(sw_engine *engine)
{
    const sw_graph *graph = engine->graph;
    engine->first_task = sw_calloc(graph->task_count + 1, sizeof(*engine->first_task));
    if (engine->first_task == NULL) return SW_ENOMEM;
    for (uint32_t t = 0; t < graph->task_count; t++) {
        engine->first_task[t] = engine->task_count;
        engine->task_count += graph->tasks[t].parallelism;
    }
    engine->tasks = sw_calloc(engine->task_count + 1, sizeof(*engine->tasks));
    if (engine->tasks == NULL) return SW_ENOMEM;
    for (uint32_t t = 0, k = 0; t < graph->task_count; t++)
        for (uint32_t i = 0; i < graph->tasks[t].parallelism; i++) init_task(engine, &engine->tasks[k++], t, i);
    return SW_OK;
}

static sw_task *task_of(const sw_engine *engine, uint32_t component, uint32_t instance)
{
    return &engine->tasks[engine->first_task[engine->graph->components[component].task] + instance];
}

static bool edge_needs(const sw_edge *edge, uint32_t sender, uint32_t receiver)
{
    return !edge->is_fused && (edge->grouping != SW_GROUPING_FORWARD || sender == receiver);
}

/* Whom a channel wakes: nobody when both ends run on one thread. */
static sw_channel_wake wake_of(sw_engine *engine, uint32_t worker, uint32_t other)
{
    if (engine->options.is_sim || worker == other) return (sw_channel_wake){ NULL, NULL };
    return (sw_channel_wake){ sw_worker_wake, &engine->workers[worker] };
}

static int make_channel(sw_engine *engine, const sw_edge *edge, uint32_t sender, uint32_t receiver, sw_channel **out,
                        sw_error *err)
{
    sw_task *from = task_of(engine, edge->from, sender), *to = task_of(engine, edge->to, receiver);
    uint32_t queue = engine->graph->components[edge->to].queue_own;
    if (queue == 0) queue = engine->options.queue != 0 ? engine->options.queue : SW_QUEUE_DEFAULT;
    int rc = sw_channel_new(out, queue, wake_of(engine, to->worker, from->worker),
                            wake_of(engine, from->worker, to->worker), err);
    if (rc != SW_OK) return rc;
    sw_input *inputs = sw_realloc(to->inputs, (to->input_count + 1) * sizeof(*inputs));
    if (inputs == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    to->inputs = inputs;
    inputs[to->input_count++] =
        (sw_input){ .wm = SW_TIME_MIN, .edge = (uint32_t)(edge - engine->graph->edges), .channel = *out };
    return SW_OK;
}

static int make_channels(sw_engine *engine, sw_error *err)
{
    const sw_graph *graph = engine->graph;
    engine->first_channel = sw_calloc(graph->edge_count + 1, sizeof(*engine->first_channel));
    if (engine->first_channel == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        const sw_edge *edge = &graph->edges[e];
        engine->first_channel[e] = engine->channel_count;
        if (!edge->is_fused)
            engine->channel_count +=
                graph->components[edge->from].parallelism * graph->components[edge->to].parallelism;
    }
    engine->channels = sw_calloc(engine->channel_count + 1, sizeof(sw_channel *));
    if (engine->channels == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        const sw_edge *edge = &graph->edges[e];
        uint32_t senders = graph->components[edge->from].parallelism;
        uint32_t receivers = graph->components[edge->to].parallelism;
        for (uint32_t s = 0; s < senders; s++)
            for (uint32_t r = 0; r < receivers; r++) {
                if (!edge_needs(edge, s, r)) continue;
                int rc = make_channel(engine, edge, s, r,
                                      &engine->channels[engine->first_channel[e] + s * receivers + r], err);
                if (rc != SW_OK) return rc;
            }
    }
    return SW_OK;
}

/* A port leaves with the watermark of domain 0 until the script layer says that its component has another. */
static int make_ports_of(sw_engine *engine, sw_task *task, sw_error *err)
{
    const sw_graph *graph = engine->graph;
    task->ports = sw_calloc(graph->edge_count + 1, sizeof(*task->ports));
    task->port_edges = sw_calloc(graph->edge_count + 1, sizeof(*task->port_edges));
    if (task->ports == NULL || task->port_edges == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        const sw_edge *edge = &graph->edges[e];
        if (edge->is_fused || graph->components[edge->from].task != task->plan_task) continue;
        uint32_t receivers = graph->components[edge->to].parallelism;
        sw_channel **channels = &engine->channels[engine->first_channel[e] + task->number * receivers];
        int rc =
            sw_port_init(&task->ports[task->port_count], edge, task->number, channels, receivers, &task->wm[0], err);
        if (rc != SW_OK) return rc;
        task->ports[task->port_count].acks = task->acks;
        task->port_edges[task->port_count++] = e;
    }
    return SW_OK;
}

static int make_all(sw_engine *engine, sw_error *err)
{
    int rc = sw_graph_plan(engine->graph, engine->options.parallelism, err);
    if (rc != SW_OK) return rc;
    if (make_instances(engine) != SW_OK || make_tasks(engine) != SW_OK)
        return sw_error_set(err, SW_ENOMEM, "out of memory");
    engine->workers = sw_calloc(engine->options.workers, sizeof(*engine->workers));
    if (engine->workers == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    for (uint32_t w = 0; w < engine->options.workers; w++)
        engine->workers[w].wake_fd = -1; /* So that closing a half-made engine does not close descriptor 0. */
    if ((rc = sw_acking_open(engine, err)) != SW_OK) return rc;
    if ((rc = make_channels(engine, err)) != SW_OK) return rc;
    for (uint32_t i = 0; i < engine->task_count; i++)
        if ((rc = make_ports_of(engine, &engine->tasks[i], err)) != SW_OK) return rc;
    for (uint32_t w = 0; w < engine->options.workers; w++)
        if ((rc = sw_worker_init(&engine->workers[w], engine, w, err)) != SW_OK) return rc;
    return SW_OK;
}

int sw_engine_open(sw_engine *engine, sw_graph *graph, const sw_engine_options *options, const sw_engine_ops *ops,
                   sw_error *err)
{
    memset(engine, 0, sizeof(*engine));
    engine->graph = graph;
    engine->options = *options;
    engine->ops = *ops;
    engine->clock = options->clock;
    engine->start_wall_ms = sw_clock_wall_ms(options->clock);
    engine->start_mono_ns = sw_clock_mono_ns(options->clock);
    engine->wake_fd = -1;
    sw_rng_seed(&engine->rng, sw_rng_stream(options->seed, "schedule"));
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->started, NULL);
    int rc = SW_OK;
    if (!options->is_sim) rc = sw_threads_init(engine, err);
    if (rc == SW_OK) rc = make_all(engine, err);
    if (rc != SW_OK) sw_engine_close(engine);
    return rc;
}

void sw_engine_close(sw_engine *engine)
{
    sw_coordinator_free(engine->coordinator);
    for (uint32_t w = 0; engine->workers != NULL && w < engine->options.workers; w++)
        sw_worker_deinit(&engine->workers[w]);
    for (uint32_t i = 0; engine->tasks != NULL && i < engine->task_count; i++) sw_task_deinit(&engine->tasks[i]);
    for (uint32_t i = 0; engine->channels != NULL && i < engine->channel_count; i++)
        sw_channel_free(engine->channels[i]);
    for (uint32_t c = 0; engine->instances != NULL && c < engine->graph->component_count; c++)
        sw_free(engine->instances[c]);
    sw_free(engine->workers);
    sw_acking_close(engine);
    sw_free(engine->tasks);
    sw_free(engine->first_task);
    sw_free(engine->channels);
    sw_free(engine->first_channel);
    sw_free(engine->instances);
    sw_threads_deinit(engine);
    pthread_mutex_destroy(&engine->lock);
    pthread_cond_destroy(&engine->started);
    memset(engine, 0, sizeof(*engine));
}

/* --- failing, stopping, control items -------------------------------------------------------------------------- */

static void wake_all(sw_engine *engine)
{
    for (uint32_t w = 0; w < engine->options.workers; w++) sw_worker_wake(&engine->workers[w]);
    sw_engine_wake(engine);
}

void sw_engine_fail(sw_engine *engine, int exit_code, const char *fmt, ...)
{
    va_list args;
    pthread_mutex_lock(&engine->lock);
    if (!engine->is_failed) {
        va_start(args, fmt);
        vsnprintf(engine->failure.text, sizeof(engine->failure.text), fmt, args);
        va_end(args);
        engine->exit_code = exit_code;
        engine->is_failed = true;
        pthread_cond_broadcast(&engine->started);
    }
    pthread_mutex_unlock(&engine->lock);
    wake_all(engine);
}

/* Async-signal-safe: stores to atomics and writes to eventfds. */
void sw_engine_stop(sw_engine *engine)
{
    atomic_store(&engine->is_stopping, true);
    for (uint32_t i = 0; i < engine->task_count; i++)
        __atomic_store_n(&engine->tasks[i].is_stopping, 1, __ATOMIC_RELAXED);
    wake_all(engine);
}

void sw_engine_wake_workers(sw_engine *engine)
{
    wake_all(engine);
}

void sw_engine_send_control(sw_engine *engine, uint32_t id)
{
    atomic_store(&engine->control_answers, 0);
    atomic_store(&engine->control_sent, id);
    for (uint32_t i = 0; i < engine->task_count; i++) __atomic_store_n(&engine->tasks[i].control, id, __ATOMIC_RELAXED);
    wake_all(engine);
}

void sw_engine_halt(sw_engine *engine)
{
    atomic_store(&engine->is_halted, true);
    wake_all(engine);
}

int sw_engine_coordinate(sw_engine *engine, const sw_coordinator_options *options, const sw_coordinator_ops *ops,
                         sw_error *err)
{
    return sw_coordinator_new(&engine->coordinator, engine, options, ops, err);
}

void sw_engine_answer_control(sw_engine *engine, uint32_t id)
{
    if (id == atomic_load(&engine->control_sent)) atomic_fetch_add(&engine->control_answers, 1);
}

bool sw_engine_is_done(const sw_engine *engine)
{
    if (engine->coordinator != NULL) return sw_coordinator_is_over(engine->coordinator);
    for (uint32_t i = 0; i < engine->task_count; i++)
        if (engine->tasks[i].step != SW_STEP_DONE) return false;
    return true;
}

/* --- running --------------------------------------------------------------------------------------------------- */

int sw_engine_run(sw_engine *engine)
{
    if (!engine->options.is_sim) return sw_threads_run(engine);
    int code = sw_engine_sim_start(engine);
    while (code == 0 && sw_engine_sim_settle(engine) && !sw_engine_is_done(engine)) {
        int64_t deadline = sw_engine_sim_deadline_ms(engine), now_ms = sw_engine_now_ms(engine);
        if (deadline == INT64_MAX) {
            sw_engine_fail(engine, 70, "%s: nothing can run and nothing falls due: a deadlock", engine->options.job);
            break;
        }
        sw_clock_virtual_advance(engine->clock, deadline > now_ms ? deadline - now_ms : 1);
    }
    for (uint32_t w = 0; w < engine->options.workers; w++)
        engine->ops.stop_worker(engine->ops.arg, &engine->workers[w]);
    return engine->exit_code;
}
