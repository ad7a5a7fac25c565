#include "logs.h"

#include "base/watch.h"

#define SMALL 256u /* bytes of a segment: eight records */

static void what_is_published_is_read_in_order(void **state)
{
    (void)state;
    make_log("a", 0, 1000);
    holds("a", 0, 1000);
    make_log("a", 0, 2000);
    holds("a", 0, 2000);
}

static void what_is_not_published_is_not_there_for_readers(void **state)
{
    (void)state;
    sw_evlog *log = writer_of("a", SMALL);
    append_to(log, 0, 10);
    holds("a", 0, 0);
    assert_int_equal(sw_evlog_flush(log, NULL), SW_OK);
    holds("a", 0, 0);
    assert_int_equal(sw_evlog_publish(log, false, NULL), SW_OK);
    holds("a", 0, 10);
    append_to(log, 10, 40);
    assert_int_equal(sw_evlog_close(log, NULL), SW_OK);
    holds("a", 0, 10);
    log = writer_of("a", SMALL); /* Cuts what was never seen. */
    assert_int_equal(sw_evlog_next(log), 10);
    assert_string_equal(sw_evlog_repair(log), "");
    append_to(log, 10, 12);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    sw_evlog_close(log, NULL);
    holds("a", 0, 12);
}

static void segments_follow_each_other_without_a_gap(void **state)
{
    (void)state;
    for (uint64_t count = 1; count < 40; count++) {
        char name[16];
        snprintf(name, sizeof(name), "log-%lu", (unsigned long)count);
        make_log(name, SMALL, count);
        holds(name, 0, count);
        sw_evlog_info info;
        assert_int_equal(sw_evlog_info_init(&info, logs, name, NULL), SW_OK);
        assert_int_equal(info.segments, (count - 1) / 8 + 1);
        assert_int_equal(info.committed, count);
        sw_evlog_info_deinit(&info);
    }
}

static void an_empty_log_and_empty_bodies_are_fine(void **state)
{
    (void)state;
    make_log("a", 0, 0);
    holds("a", 0, 0);
    sw_evlog *log = writer_of("a", 0);
    const sw_evlog_record record = { .time = -5, .flags = SW_EVLOG_MALFORMED };
    sw_evlog_record got;
    assert_int_equal(sw_evlog_append(log, &record, NULL), SW_OK);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    sw_evlog_close(log, NULL);
    sw_evlog_reader *reader = reader_of("a");
    assert_int_equal(sw_evlog_reader_read(reader, &got, NULL), SW_OK);
    assert_int_equal(got.len, 0);
    assert_int_equal(got.time, -5);
    assert_int_equal(got.flags, SW_EVLOG_MALFORMED);
    sw_evlog_reader_close(reader);
}

static void bodies_may_be_larger_than_buffers_and_segments(void **state)
{
    (void)state;
    size_t size = 3u << 20;
    uint8_t *body = sw_alloc(size);
    sw_evlog *log = writer_of("a", SMALL);
    for (int i = 0; i < 3; i++) {
        memset(body, 'a' + i, size);
        const sw_evlog_record record = { .body = body, .len = (uint32_t)size - (uint32_t)i };
        assert_int_equal(sw_evlog_append(log, &record, NULL), SW_OK);
    }
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    sw_evlog_close(log, NULL);
    sw_evlog_reader *reader = reader_of("a");
    for (int i = 0; i < 3; i++) {
        sw_evlog_record got;
        memset(body, 'a' + i, size);
        assert_int_equal(sw_evlog_reader_read(reader, &got, NULL), SW_OK);
        assert_int_equal(got.len, size - (size_t)i);
        assert_memory_equal(got.body, body, got.len);
    }
    sw_evlog_reader_close(reader);
    sw_free(body);
}

static void a_body_that_is_too_large_is_refused_and_nothing_is_lost(void **state)
{
    (void)state;
    sw_evlog *log = writer_of("a", 0);
    sw_error err;
    const sw_evlog_record record = { .body = (const uint8_t *)"", .len = SW_EVLOG_BODY_MAX + 1 };
    append_to(log, 0, 3);
    assert_int_equal(sw_evlog_append(log, &record, &err), SW_ELIMIT);
    append_to(log, 3, 5);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    sw_evlog_close(log, NULL);
    holds("a", 0, 5);
}

