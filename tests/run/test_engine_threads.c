/* Workers on threads pass events through every grouping while another thread sends control items. A lost wake shows
 * as a hang, which alarm() ends. */
#include <event2/event.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "driver.c"
#include "graphs.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define EVENTS 100000
#else
#define EVENTS 1000000
#endif
#define CONTROLS 7
#define HANG_SECONDS 300

enum { IN, WORK, OUT }; /* components of the job */

static driver d;       /* of the test that runs */
static sw_graph graph; /* its job */

/* in (2) --grouping--> work (2) --shuffle--> out (2) */
static void open_threads(sw_grouping grouping, uint32_t workers, uint32_t queue)
{
    sw_graph_init(&graph);
    add_component(&graph, "in", SW_SOURCE, 2);
    add_component(&graph, "work", SW_OPERATOR, 2);
    add_component(&graph, "out", SW_SINK, 2);
    add_edge(&graph, IN, WORK, grouping);
    add_edge(&graph, WORK, OUT, SW_GROUPING_SHUFFLE);
    sw_engine_options options = {
        .job = "test", .workers = workers, .parallelism = 2, .queue = queue, .clock = sw_clock_real()
    };
    driver_open(&d, &graph, &options);
    d.limit = EVENTS / 2;
    alarm(HANG_SECONDS);
}

static int end_engine(void **state)
{
    (void)state;
    driver_close(&d);
    sw_graph_deinit(&graph);
    d = (driver){ 0 };
    return 0;
}

/* Reads what a report reads while the workers run, then lets others go on. */
static void look_on(void)
{
    const sw_engine *engine = &d.engine;
    for (uint32_t i = 0; i < engine->task_count; i++) {
        int64_t busy_ns = __atomic_load_n(&engine->tasks[i].busy_ns, __ATOMIC_RELAXED);
        int64_t blocked_ns = __atomic_load_n(&engine->tasks[i].blocked_ns, __ATOMIC_RELAXED);
        SW_ASSERT(busy_ns >= 0 && blocked_ns >= 0);
    }
    for (uint32_t i = 0; i < engine->channel_count; i++) sw_channel_fill(engine->channels[i]);
    sched_yield();
}

/* Sends the items spread over the run, each once the one before is answered by all; the last finds the sources
 * waiting. */
static void *send_controls(void *arg)
{
    sw_engine *engine = &d.engine;
    (void)arg;
    for (uint32_t n = 0; n < CONTROLS; n++) {
        while (driver_total(&d, IN) < (uint64_t)(n + 1) * EVENTS / CONTROLS) look_on();
        sw_engine_send_control(engine, engine->control_sent + 1);
        while (atomic_load(&engine->control_answers) < engine->task_count) look_on();
    }
    return NULL;
}

static void run_with_controls(void)
{
    pthread_t controller;
    d.controls_wait = CONTROLS;
    assert_int_equal(pthread_create(&controller, NULL, send_controls, NULL), 0);
    int code = sw_engine_run(&d.engine);
    pthread_join(controller, NULL);
    if (code != 0) fail_msg("%d: %s", code, d.engine.failure.text);
    assert_true(sw_engine_is_done(&d.engine));
    driver_assert_faultless(&d);
    for (uint32_t i = 0; i < d.engine.task_count; i++) assert_int_equal(d.actors[i].controls, CONTROLS);
    assert_int_equal(d.workers_stopped, d.engine.options.workers);
}

static void assert_totals(uint64_t copies)
{
    assert_int_equal(driver_total(&d, IN), EVENTS);
    assert_int_equal(driver_total(&d, WORK), EVENTS * copies);
    assert_int_equal(driver_total(&d, OUT), EVENTS * copies);
}

static void keyed_events_and_control_items_cross_threads_exactly_once(void **state)
{
    (void)state;
    open_threads(SW_GROUPING_KEY, 2, 0);
    run_with_controls();
    assert_totals(1);
    for (int key = 0; key < KEYS; key++) {
        uint64_t one = driver_actor(&d, WORK, 0)->of_key[key], other = driver_actor(&d, WORK, 1)->of_key[key];
        assert_int_equal(one + other, EVENTS / KEYS);
        assert_true(one == 0 || other == 0);
    }
}

static void shuffled_events_and_control_items_cross_threads_exactly_once(void **state)
{
    (void)state;
    open_threads(SW_GROUPING_SHUFFLE, 2, 0);
    run_with_controls();
    assert_totals(1);
    assert_int_equal(driver_events(driver_actor(&d, WORK, 0)), EVENTS / 2);
}

static void broadcast_events_and_control_items_cross_threads_exactly_once(void **state)
{
    (void)state;
    open_threads(SW_GROUPING_BROADCAST, 2, 0);
    run_with_controls();
    assert_totals(2);
    assert_int_equal(driver_events(driver_actor(&d, WORK, 0)), EVENTS);
}

static void global_events_and_control_items_cross_threads_exactly_once(void **state)
{
    (void)state;
    open_threads(SW_GROUPING_GLOBAL, 2, 0);
    run_with_controls();
    assert_totals(1);
    assert_int_equal(driver_events(driver_actor(&d, WORK, 0)), EVENTS);
}

static void small_queues_make_workers_wait_for_each_other_and_lose_nothing(void **state)
{
    (void)state;
    open_threads(SW_GROUPING_KEY, 2, 3);
    d.limit = EVENTS / 20;
    d.controls_wait = 0;
    assert_int_equal(sw_engine_run(&d.engine), 0);
    driver_assert_faultless(&d);
    assert_int_equal(driver_total(&d, OUT), EVENTS / 10);
}

