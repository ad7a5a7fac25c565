#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "driver.c"
#include "graphs.h"

#define START_MS 5000
#define EVENTS 2000
#define STEPS_MAX 20000
#define CONTROLS 5

typedef struct trace {
    uint16_t tasks[STEPS_MAX]; /* index of the task of each step */
    uint32_t count;            /* of steps */
} trace;

static driver d;         /* of the test that runs */
static sw_graph graph;   /* its job */
static sw_clock *clock_; /* virtual */
enum { IN, WORK, OUT };  /* components of the job */

/* in (2) --grouping--> work (3) --shuffle--> out (2) */
static void make_graph(sw_grouping grouping)
{
    sw_graph_init(&graph);
    add_component(&graph, "in", SW_SOURCE, 2);
    add_component(&graph, "work", SW_OPERATOR, 3);
    add_component(&graph, "out", SW_SINK, 2);
    add_edge(&graph, IN, WORK, grouping);
    add_edge(&graph, WORK, OUT, SW_GROUPING_SHUFFLE);
}

static sw_engine_options sim_options(uint64_t seed)
{
    return (sw_engine_options){
        .job = "test", .workers = 2, .parallelism = 2, .seed = seed, .is_sim = true, .clock = clock_
    };
}

static void open_sim(sw_grouping grouping, uint32_t queue, uint64_t seed)
{
    make_graph(grouping);
    clock_ = sw_clock_virtual_new(START_MS);
    sw_engine_options options = sim_options(seed);
    options.queue = queue;
    driver_open(&d, &graph, &options);
    d.limit = EVENTS;
}

static int end_engine(void **state)
{
    (void)state;
    driver_close(&d);
    sw_graph_deinit(&graph);
    sw_clock_free(clock_);
    clock_ = NULL;
    d = (driver){ 0 };
    return 0;
}

static void run_to_its_end(void)
{
    int code = sw_engine_run(&d.engine);
    if (code != 0) fail_msg("%d: %s", code, d.engine.failure.text);
    assert_true(sw_engine_is_done(&d.engine));
    driver_assert_faultless(&d);
}

/* --- the simulation's order ----------------------------------------------------------------------------- */

static sw_step note_step(driver *run, sw_task *task)
{
    trace *t = run->test;
    assert_true(t->count < STEPS_MAX);
    t->tasks[t->count++] = (uint16_t)(task - run->engine.tasks);
    return SW_STEP_RAN;
}

static void trace_of_seed(uint64_t seed, trace *t)
{
    open_sim(SW_GROUPING_KEY, 0, seed);
    d.before_step = note_step;
    d.test = t;
    t->count = 0;
    run_to_its_end();
    end_engine(NULL);
}

static void the_same_seed_gives_the_same_order_and_another_seed_another(void **state)
{
    static trace first, again, other;
    (void)state;
    trace_of_seed(1, &first);
    trace_of_seed(1, &again);
    trace_of_seed(2, &other);
    assert_true(first.count > 20);
    assert_int_equal(first.count, again.count);
    assert_memory_equal(first.tasks, again.tasks, first.count * sizeof(first.tasks[0]));
    uint32_t shorter = other.count < first.count ? other.count : first.count;
    assert_memory_not_equal(first.tasks, other.tasks, shorter * sizeof(first.tasks[0]));
}

/* --- ending --------------------------------------------------------------------------------------------- */

static void the_end_of_input_drains_everything(void **state)
{
    static const sw_grouping groupings[] = { SW_GROUPING_KEY, SW_GROUPING_SHUFFLE, SW_GROUPING_BROADCAST,
                                             SW_GROUPING_GLOBAL, SW_GROUPING_PARTITION };
    static const uint32_t queues[] = { 1, 7, 1024, 100000 };
    (void)state;
    for (int g = 0; g < 5; g++) {
        for (int q = 0; q < 4; q++) {
            uint64_t copies = groupings[g] == SW_GROUPING_BROADCAST ? 3 : 1;
            open_sim(groupings[g], queues[q], (uint64_t)(g * 4 + q));
            run_to_its_end();
            assert_int_equal(driver_total(&d, IN), 2 * EVENTS);
            assert_int_equal(driver_total(&d, WORK), 2 * EVENTS * copies);
            assert_int_equal(driver_total(&d, OUT), 2 * EVENTS * copies);
            for (uint32_t i = 0; i < d.engine.channel_count; i++)
                assert_int_equal(sw_channel_fill(d.engine.channels[i]), 0);
            assert_int_equal(d.workers_stopped, 2);
            end_engine(NULL);
        }
    }
    open_sim(SW_GROUPING_KEY, 0, 0);
}

