#include "logs.h"

#define SMALL 256u /* bytes of a segment: eight records, the first three segments hold 0, 8 and 16 on */

static sw_evlog_trimmed trim_by(sw_evlog_keep keep)
{
    sw_evlog_trimmed trimmed;
    sw_error err = { 0 };
    if (sw_evlog_trim(logs, "a", &keep, &trimmed, &err) != SW_OK) fail_msg("%s", err.text);
    return trimmed;
}

static void size_keeps_the_newest_segments(void **state)
{
    (void)state;
    make_log("a", SMALL, 30);
    sw_evlog_trimmed trimmed = trim_by((sw_evlog_keep){ .has_bytes = true, .bytes = 1u << 20 });
    assert_int_equal(trimmed.segments, 0);
    trimmed = trim_by((sw_evlog_keep){ .has_bytes = true, .bytes = 500 });
    assert_int_equal(trimmed.segments, 1);
    assert_int_equal(trimmed.bytes, 16 + 8 * 30);
    assert_int_equal(trimmed.first, 8);
    holds("a", 8, 30);
    trimmed = trim_by((sw_evlog_keep){ .has_bytes = true, .bytes = 0 });
    assert_int_equal(trimmed.first, 24);
    holds("a", 24, 30); /* The segment with the end stays. */
    make_log("a", SMALL, 50);
    holds("a", 24, 50);
}

static void age_removes_segments_whose_events_are_all_older(void **state)
{
    (void)state;
    make_log("a", SMALL, 30);
    assert_int_equal(trim_by((sw_evlog_keep){ .has_before = true, .before = 1007 }).segments, 0);
    assert_int_equal(trim_by((sw_evlog_keep){ .has_before = true, .before = 1008 }).first, 8);
    assert_int_equal(sw_fs_remove(in_logs("a/00000000000000000008.idx"), NULL), SW_OK);
    assert_int_equal(trim_by((sw_evlog_keep){ .has_before = true, .before = 1015 }).segments, 0);
    assert_int_equal(trim_by((sw_evlog_keep){ .has_before = true, .before = INT64_MAX }).first, 24);
    holds("a", 24, 30);
    assert_false(sw_fs_exists(in_logs("a/00000000000000000000.idx")));
}

static void registered_readers_keep_what_they_may_ask_for(void **state)
{
    (void)state;
    const sw_evlog_keep nothing = { .has_bytes = true };
    uint64_t number;
    make_log("a", SMALL, 30);
    assert_int_equal(sw_evlog_retain(logs, "a", "job/x.in#0", 20, NULL), SW_OK);
    assert_int_equal(sw_evlog_retain(logs, "a", "other", 9, NULL), SW_OK);
    assert_int_equal(sw_evlog_retained(logs, "a", "other", &number, NULL), SW_OK);
    assert_int_equal(number, 9);
    sw_evlog_trimmed trimmed = trim_by(nothing);
    assert_int_equal(trimmed.first, 8);
    assert_string_equal(trimmed.held_by, "other");
    assert_int_equal(sw_evlog_forget(logs, "a", "other", NULL), SW_OK);
    assert_int_equal(sw_evlog_forget(logs, "a", "other", NULL), SW_OK);
    assert_int_equal(sw_evlog_retained(logs, "a", "other", &number, NULL), SW_ENOTFOUND);
    trimmed = trim_by(nothing);
    assert_int_equal(trimmed.first, 16);
    assert_string_equal(trimmed.held_by, "job%2Fx.in%230");
    trimmed = trim_by((sw_evlog_keep){ .has_bytes = true, .is_forced = true });
    assert_int_equal(trimmed.first, 24);
    assert_string_equal(trimmed.held_by, "");
}

static void a_reader_whose_number_cannot_be_read_keeps_everything(void **state)
{
    (void)state;
    make_log("a", SMALL, 30);
    assert_int_equal(sw_evlog_retain(logs, "a", "x", 30, NULL), SW_OK);
    put_file(in_logs("a/readers/x"), "12", 2); /* Torn. */
    assert_int_equal(trim_by((sw_evlog_keep){ .has_bytes = true }).segments, 0);
    put_file(in_logs("a/readers/x"), "", 0);
    assert_int_equal(trim_by((sw_evlog_keep){ .has_bytes = true }).segments, 0);
    assert_int_equal(sw_evlog_retain(logs, "a", "x", 30, NULL), SW_OK);
    assert_int_equal(trim_by((sw_evlog_keep){ .has_bytes = true }).segments, 3);
}

