/* A test is one source file: those that need it include this one. */
#include "driver.h"

static void driver_count(actor *a)
{
    __atomic_store_n(&a->events, a->events + 1, __ATOMIC_RELAXED);
}

static int driver_put(sw_port *port, const driver_event *event)
{
    uint64_t key = event->number % KEYS;
    if (port->grouping == SW_GROUPING_PARTITION)
        return sw_port_put_to(port, &event->row, (uint32_t)(key % port->count));
    if (port->grouping != SW_GROUPING_KEY) return sw_port_put(port, &event->row, NULL);
    return sw_port_put_key(port, &event->row, (const uint8_t *)&key, sizeof(key));
}

/* Sends the event by the ports that have not got it. SW_STEP_RAN when all have. */
static sw_step driver_pass_on(actor *a, sw_task *task, const driver_event *event)
{
    for (; a->next_port < task->port_count; a->next_port++) {
        sw_port *port = &task->ports[a->next_port];
        int rc = driver_put(port, event);
        if (rc == SW_OK) continue;
        SW_ASSERT(rc == SW_EFULL);
        task->blocked = port;
        return SW_STEP_WAIT_ROOM;
    }
    a->next_port = 0;
    return SW_STEP_RAN;
}

static void driver_control(driver *d, actor *a, sw_task *task, uint32_t id)
{
    if (d->on_control != NULL ? id <= a->controls : id != a->controls + 1) a->faults++;
    a->controls = id;
    if (d->on_control != NULL) d->on_control(d, task, id, false);
    SW_ASSERT(sw_task_send(task, SW_ROW_CONTROL, id) == SW_OK);
    sw_engine_answer_control(&d->engine, id);
}

/* A task whose sinks are its own to commit has sent its END and waits for the job's last checkpoint. */
static sw_step driver_await_release(sw_task *task)
{
    return __atomic_load_n(&task->is_released, __ATOMIC_ACQUIRE) ? SW_STEP_DONE : SW_STEP_WAIT_COMMIT;
}

static sw_step driver_end(driver *d, sw_task *task)
{
    task->wm[0] = SW_TIME_MAX;
    if (d->on_control != NULL) d->on_control(d, task, d->actors[task - d->engine.tasks].controls + 1, true);
    SW_ASSERT(sw_task_send(task, SW_ROW_END, 0) == SW_OK);
    return d->awaits_commits && task->has_commits ? driver_await_release(task) : SW_STEP_DONE;
}

static sw_step driver_run_source(driver *d, actor *a, sw_task *task)
{
    uint64_t limit = d->is_uneven ? d->limit / (task->number + 1) : d->limit;
    for (int made = 0; made < SW_TASK_BATCH; made++) {
        uint32_t control = __atomic_load_n(&task->control, __ATOMIC_RELAXED);
        if (a->next_port == 0 && control != task->control_seen) {
            task->control_seen = control;
            driver_control(d, a, task, control);
        }
        if (a->next_port == 0) {
            uint32_t pause_at = __atomic_load_n(&task->pause_at, __ATOMIC_RELAXED);
            task->wake_ms = INT64_MAX;
            if (__atomic_load_n(&task->is_stopping, __ATOMIC_RELAXED)) return driver_end(d, task);
            if (pause_at != 0 && pause_at == a->controls) return SW_STEP_WAIT_TIME;
            if (limit != 0 && a->events == limit)
                return a->controls < d->controls_wait ? SW_STEP_WAIT_TIME : driver_end(d, task);
            a->event = (driver_event){ .source = task->number, .number = a->events + 1, .controls = a->controls };
            a->event.row.len = sizeof(a->event);
            a->event.row.body_len = sizeof(a->event) - sizeof(a->event.row);
            a->event.row.time = (int64_t)a->event.number;
        }
        sw_step step = driver_pass_on(a, task, &a->event);
        if (step != SW_STEP_RAN) return step;
        driver_count(a);
        task->wm[0] = (int64_t)a->events;
    }
    return SW_STEP_RAN;
}

