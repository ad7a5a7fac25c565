#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/rng.h"

static char dir[64]; /* Fresh for each test; its files are removed after it. */

static int make_temp_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/swlua-fs-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_temp_dir(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

/* The path of a file in the test's directory; the last four stay valid. */
static const char *in_dir(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    sw_file *f = NULL;
    assert_int_equal(sw_file_open_create(&f, path, NULL), SW_OK);
    assert_int_equal(sw_file_write_all(f, bytes, n, NULL), SW_OK);
    assert_int_equal(sw_file_close(f, NULL), SW_OK);
}

static void assert_content(const char *path, const char *text)
{
    sw_buf b = { 0 };
    assert_int_equal(sw_fs_read_all(path, &b, 1 << 20, NULL), SW_OK);
    assert_int_equal(b.size, strlen(text));
    if (b.size > 0) assert_memory_equal(b.data, text, b.size);
    sw_buf_deinit(&b);
}

/* One gzip member with the text, appended to out. */
static void add_member(sw_buf *out, const char *text, size_t size)
{
    z_stream z = { 0 };
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(sw_buf_reserve(out, deflateBound(&z, size)), SW_OK);
    z.next_in = (Bytef *)text;
    z.avail_in = (unsigned)size;
    z.next_out = out->data + out->size;
    z.avail_out = (unsigned)(out->cap - out->size);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->size += z.total_out;
    deflateEnd(&z);
}

/* Reading the file fails with the code, and the text holds `words` and the file's name. */
static void assert_read_fails(const char *path, int code, const char *words)
{
    sw_buf b = { 0 };
    sw_error err;
    assert_int_equal(sw_fs_read_all(path, &b, 1 << 20, &err), code);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.text, words));
    assert_non_null(strstr(err.text, path));
    assert_int_equal(b.size, 0);
    sw_buf_deinit(&b);
}

static void what_is_written_is_read_and_appending_adds(void **state)
{
    sw_file *f = NULL;
    (void)state;
    write_file(in_dir("a"), "one\n", 4);
    assert_int_equal(sw_file_open_append(&f, in_dir("a"), NULL), SW_OK);
    assert_int_equal(sw_file_write_all(f, "two\n", 4, NULL), SW_OK);
    assert_int_equal(sw_file_sync(f, NULL), SW_OK);
    assert_int_equal(sw_file_size(f, NULL), 8);
    assert_int_equal(sw_file_close(f, NULL), SW_OK);
    assert_content(in_dir("a"), "one\ntwo\n");
    write_file(in_dir("a"), "new", 3);
    assert_content(in_dir("a"), "new");
}

static void a_plain_file_that_grew_after_its_end_is_read_on(void **state)
{
    sw_file *reader = NULL, *writer = NULL;
    char buf[8];
    (void)state;
    assert_int_equal(sw_file_open_append(&writer, in_dir("a"), NULL), SW_OK);
    assert_int_equal(sw_file_open_read(&reader, in_dir("a"), NULL), SW_OK);
    assert_int_equal(sw_file_read(reader, buf, sizeof(buf), NULL), 0);
    assert_int_equal(sw_file_write_all(writer, "more", 4, NULL), SW_OK);
    assert_int_equal(sw_file_read(reader, buf, sizeof(buf), NULL), 4);
    assert_memory_equal(buf, "more", 4);
    sw_file_close(reader, NULL);
    sw_file_close(writer, NULL);
}

static void a_missing_file_is_not_found(void **state)
{
    (void)state;
    assert_read_fails(in_dir("nothing"), SW_ENOTFOUND, "No such file");
}

static void a_directory_given_as_a_file_is_named_as_one(void **state)
{
    char expected[128];
    sw_file *f = NULL;
    sw_error err;
    (void)state;
    snprintf(expected, sizeof(expected), "%s is a directory", dir);
    assert_int_equal(sw_file_open_read(&f, dir, &err), SW_EINVAL);
    assert_string_equal(err.text, expected);
    assert_int_equal(sw_file_open_create(&f, dir, &err), SW_EINVAL);
    assert_string_equal(err.text, expected);
    assert_null(f);
}

