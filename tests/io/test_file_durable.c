#include "sinks.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"

static const sw_sink_commit_ops *commit_ops;

static int find_ops(void **state)
{
    (void)state;
    commit_ops = sw_io_sink_commit_ops("file");
    signal(SIGXFSZ, SIG_IGN);
    return commit_ops == NULL;
}

static int open_at(const char *path, const char *mode, const sw_sink_context *context, sw_sink **out, sw_error *err)
{
    const sw_option list[] = { text_option("path", path), text_option("format", "lines"), text_option("mode", mode) };
    const sw_options options = { list, 3 };
    return sw_io_open_sink("file", &options, context, out, err);
}

static sw_sink *opened(sw_delivery delivery, const char *mode, const saved *restored)
{
    sw_sink *sink = NULL;
    sw_error err = { 0 };
    sw_sink_context context = sink_context(delivery, restored);
    if (open_at(in_dir("out"), mode, &context, &sink, &err) != SW_OK) fail_msg("%s", err.text);
    return sink;
}

static void put_line(sw_sink *sink, const char *line)
{
    assert_int_equal(put(sink, "lines", line, NULL), SW_OK);
}

static sw_buf prepared(sw_sink *sink, uint64_t checkpoint)
{
    sw_buf value = { 0 };
    sw_error err = { 0 };
    if (sink->ops->prepare(sink, checkpoint, &value, &err) != SW_OK) fail_msg("%s", err.text);
    return value;
}

static void sync_value(const sw_buf *value)
{
    sw_error err = { 0 };
    if (commit_ops->sync(value->data, value->size, &err) != SW_OK) fail_msg("%s", err.text);
}

static void commit_value(const sw_buf *value)
{
    sw_error err = { 0 };
    if (commit_ops->commit(value->data, value->size, &err) != SW_OK) fail_msg("%s", err.text);
}

static void close_sink(sw_sink *sink)
{
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
}

/* Opens, writes the line, prepares, closes, syncs and commits: a run of one checkpoint. */
static sw_buf one_checkpoint(const saved *restored, const char *line, uint64_t checkpoint)
{
    sw_sink *sink = opened(SW_EXACTLY_ONCE, "replace", restored);
    put_line(sink, line);
    sw_buf value = prepared(sink, checkpoint);
    close_sink(sink);
    sync_value(&value);
    commit_value(&value);
    return value;
}

/* --- exactly once ------------------------------------------------------------------------------------------------- */

static void rows_are_seen_when_their_checkpoint_is_committed_and_not_before(void **state)
{
    (void)state;
    write_file("out", "old\n");
    sw_sink *sink = opened(SW_EXACTLY_ONCE, "replace", NULL);
    assert_true(sink->is_transactional);
    assert_content("out", "");
    put_line(sink, "a");
    put_line(sink, "b");
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    sw_buf first = prepared(sink, 1);
    put_line(sink, "c");
    sync_value(&first);
    assert_content("out", "");
    commit_value(&first);
    assert_content("out", "a\nb\n");
    sw_buf second = prepared(sink, 2);
    put_line(sink, "never prepared");
    close_sink(sink);
    sync_value(&second);
    commit_value(&second);
    assert_content("out", "a\nb\nc\n");
    assert_int_equal(names_in("sinks"), 0);
    sw_buf_deinit(&first);
    sw_buf_deinit(&second);
}

static void what_is_there_already_stays_in_append_mode(void **state)
{
    (void)state;
    write_file("out", "old\n");
    sw_sink *sink = opened(SW_EXACTLY_ONCE, "append", NULL);
    put_line(sink, "a");
    sw_buf value = prepared(sink, 1);
    close_sink(sink);
    assert_content("out", "old\n");
    commit_value(&value);
    assert_content("out", "old\na\n");
    sw_buf_deinit(&value);
}

