/* Checkpoints of a simulated job, against what its sources had sent at each barrier (ledger.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/log.h"
#include "graphs.h"
#include "ledger.c"

#define START_MS 5000
#define EVENTS 3000
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SEEDS 15
#else
#define SEEDS 150
#endif

static driver d;         /* of the test that runs */
static ledger l;         /* its checkpoints */
static sw_graph graph;   /* its job */
static sw_clock *clock_; /* virtual */
static sw_rng rng;       /* draws what happens at a step */
static uint32_t held_up; /* task that does not run for `held_steps` */
static uint32_t held_steps;
static uint32_t asked, done, done_ok; /* requests, and how many were answered */

/* in (2) --grouping--> work (3) --shuffle--> out (2) */
static void open_job(sw_grouping grouping, uint32_t queue, uint64_t seed, bool is_unaligned)
{
    sw_graph_init(&graph);
    add_component(&graph, "in", SW_SOURCE, 2);
    add_component(&graph, "work", SW_OPERATOR, 3);
    add_component(&graph, "out", SW_SINK, 2);
    add_edge(&graph, IN, WORK, grouping);
    add_edge(&graph, WORK, OUT, SW_GROUPING_SHUFFLE);
    clock_ = sw_clock_virtual_new(START_MS);
    const sw_engine_options options = {
        .job = "test",
        .workers = 2,
        .parallelism = 2,
        .queue = queue,
        .seed = seed,
        .is_sim = true,
        .is_unaligned = is_unaligned,
        .clock = clock_,
    };
    driver_open(&d, &graph, &options);
    d.limit = EVENTS;
    ledger_init(&l, &d, seed);
    l.copies = grouping == SW_GROUPING_BROADCAST ? 3 : 1;
    l.is_unaligned = is_unaligned;
    sw_rng_seed(&rng, sw_rng_stream(seed, "steps"));
    held_steps = asked = done = done_ok = 0;
}

static int end_job(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < TASKS_MAX; i++) sw_answer_free(l.tellers[i].held);
    driver_close(&d);
    sw_graph_deinit(&graph);
    sw_clock_free(clock_);
    clock_ = NULL;
    d = (driver){ 0 };
    memset(&l, 0, sizeof(l));
    return 0;
}

static void coordinate(int64_t interval_ms, int64_t timeout_ms)
{
    const sw_coordinator_options options = { .first_id = 7, .interval_ms = interval_ms, .timeout_ms = timeout_ms };
    ledger_coordinate(&l, &options);
}

static void run_job(void)
{
    int code = sw_engine_run(&d.engine);
    if (code != 0) fail_msg("%d: %s", code, d.engine.failure.text);
    assert_true(sw_engine_is_done(&d.engine));
}

static sw_coordinator_stats stats(void)
{
    return sw_coordinator_get_stats(l.coordinator);
}

/* Time goes on a little; answers are given late. */
static sw_step pass_time(driver *run, sw_task *task)
{
    (void)run;
    if (sw_rng_below(&rng, 4) == 0) sw_clock_virtual_advance(clock_, 1);
    ledger_give_held(&l, task);
    return SW_STEP_RAN;
}

/* The same, and now and then one task stands still for long. */
static sw_step pass_time_unevenly(driver *run, sw_task *task)
{
    pass_time(run, task);
    if (held_steps == 0 && sw_rng_below(&rng, 60) == 0) {
        held_up = (uint32_t)sw_rng_below(&rng, run->engine.task_count);
        held_steps = 150;
    }
    if (held_steps > 0) held_steps--;
    if (held_steps == 0 || task != &run->engine.tasks[held_up]) return SW_STEP_RAN;
    if (task->step == SW_STEP_WAIT_COMMIT) return task->step;
    task->wake_ms = 0; /* It does nothing, and may run at once. */
    return SW_STEP_WAIT_TIME;
}

