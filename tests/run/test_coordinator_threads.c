/* Checkpoints of a job on threads, against what its sources had sent at each barrier (ledger.h). A lost wake shows as a
 * hang, which alarm() ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "graphs.h"
#include "ledger.c"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define EVENTS 50000
#else
#define EVENTS 300000
#endif
#define CHECKPOINTS 60 /* a run goes on at least that long */
#define HANG_SECONDS 200

static driver d;       /* of the test that runs */
static ledger l;       /* its checkpoints */
static sw_graph graph; /* its job */
static bool is_asked;  /* a checkpoint was asked for and is not done */
static uint32_t done;  /* checkpoints that were asked for */

/* in (2) --grouping--> work (3) --shuffle--> out (2) */
static void open_job(sw_grouping grouping, uint32_t queue, bool is_unaligned)
{
    sw_graph_init(&graph);
    add_component(&graph, "in", SW_SOURCE, 2);
    add_component(&graph, "work", SW_OPERATOR, 3);
    add_component(&graph, "out", SW_SINK, 2);
    add_edge(&graph, IN, WORK, grouping);
    add_edge(&graph, WORK, OUT, SW_GROUPING_SHUFFLE);
    const sw_engine_options options = {
        .job = "test",
        .workers = 2,
        .parallelism = 2,
        .queue = queue,
        .is_unaligned = is_unaligned,
        .clock = sw_clock_real(),
    };
    const sw_coordinator_options often = { .first_id = 1, .interval_ms = 1, .timeout_ms = 100000 };
    driver_open(&d, &graph, &options);
    ledger_init(&l, &d, 1);
    l.is_unaligned = is_unaligned;
    l.hold_max = 9;
    ledger_coordinate(&l, &often);
    is_asked = false;
    done = 0;
    alarm(HANG_SECONDS);
}

static int end_job(void **state)
{
    (void)state;
    alarm(0);
    for (uint32_t i = 0; i < TASKS_MAX; i++) sw_answer_free(l.tellers[i].held);
    driver_close(&d);
    sw_graph_deinit(&graph);
    d = (driver){ 0 };
    return 0;
}

static sw_step give_held(driver *run, sw_task *task)
{
    (void)run;
    ledger_give_held(&l, task);
    return SW_STEP_RAN;
}

static void on_done(void *arg, uint32_t id, int rc, const sw_error *err)
{
    (void)arg;
    (void)err;
    if (rc == SW_OK && id != l.shown_id) ledger_fault(&l, "asked for %u, got %u", l.shown_id, id);
    is_asked = false;
    done++;
}

/* One checkpoint after the other; when there were enough of them, the end. */
static void ask_on(void *arg)
{
    (void)arg;
    if (done >= CHECKPOINTS && driver_total(&d, IN) >= EVENTS) sw_engine_stop(&d.engine);
    if (is_asked || d.engine.is_stopping) return;
    is_asked = true;
    SW_ASSERT(sw_coordinator_request(l.coordinator, done % 5 == 0 ? "some" : NULL, on_done, NULL) == SW_OK);
}

static void stop_with_a_checkpoint(void *arg)
{
    if (done >= CHECKPOINTS && driver_total(&d, IN) >= EVENTS) sw_coordinator_stop(l.coordinator);
    else ask_on(arg);
}

static void run_job(void (*on_wake)(void *arg))
{
    d.before_step = give_held;
    d.engine.ops.on_wake = on_wake;
    int code = sw_engine_run(&d.engine);
    if (code != 0) fail_msg("%d: %s", code, d.engine.failure.text);
    ledger_assert_complete(&l);
    assert_true(sw_engine_is_done(&d.engine));
    assert_true(sw_coordinator_get_stats(l.coordinator).completed >= CHECKPOINTS / 2);
}

static void checkpoints_taken_on_threads_hold_what_was_sent_before_their_barriers(void **state)
{
    (void)state;
    open_job(SW_GROUPING_KEY, 0, false);
    run_job(ask_on);
    end_job(NULL);
    open_job(SW_GROUPING_SHUFFLE, 5, false);
    run_job(ask_on);
}

static void where_barriers_block_nothing_they_lack_nothing(void **state)
{
    (void)state;
    open_job(SW_GROUPING_KEY, 50, true);
    run_job(ask_on);
}

static void what_failed_ones_held_is_in_the_next(void **state)
{
    (void)state;
    open_job(SW_GROUPING_KEY, 20, false);
    l.fail_first = CHECKPOINTS / 2;
    run_job(ask_on);
    assert_true(l.failed > 0);
}

static void a_stop_ends_them_with_a_checkpoint_of_all_that_was_sent(void **state)
{
    (void)state;
    open_job(SW_GROUPING_KEY, 0, false);
    l.hold_max = 0; /* Nobody would run a task that stands still, to give what is held. */
    run_job(stop_with_a_checkpoint);
    assert_true(d.engine.is_halted);
}

int main(void)
{
#define JOB_TEST(f) cmocka_unit_test_teardown(f, end_job)
    const struct CMUnitTest tests[] = {
        JOB_TEST(checkpoints_taken_on_threads_hold_what_was_sent_before_their_barriers),
        JOB_TEST(where_barriers_block_nothing_they_lack_nothing),
        JOB_TEST(what_failed_ones_held_is_in_the_next),
        JOB_TEST(a_stop_ends_them_with_a_checkpoint_of_all_that_was_sent),
    };
    sw_log_configure(SW_LOG_ERROR, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