static void a_checkpoint_without_rows_makes_no_file(void **state)
{
    saved s = { 0 };
    (void)state;
    sw_sink *sink = opened(SW_EXACTLY_ONCE, "replace", NULL);
    assert_int_equal(names_in("sinks"), 0);
    put_line(sink, "a");
    sw_buf first = prepared(sink, 1);
    assert_int_equal(names_in("sinks"), 1);
    saved_add(&s, 0, prepared(sink, 2));
    assert_int_equal(names_in("sinks"), 1);
    close_sink(sink);
    commit_value(&first);
    sync_value(&s.values[0]);
    commit_value(&s.values[0]);
    sw_buf value = one_checkpoint(&s, "b", 3);
    assert_content("out", "a\nb\n");
    sw_buf_deinit(&value);
    sw_buf_deinit(&first);
    saved_free(&s);
}

static void values_of_failed_checkpoints_are_committed_in_order_with_the_next(void **state)
{
    saved s = { 0 };
    (void)state;
    sw_sink *sink = opened(SW_EXACTLY_ONCE, "replace", NULL);
    for (int i = 0; i < 4; i++) {
        char line[2] = { (char)('a' + i), 0 };
        put_line(sink, line);
        saved_add(&s, 0, prepared(sink, (uint64_t)i + 1));
    }
    close_sink(sink);
    for (int i = 0; i < 4; i++) sync_value(&s.values[i]);
    for (int i = 0; i < 4; i++) commit_value(&s.values[i]);
    for (int i = 0; i < 4; i++) commit_value(&s.values[i]);
    assert_content("out", "a\nb\nc\nd\n");
    sw_buf value = one_checkpoint(&s, "e", 9);
    assert_content("out", "a\nb\nc\nd\ne\n");
    sw_buf_deinit(&value);
    saved_free(&s);
}

/* A commit breaks off with any number of its bytes in the file; the segment is still there. */
static void a_commit_that_was_broken_off_at_any_byte_is_finished(void **state)
{
    static const char text[] = "first\nsecond\nthird, rather long\n";
    (void)state;
    for (size_t bytes = 6; bytes <= strlen(text); bytes++) {
        sw_sink *sink = opened(SW_EXACTLY_ONCE, "replace", NULL);
        put_line(sink, "first");
        sw_buf first = prepared(sink, 1);
        put_line(sink, "second");
        put_line(sink, "third, rather long");
        sw_buf second = prepared(sink, 2);
        close_sink(sink);
        commit_value(&first);
        sw_file *file = NULL;
        assert_int_equal(sw_file_open_update(&file, in_dir("out"), NULL), SW_OK);
        assert_int_equal(sw_file_pwrite(file, text + 6, bytes - 6, 6, NULL), SW_OK);
        sw_file_close(file, NULL);
        commit_value(&second);
        assert_content("out", text);
        commit_value(&second);
        assert_content("out", text);
        sw_buf_deinit(&first);
        sw_buf_deinit(&second);
    }
}

static void segments_that_no_checkpoint_names_are_removed_at_the_next_start(void **state)
{
    sw_sink_context third = sink_context(SW_EXACTLY_ONCE, NULL);
    sw_sink *sink = NULL;
    (void)state;
    third.instance = 2;
    third.count = 3;
    assert_int_equal(open_at(in_dir("other-{instance}"), "replace", &third, &sink, NULL), SW_OK);
    put_line(sink, "of an instance there will not be");
    sw_buf lost = prepared(sink, 1);
    close_sink(sink);
    sw_buf_deinit(&lost);
    assert_int_equal(names_in("sinks"), 1);
    sink = opened(SW_EXACTLY_ONCE, "replace", NULL);
    assert_int_equal(names_in("sinks"), 0);
    put_line(sink, "a");
    lost = prepared(sink, 1);
    close_sink(sink);
    assert_int_equal(names_in("sinks"), 1);
    sw_buf value = one_checkpoint(NULL, "b", 2);
    assert_content("out", "b\n");
    assert_int_equal(names_in("sinks"), 0);
    sw_buf_deinit(&lost);
    sw_buf_deinit(&value);
}

