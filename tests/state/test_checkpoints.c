#include "state/checkpoint_support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define LONG_KEYS 8
#define LONG_KEY_SIZE 700

/* --- round trips ------------------------------------------------------------------------------------------------ */

static void what_is_committed_is_restored_with_all_it_says_of_itself(void **state)
{
    const sw_saved_component components[] = { { "source", 1, 0, false }, { "op", 3, 7, true } };
    sw_snapshot snapshot;
    const sw_snapshot *list[] = { &snapshot };
    uint64_t bytes = 0;
    (void)state;
    sw_checkpoints *store = open_store(3);
    sw_snapshot_init(&snapshot);
    put(&snapshot, SW_SAVED_SOURCE, 0, "", "position");
    sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
    meta.components = components;
    meta.component_count = 2;
    meta.is_finished = true;
    assert_int_equal(sw_checkpoints_commit(store, &meta, list, 1, &bytes, NULL), SW_OK);
    assert_in_range(bytes, 1, 65536);
    sw_snapshot_deinit(&snapshot);
    sw_checkpoints_close(store);

    store = open_store(3);
    sw_restore *restored = restore(store, "latest");
    const sw_checkpoint_meta *got = sw_restore_meta(restored);
    assert_int_equal(got->id, meta.id);
    assert_int_equal(got->time_ms, meta.time_ms);
    assert_true(got->is_finished);
    assert_string_equal(got->job, "job");
    assert_string_equal(got->folder, "/where");
    assert_string_equal(got->script_path, "job.lua");
    assert_int_equal(got->script_len, 8);
    assert_string_equal(got->script, "return 1");
    assert_int_equal(got->component_count, 2);
    assert_string_equal(got->components[1].name, "op");
    assert_int_equal(got->components[1].parallelism, 3);
    assert_int_equal(got->components[1].version, 7);
    assert_true(got->components[1].has_state);
    sw_buf value = { 0 };
    assert_int_equal(sw_restore_get(restored, "source", SW_SAVED_SOURCE, 0, NULL, 0, &value, NULL), SW_OK);
    assert_int_equal(value.size, 8);
    assert_memory_equal(value.data, "position", 8);
    assert_int_equal(sw_restore_get(restored, "op", SW_SAVED_SOURCE, 0, NULL, 0, &value, NULL), SW_ENOTFOUND);
    assert_int_equal(sw_restore_get(restored, "none", SW_SAVED_SOURCE, 0, NULL, 0, &value, NULL), SW_ENOTFOUND);
    sw_buf_deinit(&value);
    sw_restore_close(restored);
    sw_checkpoints_close(store);
}

static void a_later_change_of_a_key_counts_also_across_snapshots(void **state)
{
    sw_snapshot older, newer;
    const sw_snapshot *list[] = { &older, &newer };
    uint64_t bytes;
    (void)state;
    sw_checkpoints *store = open_store(3);
    sw_snapshot_init(&older);
    sw_snapshot_init(&newer);
    put_changes(&older, "a=1 b=1 a=2 c=1 d=1 -d");
    put_changes(&newer, "b=3 -c");
    sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
    assert_int_equal(sw_checkpoints_commit(store, &meta, list, 2, &bytes, NULL), SW_OK);
    assert_state(store, "latest", "a=2 b=3");
    sw_snapshot_deinit(&older);
    sw_snapshot_deinit(&newer);
    sw_checkpoints_close(store);
}

static void changes_build_on_one_another_across_restarts(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1 b=1 c=1");
    commit(store, "b=2 -c");
    sw_checkpoints_close(store);
    store = open_store(3);
    assert_state(store, "latest", "a=1 b=2");
    commit(store, "c=3 d=3");
    assert_state(store, "latest", "a=1 b=2 c=3 d=3");
    sw_checkpoints_close(store);
    store = open_store(3);
    assert_state(store, "latest", "a=1 b=2 c=3 d=3");
    assert_string_equal(files(), "1.full.mdb 2.mdb 3.mdb");
    sw_checkpoints_close(store);
}

static void the_first_commit_of_a_run_that_restored_nothing_is_a_full_image(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1");
    sw_checkpoints_close(store);
    store = open_store(3);
    commit(store, "b=1");
    assert_string_equal(files(), "1.full.mdb 2.full.mdb");
    assert_state(store, "latest", "b=1");
    sw_checkpoints_close(store);
}