static void one_worker_runs_all_tasks(void **state)
{
    (void)state;
    open_threads(SW_GROUPING_KEY, 1, 0);
    run_with_controls();
    assert_totals(1);
}

static void a_worker_without_tasks_ends_at_once(void **state)
{
    (void)state;
    open_threads(SW_GROUPING_KEY, 4, 0);
    run_with_controls();
    assert_totals(1);
}

static void *stop_later(void *arg)
{
    (void)arg;
    while (driver_total(&d, OUT) < EVENTS / 4) sched_yield();
    sw_engine_stop(&d.engine);
    return NULL;
}

static void a_stop_from_another_thread_ends_the_sources_and_finishes_what_is_in_flight(void **state)
{
    pthread_t stopper;
    (void)state;
    open_threads(SW_GROUPING_SHUFFLE, 2, 0);
    d.limit = 0;
    assert_int_equal(pthread_create(&stopper, NULL, stop_later, NULL), 0);
    assert_int_equal(sw_engine_run(&d.engine), 0);
    pthread_join(stopper, NULL);
    driver_assert_faultless(&d);
    assert_int_equal(driver_total(&d, OUT), driver_total(&d, IN));
}

static sw_step fail_at_a_quarter(driver *run, sw_task *task)
{
    if (task != driver_task(run, OUT, 1) || driver_total(run, OUT) < EVENTS / 4) return SW_STEP_RAN;
    sw_engine_fail(&run->engine, 65, "test/out#1: bad event");
    return SW_STEP_FAILED;
}

static void a_failure_on_one_thread_ends_all_of_them(void **state)
{
    (void)state;
    open_threads(SW_GROUPING_SHUFFLE, 2, 0);
    d.limit = 0;
    d.before_step = fail_at_a_quarter;
    assert_int_equal(sw_engine_run(&d.engine), 65);
    assert_string_equal(d.engine.failure.text, "test/out#1: bad event");
    assert_int_equal(d.workers_stopped, 2);
}

/* --- the main thread ---------------------------------------------------------------------------------------------- */

#define WAKES 1000

static struct {
    pthread_t thread;   /* that ran the engine */
    uint64_t wakes;     /* calls of on_wake; atomic */
    uint64_t strangers; /* calls on another thread */
    bool is_served;     /* the event that was added to the loop came */
} seen;

static void on_wake(void *arg)
{
    (void)arg;
    if (!pthread_equal(pthread_self(), seen.thread)) seen.strangers++;
    __atomic_add_fetch(&seen.wakes, 1, __ATOMIC_RELAXED);
}

static void on_served(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    seen.is_served = true;
    sw_engine_stop(&d.engine);
}

/* Each wake is answered before the next one is sent. */
static void *wake_often(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < WAKES; i++) {
        uint64_t before = __atomic_load_n(&seen.wakes, __ATOMIC_RELAXED);
        sw_engine_wake(&d.engine);
        while (__atomic_load_n(&seen.wakes, __ATOMIC_RELAXED) == before) sched_yield();
    }
    sw_engine_stop(&d.engine);
    return NULL;
}

static void every_wake_has_the_main_thread_look(void **state)
{
    pthread_t waker;
    (void)state;
    open_threads(SW_GROUPING_SHUFFLE, 2, 0);
    d.limit = 0;
    d.engine.ops.on_wake = on_wake;
    memset(&seen, 0, sizeof(seen));
    seen.thread = pthread_self();
    assert_int_equal(pthread_create(&waker, NULL, wake_often, NULL), 0);
    assert_int_equal(sw_engine_run(&d.engine), 0);
    pthread_join(waker, NULL);
    assert_int_equal(seen.strangers, 0);
    assert_true(seen.wakes >= WAKES);
}

static void what_others_add_to_the_main_loop_is_served(void **state)
{
    const struct timeval soon = { .tv_usec = 1000 };
    (void)state;
    open_threads(SW_GROUPING_SHUFFLE, 2, 0);
    d.limit = 0;
    memset(&seen, 0, sizeof(seen));
    struct event *event = event_new(sw_engine_base(&d.engine), -1, 0, on_served, NULL);
    assert_non_null(event);
    assert_int_equal(event_add(event, &soon), 0);
    assert_int_equal(sw_engine_run(&d.engine), 0);
    event_free(event);
    assert_true(seen.is_served);
    assert_int_equal(driver_total(&d, OUT), driver_total(&d, IN));
}

#define TEST(name) cmocka_unit_test_teardown(name, end_engine)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keyed_events_and_control_items_cross_threads_exactly_once),
        TEST(shuffled_events_and_control_items_cross_threads_exactly_once),
        TEST(broadcast_events_and_control_items_cross_threads_exactly_once),
        TEST(global_events_and_control_items_cross_threads_exactly_once),
        TEST(small_queues_make_workers_wait_for_each_other_and_lose_nothing),
        TEST(one_worker_runs_all_tasks),
        TEST(a_worker_without_tasks_ends_at_once),
        TEST(a_stop_from_another_thread_ends_the_sources_and_finishes_what_is_in_flight),
        TEST(a_failure_on_one_thread_ends_all_of_them),
        TEST(every_wake_has_the_main_thread_look),
        TEST(what_others_add_to_the_main_loop_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