static void a_full_disk_is_no_space_and_names_the_path(void **state)
{
    sw_file *f = NULL;
    sw_error err;
    (void)state;
    assert_int_equal(sw_file_open_create(&f, "/dev/full", &err), SW_OK);
    assert_int_equal(sw_file_write_all(f, "x", 1, &err), SW_ENOSPC);
    assert_non_null(strstr(err.text, "/dev/full: No space left"));
    sw_file_close(f, NULL);
}

static void a_pipe_that_nobody_reads_is_closed(void **state)
{
    int ends[2];
    sw_error err;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    sw_file *f = sw_file_from_fd(ends[1], "standard output");
    assert_int_equal(sw_file_write_all(f, "x", 1, &err), SW_ECLOSED);
    assert_non_null(strstr(err.text, "standard output"));
    assert_int_equal(sw_file_sync(f, NULL), SW_OK);
    assert_int_equal(sw_file_close(f, NULL), SW_OK);
    assert_int_equal(close(ends[1]), 0); /* It was left open. */
}

static void writing_to_a_full_pipe_waits_for_its_reader(void **state)
{
    enum { SIZE = 1 << 18 }; /* More than a pipe holds. */
    static char sent[SIZE], got[SIZE];
    int ends[2];
    int status = -1;
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < SIZE; i++) sent[i] = (char)(i * 31 >> 3);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    pid_t writer = fork();
    if (writer == 0) {
        sw_file *f = sw_file_from_fd(ends[1], "pipe");
        _exit(sw_file_write_all(f, sent, SIZE, NULL) != SW_OK);
    }
    close(ends[1]);
    sw_file *f = sw_file_from_fd(ends[0], "pipe");
    for (ssize_t r; n < SIZE && (r = sw_file_read(f, got + n, SIZE - n, NULL)) > 0;) n += (size_t)r;
    assert_int_equal(n, SIZE);
    assert_memory_equal(got, sent, SIZE);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
    sw_file_close(f, NULL);
    close(ends[0]);
}

static void read_all_appends_up_to_the_limit(void **state)
{
    sw_buf b = { 0 };
    sw_error err;
    (void)state;
    write_file(in_dir("a"), "12345", 5);
    sw_buf_append_str(&b, "<");
    assert_int_equal(sw_fs_read_all(in_dir("a"), &b, 4, &err), SW_ELIMIT);
    assert_non_null(strstr(err.text, "larger than 4 bytes"));
    assert_int_equal(b.size, 1);
    assert_int_equal(sw_fs_read_all(in_dir("a"), &b, 5, &err), SW_OK);
    assert_int_equal(b.size, 6);
    assert_memory_equal(b.data, "<12345", 6);
    sw_buf_deinit(&b);
}

static void gzip_members_are_read_as_one_text(void **state)
{
    sw_buf gz = { 0 };
    (void)state;
    add_member(&gz, "first\n", 6);
    add_member(&gz, "", 0);
    add_member(&gz, "second\n", 7);
    sw_buf_append(&gz, "\0\0\0\0", 4); /* Padding as on tapes. */
    write_file(in_dir("a.gz"), gz.data, gz.size);
    assert_content(in_dir("a.gz"), "first\nsecond\n");
    sw_buf_deinit(&gz);
}

