#include "state/checkpoint_support.h"

#include <fcntl.h>

#define STEP 97       /* bytes between those that are flipped in a file's pages */
#define END_BYTES 700 /* at its end all are */

static int64_t size_of(const char *name)
{
    sw_file *f = NULL;
    assert_int_equal(sw_file_open_random(&f, in_dir(name), false, NULL), SW_OK);
    int64_t size = sw_file_size(f, NULL);
    sw_file_close(f, NULL);
    return size;
}

static void flip(const char *name, uint64_t offset)
{
    sw_file *f = NULL;
    uint8_t byte;
    assert_int_equal(sw_file_open_random(&f, in_dir(name), true, NULL), SW_OK);
    assert_int_equal(sw_file_pread(f, &byte, 1, offset, NULL), 1);
    byte ^= 0x10;
    assert_int_equal(sw_file_pwrite(f, &byte, 1, offset, NULL), SW_OK);
    sw_file_close(f, NULL);
}

static void copy_file(const char *from, const char *to)
{
    sw_buf bytes = { 0 };
    sw_file *f = NULL;
    assert_int_equal(sw_fs_read_all(from, &bytes, 1 << 24, NULL), SW_OK);
    assert_int_equal(sw_file_open_create(&f, to, NULL), SW_OK);
    assert_int_equal(sw_file_write_all(f, bytes.data, bytes.size, NULL), SW_OK);
    sw_file_close(f, NULL);
    sw_buf_deinit(&bytes);
}

/* Three checkpoints, the last two of changes: a=1, a=2, a=3. */
static void make_three(void)
{
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1");
    commit(store, "a=2");
    commit(store, "a=3");
    sw_checkpoints_close(store);
}

/* A reader falls back to the second and says that it was because of this file. */
static void assert_falls_back(const char *name)
{
    sw_checkpoints *reader = open_reader();
    assert_int_equal(assert_state(reader, "latest", "a=2"), 2);
    if (strstr(skips, "checkpoint 3 cannot be used") == NULL || strstr(skips, name) == NULL) fail_msg("%s", skips);
    assert_restore_fails(reader, "3", SW_EFORMAT, name);
    sw_checkpoints_close(reader);
}

static void a_flipped_bit_anywhere_makes_restoring_fall_back(void **state)
{
    (void)state;
    make_three();
    int64_t size = size_of("checkpoints/3.mdb");
    for (int64_t at = 0; at < size; at += at < size - END_BYTES ? STEP : 1) {
        flip("checkpoints/3.mdb", (uint64_t)at);
        assert_falls_back("3.mdb");
        flip("checkpoints/3.mdb", (uint64_t)at);
    }
    sw_checkpoints *reader = open_reader();
    assert_state(reader, "latest", "a=3");
    assert_string_equal(skips, "");
    sw_checkpoints_close(reader);
}

static void a_file_cut_short_anywhere_makes_restoring_fall_back(void **state)
{
    (void)state;
    make_three();
    for (int64_t size = size_of("checkpoints/3.mdb") - 1; size >= 0; size -= size > 1000 ? 501 : 53) {
        assert_int_equal(truncate(in_dir("checkpoints/3.mdb"), size), 0);
        assert_falls_back("3.mdb");
    }
    assert_int_equal(truncate(in_dir("checkpoints/3.mdb"), 0), 0);
    assert_falls_back("3.mdb is damaged: it is empty");
}

static void a_file_with_more_behind_its_end_makes_restoring_fall_back(void **state)
{
    sw_file *f = NULL;
    (void)state;
    make_three();
    assert_int_equal(sw_file_open_append(&f, in_dir("checkpoints/3.mdb"), NULL), SW_OK);
    assert_int_equal(sw_file_write_all(f, "x", 1, NULL), SW_OK);
    sw_file_close(f, NULL);
    assert_falls_back("3.mdb");
}

static void a_missing_newest_file_makes_restoring_fall_back_and_say_so(void **state)
{
    (void)state;
    make_three();
    assert_int_equal(sw_fs_remove(in_dir("checkpoints/3.mdb"), NULL), SW_OK);
    sw_checkpoints *store = open_store(3);
    assert_int_equal(assert_state(store, "latest", "a=2"), 2);
    assert_string_equal(skips, "checkpoint 3 cannot be used: its file is gone\n");
    assert_true(commit(store, "a=4") > 3);
    assert_state(store, "latest", "a=4");
    assert_string_equal(skips, "");
    sw_checkpoints_close(store);
}

