#include "run/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "run/acking.h"
#include "run/engine.h"

#define SPIN_ROUNDS 200   /* looks at the tasks before sleeping: about as long as a wake-up costs */
#define SLEEP_MS_MAX 1000 /* bound on a sleep without a deadline */

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;
    (void)what;
    (void)arg;
    if (read(fd, &count, sizeof(count)) < 0) return; /* Nothing to read: somebody else's wake was read before. */
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg; /* That the loop returns is all that is wanted. */
}

static void on_fd_ready(evutil_socket_t fd, short what, void *arg)
{
    sw_task *task = arg;
    (void)fd;
    (void)what;
    task->is_fd_ready = true;
    task->is_waiting_fd = false;
}

int sw_worker_init(sw_worker *worker, struct sw_engine *engine, uint32_t index, sw_error *err)
{
    memset(worker, 0, sizeof(*worker));
    worker->engine = engine;
    worker->index = index;
    worker->wake_fd = -1;
    worker->tasks = sw_calloc(engine->task_count + 1, sizeof(struct sw_task *));
    worker->fd_events = sw_calloc(engine->task_count + 1, sizeof(struct event *));
    if (worker->tasks == NULL || worker->fd_events == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < engine->task_count; i++)
        if (engine->tasks[i].worker == index) worker->tasks[worker->task_count++] = &engine->tasks[i];
    if (engine->options.is_sim) return SW_OK;
    if ((worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return sw_error_errno(err, errno, "worker %u: eventfd", index);
    if ((worker->base = event_base_new()) == NULL) return sw_error_set(err, SW_EIO, "worker %u: no event loop", index);
    worker->wake_event = event_new(worker->base, worker->wake_fd, EV_READ | EV_PERSIST, on_wake, NULL);
    if (worker->wake_event == NULL || event_add(worker->wake_event, NULL) != 0)
        return sw_error_set(err, SW_EIO, "worker %u: cannot watch its eventfd", index);
    worker->timeout_event = event_new(worker->base, -1, 0, on_timeout, NULL);
    if (worker->timeout_event == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    return SW_OK;
}

void sw_worker_deinit(sw_worker *worker)
{
    for (uint32_t i = 0; worker->fd_events != NULL && i < worker->task_count; i++)
        if (worker->fd_events[i] != NULL) event_free(worker->fd_events[i]);
    if (worker->timeout_event != NULL) event_free(worker->timeout_event);
    if (worker->wake_event != NULL) event_free(worker->wake_event);
    if (worker->base != NULL) event_base_free(worker->base);
    if (worker->wake_fd >= 0) close(worker->wake_fd);
    sw_free(worker->fd_events);
    sw_free(worker->tasks);
}

void sw_worker_wake(void *arg)
{
    sw_worker *worker = arg;
    uint64_t one = 1;
    if (worker->wake_fd >= 0 && write(worker->wake_fd, &one, sizeof(one)) < 0)
        return; /* The counter is full: the worker is being woken already. */
}

bool sw_worker_is_done(const sw_worker *worker)
{
    for (uint32_t i = 0; i < worker->task_count; i++) {
        if (worker->tasks[i]->step != SW_STEP_DONE) return false;
        for (uint32_t p = 0; p < worker->tasks[i]->port_count; p++)
            if (worker->tasks[i]->ports[p].open_since_ns != 0) return false;
    }
    return true;
}

/* Adds to what only this worker writes, and anyone reads. */
static void add_ns(int64_t *sum, int64_t ns)
{
    __atomic_store_n(sum, *sum + ns, __ATOMIC_RELAXED);
}

/* False when an event has failed too often. */
static bool take_acks(sw_task *task)
{
    sw_acks_take(task->acks, task->now_ms);
    if (!sw_acks_is_hopeless(task->acks)) return true;
    sw_acking_fail(task->engine, task);
    return false;
}

bool sw_worker_run_task(sw_worker *worker, sw_task *task)
{
    sw_engine *engine = worker->engine;
    sw_error err;
    int64_t began_ns = sw_clock_mono_ns(engine->clock);
    if (task->blocked_since_ns != 0) {
        add_ns(&task->blocked_ns, began_ns - task->blocked_since_ns);
        task->blocked_since_ns = 0;
    }
    task->now_ms = engine->start_wall_ms + (began_ns - engine->start_mono_ns) / 1000000;
    if (task->acks != NULL && !take_acks(task)) return false;
    __atomic_store_n(&task->step_began_ns, began_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&task->step, engine->ops.resume(engine->ops.arg, task), __ATOMIC_RELAXED);
    __atomic_store_n(&task->step_began_ns, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&task->at, 0, __ATOMIC_RELAXED);
    int64_t ended_ns = sw_clock_mono_ns(engine->clock);
    add_ns(&task->busy_ns, ended_ns - began_ns);
    if (task->step == SW_STEP_WAIT_ROOM) task->blocked_since_ns = ended_ns;
    if (task->step == SW_STEP_FAILED) return false;
    if (sw_task_after_step(task, ended_ns, &err) != SW_OK) {
        sw_engine_fail(engine, 1, "%s", err.text);
        return false;
    }
    return true;
}

/* Finished tasks may hold output that no slot was free for. */
static void publish_rest(sw_worker *worker)
{
    for (uint32_t i = 0; i < worker->task_count; i++) {
        sw_task *task = worker->tasks[i];
        if (task->step == SW_STEP_RAN) continue;
        for (uint32_t p = 0; p < task->port_count; p++)
            if (task->ports[p].open_since_ns != 0)
                sw_port_flush(&task->ports[p], sw_clock_mono_ns(worker->engine->clock), true);
    }
}

/* Runs each runnable task once. Returns whether any ran. */
static bool run_round(sw_worker *worker)
{
    bool has_run = false;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        sw_task *task = worker->tasks[i];
        if (!sw_task_is_runnable(task)) continue;
        has_run = true;
        if (!sw_worker_run_task(worker, task)) return true;
    }
    return has_run;
}

static bool is_any_runnable(sw_worker *worker)
{
    for (uint32_t i = 0; i < worker->task_count; i++)
        if (sw_task_is_runnable(worker->tasks[i])) return true;
    return false;
}

static int watch_fd(sw_worker *worker, uint32_t index)
{
    sw_task *task = worker->tasks[index];
    if (task->is_waiting_fd) return SW_OK;
    if (worker->fd_events[index] == NULL)
        worker->fd_events[index] = event_new(worker->base, task->source->wait_fd, EV_READ, on_fd_ready, task);
    if (worker->fd_events[index] == NULL || event_add(worker->fd_events[index], NULL) != 0) return SW_EIO;
    task->is_waiting_fd = true;
    return SW_OK;
}

/* Sleeps until something happens. The flags set by sw_task_await make the other sides write to wake_fd. */
static void sleep_until_woken(sw_worker *worker)
{
    int64_t now_ms = sw_engine_now_ms(worker->engine), deadline = INT64_MAX;
    for (uint32_t i = 0; i < worker->task_count; i++) {
        sw_task *task = worker->tasks[i];
        if (sw_task_await(task)) return;
        int64_t task_deadline = sw_task_deadline_ms(task, now_ms);
        if (task_deadline < deadline) deadline = task_deadline;
        if (task->step == SW_STEP_WAIT_TIME && task->source != NULL && task->source->wait_fd >= 0 &&
            watch_fd(worker, i) != SW_OK)
            deadline = now_ms + 10; /* A descriptor that cannot be watched is looked at again. */
    }
    int64_t wait_ms = deadline == INT64_MAX || deadline - now_ms > SLEEP_MS_MAX ? SLEEP_MS_MAX : deadline - now_ms;
    if (wait_ms <= 0) return;
    struct timeval timeout = { .tv_sec = wait_ms / 1000, .tv_usec = (wait_ms % 1000) * 1000 };
    event_add(worker->timeout_event, &timeout);
    event_base_loop(worker->base, EVLOOP_ONCE);
}

static bool has_to_end(const sw_engine *engine)
{
    return atomic_load_explicit(&engine->is_failed, memory_order_relaxed) ||
           atomic_load_explicit(&engine->is_halted, memory_order_relaxed);
}

static void worker_loop(sw_worker *worker)
{
    sw_engine *engine = worker->engine;
    uint32_t idle_rounds = 0;
    while (!has_to_end(engine)) {
        if (run_round(worker)) {
            idle_rounds = 0;
            continue;
        }
        publish_rest(worker);
        if (sw_worker_is_done(worker)) break;
        if (++idle_rounds < SPIN_ROUNDS && !is_any_runnable(worker)) {
            __builtin_ia32_pause();
            continue;
        }
        if (idle_rounds >= SPIN_ROUNDS) sleep_until_woken(worker);
    }
}

/* Waits until every worker is set up, so that no event flows before all instances exist. */
static void wait_for_others(sw_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->started_count++;
    pthread_cond_broadcast(&engine->started);
    while (engine->started_count < engine->options.workers && !engine->is_failed)
        pthread_cond_wait(&engine->started, &engine->lock);
    if (!engine->is_failed) engine->has_started = true;
    pthread_mutex_unlock(&engine->lock);
}

static void *worker_main(void *arg)
{
    sw_worker *worker = arg;
    sw_engine *engine = worker->engine;
    sw_error err = { 0 };
    if (engine->ops.start_worker(engine->ops.arg, worker, &err) != SW_OK)
        sw_engine_fail(engine, err.code == SW_ESCRIPT ? 3 : 1, "%s", err.text);
    wait_for_others(engine);
    worker_loop(worker);
    engine->ops.stop_worker(engine->ops.arg, worker);
    atomic_fetch_sub(&engine->running, 1);
    sw_engine_wake(engine);
    return NULL;
}

int sw_worker_start(sw_worker *worker, sw_error *err)
{
    int rc = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (rc != 0) return sw_error_errno(err, rc, "worker %u: cannot start its thread", worker->index);
    worker->has_thread = true;
    return SW_OK;
}

void sw_worker_join(sw_worker *worker)
{
    if (worker->has_thread) pthread_join(worker->thread, NULL);
    worker->has_thread = false;
}
