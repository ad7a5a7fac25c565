#include "run/threads.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "run/coordinator.h"
#include "run/inquiry.h"

#define TICK_MS 100

/* --- the watchdog ----------------------------------------------------------------------------------------------- */

/* What grows whenever the task's components get or emit an event. */
static uint64_t pulse_of(const sw_engine *engine, const sw_task *task)
{
    const sw_plan_task *plan = &engine->graph->tasks[task->plan_task];
    uint64_t pulse = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        const sw_instance *instance = &engine->instances[plan->components[i]][task->number];
        pulse += __atomic_load_n(&instance->in, __ATOMIC_RELAXED) + __atomic_load_n(&instance->out, __ATOMIC_RELAXED);
    }
    return pulse;
}

/* Names a task whose call of user code has not returned for watchdog_ms. */
static sw_task *find_stuck(sw_engine *engine, int64_t now_ns)
{
    for (uint32_t i = 0; i < engine->task_count; i++) {
        sw_task *task = &engine->tasks[i];
        uint64_t pulse = pulse_of(engine, task);
        bool is_calling = __atomic_load_n(&task->step_began_ns, __ATOMIC_RELAXED) != 0 &&
                          __atomic_load_n(&task->at, __ATOMIC_RELAXED) != 0;
        if (!is_calling || pulse != task->pulse_seen || task->pulse_seen_ns == 0) {
            task->pulse_seen = pulse;
            task->pulse_seen_ns = now_ns;
        } else if (now_ns - task->pulse_seen_ns >= engine->options.watchdog_ms * 1000000) {
            return task;
        }
    }
    return NULL;
}

/* --- the loop --------------------------------------------------------------------------------------------------- */

/* Has the loop call on_timer when the coordinator has something to do, if that is before the next tick. */
static void arm_deadline(sw_engine *engine)
{
    int64_t left_ms = sw_coordinator_deadline_ms(engine->coordinator) - sw_engine_now_ms(engine);
    if (left_ms >= TICK_MS) return;
    const struct timeval timeout = { .tv_usec = left_ms > 0 ? left_ms * 1000 : 0 };
    if (event_add(engine->deadline_event, &timeout) != 0) return; /* The tick is soon enough. */
}

/* What the main thread does for the job as a whole, after each wake, tick and deadline. */
static void main_step(sw_engine *engine)
{
    if (engine->coordinator != NULL) {
        sw_coordinator_step(engine->coordinator);
        arm_deadline(engine);
    }
    sw_engine_deliver_answers(engine);
    if (engine->ops.on_wake != NULL) engine->ops.on_wake(engine->ops.arg);
}

static void tick(sw_engine *engine, int64_t now_ns)
{
    engine->ticked_ns = now_ns;
    if (engine->ops.on_tick != NULL) engine->ops.on_tick(engine->ops.arg);
    if (engine->options.watchdog_ms <= 0) return;
    sw_task *stuck = find_stuck(engine, now_ns);
    if (stuck != NULL) engine->ops.on_stuck(engine->ops.arg, stuck);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    sw_engine *engine = arg;
    (void)fd;
    (void)what;
    tick(engine, sw_clock_mono_ns(engine->clock));
    main_step(engine);
}

/* The loop's timer goes by the machine's clock; where the engine's has run ahead of it, a wake is a tick as well. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    sw_engine *engine = arg;
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof(count)) < 0) return; /* Nothing to read: one read took several wakes. */
    int64_t now_ns = sw_clock_mono_ns(engine->clock);
    if (now_ns - engine->ticked_ns >= TICK_MS * 1000000LL) tick(engine, now_ns);
    main_step(engine);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    main_step(arg);
}

int sw_threads_init(sw_engine *engine, sw_error *err)
{
    if ((engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) return sw_error_errno(err, errno, "eventfd");
    if ((engine->base = event_base_new()) == NULL) return sw_error_set(err, SW_EIO, "no event loop");
    engine->wake_event = event_new(engine->base, engine->wake_fd, EV_READ | EV_PERSIST, on_wake, engine);
    engine->tick_event = event_new(engine->base, -1, EV_PERSIST, on_timer, engine);
    engine->deadline_event = event_new(engine->base, -1, 0, on_deadline, engine);
    if (engine->wake_event == NULL || engine->tick_event == NULL || engine->deadline_event == NULL)
        return sw_error_set(err, SW_ENOMEM, "out of memory");
    if (event_add(engine->wake_event, NULL) != 0) return sw_error_set(err, SW_EIO, "cannot watch an eventfd");
    return SW_OK;
}

void sw_threads_deinit(sw_engine *engine)
{
    if (engine->tick_event != NULL) event_free(engine->tick_event);
    if (engine->deadline_event != NULL) event_free(engine->deadline_event);
    if (engine->wake_event != NULL) event_free(engine->wake_event);
    if (engine->base != NULL) event_base_free(engine->base);
    if (engine->wake_fd >= 0) close(engine->wake_fd);
}

static void start_workers(sw_engine *engine)
{
    sw_error err = { 0 };
    atomic_store(&engine->running, engine->options.workers);
    for (uint32_t w = 0; w < engine->options.workers; w++) {
        if (sw_worker_start(&engine->workers[w], &err) == SW_OK) continue;
        atomic_fetch_sub(&engine->running, engine->options.workers - w);
        sw_engine_fail(engine, 1, "%s", err.text);
        break;
    }
}

/* Workers may have ended before the job's last checkpoint is done. */
static bool is_checkpoint_awaited(const sw_engine *engine)
{
    return engine->coordinator != NULL && !sw_coordinator_is_over(engine->coordinator);
}

int sw_threads_run(sw_engine *engine)
{
    const struct timeval tick = { .tv_usec = TICK_MS * 1000 };
    engine->ticked_ns = sw_clock_mono_ns(engine->clock);
    start_workers(engine);
    if (event_add(engine->tick_event, &tick) != 0) sw_engine_fail(engine, 1, "no timer: out of memory");
    while (atomic_load(&engine->running) > 0 || is_checkpoint_awaited(engine))
        event_base_loop(engine->base, EVLOOP_ONCE);
    event_del(engine->tick_event);
    event_del(engine->deadline_event);
    for (uint32_t w = 0; w < engine->options.workers; w++) sw_worker_join(&engine->workers[w]);
    return engine->exit_code;
}

struct event_base *sw_engine_base(const sw_engine *engine)
{
    return engine->base;
}

void sw_engine_wake(sw_engine *engine)
{
    uint64_t one = 1;
    if (engine->wake_fd >= 0 && write(engine->wake_fd, &one, sizeof(one)) < 0)
        return; /* The counter is full: the main thread is being woken already. */
}