static void a_large_gzip_file_is_read_in_pieces_of_any_size(void **state)
{
    enum { SIZE = 300000 };
    static char text[SIZE], got[SIZE];
    sw_buf gz = { 0 };
    sw_file *f = NULL;
    (void)state;
    sw_rng r;
    sw_rng_seed(&r, 1); /* Text that hardly shrinks. */
    for (size_t i = 0; i < SIZE; i++) text[i] = (char)sw_rng_next(&r);
    for (size_t i = 0; i < SIZE; i += SIZE / 3) add_member(&gz, text + i, SIZE / 3);
    assert_true(gz.size > 70000); /* More than the decompressor reads at once. */
    write_file(in_dir("a.gz"), gz.data, gz.size);
    assert_int_equal(sw_file_open_read(&f, in_dir("a.gz"), NULL), SW_OK);
    size_t n = 0;
    while (n < SIZE) {
        size_t piece = sw_rng_below(&r, 1000) + 1;
        ssize_t size = sw_file_read(f, got + n, piece < SIZE - n ? piece : SIZE - n, NULL);
        assert_true(size > 0);
        n += (size_t)size;
    }
    assert_memory_equal(got, text, SIZE);
    assert_int_equal(sw_file_read(f, got, 1, NULL), 0);
    assert_int_equal(sw_file_size(f, NULL), gz.size);
    sw_file_close(f, NULL);
    sw_buf_deinit(&gz);
}

static void gzip_data_cut_short_anywhere_is_malformed(void **state)
{
    sw_buf gz = { 0 };
    (void)state;
    add_member(&gz, "some text, some text", 20);
    for (size_t size = 0; size < gz.size; size++) {
        write_file(in_dir("a.gz"), gz.data, size);
        assert_read_fails(in_dir("a.gz"), SW_EFORMAT, "cut short");
    }
    sw_buf_deinit(&gz);
}

static void a_gzip_file_with_a_wrong_checksum_is_malformed(void **state)
{
    sw_buf gz = { 0 };
    (void)state;
    add_member(&gz, "some text, some text", 20);
    gz.data[gz.size - 6] ^= 1;
    write_file(in_dir("a.gz"), gz.data, gz.size);
    assert_read_fails(in_dir("a.gz"), SW_EFORMAT, "damaged");
    sw_buf_deinit(&gz);
}

static void what_is_no_gzip_under_a_gz_name_is_malformed(void **state)
{
    sw_buf gz = { 0 };
    (void)state;
    write_file(in_dir("a.gz"), "{\"a\":1}\n", 8);
    assert_read_fails(in_dir("a.gz"), SW_EFORMAT, "damaged");
    add_member(&gz, "text", 4);
    sw_buf_append_str(&gz, "garbage behind");
    write_file(in_dir("a.gz"), gz.data, gz.size);
    assert_read_fails(in_dir("a.gz"), SW_EFORMAT, "damaged");
    sw_buf_deinit(&gz);
}

static void a_glob_gives_matches_in_the_order_of_their_bytes(void **state)
{
    char **paths = NULL;
    size_t n = 0;
    (void)state;
    write_file(in_dir("b.jsonl"), "", 0);
    write_file(in_dir("a.jsonl"), "", 0);
    write_file(in_dir("B.jsonl"), "", 0);
    write_file(in_dir("c.txt"), "", 0);
    assert_int_equal(sw_fs_glob(in_dir("*.jsonl"), &paths, &n, NULL), SW_OK);
    assert_int_equal(n, 3);
    assert_string_equal(paths[0], in_dir("B.jsonl"));
    assert_string_equal(paths[1], in_dir("a.jsonl"));
    assert_string_equal(paths[2], in_dir("b.jsonl"));
    sw_fs_glob_free(paths, n);
}

static void a_name_with_pattern_characters_is_found_as_itself(void **state)
{
    char **paths = NULL;
    size_t n = 0;
    (void)state;
    write_file(in_dir("data[1].csv"), "", 0);
    write_file(in_dir("data1.csv"), "", 0);
    assert_int_equal(sw_fs_glob(in_dir("data[1].csv"), &paths, &n, NULL), SW_OK);
    assert_int_equal(n, 1);
    assert_string_equal(paths[0], in_dir("data[1].csv"));
    sw_fs_glob_free(paths, n);
}

