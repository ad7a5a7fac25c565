#include "state/checkpoint_expect.h"

#include "base/hash.h"
#include "state/key.h"
#include "state/scan.h"

#define KEYS 300

static uint32_t group_of(const char *key)
{
    return sw_key_group(sw_hash(key, strlen(key)));
}

/* Commits changes as put_changes reads them, each key in its own group. */
static uint64_t commit_grouped(sw_checkpoints *store, const char *text)
{
    char copy[16384];
    sw_snapshot snapshot;
    const sw_snapshot *list[] = { &snapshot };
    uint64_t bytes = 0;
    sw_error err = { 0 };
    snprintf(copy, sizeof(copy), "%s", text);
    sw_snapshot_init(&snapshot);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        char *equals = strchr(word, '=');
        if (equals != NULL) *equals = '\0';
        const char *key = equals != NULL ? word : word + 1;
        put(&snapshot, SW_SAVED_KEYED, group_of(key), key, equals != NULL ? equals + 1 : NULL);
    }
    sw_checkpoint_meta meta = meta_of(sw_checkpoints_next_id(store));
    if (sw_checkpoints_commit(store, &meta, list, 1, &bytes, &err) != SW_OK) fail_msg("%s", err.text);
    sw_snapshot_deinit(&snapshot);
    return meta.id;
}

static sw_scan *open_scan(const sw_restore *restored, uint32_t first, uint32_t end)
{
    sw_scan *scan = NULL;
    sw_error err = { 0 };
    if (sw_scan_open(&scan, restored, "op", SW_SAVED_KEYED, first, end, &err) != SW_OK) fail_msg("%s", err.text);
    return scan;
}

/* Reads the scan to its end and closes it; the text of the last one stays valid. */
static const char *text_of(sw_scan *scan)
{
    static char text[16384];
    size_t size = 0;
    sw_saved saved;
    text[0] = '\0';
    while (sw_scan_next(scan, &saved, NULL) == SW_OK)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%.*s=%.*s", size > 0 ? " " : "",
                                 (int)saved.key_len, saved.key, (int)saved.value_len, saved.value);
    assert_int_equal(sw_scan_next(scan, &saved, NULL), SW_EEMPTY);
    sw_scan_close(scan);
    return text;
}

static void keys_of_all_groups_come_in_the_order_of_their_bytes(void **state)
{
    char text[16384];
    size_t size = 0;
    (void)state;
    sw_checkpoints *store = open_store(3);
    for (int i = KEYS - 1; i >= 0; i--)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%04d=%d", size > 0 ? " " : "", i, i);
    commit_grouped(store, text);
    commit_grouped(store, "0007=new -0008 1000=last");
    sw_restore *restored = restore(store, "latest");
    size = 0;
    for (int i = 0; i < KEYS; i++)
        if (i != 8) size += (size_t)snprintf(text + size, sizeof(text) - size, i == 7 ? "%04d=new " : "%04d=%d ", i, i);
    snprintf(text + size, sizeof(text) - size, "1000=last");
    assert_string_equal(text_of(open_scan(restored, 0, SW_KEY_GROUPS)), text);
    sw_restore_close(restored);
    sw_checkpoints_close(store);
}

static void a_range_of_groups_has_their_keys_only(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit_grouped(store, "a=1 b=2 c=3");
    sw_restore *restored = restore(store, "latest");
    uint32_t group = group_of("b");
    assert_int_not_equal(group, group_of("a"));
    assert_int_not_equal(group, group_of("c"));
    assert_string_equal(text_of(open_scan(restored, group, group + 1)), "b=2");
    assert_string_equal(text_of(open_scan(restored, group, group)), "");
    sw_restore_close(restored);
    sw_checkpoints_close(store);
}

static void an_unknown_component_is_refused(void **state)
{
    sw_scan *scan = NULL;
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit_grouped(store, "a=1");
    sw_restore *restored = restore(store, "latest");
    assert_int_equal(sw_scan_open(&scan, restored, "none", SW_SAVED_KEYED, 0, SW_KEY_GROUPS, NULL), SW_ENOTFOUND);
    assert_null(scan);
    sw_restore_close(restored);
    sw_checkpoints_close(store);
}

