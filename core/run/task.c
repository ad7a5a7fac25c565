#include "run/task.h"

#include "base/alloc.h"
#include "run/coordinator.h"
#include "run/engine.h"

#define SINK_FLUSH_NS 5000000 /* a busy task flushes its sinks this often */

/* --- inputs --------------------------------------------------------------------------------------------------- */

/* Does it wait for something that its tracker may bring? */
static bool is_waiting_for_acks(const sw_task *task)
{
    return task->acks != NULL &&
           (task->step == SW_STEP_WAIT_INPUT || task->step == SW_STEP_WAIT_TIME || task->step == SW_STEP_WAIT_ACKS);
}

static bool is_blocked(const sw_task *task, const sw_input *input)
{
    return input->control != 0 && !task->engine->options.is_unaligned;
}

sw_input *sw_task_next(sw_task *task)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        sw_input *input = &task->inputs[task->input_next];
        if (++task->input_next == task->input_count) task->input_next = 0;
        if (is_blocked(task, input)) continue;
        input->batch = sw_channel_front(input->channel);
        if (input->batch != NULL) return input;
    }
    return NULL;
}

void sw_task_release(sw_task *task, sw_input *input)
{
    (void)task;
    input->batch = NULL;
    sw_channel_pop(input->channel);
}

/* The id that every open input has brought, or 0. Ended inputs count as having brought it. */
static uint32_t control_complete(const sw_task *task)
{
    uint32_t id = 0;
    for (uint32_t i = 0; i < task->input_count; i++) {
        const sw_input *input = &task->inputs[i];
        if (input->is_ended) continue;
        if (input->control == 0) return 0;
        id = input->control;
    }
    return id;
}

static void unblock_inputs(sw_task *task)
{
    for (uint32_t i = 0; i < task->input_count; i++) task->inputs[i].control = 0;
}

uint32_t sw_task_control_due(sw_task *task)
{
    uint32_t id = control_complete(task);
    if (id != 0) unblock_inputs(task);
    return id;
}

bool sw_task_on_control(sw_task *task, sw_input *input, uint32_t id)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        if (task->inputs[i].control > id) return false;
        if (task->inputs[i].control < id) task->inputs[i].control = 0;
    }
    input->control = id;
    return sw_task_control_due(task) != 0;
}

bool sw_task_on_end(sw_task *task, sw_input *input)
{
    input->is_ended = 1;
    input->wm = SW_TIME_MAX;
    for (uint32_t i = 0; i < task->input_count; i++)
        if (!task->inputs[i].is_ended) return false;
    return true;
}

sw_idle sw_task_input_idle(const sw_task *task)
{
    sw_idle idle = SW_IDLE_NO;
    for (uint32_t i = 0; i < task->input_count; i++) {
        const sw_input *input = &task->inputs[i];
        if (input->is_ended) continue;
        if (input->idle == SW_IDLE_NO) return SW_IDLE_NO;
        if (input->idle > idle) idle = input->idle;
    }
    return idle;
}

int64_t sw_task_input_watermark(const sw_task *task)
{
    int64_t least = SW_TIME_MAX;
    sw_idle wanted = sw_task_input_idle(task); /* Who decides: those that are active, else those whose time moves on. */
    if (wanted == SW_IDLE_STILL) return SW_TIME_MIN;
    for (uint32_t i = 0; i < task->input_count; i++) {
        const sw_input *input = &task->inputs[i];
        if (!input->is_ended && input->idle == wanted && input->wm < least) least = input->wm;
    }
    return least;
}

/* --- sources -------------------------------------------------------------------------------------------------- */

/* Events that may be made now for all that the tracker says; 0: it wakes the task. */
static uint32_t pending_room(sw_task *task)
{
    uint32_t room = task->acks != NULL ? sw_acks_room(task->acks) : SW_TASK_BATCH;
    if (room == 0) task->wake_ms = INT64_MAX;
    return room < SW_TASK_BATCH ? room : SW_TASK_BATCH;
}

uint32_t sw_task_take_credit(sw_task *task)
{
    uint32_t room = pending_room(task);
    if (task->rate <= 0 || room == 0) return room;
    int64_t now_ns = sw_clock_mono_ns(task->engine->clock);
    double burst = task->rate < SW_TASK_BATCH * 1000.0 ? task->rate / 1000.0 + 1 : SW_TASK_BATCH;
    if (task->rate_ns < 0) task->rate_credit = 1;
    else task->rate_credit += (double)(now_ns - task->rate_ns) * task->rate / 1e9;
    if (task->rate_credit > burst + SW_TASK_BATCH) task->rate_credit = burst + SW_TASK_BATCH;
    task->rate_ns = now_ns;
    if (task->rate_credit >= 1) {
        uint32_t credit = task->rate_credit < room ? (uint32_t)task->rate_credit : room;
        task->rate_credit -= credit;
        return credit;
    }
    task->wake_ms = task->now_ms + 1 + (int64_t)((1 - task->rate_credit) * 1000.0 / task->rate);
    return 0;
}