static void more_than_the_buffers_hold_is_committed_whole(void **state)
{
    sw_buf line = { 0 }, expected = { 0 };
    (void)state;
    sw_sink *sink = opened(SW_EXACTLY_ONCE, "replace", NULL);
    for (int i = 0; i < 3000; i++) {
        sw_buf_clear(&line);
        sw_buf_printf(&line, "%d %0*d", i, i % 2000, i);
        put_line(sink, (char *)line.data);
        sw_buf_printf(&expected, "%s\n", (char *)line.data);
    }
    sw_buf value = prepared(sink, 1);
    close_sink(sink);
    commit_value(&value);
    sw_buf content = content_of("out");
    assert_true(expected.size > 2 << 20);
    assert_int_equal(content.size, expected.size);
    assert_memory_equal(content.data, expected.data, expected.size);
    sw_buf_deinit(&content);
    sw_buf_deinit(&value);
    sw_buf_deinit(&line);
    sw_buf_deinit(&expected);
}

/* --- what somebody else did to the files -------------------------------------------------------------------------- */

static void assert_commit_refused(const sw_buf *value, const char *reason)
{
    sw_error err = { 0 };
    assert_int_equal(commit_ops->commit(value->data, value->size, &err), SW_ESTATE);
    if (strstr(err.text, reason) == NULL) fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
    assert_non_null(strstr(err.text, in_dir("out")));
}

static void a_target_that_was_cut_or_removed_is_refused_and_not_filled_with_zeros(void **state)
{
    (void)state;
    sw_sink *sink = opened(SW_EXACTLY_ONCE, "replace", NULL);
    put_line(sink, "first");
    sw_buf first = prepared(sink, 1);
    put_line(sink, "second");
    sw_buf second = prepared(sink, 2);
    close_sink(sink);
    commit_value(&first);
    assert_int_equal(truncate(in_dir("out"), 3), 0);
    assert_commit_refused(&second, "has 3 bytes, but 6 were committed");
    assert_content("out", "fir");
    assert_int_equal(unlink(in_dir("out")), 0);
    assert_commit_refused(&second, "is gone");
    assert_false(sw_fs_exists(in_dir("out")));
    write_file("out", "first\n");
    commit_value(&second);
    assert_int_equal(truncate(in_dir("out"), 8), 0);
    assert_commit_refused(&second, "has 8 bytes, but the checkpoint says 13");
    sw_buf_deinit(&first);
    sw_buf_deinit(&second);
}

static void a_segment_that_was_changed_is_not_taken_for_the_one_prepared(void **state)
{
    char **names = NULL, path[300];
    size_t count = 0;
    (void)state;
    sw_sink *sink = opened(SW_EXACTLY_ONCE, "replace", NULL);
    put_line(sink, "first");
    sw_buf value = prepared(sink, 1);
    close_sink(sink);
    assert_int_equal(sw_fs_list(in_dir("sinks"), &names, &count, NULL), SW_OK);
    assert_int_equal(count, 1);
    snprintf(path, sizeof(path), "sinks/%s", names[0]);
    write_file(path, "fir5t\n");
    assert_commit_refused(&value, "it was cut or replaced");
    assert_content("out", "");
    sw_fs_glob_free(names, count);
    sw_buf_deinit(&value);
}

static void assert_open_refused(sw_delivery delivery, const saved *s, const char *reason)
{
    sw_sink *sink = NULL;
    sw_error err = { 0 };
    sw_sink_context context = sink_context(delivery, s);
    assert_int_equal(open_at(in_dir("out"), "replace", &context, &sink, &err), SW_ESTATE);
    assert_null(sink);
    if (strstr(err.text, reason) == NULL) fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
}

static void a_sink_does_not_go_on_with_a_file_that_is_not_the_checkpoints(void **state)
{
    saved s = { 0 };
    (void)state;
    saved_add(&s, 0, one_checkpoint(NULL, "first", 1));
    for (int i = 0; i < 2; i++) {
        sw_delivery delivery = i == 0 ? SW_EXACTLY_ONCE : SW_AT_LEAST_ONCE;
        assert_int_equal(truncate(in_dir("out"), 5), 0);
        assert_open_refused(delivery, &s, "has 5 bytes, but at the checkpoint it had 6");
        assert_int_equal(unlink(in_dir("out")), 0);
        assert_open_refused(delivery, &s, "has 0 bytes, but at the checkpoint it had 6");
        assert_false(sw_fs_exists(in_dir("out")));
        write_file("out", "first\n");
    }
    write_file("out", "first\nforeign\n");
    assert_open_refused(SW_EXACTLY_ONCE, &s, "somebody else has written to it");
    saved_free(&s);
}

