#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "run/engine.h"
#include "rows.h"

#define INPUTS 3
#define PORTS 2
#define SEEN_MAX 64
#define START_MS 1000000

typedef struct fake_source {
    sw_source base;        /* what the task sees */
    const int64_t *times;  /* of the next rows; borrowed */
    uint32_t count;        /* rows left */
    int rc;                /* what fill returns once none is left */
    uint32_t max_rows;     /* asked for at the last fill */
    sw_row_kind last_kind; /* of the last row */
} fake_source;

typedef struct fake_sink {
    sw_sink base; /* what the task sees */
    int flushes;  /* calls of flush */
    int rc;       /* what flush returns */
} fake_sink;

typedef struct fixture {
    sw_engine engine;             /* gives the task its clock */
    sw_task task;                 /* under test */
    sw_input inputs[INPUTS];      /* of the task */
    sw_channel *channels[INPUTS]; /* that lead to it */
    sw_port ports[PORTS];         /* of the task */
    sw_channel *outputs[PORTS];   /* one behind each port */
    sw_task_sink sinks[1];        /* of the task */
    fake_source source;           /* of the task, where a test sets it */
    fake_sink sink;               /* of the task, where a test sets it */
} fixture;

static fixture *f; /* of the test that runs */

static sw_channel *new_channel(uint32_t queue)
{
    sw_channel *channel;
    assert_int_equal(sw_channel_new(&channel, queue, (sw_channel_wake){ 0 }, (sw_channel_wake){ 0 }, NULL), SW_OK);
    return channel;
}

static int start_task(void **state)
{
    (void)state;
    f = calloc(1, sizeof(*f));
    f->engine.clock = sw_clock_virtual_new(START_MS);
    f->engine.start_wall_ms = START_MS;
    sw_task *task = &f->task;
    task->engine = &f->engine;
    task->now_ms = START_MS;
    task->timer_ms = task->wake_ms = INT64_MAX;
    task->time_max = task->wm[0] = SW_TIME_MIN;
    task->rate_ns = -1;
    task->inputs = f->inputs;
    task->input_count = INPUTS;
    for (uint32_t i = 0; i < INPUTS; i++) {
        f->channels[i] = new_channel(100);
        f->inputs[i] = (sw_input){ .wm = SW_TIME_MIN, .channel = f->channels[i] };
    }
    task->ports = f->ports;
    task->port_count = PORTS;
    for (uint32_t p = 0; p < PORTS; p++) {
        sw_edge edge = { .grouping = SW_GROUPING_GLOBAL };
        f->outputs[p] = new_channel(1);
        assert_int_equal(sw_port_init(&f->ports[p], &edge, 0, &f->outputs[p], 1, &task->wm[0], NULL), SW_OK);
    }
    return 0;
}

static int end_task(void **state)
{
    (void)state;
    for (int i = 0; i < INPUTS; i++) sw_channel_free(f->channels[i]);
    for (int p = 0; p < PORTS; p++) {
        sw_port_deinit(&f->ports[p]);
        sw_channel_free(f->outputs[p]);
    }
    sw_batch_deinit(&f->task.rows);
    sw_clock_free(f->engine.clock);
    free(f);
    return 0;
}

static void send(int input, sw_row_kind kind, uint64_t id)
{
    test_row r = make_row(kind, id);
    assert_int_equal(sw_channel_put(f->channels[input], &r.row, 0), SW_OK);
    sw_channel_flush(f->channels[input]);
}

/* --- inputs --------------------------------------------------------------------------------------------- */

typedef struct seen {
    uint64_t ids[SEEN_MAX]; /* of events, and 1000 + id of control items the task acted on, in order */
    uint32_t count;         /* of ids */
    bool is_ended;          /* all inputs have */
} seen;

static void see(seen *s, uint64_t id)
{
    assert_true(s->count < SEEN_MAX);
    s->ids[s->count++] = id;
}

static void read_row(seen *s, sw_input *input, const sw_row *row)
{
    if (row->kind == SW_ROW_EVENT) see(s, id_of(row));
    if (row->kind == SW_ROW_CONTROL && sw_task_on_control(&f->task, input, (uint32_t)id_of(row)))
        see(s, 1000 + id_of(row));
    if (row->kind != SW_ROW_END) return;
    s->is_ended = sw_task_on_end(&f->task, input);
    uint32_t due = sw_task_control_due(&f->task);
    if (due != 0) see(s, 1000 + due);
}

