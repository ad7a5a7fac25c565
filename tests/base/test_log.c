#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static char output[4 * SW_LOG_TEXT_MAX]; /* What was logged since capture_begin. */
static int saved_stderr;                 /* Standard error while it is captured. */
static FILE *captured;                   /* What stands in for it. */

static void capture_begin(void)
{
    captured = tmpfile();
    assert_non_null(captured);
    saved_stderr = dup(STDERR_FILENO);
    dup2(fileno(captured), STDERR_FILENO);
}

static void capture_end(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    ssize_t n = pread(fileno(captured), output, sizeof(output) - 1, 0);
    assert_true(n >= 0);
    output[n] = '\0';
    fclose(captured);
}

static void text_form_is_time_level_who_and_text(void **state)
{
    unsigned hour, minute, second, ms;
    int rest = 0;
    (void)state;
    sw_log_configure(SW_LOG_INFO, false);
    capture_begin();
    sw_log(SW_LOG_WARN, "fraud/score#1", "late by %d ms", 5);
    capture_end();
    assert_int_equal(sscanf(output, "%2u:%2u:%2u.%3u %n", &hour, &minute, &second, &ms, &rest), 4);
    assert_int_equal(rest, 13);
    assert_string_equal(output + rest, "WARN  fraud/score#1: late by 5 ms\n");
}

static void text_form_keeps_line_breaks(void **state)
{
    (void)state;
    sw_log_configure(SW_LOG_INFO, false);
    capture_begin();
    sw_log(SW_LOG_ERROR, "job", "first\n\tsecond");
    capture_end();
    assert_non_null(strstr(output, "ERROR job: first\n\tsecond\n"));
}

static void levels_above_the_chosen_one_are_dropped(void **state)
{
    (void)state;
    sw_log_configure(SW_LOG_WARN, false);
    capture_begin();
    sw_log(SW_LOG_INFO, "job", "dropped");
    sw_log(SW_LOG_DEBUG, "job", "dropped");
    sw_log(SW_LOG_WARN, "job", "kept");
    capture_end();
    assert_null(strstr(output, "dropped"));
    assert_non_null(strstr(output, "kept"));
}

static void json_form_is_one_escaped_object_per_line(void **state)
{
    long long ts = 0;
    int rest = 0;
    (void)state;
    sw_log_configure(SW_LOG_DEBUG, true);
    capture_begin();
    sw_log(SW_LOG_DEBUG, "a\"b", "x\n\t\\ \xc3\xa9 \xf0\x9f\x98\x80");
    capture_end();
    assert_int_equal(sscanf(output, "{\"ts\":%lld%n", &ts, &rest), 1);
    assert_true(ts > 1600000000000);
    assert_string_equal(output + rest, ",\"level\":\"debug\",\"who\":\"a\\\"b\","
                                       "\"text\":\"x\\n\\u0009\\\\ \xc3\xa9 \xf0\x9f\x98\x80\"}\n");
}

static void json_form_replaces_bytes_that_are_no_utf8(void **state)
{
    /* A lone byte, an overlong slash, a surrogate, a code point beyond the last, and a sequence cut short. */
    static const char *const bad[] = { "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82" };
    (void)state;
    sw_log_configure(SW_LOG_INFO, true);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char expected[64] = "\"text\":\"";
        capture_begin();
        sw_log(SW_LOG_INFO, "job", "%s", bad[i]);
        capture_end();
        for (size_t k = 0; k < strlen(bad[i]); k++) strncat(expected, "\xef\xbf\xbd", 4);
        strncat(expected, "\"}\n", 4);
        assert_non_null(strstr(output, expected));
    }
}

static void a_text_that_is_too_long_is_cut_with_dots(void **state)
{
    static char text[3 * SW_LOG_TEXT_MAX];
    (void)state;
    memset(text, 1, sizeof(text) - 1); /* A byte that JSON writes as six. */
    for (int json = 0; json < 2; json++) {
        const char *end = json ? "...\"}\n" : "...\n";
        sw_log_configure(SW_LOG_INFO, json);
        capture_begin();
        sw_log(SW_LOG_INFO, text, "%s", text);
        capture_end();
        assert_true(strlen(output) > SW_LOG_TEXT_MAX);
        assert_string_equal(output + strlen(output) - strlen(end), end);
    }
}

static void a_limiter_lets_so_many_through_in_a_second_and_counts_the_rest(void **state)
{
    sw_log_limiter l = { 0 };
    (void)state;
    assert_true(sw_log_limit(&l, 5000, 2));
    assert_true(sw_log_limit(&l, 5500, 2));
    assert_false(sw_log_limit(&l, 5999, 2));
    assert_false(sw_log_limit(&l, 5999, 2));
    assert_int_equal(l.suppressed, 2);
    assert_true(sw_log_limit(&l, 6000, 2));
    assert_int_equal(l.suppressed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_form_is_time_level_who_and_text),
        cmocka_unit_test(text_form_keeps_line_breaks),
        cmocka_unit_test(levels_above_the_chosen_one_are_dropped),
        cmocka_unit_test(json_form_is_one_escaped_object_per_line),
        cmocka_unit_test(json_form_replaces_bytes_that_are_no_utf8),
        cmocka_unit_test(a_text_that_is_too_long_is_cut_with_dots),
        cmocka_unit_test(a_limiter_lets_so_many_through_in_a_second_and_counts_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