static void an_empty_value_is_not_a_removal(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1 b=1");
    commit(store, "a= -b");
    assert_state(store, "latest", "a=");
    sw_checkpoints_close(store);
}

static void complete_kinds_say_nothing_about_earlier_checkpoints(void **state)
{
    sw_snapshot first, second;
    const sw_snapshot *list[1];
    sw_buf text = { 0 };
    uint64_t bytes;
    (void)state;
    sw_checkpoints *store = open_store(3);
    sw_snapshot_init(&first);
    put(&first, SW_SAVED_INSTANCE, 0, "", "x");
    put(&first, SW_SAVED_INSTANCE, 1, "", "y");
    put(&first, SW_SAVED_KEYED, 5, "k", "v");
    put(&first, SW_SAVED_SINK, 0, "1", "p");
    sw_snapshot_init(&second);
    put(&second, SW_SAVED_SINK, 1, "3", "r");
    put(&second, SW_SAVED_SINK, 1, "2", "q");
    put(&second, SW_SAVED_INSTANCE, 1, "", "z");
    list[0] = &first;
    sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
    assert_int_equal(sw_checkpoints_commit(store, &meta, list, 1, &bytes, NULL), SW_OK);
    list[0] = &second;
    meta = meta_of(sw_checkpoints_next_id(store));
    assert_int_equal(sw_checkpoints_commit(store, &meta, list, 1, &bytes, NULL), SW_OK);
    for (int folded = 0; folded < 2; folded++) {
        sw_restore *restored = restore(store, "latest");
        sw_buf_clear(&text);
        assert_int_equal(sw_restore_parts(restored, "op", SW_SAVED_INSTANCE, add_text, &text, NULL), SW_OK);
        assert_int_equal(text.size, 2);
        assert_memory_equal(text.data, "=z", 2);
        sw_buf_clear(&text);
        assert_int_equal(sw_restore_parts(restored, "op", SW_SAVED_SINK, add_text, &text, NULL), SW_OK);
        assert_memory_equal(text.data, "2=q 3=r", 7);
        assert_string_equal(state_of(restored), "k=v");
        sw_restore_close(restored);
        fold(store);
    }
    assert_string_equal(files(), "1.full.mdb 2.full.mdb");
    sw_buf_deinit(&text);
    sw_snapshot_deinit(&first);
    sw_snapshot_deinit(&second);
    sw_checkpoints_close(store);
}

static int stop_at_b(void *arg, const sw_saved *saved)
{
    (*(int *)arg)++;
    return saved->key[0] == 'b' ? 42 : 0;
}

static void entries_come_by_group_and_key_within_the_range_until_told_to_stop(void **state)
{
    sw_snapshot snapshot;
    const sw_snapshot *list[] = { &snapshot };
    sw_buf text = { 0 };
    uint64_t bytes;
    int calls = 0;
    (void)state;
    sw_checkpoints *store = open_store(3);
    sw_snapshot_init(&snapshot);
    put(&snapshot, SW_SAVED_KEYED, 127, "a", "4");
    put(&snapshot, SW_SAVED_KEYED, 2, "b", "3");
    put(&snapshot, SW_SAVED_TIMER, 2, "t", "0");
    put(&snapshot, SW_SAVED_KEYED, 2, "a", "2");
    put(&snapshot, SW_SAVED_KEYED, 1, "z", "1");
    sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
    assert_int_equal(sw_checkpoints_commit(store, &meta, list, 1, &bytes, NULL), SW_OK);
    sw_restore *restored = restore(store, "latest");
    assert_string_equal(state_of(restored), "z=1 a=2 b=3 a=4");
    assert_int_equal(sw_restore_each(restored, "op", SW_SAVED_KEYED, 2, 127, add_text, &text, NULL), SW_OK);
    assert_int_equal(text.size, 7);
    assert_memory_equal(text.data, "a=2 b=3", 7);
    assert_int_equal(sw_restore_each(restored, "op", SW_SAVED_KEYED, 0, 128, stop_at_b, &calls, NULL), 42);
    assert_int_equal(calls, 3);
    sw_buf_deinit(&text);
    sw_restore_close(restored);
    sw_snapshot_deinit(&snapshot);
    sw_checkpoints_close(store);
}