/* What is in one of two checkpoints, or in both, as "<a" ">b" "=c". */
static const char *joined(sw_scan *a, sw_scan *b)
{
    static char text[512];
    size_t size = 0;
    sw_saved left, right;
    int rc_a = sw_scan_next(a, &left, NULL), rc_b = sw_scan_next(b, &right, NULL);
    text[0] = '\0';
    while (rc_a == SW_OK || rc_b == SW_OK) {
        int order = sw_scan_compare(a, b);
        const sw_saved *saved = order <= 0 ? &left : &right;
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%c%.*s",
                                 order < 0   ? '<'
                                 : order > 0 ? '>'
                                             : '=',
                                 (int)(saved->key_len < 3 ? saved->key_len : 3), saved->key);
        if (order <= 0) rc_a = sw_scan_next(a, &left, NULL);
        if (order >= 0) rc_b = sw_scan_next(b, &right, NULL);
    }
    assert_int_equal(sw_scan_compare(a, b), 0);
    return text;
}

static void two_checkpoints_are_compared_key_by_key(void **state)
{
    char first[2200], second[2200], longest[601];
    (void)state;
    memset(longest, 'L', 600);
    longest[600] = '\0';
    snprintf(first, sizeof(first), "a=1 b=1 d=1 %sx=1 %sy=1", longest, longest);
    snprintf(second, sizeof(second), "-a c=1 d=2 -%sx e=1", longest);
    sw_checkpoints *store = open_store(3);
    commit_grouped(store, first);
    sw_restore *older = restore(store, "latest");
    commit_grouped(store, second);
    sw_checkpoints *reader = open_reader();
    sw_restore *newer = restore(reader, "latest");
    sw_scan *a = open_scan(older, 0, SW_KEY_GROUPS), *b = open_scan(newer, 0, SW_KEY_GROUPS);
    const char *text = joined(a, b);
    if (strcmp(text, "<LLL=LLL<a=b>c=d>e") != 0 && strcmp(text, "=LLL<LLL<a=b>c=d>e") != 0) fail_msg("%s", text);
    sw_scan_close(a);
    sw_scan_close(b);
    sw_restore_close(newer);
    sw_restore_close(older);
    sw_checkpoints_close(reader);
    sw_checkpoints_close(store);
}

static void the_files_of_a_checkpoint_are_told_newest_first(void **state)
{
    sw_restore_file file;
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit_grouped(store, "a=1 b=2");
    commit_grouped(store, "c=3");
    sw_restore *restored = restore(store, "latest");
    assert_true(sw_restore_file_at(restored, 0, &file));
    assert_false(file.is_full);
    assert_int_equal(file.entries, 1);
    assert_true(sw_restore_file_at(restored, 1, &file));
    assert_true(file.is_full);
    assert_int_equal(file.entries, 2);
    assert_string_equal(file.path, in_dir("checkpoints/1.full.mdb"));
    assert_false(sw_restore_file_at(restored, 2, &file));
    sw_restore_close(restored);
    sw_checkpoints_close(store);
}

static void opening_survives_every_allocation_failure(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit_grouped(store, "a=1 b=2 c=3");
    commit_grouped(store, "c=4");
    sw_restore *restored = restore(store, "latest");
    for (int n = 0;; n++) {
        sw_scan *scan = NULL;
        size_t live = sw_alloc_live();
        sw_fault_fail_after(n);
        int rc = sw_scan_open(&scan, restored, "op", SW_SAVED_KEYED, 0, SW_KEY_GROUPS, NULL);
        sw_fault_off();
        if (rc == SW_OK) {
            assert_string_equal(text_of(scan), "a=1 b=2 c=4");
            break;
        }
        assert_int_equal(rc, SW_ENOMEM);
        assert_null(scan);
        assert_int_equal(sw_alloc_live(), live);
    }
    sw_restore_close(restored);
    sw_checkpoints_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(keys_of_all_groups_come_in_the_order_of_their_bytes),
        STORE_TEST(a_range_of_groups_has_their_keys_only),
        STORE_TEST(an_unknown_component_is_refused),
        STORE_TEST(two_checkpoints_are_compared_key_by_key),
        STORE_TEST(the_files_of_a_checkpoint_are_told_newest_first),
        STORE_TEST(opening_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
