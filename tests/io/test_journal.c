#include "io_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "io/journal.h"
#include "state/log_keep.h"
#include "state/log_reader.h"
#include "state/pack.h"

static char logs[64]; /* Fresh for each test; removed after it. */

static int make_logs(void **state)
{
    (void)state;
    snprintf(logs, sizeof(logs), "%s/swlua-journal-XXXXXX", sw_fs_is_dir("/dev/shm") ? "/dev/shm" : "/tmp");
    return mkdtemp(logs) == NULL;
}

static int remove_logs(void **state)
{
    (void)state;
    sw_fault_off();
    return sw_fs_remove_tree(logs, NULL);
}

/* --- a source that forgets --------------------------------------------------------------------------------------- */

static uint64_t arrived; /* lines the outside has sent: each is given once, whoever asks */
static uint64_t given;   /* of them */
static uint64_t last;    /* the outside ends behind this many */

static int outside_fill(sw_source *source, sw_batch *out, uint32_t max_rows, sw_error *err)
{
    (void)source;
    (void)err;
    uint32_t before = out->count;
    for (; given < arrived && out->count < before + max_rows; given++) {
        sw_row *row = sw_batch_reserve(out, sw_row_size(16, 0));
        if (row == NULL) return SW_ENOMEM;
        memset(row, 0, sw_row_size(16, 0));
        uint8_t *body = sw_row_body(row);
        memcpy(body, "\x81\xa1n\xcd", 4);
        body[4] = (uint8_t)(given >> 8);
        body[5] = (uint8_t)given;
        row->body_len = 6;
        row->time = 1000 + (int64_t)given;
        row->kind = given % 10 == 3 ? SW_ROW_MALFORMED : SW_ROW_EVENT;
        sw_batch_commit(out, sw_row_size(6, 0));
    }
    if (given == last) return SW_ECLOSED;
    return out->count > before ? SW_OK : SW_EEMPTY;
}

static void outside_close(sw_source *source)
{
    (void)source;
}

static sw_source *outside(void)
{
    static const sw_source_ops ops = { .fill = outside_fill, .close = outside_close };
    static sw_source source = { .ops = &ops, .wait_fd = 77, .unbounded = true };
    return &source;
}

static void begin(uint64_t lines, uint64_t end)
{
    arrived = lines;
    last = end;
    given = 0;
}

/* --- helpers ----------------------------------------------------------------------------------------------------- */

static int open_journal(sw_delivery delivery, const sw_buf *position, sw_source **out, sw_error *err)
{
    const uint8_t *data = position != NULL ? position->data : NULL;
    const uint32_t instance = 0, len = position != NULL ? (uint32_t)position->size : 0;
    const sw_saved_values saved = { .count = 1, .instances = &instance, .data = &data, .lens = &len, .parallelism = 1 };
    sw_source_context context = context_of(NULL, NULL);
    context.logs_dir = logs;
    context.job = "my job";
    context.delivery = delivery;
    context.restored = position != NULL ? &saved : NULL;
    return sw_journal_open(outside(), &context, out, err);
}

static sw_source *journal_of(sw_delivery delivery, const sw_buf *position)
{
    sw_source *source = NULL;
    sw_error err = { 0 };
    if (open_journal(delivery, position, &source, &err) != SW_OK) fail_msg("%s", err.text);
    return source;
}

/* Fills and expects rows first .. end-1 exactly; `code` comes when there is nothing more. */
static void gives(sw_source *source, uint64_t first, uint64_t end, uint32_t max_rows, int code)
{
    sw_batch batch;
    sw_batch_init(&batch);
    while (first < end) {
        uint32_t most = end - first < max_rows ? (uint32_t)(end - first) : max_rows;
        sw_batch_clear(&batch);
        assert_int_equal(source->ops->fill(source, &batch, most, NULL), SW_OK);
        assert_true(batch.count > 0 && batch.count <= most);
        const sw_row *row = (const sw_row *)(const void *)batch.data;
        for (uint32_t i = 0; i < batch.count; i++, row = sw_row_next(row), first++) {
            sw_pack_item item;
            assert_int_equal(row->kind, first % 10 == 3 ? SW_ROW_MALFORMED : SW_ROW_EVENT);
            assert_int_equal(row->time, 1000 + (int64_t)first);
            assert_int_equal(sw_pack_find(sw_row_body(row), row->body_len, "n", 1, &item), SW_OK);
            assert_int_equal(item.v.i, first);
        }
    }
    sw_batch_clear(&batch);
    if (code != SW_OK) assert_int_equal(source->ops->fill(source, &batch, max_rows, NULL), code);
    assert_int_equal(batch.count, 0);
    sw_batch_deinit(&batch);
}

