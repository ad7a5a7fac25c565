#include "sinks.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"

#define CHUNK 16 /* bytes read at once, so that lines cross chunks */
#define MAX_LINE 20

/* Lines that are short, long, blank, malformed, too long, with CR, without an end. */
static const char mixed[] = "first line\nsecond\r\n\n\nthis line is far longer than may be\nx\n"
                            "exactly twenty bytes\nand one more that is much too long\nlast";

/* The same as JSON, where the reader takes whole runs of lines at once. */
static const char mixed_json[] =
    "{\"line\":\"first\"}\n{\"line\":\"2\"}\r\n\n{bad\n{\"line\":\"far longer than may be\"}\n"
    "{\"line\":\"x\"}\n{\"line\":\"y\"}\n{\"line\":\"of twenty\"}\n{\"line\":\"z\"}\n"
    "and one more that is much too long\n{\"line\":\"last\"}";

static const char *format = "lines";

static int open_source(const char *path, uint32_t instance, uint32_t count, const saved *restored, sw_source **out,
                       sw_error *err)
{
    const sw_option list[] = { text_option("path", path), text_option("format", format),
                               number_option("chunk_bytes", CHUNK), number_option("max_line_bytes", MAX_LINE) };
    const sw_options options = { list, sizeof(list) / sizeof(list[0]) };
    sw_source_context context = context_of(NULL, NULL);
    context.instance = instance;
    context.count = count;
    context.restored = restored != NULL ? &restored->view : NULL;
    return sw_io_open_source("file", &options, &context, out, err);
}

static sw_source *opened(const char *path, uint32_t instance, uint32_t count, const saved *restored)
{
    sw_source *source = NULL;
    sw_error err = { 0 };
    if (open_source(path, instance, count, restored, &source, &err) != SW_OK) fail_msg("%s", err.text);
    return source;
}

/* Reads up to n rows and adds each as "text|", or "path:line|" where it is malformed. True: there may be more. */
static bool read_rows(sw_source *source, uint32_t n, sw_buf *out)
{
    sw_batch batch;
    int rc = SW_OK;
    sw_batch_init(&batch);
    for (uint32_t given = 0; given < n && rc == SW_OK;) {
        sw_batch_clear(&batch);
        rc = source->ops->fill(source, &batch, n - given, NULL);
        given += batch.count;
        const sw_row *row = (const sw_row *)(void *)batch.data;
        for (uint32_t i = 0; i < batch.count; i++, row = sw_row_next(row)) {
            uint32_t len = 0;
            const char *text = map_string(row, row->kind == SW_ROW_EVENT ? "line" : "where", &len);
            sw_buf_append(out, text, len);
            sw_buf_append_str(out, "|");
        }
    }
    assert_true(rc == SW_OK || rc == SW_ECLOSED);
    sw_batch_deinit(&batch);
    return rc == SW_OK;
}

static void save(sw_source *source, uint32_t instance, saved *s)
{
    sw_buf value = { 0 };
    assert_int_equal(source->ops->position(source, &value, NULL), SW_OK);
    saved_add(s, instance, value);
}

/* The rows of all files, read without a break. */
static sw_buf whole(const char *path)
{
    sw_buf rows = { 0 };
    sw_source *source = opened(path, 0, 1, NULL);
    read_rows(source, UINT32_MAX, &rows);
    sw_buf_append(&rows, "", 1);
    source->ops->close(source);
    return rows;
}

/* Breaks off behind each row, goes on at its position, twice, and compares. */
static void check_every_row(const char *path)
{
    sw_buf expected = whole(path);
    for (uint32_t n = 0;; n++) {
        saved first = { 0 }, second = { 0 };
        sw_buf rows = { 0 };
        sw_source *source = opened(path, 0, 1, NULL);
        bool has_more = read_rows(source, n, &rows);
        save(source, 0, &first);
        source->ops->close(source);
        source = opened(path, 0, 1, &first);
        save(source, 0, &second);
        source->ops->close(source);
        source = opened(path, 0, 1, &second);
        read_rows(source, UINT32_MAX, &rows);
        source->ops->close(source);
        sw_buf_append(&rows, "", 1);
        assert_string_equal((char *)rows.data, (char *)expected.data);
        sw_buf_deinit(&rows);
        saved_free(&first);
        saved_free(&second);
        if (!has_more) break;
    }
    sw_buf_deinit(&expected);
}