static void a_pattern_without_matches_is_not_found(void **state)
{
    char **paths = NULL;
    size_t n = 7;
    sw_error err;
    (void)state;
    assert_int_equal(sw_fs_glob(in_dir("*.csv"), &paths, &n, &err), SW_ENOTFOUND);
    assert_non_null(strstr(err.text, "*.csv"));
    assert_int_equal(sw_fs_glob(in_dir("no/such/*.csv"), &paths, &n, &err), SW_ENOTFOUND);
    assert_null(paths);
    assert_int_equal(n, 7);
    sw_fs_glob_free(NULL, 0);
}

static void mkdirs_makes_all_levels_and_accepts_what_exists(void **state)
{
    sw_error err;
    (void)state;
    assert_int_equal(sw_fs_mkdirs(in_dir("x/y//z/"), NULL), SW_OK);
    assert_int_equal(sw_fs_mkdirs(in_dir("x/y/z"), NULL), SW_OK);
    assert_true(sw_fs_is_dir(in_dir("x/y/z")));
    write_file(in_dir("x/file"), "", 0);
    assert_int_equal(sw_fs_mkdirs(in_dir("x/file"), &err), SW_EINVAL);
    assert_non_null(strstr(err.text, "not a directory"));
    assert_int_equal(sw_fs_mkdirs(in_dir("x/file/deeper"), &err), SW_EINVAL);
    assert_int_equal(sw_fs_mkdirs("", &err), SW_ENOTFOUND);
}

static void renaming_replaces_and_removing_removes(void **state)
{
    (void)state;
    write_file(in_dir("new"), "new", 3);
    write_file(in_dir("old"), "old", 3);
    assert_int_equal(sw_fs_rename(in_dir("new"), in_dir("old"), NULL), SW_OK);
    assert_false(sw_fs_exists(in_dir("new")));
    assert_content(in_dir("old"), "new");
    assert_false(sw_fs_is_dir(in_dir("old")));
    assert_int_equal(sw_fs_remove(in_dir("old"), NULL), SW_OK);
    assert_false(sw_fs_exists(in_dir("old")));
    assert_int_equal(sw_fs_remove(in_dir("old"), NULL), SW_ENOTFOUND);
    assert_int_equal(sw_fs_rename(in_dir("old"), in_dir("new"), NULL), SW_ENOTFOUND);
}

static void bytes_are_read_and_written_at_offsets(void **state)
{
    sw_file *f = NULL;
    char got[8];
    (void)state;
    write_file(in_dir("a"), "0123456789", 10);
    assert_int_equal(sw_file_open_random(&f, in_dir("none"), true, NULL), SW_ENOTFOUND);
    assert_int_equal(sw_file_open_random(&f, in_dir("a"), true, NULL), SW_OK);
    assert_int_equal(sw_file_pwrite(f, "ab", 2, 12, NULL), SW_OK);
    assert_int_equal(sw_file_pread(f, got, 4, 8, NULL), 4);
    assert_memory_equal(got, "89\0", 4); /* The gap reads as zeros. */
    assert_int_equal(sw_file_pread(f, got, 8, 10, NULL), 4);
    assert_memory_equal(got, "\0\0ab", 4);
    assert_int_equal(sw_file_pread(f, got, 8, 14, NULL), 0);
    assert_int_equal(sw_file_close(f, NULL), SW_OK);
    assert_int_equal(sw_file_open_random(&f, in_dir("a"), false, NULL), SW_OK);
    assert_int_equal(sw_file_pwrite(f, "x", 1, 0, NULL), SW_EIO);
    sw_file_close(f, NULL);
}

static void a_directory_lists_its_names_in_the_order_of_their_bytes(void **state)
{
    char **names = NULL;
    size_t n = 0;
    (void)state;
    assert_int_equal(sw_fs_list(dir, &names, &n, NULL), SW_OK);
    assert_int_equal(n, 0);
    sw_fs_glob_free(names, n);
    write_file(in_dir("b"), "", 0);
    write_file(in_dir(".hidden"), "", 0);
    write_file(in_dir("a"), "", 0);
    assert_int_equal(sw_fs_list(dir, &names, &n, NULL), SW_OK);
    assert_int_equal(n, 3);
    assert_string_equal(names[0], ".hidden");
    assert_string_equal(names[2], "b");
    sw_fs_glob_free(names, n);
    assert_int_equal(sw_fs_list(in_dir("none"), &names, &n, NULL), SW_ENOTFOUND);
}