/* A source that is far ahead ends with more batches unpublished than slots. */
static sw_step readers_last(driver *run, sw_task *task)
{
    if (task->input_count == 0 || driver_total(run, IN) == 2 * run->limit) return SW_STEP_RAN;
    return SW_STEP_WAIT_INPUT;
}

static void what_no_slot_was_free_for_is_published_behind_the_end_also_at_time_zero(void **state)
{
    (void)state;
    open_sim(SW_GROUPING_BROADCAST, 100000, 1);
    d.before_step = readers_last;
    d.limit = 2 * SW_CHANNEL_SLOTS * SW_CHANNEL_BATCH;
    run_to_its_end();
    assert_int_equal(driver_total(&d, OUT), 2 * d.limit * 3);
}

static void equal_keys_meet_in_one_instance(void **state)
{
    (void)state;
    open_sim(SW_GROUPING_KEY, 0, 3);
    run_to_its_end();
    for (int key = 0; key < KEYS; key++) {
        uint64_t most = 0;
        for (uint32_t i = 0; i < 3; i++)
            if (driver_actor(&d, WORK, i)->of_key[key] > most) most = driver_actor(&d, WORK, i)->of_key[key];
        assert_int_equal(most, 2 * EVENTS / KEYS);
    }
}

static sw_step stop_at_1000(driver *run, sw_task *task)
{
    (void)task;
    if (driver_total(run, IN) >= 1000) sw_engine_stop(&run->engine);
    return SW_STEP_RAN;
}

static void a_stop_ends_the_sources_and_finishes_what_is_in_flight(void **state)
{
    (void)state;
    open_sim(SW_GROUPING_SHUFFLE, 0, 4);
    d.limit = 0;
    d.before_step = stop_at_1000;
    run_to_its_end();
    assert_true(driver_total(&d, IN) >= 1000);
    assert_int_equal(driver_total(&d, OUT), driver_total(&d, IN));
}

static sw_step wait_for_ever(driver *run, sw_task *task)
{
    (void)run;
    task->wake_ms = INT64_MAX;
    return task->input_count == 0 ? SW_STEP_WAIT_TIME : SW_STEP_RAN;
}

static void a_run_in_which_nothing_can_ever_happen_is_a_deadlock(void **state)
{
    (void)state;
    open_sim(SW_GROUPING_KEY, 0, 5);
    d.before_step = wait_for_ever;
    assert_int_equal(sw_engine_run(&d.engine), 70);
    assert_string_equal(d.engine.failure.text, "test: nothing can run and nothing falls due: a deadlock");
    assert_int_equal(d.workers_stopped, 2);
}

static sw_step wait_until_6000(driver *run, sw_task *task)
{
    task->wake_ms = 6000;
    if (task->input_count > 0 || sw_engine_now_ms(&run->engine) >= 6000) return SW_STEP_RAN;
    return SW_STEP_WAIT_TIME;
}

static void the_virtual_clock_jumps_to_what_falls_due_next(void **state)
{
    (void)state;
    open_sim(SW_GROUPING_KEY, 0, 6);
    d.before_step = wait_until_6000;
    run_to_its_end();
    assert_in_range(sw_clock_wall_ms(clock_), 6000, 6001);
    assert_int_equal(driver_total(&d, OUT), 2 * EVENTS);
}

/* --- failing -------------------------------------------------------------------------------------------- */

static sw_step fail_at_500(driver *run, sw_task *task)
{
    if (task != driver_task(run, WORK, 1) || driver_total(run, WORK) < 500) return SW_STEP_RAN;
    sw_engine_fail(&run->engine, 65, "test/work#%u: %s", task->number, "bad event");
    sw_engine_fail(&run->engine, 1, "too late");
    return SW_STEP_FAILED;
}