static void write_gzip(const char *name, const char *text)
{
    gzFile f = gzopen(in_dir(name), "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, text, (unsigned)strlen(text)), strlen(text));
    assert_int_equal(gzclose(f), Z_OK);
}

static void every_row_is_a_place_to_go_on_from(void **state)
{
    (void)state;
    write_file("a", mixed);
    check_every_row(in_dir("a"));
    write_gzip("b.gz", mixed);
    check_every_row(in_dir("b.gz"));
}

static void every_row_of_json_is_a_place_to_go_on_from(void **state)
{
    (void)state;
    format = "jsonl";
    write_file("a", mixed_json);
    check_every_row(in_dir("a"));
    write_gzip("b.gz", mixed_json);
    check_every_row(in_dir("b.gz"));
    write_file("c", mixed_json);
    check_every_row(in_dir("[ac]"));
    format = "lines";
}

static void a_long_file_is_known_by_its_beginning_and_gone_on_with(void **state)
{
    sw_buf text = { 0 };
    (void)state;
    for (int i = 0; i < 600; i++) sw_buf_printf(&text, "line %d of many\n", i);
    write_bytes("a", text.data, text.size);
    assert_true(text.size > 2 * 4096);
    sw_buf_append(&text, "", 1);
    write_gzip("b.gz", (char *)text.data);
    check_every_row(in_dir("a"));
    check_every_row(in_dir("b.gz"));
    sw_buf_deinit(&text);
}

static void files_of_a_glob_are_gone_on_with_behind_those_that_are_done(void **state)
{
    (void)state;
    write_file("a.txt", "a1\na2\n");
    write_file("b.txt", "");
    write_gzip("c.txt.gz", mixed);
    write_file("d.txt", "d1\n\nd3");
    check_every_row(in_dir("*.txt*"));
}

/* --- other numbers of instances ----------------------------------------------------------------------------------- */

#define FILES 5
#define LINES 4

/* How often each line came. */
typedef struct tally {
    int times[FILES][LINES];
} tally;

static void count_rows(const sw_buf *rows, tally *t)
{
    for (size_t i = 0; i + 2 < rows->size; i += 3) {
        int file = rows->data[i] - 'a', line = rows->data[i + 1] - '0';
        assert_true(file >= 0 && file < FILES && line >= 0 && line < LINES && rows->data[i + 2] == '|');
        t->times[file][line]++;
    }
}

/* Each of `count` instances reads up to n rows, and what it has read is counted and its position saved. */
static void run_instances(uint32_t count, uint32_t n, const saved *restored, saved *out, tally *t)
{
    for (uint32_t i = 0; i < count; i++) {
        sw_buf rows = { 0 };
        sw_source *source = opened(in_dir("?.txt"), i, count, restored);
        read_rows(source, n + i % 2, &rows);
        save(source, i, out);
        source->ops->close(source);
        count_rows(&rows, t);
        sw_buf_deinit(&rows);
    }
}

static void the_files_are_shared_out_anew_over_other_numbers_of_instances(void **state)
{
    (void)state;
    for (int f = 0; f < FILES; f++) {
        char name[8], text[64] = "";
        snprintf(name, sizeof(name), "%c.txt", 'a' + f);
        for (int i = 0; i < LINES; i++) memcpy(text + 3 * i, (char[]){ (char)('a' + f), (char)('0' + i), '\n' }, 3);
        write_file(name, text);
    }
    for (uint32_t before = 1; before <= 4; before++)
        for (uint32_t between = 1; between <= 4; between++)
            for (uint32_t n = 0; n <= FILES * LINES; n++) {
                saved first = { 0 }, second = { 0 }, third = { 0 };
                tally t = { 0 };
                run_instances(before, n, NULL, &first, &t);
                run_instances(between, 2, &first, &second, &t);
                run_instances(before, UINT32_MAX - 1, &second, &third, &t);
                for (int f = 0; f < FILES; f++)
                    for (int i = 0; i < LINES; i++) assert_int_equal(t.times[f][i], 1);
                saved_free(&first);
                saved_free(&second);
                saved_free(&third);
            }
}

/* --- files that changed ------------------------------------------------------------------------------------------- */

/* Reads n rows of all *.txt and saves the position. */
static void read_and_save(uint32_t n, saved *s)
{
    sw_buf rows = { 0 };
    sw_source *source = opened(in_dir("*.txt"), 0, 1, NULL);
    read_rows(source, n, &rows);
    save(source, 0, s);
    source->ops->close(source);
    sw_buf_deinit(&rows);
}

static void assert_refused(const char *pattern, const saved *s, const char *name, const char *reason)
{
    sw_source *source = NULL;
    sw_error err = { 0 };
    assert_int_equal(open_source(in_dir(pattern), 0, 1, s, &source, &err), SW_ESTATE);
    assert_null(source);
    assert_non_null(strstr(err.text, in_dir(name)));
    if (strstr(err.text, reason) == NULL) fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
}

static void assert_rest(const saved *s, const char *expected)
{
    sw_buf rows = { 0 };
    sw_source *source = opened(in_dir("*.txt"), 0, 1, s);
    read_rows(source, UINT32_MAX, &rows);
    sw_buf_append(&rows, "", 1);
    assert_string_equal((char *)rows.data, expected);
    source->ops->close(source);
    sw_buf_deinit(&rows);
}

static void a_file_that_was_replaced_cut_or_removed_is_refused_by_name(void **state)
{
    saved s = { 0 };
    (void)state;
    write_file("a.txt", "one\ntwo\nthree\n");
    read_and_save(2, &s);
    write_file("a.txt", "one\nTwo\nthree\n");
    assert_refused("*.txt", &s, "a.txt", "was replaced since the checkpoint");
    write_file("a.txt", "one\nt");
    assert_refused("*.txt", &s, "a.txt", "was replaced since the checkpoint");
    assert_int_equal(unlink(in_dir("a.txt")), 0);
    write_file("b.txt", "b\n");
    assert_refused("*.txt", &s, "a.txt", "is missing, and was read only to byte 8");
    write_file("a.txt", "one\ntwo\nTHREE\n");
    assert_refused("b.*", &s, "a.txt", "was read to byte 8, and is no part of the input now");
    assert_rest(&s, "THREE|b|");
    saved_free(&s);
}

static void a_file_that_was_cut_behind_its_fingerprint_is_refused(void **state)
{
    sw_buf text = { 0 };
    saved s = { 0 };
    (void)state;
    for (int i = 0; i < 1000; i++) sw_buf_printf(&text, "line %03d\n", i);
    write_bytes("a.txt", text.data, text.size);
    read_and_save(900, &s);
    assert_int_equal(truncate(in_dir("a.txt"), 8099), 0);
    assert_refused("*.txt", &s, "a.txt", "was cut: at the checkpoint it had been read to byte 8100");
    saved_free(&s);
    sw_buf_deinit(&text);
}

static void a_file_that_is_done_may_go_and_is_never_read_again(void **state)
{
    saved s = { 0 }, again = { 0 };
    (void)state;
    write_file("a.txt", "a\n");
    write_file("b.txt", "b1\nb2\n");
    read_and_save(2, &s);
    write_file("a.txt", "A\n");
    assert_refused("*.txt", &s, "a.txt", "was replaced since the checkpoint");
    assert_int_equal(unlink(in_dir("a.txt")), 0);
    write_file("c.txt", "c\n");
    assert_rest(&s, "b2|c|");
    sw_source *source = opened(in_dir("*.txt"), 0, 1, &s);
    save(source, 0, &again);
    source->ops->close(source);
    write_file("a.txt", "a\nmore\n");
    assert_rest(&again, "b2|c|");
    saved_free(&s);
    saved_free(&again);
}

static void when_all_that_was_read_is_gone_there_is_nothing_to_read(void **state)
{
    saved s = { 0 };
    sw_source *source = NULL;
    (void)state;
    write_file("a.txt", "a\n");
    read_and_save(2, &s);
    assert_int_equal(unlink(in_dir("a.txt")), 0);
    assert_rest(&s, "");
    saved_free(&s);
    assert_int_equal(open_source(in_dir("*.txt"), 0, 1, NULL, &source, NULL), SW_ENOTFOUND);
}

static void a_pipe_has_no_position(void **state)
{
    (void)state;
    write_file("a.txt", "a\n");
    sw_source *source = opened(in_dir("a.txt"), 0, 1, NULL);
    assert_non_null(source->ops->position);
    source->ops->close(source);
    source = opened("/dev/null", 0, 1, NULL);
    assert_null(source->ops->position);
    source->ops->close(source);
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

static void a_damaged_position_is_refused(void **state)
{
    saved s = { 0 };
    (void)state;
    write_file("a.txt", "one\ntwo\n");
    read_and_save(1, &s);
    for (uint32_t len = 1; len < s.values[0].size; len++) {
        sw_source *source = NULL;
        sw_error err = { 0 };
        s.lens[0] = len;
        assert_int_equal(open_source(in_dir("*.txt"), 0, 1, &s, &source, &err), SW_EFORMAT);
        assert_true(err.text[0] != 0);
    }
    saved_free(&s);
}

static void positions_survive_every_allocation_failure(void **state)
{
    saved s = { 0 };
    bool was_hit = true;
    (void)state;
    write_file("a.txt", "one\n");
    write_file("b.txt", "one\ntwo\n");
    read_and_save(2, &s);
    assert_int_equal(unlink(in_dir("a.txt")), 0);
    for (long n = 0; was_hit; n++) {
        sw_source *source = NULL;
        sw_buf value = { 0 };
        sw_error err = { 0 };
        size_t live = sw_alloc_live();
        sw_fault_fail_after(n);
        int rc = open_source(in_dir("*.txt"), 0, 1, &s, &source, &err);
        if (rc == SW_OK) rc = source->ops->position(source, &value, &err);
        was_hit = sw_fault_hit();
        sw_fault_off();
        assert_int_equal(rc, was_hit ? SW_ENOMEM : SW_OK);
        assert_true(!was_hit || (err.text[0] != 0 && value.size == 0));
        if (source != NULL) source->ops->close(source);
        sw_buf_deinit(&value);
        assert_int_equal(sw_alloc_live(), live);
    }
    saved_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(every_row_is_a_place_to_go_on_from),
        FOLDER_TEST(every_row_of_json_is_a_place_to_go_on_from),
        FOLDER_TEST(a_long_file_is_known_by_its_beginning_and_gone_on_with),
        FOLDER_TEST(files_of_a_glob_are_gone_on_with_behind_those_that_are_done),
        FOLDER_TEST(the_files_are_shared_out_anew_over_other_numbers_of_instances),
        FOLDER_TEST(a_file_that_was_replaced_cut_or_removed_is_refused_by_name),
        FOLDER_TEST(a_file_that_was_cut_behind_its_fingerprint_is_refused),
        FOLDER_TEST(a_file_that_is_done_may_go_and_is_never_read_again),
        FOLDER_TEST(when_all_that_was_read_is_gone_there_is_nothing_to_read),
        FOLDER_TEST(a_pipe_has_no_position),
        FOLDER_TEST(a_damaged_position_is_refused),
        FOLDER_TEST(positions_survive_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
