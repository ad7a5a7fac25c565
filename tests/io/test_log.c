#include "io_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/watch.h"
#include "base/fault.h"
#include "io/log.h"
#include "io/registry.h"
#include "state/log_keep.h"
#include "state/log_reader.h"
#include "state/pack.h"

static char logs[64]; /* Fresh for each test; removed after it. */

static int make_logs(void **state)
{
    (void)state;
    snprintf(logs, sizeof(logs), "%s/swlua-iolog-XXXXXX", sw_fs_is_dir("/dev/shm") ? "/dev/shm" : "/tmp");
    return mkdtemp(logs) == NULL;
}

static int remove_logs(void **state)
{
    (void)state;
    sw_fault_off();
    return sw_fs_remove_tree(logs, NULL);
}

/* --- helpers ----------------------------------------------------------------------------------------------------- */

/* Adds events first .. end-1 to log "a": {"n":N,"s":"x"}, of time 1000 + N. */
static void add_events(uint64_t first, uint64_t end)
{
    sw_evlog *log = NULL;
    const sw_evlog_options options = { .segment_bytes = 1000 };
    assert_int_equal(sw_evlog_open(&log, logs, "a", &options, NULL), SW_OK);
    assert_int_equal(sw_evlog_next(log), first);
    for (uint64_t n = first; n < end; n++) {
        uint8_t body[16] = { 0x82, 0xa1, 'n', 0xcd, (uint8_t)(n >> 8), (uint8_t)n, 0xa1, 's', 0xa1, 'x' };
        const sw_evlog_record record = { .time = 1000 + (int64_t)n, .body = body, .len = 10 };
        assert_int_equal(sw_evlog_append(log, &record, NULL), SW_OK);
    }
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    sw_evlog_close(log, NULL);
}

typedef struct opening {
    uint32_t instance, count;        /* which of how many */
    const sw_saved_values *restored; /* NULL: start afresh */
    const char *start;               /* option; NULL: none */
    double start_time;               /* option, if start is "" */
    bool is_ending;                  /* follow = false */
    const sw_schema *schema;         /* of the rows */
    const char *time_field;          /* of the source */
} opening;

static int open_source(const opening *how, sw_source **out, sw_error *err)
{
    sw_option list[3] = { { .name = "name", .kind = SW_OPTION_STRING, .string = "a" } };
    sw_options options = { list, 1 };
    if (how->is_ending) list[options.count++] = (sw_option){ .name = "follow", .kind = SW_OPTION_BOOL };
    if (how->start != NULL && how->start[0] != '\0')
        list[options.count++] = (sw_option){ .name = "start", .kind = SW_OPTION_STRING, .string = how->start };
    else if (how->start != NULL)
        list[options.count++] = (sw_option){ .name = "start", .kind = SW_OPTION_NUMBER, .number = how->start_time };
    sw_source_context context = context_of(how->schema, how->time_field);
    context.instance = how->instance;
    context.count = how->count != 0 ? how->count : 1;
    context.logs_dir = logs;
    context.job = "job";
    context.restored = how->restored;
    return sw_io_open_source("log", &options, &context, out, err);
}

static sw_source *source_of(opening how)
{
    sw_source *source = NULL;
    sw_error err = { 0 };
    if (open_source(&how, &source, &err) != SW_OK) fail_msg("%s", err.text);
    return source;
}

/* The field n of a row. */
static uint64_t number_of(const sw_row *row)
{
    sw_pack_item item;
    if (row->schema != 0) {
        const sw_schema *schema = sw_schema_get(row->schema);
        return (uint64_t)sw_row_slots(row, schema)[sw_schema_find(schema, "n", 1)].i;
    }
    assert_int_equal(sw_pack_find(sw_row_body(row), row->body_len, "n", 1, &item), SW_OK);
    return (uint64_t)item.v.i;
}