static void keys_of_any_length_are_told_apart(void **state)
{
    char key[LONG_KEYS][LONG_KEY_SIZE + 1];
    sw_snapshot snapshot;
    const sw_snapshot *list[] = { &snapshot };
    uint64_t bytes;
    (void)state;
    sw_checkpoints *store = open_store(3);
    sw_snapshot_init(&snapshot);
    for (int i = 0; i < LONG_KEYS; i++) {
        char value[2] = { (char)('0' + i), '\0' };
        int size = i < 4 ? 504 + i : LONG_KEY_SIZE; /* Around the longest that LMDB takes whole, and far above. */
        memset(key[i], 'k', (size_t)size);
        key[i][size] = '\0';
        key[i][size - 1] = (char)('a' + i);
        put(&snapshot, SW_SAVED_KEYED, 0, key[i], value);
    }
    sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
    assert_int_equal(sw_checkpoints_commit(store, &meta, list, 1, &bytes, NULL), SW_OK);
    sw_snapshot_deinit(&snapshot);
    sw_snapshot_init(&snapshot);
    put(&snapshot, SW_SAVED_KEYED, 0, key[5], NULL);
    put(&snapshot, SW_SAVED_KEYED, 0, key[6], "six");
    meta = meta_of(sw_checkpoints_next_id(store));
    assert_int_equal(sw_checkpoints_commit(store, &meta, list, 1, &bytes, NULL), SW_OK);
    sw_snapshot_deinit(&snapshot);
    for (int folded = 0; folded < 2; folded++) {
        sw_restore *restored = restore(store, "latest");
        for (int i = 0; i < LONG_KEYS; i++) {
            sw_buf value = { 0 };
            uint32_t size = (uint32_t)strlen(key[i]);
            int rc = sw_restore_get(restored, "op", SW_SAVED_KEYED, 0, (uint8_t *)key[i], size, &value, NULL);
            assert_int_equal(rc, i == 5 ? SW_ENOTFOUND : SW_OK);
            if (i == 6) assert_memory_equal(value.data, "six", 3);
            if (i < 5) assert_int_equal(value.data[0], '0' + i);
            sw_buf_deinit(&value);
        }
        sw_restore_close(restored);
        fold(store);
    }
    sw_checkpoints_close(store);
}

static void a_component_keeps_its_state_whatever_its_index(void **state)
{
    const sw_saved_component first[] = { { "a", 1, 0, true }, { "b", 1, 0, true } };
    const sw_saved_component second[] = { { "new", 1, 0, true }, { "b", 1, 0, true } };
    const sw_saved_component third[] = { { "b", 1, 0, true }, { "a", 1, 0, true }, { "new", 1, 0, true } };
    const sw_saved_component *lists[] = { first, second, third };
    const uint32_t counts[] = { 2, 2, 3 };
    sw_buf text = { 0 };
    (void)state;
    sw_checkpoints *store = open_store(3);
    for (int i = 0; i < 3; i++) {
        sw_snapshot snapshot;
        const sw_snapshot *list[] = { &snapshot };
        uint64_t bytes;
        sw_snapshot_init(&snapshot);
        for (uint32_t c = 0; c < counts[i] && i < 2; c++) {
            sw_saved saved = { .component = c, .kind = SW_SAVED_KEYED, .key = (const uint8_t *)"k", .key_len = 1 };
            char value[3] = { lists[i][c].name[0], (char)('0' + i), '\0' };
            saved.value = (const uint8_t *)value;
            saved.value_len = 2;
            if (i == 0 || c == 0) assert_int_equal(sw_snapshot_put(&snapshot, &saved), SW_OK);
        }
        sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
        meta.components = lists[i];
        meta.component_count = counts[i];
        assert_int_equal(sw_checkpoints_commit(store, &meta, list, 1, &bytes, NULL), SW_OK);
        sw_snapshot_deinit(&snapshot);
    }
    for (int folded = 0; folded < 2; folded++) {
        static const char *const expected[] = { "k=b0", "", "k=n1" }; /* "a" was gone in between: it starts afresh. */
        sw_restore *restored = restore(store, "latest");
        for (int c = 0; c < 3; c++) {
            sw_buf_clear(&text);
            assert_int_equal(sw_restore_each(restored, third[c].name, SW_SAVED_KEYED, 0, 128, add_text, &text, NULL),
                             SW_OK);
            assert_int_equal(text.size, strlen(expected[c]));
            if (text.size > 0) assert_memory_equal(text.data, expected[c], text.size);
        }
        sw_restore_close(restored);
        fold(store);
    }
    sw_buf_deinit(&text);
    sw_checkpoints_close(store);
}