static void a_missing_file_in_between_is_named(void **state)
{
    (void)state;
    make_three();
    assert_int_equal(sw_fs_remove(in_dir("checkpoints/2.mdb"), NULL), SW_OK);
    sw_checkpoints *reader = open_reader();
    assert_int_equal(assert_state(reader, "latest", "a=1"), 1);
    assert_non_null(strstr(skips, "2.mdb is missing"));
    sw_checkpoints_close(reader);
}

static void a_file_of_another_chain_is_found_out(void **state)
{
    char other[80], theirs[128];
    (void)state;
    make_three();
    snprintf(other, sizeof(other), "%s/other", dir);
    sw_checkpoints *store = open_store_at(other, 3);
    commit(store, "a=8");
    commit(store, "a=9");
    sw_checkpoints_close(store);
    snprintf(theirs, sizeof(theirs), "%s/checkpoints/2.mdb", other);
    copy_file(theirs, in_dir("checkpoints/2.mdb"));
    sw_checkpoints *reader = open_reader();
    assert_int_equal(assert_state(reader, "latest", "a=1"), 1);
    assert_non_null(strstr(skips, "2.mdb is not the file that it builds on"));
    assert_non_null(strstr(skips, "checkpoint 2 cannot be used"));
    sw_checkpoints_close(reader);
}

static void a_file_under_a_wrong_name_is_found_out(void **state)
{
    (void)state;
    make_three();
    copy_file(in_dir("checkpoints/2.mdb"), in_dir("checkpoints/3.mdb"));
    sw_checkpoints *reader = open_reader();
    assert_state(reader, "latest", "a=2");
    assert_non_null(strstr(skips, "3.mdb holds checkpoint 2"));
    sw_checkpoints_close(reader);
}

static void with_the_image_damaged_all_that_stand_on_it_are_passed_over(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(2);
    commit(store, "a=1");
    commit(store, "a=2");
    commit(store, "a=3");
    fold(store);
    commit(store, "a=4");
    commit(store, "a=5");
    sw_checkpoints_close(store);
    flip("checkpoints/3.full.mdb", 5000);
    store = open_store(2);
    assert_int_equal(assert_state(store, "latest", "a=2"), 2);
    assert_non_null(strstr(skips, "checkpoint 5 cannot be used"));
    assert_non_null(strstr(skips, "checkpoint 4 cannot be used"));
    assert_non_null(strstr(skips, "checkpoint 3 cannot be used"));
    assert_string_equal(files(), "1.full.mdb 2.mdb 3.full.mdb.skipped 4.mdb.skipped 5.mdb.skipped");
    assert_int_equal(commit(store, "b=6"), 6);
    sw_checkpoints_close(store);
    store = open_store(2);
    assert_state(store, "latest", "a=2 b=6");
    sw_checkpoints_close(store);
}

static void when_none_is_usable_restoring_is_refused_and_nothing_is_set_aside(void **state)
{
    (void)state;
    make_three();
    flip("checkpoints/1.full.mdb", 5000);
    sw_checkpoints *store = open_store(3);
    assert_restore_fails(store, "latest", SW_EFORMAT, "1.full.mdb is damaged");
    assert_string_equal(files(), "1.full.mdb 2.mdb 3.mdb");
    flip("checkpoints/1.full.mdb", 5000);
    assert_state(store, "latest", "a=3");
    sw_checkpoints_close(store);
}

static void a_directory_whose_checkpoints_all_vanished_is_not_taken_for_a_fresh_one(void **state)
{
    (void)state;
    sw_checkpoints *store = open_store(3);
    assert_restore_fails(store, "latest", SW_ENOTFOUND, "no checkpoint");
    commit(store, "a=1");
    sw_checkpoints_close(store);
    assert_int_equal(sw_fs_remove(in_dir("checkpoints/1.full.mdb"), NULL), SW_OK);
    store = open_store(3);
    assert_restore_fails(store, "latest", SW_EFORMAT, "checkpoint 1 is gone");
    sw_checkpoints_close(store);
}

static void a_file_of_a_later_format_is_refused_by_its_version(void **state)
{
    (void)state;
    make_three();
    flip("checkpoints/3.mdb", (uint64_t)size_of("checkpoints/3.mdb") - 48); /* The trailer's second number. */
    assert_falls_back("has version 17 of the format");
}