static void a_reader_goes_to_any_record(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { SMALL, 100000, 0 };
    char name[16];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "log-%d", i);
        uint64_t count = i == 0 ? 100 : 20000;
        make_log(name, sizes[i], count);
        sw_evlog_reader *reader = reader_of(name);
        for (uint64_t n = 0; n <= count; n += i == 0 ? 1 : 997) {
            sw_evlog_record record;
            assert_int_equal(sw_evlog_reader_seek(reader, n, NULL), SW_OK);
            assert_int_equal(sw_evlog_reader_next(reader), n);
            if (n == count) break;
            assert_int_equal(sw_evlog_reader_read(reader, &record, NULL), SW_OK);
            is_record(&record, n);
        }
        sw_error err;
        assert_int_equal(sw_evlog_reader_seek(reader, count + 1, &err), SW_ESTATE);
        sw_evlog_reader_close(reader);
    }
}

/* By looking at each: the first record with time >= `time`. */
static uint64_t first_at(const int64_t *times, uint64_t count, int64_t time)
{
    uint64_t n = 0;
    while (n < count && times[n] < time) n++;
    return n;
}

static void a_reader_starts_at_a_time_also_when_times_are_out_of_order(void **state)
{
    (void)state;
    int64_t times[6000];
    uint64_t seed = 7, sizes[] = { SMALL, 50000, 0 };
    for (int i = 0; i < 6000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        times[i] = i * 10 + (int64_t)(seed >> 33) % 500 - 250;
    }
    for (int s = 0; s < 3; s++) {
        uint64_t count = s == 0 ? 200 : 6000;
        char name[16], body[100] = { 0 };
        snprintf(name, sizeof(name), "log-%d", s);
        sw_evlog *log = writer_of(name, sizes[s]);
        for (uint64_t i = 0; i < count; i++) {
            const sw_evlog_record record = { .time = times[i], .body = (uint8_t *)body, .len = sizeof(body) };
            assert_int_equal(sw_evlog_append(log, &record, NULL), SW_OK);
        }
        assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
        sw_evlog_close(log, NULL);
        sw_evlog_reader *reader = reader_of(name);
        for (int64_t time = -300; time < (int64_t)count * 10 + 300; time += 171) {
            assert_int_equal(sw_evlog_reader_seek_time(reader, time, NULL), SW_OK);
            assert_int_equal(sw_evlog_reader_next(reader), first_at(times, count, time));
        }
        sw_evlog_reader_close(reader);
    }
}

static void a_log_is_read_without_its_index(void **state)
{
    (void)state;
    sw_buf index;
    make_log("a", 0, 20000);
    file_of(in_logs("a/00000000000000000000.idx"), &index);
    assert_int_equal(index.size, 32 * (20000 * 34 / 65536));
    sw_buf_deinit(&index);
    put_file(in_logs("a/00000000000000000000.idx"), "garbage that is longer than one entry of it is", 46);
    sw_evlog_reader *reader = reader_of("a");
    sw_evlog_record record;
    assert_int_equal(sw_evlog_reader_seek(reader, 19000, NULL), SW_OK);
    assert_int_equal(sw_evlog_reader_read(reader, &record, NULL), SW_OK);
    is_record(&record, 19000);
    assert_int_equal(sw_evlog_reader_seek_time(reader, 1000 + 17000, NULL), SW_OK);
    assert_int_equal(sw_evlog_reader_next(reader), 17000);
    sw_evlog_reader_close(reader);
    make_log("a", 0, 30000);
    holds("a", 0, 30000);
}

static void a_second_writer_is_refused_and_told_who_writes(void **state)
{
    (void)state;
    sw_evlog *log = writer_of("a", 0), *other = NULL;
    sw_error err;
    assert_int_equal(sw_evlog_open(&other, logs, "a", NULL, &err), SW_EBUSY);
    assert_string_equal(err.text, "event log a is being written by this process already");
    put_file(in_logs("a/lock"), "4711\n", 5);
    assert_int_equal(sw_evlog_open(&other, logs, "a", NULL, &err), SW_EBUSY);
    assert_string_equal(err.text, "event log a is being written by process 4711");
    assert_null(other);
    sw_evlog_close(log, NULL);
    make_log("a", 0, 1);
}