static void the_script_is_stored_once_a_chain_and_found_from_every_checkpoint(void **state)
{
    static char script[100000];
    (void)state;
    memset(script, '-', sizeof(script));
    sw_checkpoints *store = open_store(5);
    for (int i = 0; i < 4; i++) {
        uint64_t bytes = 0;
        sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
        meta.script = script;
        meta.script_len = sizeof(script);
        if (i == 2) script[0] = '+';
        assert_int_equal(sw_checkpoints_commit(store, &meta, NULL, 0, &bytes, NULL), SW_OK);
        assert_in_range(bytes, i % 2 == 0 ? 100000 : 1, i % 2 == 0 ? 200000 : 20000);
    }
    for (int id = 4; id > 1; id--) { /* Downwards: the newer ones are set aside. */
        char which[2] = { (char)('0' + id), '\0' };
        if (id == 3) fold(store);
        sw_restore *restored = restore(store, which);
        assert_int_equal(sw_restore_meta(restored)->script_len, sizeof(script));
        assert_int_equal(sw_restore_meta(restored)->script[0], id == 2 ? '-' : '+');
        assert_int_equal(sw_restore_meta(restored)->script[1], '-');
        sw_restore_close(restored);
    }
    sw_checkpoints_close(store);
}

/* --- ids -------------------------------------------------------------------------------------------------------- */

static void ids_grow_and_none_is_used_again_even_of_checkpoints_that_failed(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(1);
    assert_int_equal(sw_checkpoints_next_id(store), 1);
    assert_int_equal(commit(store, "a=1"), 2);
    for (uint64_t id = 3; id < 60; id++) assert_int_equal(sw_checkpoints_next_id(store), id);
    sw_checkpoints_close(store);
    store = open_store(1);
    assert_int_equal(sw_checkpoints_next_id(store), 60);
    sw_checkpoints_close(store);
}

static void a_process_that_was_killed_has_its_ids_skipped(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        sw_checkpoints *store = open_store(1);
        for (int i = 0; i < 20; i++) sw_checkpoints_next_id(store);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    sw_checkpoints *store = open_store(1);
    assert_in_range(sw_checkpoints_next_id(store), 21, 37);
    sw_checkpoints_close(store);
}

static void an_id_that_is_not_above_all_others_is_refused(void **state)
{
    uint64_t bytes;
    sw_error err;
    (void)state;
    sw_checkpoints *store = open_store(1);
    sw_checkpoint_meta meta = meta_of(commit(store, "a=1"));
    assert_int_equal(sw_checkpoints_commit(store, &meta, NULL, 0, &bytes, &err), SW_EINVAL);
    assert_state(store, "latest", "a=1");
    sw_checkpoints_close(store);
}

/* --- retention and folding -------------------------------------------------------------------------------------- */

static void what_is_beyond_retain_goes_but_for_what_is_built_on(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(2);
    commit(store, "a=1");
    commit(store, "b=2");
    commit(store, "c=3");
    commit(store, "d=4");
    assert_string_equal(files(), "1.full.mdb 2.mdb 3.mdb 4.mdb");
    fold(store); /* 4 and 3 stay; 4.mdb is replaced. */
    assert_string_equal(files(), "1.full.mdb 2.mdb 3.mdb 4.full.mdb");
    commit(store, "e=5"); /* 5 and 4 stand on one image, so 3 stays with all of its own. */
    commit(store, "f=6");
    assert_string_equal(files(), "1.full.mdb 2.mdb 3.mdb 4.full.mdb 5.mdb 6.mdb");
    fold(store);
    assert_string_equal(files(), "4.full.mdb 5.mdb 6.full.mdb");
    assert_state(store, "5", "a=1 b=2 c=3 d=4 e=5");
    sw_checkpoints_close(store);
}