static void driver_check(const driver *d, actor *a, const sw_task *task, const driver_event *event)
{
    uint64_t *last = &a->last[a->input - task->inputs][event->source];
    if (event->number <= *last) a->faults++;
    *last = event->number;
    if (d->on_control == NULL && event->controls != a->controls) a->faults++;
    if (event->row.wm < a->input->wm && a->input->wm != SW_TIME_MIN) a->faults++;
    a->of_key[event->number % KEYS]++;
    a->of_source[event->source]++;
}

/* What a control row, watermark or END makes of the task. */
static void driver_read_item(driver *d, actor *a, sw_task *task, const sw_row *row)
{
    uint64_t id = 0;
    if (row->kind == SW_ROW_CONTROL) {
        memcpy(&id, sw_row_body(row), sizeof(id));
        if (sw_task_on_control(task, a->input, (uint32_t)id)) driver_control(d, a, task, (uint32_t)id);
    } else if (row->kind == SW_ROW_END) {
        a->is_ending = sw_task_on_end(task, a->input);
        uint32_t due = a->is_ending ? 0 : sw_task_control_due(task);
        if (due != 0) driver_control(d, a, task, due);
    }
}

static sw_step driver_run_reader(driver *d, actor *a, sw_task *task)
{
    if (a->input == NULL) {
        if ((a->input = sw_task_next(task)) == NULL) return SW_STEP_WAIT_INPUT;
        a->row = (const sw_row *)(const void *)a->input->batch->data;
        a->row_index = 0;
    }
    for (; a->row_index < a->input->batch->count; a->row_index++, a->row = sw_row_next(a->row)) {
        if (a->row->kind != SW_ROW_EVENT) {
            driver_read_item(d, a, task, a->row);
        } else {
            const driver_event *event = (const driver_event *)(const void *)a->row;
            if (!a->is_checked) driver_check(d, a, task, event);
            a->is_checked = true;
            sw_step step = driver_pass_on(a, task, event);
            if (step != SW_STEP_RAN) return step;
            a->is_checked = false;
            driver_count(a);
        }
        if (a->row->wm > a->input->wm) a->input->wm = a->row->wm;
    }
    sw_task_release(task, a->input);
    a->input = NULL;
    task->wm[0] = sw_task_input_watermark(task);
    return a->is_ending ? driver_end(d, task) : SW_STEP_RAN;
}

static sw_step driver_resume(void *arg, sw_task *task)
{
    driver *d = arg;
    actor *a = &d->actors[task - d->engine.tasks];
    sw_step step = d->before_step != NULL ? d->before_step(d, task) : SW_STEP_RAN;
    if (step != SW_STEP_RAN) return step;
    if (task->step == SW_STEP_WAIT_COMMIT) return driver_await_release(task);
    return task->input_count == 0 ? driver_run_source(d, a, task) : driver_run_reader(d, a, task);
}

static int driver_start_worker(void *arg, sw_worker *worker, sw_error *err)
{
    driver *d = arg;
    (void)worker;
    (void)err;
    __atomic_add_fetch(&d->workers_started, 1, __ATOMIC_RELAXED);
    return SW_OK;
}

static void driver_stop_worker(void *arg, sw_worker *worker)
{
    driver *d = arg;
    (void)worker;
    __atomic_add_fetch(&d->workers_stopped, 1, __ATOMIC_RELAXED);
}

sw_engine_ops driver_ops(driver *d)
{
    return (sw_engine_ops){
        .arg = d, .start_worker = driver_start_worker, .resume = driver_resume, .stop_worker = driver_stop_worker
    };
}

void driver_open(driver *d, sw_graph *graph, const sw_engine_options *options)
{
    sw_engine_ops ops = driver_ops(d);
    sw_error err = { 0 };
    if (sw_engine_open(&d->engine, graph, options, &ops, &err) != SW_OK) fail_msg("%s", err.text);
    d->actors = calloc(d->engine.task_count, sizeof(*d->actors));
    assert_non_null(d->actors);
}

void driver_close(driver *d)
{
    sw_engine_close(&d->engine);
    free(d->actors);
    d->actors = NULL;
}