/* Nothing fails any more once the sources have ended: the last checkpoint has to succeed. */
static sw_step fail_writes_while_sources_run(driver *run, sw_task *task)
{
    bool is_ended = driver_task(run, IN, 0)->step == SW_STEP_DONE && driver_task(run, IN, 1)->step == SW_STEP_DONE;
    if (is_ended) l.fail_percent = 0;
    return pass_time_unevenly(run, task);
}

/* --- barriers ------------------------------------------------------------------------------------------- */

static void a_checkpoint_holds_the_events_sent_before_its_barrier_and_no_other(void **state)
{
    static const sw_grouping groupings[] = { SW_GROUPING_KEY, SW_GROUPING_SHUFFLE, SW_GROUPING_BROADCAST };
    static const uint32_t queues[] = { 0, 3, 32 };
    uint64_t completed = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        open_job(groupings[seed % 3], queues[seed / 3 % 3], seed, false);
        l.hold_max = seed % 2 != 0 ? 20 : 0;
        d.is_uneven = seed % 4 == 0;
        d.before_step = pass_time;
        coordinate(5, 100000);
        run_job();
        ledger_assert_complete(&l);
        assert_int_equal(stats().completed, l.written);
        assert_int_equal(stats().failed, 0);
        assert_int_equal(stats().last_id, 6 + l.written);
        assert_true(l.is_finished);
        completed += l.written;
        if (seed + 1 < SEEDS) end_job(NULL);
    }
    assert_true(completed > 5 * SEEDS);
}

static void where_barriers_block_nothing_a_checkpoint_lacks_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        open_job(SW_GROUPING_KEY, seed % 2 != 0 ? 16 : 0, seed, true);
        l.fail_percent = 20;
        d.before_step = fail_writes_while_sources_run;
        coordinate(5, seed % 3 == 0 ? 20 : 100000);
        run_job();
        ledger_assert_complete(&l);
        if (seed + 1 < SEEDS) end_job(NULL);
    }
}

/* --- checkpoints that fail ------------------------------------------------------------------------------ */

static void what_a_failed_checkpoint_held_is_in_the_next(void **state)
{
    uint64_t failed = 0, completed = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        open_job(seed % 2 != 0 ? SW_GROUPING_KEY : SW_GROUPING_SHUFFLE, 16, seed, false);
        l.fail_percent = 60;
        l.hold_max = 10;
        d.before_step = fail_writes_while_sources_run;
        coordinate(5, 100000);
        run_job();
        ledger_assert_complete(&l);
        assert_int_equal(stats().failed, l.failed);
        failed += stats().failed;
        completed += stats().completed;
        if (seed + 1 < SEEDS) end_job(NULL);
    }
    assert_true(failed > SEEDS && completed > SEEDS);
}

static void one_that_times_out_is_given_up_and_late_answers_are_in_the_next(void **state)
{
    uint64_t failed = 0, completed = 0;
    (void)state;
    sw_log_configure(SW_LOG_ERROR, false);
    for (uint64_t seed = 0; seed < 4 * SEEDS; seed++) {
        open_job(seed % 2 != 0 ? SW_GROUPING_KEY : SW_GROUPING_SHUFFLE, seed % 3 == 0 ? 64 : 8, seed, false);
        l.hold_max = 30;
        l.fail_percent = seed % 4 == 0 ? 30 : 0;
        d.is_uneven = seed % 5 == 0;
        d.before_step = fail_writes_while_sources_run;
        coordinate(3, seed % 2 != 0 ? 25 : 60);
        run_job();
        ledger_assert_complete(&l);
        failed += stats().failed - l.failed;
        completed += stats().completed;
        if (seed + 1 < 4 * SEEDS) end_job(NULL);
    }
    assert_true(failed > SEEDS && completed > SEEDS);
}

static sw_step hold_out_1(driver *run, sw_task *task)
{
    sw_clock_virtual_advance(clock_, 1);
    if (done > 0) sw_engine_fail(&run->engine, 1, "seen enough");
    return task == driver_task(run, OUT, 1) ? SW_STEP_WAIT_INPUT : SW_STEP_RAN;
}