/* Reads until nothing can be read, as a task's body does. */
static seen read_all(void)
{
    seen s = { .count = 0 };
    for (sw_input *input; (input = sw_task_next(&f->task)) != NULL; sw_task_release(&f->task, input)) {
        const sw_row *row = first_row(input->batch);
        for (uint32_t i = 0; i < input->batch->count; i++, row = sw_row_next(row)) read_row(&s, input, row);
    }
    return s;
}

static void assert_seen(seen s, uint32_t count, const uint64_t *ids)
{
    assert_int_equal(s.count, count);
    for (uint32_t i = 0; i < count; i++) assert_int_equal(s.ids[i], ids[i]);
}

#define ASSERT_SEEN(s, ...)                                                                                            \
    assert_seen(s, sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t), (uint64_t[]){ __VA_ARGS__ })

static void inputs_are_read_in_turn(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 2; n++)
        for (int i = 0; i < INPUTS; i++) send(i, SW_ROW_EVENT, 10 * (uint64_t)i + n);
    ASSERT_SEEN(read_all(), 0, 10, 20, 1, 11, 21);
}

static void a_control_item_blocks_its_input_until_all_others_have_brought_it(void **state)
{
    (void)state;
    send(0, SW_ROW_EVENT, 1);
    send(0, SW_ROW_CONTROL, 7);
    send(0, SW_ROW_EVENT, 2); /* Sent behind the item: not before it is acted on. */
    send(1, SW_ROW_EVENT, 3);
    ASSERT_SEEN(read_all(), 1, 3);
    f->task.step = SW_STEP_WAIT_INPUT;
    assert_false(sw_task_is_runnable(&f->task));
    assert_false(sw_task_await(&f->task));
    send(2, SW_ROW_CONTROL, 7);
    assert_int_equal(read_all().count, 0);
    send(1, SW_ROW_EVENT, 4);
    send(1, SW_ROW_CONTROL, 7);
    ASSERT_SEEN(read_all(), 4, 1007, 2);
    for (int i = 0; i < INPUTS; i++) send(i, SW_ROW_CONTROL, 8);
    ASSERT_SEEN(read_all(), 1008);
}

static void ended_inputs_count_as_having_brought_a_control_item(void **state)
{
    (void)state;
    send(0, SW_ROW_END, 0);
    send(1, SW_ROW_CONTROL, 7);
    assert_int_equal(read_all().count, 0);
    send(2, SW_ROW_CONTROL, 7);
    ASSERT_SEEN(read_all(), 1007);
}

static void an_end_completes_the_control_item_that_waited_for_that_input(void **state)
{
    (void)state;
    send(0, SW_ROW_CONTROL, 7);
    send(1, SW_ROW_CONTROL, 7);
    send(0, SW_ROW_EVENT, 1);
    assert_int_equal(read_all().count, 0);
    send(2, SW_ROW_EVENT, 2);
    send(2, SW_ROW_END, 0);
    ASSERT_SEEN(read_all(), 2, 1007, 1);
}

static void a_task_has_ended_when_its_last_input_has(void **state)
{
    (void)state;
    for (int i = 0; i < INPUTS; i++) {
        send(i, SW_ROW_END, 0);
        seen s = read_all();
        assert_int_equal(s.is_ended, i == INPUTS - 1);
        assert_int_equal(s.count, 0); /* That all ended is no control item. */
    }
}

static void the_input_watermark_is_the_least_of_the_open_inputs(void **state)
{
    (void)state;
    f->inputs[0].wm = 300;
    f->inputs[1].wm = 200;
    assert_int_equal(sw_task_input_watermark(&f->task), SW_TIME_MIN);
    f->inputs[2].wm = 100;
    assert_int_equal(sw_task_input_watermark(&f->task), 100);
    sw_task_on_end(&f->task, &f->inputs[2]);
    assert_int_equal(sw_task_input_watermark(&f->task), 200);
    sw_task_on_end(&f->task, &f->inputs[1]);
    sw_task_on_end(&f->task, &f->inputs[0]);
    assert_int_equal(sw_task_input_watermark(&f->task), SW_TIME_MAX);
}

/* --- rate ----------------------------------------------------------------------------------------------- */