/* Fills once; adds one to seen[n] for each event n. The code of fill. */
static int fill(sw_source *source, uint32_t max_rows, uint8_t *seen)
{
    sw_batch batch;
    sw_error err = { 0 };
    sw_batch_init(&batch);
    int rc = source->ops->fill(source, &batch, max_rows, &err);
    if (rc != SW_OK && rc != SW_EEMPTY && rc != SW_ECLOSED) fail_msg("%s", err.text);
    assert_true(batch.count <= max_rows);
    assert_true(rc != SW_OK || batch.count > 0);
    assert_true(rc != SW_EEMPTY || batch.count == 0);
    const sw_row *row = (const sw_row *)(const void *)batch.data;
    for (uint32_t i = 0; i < batch.count; i++, row = sw_row_next(row)) {
        assert_int_equal(row->kind, SW_ROW_EVENT);
        assert_int_equal(row->time, 1000 + (int64_t)number_of(row));
        seen[number_of(row)]++;
    }
    sw_batch_deinit(&batch);
    return rc;
}

/* Reads to the end and expects events first .. end-1, in order of number by step. */
static void gives(sw_source *source, uint64_t first, uint64_t end, uint64_t step, int last)
{
    uint8_t seen[1000] = { 0 };
    int rc = SW_OK;
    while ((rc = fill(source, 7, seen)) == SW_OK) continue;
    assert_int_equal(rc, last);
    for (uint64_t n = 0; n < 1000; n++) assert_int_equal(seen[n], n >= first && n < end && (n - first) % step == 0);
}

static void position_of(sw_source *source, sw_buf *out)
{
    sw_buf_init(out);
    assert_int_equal(source->ops->position(source, out, NULL), SW_OK);
}

/* --- source ------------------------------------------------------------------------------------------------------ */

static void a_log_is_read_to_its_end_and_then_waited_for(void **state)
{
    (void)state;
    add_events(0, 100);
    sw_source *source = source_of((opening){ 0 });
    assert_true(source->unbounded);
    gives(source, 0, 100, 1, SW_EEMPTY);
    assert_true(source->wait_fd >= 0);
    assert_false(sw_watch_wait(source->wait_fd, 0));
    add_events(100, 150);
    assert_true(sw_watch_wait(source->wait_fd, 0));
    gives(source, 100, 150, 1, SW_EEMPTY);
    assert_false(sw_watch_wait(source->wait_fd, 0));
    source->ops->close(source);
}

static void without_follow_the_input_ends_where_the_log_ended_when_it_was_opened(void **state)
{
    (void)state;
    add_events(0, 100);
    sw_source *source = source_of((opening){ .is_ending = true });
    assert_false(source->unbounded);
    add_events(100, 150);
    gives(source, 0, 100, 1, SW_ECLOSED);
    gives(source, 0, 0, 1, SW_ECLOSED);
    source->ops->close(source);
}

static void a_restored_batch_ends_where_the_first_one_would_have(void **state)
{
    (void)state;
    sw_buf position;
    uint8_t seen[1000] = { 0 };
    add_events(0, 100);
    sw_source *source = source_of((opening){ .is_ending = true });
    fill(source, 30, seen);
    position_of(source, &position);
    source->ops->close(source);
    add_events(100, 150);
    const uint8_t *data = position.data;
    const uint32_t instance = 0, len = (uint32_t)position.size;
    const sw_saved_values saved = { 1, &instance, &data, &len, 1, false };
    source = source_of((opening){ .is_ending = true, .restored = &saved });
    gives(source, 30, 100, 1, SW_ECLOSED);
    source->ops->close(source);
    sw_buf_deinit(&position);
}

static void it_starts_where_it_is_told_to(void **state)
{
    (void)state;
    add_events(0, 100);
    sw_source *source = source_of((opening){ .start = "earliest", .is_ending = true });
    gives(source, 0, 100, 1, SW_ECLOSED);
    source->ops->close(source);
    source = source_of((opening){ .start = "", .start_time = 1042, .is_ending = true });
    gives(source, 42, 100, 1, SW_ECLOSED);
    source->ops->close(source);
    source = source_of((opening){ .start = "latest" });
    gives(source, 0, 0, 1, SW_EEMPTY);
    add_events(100, 110);
    gives(source, 100, 110, 1, SW_EEMPTY);
    source->ops->close(source);
}