static void note_done(void *arg, uint32_t id, int rc, const sw_error *err)
{
    char *text = arg;
    SW_ASSERT(id == 7);
    done++;
    if (rc == SW_OK) done_ok++;
    else memcpy(text, err->text, sizeof(err->text));
}

static void one_that_times_out_says_for_which_tasks_it_waited(void **state)
{
    char text[SW_ERROR_TEXT_SIZE] = "";
    (void)state;
    open_job(SW_GROUPING_KEY, 0, 1, false);
    coordinate(0, 500);
    d.before_step = hold_out_1;
    assert_int_equal(sw_coordinator_request(l.coordinator, NULL, note_done, text), SW_OK);
    assert_int_equal(sw_engine_run(&d.engine), 1);
    assert_int_equal(done, 1);
    assert_int_equal(done_ok, 0);
    assert_string_equal(text, "no answer within 500 ms from out#1");
}

static void with_no_bound_on_its_time_nothing_falls_due(void **state)
{
    (void)state;
    open_job(SW_GROUPING_KEY, 0, 1, false);
    coordinate(0, INT64_MAX);
    assert_int_equal(sw_coordinator_deadline_ms(l.coordinator), INT64_MAX);
    assert_int_equal(sw_coordinator_request(l.coordinator, NULL, NULL, NULL), SW_OK);
    assert_true(sw_coordinator_step(l.coordinator));
    assert_int_equal(sw_coordinator_deadline_ms(l.coordinator), INT64_MAX);
}

static void a_last_checkpoint_that_cannot_be_written_fails_the_job(void **state)
{
    (void)state;
    open_job(SW_GROUPING_KEY, 0, 2, false);
    l.fail_percent = 100;
    coordinate(0, 1000);
    assert_int_equal(sw_engine_run(&d.engine), 1);
    assert_string_equal(d.engine.failure.text, "the last checkpoint, 7, failed: the disk is full");
}

static void one_that_cannot_be_shown_fails_the_job(void **state)
{
    (void)state;
    open_job(SW_GROUPING_KEY, 0, 2, false);
    l.fails_show = true;
    d.limit = 0;
    d.before_step = pass_time;
    coordinate(5, 1000);
    assert_int_equal(sw_engine_run(&d.engine), 1);
    assert_string_equal(d.engine.failure.text, "what checkpoint 7 holds could not be shown: the disk is gone");
    assert_int_equal(l.written, 1);
}

/* --- requests and stops --------------------------------------------------------------------------------- */

/* Each is answered once, by a checkpoint whose barrier came behind it. */
typedef struct request {
    uint32_t id_before; /* newest barrier when it was made */
    char name[16];      /* of the savepoint; empty: none */
    bool is_answered;
} request;

static request requests[SAVEPOINTS_MAX];

static void on_request_done(void *arg, uint32_t id, int rc, const sw_error *err)
{
    request *r = arg;
    assert_false(r->is_answered);
    r->is_answered = true;
    assert_true(id > r->id_before);
    done++;
    if (rc != SW_OK) {
        assert_true(rc == SW_ENOSPC || (rc == SW_EINVAL && strcmp(r->name, "taken") == 0));
        assert_true(err->text[0] != '\0');
        return;
    }
    assert_int_equal(id, l.shown_id);
    assert_string_not_equal(r->name, "taken");
    bool is_saved = r->name[0] == '\0';
    for (uint32_t i = 0; i < l.savepoint_count; i++)
        if (strcmp(l.savepoints[i], r->name) == 0 && l.savepoint_ids[i] == id) is_saved = true;
    assert_true(is_saved);
    done_ok++;
}