static void a_log_is_trimmed_while_it_is_written_and_read(void **state)
{
    (void)state;
    make_log("a", SMALL, 30);
    sw_evlog *log = writer_of("a", SMALL);
    sw_evlog_reader *reader = reader_of("a");
    sw_evlog_record record;
    sw_error err;
    for (uint64_t n = 0; n < 3; n++) {
        assert_int_equal(sw_evlog_reader_read(reader, &record, NULL), SW_OK);
        is_record(&record, n);
    }
    assert_int_equal(trim_by((sw_evlog_keep){ .has_bytes = true }).first, 24);
    append_to(log, 30, 40);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    sw_evlog_close(log, NULL);
    for (uint64_t n = 3; n < 8; n++) { /* What it has open it reads to its end. */
        assert_int_equal(sw_evlog_reader_read(reader, &record, NULL), SW_OK);
        is_record(&record, n);
    }
    assert_int_equal(sw_evlog_reader_read(reader, &record, &err), SW_ENOTFOUND);
    assert_string_equal(err.text, "event log a: record 8 has been removed by retention");
    assert_int_equal(sw_evlog_reader_seek(reader, 8, &err), SW_ENOTFOUND);
    assert_string_equal(err.text, "event log a: record 8 has been removed by retention; the first is 24");
    assert_int_equal(sw_evlog_reader_seek_time(reader, 1008, NULL), SW_OK);
    assert_int_equal(sw_evlog_reader_next(reader), 24);
    sw_evlog_reader_close(reader);
    holds("a", 24, 40);
}

/* Without a sync at all: what was removed is not missed when the log is opened again. */
static void a_log_that_was_never_synced_may_be_trimmed(void **state)
{
    (void)state;
    sw_evlog *log = writer_of("a", SMALL);
    append_to(log, 0, 30);
    assert_int_equal(sw_evlog_publish(log, false, NULL), SW_OK);
    sw_evlog_close(log, NULL);
    assert_int_equal(trim_by((sw_evlog_keep){ .has_bytes = true }).first, 24);
    log = writer_of("a", SMALL);
    assert_string_equal(sw_evlog_repair(log), "");
    assert_int_equal(sw_evlog_next(log), 30);
    sw_evlog_close(log, NULL);
    holds("a", 24, 30);
}

static void trims(void *arg)
{
    (void)arg;
    trim_by((sw_evlog_keep){ .has_bytes = true });
}

static void killed_while_it_trims_a_log_stays_whole(void **state)
{
    (void)state;
    static const char *const points[] = { "log.trim.remove", "log.trim.removed" };
    for (int p = 0; p < 2; p++)
        for (long n = 1; n <= 3; n++) {
            make_log("a", SMALL, 30);
            crash_at(points[p], n);
            assert_int_equal(in_child(trims, NULL), -9);
            crash_at(NULL, 0);
            holds("a", 8 * ((uint64_t)n - (p == 0)), 30);
            trims(NULL);
            holds("a", 24, 30);
            assert_int_equal(remove_tree(in_logs("a")), 0);
        }
}

static void info_counts_what_there_is(void **state)
{
    (void)state;
    sw_evlog_info info;
    make_log("a", SMALL, 0);
    assert_int_equal(sw_evlog_info_init(&info, logs, "a", NULL), SW_OK);
    assert_int_equal(info.committed, 0);
    assert_int_equal(info.segments, 1);
    assert_int_equal(info.bytes, 16);
    sw_evlog_info_deinit(&info);
    make_log("a", SMALL, 30);
    trim_by((sw_evlog_keep){ .has_bytes = true, .bytes = 500 });
    assert_int_equal(sw_evlog_retain(logs, "a", "x", 7, NULL), SW_OK);
    assert_int_equal(sw_evlog_info_init(&info, logs, "a", NULL), SW_OK);
    assert_int_equal(info.first, 8);
    assert_int_equal(info.committed, 30);
    assert_int_equal(info.prepared, 0);
    assert_int_equal(info.segments, 3);
    assert_int_equal(info.first_time, 1008);
    assert_int_equal(info.last_time, 1029);
    assert_int_equal(info.reader_count, 1);
    assert_string_equal(info.readers[0].reader, "x");
    assert_int_equal(info.readers[0].number, 7);
    sw_evlog_info_deinit(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(size_keeps_the_newest_segments, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(age_removes_segments_whose_events_are_all_older, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(registered_readers_keep_what_they_may_ask_for, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_reader_whose_number_cannot_be_read_keeps_everything, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_log_is_trimmed_while_it_is_written_and_read, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_log_that_was_never_synced_may_be_trimmed, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(killed_while_it_trims_a_log_stays_whole, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(info_counts_what_there_is, make_logs, remove_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
