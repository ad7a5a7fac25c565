#include "logs.h"

#define SMALL 256u /* bytes of a segment: eight records */

typedef struct prepared {
    sw_buf values[8]; /* of checkpoints 1 .. count */
    int count;
} prepared;

static void free_values(prepared *p)
{
    for (int i = 0; i < p->count; i++) sw_buf_deinit(&p->values[i]);
    p->count = 0;
}

/* Appends up to `end` and prepares. */
static void prepare(prepared *p, sw_evlog *log, uint64_t end)
{
    append_to(log, sw_evlog_next(log), end);
    sw_buf_init(&p->values[p->count]);
    assert_int_equal(sw_evlog_prepare(log, &p->values[p->count], NULL), SW_OK);
    p->count++;
}

static int sync_of(const prepared *p, int n)
{
    return sw_evlog_sync_value(p->values[n].data, p->values[n].size, NULL);
}

static int commit_of(const prepared *p, int n)
{
    return sw_evlog_commit_value(p->values[n].data, p->values[n].size, NULL);
}

static int rewind_to(const prepared *p, int n, uint64_t checkpoint, sw_buf *said)
{
    sw_error err = { 0 };
    sw_buf_init(said);
    int rc = sw_evlog_rewind_value(p->values[n].data, p->values[n].size, checkpoint, said, &err);
    assert_int_equal(sw_buf_append(said, "", 1), SW_OK);
    if (rc != SW_OK) print_message("%s\n", err.text);
    return rc;
}

static void prepared_records_are_seen_when_they_are_committed(void **state)
{
    (void)state;
    prepared p = { 0 };
    sw_evlog *log = writer_of("a", SMALL);
    prepare(&p, log, 10);
    prepare(&p, log, 21);
    append_to(log, 21, 25);
    assert_int_equal(sw_evlog_flush(log, NULL), SW_OK);
    holds("a", 0, 0);
    assert_int_equal(sync_of(&p, 0), SW_OK);
    holds("a", 0, 0);
    for (int i = 0; i < 2; i++) { /* While the log is open for writing, and as often as one likes. */
        assert_int_equal(commit_of(&p, 0), SW_OK);
        holds("a", 0, 10);
    }
    assert_int_equal(sync_of(&p, 1), SW_OK);
    assert_int_equal(commit_of(&p, 1), SW_OK);
    assert_int_equal(commit_of(&p, 0), SW_OK); /* An older one takes nothing back. */
    holds("a", 0, 21);
    prepare(&p, log, 30);
    sw_evlog_close(log, NULL);
    assert_int_equal(sync_of(&p, 2), SW_OK); /* And when it is closed. */
    assert_int_equal(commit_of(&p, 2), SW_OK);
    holds("a", 0, 30);
    free_values(&p);
}

static void what_is_not_committed_when_the_job_comes_back_is_cut(void **state)
{
    (void)state;
    prepared p = { 0 };
    sw_evlog *log = writer_of("a", SMALL);
    prepare(&p, log, 10);
    assert_int_equal(sync_of(&p, 0), SW_OK);
    assert_int_equal(commit_of(&p, 0), SW_OK);
    prepare(&p, log, 28);
    assert_int_equal(sync_of(&p, 1), SW_OK); /* And the checkpoint was not: the older one is restored. */
    sw_evlog_close(log, NULL);
    assert_int_equal(commit_of(&p, 0), SW_OK);
    log = writer_of("a", SMALL);
    assert_int_equal(sw_evlog_next(log), 10);
    assert_int_equal(commit_of(&p, 1), SW_ESTATE); /* Its records are gone. */
    assert_int_equal(sync_of(&p, 1), SW_ESTATE);
    assert_int_equal(commit_of(&p, 0), SW_OK);
    prepare(&p, log, 12);
    assert_int_equal(sync_of(&p, 2), SW_OK);
    assert_int_equal(commit_of(&p, 2), SW_OK);
    sw_evlog_close(log, NULL);
    holds("a", 0, 12);
    free_values(&p);
}

static void another_writer_does_not_cut_what_a_checkpoint_has_prepared(void **state)
{
    (void)state;
    prepared p = { 0 };
    sw_evlog *log = writer_of("a", SMALL), *other = NULL;
    sw_error err;
    prepare(&p, log, 10);
    assert_int_equal(sync_of(&p, 0), SW_OK);
    sw_evlog_close(log, NULL);
    assert_int_equal(sw_evlog_open(&other, logs, "a", NULL, &err), SW_ESTATE);
    assert_non_null(strstr(err.text, "event log a holds 10 records that a checkpoint of a job has prepared"));
    assert_int_equal(commit_of(&p, 0), SW_OK);
    assert_int_equal(sw_evlog_open(&other, logs, "a", NULL, &err), SW_OK);
    sw_evlog_close(other, NULL);
    holds("a", 0, 10);
    free_values(&p);
}

