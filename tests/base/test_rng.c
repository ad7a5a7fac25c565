#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"

static void the_sequence_is_that_of_xoshiro256_seeded_by_splitmix64(void **state)
{
    /* From the authors' reference code. */
    static const uint64_t state_of_seed_0[4] = { 0xe220a8397b1dcdafu, 0x6e789e6aa1b965f4u, 0x06c45d188009454fu,
                                                 0xf88bb8a8724c81ecu };
    static const uint64_t after_1_2_3_4[4] = { 11520u, 0u, 1509978240u, 1215971899390074240u };
    sw_rng r;
    (void)state;
    sw_rng_seed(&r, 0);
    assert_memory_equal(r.s, state_of_seed_0, sizeof(state_of_seed_0));
    r = (sw_rng){ { 1, 2, 3, 4 } };
    for (int i = 0; i < 4; i++) assert_true(sw_rng_next(&r) == after_1_2_3_4[i]);
}

static void equal_seeds_give_equal_numbers_and_others_do_not(void **state)
{
    sw_rng a, b, c;
    int same = 0;
    (void)state;
    sw_rng_seed(&a, 42);
    sw_rng_seed(&b, 42);
    sw_rng_seed(&c, 43);
    for (int i = 0; i < 100; i++) {
        uint64_t x = sw_rng_next(&a);
        assert_true(x == sw_rng_next(&b));
        same += x == sw_rng_next(&c);
    }
    assert_int_equal(same, 0);
}

static void streams_depend_on_seed_and_name(void **state)
{
    (void)state;
    assert_true(sw_rng_stream(1, "source") == sw_rng_stream(1, "source"));
    assert_true(sw_rng_stream(1, "source") != sw_rng_stream(1, "schedule"));
    assert_true(sw_rng_stream(1, "source") != sw_rng_stream(2, "source"));
    assert_true(sw_rng_stream(1, "") != sw_rng_stream(2, ""));
}

static void below_stays_in_range_and_takes_each_value_about_equally(void **state)
{
    unsigned counts[3] = { 0, 0, 0 };
    sw_rng r;
    (void)state;
    sw_rng_seed(&r, 7);
    for (int i = 0; i < 30000; i++) {
        uint64_t x = sw_rng_below(&r, 3);
        assert_true(x < 3);
        counts[x]++;
    }
    for (int i = 0; i < 3; i++) assert_in_range(counts[i], 9700, 10300);
    assert_true(sw_rng_below(&r, 1) == 0);
}

static void below_is_unbiased_where_the_range_does_not_divide_two_to_the_64(void **state)
{
    /* With n = 3/4 of 2^64 the plain product would draw one third of the values twice as often. */
    const uint64_t n = 3 * ((uint64_t)1 << 62);
    unsigned thirds[3] = { 0, 0, 0 };
    sw_rng r;
    (void)state;
    sw_rng_seed(&r, 11);
    for (int i = 0; i < 30000; i++) thirds[sw_rng_below(&r, n) % 3]++;
    for (int i = 0; i < 3; i++) assert_in_range(thirds[i], 9700, 10300);
}

static void doubles_lie_in_the_unit_interval(void **state)
{
    double sum = 0;
    sw_rng r;
    (void)state;
    sw_rng_seed(&r, 5);
    for (int i = 0; i < 10000; i++) {
        double x = sw_rng_double(&r);
        assert_true(x >= 0 && x < 1);
        sum += x;
    }
    assert_true(sum > 4900 && sum < 5100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_that_of_xoshiro256_seeded_by_splitmix64),
        cmocka_unit_test(equal_seeds_give_equal_numbers_and_others_do_not),
        cmocka_unit_test(streams_depend_on_seed_and_name),
        cmocka_unit_test(below_stays_in_range_and_takes_each_value_about_equally),
        cmocka_unit_test(below_is_unbiased_where_the_range_does_not_divide_two_to_the_64),
        cmocka_unit_test(doubles_lie_in_the_unit_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