static void the_first_failure_ends_the_run_with_its_code_and_text(void **state)
{
    (void)state;
    open_sim(SW_GROUPING_SHUFFLE, 16, 7);
    d.before_step = fail_at_500;
    assert_int_equal(sw_engine_run(&d.engine), 65);
    assert_string_equal(d.engine.failure.text, "test/work#1: bad event");
    assert_true(driver_total(&d, OUT) < 2 * EVENTS);
    assert_int_equal(d.workers_stopped, 2);
}

static int refuse_to_start(void *arg, sw_worker *worker, sw_error *err)
{
    (void)arg;
    return worker->index == 0 ? SW_OK : sw_error_set(err, SW_ESCRIPT, "line 3: oops");
}

static void a_worker_that_cannot_be_set_up_fails_the_run_before_any_step(void **state)
{
    (void)state;
    open_sim(SW_GROUPING_KEY, 0, 8);
    d.engine.ops.start_worker = refuse_to_start;
    assert_int_equal(sw_engine_run(&d.engine), 3);
    assert_string_equal(d.engine.failure.text, "line 3: oops");
    assert_int_equal(driver_total(&d, IN), 0);
}

/* --- control items -------------------------------------------------------------------------------------- */

/* One item after the other, each once the last is answered by all. */
static sw_step send_controls(driver *run, sw_task *task)
{
    sw_engine *engine = &run->engine;
    uint32_t sent = engine->control_sent;
    (void)task;
    if (sent < CONTROLS && driver_total(run, IN) >= (sent + 1) * EVENTS / CONTROLS &&
        (sent == 0 || engine->control_answers == engine->task_count))
        sw_engine_send_control(engine, sent + 1);
    return SW_STEP_RAN;
}

static void control_items_reach_every_task_once_and_behind_the_events_sent_before(void **state)
{
    static const sw_grouping groupings[] = { SW_GROUPING_KEY, SW_GROUPING_SHUFFLE, SW_GROUPING_BROADCAST,
                                             SW_GROUPING_GLOBAL };
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        open_sim(groupings[seed % 4], seed % 3 == 0 ? 2 : 0, seed);
        d.before_step = send_controls;
        d.controls_wait = CONTROLS;
        run_to_its_end();
        for (uint32_t i = 0; i < d.engine.task_count; i++) assert_int_equal(d.actors[i].controls, CONTROLS);
        assert_int_equal(d.engine.control_answers, d.engine.task_count);
        if (seed < 19) end_engine(NULL);
    }
}

/* Source 0 ends at once; what source 1 sends later still comes by all. */
static sw_step end_source_0(driver *run, sw_task *task)
{
    if (task == driver_task(run, IN, 0)) __atomic_store_n(&task->is_stopping, 1, __ATOMIC_RELAXED);
    if (driver_total(run, IN) >= EVENTS / 2 && run->engine.control_sent == 0 &&
        driver_task(run, IN, 0)->step == SW_STEP_DONE)
        sw_engine_send_control(&run->engine, 1);
    return SW_STEP_RAN;
}

static void control_items_pass_where_a_source_has_ended(void **state)
{
    (void)state;
    open_sim(SW_GROUPING_KEY, 0, 9);
    d.before_step = end_source_0;
    run_to_its_end();
    assert_int_equal(driver_actor(&d, IN, 1)->controls, 1);
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(driver_actor(&d, WORK, i)->controls, 1);
    for (uint32_t i = 0; i < 2; i++) assert_int_equal(driver_actor(&d, OUT, i)->controls, 1);
}

/* Were all workers told to look up? Forgets it. */
static bool take_wakes(void)
{
    bool is_woken = true;
    for (uint32_t w = 0; w < d.engine.options.workers; w++) {
        uint64_t count;
        if (read(d.engine.workers[w].wake_fd, &count, sizeof(count)) < 0) is_woken = false;
    }
    return is_woken;
}

