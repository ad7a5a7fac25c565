#include "logs.h"

#define SMALL 256u /* bytes of a segment: eight records */

static const char last_segment[] = "a/00000000000000000016.log";

/* --- torn and damaged -------------------------------------------------------------------------------------------- */

/* A log of 20 records in three segments, of which the last four are visible but not synced. */
static void make_unsynced(void)
{
    sw_evlog *log = writer_of("a", SMALL);
    append_to(log, 0, 16);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    append_to(log, 16, 20);
    assert_int_equal(sw_evlog_publish(log, false, NULL), SW_OK);
    sw_evlog_close(log, NULL);
}

static void remove_log(void)
{
    assert_int_equal(remove_tree(in_logs("a")), 0);
}

/* Opens the log again; it has the whole ones of the records, says so, and takes more. */
static void is_cut_to(uint64_t whole)
{
    sw_evlog *log = writer_of("a", SMALL);
    assert_int_equal(sw_evlog_next(log), whole);
    if (whole == 20) assert_string_equal(sw_evlog_repair(log), "");
    else assert_non_null(strstr(sw_evlog_repair(log), " to 19 were damaged by a crash and are cut off"));
    append_to(log, whole, 30);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    sw_evlog_close(log, NULL);
    holds("a", 0, 30);
}

static void a_tail_torn_at_any_byte_is_cut_to_its_whole_records(void **state)
{
    (void)state;
    sw_buf bytes;
    make_unsynced();
    file_of(in_logs(last_segment), &bytes);
    remove_log();
    assert_int_equal(bytes.size, 16 + 4 * 31);
    for (size_t size = 0; size <= bytes.size; size++) {
        make_unsynced();
        put_file(in_logs(last_segment), bytes.data, size);
        is_cut_to(size < 16 ? 16 : 16 + (size - 16) / 31);
        remove_log();
    }
    sw_buf_deinit(&bytes);
}

static void a_tail_with_any_byte_flipped_is_cut_before_it(void **state)
{
    (void)state;
    sw_buf bytes;
    make_unsynced();
    file_of(in_logs(last_segment), &bytes);
    remove_log();
    for (size_t at = 0; at < bytes.size; at++) {
        make_unsynced();
        bytes.data[at] ^= 0x40;
        put_file(in_logs(last_segment), bytes.data, bytes.size);
        bytes.data[at] ^= 0x40;
        is_cut_to(at < 16 ? 16 : 16 + (at - 16) / 31);
        remove_log();
    }
    sw_buf_deinit(&bytes);
}

static void a_segment_that_was_lost_is_cut_off(void **state)
{
    (void)state;
    make_unsynced();
    assert_int_equal(sw_fs_remove(in_logs(last_segment), NULL), SW_OK);
    is_cut_to(16);
}

static void a_record_damaged_on_the_disk_is_never_read(void **state)
{
    (void)state;
    sw_buf bytes;
    make_log("a", 0, 10);
    const char *path = in_logs("a/00000000000000000000.log");
    file_of(path, &bytes);
    for (size_t at = 0; at < bytes.size; at++) {
        sw_evlog_reader *reader = NULL;
        sw_evlog_record record;
        sw_error err;
        bytes.data[at] ^= 1;
        put_file(path, bytes.data, bytes.size);
        bytes.data[at] ^= 1;
        int rc = sw_evlog_reader_open(&reader, logs, "a", &err);
        uint64_t n = 0;
        while (rc == SW_OK && (rc = sw_evlog_reader_read(reader, &record, &err)) == SW_OK) is_record(&record, n++);
        assert_int_equal(rc, SW_EFORMAT);
        assert_int_equal(n, at < 16 ? 0 : (at - 16) / 30);
        assert_non_null(strstr(err.text, "/a/00000000000000000000.log"));
        sw_evlog_reader_close(reader);
    }
    sw_buf_deinit(&bytes);
}