static sw_step make_requests(driver *run, sw_task *task)
{
    bool is_ended = driver_task(run, IN, 0)->step == SW_STEP_DONE || driver_task(run, IN, 1)->step == SW_STEP_DONE;
    if (asked < SAVEPOINTS_MAX && !is_ended && sw_rng_below(&rng, 20) == 0) {
        request *r = &requests[asked];
        *r = (request){ .id_before = run->engine.control_sent };
        if (asked % 3 == 0) snprintf(r->name, sizeof(r->name), "s%u", asked);
        if (asked % 7 == 0) snprintf(r->name, sizeof(r->name), "taken");
        asked++;
        assert_int_equal(sw_coordinator_request(l.coordinator, r->name[0] != '\0' ? r->name : NULL, on_request_done, r),
                         SW_OK);
    }
    return fail_writes_while_sources_run(run, task);
}

static void every_request_is_answered_once_by_a_checkpoint_begun_behind_it(void **state)
{
    uint32_t ok = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        open_job(SW_GROUPING_KEY, 16, seed, false);
        l.fail_percent = 25;
        d.before_step = make_requests;
        coordinate(seed % 2 != 0 ? 10 : 0, 100000);
        run_job();
        ledger_assert_complete(&l);
        assert_int_equal(done, asked);
        ok += done_ok;
        if (seed + 1 < SEEDS) end_job(NULL);
    }
    assert_true(ok > 2 * SEEDS);
}

static sw_step stop_some_time(driver *run, sw_task *task)
{
    if (driver_total(run, IN) > 1500 && sw_rng_below(&rng, 30) == 0) sw_coordinator_stop(l.coordinator);
    return pass_time_unevenly(run, task);
}

/* Sources stand at the barrier, and all they have sent is in the checkpoint. */
static void a_stop_ends_the_job_with_a_checkpoint_of_all_that_was_sent(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        open_job(seed % 2 != 0 ? SW_GROUPING_KEY : SW_GROUPING_SHUFFLE, 0, seed, seed % 5 == 0);
        d.limit = 0;
        d.before_step = stop_some_time;
        coordinate(seed % 3 == 0 ? 5 : 0, 100000);
        run_job();
        ledger_assert_complete(&l);
        assert_true(d.engine.is_halted);
        assert_false(l.is_finished);
        if (seed + 1 < SEEDS) end_job(NULL);
    }
}

static void a_stop_whose_checkpoint_fails_fails_the_job(void **state)
{
    (void)state;
    open_job(SW_GROUPING_KEY, 0, 2, false);
    l.fail_percent = 100;
    d.limit = 0;
    coordinate(0, 1000);
    sw_coordinator_stop(l.coordinator);
    assert_int_equal(sw_engine_run(&d.engine), 1);
    assert_string_equal(d.engine.failure.text, "the last checkpoint, 7, failed: the disk is full");
}

static void sources_that_are_stopped_leave_a_checkpoint_that_is_not_finished(void **state)
{
    (void)state;
    open_job(SW_GROUPING_KEY, 0, 3, false);
    coordinate(0, 1000);
    sw_engine_stop(&d.engine);
    run_job();
    assert_int_equal(l.written, 1);
    assert_false(l.is_finished);
}

/* --- sinks that tasks commit themselves ----------------------------------------------------------------- */

/* They commit what is durable, hear of every checkpoint in order, and of the last before the job is over. */
static sw_step commit_in_tasks(driver *run, sw_task *task)
{
    if (!task->has_commits) return fail_writes_while_sources_run(run, task);
    uint32_t id = __atomic_load_n(&task->committed, __ATOMIC_ACQUIRE);
    if (id != task->committed_seen) {
        assert_true(id > task->committed_seen && id <= l.shown_id);
        task->committed_seen = id;
    }
    return fail_writes_while_sources_run(run, task);
}

static void the_job_is_over_when_tasks_have_committed_its_last_checkpoint(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        open_job(SW_GROUPING_KEY, 0, seed, false);
        l.fail_percent = 30;
        d.before_step = commit_in_tasks;
        for (uint32_t i = 0; i < 2; i++) driver_task(&d, OUT, i)->has_commits = true;
        d.awaits_commits = true;
        coordinate(5, 100000);
        run_job();
        ledger_assert_complete(&l);
        for (uint32_t i = 0; i < 2; i++) assert_int_equal(driver_task(&d, OUT, i)->committed_seen, l.shown_id);
        if (seed + 1 < SEEDS) end_job(NULL);
    }
}