static void with_one_retained_there_are_still_two_images(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(1);
    commit(store, "a=1");
    commit(store, "b=2");
    fold(store);
    assert_string_equal(files(), "1.full.mdb 2.full.mdb 2.mdb"); /* The same checkpoint, twice. */
    commit(store, "c=3");
    assert_string_equal(files(), "1.full.mdb 2.full.mdb 2.mdb 3.mdb");
    assert_int_equal(sw_fs_remove(in_dir("checkpoints/2.full.mdb"), NULL), SW_OK);
    sw_checkpoints_close(store);
    store = open_store(1);
    assert_int_equal(assert_state(store, "latest", "a=1 b=2"), 2);
    sw_checkpoints_close(store);
}

static void folding_is_due_when_changes_outgrow_half_of_the_image_or_are_many(void **state)
{
    static char value[600000];
    sw_snapshot snapshot;
    const sw_snapshot *list[] = { &snapshot };
    uint64_t bytes;
    (void)state;
    memset(value, 'v', sizeof(value) - 1);
    sw_checkpoints *store = open_store(1);
    assert_false(sw_checkpoints_should_fold(store));
    assert_int_equal(sw_checkpoints_fold(store, NULL), SW_ESTATE);
    commit(store, "a=1");
    for (int i = 0; i < 31; i++) {
        assert_false(sw_checkpoints_should_fold(store));
        commit(store, "b=2");
    }
    assert_false(sw_checkpoints_should_fold(store));
    commit(store, "b=3");
    assert_true(sw_checkpoints_should_fold(store));
    fold(store);
    assert_false(sw_checkpoints_should_fold(store));
    fold(store); /* Nothing to do. */
    sw_snapshot_init(&snapshot);
    put(&snapshot, SW_SAVED_KEYED, 0, "large", value);
    for (int i = 0; i < 2; i++) {
        assert_false(sw_checkpoints_should_fold(store));
        sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
        assert_int_equal(sw_checkpoints_commit(store, &meta, list, 1, &bytes, NULL), SW_OK);
    }
    assert_true(sw_checkpoints_should_fold(store));
    sw_snapshot_deinit(&snapshot);
    sw_checkpoints_close(store);
}

static void a_chain_never_grows_beyond_what_can_be_opened(void **state)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    (void)state;
    sw_checkpoints *store = open_store(1);
    for (int i = 0; i < 300; i++) commit(store, "a=1");
    assert_int_equal(sw_checkpoints_list(store, false, &list, &count, NULL), SW_OK);
    assert_in_range(list[count - 1].files, 2, 256);
    assert_state(store, "latest", "a=1");
    sw_free(list);
    sw_checkpoints_close(store);
}

/* --- savepoints ------------------------------------------------------------------------------------------------- */

static void a_savepoint_is_one_file_that_another_directory_goes_on_from(void **state)
{
    char elsewhere[80];
    (void)state;
    sw_checkpoints *store = open_store(3);
    assert_int_equal(sw_checkpoints_savepoint(store, "early", NULL), SW_ESTATE);
    commit(store, "a=1");
    uint64_t saved = commit(store, "b=2");
    assert_int_equal(sw_checkpoints_savepoint(store, "v1.2_a-b", NULL), SW_OK);
    commit(store, "a=9");
    sw_checkpoints_close(store);
    assert_int_equal(sw_fs_rename(in_dir("savepoints/v1.2_a-b.mdb"), in_dir("carried.mdb"), NULL), SW_OK);
    assert_int_equal(sw_fs_remove(in_dir("checkpoints/1.full.mdb"), NULL), SW_OK);

    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", dir);
    store = open_store_at(elsewhere, 3);
    assert_int_equal(assert_state(store, in_dir("carried.mdb"), "a=1 b=2"), saved);
    assert_int_equal(sw_fs_remove(in_dir("carried.mdb"), NULL), SW_OK);
    assert_true(commit(store, "c=3") > saved);
    sw_checkpoints_close(store);
    store = open_store_at(elsewhere, 3);
    assert_state(store, "latest", "a=1 b=2 c=3");
    sw_checkpoints_close(store);
}