static void replacing_leaves_the_old_content_wherever_it_fails(void **state)
{
    static const sw_fault_kind kinds[] = { SW_FAULT_ALLOC, SW_FAULT_OPEN, SW_FAULT_WRITE, SW_FAULT_RENAME };
    (void)state;
    assert_int_equal(sw_fs_replace(in_dir("a"), "old", 3, NULL), SW_OK);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        sw_fault_fail_kind_after(kinds[i], 0);
        assert_int_not_equal(sw_fs_replace(in_dir("a"), "new", 3, NULL), SW_OK);
        sw_fault_off();
        assert_content(in_dir("a"), "old");
        assert_false(sw_fs_exists(in_dir("a.tmp")));
    }
    assert_int_equal(sw_fs_replace(in_dir("a"), "new", 3, NULL), SW_OK);
    assert_content(in_dir("a"), "new");
}

static void an_operation_of_the_chosen_kind_fails_once(void **state)
{
    sw_error err;
    (void)state;
    sw_fault_fail_kind_after(SW_FAULT_SYNC, 1);
    assert_int_equal(sw_fs_sync_dir(dir, NULL), SW_OK);
    assert_false(sw_fault_hit());
    assert_int_equal(sw_fs_sync_dir(dir, &err), SW_EIO);
    assert_true(sw_fault_hit());
    assert_non_null(strstr(err.text, dir));
    assert_int_equal(sw_fs_sync_dir(dir, NULL), SW_OK);
    assert_int_equal(sw_fs_sync_dir(in_dir("none"), NULL), SW_ENOTFOUND);
    sw_fault_off();
}

