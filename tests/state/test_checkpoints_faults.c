#include "state/checkpoint_support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static const sw_fault_kind all_kinds[] = {
    SW_FAULT_ALLOC, SW_FAULT_OPEN,   SW_FAULT_READ, SW_FAULT_WRITE,
    SW_FAULT_SYNC,  SW_FAULT_RENAME, SW_FAULT_LMDB, SW_FAULT_REMOVE,
};

#define KINDS (sizeof(all_kinds) / sizeof(*all_kinds))

/* An operation under test, on a store whose last checkpoint is a chain of two; leaves the state given. */
typedef struct operation {
    const char *name;                                 /* for messages */
    int (*run)(sw_checkpoints *store, sw_error *err); /* the operation */
    const char *after;                                /* state if it did not */
} operation;

static sw_snapshot changes; /* "b=3 -c" */

static int run_commit(sw_checkpoints *store, sw_error *err)
{
    const sw_snapshot *list[] = { &changes };
    uint64_t bytes = 0;
    const sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
    return sw_checkpoints_commit(store, &meta, list, 1, &bytes, err);
}

static int run_fold(sw_checkpoints *store, sw_error *err)
{
    return sw_checkpoints_fold(store, err);
}

static int run_savepoint(sw_checkpoints *store, sw_error *err)
{
    return sw_checkpoints_savepoint(store, "save", err);
}

static int run_restore(sw_checkpoints *store, sw_error *err)
{
    sw_restore *restored = NULL;
    int rc = sw_restore_open(&restored, store, "2", NULL, NULL, err);
    sw_buf text = { 0 };
    if (rc == SW_OK) rc = sw_restore_each(restored, "op", SW_SAVED_KEYED, 0, 128, add_text, &text, err);
    if (rc == SW_OK) rc = sw_restore_get(restored, "op", SW_SAVED_KEYED, 0, (const uint8_t *)"a", 1, &text, err);
    sw_buf_deinit(&text);
    sw_restore_close(restored);
    return rc;
}

static int run_import(sw_checkpoints *store, sw_error *err)
{
    sw_restore *restored = NULL;
    int rc = sw_restore_open(&restored, store, "early", NULL, NULL, err);
    sw_restore_close(restored);
    return rc;
}

static int run_list(sw_checkpoints *store, sw_error *err)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    int rc = sw_checkpoints_list(store, true, &list, &count, err);
    sw_free(list);
    return rc;
}

static int run_drop(sw_checkpoints *store, sw_error *err)
{
    return sw_checkpoints_drop(store, "early", err);
}

static sw_checkpoints *make_store(void)
{
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1");
    assert_int_equal(sw_checkpoints_savepoint(store, "early", NULL), SW_OK);
    commit(store, "b=2 c=2");
    return store;
}

/* Runs the operation with the n-th of a kind failing, and once more if that made it fail. False: there was none. */
static bool run_with_fault(const operation *op, sw_fault_kind kind, long n)
{
    sw_error err = { 0 };
    sw_checkpoints *store = make_store();
    sw_fault_fail_kind_after(kind, n);
    int rc = op->run(store, &err);
    sw_fault_off();
    bool hit = sw_fault_hit();
    if (rc != SW_OK && (!hit || err.text[0] == '\0')) fail_msg("%s, %d, %ld: %d %s", op->name, kind, n, rc, err.text);
    if (kind != SW_FAULT_REMOVE && strstr(files(), ".tmp") != NULL) fail_msg("%s: %s", op->name, files());
    if (rc != SW_OK) rc = op->run(store, &err);
    bool is_gone = op->run == run_drop && rc == SW_ENOTFOUND; /* The name went, and syncing that failed. */
    if (rc != SW_OK && !is_gone) fail_msg("%s again: %s", op->name, err.text);
    sw_checkpoints_close(store);
    store = open_store(3);
    assert_state(store, "latest", op->after);
    sw_checkpoints_close(store);
    return hit;
}

