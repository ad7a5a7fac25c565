#include "run/acking.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "run/engine.h"

#define SCOPES_PER_COMPONENT 4 /* an event, timers that fall due behind it, what is held, and what is emitted for it */

typedef struct sw_acking {
    sw_ack_mail **mails; /* by task: its tracker's post box; array owned */
    sw_error last_error; /* of an event that is to be replayed; under the engine's lock */
} sw_acking;

/* Says which tasks hold events of their own accord, when a source waits for acknowledgements that do not come. */
static void report_full(void *arg, const sw_acks *acks)
{
    const sw_task *source = arg;
    const sw_engine *engine = source->engine;
    char names[256] = "";
    for (uint32_t i = 0; i < engine->task_count; i++) {
        const sw_task *task = &engine->tasks[i];
        size_t used = strlen(names);
        if (sw_acks_held(task->acks) == 0 || sw_acks_holder(task->acks) == 0 || used > sizeof(names) / 2) continue;
        snprintf(names + used, sizeof(names) - used, "%s%s#%u", used > 0 ? ", " : "; events are held by ",
                 engine->graph->components[sw_acks_holder(task->acks) - 1].name, task->number);
    }
    const char *name = engine->graph->components[engine->graph->tasks[source->plan_task].head].name;
    sw_log(
        SW_LOG_WARN, engine->options.job,
        "%s#%u waits until some of its %u pending events are acknowledged%s, and none is: what waits for its further "
        "events, or for the watermark they would raise, waits until they are replayed (ack_timeout)%s",
        name, source->number, sw_acks_pending(acks), sw_acks_room(acks) == 0 ? ", more are not possible" : "", names);
}

static int make_tracker(sw_engine *engine, sw_task *task, sw_error *err)
{
    const sw_plan_task *plan = &engine->graph->tasks[task->plan_task];
    const sw_ack_options options = {
        .number = (uint32_t)(task - engine->tasks),
        .count = engine->task_count,
        .mails = engine->acking->mails,
        .seed = engine->options.seed,
        .settings = engine->options.acks,
        .depth = SCOPES_PER_COMPONENT * (plan->count + 1),
        .instance = &engine->instances[plan->head][task->number],
        .wake = { engine->options.is_sim ? NULL : sw_worker_wake, &engine->workers[task->worker] },
        .on_full = report_full,
        .arg = task,
    };
    return sw_acks_new(&task->acks, &options, err);
}

int sw_acking_open(sw_engine *engine, sw_error *err)
{
    int rc = SW_OK;
    if (engine->options.acks.timeout_ms <= 0) return SW_OK;
    if (engine->task_count > SW_ACK_TASKS_MAX)
        return sw_error_set(err, SW_EINVAL, "%s: tracking by acknowledgement is possible for %d task instances, not %u",
                            engine->options.job, SW_ACK_TASKS_MAX, engine->task_count);
    sw_acking *acking = engine->acking = sw_calloc(1, sizeof(*acking));
    if (acking != NULL) acking->mails = sw_calloc(engine->task_count, sizeof(*acking->mails));
    if (acking == NULL || acking->mails == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < engine->task_count && rc == SW_OK; i++) rc = make_tracker(engine, &engine->tasks[i], err);
    return rc;
}

void sw_acking_close(sw_engine *engine)
{
    if (engine->acking == NULL) return;
    sw_free(engine->acking->mails);
    sw_free(engine->acking);
    engine->acking = NULL;
}

void sw_acking_note_error(sw_engine *engine, const char *text)
{
    pthread_mutex_lock(&engine->lock);
    sw_error_set(&engine->acking->last_error, SW_ESCRIPT, "%s", text);
    pthread_mutex_unlock(&engine->lock);
}

void sw_acking_fail(sw_engine *engine, const sw_task *source)
{
    sw_error last;
    pthread_mutex_lock(&engine->lock);
    last = engine->acking->last_error;
    pthread_mutex_unlock(&engine->lock);
    sw_engine_fail(engine, 1, "an event of %s#%u was replayed %u times (restart.attempts) and failed again: %s",
                   engine->graph->components[engine->graph->tasks[source->plan_task].head].name, source->number,
                   engine->options.acks.errors_max, last.text);
}