static void instances_share_the_records_out(void **state)
{
    (void)state;
    add_events(0, 100);
    for (uint32_t i = 0; i < 3; i++) {
        sw_source *source = source_of((opening){ .instance = i, .count = 3, .is_ending = true });
        gives(source, i, 100, 3, SW_ECLOSED);
        source->ops->close(source);
    }
}

static void rows_are_records_where_there_is_a_schema_and_take_their_time_from_a_field(void **state)
{
    (void)state;
    static const char *const names[] = { "n" };
    static const sw_type types[] = { SW_TYPE_I64 };
    const sw_schema *schema;
    sw_error err;
    sw_batch batch;
    sw_batch_init(&batch);
    assert_int_equal(sw_schema_intern(names, types, 1, &schema, NULL), SW_OK);
    add_events(0, 10);
    for (int i = 0; i < 2; i++) {
        sw_source *source = source_of((opening){ .schema = i == 0 ? schema : NULL, .time_field = "n" });
        sw_batch_clear(&batch);
        assert_int_equal(source->ops->fill(source, &batch, 4, NULL), SW_OK);
        assert_int_equal(batch.count, 4);
        const sw_row *row = (const sw_row *)(const void *)batch.data;
        for (int64_t n = 0; n < 4; n++, row = sw_row_next(row)) {
            assert_int_equal(row->schema, i == 0 ? schema->id : 0);
            assert_int_equal(row->time, n);
            assert_int_equal(number_of(row), n);
        }
        source->ops->close(source);
    }
    sw_batch_deinit(&batch);
    sw_source *source = NULL;
    const opening wrong = { .schema = schema, .time_field = "ts" };
    assert_int_equal(open_source(&wrong, &source, &err), SW_EINVAL);
    assert_string_equal(err.text, "the schema lacks the time field \"ts\"");
}

static void what_does_not_fit_is_malformed_and_says_where(void **state)
{
    (void)state;
    static const char *const names[] = { "s" };
    static const sw_type types[] = { SW_TYPE_I64 };
    const sw_schema *schema;
    sw_batch batch;
    uint32_t len;
    sw_batch_init(&batch);
    assert_int_equal(sw_schema_intern(names, types, 1, &schema, NULL), SW_OK);
    add_events(0, 2);
    const opening ways[] = { { .schema = schema }, { .time_field = "s" }, { .time_field = "none" } };
    static const char *const reasons[] = { "field \"s\": expected i64, found string",
                                           "time field \"s\" is not a number", "time field \"none\" is missing" };
    for (int i = 0; i < 3; i++) {
        sw_source *source = source_of(ways[i]);
        sw_batch_clear(&batch);
        assert_int_equal(source->ops->fill(source, &batch, 2, NULL), SW_OK);
        const sw_row *row = sw_row_next((const sw_row *)(const void *)batch.data);
        assert_int_equal(row->kind, SW_ROW_MALFORMED);
        const char *text = map_string(row, "where", &len);
        assert_memory_equal(text, "log a#1", len);
        text = map_string(row, "raw", &len);
        assert_memory_equal(text, "{\"n\":1,\"s\":\"x\"}", len);
        text = map_string(row, "error", &len);
        assert_int_equal(len, strlen(reasons[i]));
        assert_memory_equal(text, reasons[i], len);
        source->ops->close(source);
    }
    sw_batch_deinit(&batch);
}