static void a_deep_list_names_the_damaged_file_of_every_checkpoint_that_needs_it(void **state)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    (void)state;
    make_three();
    flip("checkpoints/2.mdb", 5000);
    sw_checkpoints *reader = open_reader();
    assert_int_equal(sw_checkpoints_list(reader, false, &list, &count, NULL), SW_OK);
    assert_int_equal(list[1].problem, SW_OK); /* Its end is sound. */
    sw_free(list);
    assert_int_equal(sw_checkpoints_list(reader, true, &list, &count, NULL), SW_OK);
    assert_int_equal(count, 3);
    assert_int_equal(list[0].problem, SW_OK);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(list[i].problem, SW_EFORMAT);
        assert_non_null(strstr(list[i].why, "2.mdb is damaged"));
    }
    sw_free(list);
    assert_int_equal(sw_fs_remove(in_dir("checkpoints/1.full.mdb"), NULL), SW_OK);
    assert_int_equal(sw_checkpoints_list(reader, false, &list, &count, NULL), SW_OK);
    assert_int_equal(count, 2);
    assert_int_equal(list[1].problem, SW_ENOTFOUND);
    assert_non_null(strstr(list[1].why, "1.full.mdb is missing"));
    sw_free(list);
    sw_checkpoints_close(reader);
}

static void a_damaged_savepoint_is_refused(void **state)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1");
    assert_int_equal(sw_checkpoints_savepoint(store, "save", NULL), SW_OK);
    flip("savepoints/save.mdb", 5000);
    assert_restore_fails(store, "save", SW_EFORMAT, "save.mdb is damaged");
    assert_state(store, "latest", "a=1"); /* Trying did no harm. */
    assert_int_equal(sw_checkpoints_list(store, true, &list, &count, NULL), SW_OK);
    assert_int_equal(list[1].problem, SW_EFORMAT);
    sw_free(list);
    sw_checkpoints_close(store);
}

static void a_damaged_chain_is_never_folded_into_a_sound_file(void **state)
{
    sw_error err;
    (void)state;
    sw_checkpoints *store = open_store(3);
    commit(store, "a=1");
    commit(store, "a=2");
    commit(store, "a=3");
    flip("checkpoints/2.mdb", 5000);
    assert_int_equal(sw_checkpoints_fold(store, &err), SW_EFORMAT);
    assert_non_null(strstr(err.text, "2.mdb is damaged"));
    assert_int_equal(sw_checkpoints_savepoint(store, "save", NULL), SW_EFORMAT);
    assert_string_equal(files(), "1.full.mdb 2.mdb 3.mdb");
    assert_false(exists("savepoints/save.mdb"));
    sw_checkpoints_close(store);
}

static void damaged_checkpoints_do_not_count_as_retained(void **state)
{
    (void)state;
    make_three();
    flip("checkpoints/3.mdb", (uint64_t)size_of("checkpoints/3.mdb") - 56); /* The trailer's beginning. */
    sw_checkpoints *store = open_store(1);
    commit(store, "b=1"); /* A fresh start: 4 is an image, and 2 the newest usable one that is not on it. */
    assert_string_equal(files(), "1.full.mdb 2.mdb 4.full.mdb");
    sw_checkpoints_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_flipped_bit_anywhere_makes_restoring_fall_back),
        STORE_TEST(a_file_cut_short_anywhere_makes_restoring_fall_back),
        STORE_TEST(a_file_with_more_behind_its_end_makes_restoring_fall_back),
        STORE_TEST(a_missing_newest_file_makes_restoring_fall_back_and_say_so),
        STORE_TEST(a_missing_file_in_between_is_named),
        STORE_TEST(a_file_of_another_chain_is_found_out),
        STORE_TEST(a_file_under_a_wrong_name_is_found_out),
        STORE_TEST(with_the_image_damaged_all_that_stand_on_it_are_passed_over),
        STORE_TEST(when_none_is_usable_restoring_is_refused_and_nothing_is_set_aside),
        STORE_TEST(a_directory_whose_checkpoints_all_vanished_is_not_taken_for_a_fresh_one),
        STORE_TEST(a_file_of_a_later_format_is_refused_by_its_version),
        STORE_TEST(a_deep_list_names_the_damaged_file_of_every_checkpoint_that_needs_it),
        STORE_TEST(a_damaged_savepoint_is_refused),
        STORE_TEST(a_damaged_chain_is_never_folded_into_a_sound_file),
        STORE_TEST(damaged_checkpoints_do_not_count_as_retained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