/* All credit that there is now. */
static uint32_t take_all_credit(void)
{
    uint32_t sum = 0, credit;
    f->task.now_ms = sw_engine_now_ms(&f->engine);
    while ((credit = sw_task_take_credit(&f->task)) > 0) {
        assert_true(credit <= SW_TASK_BATCH);
        sum += credit;
        assert_true(sum < 10000);
    }
    return sum;
}

static void a_source_without_a_rate_always_has_credit_for_a_batch(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) assert_int_equal(sw_task_take_credit(&f->task), SW_TASK_BATCH);
}

static void a_rate_is_kept_from_time_zero_of_a_virtual_clock_on(void **state)
{
    (void)state;
    f->task.rate = 10;
    assert_int_equal(take_all_credit(), 1); /* The first event at once, also at time 0, then ten a second. */
    assert_int_equal(f->task.wake_ms, START_MS + 101);
    sw_clock_virtual_advance(f->engine.clock, 99);
    assert_int_equal(take_all_credit(), 0);
    uint32_t sum = 0;
    for (int ms = 99; ms < 10099; ms++) {
        sw_clock_virtual_advance(f->engine.clock, 1);
        sum += take_all_credit();
    }
    assert_in_range(sum, 100, 101);
}

static void waking_at_wake_ms_finds_credit(void **state)
{
    static const double rates[] = { 0.5, 3, 7, 999, 1000, 12345, 1e6 };
    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
        f->task.rate = rates[i];
        for (int n = 0; n < 20; n++) {
            take_all_credit();
            assert_true(f->task.wake_ms > f->task.now_ms);
            sw_clock_virtual_advance(f->engine.clock, f->task.wake_ms - f->task.now_ms);
            assert_true(sw_task_take_credit(&f->task) > 0);
        }
    }
}

static void a_stall_does_not_pile_up_credit_without_bound(void **state)
{
    (void)state;
    f->task.rate = 1000;
    take_all_credit();
    sw_clock_virtual_advance(f->engine.clock, 3600000);
    assert_in_range(take_all_credit(), SW_TASK_BATCH, 2 * SW_TASK_BATCH);
}

/* --- sources -------------------------------------------------------------------------------------------- */

static int fill(sw_source *source, sw_batch *out, uint32_t max_rows, sw_error *err)
{
    fake_source *fake = (fake_source *)source;
    fake->max_rows = max_rows;
    uint32_t made = fake->count < max_rows ? fake->count : max_rows;
    for (uint32_t i = 0; i < made; i++) {
        bool is_last = fake->count == 1;
        test_row r = make_row(is_last ? fake->last_kind : SW_ROW_EVENT, 0);
        r.row.time = *fake->times++;
        assert_int_equal(sw_batch_append(out, &r.row), SW_OK);
        fake->count--;
    }
    if (fake->count == 0 && fake->rc == SW_EIO) return sw_error_set(err, SW_EIO, "file gone");
    return fake->count > 0 ? SW_OK : fake->rc;
}

static const sw_source_ops fake_source_ops = { .fill = fill };

static void set_source(uint32_t count, const int64_t *times, int rc)
{
    f->source = (fake_source){ .times = times, .count = count, .rc = rc };
    f->source.base = (sw_source){ .ops = &fake_source_ops, .wait_fd = -1 };
    f->task.source = &f->source.base;
}

static void assert_watermarks(uint32_t count, const int64_t *wms)
{
    const sw_row *row = first_row(&f->task.rows);
    assert_int_equal(f->task.rows.count, count);
    for (uint32_t i = 0; i < count; i++, row = sw_row_next(row)) assert_int_equal(row->wm, wms[i]);
}

static void the_watermark_rises_directly_behind_the_event_that_raised_it(void **state)
{
    static const int64_t times[] = { 1000, 1500, 1200, 1500, 1501 };
    (void)state;
    f->task.max_delay_ms = 100;
    set_source(5, times, SW_EEMPTY);
    assert_int_equal(sw_task_fill(&f->task), SW_STEP_RAN);
    assert_watermarks(5, (int64_t[]){ SW_TIME_MIN, 900, 1400, 1400, 1400 });
    assert_int_equal(f->task.time_max, 1501);
}