static void a_log_that_is_not_there_is_said_to_be_missing(void **state)
{
    (void)state;
    sw_error err;
    sw_evlog_reader *reader = NULL;
    assert_int_equal(sw_evlog_reader_open(&reader, logs, "a", &err), SW_ENOTFOUND);
    assert_non_null(strstr(err.text, "there is no event log \"a\" in "));
    assert_false(sw_fs_exists(in_logs("a")));
}

static void names_that_could_leave_the_folder_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "", ".", "..", ".a", "-a", "a/b", "a b", "\xc3\xa4" };
    static const char *const good[] = { "a", "A-b_c.d", "job.in", "%20x", "0" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(sw_evlog_check_name(bad[i], NULL), SW_EINVAL);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(sw_evlog_check_name(good[i], NULL), SW_OK);
    sw_buf out = { 0 };
    assert_int_equal(sw_evlog_escape(&out, ".my job/50%"), SW_OK);
    assert_int_equal(sw_buf_append(&out, "", 1), SW_OK);
    assert_string_equal((char *)out.data, "%2Emy%20job%2F50%25");
    sw_buf_deinit(&out);
}

/* --- growth ------------------------------------------------------------------------------------------------------ */

static void publishes_more(void *arg)
{
    (void)arg;
    sw_evlog *log = writer_of("a", SMALL);
    for (uint64_t n = 5; n < 100; n++) {
        append_to(log, n, n + 1);
        if (sw_evlog_publish(log, n % 10 == 0, NULL) != SW_OK) _exit(1);
    }
    sw_evlog_close(log, NULL);
}

static void a_reader_hears_of_what_another_process_writes(void **state)
{
    (void)state;
    make_log("a", SMALL, 5);
    sw_evlog_reader *reader = reader_of("a");
    reads(reader, 0, 5);
    int fd = sw_evlog_reader_fd(reader);
    assert_false(sw_watch_wait(fd, 0));
    assert_int_equal(in_child(publishes_more, NULL), 0);
    assert_true(sw_watch_wait(fd, 0));
    reads(reader, 5, 5); /* Not before it looks. */
    assert_int_equal(sw_evlog_reader_refresh(reader, NULL), SW_OK);
    assert_false(sw_watch_wait(fd, 0));
    reads(reader, 5, 100);
    sw_evlog_reader_close(reader);
}

static void a_reader_keeps_up_with_a_process_that_writes_meanwhile(void **state)
{
    (void)state;
    make_log("a", SMALL, 5);
    sw_evlog_reader *reader = reader_of("a");
    sw_evlog_record record;
    assert_true(sw_evlog_reader_fd(reader) >= 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        publishes_more(NULL);
        _exit(0);
    }
    for (uint64_t n = 0; n < 100;) {
        int rc = sw_evlog_reader_read(reader, &record, NULL);
        if (rc == SW_OK) {
            is_record(&record, n++);
            continue;
        }
        assert_int_equal(rc, SW_EEMPTY);
        assert_true(sw_watch_wait(sw_evlog_reader_fd(reader), 60000));
        assert_int_equal(sw_evlog_reader_refresh(reader, NULL), SW_OK);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    sw_evlog_reader_close(reader);
}

static void a_process_that_dies_while_it_writes_leaves_its_lock_to_others(void **state)
{
    (void)state;
    make_log("a", SMALL, 5);
    crash_at("log.end.written", 20);
    assert_int_equal(in_child(publishes_more, NULL), -9);
    crash_at(NULL, 0);
    sw_evlog *log = writer_of("a", SMALL);
    assert_string_equal(sw_evlog_repair(log), "");
    assert_int_equal(sw_evlog_next(log), 25);
    sw_evlog_close(log, NULL);
    holds("a", 0, 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_published_is_read_in_order, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(what_is_not_published_is_not_there_for_readers, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(segments_follow_each_other_without_a_gap, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(an_empty_log_and_empty_bodies_are_fine, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(bodies_may_be_larger_than_buffers_and_segments, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_body_that_is_too_large_is_refused_and_nothing_is_lost, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(a_reader_goes_to_any_record, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_reader_starts_at_a_time_also_when_times_are_out_of_order, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(a_log_is_read_without_its_index, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_second_writer_is_refused_and_told_who_writes, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_log_that_is_not_there_is_said_to_be_missing, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(names_that_could_leave_the_folder_are_refused, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_reader_hears_of_what_another_process_writes, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_reader_keeps_up_with_a_process_that_writes_meanwhile, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_process_that_dies_while_it_writes_leaves_its_lock_to_others, make_logs,
                                        remove_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