static void after_a_savepoint_was_restored_latest_is_what_it_held(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1");
    assert_int_equal(sw_checkpoints_savepoint(store, "one", NULL), SW_OK);
    commit(store, "a=2");
    sw_checkpoints_close(store);
    store = open_store(3);
    assert_int_equal(assert_state(store, "one", "a=1"), 1);
    assert_string_equal(files(), "1.full.mdb.skipped 2.mdb.skipped 3.full.mdb");
    sw_checkpoints_close(store);
    store = open_store(3);
    assert_state(store, "latest", "a=1");
    sw_checkpoints_close(store);
}

static void a_savepoint_needs_a_name_of_its_own(void **state)
{
    static const char *const bad[] = { "", "1a", ".a", "a/b", "a b", "a.mdb", "latest", "none", "\xc3\xa4" };
    char longest[SW_SAVEPOINT_NAME_MAX + 2];
    sw_error err;
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(sw_checkpoints_savepoint(store, bad[i], NULL), SW_EINVAL);
    memset(longest, 'a', sizeof(longest));
    longest[SW_SAVEPOINT_NAME_MAX + 1] = '\0';
    assert_int_equal(sw_checkpoints_savepoint(store, longest, NULL), SW_EINVAL);
    longest[SW_SAVEPOINT_NAME_MAX] = '\0';
    assert_int_equal(sw_checkpoints_savepoint(store, longest, NULL), SW_OK);
    assert_int_equal(sw_checkpoints_savepoint(store, longest, &err), SW_EINVAL);
    assert_non_null(strstr(err.text, "already"));
    sw_checkpoints_close(store);
}

static void a_file_of_changes_is_no_savepoint(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1");
    commit(store, "a=2");
    assert_restore_fails(store, in_dir("checkpoints/2.mdb"), SW_EFORMAT, "no savepoint");
    assert_restore_fails(store, in_dir("none.mdb"), SW_ENOTFOUND, "none.mdb");
    assert_restore_fails(store, "unknown", SW_ENOTFOUND, "unknown");
    assert_restore_fails(store, "7", SW_ENOTFOUND, "no checkpoint 7");
    sw_checkpoints_close(store);
}

/* --- restoring an older one, dropping ---------------------------------------------------------------------------- */

static void restoring_an_older_checkpoint_sets_the_newer_ones_aside(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(4);
    commit(store, "a=1");
    commit(store, "b=2");
    commit(store, "c=3");
    assert_state(store, "2", "a=1 b=2");
    assert_string_equal(files(), "1.full.mdb 2.mdb 3.mdb.skipped");
    assert_restore_fails(store, "3", SW_ENOTFOUND, "no checkpoint 3");
    assert_int_equal(commit(store, "d=4"), 4);
    assert_state(store, "latest", "a=1 b=2 d=4");
    for (int i = 0; i < 4; i++) commit(store, "e=5");
    assert_string_equal(files(), "1.full.mdb 2.mdb 4.mdb 5.mdb 6.mdb 7.mdb 8.mdb"); /* It has grown old. */
    sw_checkpoints_close(store);
}

static void a_checkpoint_is_dropped_unless_another_builds_on_it(void **state)
{
    sw_error err;
    (void)state;
    sw_checkpoints *store = open_store(5);
    commit(store, "a=1");
    commit(store, "b=2");
    fold(store);
    commit(store, "c=3");
    assert_int_equal(sw_checkpoints_savepoint(store, "keep", NULL), SW_OK);
    assert_int_equal(sw_checkpoints_drop(store, "2", &err), SW_ESTATE);
    assert_non_null(strstr(err.text, "checkpoint 3 builds on"));
    assert_int_equal(sw_checkpoints_drop(store, "3", &err), SW_ESTATE);
    assert_int_equal(sw_checkpoints_drop(store, "7", NULL), SW_ENOTFOUND);
    assert_int_equal(sw_checkpoints_drop(store, "no", NULL), SW_ENOTFOUND);
    assert_int_equal(sw_checkpoints_drop(store, "1", NULL), SW_OK);
    assert_string_equal(files(), "2.full.mdb 3.mdb");
    assert_int_equal(sw_checkpoints_drop(store, "keep", NULL), SW_OK);
    assert_false(exists("savepoints/keep.mdb"));
    sw_checkpoints_close(store);
    store = open_store(5);
    assert_int_equal(sw_checkpoints_drop(store, "3", NULL), SW_OK); /* No run builds on it now. */
    assert_int_equal(assert_state(store, "latest", "a=1 b=2"), 2);
    assert_string_equal(skips, "");
    sw_checkpoints_close(store);
}

