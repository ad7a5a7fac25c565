#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

static void a_virtual_clock_stands_still_until_it_is_moved(void **state)
{
    sw_clock *c = sw_clock_virtual_new(1000);
    (void)state;
    assert_true(sw_clock_is_virtual(c));
    assert_int_equal(sw_clock_wall_ms(c), 1000);
    assert_int_equal(sw_clock_mono_ns(c), 0);
    sw_clock_virtual_advance(c, 250);
    assert_int_equal(sw_clock_wall_ms(c), 1250);
    assert_int_equal(sw_clock_mono_ns(c), 250000000);
    sw_clock_virtual_set(c, 4000);
    assert_int_equal(sw_clock_wall_ms(c), 4000);
    assert_int_equal(sw_clock_mono_ns(c), 3000000000);
    sw_clock_free(c);
}

static void a_virtual_clock_may_start_before_the_epoch(void **state)
{
    sw_clock *c = sw_clock_virtual_new(-500);
    (void)state;
    sw_clock_virtual_advance(c, 499);
    assert_int_equal(sw_clock_wall_ms(c), -1);
    assert_int_equal(sw_clock_mono_ns(c), 499000000);
    sw_clock_free(c);
}

static void the_real_clock_is_of_this_century_and_never_goes_back(void **state)
{
    sw_clock *c = sw_clock_real();
    (void)state;
    assert_false(sw_clock_is_virtual(c));
    assert_true(sw_clock_wall_ms(c) > 1600000000000);
    int64_t before = sw_clock_mono_ns(c);
    assert_true(sw_clock_mono_ns(c) >= before);
    sw_clock_free(c);
    assert_true(sw_clock_mono_ns(sw_clock_real()) >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_virtual_clock_stands_still_until_it_is_moved),
        cmocka_unit_test(a_virtual_clock_may_start_before_the_epoch),
        cmocka_unit_test(the_real_clock_is_of_this_century_and_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