static void a_lock_is_given_to_one_process_and_freed_by_its_end(void **state)
{
    sw_file *lock = NULL, *second = NULL;
    sw_error err;
    char pid[32];
    int ready[2];
    char byte;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        sw_file *held = NULL;
        if (sw_fs_lock(&held, in_dir("OWNER"), NULL) != SW_OK || write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(sw_fs_lock(&lock, in_dir("OWNER"), &err), SW_EBUSY);
    snprintf(pid, sizeof(pid), "process %d ", (int)child);
    assert_non_null(strstr(err.text, pid));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(sw_fs_lock(&lock, in_dir("OWNER"), NULL), SW_OK);
    assert_int_equal(sw_fs_lock(&second, in_dir("OWNER"), NULL), SW_EBUSY); /* Nor twice to one process ... */
    assert_int_equal(sw_fs_lock(&second, in_dir("OWNER"), NULL), SW_EBUSY); /* ... and trying drops nothing. */
    sw_file_close(lock, NULL);
    assert_int_equal(sw_fs_lock(&lock, in_dir("OWNER"), NULL), SW_OK);
    sw_file_close(lock, NULL);
    close(ready[0]);
    close(ready[1]);
}

static void free_space_is_told_where_there_is_a_disk(void **state)
{
    (void)state;
    assert_in_range(sw_fs_free_bytes(dir), 1, UINT64_MAX - 1);
    assert_true(sw_fs_free_bytes(in_dir("none")) == UINT64_MAX);
}

static void reading_gzip_survives_every_allocation_failure(void **state)
{
    sw_buf gz = { 0 };
    int rc = SW_ENOMEM;
    (void)state;
    add_member(&gz, "some text, some text", 20);
    write_file(in_dir("a.gz"), gz.data, gz.size);
    for (int n = 0; rc != SW_OK; n++) {
        sw_buf b = { 0 };
        sw_error err;
        size_t live_before = sw_alloc_live();
        sw_fault_fail_after(n);
        rc = sw_fs_read_all(in_dir("a.gz"), &b, 1000, &err);
        sw_fault_off();
        assert_int_equal(b.size, rc == SW_OK ? 20 : 0);
        sw_buf_deinit(&b);
        assert_int_equal(sw_alloc_live(), live_before);
        if (rc != SW_OK) assert_int_equal(rc, SW_ENOMEM);
        if (rc != SW_OK) assert_non_null(strstr(err.text, "out of memory"));
    }
    sw_buf_deinit(&gz);
}

static void globbing_and_mkdirs_survive_every_allocation_failure(void **state)
{
    int rc = SW_ENOMEM;
    (void)state;
    for (int n = 0; rc != SW_OK; n++) {
        char **paths = NULL;
        size_t count = 0;
        size_t live_before = sw_alloc_live();
        sw_fault_fail_after(n);
        rc = sw_fs_mkdirs(in_dir("m/n"), NULL);
        if (rc == SW_OK) rc = sw_fs_glob(in_dir("m/*"), &paths, &count, NULL);
        sw_fault_off();
        if (rc != SW_OK) assert_int_equal(rc, SW_ENOMEM);
        assert_int_equal(count, rc == SW_OK);
        sw_fs_glob_free(paths, count);
        assert_int_equal(sw_alloc_live(), live_before);
    }
}

/* --- places, locks, names ---------------------------------------------------------------------------------------- */

static void a_file_is_updated_at_places_and_cut(void **state)
{
    sw_file *f = NULL;
    char bytes[8];
    (void)state;
    write_file(in_dir("a"), "0123456789", 10);
    assert_int_equal(sw_file_open_update(&f, in_dir("a"), NULL), SW_OK);
    assert_int_equal(sw_file_pwrite(f, "xy", 2, 4, NULL), SW_OK);
    assert_int_equal(sw_file_pread(f, bytes, sizeof(bytes), 3, NULL), 7);
    assert_memory_equal(bytes, "3xy6789", 7);
    assert_int_equal(sw_file_pread(f, bytes, sizeof(bytes), 10, NULL), 0);
    assert_int_equal(sw_file_reserve(f, 10, 100000, NULL), SW_OK);
    assert_int_equal(sw_file_size(f, NULL), 10);
    assert_int_equal(sw_file_truncate(f, 5, NULL), SW_OK);
    assert_int_equal(sw_file_close(f, NULL), SW_OK);
    assert_content(in_dir("a"), "0123x");
    assert_int_equal(sw_file_open_update(&f, in_dir("made"), NULL), SW_OK);
    assert_int_equal(sw_file_close(f, NULL), SW_OK);
    assert_content(in_dir("made"), "");
}

static void reading_goes_on_behind_what_is_skipped(void **state)
{
    static const char *const names[] = { "a", "a.gz" };
    static char text[200000];
    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) text[i] = (char)('a' + i * 7919 % 26);
    write_file(in_dir("a"), text, sizeof(text));
    gzFile gz = gzopen(in_dir("a.gz"), "wb");
    assert_int_equal(gzwrite(gz, text, sizeof(text)), sizeof(text));
    assert_int_equal(gzclose(gz), Z_OK);
    for (int i = 0; i < 2; i++) {
        sw_file *f = NULL;
        char bytes[16];
        assert_int_equal(sw_file_open_read(&f, in_dir(names[i]), NULL), SW_OK);
        assert_int_equal(sw_file_read(f, bytes, 5, NULL), 5);
        assert_int_equal(sw_file_skip_to(f, 5, NULL), SW_OK);
        assert_int_equal(sw_file_skip_to(f, 150001, NULL), SW_OK);
        assert_int_equal(sw_file_read(f, bytes, 16, NULL), 16);
        assert_memory_equal(bytes, text + 150001, 16);
        assert_int_equal(sw_file_skip_to(f, sizeof(text), NULL), SW_OK);
        assert_int_equal(sw_file_read(f, bytes, 1, NULL), 0);
        assert_int_equal(sw_file_skip_to(f, sizeof(text) + 1, NULL), SW_ELIMIT);
        sw_file_close(f, NULL);
    }
}