static void output_that_moved_is_gone_on_with_and_a_new_name_begins_a_new_file(void **state)
{
    sw_sink_context context;
    sw_sink *sink = NULL;
    sw_error err = { 0 };
    saved s = { 0 };
    (void)state;
    saved_add(&s, 0, one_checkpoint(NULL, "first", 1));
    context = sink_context(SW_EXACTLY_ONCE, &s);
    assert_int_equal(open_at(in_dir("new"), "replace", &context, &sink, NULL), SW_OK);
    put_line(sink, "x");
    sw_buf value = prepared(sink, 2);
    close_sink(sink);
    commit_value(&value);
    assert_content("new", "x\n");
    sw_buf_deinit(&value);
    assert_int_equal(open_at(in_dir("new"), "replace", &context, &sink, &err), SW_ESTATE);
    assert_non_null(strstr(err.text, "it is not the output of the checkpoint"));
    assert_int_equal(rename(in_dir("out"), in_dir("new")), 0);
    commit_value(&s.values[0]);
    assert_int_equal(open_at(in_dir("new"), "replace", &context, &sink, NULL), SW_OK);
    put_line(sink, "y");
    value = prepared(sink, 2);
    close_sink(sink);
    commit_value(&value);
    assert_content("new", "first\ny\n");
    sw_buf_deinit(&value);
    saved_free(&s);
}

static void two_sinks_on_one_file_are_refused(void **state)
{
    sw_sink_context context = sink_context(SW_EXACTLY_ONCE, NULL);
    sw_sink *other = NULL;
    sw_error err = { 0 };
    (void)state;
    write_file("out", "old\n");
    sw_sink *sink = opened(SW_EXACTLY_ONCE, "append", NULL);
    assert_int_equal(open_at(in_dir("out"), "replace", &context, &other, &err), SW_EBUSY);
    assert_non_null(strstr(err.text, "is being written by another sink"));
    assert_content("out", "old\n");
    close_sink(sink);
}

static void a_device_is_written_directly(void **state)
{
    sw_sink_context context = sink_context(SW_EXACTLY_ONCE, NULL);
    sw_sink *sink = NULL;
    sw_error err = { 0 };
    (void)state;
    assert_int_equal(open_at("/dev/null", "replace", &context, &sink, NULL), SW_OK);
    assert_false(sink->is_transactional);
    put_line(sink, "a");
    sw_buf value = prepared(sink, 1);
    assert_int_equal(value.size, 0);
    sync_value(&value);
    commit_value(&value);
    close_sink(sink);
    assert_int_equal(open_at("/dev/full", "replace", &context, &sink, NULL), SW_OK);
    put_line(sink, "a");
    assert_int_equal(sink->ops->prepare(sink, 1, &value, &err), SW_ENOSPC);
    close_sink(sink);
}

/* --- going back --------------------------------------------------------------------------------------------------- */

static void an_older_checkpoint_takes_back_what_came_behind_it_and_keeps_it_beside(void **state)
{
    saved s = { 0 };
    sw_buf said = { 0 };
    (void)state;
    saved_add(&s, 0, one_checkpoint(NULL, "a", 4));
    sw_buf later = one_checkpoint(&s, "b", 5);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(commit_ops->rewind(later.data, later.size, 5, &said, NULL), SW_OK);
        assert_int_equal(said.size, 0);
    }
    sw_buf_deinit(&later);
    commit_value(&s.values[0]);
    assert_int_equal(commit_ops->rewind(s.data[0], s.lens[0], 4, &said, NULL), SW_OK);
    sw_buf_append(&said, "", 1);
    assert_non_null(strstr((char *)said.data, in_dir("out")));
    assert_non_null(strstr((char *)said.data, in_dir("out.cut-4")));
    assert_content("out", "a\n");
    assert_content("out.cut-4", "b\n");
    later = one_checkpoint(&s, "B", 6);
    assert_content("out", "a\nB\n");
    assert_int_equal(commit_ops->rewind(s.data[0], s.lens[0], 4, &said, NULL), SW_OK);
    assert_content("out", "a\n");
    assert_content("out.cut-4", "b\n");
    assert_content("out.cut-4.2", "B\n");
    sw_buf_deinit(&later);
    sw_buf_deinit(&said);
    saved_free(&s);
}