static void a_damaged_slot_of_the_end_leaves_the_other(void **state)
{
    (void)state;
    sw_buf bytes;
    sw_evlog *log = writer_of("a", SMALL);
    append_to(log, 0, 10);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    append_to(log, 10, 20);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    sw_evlog_close(log, NULL);
    file_of(in_logs("a/end"), &bytes);
    for (size_t at = 0; at < bytes.size; at++) {
        if (at >= 104 && at < 512) continue; /* Between the slots nothing counts. */
        bytes.data[at] ^= 0x10;
        put_file(in_logs("a/end"), bytes.data, bytes.size);
        bytes.data[at] ^= 0x10;
        sw_evlog_reader *reader = reader_of("a");
        uint64_t end = sw_evlog_reader_committed(reader);
        assert_true(end == 10 || end == 20);
        reads(reader, 0, end);
        sw_evlog_reader_close(reader);
    }
    sw_buf_deinit(&bytes);
}

static void a_log_without_an_end_counts_its_whole_records(void **state)
{
    (void)state;
    sw_evlog_reader *reader = NULL;
    make_log("a", SMALL, 20);
    put_file(in_logs("a/end"), "nonsense", 8);
    assert_int_equal(sw_evlog_reader_open(&reader, logs, "a", NULL), SW_EFORMAT);
    sw_evlog *log = writer_of("a", SMALL);
    assert_non_null(strstr(sw_evlog_repair(log), "the file \"end\" was damaged"));
    assert_int_equal(sw_evlog_next(log), 20);
    sw_evlog_close(log, NULL);
    holds("a", 0, 20);
}

static void a_reader_whose_records_were_lost_is_told(void **state)
{
    (void)state;
    sw_error err;
    make_unsynced();
    sw_evlog_reader *ahead = reader_of("a"), *behind = reader_of("a");
    reads(ahead, 0, 20);
    uint64_t taken = sw_evlog_reader_taken(ahead);
    assert_int_equal(sw_fs_remove(in_logs(last_segment), NULL), SW_OK);
    is_cut_to(16);
    assert_int_equal(sw_evlog_reader_refresh(ahead, &err), SW_ESTATE);
    assert_non_null(strstr(err.text, "was cut back to record 16, but records up to 20 have been read"));
    assert_int_equal(sw_evlog_reader_refresh(behind, &err), SW_OK);
    reads(behind, 0, 30);
    assert_int_equal(sw_evlog_reader_check(behind, 20, taken, &err), SW_ESTATE);
    assert_int_equal(sw_evlog_reader_check(behind, 16, taken, &err), SW_OK);
    sw_evlog_reader_close(ahead);
    sw_evlog_reader_close(behind);
}

/* --- killed ------------------------------------------------------------------------------------------------------ */

/* Appends 40 records in small steps, in the way of `arg`: durable or not. */
static void writes_on(void *arg)
{
    const bool *is_durable = arg;
    sw_evlog *log = writer_of("a", SMALL);
    for (uint64_t n = sw_evlog_next(log); n < 40; n = sw_evlog_next(log)) {
        append_to(log, n, n + 3);
        if (n % 2 == 0 && sw_evlog_flush(log, NULL) != SW_OK) _exit(1);
        if (sw_evlog_publish(log, *is_durable, NULL) != SW_OK) _exit(1);
    }
    sw_evlog_close(log, NULL);
}

static const char *const points[] = {
    "log.end.write",     "log.end.written",  "log.end.synced",     "log.segment.write", "log.segment.written",
    "log.index.written", "log.segment.made", "log.segment.headed", "log.segment.sync",  "log.segment.synced",
    "log.dir.synced",    "log.cut.truncate", "log.cut.truncated",  "log.cut.done",
};

