#include "sinks.h"

#include <lmdb.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/store_file.h"
#include "state/pack.h"

static const sw_sink_commit_ops *commit_ops;

static int find_ops(void **state)
{
    (void)state;
    commit_ops = sw_io_sink_commit_ops("store");
    return commit_ops == NULL;
}

static int open_at(const char *path, const sw_sink_context *context, sw_sink **out, sw_error *err)
{
    const sw_option list[] = { text_option("path", path), number_option("keys", 2), text_option("key1", "id"),
                               text_option("key2", "kind"), number_option("map_bytes", 64 << 10) };
    const sw_options options = { list, 5 };
    return sw_io_open_sink("store", &options, context, out, err);
}

static sw_sink *opened(sw_delivery delivery, const saved *restored)
{
    sw_sink *sink = NULL;
    sw_error err = { 0 };
    sw_sink_context context = sink_context(delivery, restored);
    if (open_at(in_dir("out"), &context, &sink, &err) != SW_OK) fail_msg("%s", err.text);
    return sink;
}

static void put_event(sw_sink *sink, const char *json)
{
    sw_error err = { 0 };
    if (put(sink, "jsonl", json, &err) != SW_OK) fail_msg("%s", err.text);
}

static sw_buf prepared(sw_sink *sink, uint64_t checkpoint)
{
    sw_buf value = { 0 };
    sw_error err = { 0 };
    if (sink->ops->prepare(sink, checkpoint, &value, &err) != SW_OK) fail_msg("%s", err.text);
    return value;
}

static void commit_value(const sw_buf *value)
{
    sw_error err = { 0 };
    if (commit_ops->sync(value->data, value->size, &err) != SW_OK) fail_msg("%s", err.text);
    if (commit_ops->commit(value->data, value->size, &err) != SW_OK) fail_msg("%s", err.text);
}

static void close_sink(sw_sink *sink)
{
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
}

static sw_buf one_checkpoint(const saved *restored, const char *json, uint64_t checkpoint)
{
    sw_sink *sink = opened(SW_EXACTLY_ONCE, restored);
    put_event(sink, json);
    sw_buf value = prepared(sink, checkpoint);
    close_sink(sink);
    commit_value(&value);
    return value;
}

/* One line an entry: the event as JSON. Read by LMDB alone, as another program would. */
static sw_buf table_of(const char *name)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_dbi dbi;
    MDB_val key, value;
    sw_buf out = { 0 };
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, in_dir(name), MDB_NOSUBDIR | MDB_RDONLY, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        if (*(uint8_t *)key.mv_data == 0xc1) continue;
        uint64_t row_bytes[512] = { 0 };
        sw_row *row = (sw_row *)(void *)row_bytes;
        sw_buf json;
        assert_true(value.mv_size <= sizeof(row_bytes) - sizeof(*row));
        row->body_len = (uint32_t)value.mv_size;
        memcpy(sw_row_body(row), value.mv_data, value.mv_size);
        json_of(row, &json);
        sw_buf_printf(&out, "%s\n", (char *)json.data);
        sw_buf_deinit(&json);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    sw_buf_append(&out, "", 1);
    return out;
}

