#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/rng.h"

static void doubles_have_the_shortest_exact_form(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        { 0.0, "0" },
        { -0.0, "-0.0" },
        { 1.0, "1" },
        { -42.0, "-42" },
        { 0.1, "0.1" },
        { 1e15, "1000000000000000" },
        { 9007199254740992.0, "9007199254740992" },
        { -9007199254740992.0, "-9007199254740992" },
        { 1e300, "1e+300" },
        { 5e-324, "5e-324" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { 123456.789, "123456.789" },
        { NAN, "nan" },
        { -NAN, "nan" },
        { INFINITY, "inf" },
        { -INFINITY, "-inf" },
    };
    char out[SW_NUM_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sw_num_format_double(out, cases[i].v), strlen(cases[i].text));
        assert_string_equal(out, cases[i].text);
    }
}

static void every_double_reads_back_as_itself(void **state)
{
    char out[SW_NUM_TEXT_SIZE];
    sw_rng r;
    (void)state;
    sw_rng_seed(&r, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = sw_rng_next(&r);
        double v, back = 0;
        memcpy(&v, &bits, sizeof(v));
        if (isnan(v)) continue;
        assert_int_equal(sw_num_parse_double(out, sw_num_format_double(out, v), &back), SW_OK);
        assert_memory_equal(&back, &v, sizeof(v));
        assert_true(strtod(out, NULL) == v);
    }
}

static void amounts_with_few_decimals_are_written_as_they_are_read(void **state)
{
    static const char *const formats[] = { "%.1f", "%.2f", "%.3f", "%.4f" };
    char expected[64], text[SW_NUM_TEXT_SIZE];
    uint64_t random = 1;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int decimals = 1 + i % 4;
        uint64_t digits = (random >> 20) % 100000000000u * 10 + 1 + (random >> 60) % 9; /* No 0 at the end. */
        double power = decimals == 1 ? 10 : decimals == 2 ? 100 : decimals == 3 ? 1000 : 10000;
        double value = (double)digits / power * (i % 2 == 0 ? 1 : -1);
        snprintf(expected, sizeof(expected), formats[decimals - 1], value);
        sw_num_format_double(text, value);
        assert_string_equal(text, expected);
    }
}

static void integers_are_exact_over_their_whole_range(void **state)
{
    static const struct {
        int64_t v;
        const char *text;
    } cases[] = {
        { 0, "0" },
        { 9, "9" },
        { 10, "10" },
        { 99, "99" },
        { 100, "100" },
        { 9999, "9999" },
        { 10000, "10000" },
        { 12345, "12345" },
        { -1, "-1" },
        { INT64_MAX, "9223372036854775807" },
        { INT64_MIN, "-9223372036854775808" },
    };
    char out[SW_NUM_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sw_num_format_i64(out, cases[i].v), strlen(cases[i].text));
        assert_string_equal(out, cases[i].text);
    }
    assert_int_equal(sw_num_format_u64(out, UINT64_MAX), 20);
    assert_string_equal(out, "18446744073709551615");
}

static void every_length_of_integer_reads_back(void **state)
{
    char out[SW_NUM_TEXT_SIZE];
    uint64_t v = 1;
    (void)state;
    for (size_t digits = 1; digits <= 19; digits++, v *= 10) {
        assert_int_equal(sw_num_format_u64(out, v), digits);
        assert_true(strtoull(out, NULL, 10) == v);
        sw_num_format_u64(out, v * 10 - 1);
        assert_true(strtoull(out, NULL, 10) == v * 10 - 1);
    }
}

static void integers_are_written_as_printf_does(void **state)
{
    char expected[64], out[SW_NUM_TEXT_SIZE];
    sw_rng rng;
    (void)state;
    sw_rng_seed(&rng, 3);
    for (int i = 0; i < 200000; i++) {
        uint64_t v = sw_rng_next(&rng) >> (i % 64);
        int len = snprintf(expected, sizeof(expected), "%llu", (unsigned long long)v);
        assert_int_equal(sw_num_format_u64(out, v), len);
        assert_string_equal(out, expected);
    }
}

static void a_text_that_is_not_one_number_is_refused(void **state)
{
    static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1x", "0x10", "1,5", "e5", "1e", "--1" };
    double v = 7;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(sw_num_parse_double(bad[i], strlen(bad[i]), &v), SW_EFORMAT);
    assert_int_equal(sw_num_parse_double("1e400", 5, &v), SW_ELIMIT);
    assert_int_equal(sw_num_parse_double("1e-400", 6, &v), SW_ELIMIT);
    assert_true(v == 7);
    assert_int_equal(sw_num_parse_double("1.5e3x", 5, &v), SW_OK); /* The size ends the text. */
    assert_true(v == 1500);
}

static void durations_become_milliseconds(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        { "250ms", 250 },
        { "10s", 10000 },
        { "5m", 300000 },
        { "1h", 3600000 },
        { "2d", 172800000 },
        { "1.5s", 1500 },
        { "0.25m", 15000 },
        { "0s", 0 },
        { "-1.5s", -1500 },
        { "1.0000ms", 1 },
        { "106751991167d", 9223372036828800000 },
    };
    int64_t ms = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sw_duration_parse_ms(cases[i].text, &ms, NULL), SW_OK);
        assert_true(ms == cases[i].ms);
    }
}

static void what_is_no_duration_is_refused_with_the_text(void **state)
{
    static const char *const bad[] = { "",    "10",  "s",    "10 s", " 10s", "10S",   "1.5ms",  "1.s",
                                       ".5s", "+1s", "--1s", "1s2",  "1e3s", "10sec", "0.0001s" };
    sw_error err;
    int64_t ms = 7;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(sw_duration_parse_ms(bad[i], &ms, &err), SW_EINVAL);
        assert_non_null(strstr(err.text, bad[i]));
    }
    assert_int_equal(sw_duration_parse_ms("106751991168d", &ms, &err), SW_ELIMIT);
    assert_int_equal(sw_duration_parse_ms("99999999999999999999ms", &ms, &err), SW_ELIMIT);
    assert_string_equal(err.text, "duration \"99999999999999999999ms\" is too large");
    assert_int_equal(ms, 7);
}

static void sizes_become_bytes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        { "16MiB", 16777216 }, { "64KB", 64000 },  { "1GiB", 1073741824 },   { "512", 512 },
        { "512B", 512 },       { "1.5KiB", 1536 }, { "2TB", 2000000000000 }, { "16777215TiB", 18446742974197923840u },
    };
    static const char *const bad[] = { "", "MiB", "-1KB", "1 KB", "1kb", "1.3B", "16M" };
    uint64_t bytes = 0;
    sw_error err;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sw_size_parse(cases[i].text, &bytes, NULL), SW_OK);
        assert_true(bytes == cases[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(sw_size_parse(bad[i], &bytes, &err), SW_EINVAL);
        assert_non_null(strstr(err.text, bad[i]));
    }
    assert_int_equal(sw_size_parse("16777216TiB", &bytes, &err), SW_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_have_the_shortest_exact_form),
        cmocka_unit_test(every_double_reads_back_as_itself),
        cmocka_unit_test(amounts_with_few_decimals_are_written_as_they_are_read),
        cmocka_unit_test(integers_are_exact_over_their_whole_range),
        cmocka_unit_test(integers_are_written_as_printf_does),
        cmocka_unit_test(every_length_of_integer_reads_back),
        cmocka_unit_test(a_text_that_is_not_one_number_is_refused),
        cmocka_unit_test(durations_become_milliseconds),
        cmocka_unit_test(what_is_no_duration_is_refused_with_the_text),
        cmocka_unit_test(sizes_become_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