static void killed_at_any_point_nothing_published_is_lost(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2 * sizeof(points) / sizeof(points[0]); p++) {
        bool is_durable = p % 2 == 0;
        long n = 1;
        for (;; n++) {
            crash_at(points[p / 2], n);
            int status = in_child(writes_on, &is_durable);
            crash_at(NULL, 0);
            if (status == 0) break;
            assert_int_equal(status, -9);
            uint64_t seen = 0;
            sw_evlog_reader *reader = NULL;
            if (sw_evlog_reader_open(&reader, logs, "a", NULL) == SW_OK) seen = sw_evlog_reader_committed(reader);
            sw_evlog_reader_close(reader);
            assert_int_equal(seen % 3, 0);
            sw_evlog *log = writer_of("a", SMALL);
            assert_string_equal(sw_evlog_repair(log), "");
            assert_int_equal(sw_evlog_next(log), seen);
            sw_evlog_close(log, NULL);
            holds("a", 0, seen);
            if (n % 3 != 0) remove_log(); /* Sometimes the next one goes on where this one died. */
        }
        assert_true(n > 1 || !is_durable);
        holds("a", 0, 42);
        remove_log();
    }
}

/* --- failing ----------------------------------------------------------------------------------------------------- */

/* Opens, appends and publishes; the first code that is not SW_OK. *published: records that are certainly visible. */
static int try_all(uint64_t *published)
{
    const sw_evlog_options options = { .segment_bytes = SMALL, .cuts_prepared = true };
    sw_evlog *log = NULL;
    sw_error err;
    int rc = sw_evlog_open(&log, logs, "a", &options, &err);
    for (uint64_t n = 0; rc == SW_OK && n < 24; n++) {
        const sw_evlog_record record = { .time = 1000 + (int64_t)n, .body = (const uint8_t *)"body-0", .len = 6 };
        rc = sw_evlog_append(log, &record, &err);
        if (rc == SW_OK && n % 5 == 4 && (rc = sw_evlog_publish(log, n % 2 == 0, &err)) == SW_OK)
            *published = sw_evlog_next(log);
    }
    int closed = sw_evlog_close(log, &err);
    return rc != SW_OK ? rc : closed;
}

static void opens_again_with(uint64_t published)
{
    sw_evlog *log = writer_of("a", SMALL);
    assert_true(sw_evlog_next(log) >= published);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    sw_evlog_close(log, NULL);
}

static void any_operation_on_the_disk_may_fail(void **state)
{
    (void)state;
    for (sw_fault_kind kind = SW_FAULT_OPEN; kind <= SW_FAULT_REMOVE; kind++)
        for (long n = 0;; n++) {
            uint64_t published = 0;
            size_t live = sw_alloc_live();
            sw_fault_fail_kind_after(kind, n);
            int rc = try_all(&published);
            bool is_hit = sw_fault_hit();
            sw_fault_off();
            assert_int_equal(sw_alloc_live(), live);
            opens_again_with(published);
            if (sw_fs_is_dir(in_logs("a"))) remove_log();
            if (!is_hit) {
                assert_int_equal(rc, SW_OK);
                break;
            }
            assert_true(rc == SW_EIO || rc == SW_ENOSPC);
        }
}

/* Whatever fails on the way, a log that is opened again loses nothing and does not think that it was damaged. */
static void opening_may_fail_at_any_operation(void **state)
{
    (void)state;
    for (sw_fault_kind kind = SW_FAULT_ALLOC; kind <= SW_FAULT_REMOVE; kind++)
        for (long n = 0;; n++) {
            sw_evlog *log = NULL;
            const sw_evlog_options options = { .segment_bytes = SMALL, .cuts_prepared = true };
            make_unsynced();
            log = writer_of("a", SMALL);
            append_to(log, 20, 40);
            assert_int_equal(sw_evlog_close(log, NULL), SW_OK);
            log = NULL;
            sw_fault_fail_kind_after(kind, n);
            int rc = sw_evlog_open(&log, logs, "a", &options, NULL);
            bool is_hit = sw_fault_hit();
            sw_fault_off();
            sw_evlog_close(log, NULL);
            log = writer_of("a", SMALL);
            assert_string_equal(sw_evlog_repair(log), "");
            assert_int_equal(sw_evlog_next(log), 20);
            sw_evlog_close(log, NULL);
            holds("a", 0, 20);
            remove_log();
            if (!is_hit) {
                assert_int_equal(rc, SW_OK);
                break;
            }
        }
}