static void a_control_item_a_stop_and_a_failure_wake_all_workers(void **state)
{
    (void)state;
    make_graph(SW_GROUPING_KEY);
    sw_engine_options options = { .job = "test", .workers = 2, .parallelism = 2, .clock = sw_clock_real() };
    driver_open(&d, &graph, &options);
    assert_false(take_wakes());
    sw_engine_send_control(&d.engine, 1);
    assert_true(take_wakes());
    sw_engine_stop(&d.engine);
    assert_true(take_wakes());
    sw_engine_fail(&d.engine, 1, "oops");
    assert_true(take_wakes());
    assert_false(take_wakes());
}

/* --- the watchdog, on threads and a clock that leaps a second at each look --------------------------------- */

typedef struct leaping_clock {
    sw_clock base;   /* what the engine sees */
    int64_t seconds; /* looks so far; atomic */
} leaping_clock;

typedef struct watched {
    sw_task *stuck;    /* told by the watchdog; atomic */
    uint32_t ticks;    /* calls of on_tick; atomic */
    bool is_user_code; /* the task says that it runs user code */
    bool is_pulsing;   /* its events go on being counted */
    uint64_t pulse;    /* events counted; atomic */
    bool is_over;      /* the task's step has ended; atomic */
} watched;

#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)
#define TICKS_ENOUGH 20

static int64_t leaping_mono_ns(sw_clock *clock)
{
    leaping_clock *leaping = (leaping_clock *)clock;
    return __atomic_add_fetch(&leaping->seconds, 1, __ATOMIC_RELAXED) * 1000000000;
}

static int64_t leaping_wall_ms(sw_clock *clock)
{
    return leaping_mono_ns(clock) / 1000000;
}

static leaping_clock leaping = { .base = { leaping_wall_ms, leaping_mono_ns, false } };

/* Spins in one call until the watchdog speaks or has had chances enough. */
static sw_step hang(driver *run, sw_task *task)
{
    watched *w = run->test;
    uint64_t one = 1;
    if (task != driver_task(run, WORK, 1)) return SW_STEP_RAN;
    if (w->is_user_code) __atomic_store_n(&task->at, WORK + 1, __ATOMIC_RELAXED);
    while (LOAD(w->stuck) == NULL && LOAD(w->ticks) < TICKS_ENOUGH) {
        if (w->is_pulsing) {
            uint64_t *in = &run->engine.instances[WORK][1].in;
            __atomic_store_n(in, *in + 1, __ATOMIC_RELAXED);
            STORE(w->pulse, w->pulse + 1);
        }
        assert_int_equal(write(run->engine.wake_fd, &one, sizeof(one)), sizeof(one)); /* Main looks at once. */
        sched_yield();
    }
    STORE(w->is_over, true);
    if (LOAD(w->stuck) == NULL) sw_engine_fail(&run->engine, 1, "watched long enough");
    return SW_STEP_FAILED;
}

/* Between two looks of the watchdog a pulsing task has pulsed. */
static void on_tick(void *arg)
{
    watched *w = ((driver *)arg)->test;
    STORE(w->ticks, w->ticks + 1);
    uint64_t pulse = LOAD(w->pulse);
    while (w->is_pulsing && LOAD(w->pulse) < pulse + 2 && !LOAD(w->is_over)) sched_yield();
}

static void on_stuck(void *arg, sw_task *task)
{
    driver *run = arg;
    watched *w = run->test;
    if (LOAD(w->stuck) != NULL) return;
    sw_engine_fail(&run->engine, 70, "test: a call does not return");
    STORE(w->stuck, task);
}

static void watch(watched *w)
{
    make_graph(SW_GROUPING_KEY);
    sw_engine_options options = {
        .job = "test", .workers = 2, .parallelism = 2, .watchdog_ms = 5000, .clock = &leaping.base
    };
    driver_open(&d, &graph, &options);
    d.engine.ops.on_tick = on_tick;
    d.engine.ops.on_stuck = on_stuck;
    d.before_step = hang;
    d.limit = EVENTS;
    d.test = w;
}

static void the_watchdog_finds_the_task_whose_user_code_does_not_return(void **state)
{
    watched w = { .is_user_code = true };
    (void)state;
    watch(&w);
    assert_int_equal(sw_engine_run(&d.engine), 70);
    assert_string_equal(d.engine.failure.text, "test: a call does not return");
    assert_ptr_equal(w.stuck, driver_task(&d, WORK, 1));
}

