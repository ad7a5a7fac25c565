#include "io_rows.h"

#include <stdlib.h>

#include "io/json_index.h"
#include "io/lines.h"

/* Feeds the text in chunks of this size, and joins the lines that come, each as "number:text|" with "!"
 * where too long. */
static void cut(const char *text, size_t len, size_t chunk, size_t max_line, sw_buf *out)
{
    sw_lines lines;
    sw_line line;
    sw_buf_init(out);
    assert_int_equal(sw_lines_init(&lines, max_line, chunk), SW_OK);
    for (size_t at = 0;;) {
        while (sw_lines_next(&lines, &line)) {
            assert_true(line.padding >= SW_JSON_PADDING);
            sw_buf_printf(out, "%d:%s", (int)line.number, line.is_too_long ? "!" : "");
            sw_buf_append(out, line.text, line.is_too_long ? 1 : line.len);
            sw_buf_append_str(out, "|");
        }
        if (lines.is_finished) break;
        size_t room = 0;
        uint8_t *to = sw_lines_room(&lines, &room);
        assert_non_null(to);
        if (room > len - at) room = len - at;
        if (room == 0) {
            sw_lines_finish(&lines);
            continue;
        }
        memcpy(to, text + at, room);
        sw_lines_added(&lines, room);
        at += room;
    }
    sw_buf_append(out, "", 1);
    sw_lines_deinit(&lines);
}

static void check(const char *text, size_t len, size_t max_line, const char *expected)
{
    for (size_t chunk = 1; chunk <= len + 2; chunk++) {
        sw_buf out;
        cut(text, len, chunk, max_line, &out);
        if (strcmp((char *)out.data, expected) != 0) fail_msg("chunk %zu: %s", chunk, (char *)out.data);
        sw_buf_deinit(&out);
    }
}

#define CHECK(text, max_line, expected) check(text, sizeof(text) - 1, max_line, expected)

static void lines_are_the_same_however_they_are_split(void **state)
{
    (void)state;
    CHECK("", 100, "");
    CHECK("\n", 100, "1:|");
    CHECK("a", 100, "1:a|");
    CHECK("a\n", 100, "1:a|");
    CHECK("one\ntwo\n\nfour", 100, "1:one|2:two|3:|4:four|");
    CHECK("one\r\ntwo\r\n\r\nfour\r", 100, "1:one|2:two|3:|4:four|");
    CHECK("a\rb\n\r\r\n", 100, "1:a\rb|2:\r|");
}

static void a_line_that_is_too_long_is_reported_once_and_skipped(void **state)
{
    (void)state;
    CHECK("12345\n1234\nab\n", 4, "1:!1|2:1234|3:ab|");
    CHECK("1234\r\n12345\r\nab", 4, "1:1234|2:!1|3:ab|");
    CHECK("ab\n1234567890123456789", 4, "1:ab|2:!1|");
    CHECK("123456789012345678901234567890\n\nx\n", 4, "1:!1|2:|3:x|");
    CHECK("x23456789\ny23456789\nz\n", 1, "1:!x|2:!y|3:z|");
}

static void another_input_counts_from_one(void **state)
{
    sw_lines lines;
    sw_line line;
    size_t room = 0;
    (void)state;
    assert_int_equal(sw_lines_init(&lines, 4, 16), SW_OK);
    memcpy(sw_lines_room(&lines, &room), "a\n12345678", 10);
    sw_lines_added(&lines, 10);
    assert_true(sw_lines_next(&lines, &line));
    assert_true(sw_lines_next(&lines, &line));
    sw_lines_restart(&lines);
    memcpy(sw_lines_room(&lines, &room), "b\n", 2);
    sw_lines_added(&lines, 2);
    assert_true(sw_lines_next(&lines, &line));
    assert_int_equal(line.number, 1);
    assert_int_equal(line.len, 1);
    assert_false(line.is_too_long);
    sw_lines_deinit(&lines);
}

static void whole_lines_may_be_seen_and_passed_before_they_are_asked_for(void **state)
{
    sw_lines lines;
    sw_line line;
    size_t room = 0, len = 0;
    (void)state;
    assert_int_equal(sw_lines_init(&lines, 8, 16), SW_OK);
    memcpy(sw_lines_room(&lines, &room), "one\ntwo\nth", 10);
    sw_lines_added(&lines, 10);
    assert_memory_equal(sw_lines_ready(&lines, &len), "one\ntwo\n", 8);
    assert_int_equal(len, 8);
    sw_lines_pass(&lines, 4);
    assert_true(sw_lines_next(&lines, &line));
    assert_memory_equal(line.text, "two", line.len);
    assert_int_equal(line.number, 2);
    sw_lines_ready(&lines, &len);
    assert_int_equal(len, 0);
    memcpy(sw_lines_room(&lines, &room), "123456789", 9);
    sw_lines_added(&lines, 9);
    assert_true(sw_lines_next(&lines, &line));
    assert_true(line.is_too_long);
    memcpy(sw_lines_room(&lines, &room), "a\nb\n", 4);
    sw_lines_added(&lines, 4);
    sw_lines_ready(&lines, &len); /* Lines behind one that is too long begin where its rest ends. */
    assert_int_equal(len, 0);
    sw_lines_deinit(&lines);
}

static void a_line_of_any_length_takes_bounded_memory(void **state)
{
    enum { MAX_LINE = 1 << 20, CHUNK = 64 << 10, TOTAL = 100 << 20 };
    sw_lines lines;
    sw_line line;
    size_t room = 0;
    int count = 0;
    (void)state;
    assert_int_equal(sw_lines_init(&lines, MAX_LINE, CHUNK), SW_OK);
    for (size_t at = 0; at < TOTAL; at += room) {
        uint8_t *to = sw_lines_room(&lines, &room);
        assert_non_null(to);
        memset(to, 'x', room);
        sw_lines_added(&lines, room);
        while (sw_lines_next(&lines, &line)) {
            assert_true(line.is_too_long);
            count++;
        }
        assert_true(lines.cap <= 2 * MAX_LINE + CHUNK);
    }
    assert_int_equal(count, 1);
    sw_lines_room(&lines, &room)[0] = '\n';
    sw_lines_added(&lines, 1);
    assert_false(sw_lines_next(&lines, &line));
    *sw_lines_room(&lines, &room) = 'y';
    sw_lines_added(&lines, 1);
    sw_lines_finish(&lines);
    assert_true(sw_lines_next(&lines, &line));
    assert_int_equal(line.number, 2);
    assert_int_equal(line.len, 1);
    sw_lines_deinit(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_the_same_however_they_are_split),
        cmocka_unit_test(a_line_that_is_too_long_is_reported_once_and_skipped),
        cmocka_unit_test(another_input_counts_from_one),
        cmocka_unit_test(whole_lines_may_be_seen_and_passed_before_they_are_asked_for),
        cmocka_unit_test(a_line_of_any_length_takes_bounded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
