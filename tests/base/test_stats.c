#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/stats.h"

static sw_histogram h, other;

static int start_empty(void **state)
{
    (void)state;
    sw_histogram_init(&h);
    sw_histogram_init(&other);
    return 0;
}

static void an_empty_histogram_answers_zero(void **state)
{
    (void)state;
    sw_histogram_record(&h, 5, 0);
    assert_true(sw_histogram_quantile(&h, 0.5) == 0);
    assert_true(sw_histogram_quantile(&h, 1) == 0);
    assert_true(sw_histogram_max(&h) == 0 && sw_histogram_count(&h) == 0);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t v = 1; v <= 100; v++) sw_histogram_record(&h, v, 1);
    assert_true(sw_histogram_quantile(&h, 0) == 1);
    assert_true(sw_histogram_quantile(&h, 0.01) == 1);
    assert_true(sw_histogram_quantile(&h, 0.5) == 50);
    assert_true(sw_histogram_quantile(&h, 0.99) == 99);
    assert_true(sw_histogram_quantile(&h, 1) == 100);
}

static void a_quantile_is_at_most_a_64th_above_the_value(void **state)
{
    (void)state;
    for (uint64_t v = 1; v < UINT64_MAX / 3; v = v * 3 + 1) {
        start_empty(NULL);
        sw_histogram_record(&h, v, 1);
        sw_histogram_record(&h, UINT64_MAX, 1); /* So that max does not correct the answer. */
        uint64_t answer = sw_histogram_quantile(&h, 0.5);
        assert_true(answer >= v);
        assert_true(answer - v <= v / 64);
    }
}

static void the_whole_range_of_64_bits_is_covered(void **state)
{
    (void)state;
    sw_histogram_record(&h, UINT64_MAX, 3);
    sw_histogram_record(&h, 0, 1);
    assert_true(sw_histogram_max(&h) == UINT64_MAX);
    assert_true(sw_histogram_quantile(&h, 0.25) == 0);
    assert_true(sw_histogram_quantile(&h, 0.26) == UINT64_MAX);
}

static void a_count_weighs_its_value(void **state)
{
    (void)state;
    sw_histogram_record(&h, 10, 999);
    sw_histogram_record(&h, 1000000, 1);
    assert_true(sw_histogram_quantile(&h, 0.999) == 10);
    assert_true(sw_histogram_quantile(&h, 0.9995) == 1000000);
    assert_true(sw_histogram_count(&h) == 1000);
}

static void merging_is_as_if_all_had_been_recorded_in_one(void **state)
{
    (void)state;
    sw_histogram_record(&h, 1, 3);
    sw_histogram_record(&other, 77, 1);
    sw_histogram_merge(&h, &other);
    assert_true(sw_histogram_count(&h) == 4);
    assert_true(sw_histogram_max(&h) == 77);
    assert_true(sw_histogram_quantile(&h, 0.75) == 1);
    assert_true(sw_histogram_quantile(&h, 0.76) == 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_histogram_answers_zero, start_empty),
        cmocka_unit_test_setup(small_values_are_exact, start_empty),
        cmocka_unit_test_setup(a_quantile_is_at_most_a_64th_above_the_value, start_empty),
        cmocka_unit_test_setup(the_whole_range_of_64_bits_is_covered, start_empty),
        cmocka_unit_test_setup(a_count_weighs_its_value, start_empty),
        cmocka_unit_test_setup(merging_is_as_if_all_had_been_recorded_in_one, start_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