static void an_event_exactly_max_delay_behind_is_not_late(void **state)
{
    static const int64_t times[] = { 1000, 900, 899 };
    (void)state;
    f->task.max_delay_ms = 100;
    set_source(3, times, SW_EEMPTY);
    sw_task_fill(&f->task);
    const sw_row *exact = sw_row_next(first_row(&f->task.rows)), *late = sw_row_next(exact);
    assert_true(exact->time >= exact->wm);
    assert_false(late->time >= late->wm);
}

static void the_next_batch_goes_on_with_the_watermark_of_the_last(void **state)
{
    static const int64_t first[] = { 1000 }, second[] = { 950, 1001, 5 };
    (void)state;
    set_source(1, first, SW_EEMPTY);
    sw_task_fill(&f->task);
    f->task.wm[0] = f->task.time_max - f->task.max_delay_ms; /* The body raises it as it processes the rows. */
    set_source(3, second, SW_EEMPTY);
    sw_task_fill(&f->task);
    assert_watermarks(3, (int64_t[]){ 1000, 1000, 1001 });
}

static void malformed_input_does_not_raise_the_watermark(void **state)
{
    static const int64_t times[] = { 1000, 9000 };
    (void)state;
    set_source(2, times, SW_EEMPTY);
    f->source.last_kind = SW_ROW_MALFORMED;
    sw_task_fill(&f->task);
    assert_int_equal(f->task.time_max, 1000);
}

static void rows_are_stamped_with_the_time_of_their_intake(void **state)
{
    static const int64_t times[] = { 1, 2 };
    (void)state;
    sw_clock_virtual_advance(f->engine.clock, 25);
    set_source(2, times, SW_EEMPTY);
    sw_task_fill(&f->task);
    assert_int_equal(first_row(&f->task.rows)->stamp, 25000);
    assert_int_equal(sw_row_next(first_row(&f->task.rows))->stamp, 25000);
}

static void a_source_with_nothing_now_is_looked_at_again_soon_or_when_its_descriptor_is_ready(void **state)
{
    (void)state;
    set_source(0, NULL, SW_EEMPTY);
    assert_int_equal(sw_task_fill(&f->task), SW_STEP_WAIT_TIME);
    assert_int_equal(f->task.wake_ms, START_MS + 10);
    f->source.base.wait_fd = 5;
    f->task.is_fd_ready = true;
    assert_int_equal(sw_task_fill(&f->task), SW_STEP_WAIT_TIME);
    assert_int_equal(f->task.wake_ms, INT64_MAX);
    assert_false(f->task.is_fd_ready);
}

static void a_source_that_ended_or_failed_says_so_and_its_last_rows_count(void **state)
{
    static const int64_t times[] = { 1, 2 };
    (void)state;
    set_source(2, times, SW_ECLOSED);
    assert_int_equal(sw_task_fill(&f->task), SW_STEP_DONE);
    assert_watermarks(2, (int64_t[]){ SW_TIME_MIN, 1 });
    set_source(0, NULL, SW_EIO);
    assert_int_equal(sw_task_fill(&f->task), SW_STEP_FAILED);
    assert_string_equal(f->task.err.text, "file gone");
    assert_int_equal(f->task.rows.count, 0);
}

static void a_rate_bounds_what_a_connector_is_asked_for_and_what_it_lacks_is_given_back(void **state)
{
    static const int64_t times[] = { 1, 2, 3, 4 };
    (void)state;
    f->task.rate = 5000;
    take_all_credit();
    sw_clock_virtual_advance(f->engine.clock, 4);
    set_source(4, times, SW_EEMPTY);
    assert_int_equal(sw_task_fill(&f->task), SW_STEP_RAN);
    assert_int_equal(f->source.max_rows, 20);
    assert_int_equal(take_all_credit(), 16);
    assert_int_equal(sw_task_fill(&f->task), SW_STEP_WAIT_TIME);
    assert_int_equal(f->task.rows.count, 0);
}

static void noting_a_time_leaves_raising_the_watermark_to_who_fires_timers(void **state)
{
    (void)state;
    f->task.max_delay_ms = 10;
    sw_task_saw_time(&f->task, 500);
    sw_task_saw_time(&f->task, 400);
    assert_int_equal(f->task.time_max, 500);
    assert_int_equal(f->task.wm[0], SW_TIME_MIN);
}

/* --- sending -------------------------------------------------------------------------------------------- */