static void fail_every_operation(const operation *op)
{
    for (size_t k = 0; k < KINDS; k++) {
        for (long n = 0;; n++) {
            size_t live_before = sw_alloc_live();
            bool hit = run_with_fault(op, all_kinds[k], n);
            if (sw_alloc_live() != live_before) fail_msg("%s, %d, %ld leaks", op->name, all_kinds[k], n);
            assert_int_equal(remove_temp_dir(NULL), 0);
            assert_int_equal(make_memory_dir(NULL), 0);
            if (!hit) break;
        }
    }
}

static void a_commit_that_fails_anywhere_leaves_what_was_and_can_be_repeated(void **state)
{
    const operation op = { "commit", run_commit, "a=1 b=3" };
    (void)state;
    sw_snapshot_init(&changes);
    put_changes(&changes, "b=3 -c");
    fail_every_operation(&op);
    sw_snapshot_deinit(&changes);
}

static void a_fold_that_fails_anywhere_leaves_what_was_and_can_be_repeated(void **state)
{
    const operation op = { "fold", run_fold, "a=1 b=2 c=2" };
    (void)state;
    fail_every_operation(&op);
}

static void a_savepoint_that_fails_anywhere_can_be_repeated(void **state)
{
    const operation op = { "savepoint", run_savepoint, "a=1 b=2 c=2" };
    (void)state;
    fail_every_operation(&op);
}

static void restoring_that_fails_anywhere_can_be_repeated(void **state)
{
    const operation restoring = { "restore", run_restore, "a=1 b=2 c=2" };
    const operation importing = { "import", run_import, "a=1" };
    (void)state;
    fail_every_operation(&restoring);
    fail_every_operation(&importing);
}

static void listing_and_dropping_that_fail_anywhere_can_be_repeated(void **state)
{
    const operation listing = { "list", run_list, "a=1 b=2 c=2" };
    const operation dropping = { "drop", run_drop, "a=1 b=2 c=2" };
    (void)state;
    fail_every_operation(&listing);
    fail_every_operation(&dropping);
}

static void opening_that_fails_anywhere_leaves_no_lock_and_no_memory(void **state)
{
    const sw_checkpoints_options options = { .retain = 1 };
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        sw_checkpoints_close(make_store());
        for (long n = 0;; n++) {
            sw_checkpoints *store = NULL;
            size_t live_before = sw_alloc_live();
            sw_fault_fail_kind_after(all_kinds[k], n);
            int rc = sw_checkpoints_open(&store, dir, &options, NULL);
            sw_fault_off();
            bool hit = sw_fault_hit();
            if (rc != SW_OK) assert_null(store);
            sw_checkpoints_close(store);
            assert_int_equal(sw_alloc_live(), live_before);
            if (!hit) break;
        }
        assert_int_equal(remove_temp_dir(NULL), 0);
        assert_int_equal(make_memory_dir(NULL), 0);
    }
}

static void memory_that_is_out_does_not_make_a_good_checkpoint_count_as_damaged(void **state)
{
    bool hit = true;
    (void)state;
    sw_checkpoints_close(make_store());
    for (long n = 0; hit; n++) {
        sw_checkpoints *store = open_store(3);
        sw_restore *restored = NULL;
        skips[0] = '\0';
        sw_fault_fail_after(n);
        int rc = sw_restore_open(&restored, store, "latest", note_skip, NULL, NULL);
        sw_fault_off();
        hit = sw_fault_hit();
        assert_string_equal(skips, "");
        if (rc == SW_OK) assert_int_equal(sw_restore_meta(restored)->id, 2);
        if (rc != SW_OK) assert_int_equal(rc, SW_ENOMEM);
        sw_restore_close(restored);
        sw_checkpoints_close(store);
    }
    assert_string_equal(files(), "1.full.mdb 2.mdb");
}

