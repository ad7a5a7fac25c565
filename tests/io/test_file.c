#include "io_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "io/registry.h"

static char dir[64]; /* Fresh for each test; its files are removed after it. */

static int make_temp_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/swlua-file-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_temp_dir(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

/* A path in the test's folder; the last four stay valid. */
static const char *in_dir(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    sw_file *f = NULL;
    assert_int_equal(sw_file_open_create(&f, in_dir(name), NULL), SW_OK);
    assert_int_equal(sw_file_write_all(f, text, strlen(text), NULL), SW_OK);
    assert_int_equal(sw_file_close(f, NULL), SW_OK);
}

static void assert_content(const char *name, const char *text)
{
    sw_buf content = { 0 };
    assert_int_equal(sw_fs_read_all(in_dir(name), &content, 1 << 20, NULL), SW_OK);
    assert_int_equal(content.size, strlen(text));
    assert_memory_equal(content.data, text, content.size);
    sw_buf_deinit(&content);
}

/* Options: the path, and one more; without a name the format "lines". */
static sw_options options_of(sw_option *list, const char *path, const char *name, const char *value)
{
    list[0] = (sw_option){ .name = "path", .kind = SW_OPTION_STRING, .string = path };
    list[1] = (sw_option){ .name = name != NULL ? name : "format",
                           .kind = SW_OPTION_STRING,
                           .string = name != NULL ? value : "lines" };
    return (sw_options){ list, 2 };
}

static int open_lines(const char *path, uint32_t instance, uint32_t count, sw_source **out, sw_error *err)
{
    sw_option list[2];
    sw_options options = options_of(list, path, NULL, NULL);
    sw_source_context context = context_of(NULL, NULL);
    context.instance = instance;
    context.count = count;
    return sw_io_open_source("file", &options, &context, out, err);
}

/* Reads the source to its end or failure, at most max_rows at a time, and joins its lines with "|". Returns
 * the last code. */
static int drain(sw_source *source, uint32_t max_rows, sw_buf *out, sw_error *err)
{
    sw_batch batch;
    int rc = SW_OK;
    sw_batch_init(&batch);
    sw_buf_init(out);
    while (rc == SW_OK) {
        sw_batch_clear(&batch);
        rc = source->ops->fill(source, &batch, max_rows, err);
        assert_true(batch.count <= max_rows);
        assert_true(rc != SW_OK || batch.count > 0);
        const sw_row *row = (const sw_row *)(void *)batch.data;
        for (uint32_t i = 0; i < batch.count; i++, row = sw_row_next(row)) {
            uint32_t len = 0;
            const char *text = map_string(row, row->kind == SW_ROW_EVENT ? "line" : "where", &len);
            sw_buf_append(out, text, len);
            sw_buf_append_str(out, "|");
        }
    }
    sw_buf_append(out, "", 1);
    sw_batch_deinit(&batch);
    return rc;
}

static void check_lines(const char *pattern, uint32_t instance, uint32_t count, const char *expected)
{
    static const uint32_t max_rows[] = { 1, 2, 256 };
    for (int i = 0; i < 3; i++) {
        sw_source *source = NULL;
        sw_buf lines;
        assert_int_equal(open_lines(in_dir(pattern), instance, count, &source, NULL), SW_OK);
        assert_int_equal(drain(source, max_rows[i], &lines, NULL), SW_ECLOSED);
        assert_string_equal((char *)lines.data, expected);
        sw_buf_deinit(&lines);
        source->ops->close(source);
    }
}

/* --- source --------------------------------------------------------------------------------------- */

static void files_of_a_glob_come_sorted_and_are_shared_out(void **state)
{
    (void)state;
    write_file("b.txt", "b1\nb2");
    write_file("a.txt", "a1\r\na2\n");
    write_file("d.txt", "d1\n");
    write_file("c.txt", "");
    write_file("e.other", "e1\n");
    check_lines("a.txt", 0, 1, "a1|a2|");
    check_lines("*.txt", 0, 1, "a1|a2|b1|b2|d1|");
    check_lines("*.txt", 0, 2, "a1|a2|");
    check_lines("*.txt", 1, 2, "b1|b2|d1|");
    check_lines("*.txt", 3, 5, "d1|");
    check_lines("*.txt", 4, 5, "");
}

static void what_cannot_be_read_is_an_error_that_names_it(void **state)
{
    sw_source *source = NULL;
    sw_error err;
    char text[300];
    (void)state;
    snprintf(text, sizeof(text), "no file matches %s", in_dir("*.none"));
    assert_int_equal(open_lines(in_dir("*.none"), 0, 1, &source, &err), SW_ENOTFOUND);
    assert_string_equal(err.text, text);
    assert_int_equal(open_lines(dir, 0, 1, &source, &err), SW_EINVAL);
    snprintf(text, sizeof(text), "%s is a directory", dir);
    assert_string_equal(err.text, text);
    write_file("a", "a\n");
    assert_int_equal(sw_fs_mkdirs(in_dir("b"), NULL), SW_OK);
    assert_int_equal(open_lines(in_dir("*"), 0, 1, &source, &err), SW_EINVAL);
    snprintf(text, sizeof(text), "%s is a directory", in_dir("b"));
    assert_string_equal(err.text, text);
    assert_null(source);
}

static void malformed_lines_say_where_they_were(void **state)
{
    sw_option list[2];
    sw_options options = options_of(list, in_dir("in"), "format", "jsonl");
    sw_source_context context = context_of(NULL, NULL);
    sw_source *source = NULL;
    sw_buf places;
    char expected[600];
    (void)state;
    write_file("in", "\n{x\n{\"line\":\"good\"}\n\n[1]");
    assert_int_equal(sw_io_open_source("file", &options, &context, &source, NULL), SW_OK);
    assert_int_equal(drain(source, 10, &places, NULL), SW_ECLOSED);
    snprintf(expected, sizeof(expected), "%s:2|good|%s:5|", in_dir("in"), in_dir("in"));
    assert_string_equal((char *)places.data, expected);
    sw_buf_deinit(&places);
    source->ops->close(source);
}

static void a_line_over_the_limit_is_malformed_and_the_next_is_read(void **state)
{
    sw_option list[3];
    sw_options options = options_of(list, in_dir("in"), NULL, NULL);
    sw_source_context context = context_of(NULL, NULL);
    sw_source *source = NULL;
    sw_buf places;
    char expected[300];
    (void)state;
    list[2] = (sw_option){ .name = "max_line_bytes", .kind = SW_OPTION_NUMBER, .number = 4 };
    options.count = 3;
    write_file("in", "1234\n12345\nend\n");
    assert_int_equal(sw_io_open_source("file", &options, &context, &source, NULL), SW_OK);
    assert_int_equal(drain(source, 10, &places, NULL), SW_ECLOSED);
    snprintf(expected, sizeof(expected), "1234|%s:2|end|", in_dir("in"));
    assert_string_equal((char *)places.data, expected);
    sw_buf_deinit(&places);
    source->ops->close(source);
}

/* Writes n numbered lines as gzip and cuts the file to `keep` bytes (0: not at all). */
static void write_gzip(const char *name, int n, long keep)
{
    gzFile f = gzopen(in_dir(name), "wb");
    assert_non_null(f);
    for (int i = 0; i < n; i++) assert_true(gzprintf(f, "line %d of some text %d\n", i, i * 7919) > 0);
    assert_int_equal(gzclose(f), Z_OK);
    if (keep > 0) assert_int_equal(truncate(in_dir(name), keep), 0);
}

static void gzip_is_read_by_its_extension_across_chunks(void **state)
{
    enum { LINES = 50000 };
    sw_source *source = NULL;
    sw_buf lines;
    (void)state;
    write_gzip("in.gz", LINES, 0);
    assert_int_equal(open_lines(in_dir("in.gz"), 0, 1, &source, NULL), SW_OK);
    assert_int_equal(drain(source, 256, &lines, NULL), SW_ECLOSED);
    const char *p = (const char *)lines.data;
    for (int i = 0; i < LINES; i++) {
        char expected[64];
        int len = snprintf(expected, sizeof(expected), "line %d of some text %d|", i, i * 7919);
        assert_memory_equal(p, expected, (size_t)len);
        p += len;
    }
    assert_int_equal(*p, 0);
    sw_buf_deinit(&lines);
    source->ops->close(source);
}

static void gzip_that_is_cut_gives_its_lines_and_then_fails_for_good(void **state)
{
    sw_source *source = NULL;
    sw_buf lines;
    sw_error err;
    (void)state;
    write_gzip("in.gz", 50000, 60000);
    assert_int_equal(open_lines(in_dir("in.gz"), 0, 1, &source, NULL), SW_OK);
    assert_int_equal(drain(source, 256, &lines, &err), SW_EFORMAT);
    assert_non_null(strstr(err.text, in_dir("in.gz")));
    assert_memory_equal(lines.data, "line 0 of some text 0|", 22);
    sw_buf_deinit(&lines);
    assert_int_equal(drain(source, 256, &lines, &err), SW_EFORMAT);
    assert_string_equal((char *)lines.data, "");
    sw_buf_deinit(&lines);
    source->ops->close(source);
}

static void a_long_file_is_read_whole(void **state)
{
    enum { LINES = 40000 };
    sw_buf text = { 0 };
    sw_source *source = NULL;
    sw_buf lines;
    (void)state;
    for (int i = 0; i < LINES; i++)
        sw_buf_printf(&text, "%d %.*s\n", i, i % 50, "..................................................");
    sw_buf_append(&text, "", 1);
    write_file("in", (char *)text.data);
    assert_int_equal(open_lines(in_dir("in"), 0, 1, &source, NULL), SW_OK);
    assert_int_equal(drain(source, 256, &lines, NULL), SW_ECLOSED);
    for (uint8_t *p = text.data; p < text.data + text.size; p++)
        if (*p == '\n') *p = '|';
    assert_string_equal((char *)lines.data, (char *)text.data);
    sw_buf_deinit(&lines);
    sw_buf_deinit(&text);
    source->ops->close(source);
}

static void opening_a_source_survives_every_allocation_failure(void **state)
{
    sw_source *source = NULL;
    (void)state;
    write_file("in", "a\n");
    for (long n = 0;; n++) {
        size_t live = sw_alloc_live();
        sw_error err = { 0 };
        sw_fault_fail_after(n);
        int rc = open_lines(in_dir("in"), 0, 1, &source, &err);
        bool was_hit = sw_fault_hit();
        sw_fault_off();
        if (!was_hit) {
            assert_int_equal(rc, SW_OK);
            break;
        }
        assert_int_equal(rc, SW_ENOMEM);
        assert_true(err.text[0] != 0);
        assert_int_equal(sw_alloc_live(), live);
        assert_null(source);
    }
    source->ops->close(source);
}

/* --- sink ----------------------------------------------------------------------------------------- */

static int open_sink(const char *path, const char *name, const char *value, uint32_t instance, sw_sink **out,
                     sw_error *err)
{
    sw_option list[2];
    sw_options options = options_of(list, path, name, value);
    sw_sink_context context = { .component = "out", .instance = instance, .count = 4, .clock = sw_clock_real() };
    return sw_io_open_sink("file", &options, &context, out, err);
}

static int write_line(sw_sink *sink, const char *text, sw_error *err)
{
    sw_decoder *decoder = decoder_of("lines", NULL, NULL);
    sw_batch batch;
    sw_batch_init(&batch);
    decode_bytes(decoder, text, strlen(text), &batch);
    int rc = sink->ops->write(sink, first_row(&batch), err);
    sw_batch_deinit(&batch);
    sw_decoder_free(decoder);
    return rc;
}

static void write_and_close(const char *path, const char *mode, const char *text)
{
    sw_sink *sink = NULL;
    assert_int_equal(open_sink(path, "mode", mode, 0, &sink, NULL), SW_OK);
    assert_int_equal(write_line(sink, text, NULL), SW_OK);
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
}

static void a_file_is_made_when_it_is_opened_and_replaced_or_appended_to(void **state)
{
    sw_sink *sink = NULL;
    (void)state;
    write_file("out", "old\n");
    assert_int_equal(open_sink(in_dir("out"), NULL, NULL, 0, &sink, NULL), SW_OK);
    assert_content("out", "");
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
    assert_content("out", "");
    write_and_close(in_dir("out"), "replace", "a");
    write_and_close(in_dir("out"), "append", "b");
    assert_content("out", "{\"line\":\"a\"}\n{\"line\":\"b\"}\n");
    write_and_close(in_dir("out"), "replace", "c");
    assert_content("out", "{\"line\":\"c\"}\n");
}

static void a_flush_shows_what_was_written(void **state)
{
    sw_sink *sink = NULL;
    (void)state;
    assert_int_equal(open_sink(in_dir("out"), NULL, NULL, 0, &sink, NULL), SW_OK);
    assert_int_equal(write_line(sink, "a", NULL), SW_OK);
    assert_content("out", "");
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    assert_content("out", "a\n");
    assert_int_equal(write_line(sink, "b", NULL), SW_OK);
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
    assert_content("out", "a\nb\n");
}

static void each_instance_has_a_file_of_its_own(void **state)
{
    sw_sink *sink = NULL;
    (void)state;
    assert_int_equal(open_sink(in_dir("out-{instance}.txt"), NULL, NULL, 3, &sink, NULL), SW_OK);
    assert_int_equal(write_line(sink, "x", NULL), SW_OK);
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
    assert_content("out-3.txt", "x\n");
}

static void a_path_that_cannot_be_written_is_an_error_that_names_it(void **state)
{
    sw_sink *sink = NULL;
    sw_error err;
    (void)state;
    assert_int_equal(open_sink(in_dir("none/out"), NULL, NULL, 0, &sink, &err), SW_ENOTFOUND);
    assert_non_null(strstr(err.text, "there is no folder"));
    assert_non_null(strstr(err.text, in_dir("none")));
    assert_int_equal(open_sink(dir, NULL, NULL, 0, &sink, &err), SW_EINVAL);
    assert_non_null(strstr(err.text, "is a directory"));
    assert_int_equal(open_sink(in_dir("out"), "format", "xml", 0, &sink, &err), SW_EINVAL);
    assert_false(sw_fs_exists(in_dir("out")));
    assert_null(sink);
}

static void an_event_that_cannot_be_written_leaves_the_others(void **state)
{
    sw_sink *sink = NULL;
    sw_error err;
    (void)state;
    assert_int_equal(open_sink(in_dir("out"), NULL, NULL, 0, &sink, NULL), SW_OK);
    assert_int_equal(write_line(sink, "a", NULL), SW_OK);
    assert_int_equal(write_line(sink, "b\nc", &err), SW_EFORMAT);
    assert_int_equal(write_line(sink, "d", NULL), SW_OK);
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
    assert_content("out", "a\nd\n");
}

static void a_full_disk_is_told_once_with_the_path(void **state)
{
    sw_sink *sink = NULL;
    sw_error err;
    (void)state;
    assert_int_equal(open_sink("/dev/full", NULL, NULL, 0, &sink, NULL), SW_OK);
    assert_int_equal(write_line(sink, "a", NULL), SW_OK);
    assert_int_equal(sink->ops->flush(sink, &err), SW_ENOSPC);
    assert_non_null(strstr(err.text, "/dev/full"));
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
    assert_int_equal(open_sink("/dev/full", NULL, NULL, 0, &sink, NULL), SW_OK);
    assert_int_equal(write_line(sink, "a", NULL), SW_OK);
    assert_int_equal(sink->ops->close(sink, &err), SW_ENOSPC);
}

static void opening_a_sink_survives_every_allocation_failure(void **state)
{
    sw_sink *sink = NULL;
    (void)state;
    for (long n = 0;; n++) {
        size_t live = sw_alloc_live();
        sw_error err = { 0 };
        sw_fault_fail_after(n);
        int rc = open_sink(in_dir("out"), NULL, NULL, 0, &sink, &err);
        bool was_hit = sw_fault_hit();
        sw_fault_off();
        if (!was_hit) {
            assert_int_equal(rc, SW_OK);
            break;
        }
        assert_int_equal(rc, SW_ENOMEM);
        assert_true(err.text[0] != 0);
        assert_int_equal(sw_alloc_live(), live);
        assert_null(sink);
    }
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, make_temp_dir, remove_temp_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(files_of_a_glob_come_sorted_and_are_shared_out),
        FILE_TEST(what_cannot_be_read_is_an_error_that_names_it),
        FILE_TEST(malformed_lines_say_where_they_were),
        FILE_TEST(a_line_over_the_limit_is_malformed_and_the_next_is_read),
        FILE_TEST(gzip_is_read_by_its_extension_across_chunks),
        FILE_TEST(gzip_that_is_cut_gives_its_lines_and_then_fails_for_good),
        FILE_TEST(a_long_file_is_read_whole),
        FILE_TEST(opening_a_source_survives_every_allocation_failure),
        FILE_TEST(a_file_is_made_when_it_is_opened_and_replaced_or_appended_to),
        FILE_TEST(a_flush_shows_what_was_written),
        FILE_TEST(each_instance_has_a_file_of_its_own),
        FILE_TEST(a_path_that_cannot_be_written_is_an_error_that_names_it),
        FILE_TEST(an_event_that_cannot_be_written_leaves_the_others),
        FILE_TEST(a_full_disk_is_told_once_with_the_path),
        FILE_TEST(opening_a_sink_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