static void assert_table(const char *text)
{
    sw_buf table = table_of("out");
    assert_string_equal((char *)table.data, text);
    sw_buf_deinit(&table);
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static void an_event_replaces_the_one_with_its_key_and_a_deleted_one_removes_it(void **state)
{
    (void)state;
    sw_sink *sink = opened(SW_AT_MOST_ONCE, NULL);
    put_event(sink, "{\"id\":1,\"kind\":\"a\",\"n\":1}");
    put_event(sink, "{\"id\":2,\"kind\":\"a\",\"n\":2}");
    put_event(sink, "{\"id\":1,\"n\":3}");
    put_event(sink, "{\"id\":1.0,\"kind\":\"a\",\"n\":4}");
    put_event(sink, "{\"id\":2,\"kind\":\"a\",\"deleted\":true}");
    put_event(sink, "{\"id\":3,\"kind\":\"a\",\"deleted\":true}");
    put_event(sink, "{\"id\":4,\"kind\":\"b\",\"deleted\":false}");
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    close_sink(sink);
    assert_table(
        "{\"id\":1,\"kind\":\"a\",\"n\":4}\n{\"id\":1,\"n\":3}\n{\"deleted\":false,\"id\":4,\"kind\":\"b\"}\n");
}

static void records_are_kept_as_maps(void **state)
{
    static const char *const names[] = { "id", "kind", "deleted" };
    static const sw_type types[] = { SW_TYPE_I64, SW_TYPE_STRING, SW_TYPE_BOOL };
    static const char *const events[] = { "{\"id\":1,\"kind\":\"a\"}", "{\"id\":2,\"kind\":\"b\"}",
                                          "{\"id\":1,\"kind\":\"a\",\"deleted\":true}" };
    const sw_schema *schema = NULL;
    (void)state;
    assert_int_equal(sw_schema_intern(names, types, 3, &schema, NULL), SW_OK);
    sw_sink *sink = opened(SW_AT_MOST_ONCE, NULL);
    for (int i = 0; i < 3; i++) {
        sw_decoder *decoder = decoder_of("jsonl", schema, NULL);
        sw_batch batch;
        sw_batch_init(&batch);
        decode_bytes(decoder, events[i], strlen(events[i]), &batch);
        assert_int_equal(first_row(&batch)->schema, schema->id);
        assert_int_equal(sink->ops->write(sink, first_row(&batch), NULL), SW_OK);
        sw_batch_deinit(&batch);
        sw_decoder_free(decoder);
    }
    close_sink(sink);
    assert_table("{\"id\":2,\"kind\":\"b\"}\n");
}

static void a_key_that_cannot_be_is_an_error_of_the_event(void **state)
{
    char json[700];
    sw_error err = { 0 };
    (void)state;
    sw_sink *sink = opened(SW_AT_MOST_ONCE, NULL);
    assert_int_equal(put(sink, "jsonl", "{\"id\":[1]}", &err), SW_ETYPE);
    assert_non_null(strstr(err.text, "key field \"id\" holds a table"));
    snprintf(json, sizeof(json), "{\"id\":\"%0600d\"}", 0);
    assert_int_equal(put(sink, "jsonl", json, &err), SW_EFORMAT);
    assert_non_null(strstr(err.text, "longer than the 511 bytes"));
    put_event(sink, "{\"id\":1}");
    close_sink(sink);
    assert_table("{\"id\":1}\n");
}

static void the_table_grows_beyond_its_map(void **state)
{
    enum { EVENTS = 3000 };
    static const sw_delivery deliveries[] = { SW_EXACTLY_ONCE, SW_AT_LEAST_ONCE };
    char json[300];
    (void)state;
    for (int d = 0; d < 2; d++) {
        sw_sink *sink = opened(deliveries[d], NULL);
        for (int i = 0; i < EVENTS; i++) {
            snprintf(json, sizeof(json), "{\"id\":%d,\"text\":\"%0200d\"}", i, d);
            put_event(sink, json);
        }
        sw_buf value = prepared(sink, 1);
        close_sink(sink);
        commit_value(&value);
        sw_buf_deinit(&value);
        sw_buf table = table_of("out");
        int lines = 0;
        for (size_t i = 0; i < table.size; i++) lines += table.data[i] == '\n';
        assert_int_equal(lines, EVENTS);
        sw_buf_deinit(&table);
    }
}

static void a_busy_sink_applies_now_and_then_and_an_idle_one_at_once(void **state)
{
    sw_clock *clock = sw_clock_virtual_new(0);
    sw_sink_context context = sink_context(SW_AT_MOST_ONCE, NULL);
    sw_sink *sink = NULL;
    (void)state;
    context.clock = clock;
    assert_int_equal(open_at(in_dir("out"), &context, &sink, NULL), SW_OK);
    sink->is_busy = true;
    put_event(sink, "{\"id\":1}");
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    assert_table("");
    sw_clock_virtual_advance(clock, 201);
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    assert_table("{\"id\":1}\n");
    put_event(sink, "{\"id\":2}");
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    assert_table("{\"id\":1}\n");
    sink->is_busy = false;
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    assert_table("{\"id\":1}\n{\"id\":2}\n");
    close_sink(sink);
    sw_clock_free(clock);
}

/* --- exactly once ------------------------------------------------------------------------------------------------- */

static void changes_are_seen_when_their_checkpoint_is_committed_and_applied_once(void **state)
{
    saved s = { 0 };
    (void)state;
    sw_sink *sink = opened(SW_EXACTLY_ONCE, NULL);
    assert_true(sink->is_transactional);
    put_event(sink, "{\"id\":1,\"n\":1}");
    saved_add(&s, 0, prepared(sink, 3));
    saved_add(&s, 0, prepared(sink, 4));
    put_event(sink, "{\"id\":1,\"n\":2}");
    saved_add(&s, 0, prepared(sink, 5));
    put_event(sink, "{\"id\":1,\"n\":3}");
    assert_int_equal(names_in("sinks"), 2);
    for (int i = 0; i < 3; i++) commit_value(&s.values[i]);
    close_sink(sink);
    assert_table("{\"id\":1,\"n\":2}\n");
    assert_int_equal(names_in("sinks"), 0);
    for (int i = 0; i < 3; i++) commit_value(&s.values[i]);
    assert_table("{\"id\":1,\"n\":2}\n");
    sw_buf value = one_checkpoint(&s, "{\"id\":2}", 7);
    assert_table("{\"id\":1,\"n\":2}\n{\"id\":2}\n");
    sw_buf_deinit(&value);
    saved_free(&s);
}

static sw_buf copy_of(const char *name)
{
    sw_buf content = { 0 };
    assert_int_equal(sw_fs_read_all(in_dir(name), &content, 64 << 20, NULL), SW_OK);
    return content;
}

/* A crash behind the transaction and before the segment is removed. */
static void a_segment_that_was_applied_is_only_removed(void **state)
{
    char **names = NULL, path[300];
    size_t count = 0;
    (void)state;
    sw_sink *sink = opened(SW_EXACTLY_ONCE, NULL);
    put_event(sink, "{\"id\":1,\"n\":1}");
    sw_buf first = prepared(sink, 1);
    assert_int_equal(sw_fs_list(in_dir("sinks"), &names, &count, NULL), SW_OK);
    snprintf(path, sizeof(path), "sinks/%s", names[0]);
    sw_buf segment = copy_of(path);
    put_event(sink, "{\"id\":1,\"n\":2}");
    sw_buf second = prepared(sink, 2);
    commit_value(&first);
    commit_value(&second);
    write_bytes(path, segment.data, segment.size);
    commit_value(&first);
    assert_int_equal(names_in("sinks"), 0);
    close_sink(sink);
    assert_table("{\"id\":1,\"n\":2}\n");
    sw_fs_glob_free(names, count);
    sw_buf_deinit(&segment);
    sw_buf_deinit(&first);
    sw_buf_deinit(&second);
}

static void a_fresh_run_keeps_the_table_and_counts_its_checkpoints_anew(void **state)
{
    (void)state;
    sw_buf value = one_checkpoint(NULL, "{\"id\":1}", 9);
    sw_buf_deinit(&value);
    value = one_checkpoint(NULL, "{\"id\":2}", 1);
    assert_table("{\"id\":1}\n{\"id\":2}\n");
    sw_buf_deinit(&value);
}

static void an_older_checkpoint_is_gone_on_from_though_nothing_is_taken_back(void **state)
{
    saved s = { 0 };
    (void)state;
    assert_null(commit_ops->rewind);
    saved_add(&s, 0, one_checkpoint(NULL, "{\"id\":1}", 1));
    sw_buf later = one_checkpoint(&s, "{\"id\":2}", 2);
    sw_buf_deinit(&later);
    commit_value(&s.values[0]);
    later = one_checkpoint(&s, "{\"id\":3}", 3);
    assert_table("{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
    sw_buf_deinit(&later);
    saved_free(&s);
}

static void a_table_that_was_removed_is_missed(void **state)
{
    sw_sink_context context;
    sw_sink *sink = NULL;
    sw_error err = { 0 };
    saved s = { 0 };
    (void)state;
    saved_add(&s, 0, one_checkpoint(NULL, "{\"id\":1}", 1));
    sink = opened(SW_EXACTLY_ONCE, &s);
    put_event(sink, "{\"id\":2}");
    sw_buf value = prepared(sink, 2);
    close_sink(sink);
    assert_int_equal(unlink(in_dir("out")), 0);
    assert_int_equal(commit_ops->commit(value.data, value.size, &err), SW_ESTATE);
    assert_non_null(strstr(err.text, "does not hold what checkpoint 1 put there"));
    assert_false(sw_fs_exists(in_dir("out")));
    context = sink_context(SW_EXACTLY_ONCE, &s);
    assert_int_equal(open_at(in_dir("out"), &context, &sink, &err), SW_ESTATE);
    assert_non_null(strstr(err.text, "does not hold what checkpoint 1 put there"));
    assert_int_equal(open_at(in_dir("new"), &context, &sink, &err), SW_OK);
    close_sink(sink);
    sw_buf_deinit(&value);
    saved_free(&s);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void a_file_is_opened_by_one_sink(void **state)
{
    sw_sink_context context = sink_context(SW_EXACTLY_ONCE, NULL);
    sw_sink *other = NULL;
    sw_error err = { 0 };
    (void)state;
    sw_sink *sink = opened(SW_EXACTLY_ONCE, NULL);
    assert_int_equal(link(in_dir("out"), in_dir("same")), 0);
    assert_int_equal(open_at(in_dir("same"), &context, &other, &err), SW_EBUSY);
    assert_non_null(strstr(err.text, "is being written by another sink"));
    put_event(sink, "{\"id\":1}");
    sw_buf value = prepared(sink, 1);
    commit_value(&value);
    close_sink(sink);
    assert_table("{\"id\":1}\n");
    sw_buf_deinit(&value);
}

static void what_is_no_store_is_refused(void **state)
{
    sw_sink_context context = sink_context(SW_EXACTLY_ONCE, NULL);
    sw_sink *sink = NULL;
    sw_error err = { 0 };
    char text[10000];
    (void)state;
    memset(text, 'x', sizeof(text));
    write_bytes("out", text, sizeof(text));
    assert_int_equal(open_at(in_dir("out"), &context, &sink, &err), SW_EFORMAT);
    assert_non_null(strstr(err.text, "is no store, or damaged"));
    assert_int_equal(open_at(dir, &context, &sink, &err), SW_EINVAL);
    assert_non_null(strstr(err.text, "is a directory"));
    assert_int_equal(open_at(in_dir("none/out"), &context, &sink, &err), SW_ENOTFOUND);
}

static void a_table_that_was_cut_is_refused_and_ends_no_process(void **state)
{
    char json[100];
    (void)state;
    sw_sink *sink = opened(SW_AT_MOST_ONCE, NULL);
    for (int i = 0; i < 2000; i++) {
        snprintf(json, sizeof(json), "{\"id\":%d}", i);
        put_event(sink, json);
    }
    close_sink(sink);
    sw_buf content = copy_of("out");
    for (size_t size = content.size - 4096; size >= 8192; size -= 4096) {
        sw_error err = { 0 };
        sw_sink_context context = sink_context(SW_AT_MOST_ONCE, NULL);
        write_bytes("out", content.data, size);
        int rc = open_at(in_dir("out"), &context, &sink, &err);
        if (rc == SW_OK) {
            put_event(sink, "{\"id\":5}");
            rc = sink->ops->close(sink, &err);
        }
        if (rc != SW_OK) assert_non_null(strstr(err.text, "damaged"));
    }
    sw_buf_deinit(&content);
}

static void what_a_crash_left_of_a_file_that_was_made_is_made_again(void **state)
{
    (void)state;
    write_file("out.new", "half");
    sw_buf value = one_checkpoint(NULL, "{\"id\":1}", 1);
    assert_table("{\"id\":1}\n");
    assert_false(sw_fs_exists(in_dir("out.new")));
    sw_buf_deinit(&value);
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

static int whole_run(sw_delivery delivery, const saved *restored)
{
    sw_sink *sink = NULL;
    sw_buf value = { 0 };
    sw_sink_context context = sink_context(delivery, restored);
    int rc = open_at(in_dir("out"), &context, &sink, NULL);
    if (rc == SW_OK) rc = sink->ops->prepare(sink, 5, &value, NULL);
    if (rc == SW_OK) rc = commit_ops->sync(value.data, value.size, NULL);
    if (rc == SW_OK) rc = commit_ops->commit(value.data, value.size, NULL);
    if (rc == SW_OK) rc = commit_ops->commit(restored->data[0], restored->lens[0], NULL);
    if (sink != NULL) sink->ops->close(sink, NULL);
    sw_buf_deinit(&value);
    return rc;
}

static void a_run_survives_every_allocation_failure(void **state)
{
    (void)state;
    for (int exact = 0; exact < 2; exact++) {
        bool was_hit = true;
        saved s = { 0 };
        saved_add(&s, 0, one_checkpoint(NULL, "{\"id\":1}", 1));
        for (long n = 0; was_hit; n++) {
            size_t live = sw_alloc_live();
            sw_fault_fail_after(n);
            int rc = whole_run(exact ? SW_EXACTLY_ONCE : SW_AT_LEAST_ONCE, &s);
            was_hit = sw_fault_hit();
            sw_fault_off();
            assert_int_equal(rc, was_hit ? SW_ENOMEM : SW_OK);
            assert_int_equal(sw_alloc_live(), live);
        }
        saved_free(&s);
    }
}

/* A run of one checkpoint, while the nth operation of a kind fails. False: none did. */
static bool run_with_fault(sw_fault_kind kind, long n)
{
    sw_sink *sink = NULL;
    sw_buf value = { 0 };
    sw_sink_context context = sink_context(SW_EXACTLY_ONCE, NULL);
    sw_fault_fail_kind_after(kind, n);
    if (open_at(in_dir("out"), &context, &sink, NULL) != SW_OK)
        assert_int_equal(open_at(in_dir("out"), &context, &sink, NULL), SW_OK);
    put_event(sink, "{\"id\":1}");
    if (sink->ops->prepare(sink, 1, &value, NULL) != SW_OK) value = prepared(sink, 1);
    if (commit_ops->sync(value.data, value.size, NULL) != SW_OK ||
        commit_ops->commit(value.data, value.size, NULL) != SW_OK)
        commit_value(&value);
    close_sink(sink);
    bool was_hit = sw_fault_hit();
    sw_fault_off();
    sw_buf_deinit(&value);
    return was_hit;
}

static void what_fails_at_the_disk_or_in_lmdb_may_be_repeated(void **state)
{
    static const sw_fault_kind kinds[] = { SW_FAULT_OPEN,   SW_FAULT_READ,   SW_FAULT_WRITE, SW_FAULT_SYNC,
                                           SW_FAULT_RENAME, SW_FAULT_REMOVE, SW_FAULT_LMDB,  SW_FAULT_MAP };
    (void)state;
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        bool was_hit = true;
        long n = 0;
        for (; was_hit; n++) {
            size_t live = sw_alloc_live();
            was_hit = run_with_fault(kinds[kind], n);
            assert_int_equal(sw_alloc_live(), live);
            assert_table("{\"id\":1}\n");
            assert_int_equal(names_in("sinks"), 0);
            assert_int_equal(unlink(in_dir("out")), 0);
        }
        assert_true(n > 1);
    }
}

static void changes_that_are_damaged_are_not_made(void **state)
{
    static const uint8_t bytes[] = { 1, 0, 0, 0, 2, 0, 0, 0, 7, 'a', 'b', 1, 0, 0, 0, 2, 0, 0, 0, 8, 'a', 'b' };
    sw_store_file *store = NULL;
    (void)state;
    assert_int_equal(sw_store_file_open(&store, in_dir("out"), 1 << 20, NULL), SW_OK);
    for (size_t n = 1; n < sizeof(bytes); n++) {
        sw_file *file = NULL;
        if (n == 11) continue; /* The first one, whole. */
        sw_store_changes changes = { .data = bytes, .bytes = n };
        assert_int_equal(sw_store_file_apply(store, &changes, SW_STORE_NO_NOTE, NULL), SW_EFORMAT);
        write_bytes("changes", bytes, n);
        assert_int_equal(sw_file_open_read(&file, in_dir("changes"), NULL), SW_OK);
        changes = (sw_store_changes){ .file = file, .bytes = n };
        assert_int_equal(sw_store_file_apply(store, &changes, SW_STORE_NO_NOTE, NULL), SW_EFORMAT);
        sw_file_close(file, NULL);
    }
    sw_store_file_close(store);
    assert_table("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(an_event_replaces_the_one_with_its_key_and_a_deleted_one_removes_it),
        FOLDER_TEST(records_are_kept_as_maps),
        FOLDER_TEST(a_key_that_cannot_be_is_an_error_of_the_event),
        FOLDER_TEST(the_table_grows_beyond_its_map),
        FOLDER_TEST(a_busy_sink_applies_now_and_then_and_an_idle_one_at_once),
        FOLDER_TEST(changes_are_seen_when_their_checkpoint_is_committed_and_applied_once),
        FOLDER_TEST(a_segment_that_was_applied_is_only_removed),
        FOLDER_TEST(a_fresh_run_keeps_the_table_and_counts_its_checkpoints_anew),
        FOLDER_TEST(an_older_checkpoint_is_gone_on_from_though_nothing_is_taken_back),
        FOLDER_TEST(a_table_that_was_removed_is_missed),
        FOLDER_TEST(a_file_is_opened_by_one_sink),
        FOLDER_TEST(what_is_no_store_is_refused),
        FOLDER_TEST(a_table_that_was_cut_is_refused_and_ends_no_process),
        FOLDER_TEST(what_a_crash_left_of_a_file_that_was_made_is_made_again),
        FOLDER_TEST(a_run_survives_every_allocation_failure),
        FOLDER_TEST(what_fails_at_the_disk_or_in_lmdb_may_be_repeated),
        FOLDER_TEST(changes_that_are_damaged_are_not_made),
    };
    return cmocka_run_group_tests(tests, find_ops, NULL);
}