/* Reads with changing numbers of instances, each stopped at random and restored from the positions of all. */
static void every_record_is_read_once_whatever_the_number_of_instances(void **state)
{
    (void)state;
    uint64_t seed = 1;
    add_events(0, 400);
    for (int round = 0; round < 200; round++) {
        uint8_t seen[1000] = { 0 };
        uint32_t counts[6], lens[8], instances[8], old = 0;
        sw_buf positions[8] = { { 0 } };
        const uint8_t *data[8];
        for (int i = 0; i < 6; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            counts[i] = 1 + (uint32_t)(seed >> 33) % 5;
        }
        for (int step = 0; step < 6; step++) {
            const sw_saved_values saved = { old, instances, data, lens, old, false };
            sw_buf next[8] = { { 0 } };
            for (uint32_t i = 0; i < counts[step]; i++) {
                sw_source *source = source_of((opening){
                    .instance = i, .count = counts[step], .is_ending = true, .restored = old > 0 ? &saved : NULL });
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                uint32_t fills = step == 5 ? 1000 : (uint32_t)(seed >> 33) % 8;
                for (uint32_t f = 0; f < fills && fill(source, 1 + f, seen) == SW_OK; f++) continue;
                position_of(source, &next[i]);
                source->ops->close(source);
            }
            for (uint32_t i = 0; i < 8; i++) sw_buf_deinit(&positions[i]);
            old = counts[step];
            for (uint32_t i = 0; i < old; i++) {
                positions[i] = next[i];
                data[i] = positions[i].data;
                lens[i] = (uint32_t)positions[i].size;
                instances[i] = old - 1 - i;
            }
            for (uint32_t i = 0; i < old / 2; i++) { /* In an order of their own. */
                const uint8_t *d = data[i];
                uint32_t l = lens[i];
                data[i] = data[old - 1 - i];
                lens[i] = lens[old - 1 - i];
                data[old - 1 - i] = d;
                lens[old - 1 - i] = l;
            }
        }
        for (uint32_t i = 0; i < 8; i++) sw_buf_deinit(&positions[i]);
        for (int n = 0; n < 400; n++) assert_int_equal(seen[n], 1);
    }
}

static void positions_that_cannot_be_are_refused(void **state)
{
    (void)state;
    sw_buf position;
    sw_error err;
    uint8_t seen[1000] = { 0 };
    add_events(0, 100);
    sw_source *source = source_of((opening){ 0 });
    fill(source, 50, seen);
    position_of(source, &position);
    source->ops->close(source);
    const uint8_t *data = position.data;
    const uint32_t instance = 0;
    for (uint32_t len = 0; len < position.size; len++) {
        const sw_saved_values saved = { 1, &instance, &data, &len, 1, false };
        const opening how = { .restored = &saved };
        assert_int_equal(open_source(&how, &source, &err), SW_EFORMAT);
    }
    uint32_t len = (uint32_t)position.size;
    const sw_saved_values lacking = { 1, &instance, &data, &len, 2, false };
    const opening how = { .restored = &lacking };
    assert_int_equal(open_source(&how, &source, &err), SW_EFORMAT);
    assert_string_equal(err.text, "the checkpoint lacks the position of instance 1 in the event log");
    sw_buf_deinit(&position);
}

static void a_position_that_was_taken_back_is_refused(void **state)
{
    (void)state;
    sw_buf position, value = { 0 }, said = { 0 };
    sw_evlog *log = NULL;
    sw_source *source;
    sw_error err;
    uint8_t seen[1000] = { 0 };
    add_events(0, 50);
    assert_int_equal(sw_evlog_open(&log, logs, "a", NULL, NULL), SW_OK);
    assert_int_equal(sw_evlog_prepare(log, &value, NULL), SW_OK);
    sw_evlog_close(log, NULL);
    add_events(50, 100);
    source = source_of((opening){ 0 });
    fill(source, 70, seen);
    position_of(source, &position);
    source->ops->close(source);
    assert_int_equal(sw_evlog_rewind_value(value.data, value.size, 3, &said, NULL), SW_OK);
    add_events(50, 120);
    const uint8_t *data = position.data;
    const uint32_t instance = 0, len = (uint32_t)position.size;
    const sw_saved_values saved = { 1, &instance, &data, &len, 1, false };
    const opening how = { .restored = &saved };
    assert_int_equal(open_source(&how, &source, &err), SW_ESTATE);
    assert_string_equal(err.text, "event log a was cut back to record 50, but records up to 70 have been read already");
    sw_buf_deinit(&position);
    sw_buf_deinit(&value);
    sw_buf_deinit(&said);
}