void sw_task_saw_time(sw_task *task, int64_t time)
{
    if (time > task->time_max) task->time_max = time;
}

/* Sets on each row the stamp and the watermark in force before it. */
static void stamp_rows(sw_task *task)
{
    uint32_t stamp = sw_engine_stamp(task->engine);
    int64_t time_max = task->time_max, delay = task->max_delay_ms;
    int64_t wm = task->wm[0];
    sw_row *row = (sw_row *)(uintptr_t)task->rows.data;
    for (uint32_t i = 0; i < task->rows.count; i++) {
        row->stamp = stamp;
        row->wm = wm;
        if (row->kind == SW_ROW_EVENT && row->time > time_max && !task->has_time_function) {
            time_max = row->time;
            wm = time_max - delay;
        }
        row = sw_row_next(row);
    }
    task->time_max = time_max;
}

/* Tells the source what no checkpoint will ask for again. */
static void release_positions(sw_task *task)
{
    const sw_buf *position = sw_positions_released(&task->positions);
    if (position != NULL) task->source->ops->release(task->source, position->data, position->size);
}

/* Notes where the source stands, should what it gives next be pending at a checkpoint. */
static int mark_position(sw_task *task)
{
    if (task->acks == NULL || task->engine->coordinator == NULL || task->source->ops->position == NULL) return SW_OK;
    sw_buf_clear(&task->encoded);
    int rc = task->source->ops->position(task->source, &task->encoded, &task->err);
    if (rc != SW_OK) return rc;
    rc = sw_acks_mark(task->acks, task->encoded.data, (uint32_t)task->encoded.size);
    return rc == SW_OK ? SW_OK : sw_error_set(&task->err, rc, "out of memory");
}

sw_step sw_task_fill(sw_task *task)
{
    release_positions(task);
    sw_batch_clear(&task->rows);
    uint32_t max_rows = sw_task_take_credit(task);
    task->is_starved = 0;
    if (max_rows == 0) return SW_STEP_WAIT_TIME;
    if (mark_position(task) != SW_OK) return SW_STEP_FAILED;
    int rc = task->source->ops->fill(task->source, &task->rows, max_rows, &task->err);
    task->is_starved = rc == SW_EEMPTY && task->rows.count == 0;
    if (task->rate > 0) task->rate_credit += max_rows - (double)task->rows.count;
    if (task->rows.count > 0) stamp_rows(task);
    if (rc == SW_OK) return SW_STEP_RAN;
    if (rc == SW_ECLOSED) return SW_STEP_DONE;
    if (rc != SW_EEMPTY) return SW_STEP_FAILED;
    if (task->rows.count > 0) return SW_STEP_RAN;
    task->wake_ms = task->source->wait_fd >= 0 ? INT64_MAX : task->now_ms + 10;
    task->is_fd_ready = false;
    return SW_STEP_WAIT_TIME;
}

int sw_task_send(sw_task *task, sw_row_kind kind, uint32_t id)
{
    struct {
        sw_row row;
        uint64_t id;
    } item = { .id = id };
    item.row.len = sizeof(item);
    item.row.body_len = sizeof(item.id);
    item.row.kind = (uint8_t)kind;
    for (uint32_t i = 0; i < task->port_count; i++) {
        int rc = sw_port_drain(&task->ports[i]);
        if (rc == SW_EFULL) task->blocked = &task->ports[i];
        if (rc != SW_OK) return rc;
    }
    for (uint32_t i = 0; i < task->port_count; i++) {
        int rc = sw_port_put_control(&task->ports[i], &item.row);
        if (rc != SW_OK) return rc;
    }
    return SW_OK;
}

/* --- for the worker ------------------------------------------------------------------------------------------- */

static bool has_input(const sw_task *task)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        const sw_input *input = &task->inputs[i];
        if (!is_blocked(task, input) && sw_channel_front(input->channel) != NULL) return true;
    }
    return false;
}

/* Has its tracker something to do? */
static bool has_acks(const sw_task *task)
{
    return task->acks != NULL && sw_acks_is_due(task->acks, sw_engine_now_ms(task->engine));
}

static bool has_commit(const sw_task *task)
{
    return __atomic_load_n(&task->committed, __ATOMIC_ACQUIRE) != task->committed_seen;
}

static bool is_asked(const sw_task *task)
{
    return __atomic_load_n(&task->asked, __ATOMIC_RELAXED) != 0;
}