static void a_map_that_is_full_is_made_larger(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(3);
    sw_fault_fail_kind_after(SW_FAULT_MAP, 1);
    commit(store, "a=1 b=1 c=1");
    assert_true(sw_fault_hit());
    sw_fault_off();
    commit(store, "b=2");
    sw_fault_fail_kind_after(SW_FAULT_MAP, 2);
    fold(store);
    assert_true(sw_fault_hit());
    sw_fault_off();
    assert_state(store, "latest", "a=1 b=2 c=1");
    sw_checkpoints_close(store);
}

/* A commit of a megabyte. */
static int commit_large(sw_checkpoints *store, sw_error *err)
{
    static char value[1 << 20];
    sw_snapshot snapshot;
    const sw_snapshot *list[] = { &snapshot };
    uint64_t bytes;
    memset(value, 'v', sizeof(value) - 1);
    sw_snapshot_init(&snapshot);
    put(&snapshot, SW_SAVED_KEYED, 0, "large", value);
    sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
    int rc = sw_checkpoints_commit(store, &meta, list, 1, &bytes, err);
    sw_snapshot_deinit(&snapshot);
    return rc;
}

/* A limit on the size of files makes writes fail half way, as a full disk does. */
static void a_disk_that_is_full_fails_the_checkpoint_and_the_next_one_succeeds(void **state)
{
    struct rlimit none, small;
    sw_error err = { 0 };
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &none), 0);
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1");
    commit(store, "a=2");
    for (rlim_t limit = 4096; limit < 1 << 20; limit *= 2) {
        small = (struct rlimit){ limit, none.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        int rc = commit_large(store, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
        assert_true(rc == SW_ENOSPC || rc == SW_EIO);
        assert_string_equal(files(), "1.full.mdb 2.mdb");
    }
    assert_int_equal(commit_large(store, NULL), SW_OK);
    sw_checkpoints_close(store);
    store = open_store(3);
    sw_restore *restored = restore(store, "latest");
    sw_buf value = { 0 };
    assert_int_equal(sw_restore_get(restored, "op", SW_SAVED_KEYED, 0, (const uint8_t *)"large", 5, &value, NULL),
                     SW_OK);
    assert_int_equal(value.size, (1 << 20) - 1);
    sw_buf_deinit(&value);
    sw_restore_close(restored);
    sw_checkpoints_close(store);
}

static void what_cannot_be_saved_is_refused(void **state)
{
    sw_snapshot snapshot;
    const sw_snapshot *list[] = { &snapshot };
    uint64_t bytes;
    sw_error err;
    (void)state;
    sw_checkpoints *store = open_store(3);
    sw_snapshot_init(&snapshot);
    put(&snapshot, SW_SAVED_KEYED, 256, "k", "v");
    sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
    assert_int_equal(sw_checkpoints_commit(store, &meta, list, 1, &bytes, &err), SW_EINVAL);
    assert_non_null(strstr(err.text, "group 256"));
    sw_snapshot_deinit(&snapshot);
    assert_string_equal(files(), "");
    sw_checkpoints_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(a_commit_that_fails_anywhere_leaves_what_was_and_can_be_repeated),
        MEMORY_TEST(a_fold_that_fails_anywhere_leaves_what_was_and_can_be_repeated),
        MEMORY_TEST(a_savepoint_that_fails_anywhere_can_be_repeated),
        MEMORY_TEST(restoring_that_fails_anywhere_can_be_repeated),
        MEMORY_TEST(listing_and_dropping_that_fail_anywhere_can_be_repeated),
        MEMORY_TEST(opening_that_fails_anywhere_leaves_no_lock_and_no_memory),
        MEMORY_TEST(memory_that_is_out_does_not_make_a_good_checkpoint_count_as_damaged),
        MEMORY_TEST(a_map_that_is_full_is_made_larger),
        MEMORY_TEST(a_disk_that_is_full_fails_the_checkpoint_and_the_next_one_succeeds),
        MEMORY_TEST(what_cannot_be_saved_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