static void the_list_says_what_each_checkpoint_is(void **state)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1 b=1");
    commit(store, "-b");
    assert_int_equal(sw_checkpoints_savepoint(store, "save", NULL), SW_OK);
    sw_checkpoints *reader = open_reader();
    assert_int_equal(sw_checkpoints_list(reader, true, &list, &count, NULL), SW_OK);
    assert_int_equal(count, 3);
    assert_true(list[0].id == 1 && list[0].is_full && list[0].changes == 2 && list[0].files == 1);
    assert_true(list[1].id == 2 && !list[1].is_full && list[1].changes == 1 && list[1].files == 2);
    assert_true(list[2].id == 2 && list[2].is_full && list[2].changes == 1 && list[2].files == 1);
    assert_string_equal(list[1].name, "");
    assert_string_equal(list[2].name, "save");
    assert_int_equal(list[1].time_ms, 2000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(list[i].problem, SW_OK);
        assert_in_range(list[i].bytes, 1, 65536);
    }
    sw_free(list);
    assert_int_equal(sw_checkpoints_drop(reader, "1", NULL), SW_ESTATE);
    assert_int_equal(sw_checkpoints_savepoint(reader, "x", NULL), SW_ESTATE);
    assert_state(reader, "1", "a=1 b=1"); /* Nothing is set aside by a reader. */
    assert_string_equal(files(), "1.full.mdb 2.mdb");
    sw_checkpoints_close(reader);
    sw_checkpoints_close(store);
}

/* --- processes and threads -------------------------------------------------------------------------------------- */

static void a_second_process_is_refused_and_told_who_has_the_directory(void **state)
{
    const sw_checkpoints_options options = { .retain = 1 };
    char pid[48];
    (void)state;
    sw_checkpoints *store = open_store(1);
    snprintf(pid, sizeof(pid), "process %d ", (int)getpid());
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        sw_checkpoints *second = NULL;
        sw_error err = { 0 };
        int rc = sw_checkpoints_open(&second, dir, &options, &err);
        _exit(rc == SW_EBUSY && strstr(err.text, pid) != NULL && strstr(err.text, dir) != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    sw_checkpoints *second = NULL;
    assert_int_equal(sw_checkpoints_open(&second, dir, &options, NULL), SW_EBUSY);
    sw_checkpoints_close(open_reader());
    assert_int_equal(sw_checkpoints_open(&second, dir, &options, NULL), SW_EBUSY);
    sw_checkpoints_close(store);
    sw_checkpoints_close(open_store(1));
}

static void a_reader_wants_a_directory_that_is_there(void **state)
{
    const sw_checkpoints_options options = { .is_read_only = true };
    sw_checkpoints *store = NULL;
    (void)state;
    assert_int_equal(sw_checkpoints_open(&store, in_dir("none"), &options, NULL), SW_ENOTFOUND);
    assert_false(exists("none"));
}

#define READERS 4

static void *read_often(void *arg)
{
    const sw_restore *restored = arg;
    for (int i = 0; i < 200; i++) {
        sw_buf text = { 0 };
        if (sw_restore_each(restored, "op", SW_SAVED_KEYED, 0, 128, add_text, &text, NULL) != SW_OK) return "each";
        bool is_right = text.size == 11 && memcmp(text.data, "a=1 b=2 c=3", 11) == 0;
        sw_buf_deinit(&text);
        if (!is_right) return "text";
        if (sw_restore_get(restored, "op", SW_SAVED_KEYED, 0, (const uint8_t *)"b", 1, &text, NULL) != SW_OK)
            return "get";
        sw_buf_deinit(&text);
    }
    return NULL;
}

static void several_threads_read_one_restored_checkpoint(void **state)
{
    pthread_t threads[READERS];
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1 b=1");
    commit(store, "b=2 c=3");
    sw_restore *restored = restore(store, "latest");
    for (int i = 0; i < READERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, read_often, restored), 0);
    for (int i = 0; i < READERS; i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    sw_restore_close(restored);
    sw_checkpoints_close(store);
}

/* Commits and folds until told to end; its exit status says whether that went well. */
static pid_t start_writer(int *stop)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        const sw_checkpoints_options options = { .retain = 1 };
        sw_checkpoints *store = NULL;
        if (sw_checkpoints_open(&store, dir, &options, NULL) != SW_OK) _exit(1);
        sw_restore *restored = NULL;
        if (sw_restore_open(&restored, store, "latest", NULL, NULL, NULL) != SW_OK) _exit(2);
        for (int i = 0; i < 300; i++) {
            uint64_t id;
            if (try_commit(store, i % 2 == 0 ? "a=1 b=2" : "b=2", &id, NULL) != SW_OK) _exit(3);
            if (i % 3 == 2 && sw_checkpoints_fold(store, NULL) != SW_OK) _exit(4);
        }
        _exit(0);
    }
    close(ends[0]);
    *stop = ends[1];
    return child;
}