static void a_task_that_goes_on_counting_events_is_not_stuck(void **state)
{
    watched w = { .is_user_code = true, .is_pulsing = true };
    (void)state;
    watch(&w);
    assert_int_equal(sw_engine_run(&d.engine), 1);
    assert_null(w.stuck);
}

static void a_task_that_runs_no_user_code_is_not_stuck(void **state)
{
    watched w = { .is_user_code = false };
    (void)state;
    watch(&w);
    assert_int_equal(sw_engine_run(&d.engine), 1);
    assert_null(w.stuck);
}

/* --- opening -------------------------------------------------------------------------------------------- */

/* Equal before and after where no descriptor was left open, and none closed that is not the engine's. */
static int lowest_free_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    close(fd);
    return fd;
}

static void an_engine_survives_every_allocation_failure(void **state)
{
    sw_engine_ops ops = driver_ops(&d);
    (void)state;
    for (int is_sim = 0; is_sim < 2; is_sim++) {
        make_graph(SW_GROUPING_KEY);
        clock_ = sw_clock_virtual_new(START_MS);
        sw_engine_options options = sim_options(1);
        options.is_sim = is_sim == 1;
        int fd_before = lowest_free_descriptor();
        for (int n = 0;; n++) {
            sw_graph_deinit(&graph);
            size_t live_before = sw_alloc_live();
            make_graph(SW_GROUPING_KEY);
            sw_fault_fail_after(n);
            int rc = sw_engine_open(&d.engine, &graph, &options, &ops, NULL);
            sw_fault_off();
            if (rc == SW_OK) break;
            assert_int_equal(rc, SW_ENOMEM);
            assert_int_equal(lowest_free_descriptor(), fd_before);
            sw_graph_deinit(&graph);
            assert_int_equal(sw_alloc_live(), live_before);
        }
        sw_engine_close(&d.engine);
        assert_int_equal(lowest_free_descriptor(), fd_before);
        sw_graph_deinit(&graph);
        sw_clock_free(clock_);
        clock_ = NULL;
    }
}

static void a_graph_that_cannot_be_is_refused_at_open(void **state)
{
    sw_engine_ops ops = driver_ops(&d);
    sw_error err = { 0 };
    (void)state;
    make_graph(SW_GROUPING_KEY);
    clock_ = sw_clock_virtual_new(START_MS);
    add_edge(&graph, OUT, WORK, SW_GROUPING_SHUFFLE);
    sw_engine_options options = sim_options(1);
    assert_int_equal(sw_engine_open(&d.engine, &graph, &options, &ops, &err), SW_EINVAL);
    assert_string_equal(err.text, "component \"work\" is part of a cycle or behind one");
    sw_graph_deinit(&graph);
    sw_clock_free(clock_);
    clock_ = NULL;
}

#define TEST(name) cmocka_unit_test_teardown(name, end_engine)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_end_of_input_drains_everything),
        TEST(what_no_slot_was_free_for_is_published_behind_the_end_also_at_time_zero),
        TEST(equal_keys_meet_in_one_instance),
        TEST(a_stop_ends_the_sources_and_finishes_what_is_in_flight),
        TEST(a_run_in_which_nothing_can_ever_happen_is_a_deadlock),
        TEST(the_virtual_clock_jumps_to_what_falls_due_next),
        TEST(the_first_failure_ends_the_run_with_its_code_and_text),
        TEST(a_worker_that_cannot_be_set_up_fails_the_run_before_any_step),
        TEST(control_items_reach_every_task_once_and_behind_the_events_sent_before),
        TEST(control_items_pass_where_a_source_has_ended),
        TEST(a_control_item_a_stop_and_a_failure_wake_all_workers),
        TEST(the_watchdog_finds_the_task_whose_user_code_does_not_return),
        TEST(a_task_that_goes_on_counting_events_is_not_stuck),
        TEST(a_task_that_runs_no_user_code_is_not_stuck),
        cmocka_unit_test(the_same_seed_gives_the_same_order_and_another_seed_another),
        cmocka_unit_test(an_engine_survives_every_allocation_failure),
        cmocka_unit_test(a_graph_that_cannot_be_is_refused_at_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