/* A crash between the copy and the cut: the copy is known again. */
static void what_was_kept_already_is_not_kept_twice(void **state)
{
    sw_buf said = { 0 };
    (void)state;
    sw_buf value = one_checkpoint(NULL, "a", 4);
    write_file("out", "a\nb\n");
    write_file("out.cut-4", "b\n");
    assert_int_equal(commit_ops->rewind(value.data, value.size, 4, &said, NULL), SW_OK);
    assert_content("out", "a\n");
    assert_content("out.cut-4", "b\n");
    assert_false(sw_fs_exists(in_dir("out.cut-4.2")));
    assert_false(sw_fs_exists(in_dir("out.cut-tmp")));
    sw_buf_deinit(&said);
    sw_buf_deinit(&value);
}

/* --- at least once ------------------------------------------------------------------------------------------------ */

static void written_directly_rows_are_seen_at_once_and_gone_on_with(void **state)
{
    saved s = { 0 };
    (void)state;
    sw_sink *sink = opened(SW_AT_LEAST_ONCE, "replace", NULL);
    assert_false(sink->is_transactional);
    put_line(sink, "a");
    saved_add(&s, 0, prepared(sink, 1));
    assert_content("out", "a\n");
    sync_value(&s.values[0]);
    commit_value(&s.values[0]);
    put_line(sink, "b");
    close_sink(sink);
    for (int i = 0; i < 2; i++) {
        sink = opened(SW_AT_LEAST_ONCE, "replace", &s);
        assert_content("out", "a\nb\n");
        close_sink(sink);
    }
    sink = opened(SW_AT_MOST_ONCE, "replace", &s);
    put_line(sink, "c");
    close_sink(sink);
    assert_content("out", "a\nb\nc\n");
    assert_int_equal(names_in("."), 1);
    saved_free(&s);
}

static void a_torn_last_line_is_cut_off_but_nothing_before_the_checkpoint(void **state)
{
    saved s = { 0 };
    sw_buf long_line = { 0 };
    (void)state;
    sw_sink *sink = opened(SW_AT_LEAST_ONCE, "replace", NULL);
    put_line(sink, "a");
    saved_add(&s, 0, prepared(sink, 1));
    close_sink(sink);
    write_file("out", "a\nb\ntorn");
    close_sink(opened(SW_AT_LEAST_ONCE, "replace", &s));
    assert_content("out", "a\nb\n");
    sw_buf_printf(&long_line, "a\nb\n%09000d", 0);
    write_bytes("out", long_line.data, long_line.size);
    close_sink(opened(SW_AT_LEAST_ONCE, "replace", &s));
    assert_content("out", "a\nb\n");
    write_file("out", "aatorn");
    close_sink(opened(SW_AT_LEAST_ONCE, "replace", &s));
    assert_content("out", "aa");
    sw_buf_deinit(&long_line);
    saved_free(&s);
}