static void what_a_checkpoint_may_ask_for_is_retained(void **state)
{
    (void)state;
    sw_buf position;
    uint64_t number;
    uint8_t seen[1000] = { 0 };
    add_events(0, 100);
    sw_source *source = source_of((opening){ 0 });
    assert_int_equal(sw_evlog_retained(logs, "a", "job.in#0", &number, NULL), SW_ENOTFOUND);
    fill(source, 60, seen);
    position_of(source, &position);
    assert_int_equal(sw_evlog_retained(logs, "a", "job.in#0", &number, NULL), SW_OK);
    assert_int_equal(number, 0);
    source->ops->release(source, position.data, position.size);
    assert_int_equal(sw_evlog_retained(logs, "a", "job.in#0", &number, NULL), SW_OK);
    assert_int_equal(number, 60);
    source->ops->close(source);
    sw_buf_deinit(&position);
}

static void a_log_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    sw_source *source = NULL;
    sw_error err;
    const opening how = { 0 };
    assert_int_equal(open_source(&how, &source, &err), SW_ENOTFOUND);
    assert_non_null(strstr(err.text, "there is no event log \"a\" in "));
}

static void a_source_survives_every_failed_allocation(void **state)
{
    (void)state;
    add_events(0, 40);
    for (long n = 0;; n++) {
        sw_source *source = NULL;
        sw_batch batch;
        sw_buf position = { 0 };
        sw_error err;
        const opening how = { .is_ending = true };
        size_t live = sw_alloc_live();
        sw_batch_init(&batch);
        sw_fault_fail_after(n);
        int rc = open_source(&how, &source, &err);
        if (rc == SW_OK) rc = source->ops->fill(source, &batch, 100, &err);
        if (rc == SW_ECLOSED) rc = source->ops->position(source, &position, &err);
        bool is_hit = sw_fault_hit();
        sw_fault_off();
        if (source != NULL) source->ops->close(source);
        sw_batch_deinit(&batch);
        sw_buf_deinit(&position);
        assert_int_equal(sw_alloc_live(), live);
        assert_int_equal(rc, is_hit ? SW_ENOMEM : SW_OK);
        if (!is_hit) break;
    }
}

/* --- sink -------------------------------------------------------------------------------------------------------- */

static sw_sink *sink_of(sw_delivery delivery)
{
    const sw_option name = { .name = "name", .kind = SW_OPTION_STRING, .string = "a" };
    const sw_options options = { &name, 1 };
    const sw_sink_context context = { .component = "out",
                                      .count = 1,
                                      .clock = sw_clock_real(),
                                      .delivery = delivery,
                                      .state_dir = "/",
                                      .logs_dir = logs };
    sw_sink *sink = NULL;
    sw_error err = { 0 };
    if (sw_io_open_sink("log", &options, &context, &sink, &err) != SW_OK) fail_msg("%s", err.text);
    return sink;
}

static void write_lines(sw_sink *sink, const char *const *lines, int count)
{
    sw_decoder *decoder = decoder_of("jsonl", NULL, "ts");
    sw_batch batch;
    sw_batch_init(&batch);
    for (int i = 0; i < count; i++) {
        sw_batch_clear(&batch);
        decode_bytes(decoder, lines[i], strlen(lines[i]), &batch);
        assert_int_equal(sink->ops->write(sink, first_row(&batch), NULL), SW_OK);
    }
    sw_batch_deinit(&batch);
    sw_decoder_free(decoder);
}

static uint64_t visible(void)
{
    sw_evlog_info info;
    assert_int_equal(sw_evlog_info_init(&info, logs, "a", NULL), SW_OK);
    uint64_t committed = info.committed;
    sw_evlog_info_deinit(&info);
    return committed;
}

static const char *const lines[] = { "{\"ts\":5,\"v\":[1,null]}", "{\"ts\":6}", "{\"ts\":7}" };