static int output_kind(int port)
{
    const sw_batch *batch = sw_channel_front(f->outputs[port]);
    if (batch == NULL) return -1;
    const sw_row *row = first_row(batch);
    for (uint32_t i = 1; i < batch->count; i++) row = sw_row_next(row);
    int kind = row->kind;
    if (kind == SW_ROW_CONTROL) assert_int_equal(id_of(row), 7);
    sw_channel_pop(f->outputs[port]);
    return kind;
}

static void control_items_and_the_end_go_out_by_every_port(void **state)
{
    (void)state;
    assert_int_equal(sw_task_send(&f->task, SW_ROW_CONTROL, 7), SW_OK);
    for (int p = 0; p < PORTS; p++) assert_int_equal(output_kind(p), SW_ROW_CONTROL);
    assert_int_equal(sw_task_send(&f->task, SW_ROW_END, 0), SW_OK);
    for (int p = 0; p < PORTS; p++) assert_int_equal(output_kind(p), SW_ROW_END);
}

static void nothing_is_sent_while_a_port_holds_rows_over_its_bound(void **state)
{
    test_row r = make_row(SW_ROW_EVENT, 1);
    (void)state;
    for (int i = 0; i < 2; i++) assert_int_equal(sw_port_put_over(&f->ports[1], &r.row, NULL, 0, 0, NULL), SW_OK);
    assert_int_equal(sw_task_send(&f->task, SW_ROW_CONTROL, 7), SW_EFULL);
    assert_ptr_equal(f->task.blocked, &f->ports[1]);
    f->task.step = SW_STEP_WAIT_ROOM;
    assert_false(sw_task_is_runnable(&f->task));
    assert_int_equal(output_kind(0), -1);
    sw_port_flush(&f->ports[1], 1, true);
    assert_int_equal(output_kind(1), SW_ROW_EVENT);
    assert_true(sw_task_is_runnable(&f->task));
    assert_int_equal(sw_task_send(&f->task, SW_ROW_CONTROL, 7), SW_OK);
    assert_int_equal(output_kind(0), SW_ROW_CONTROL);
    assert_int_equal(output_kind(1), SW_ROW_CONTROL);
}

/* --- for the worker ------------------------------------------------------------------------------------- */

static bool is_runnable(sw_step step)
{
    f->task.step = step;
    return sw_task_is_runnable(&f->task);
}

static void a_task_that_ran_runs_again_and_one_that_ended_does_not(void **state)
{
    (void)state;
    send(0, SW_ROW_EVENT, 1);
    assert_true(is_runnable(SW_STEP_RAN));
    assert_false(is_runnable(SW_STEP_DONE));
    assert_false(is_runnable(SW_STEP_FAILED));
}

static void a_task_that_waits_for_input_runs_for_a_batch_or_a_timer(void **state)
{
    (void)state;
    assert_false(is_runnable(SW_STEP_WAIT_INPUT));
    f->task.timer_ms = START_MS + 5;
    assert_int_equal(sw_task_deadline_ms(&f->task, START_MS), START_MS + 5);
    assert_false(is_runnable(SW_STEP_WAIT_INPUT));
    sw_clock_virtual_advance(f->engine.clock, 5);
    assert_true(is_runnable(SW_STEP_WAIT_INPUT));
    f->task.timer_ms = INT64_MAX;
    assert_false(sw_task_await(&f->task));
    send(2, SW_ROW_EVENT, 1);
    assert_true(is_runnable(SW_STEP_WAIT_INPUT));
    assert_true(sw_task_await(&f->task));
}

static void a_source_that_waits_runs_for_its_time_its_descriptor_a_control_item_or_a_stop(void **state)
{
    (void)state;
    f->task.wake_ms = START_MS + 5;
    assert_false(is_runnable(SW_STEP_WAIT_TIME));
    assert_int_equal(sw_task_deadline_ms(&f->task, START_MS), START_MS + 5);
    f->task.is_fd_ready = true;
    assert_true(is_runnable(SW_STEP_WAIT_TIME));
    f->task.is_fd_ready = false;
    f->task.control = 1;
    assert_true(is_runnable(SW_STEP_WAIT_TIME));
    f->task.control_seen = 1;
    assert_false(is_runnable(SW_STEP_WAIT_TIME));
    f->task.is_stopping = 1;
    assert_true(is_runnable(SW_STEP_WAIT_TIME));
    f->task.is_stopping = 0;
    sw_clock_virtual_advance(f->engine.clock, 5);
    assert_true(is_runnable(SW_STEP_WAIT_TIME));
}