static void rewinding_keeps_what_it_takes_back_beside_under_the_same_numbers(void **state)
{
    (void)state;
    prepared p = { 0 };
    sw_buf said;
    sw_evlog *log = writer_of("a", SMALL);
    prepare(&p, log, 10);
    prepare(&p, log, 30);
    for (int i = 0; i < 2; i++) assert_int_equal(sync_of(&p, i), SW_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(commit_of(&p, i), SW_OK);
    assert_int_equal(rewind_to(&p, 0, 1, &said), SW_EBUSY);
    sw_buf_deinit(&said);
    sw_evlog_close(log, NULL);
    sw_evlog_reader *reader = reader_of("a");
    reads(reader, 0, 30);
    assert_int_equal(rewind_to(&p, 0, 1, &said), SW_OK);
    assert_string_equal((char *)said.data, "event log a is cut back to record 10; its records up to 29 are kept as "
                                           "event log a.cut-1");
    sw_buf_deinit(&said);
    holds("a", 0, 10);
    holds("a.cut-1", 10, 30);
    assert_int_equal(sw_evlog_reader_refresh(reader, NULL), SW_ESTATE);
    sw_evlog_reader_close(reader);
    assert_int_equal(rewind_to(&p, 0, 1, &said), SW_OK); /* Nothing to take back: nothing is said. */
    assert_string_equal((char *)said.data, "");
    sw_buf_deinit(&said);
    assert_int_equal(commit_of(&p, 1), SW_ESTATE);
    make_log("a", SMALL, 14);
    assert_int_equal(rewind_to(&p, 0, 1, &said), SW_OK);
    assert_non_null(strstr((char *)said.data, "up to 13 are kept as event log a.cut-1-2"));
    sw_buf_deinit(&said);
    holds("a.cut-1-2", 10, 14);
    holds("a.cut-1", 10, 30);
    make_log("a", SMALL, 40);
    holds("a", 0, 40);
    free_values(&p);
}

static void rewinding_to_the_very_beginning_works(void **state)
{
    (void)state;
    prepared p = { 0 };
    sw_buf said;
    sw_evlog *log = writer_of("a", SMALL);
    prepare(&p, log, 0);
    prepare(&p, log, 17);
    for (int i = 0; i < 2; i++) assert_int_equal(sync_of(&p, i), SW_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(commit_of(&p, i), SW_OK);
    sw_evlog_close(log, NULL);
    assert_int_equal(rewind_to(&p, 0, 7, &said), SW_OK);
    sw_buf_deinit(&said);
    holds("a", 0, 0);
    holds("a.cut-7", 0, 17);
    make_log("a", SMALL, 9);
    holds("a", 0, 9);
    free_values(&p);
}

static void a_value_that_is_damaged_is_refused(void **state)
{
    (void)state;
    prepared p = { 0 };
    sw_evlog *log = writer_of("a", SMALL);
    prepare(&p, log, 10);
    sw_evlog_close(log, NULL);
    for (size_t len = 0; len < p.values[0].size; len++)
        assert_int_equal(sw_evlog_commit_value(p.values[0].data, len, NULL), SW_EFORMAT);
    free_values(&p);
}

/* --- killed ------------------------------------------------------------------------------------------------------ */

/* What a job does between two restarts, all with one file as its checkpoint: the last value that was written there is
 * committed again, then it goes on with ten records a checkpoint. */
static void runs(void *arg)
{
    const char *checkpoint = arg;
    sw_buf value;
    uint64_t end = 0;
    sw_buf_init(&value);
    if (sw_fs_exists(checkpoint)) {
        if (sw_fs_read_all(checkpoint, &value, 1 << 20, NULL) != SW_OK) _exit(2);
        if (sw_evlog_commit_value(value.data, value.size, NULL) != SW_OK) _exit(3);
    }
    sw_evlog *log = writer_of("a", SMALL);
    for (end = sw_evlog_next(log) + 10; end <= 50; end += 10) {
        char making[300];
        append_to(log, sw_evlog_next(log), end);
        sw_buf_clear(&value);
        if (sw_evlog_prepare(log, &value, NULL) != SW_OK) _exit(4);
        append_to(log, end, end + 1); /* Not part of it. */
        if (sw_evlog_flush(log, NULL) != SW_OK) _exit(5);
        if (sw_evlog_sync_value(value.data, value.size, NULL) != SW_OK) _exit(6);
        snprintf(making, sizeof(making), "%s.new", checkpoint);
        put_file(making, value.data, value.size);
        if (sw_fs_rename(making, checkpoint, NULL) != SW_OK) _exit(7);
        if (sw_evlog_commit_value(value.data, value.size, NULL) != SW_OK) _exit(8);
        if (sw_evlog_next(log) == 51) break;
        sw_evlog_close(log, NULL); /* As after a failure: what was not prepared is cut. */
        log = writer_of("a", SMALL);
    }
    sw_evlog_close(log, NULL);
    sw_buf_deinit(&value);
}

static const char *const points[] = {
    "log.end.write",  "log.end.written",  "log.end.synced", "log.segment.write", "log.segment.written",
    "log.value.sync", "log.value.synced", "log.cut.begin",  "log.cut.truncate",  "log.cut.truncated",
    "log.cut.remove", "log.cut.removed",  "log.cut.done",   "log.segment.made",  "log.segment.headed",
};

static void killed_at_any_point_output_is_that_of_a_run_without(void **state)
{
    (void)state;
    char checkpoint[256];
    snprintf(checkpoint, sizeof(checkpoint), "%s", in_logs("checkpoint"));
    for (size_t p = 0; p < sizeof(points) / sizeof(points[0]); p++) {
        int status = -9;
        for (long n = 1; status == -9; n++) {
            uint64_t before = 0;
            sw_evlog_reader *reader = NULL;
            if (sw_evlog_reader_open(&reader, logs, "a", NULL) == SW_OK) before = sw_evlog_reader_committed(reader);
            crash_at(points[p], n);
            status = in_child(runs, checkpoint);
            crash_at(NULL, 0);
            if (reader != NULL) { /* One that reads all the time never sees anything taken back. */
                assert_int_equal(sw_evlog_reader_refresh(reader, NULL), SW_OK);
                assert_true(sw_evlog_reader_committed(reader) >= before);
                assert_int_equal(sw_evlog_reader_committed(reader) % 10, 0);
            }
            sw_evlog_reader_close(reader);
        }
        assert_int_equal(status, 0);
        holds("a", 0, 50);
        assert_int_equal(remove_tree(in_logs("a")), 0);
        assert_int_equal(sw_fs_remove(checkpoint, NULL), SW_OK);
    }
}

typedef struct rewinding {
    prepared values; /* of 10 and 30 records */
} rewinding;

static void rewinds(void *arg)
{
    rewinding *r = arg;
    sw_buf said;
    if (rewind_to(&r->values, 0, 1, &said) != SW_OK) _exit(1);
}

static void killed_while_it_rewinds_nothing_is_lost(void **state)
{
    (void)state;
    static const char *const rewind_points[] = { "log.rewind.rename", "log.rewind.renamed", "log.cut.begin",
                                                 "log.cut.remove",    "log.cut.removed",    "log.cut.truncate",
                                                 "log.end.write",     "log.end.written" };
    for (size_t p = 0; p < sizeof(rewind_points) / sizeof(rewind_points[0]); p++) {
        rewinding r = { 0 };
        sw_evlog *log = writer_of("a", SMALL);
        prepare(&r.values, log, 10);
        prepare(&r.values, log, 30);
        for (int i = 0; i < 2; i++) assert_int_equal(sync_of(&r.values, i), SW_OK);
        for (int i = 0; i < 2; i++) assert_int_equal(commit_of(&r.values, i), SW_OK);
        sw_evlog_close(log, NULL);
        int status = -9;
        for (long n = 1; status == -9; n++) {
            crash_at(rewind_points[p], n);
            status = in_child(rewinds, &r);
            crash_at(NULL, 0);
            if (status == 0) assert_true(n > 1);
        }
        assert_int_equal(status, 0);
        holds("a", 0, 10);
        holds("a.cut-1", 10, 30);
        free_values(&r.values);
        assert_int_equal(remove_tree(logs), 0);
        assert_int_equal(sw_fs_mkdirs(logs, NULL), SW_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(prepared_records_are_seen_when_they_are_committed, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(what_is_not_committed_when_the_job_comes_back_is_cut, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(another_writer_does_not_cut_what_a_checkpoint_has_prepared, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(rewinding_keeps_what_it_takes_back_beside_under_the_same_numbers, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(rewinding_to_the_very_beginning_works, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_value_that_is_damaged_is_refused, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(killed_at_any_point_output_is_that_of_a_run_without, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(killed_while_it_rewinds_nothing_is_lost, make_logs, remove_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