static void a_locked_file_is_busy_until_it_is_closed(void **state)
{
    sw_file *first = NULL, *second = NULL;
    (void)state;
    assert_int_equal(sw_file_open_update(&first, in_dir("a"), NULL), SW_OK);
    assert_int_equal(sw_file_open_update(&second, in_dir("a"), NULL), SW_OK);
    assert_int_equal(sw_file_lock(first, NULL), SW_OK);
    assert_int_equal(sw_file_lock(second, NULL), SW_EBUSY);
    sw_file_close(first, NULL);
    assert_int_equal(sw_file_lock(second, NULL), SW_OK);
    sw_file_close(second, NULL);
}

static void paths_are_told_from_each_other(void **state)
{
    char cwd[200], *path;
    (void)state;
    write_file(in_dir("a"), "", 0);
    write_file(in_dir("b"), "", 0);
    assert_int_equal(symlink("a", in_dir("c")), 0);
    assert_true(sw_fs_is_same(in_dir("a"), in_dir("c")));
    assert_false(sw_fs_is_same(in_dir("a"), in_dir("b")));
    assert_false(sw_fs_is_same(in_dir("none"), in_dir("none")));
    assert_true(sw_fs_is_special("/dev/null"));
    assert_false(sw_fs_is_special(in_dir("a")));
    assert_false(sw_fs_is_special(dir));
    assert_false(sw_fs_is_remote(in_dir("a")));
    path = sw_fs_absolute("x/y");
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_memory_equal(path, cwd, strlen(cwd));
    assert_string_equal(path + strlen(cwd), "/x/y");
    sw_free(path);
    path = sw_fs_absolute("/x");
    assert_string_equal(path, "/x");
    sw_free(path);
}

#define FS_TEST(test) cmocka_unit_test_setup_teardown(test, make_temp_dir, remove_temp_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FS_TEST(what_is_written_is_read_and_appending_adds),
        FS_TEST(a_plain_file_that_grew_after_its_end_is_read_on),
        FS_TEST(a_missing_file_is_not_found),
        FS_TEST(a_directory_given_as_a_file_is_named_as_one),
        FS_TEST(a_full_disk_is_no_space_and_names_the_path),
        FS_TEST(a_pipe_that_nobody_reads_is_closed),
        FS_TEST(writing_to_a_full_pipe_waits_for_its_reader),
        FS_TEST(read_all_appends_up_to_the_limit),
        FS_TEST(gzip_members_are_read_as_one_text),
        FS_TEST(a_large_gzip_file_is_read_in_pieces_of_any_size),
        FS_TEST(gzip_data_cut_short_anywhere_is_malformed),
        FS_TEST(a_gzip_file_with_a_wrong_checksum_is_malformed),
        FS_TEST(what_is_no_gzip_under_a_gz_name_is_malformed),
        FS_TEST(a_glob_gives_matches_in_the_order_of_their_bytes),
        FS_TEST(a_name_with_pattern_characters_is_found_as_itself),
        FS_TEST(a_pattern_without_matches_is_not_found),
        FS_TEST(mkdirs_makes_all_levels_and_accepts_what_exists),
        FS_TEST(renaming_replaces_and_removing_removes),
        FS_TEST(bytes_are_read_and_written_at_offsets),
        FS_TEST(a_directory_lists_its_names_in_the_order_of_their_bytes),
        FS_TEST(replacing_leaves_the_old_content_wherever_it_fails),
        FS_TEST(an_operation_of_the_chosen_kind_fails_once),
        FS_TEST(a_lock_is_given_to_one_process_and_freed_by_its_end),
        FS_TEST(free_space_is_told_where_there_is_a_disk),
        FS_TEST(a_file_is_updated_at_places_and_cut),
        FS_TEST(reading_goes_on_behind_what_is_skipped),
        FS_TEST(a_locked_file_is_busy_until_it_is_closed),
        FS_TEST(paths_are_told_from_each_other),
        FS_TEST(reading_gzip_survives_every_allocation_failure),
        FS_TEST(globbing_and_mkdirs_survive_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