static void output_without_a_slot_is_due_within_a_millisecond_also_behind_the_end(void **state)
{
    (void)state;
    f->task.step = SW_STEP_DONE;
    assert_int_equal(sw_task_deadline_ms(&f->task, START_MS), INT64_MAX);
    for (int i = 0; i < SW_CHANNEL_SLOTS; i++) sw_task_send(&f->task, SW_ROW_CONTROL, 7);
    sw_task_send(&f->task, SW_ROW_END, 0);
    assert_int_equal(sw_task_after_step(&f->task, 0, NULL), SW_OK);
    assert_int_equal(sw_task_deadline_ms(&f->task, START_MS), START_MS + 1);
}

static int flush_sink(sw_sink *sink, sw_error *err)
{
    fake_sink *fake = (fake_sink *)sink;
    fake->flushes++;
    return fake->rc == SW_OK ? SW_OK : sw_error_set(err, fake->rc, "disk gone");
}

static void sinks_are_flushed_when_the_task_is_idle_and_now_and_then_when_it_is_not(void **state)
{
    static const sw_sink_ops ops = { .flush = flush_sink };
    sw_error err;
    (void)state;
    f->sink.base.ops = &ops;
    f->sinks[0].sink = &f->sink.base;
    f->task.sinks = f->sinks;
    f->task.sink_count = 1;
    f->task.step = SW_STEP_RAN;
    for (int64_t ms = 1; ms <= 20; ms++) sw_task_after_step(&f->task, ms * 1000000, &err);
    assert_int_equal(f->sink.flushes, 4);
    f->task.step = SW_STEP_WAIT_INPUT;
    for (int i = 0; i < 2; i++) assert_int_equal(sw_task_after_step(&f->task, 20000000, &err), SW_OK);
    assert_int_equal(f->sink.flushes, 6);
    f->sink.rc = SW_EIO;
    assert_int_equal(sw_task_after_step(&f->task, 20000000, &err), SW_EIO);
    assert_string_equal(err.text, "disk gone");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_task, end_task)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(inputs_are_read_in_turn),
        TEST(a_control_item_blocks_its_input_until_all_others_have_brought_it),
        TEST(ended_inputs_count_as_having_brought_a_control_item),
        TEST(an_end_completes_the_control_item_that_waited_for_that_input),
        TEST(a_task_has_ended_when_its_last_input_has),
        TEST(the_input_watermark_is_the_least_of_the_open_inputs),
        TEST(a_source_without_a_rate_always_has_credit_for_a_batch),
        TEST(a_rate_is_kept_from_time_zero_of_a_virtual_clock_on),
        TEST(waking_at_wake_ms_finds_credit),
        TEST(a_stall_does_not_pile_up_credit_without_bound),
        TEST(the_watermark_rises_directly_behind_the_event_that_raised_it),
        TEST(an_event_exactly_max_delay_behind_is_not_late),
        TEST(the_next_batch_goes_on_with_the_watermark_of_the_last),
        TEST(malformed_input_does_not_raise_the_watermark),
        TEST(rows_are_stamped_with_the_time_of_their_intake),
        TEST(a_source_with_nothing_now_is_looked_at_again_soon_or_when_its_descriptor_is_ready),
        TEST(a_source_that_ended_or_failed_says_so_and_its_last_rows_count),
        TEST(a_rate_bounds_what_a_connector_is_asked_for_and_what_it_lacks_is_given_back),
        TEST(noting_a_time_leaves_raising_the_watermark_to_who_fires_timers),
        TEST(control_items_and_the_end_go_out_by_every_port),
        TEST(nothing_is_sent_while_a_port_holds_rows_over_its_bound),
        TEST(a_task_that_ran_runs_again_and_one_that_ended_does_not),
        TEST(a_task_that_waits_for_input_runs_for_a_batch_or_a_timer),
        TEST(a_source_that_waits_runs_for_its_time_its_descriptor_a_control_item_or_a_stop),
        TEST(output_without_a_slot_is_due_within_a_millisecond_also_behind_the_end),
        TEST(sinks_are_flushed_when_the_task_is_idle_and_now_and_then_when_it_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