static void without_exactly_once_events_are_seen_when_they_are_flushed(void **state)
{
    (void)state;
    sw_evlog_reader *reader = NULL;
    sw_evlog_record record;
    sw_sink *sink = sink_of(SW_AT_LEAST_ONCE);
    write_lines(sink, lines, 2);
    assert_int_equal(visible(), 0);
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    assert_int_equal(visible(), 2);
    write_lines(sink, lines + 2, 1);
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
    assert_int_equal(visible(), 3);
    assert_int_equal(sw_evlog_reader_open(&reader, logs, "a", NULL), SW_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sw_evlog_reader_read(reader, &record, NULL), SW_OK);
        assert_int_equal(record.time, 5 + i);
    }
    sw_evlog_reader_close(reader);
}

static void under_exactly_once_events_are_seen_when_they_are_committed(void **state)
{
    (void)state;
    const sw_sink_commit_ops *commit = sw_io_sink_commit_ops("log");
    sw_buf value = { 0 };
    sw_sink *sink = sink_of(SW_EXACTLY_ONCE);
    write_lines(sink, lines, 2);
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    assert_int_equal(sink->ops->prepare(sink, 1, &value, NULL), SW_OK);
    write_lines(sink, lines + 2, 1);
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    assert_int_equal(commit->sync(value.data, value.size, NULL), SW_OK);
    assert_int_equal(visible(), 0);
    assert_int_equal(commit->commit(value.data, value.size, NULL), SW_OK);
    assert_int_equal(visible(), 2);
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
    assert_int_equal(visible(), 2);
    sink = sink_of(SW_EXACTLY_ONCE);
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
    add_events(2, 3); /* The one that was not prepared is gone. */
    sw_buf_deinit(&value);
    assert_null(sw_io_sink_commit_ops("null"));
}

static void what_a_sink_writes_a_source_gives_also_as_records(void **state)
{
    (void)state;
    static const char *const names[] = { "n", "s" };
    static const sw_type types[] = { SW_TYPE_I64, SW_TYPE_STRING };
    const sw_schema *schema;
    assert_int_equal(sw_schema_intern(names, types, 2, &schema, NULL), SW_OK);
    sw_sink *sink = sink_of(SW_AT_MOST_ONCE);
    sw_decoder *decoder = decoder_of("jsonl", schema, NULL);
    sw_batch batch;
    sw_batch_init(&batch);
    decode_bytes(decoder, "{\"n\":0,\"s\":\"x\"}", 15, &batch);
    decode_bytes(decoder, "{\"n\":1}", 7, &batch);
    sw_row *row = (sw_row *)(void *)batch.data;
    for (int i = 0; i < 2; i++, row = sw_row_next(row)) {
        row->time = 1000 + i;
        assert_int_equal(sink->ops->write(sink, row, NULL), SW_OK);
    }
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
    sw_source *source = source_of((opening){ .schema = schema, .is_ending = true });
    gives(source, 0, 2, 1, SW_ECLOSED);
    source->ops->close(source);
    sw_batch_deinit(&batch);
    sw_decoder_free(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_log_is_read_to_its_end_and_then_waited_for, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(without_follow_the_input_ends_where_the_log_ended_when_it_was_opened, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(a_restored_batch_ends_where_the_first_one_would_have, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(it_starts_where_it_is_told_to, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(instances_share_the_records_out, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(rows_are_records_where_there_is_a_schema_and_take_their_time_from_a_field,
                                        make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_malformed_and_says_where, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(every_record_is_read_once_whatever_the_number_of_instances, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(positions_that_cannot_be_are_refused, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_position_that_was_taken_back_is_refused, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(what_a_checkpoint_may_ask_for_is_retained, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_log_that_is_not_there_is_an_error, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(a_source_survives_every_failed_allocation, make_logs, remove_logs),
        cmocka_unit_test_setup_teardown(without_exactly_once_events_are_seen_when_they_are_flushed, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(under_exactly_once_events_are_seen_when_they_are_committed, make_logs,
                                        remove_logs),
        cmocka_unit_test_setup_teardown(what_a_sink_writes_a_source_gives_also_as_records, make_logs, remove_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