static void going_back_cuts_what_was_written_directly_too(void **state)
{
    sw_buf said = { 0 };
    (void)state;
    sw_sink *sink = opened(SW_AT_LEAST_ONCE, "replace", NULL);
    put_line(sink, "a");
    sw_buf value = prepared(sink, 3);
    put_line(sink, "b");
    close_sink(sink);
    assert_int_equal(commit_ops->rewind(value.data, value.size, 3, &said, NULL), SW_OK);
    assert_content("out", "a\n");
    assert_content("out.cut-3", "b\n");
    sw_buf_deinit(&said);
    sw_buf_deinit(&value);
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

static void a_full_disk_fails_the_checkpoint_and_the_next_one_has_all_rows(void **state)
{
    struct rlimit limit, small;
    sw_buf value = { 0 };
    sw_error err = { 0 };
    (void)state;
    sw_sink *sink = opened(SW_EXACTLY_ONCE, "replace", NULL);
    put_line(sink, "a row of some bytes");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 7;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = sink->ops->prepare(sink, 1, &value, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_not_equal(rc, SW_OK);
    assert_int_equal(value.size, 0);
    assert_non_null(strstr(err.text, "sinks"));
    put_line(sink, "b");
    value = prepared(sink, 2);
    close_sink(sink);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rc = commit_ops->commit(value.data, value.size, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_not_equal(rc, SW_OK);
    commit_value(&value);
    assert_content("out", "a row of some bytes\nb\n");
    assert_int_equal(names_in("sinks"), 0);
    sw_buf_deinit(&value);
}

/* Repeats what fails, as the engine does with the next checkpoint or restart. */
#define UNTIL_OK(call)                                                                                                 \
    do {                                                                                                               \
        if ((call) != SW_OK) assert_int_equal((call), SW_OK);                                                          \
    } while (0)

/* Two checkpoints and a cut, while the nth operation of a kind fails. False: none did. */
static bool run_with_fault(sw_fault_kind kind, long n)
{
    sw_sink *sink = NULL;
    sw_buf value = { 0 }, said = { 0 };
    sw_sink_context context = sink_context(SW_EXACTLY_ONCE, NULL);
    sw_fault_fail_kind_after(kind, n);
    UNTIL_OK(open_at(in_dir("out"), "replace", &context, &sink, NULL));
    put_line(sink, "a");
    UNTIL_OK(sink->ops->prepare(sink, 1, &value, NULL));
    UNTIL_OK(commit_ops->sync(value.data, value.size, NULL));
    UNTIL_OK(commit_ops->commit(value.data, value.size, NULL));
    sw_buf_clear(&value);
    UNTIL_OK(sink->ops->prepare(sink, 2, &value, NULL));
    close_sink(sink);
    FILE *f = fopen(in_dir("out"), "a");
    assert_true(fputs("b\n", f) >= 0 && fclose(f) == 0);
    UNTIL_OK(commit_ops->rewind(value.data, value.size, 2, &said, NULL));
    bool was_hit = sw_fault_hit();
    sw_fault_off();
    sw_buf_deinit(&value);
    sw_buf_deinit(&said);
    return was_hit;
}

static void what_fails_at_the_disk_may_be_repeated(void **state)
{
    static const sw_fault_kind kinds[] = { SW_FAULT_OPEN, SW_FAULT_READ,   SW_FAULT_WRITE,
                                           SW_FAULT_SYNC, SW_FAULT_RENAME, SW_FAULT_REMOVE };
    (void)state;
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        bool was_hit = true;
        long n = 0;
        for (; was_hit; n++) {
            size_t live = sw_alloc_live();
            was_hit = run_with_fault(kinds[kind], n);
            assert_int_equal(sw_alloc_live(), live);
            assert_content("out", "a\n");
            assert_content("out.cut-2", "b\n");
            assert_int_equal(names_in("sinks"), 0);
            assert_int_equal(unlink(in_dir("out.cut-2")), 0);
        }
        assert_true(n > 1);
    }
}

/* Everything a run does with one sink. Returns the first failure. */
static int whole_run(const saved *restored, sw_delivery delivery)
{
    sw_sink *sink = NULL;
    sw_buf value = { 0 }, said = { 0 };
    sw_sink_context context = sink_context(delivery, restored);
    int rc = open_at(in_dir("out"), "replace", &context, &sink, NULL);
    if (rc == SW_OK) rc = sink->ops->prepare(sink, 2, &value, NULL);
    if (rc == SW_OK) rc = commit_ops->sync(value.data, value.size, NULL);
    if (rc == SW_OK) rc = commit_ops->commit(value.data, value.size, NULL);
    if (rc == SW_OK) rc = commit_ops->commit(restored->data[0], restored->lens[0], NULL);
    if (rc == SW_OK) rc = commit_ops->rewind(restored->data[0], restored->lens[0], 2, &said, NULL);
    if (sink != NULL) sink->ops->close(sink, NULL);
    sw_buf_deinit(&value);
    sw_buf_deinit(&said);
    return rc;
}

static void a_run_survives_every_allocation_failure(void **state)
{
    static const sw_delivery deliveries[] = { SW_EXACTLY_ONCE, SW_AT_LEAST_ONCE };
    (void)state;
    for (int i = 0; i < 2; i++) {
        bool was_hit = true;
        saved s = { 0 };
        write_file("out", "");
        saved_add(&s, 0, one_checkpoint(NULL, "a", 1));
        for (long n = 0; was_hit; n++) {
            size_t live = sw_alloc_live();
            sw_fault_fail_after(n);
            int rc = whole_run(&s, deliveries[i]);
            was_hit = sw_fault_hit();
            sw_fault_off();
            assert_int_equal(rc, was_hit ? SW_ENOMEM : SW_OK);
            assert_int_equal(sw_alloc_live(), live);
            assert_content("out", "a\n");
        }
        saved_free(&s);
    }
}

static void a_damaged_value_is_refused(void **state)
{
    (void)state;
    sw_buf value = one_checkpoint(NULL, "a", 1), said = { 0 };
    for (size_t len = 1; len < value.size; len++) {
        assert_int_equal(commit_ops->sync(value.data, len, NULL), SW_EFORMAT);
        assert_int_equal(commit_ops->commit(value.data, len, NULL), SW_EFORMAT);
        assert_int_equal(commit_ops->rewind(value.data, len, 1, &said, NULL), SW_EFORMAT);
    }
    sw_buf_deinit(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(rows_are_seen_when_their_checkpoint_is_committed_and_not_before),
        FOLDER_TEST(what_is_there_already_stays_in_append_mode),
        FOLDER_TEST(a_checkpoint_without_rows_makes_no_file),
        FOLDER_TEST(values_of_failed_checkpoints_are_committed_in_order_with_the_next),
        FOLDER_TEST(a_commit_that_was_broken_off_at_any_byte_is_finished),
        FOLDER_TEST(segments_that_no_checkpoint_names_are_removed_at_the_next_start),
        FOLDER_TEST(more_than_the_buffers_hold_is_committed_whole),
        FOLDER_TEST(a_target_that_was_cut_or_removed_is_refused_and_not_filled_with_zeros),
        FOLDER_TEST(a_segment_that_was_changed_is_not_taken_for_the_one_prepared),
        FOLDER_TEST(a_sink_does_not_go_on_with_a_file_that_is_not_the_checkpoints),
        FOLDER_TEST(output_that_moved_is_gone_on_with_and_a_new_name_begins_a_new_file),
        FOLDER_TEST(two_sinks_on_one_file_are_refused),
        FOLDER_TEST(a_device_is_written_directly),
        FOLDER_TEST(an_older_checkpoint_takes_back_what_came_behind_it_and_keeps_it_beside),
        FOLDER_TEST(what_was_kept_already_is_not_kept_twice),
        FOLDER_TEST(written_directly_rows_are_seen_at_once_and_gone_on_with),
        FOLDER_TEST(a_torn_last_line_is_cut_off_but_nothing_before_the_checkpoint),
        FOLDER_TEST(going_back_cuts_what_was_written_directly_too),
        FOLDER_TEST(a_full_disk_fails_the_checkpoint_and_the_next_one_has_all_rows),
        FOLDER_TEST(what_fails_at_the_disk_may_be_repeated),
        FOLDER_TEST(a_run_survives_every_allocation_failure),
        FOLDER_TEST(a_damaged_value_is_refused),
    };
    return cmocka_run_group_tests(tests, find_ops, NULL);
}