static void writing_goes_on_when_there_is_room_again(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        sw_evlog *log = writer_of("a", SMALL);
        int failures = 0;
        sw_fault_fail_kind_after(SW_FAULT_WRITE, n);
        for (uint64_t next = sw_evlog_next(log); next < 24; next = sw_evlog_next(log)) {
            char body[32];
            int len = snprintf(body, sizeof(body), "body-%lu", (unsigned long)next);
            const sw_evlog_record record = { .time = 1000 + (int64_t)next,
                                             .body = (uint8_t *)body,
                                             .len = (uint32_t)len };
            failures += sw_evlog_append(log, &record, NULL) == SW_ENOSPC;
            if (next % 5 == 4) failures += sw_evlog_publish(log, next % 2 == 0, NULL) == SW_ENOSPC;
        }
        failures += sw_evlog_publish(log, true, NULL) == SW_ENOSPC;
        sw_fault_off();
        assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
        sw_evlog_close(log, NULL);
        holds("a", 0, 24);
        remove_log();
        if (failures == 0) break;
        assert_int_equal(failures, 1);
    }
}

static void after_a_failed_sync_nothing_more_is_taken(void **state)
{
    (void)state;
    sw_error err;
    sw_evlog *log = writer_of("a", SMALL);
    append_to(log, 0, 5);
    sw_fault_fail_kind_after(SW_FAULT_SYNC, 0);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_EIO);
    sw_fault_off();
    assert_int_equal(sw_evlog_publish(log, true, &err), SW_EIO);
    assert_string_equal(err.text, "event log a: a sync has failed; it takes no more until it is opened again");
    assert_int_equal(sw_evlog_close(log, NULL), SW_OK);
    holds("a", 0, 0);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        uint64_t published = 0;
        size_t live = sw_alloc_live();
        sw_fault_fail_after(n);
        int rc = try_all(&published);
        bool is_hit = sw_fault_hit();
        sw_fault_off();
        assert_int_equal(sw_alloc_live(), live);
        opens_again_with(published);
        remove_log();
        if (!is_hit) {
            assert_int_equal(rc, SW_OK);
            break;
        }
        assert_int_equal(rc, SW_ENOMEM);
    }
}

static void a_reader_survives_every_failed_allocation(void **state)
{
    (void)state;
    make_log("a", SMALL, 20);
    for (long n = 0;; n++) {
        sw_evlog_reader *reader = NULL;
        sw_evlog_record record;
        sw_error err;
        size_t live = sw_alloc_live();
        sw_fault_fail_after(n);
        int rc = sw_evlog_reader_open(&reader, logs, "a", &err);
        if (rc == SW_OK) rc = sw_evlog_reader_seek(reader, 12, &err);
        if (rc == SW_OK) rc = sw_evlog_reader_seek_time(reader, 1003, &err);
        while (rc == SW_OK) rc = sw_evlog_reader_read(reader, &record, &err);
        bool is_hit = sw_fault_hit();
        sw_fault_off();
        sw_evlog_reader_close(reader);
        assert_int_equal(sw_alloc_live(), live);
        assert_int_equal(rc, is_hit ? SW_ENOMEM : SW_EEMPTY);
        if (!is_hit) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tail_torn_at_any_byte_is_cut_to_its_whole_records, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_tail_with_any_byte_flipped_is_cut_before_it, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_segment_that_was_lost_is_cut_off, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_record_damaged_on_the_disk_is_never_read, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_damaged_slot_of_the_end_leaves_the_other, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_log_without_an_end_counts_its_whole_records, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_reader_whose_records_were_lost_is_told, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(killed_at_any_point_nothing_published_is_lost, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(any_operation_on_the_disk_may_fail, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(opening_may_fail_at_any_operation, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(writing_goes_on_when_there_is_room_again, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(after_a_failed_sync_nothing_more_is_taken, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(any_allocation_may_fail, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_reader_survives_every_failed_allocation, make_logs, remove_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