static void position_of(sw_source *source, sw_buf *out)
{
    sw_buf_init(out);
    assert_int_equal(source->ops->position(source, out, NULL), SW_OK);
}

static uint64_t logged(void)
{
    sw_evlog_info info;
    assert_int_equal(sw_evlog_info_init(&info, logs, "my%20job.in", NULL), SW_OK);
    uint64_t committed = info.committed;
    sw_evlog_info_deinit(&info);
    return committed;
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

static void all_that_came_is_in_the_log_before_the_first_of_it_is_handed_on(void **state)
{
    (void)state;
    begin(100, UINT64_MAX);
    sw_source *source = journal_of(SW_AT_LEAST_ONCE, NULL);
    assert_true(source->unbounded);
    assert_int_equal(source->wait_fd, 77);
    gives(source, 0, 1, 1, SW_OK);
    assert_int_equal(logged(), 100);
    gives(source, 1, 100, 7, SW_EEMPTY);
    arrived = 130;
    gives(source, 100, 130, 256, SW_EEMPTY);
    assert_int_equal(logged(), 130);
    source->ops->close(source);
}

static void a_restored_journal_hands_on_what_the_checkpoint_did_not_count(void **state)
{
    (void)state;
    sw_buf position;
    begin(100, UINT64_MAX);
    sw_source *source = journal_of(SW_EXACTLY_ONCE, NULL);
    gives(source, 0, 35, 7, SW_OK);
    position_of(source, &position);
    gives(source, 35, 60, 7, SW_OK);
    source->ops->close(source); /* The 40 others were taken from the outside too. */
    arrived = 120;
    source = journal_of(SW_EXACTLY_ONCE, &position);
    gives(source, 35, 120, 9, SW_EEMPTY);
    source->ops->close(source);
    sw_buf_deinit(&position);
}

static void without_a_checkpoint_all_that_was_not_released_comes_again(void **state)
{
    (void)state;
    sw_buf position;
    begin(50, UINT64_MAX);
    sw_source *source = journal_of(SW_AT_LEAST_ONCE, NULL);
    gives(source, 0, 50, 7, SW_EEMPTY);
    source->ops->close(source);
    source = journal_of(SW_AT_LEAST_ONCE, NULL);
    gives(source, 0, 50, 7, SW_EEMPTY);
    position_of(source, &position);
    source->ops->release(source, position.data, position.size); /* The job has finished. */
    source->ops->close(source);
    arrived = 60;
    source = journal_of(SW_AT_LEAST_ONCE, NULL);
    gives(source, 50, 60, 7, SW_EEMPTY);
    source->ops->close(source);
    sw_buf_deinit(&position);
}

static void at_most_once_it_is_a_record_and_nothing_comes_again(void **state)
{
    (void)state;
    begin(50, UINT64_MAX);
    sw_source *source = journal_of(SW_AT_MOST_ONCE, NULL);
    gives(source, 0, 20, 7, SW_OK);
    source->ops->close(source);
    arrived = 60;
    source = journal_of(SW_AT_MOST_ONCE, NULL);
    gives(source, 50, 60, 7, SW_EEMPTY);
    source->ops->close(source);
    assert_int_equal(logged(), 60);
}

static void what_a_position_counts_was_synced(void **state)
{
    (void)state;
    sw_buf position = { 0 };
    begin(50, UINT64_MAX);
    sw_source *source = journal_of(SW_AT_LEAST_ONCE, NULL);
    gives(source, 0, 50, 7, SW_EEMPTY);
    sw_fault_fail_kind_after(SW_FAULT_SYNC, 0);
    assert_int_equal(source->ops->position(source, &position, NULL), SW_EIO);
    assert_int_equal(position.size, 0);
    source->ops->close(source);
    sw_buf_deinit(&position);
}

static void the_end_of_the_input_comes_behind_its_last_row(void **state)
{
    (void)state;
    sw_buf position;
    begin(20, 20);
    sw_source *source = journal_of(SW_AT_LEAST_ONCE, NULL);
    gives(source, 0, 20, 7, SW_ECLOSED);
    gives(source, 20, 20, 7, SW_ECLOSED);
    position_of(source, &position);
    source->ops->close(source);
    source = journal_of(SW_AT_LEAST_ONCE, &position);
    gives(source, 20, 20, 7, SW_ECLOSED);
    source->ops->close(source);
    sw_buf_deinit(&position);
}

static void released_segments_are_removed(void **state)
{
    (void)state;
    sw_evlog_info info;
    sw_buf position;
    static uint8_t body[1u << 20] = { 0xc0 };
    sw_evlog *log = NULL;
    const sw_evlog_record large = { .body = body, .len = sizeof(body) };
    assert_int_equal(sw_evlog_open(&log, logs, "my%20job.in", NULL, NULL), SW_OK);
    for (int i = 0; i < 70; i++) assert_int_equal(sw_evlog_append(log, &large, NULL), SW_OK);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    sw_evlog_close(log, NULL);
    begin(0, UINT64_MAX);
    sw_source *source = journal_of(SW_AT_LEAST_ONCE, NULL); /* Not known to it: it begins behind these. */
    gives(source, 0, 0, 7, SW_EEMPTY);
    position_of(source, &position);
    assert_int_equal(sw_evlog_info_init(&info, logs, "my%20job.in", NULL), SW_OK);
    assert_int_equal(info.segments, 2);
    assert_int_equal(info.readers[0].number, 70);
    sw_evlog_info_deinit(&info);
    source->ops->release(source, position.data, position.size);
    assert_int_equal(sw_evlog_info_init(&info, logs, "my%20job.in", NULL), SW_OK);
    assert_int_equal(info.segments, 1);
    sw_evlog_info_deinit(&info);
    source->ops->close(source);
    sw_buf_deinit(&position);
}

static void a_log_that_lacks_what_the_checkpoint_counts_is_refused(void **state)
{
    (void)state;
    sw_buf position;
    sw_source *source;
    sw_error err;
    begin(50, UINT64_MAX);
    source = journal_of(SW_AT_LEAST_ONCE, NULL);
    gives(source, 0, 50, 7, SW_EEMPTY);
    position_of(source, &position);
    source->ops->close(source);
    assert_int_equal(remove_logs(NULL), 0);
    assert_int_equal(sw_fs_mkdirs(logs, NULL), SW_OK);
    assert_int_equal(open_journal(SW_AT_LEAST_ONCE, &position, &source, &err), SW_ESTATE);
    assert_string_equal(err.text,
                        "event log my%20job.in ends at record 0, but the checkpoint counts 50 of its records");
    sw_buf_deinit(&position);
}

/* A run: opens, hands on 30 rows, says its position. */
static int try_run(void)
{
    sw_source *source = NULL;
    sw_batch batch;
    sw_buf position = { 0 };
    sw_error err;
    sw_batch_init(&batch);
    begin(30, 30);
    int rc = open_journal(SW_AT_LEAST_ONCE, NULL, &source, &err);
    if (rc == SW_OK) rc = source->ops->fill(source, &batch, 100, &err);
    if (rc == SW_OK) rc = source->ops->position(source, &position, &err);
    if (source != NULL) source->ops->close(source);
    sw_batch_deinit(&batch);
    sw_buf_deinit(&position);
    return rc;
}

static void any_operation_may_fail(void **state)
{
    (void)state;
    for (sw_fault_kind kind = SW_FAULT_ALLOC; kind <= SW_FAULT_REMOVE; kind++)
        for (long n = 0;; n++) {
            size_t live = sw_alloc_live();
            sw_fault_fail_kind_after(kind, n);
            int rc = try_run();
            bool is_hit = sw_fault_hit();
            sw_fault_off();
            assert_int_equal(sw_alloc_live(), live);
            assert_int_equal(remove_logs(NULL), 0);
            assert_int_equal(sw_fs_mkdirs(logs, NULL), SW_OK);
            assert_true(is_hit || rc == SW_OK);
            if (!is_hit) break;
            assert_true(rc == SW_ENOMEM || rc == SW_EIO || rc == SW_ENOSPC);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_came_is_in_the_log_before_the_first_of_it_is_handed_on, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(a_restored_journal_hands_on_what_the_checkpoint_did_not_count, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(without_a_checkpoint_all_that_was_not_released_comes_again, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(at_most_once_it_is_a_record_and_nothing_comes_again, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(what_a_position_counts_was_synced, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(the_end_of_the_input_comes_behind_its_last_row, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(released_segments_are_removed, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_log_that_lacks_what_the_checkpoint_counts_is_refused, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(any_operation_may_fail, make_logs, remove_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