static void a_reader_beside_a_writer_finds_whole_checkpoints(void **state)
{
    int stop = -1, status = 0, rounds = 0;
    (void)state;
    sw_checkpoints *store = open_store(1);
    commit(store, "a=1 b=2");
    sw_checkpoints_close(store);
    pid_t child = start_writer(&stop);
    sw_checkpoints *reader = open_reader();
    while (waitpid(child, &status, WNOHANG) == 0) {
        sw_checkpoint_entry *list = NULL;
        uint32_t count = 0;
        sw_restore *restored = NULL;
        sw_error err = { 0 };
        int rc = sw_restore_open(&restored, reader, "latest", NULL, NULL, &err);
        if (rc == SW_OK) {
            assert_string_equal(state_of(restored), "a=1 b=2");
            sw_restore_close(restored);
            rounds++;
        } else if (rc != SW_EFORMAT) { /* Retired again and again: it says so. */
            fail_msg("%d %s", rc, err.text);
        }
        assert_int_equal(sw_checkpoints_list(reader, rounds % 2 == 0, &list, &count, NULL), SW_OK);
        sw_free(list);
    }
    assert_int_equal(status, 0);
    assert_true(rounds > 0);
    close(stop);
    sw_checkpoints_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(what_is_committed_is_restored_with_all_it_says_of_itself),
        STORE_TEST(a_later_change_of_a_key_counts_also_across_snapshots),
        STORE_TEST(changes_build_on_one_another_across_restarts),
        STORE_TEST(the_first_commit_of_a_run_that_restored_nothing_is_a_full_image),
        STORE_TEST(an_empty_value_is_not_a_removal),
        STORE_TEST(complete_kinds_say_nothing_about_earlier_checkpoints),
        STORE_TEST(entries_come_by_group_and_key_within_the_range_until_told_to_stop),
        STORE_TEST(keys_of_any_length_are_told_apart),
        STORE_TEST(a_component_keeps_its_state_whatever_its_index),
        STORE_TEST(the_script_is_stored_once_a_chain_and_found_from_every_checkpoint),
        STORE_TEST(ids_grow_and_none_is_used_again_even_of_checkpoints_that_failed),
        STORE_TEST(a_process_that_was_killed_has_its_ids_skipped),
        STORE_TEST(an_id_that_is_not_above_all_others_is_refused),
        STORE_TEST(what_is_beyond_retain_goes_but_for_what_is_built_on),
        STORE_TEST(with_one_retained_there_are_still_two_images),
        STORE_TEST(folding_is_due_when_changes_outgrow_half_of_the_image_or_are_many),
        MEMORY_TEST(a_chain_never_grows_beyond_what_can_be_opened),
        STORE_TEST(a_savepoint_is_one_file_that_another_directory_goes_on_from),
        STORE_TEST(after_a_savepoint_was_restored_latest_is_what_it_held),
        STORE_TEST(a_savepoint_needs_a_name_of_its_own),
        STORE_TEST(a_file_of_changes_is_no_savepoint),
        STORE_TEST(restoring_an_older_checkpoint_sets_the_newer_ones_aside),
        STORE_TEST(a_checkpoint_is_dropped_unless_another_builds_on_it),
        STORE_TEST(the_list_says_what_each_checkpoint_is),
        STORE_TEST(a_second_process_is_refused_and_told_who_has_the_directory),
        STORE_TEST(a_reader_wants_a_directory_that_is_there),
        STORE_TEST(several_threads_read_one_restored_checkpoint),
        MEMORY_TEST(a_reader_beside_a_writer_finds_whole_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