/* Does a source that waits have something to do all the same? */
static bool has_orders(const sw_task *task)
{
    return has_commit(task) || is_asked(task) || has_acks(task) ||
           __atomic_load_n(&task->control, __ATOMIC_RELAXED) != task->control_seen;
}

static bool is_timer_due(const sw_task *task)
{
    return task->timer_ms != INT64_MAX && sw_engine_now_ms(task->engine) >= task->timer_ms;
}

bool sw_task_is_runnable(sw_task *task)
{
    switch (task->step) {
    case SW_STEP_RAN: return true;
    case SW_STEP_WAIT_ROOM: return sw_port_has_room(task->blocked);
    case SW_STEP_WAIT_INPUT:
        return has_input(task) || has_commit(task) || is_asked(task) || has_acks(task) || is_timer_due(task);
    case SW_STEP_WAIT_TIME: {
        if (task->is_fd_ready || has_orders(task)) return true;
        if (__atomic_load_n(&task->is_stopping, __ATOMIC_RELAXED)) return true;
        int64_t due = task->timer_ms < task->wake_ms ? task->timer_ms : task->wake_ms;
        return due != INT64_MAX && sw_engine_now_ms(task->engine) >= due;
    }
    case SW_STEP_WAIT_ACKS: return has_orders(task) || is_timer_due(task);
    case SW_STEP_WAIT_COMMIT: return has_commit(task) || __atomic_load_n(&task->is_released, __ATOMIC_ACQUIRE);
    case SW_STEP_DONE:
    case SW_STEP_FAILED: return false;
    }
    return false;
}

int sw_task_after_step(sw_task *task, int64_t now_ns, sw_error *err)
{
    bool is_idle = task->step != SW_STEP_RAN && task->step != SW_STEP_WAIT_ROOM;
    if (task->acks != NULL) sw_acks_send(task->acks);
    for (uint32_t i = 0; i < task->port_count; i++) {
        task->ports[i].is_amid = task->step == SW_STEP_WAIT_ROOM;
        sw_port_flush(&task->ports[i], now_ns, is_idle);
    }
    if (task->sink_count == 0 || (!is_idle && now_ns - task->sinks_flushed_ns < SINK_FLUSH_NS)) return SW_OK;
    task->sinks_flushed_ns = now_ns;
    for (uint32_t i = 0; i < task->sink_count; i++) {
        task->sinks[i].sink->is_busy = !is_idle;
        int rc = task->sinks[i].sink->ops->flush(task->sinks[i].sink, err);
        if (rc != SW_OK) return rc;
    }
    return SW_OK;
}

static bool has_unpublished(const sw_task *task)
{
    for (uint32_t p = 0; p < task->port_count; p++)
        if (task->ports[p].open_since_ns != 0) return true;
    return false;
}

int64_t sw_task_deadline_ms(const sw_task *task, int64_t now_ms)
{
    int64_t deadline = INT64_MAX;
    if (task->step == SW_STEP_DONE) return has_unpublished(task) ? now_ms + 1 : INT64_MAX;
    if (task->step == SW_STEP_WAIT_TIME) deadline = task->wake_ms;
    if (task->step != SW_STEP_WAIT_ROOM && task->timer_ms < deadline) deadline = task->timer_ms;
    if (is_waiting_for_acks(task)) {
        int64_t acks_deadline = sw_acks_deadline_ms(task->acks);
        if (acks_deadline < deadline) deadline = acks_deadline;
    }
    if (has_unpublished(task) && now_ms + 1 < deadline) deadline = now_ms + 1;
    return deadline;
}

bool sw_task_await(sw_task *task)
{
    if (task->step == SW_STEP_WAIT_ROOM) return sw_port_await_room(task->blocked);
    if (is_waiting_for_acks(task) && sw_acks_await(task->acks)) return true;
    if (task->step != SW_STEP_WAIT_INPUT) return false;
    for (uint32_t i = 0; i < task->input_count; i++)
        if (!is_blocked(task, &task->inputs[i]) && sw_channel_await_data(task->inputs[i].channel)) return true;
    return false;
}

void sw_task_deinit(sw_task *task)
{
    for (uint32_t i = 0; i < task->port_count; i++) sw_port_deinit(&task->ports[i]);
    for (uint32_t i = 0; i < task->sink_count; i++) task->sinks[i].sink->ops->close(task->sinks[i].sink, NULL);
    if (task->source != NULL) {
        release_positions(task);
        task->source->ops->close(task->source);
    }
    sw_positions_deinit(&task->positions);
    sw_acks_free(task->acks);
    sw_free(task->ports);
    sw_free(task->port_edges);
    sw_free(task->inputs);
    sw_free(task->sinks);
    sw_answer_free(task->answer);
    sw_batch_deinit(&task->rows);
    sw_buf_deinit(&task->encoded);
}