/* --- the ids -------------------------------------------------------------------------------------------- */

static void barriers_go_on_from_the_first_id_also_for_tasks_that_have_seen_none(void **state)
{
    (void)state;
    open_job(SW_GROUPING_KEY, 0, 1, false);
    coordinate(0, 1000);
    for (uint32_t i = 0; i < d.engine.task_count; i++) {
        assert_int_equal(d.engine.tasks[i].control, 6);
        assert_int_equal(d.engine.tasks[i].control_seen, 6);
    }
    assert_int_equal(d.engine.control_sent, 6);
}

/* --- memory --------------------------------------------------------------------------------------------- */

static void making_a_coordinator_a_request_and_an_answer_survives_every_allocation_failure(void **state)
{
    const sw_coordinator_options options = { .first_id = 1, .timeout_ms = 1000 };
    const sw_coordinator_ops ops = { .arg = NULL };
    (void)state;
    open_job(SW_GROUPING_KEY, 0, 1, false);
    for (int n = 0, rc = SW_ENOMEM; rc != SW_OK; n++) {
        sw_coordinator *coordinator = NULL;
        sw_answer *answer = NULL;
        sw_snapshot part;
        size_t live_before = sw_alloc_live();
        sw_snapshot_init(&part);
        sw_fault_fail_after(n);
        rc = sw_coordinator_new(&coordinator, &d.engine, &options, &ops, NULL);
        if (rc == SW_OK) rc = sw_coordinator_request(coordinator, "name", NULL, NULL);
        if (rc == SW_OK) rc = sw_answer_new(&answer, &d.engine.tasks[0], 1);
        if (rc == SW_OK) rc = sw_answer_add(answer, &part);
        sw_fault_off();
        assert_true(rc == SW_OK || rc == SW_ENOMEM);
        if (rc == SW_OK) assert_true(n > 5);
        sw_answer_free(answer);
        sw_coordinator_free(coordinator);
        assert_int_equal(sw_alloc_live(), live_before);
    }
}

int main(void)
{
#define JOB_TEST(f) cmocka_unit_test_teardown(f, end_job)
    const struct CMUnitTest tests[] = {
        JOB_TEST(a_checkpoint_holds_the_events_sent_before_its_barrier_and_no_other),
        JOB_TEST(where_barriers_block_nothing_a_checkpoint_lacks_nothing),
        JOB_TEST(what_a_failed_checkpoint_held_is_in_the_next),
        JOB_TEST(one_that_times_out_is_given_up_and_late_answers_are_in_the_next),
        JOB_TEST(one_that_times_out_says_for_which_tasks_it_waited),
        JOB_TEST(with_no_bound_on_its_time_nothing_falls_due),
        JOB_TEST(a_last_checkpoint_that_cannot_be_written_fails_the_job),
        JOB_TEST(one_that_cannot_be_shown_fails_the_job),
        JOB_TEST(every_request_is_answered_once_by_a_checkpoint_begun_behind_it),
        JOB_TEST(a_stop_ends_the_job_with_a_checkpoint_of_all_that_was_sent),
        JOB_TEST(a_stop_whose_checkpoint_fails_fails_the_job),
        JOB_TEST(sources_that_are_stopped_leave_a_checkpoint_that_is_not_finished),
        JOB_TEST(the_job_is_over_when_tasks_have_committed_its_last_checkpoint),
        JOB_TEST(barriers_go_on_from_the_first_id_also_for_tasks_that_have_seen_none),
        JOB_TEST(making_a_coordinator_a_request_and_an_answer_survives_every_allocation_failure),
    };
    sw_log_configure(SW_LOG_ERROR, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
