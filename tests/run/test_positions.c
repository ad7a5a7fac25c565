#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/fault.h"
#include "run/positions.h"

static void add(sw_positions *positions, uint32_t checkpoint)
{
    sw_buf bytes = { 0 };
    assert_int_equal(sw_buf_printf(&bytes, "at %u", checkpoint), SW_OK);
    assert_int_equal(sw_positions_add(positions, checkpoint, &bytes), SW_OK);
    sw_buf_deinit(&bytes);
}

static void is_released(sw_positions *positions, const char *expected)
{
    const sw_buf *got = sw_positions_released(positions);
    if (expected == NULL) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_int_equal(got->size, 4);
    assert_memory_equal(got->data, expected, 4);
}

static void the_oldest_position_that_can_be_asked_for_is_released_once(void **state)
{
    (void)state;
    sw_positions positions = { 0 };
    is_released(&positions, NULL);
    for (uint32_t id = 1; id <= 6; id++) add(&positions, id);
    is_released(&positions, NULL);
    positions.oldest = 1;
    is_released(&positions, "at 1");
    is_released(&positions, NULL);
    positions.oldest = 5;
    is_released(&positions, "at 5");
    assert_int_equal(positions.count, 2);
    add(&positions, 9);
    positions.oldest = 9;
    is_released(&positions, "at 9");
    sw_positions_deinit(&positions);
}

static void failed_checkpoints_are_passed_over(void **state)
{
    (void)state;
    sw_positions positions = { 0 };
    for (uint32_t id = 6; id <= 9; id++) add(&positions, id);
    positions.oldest = 5; /* Of an earlier run. */
    is_released(&positions, NULL);
    assert_int_equal(positions.count, 4);
    positions.oldest = 8;
    is_released(&positions, "at 8");
    assert_int_equal(positions.count, 2);
    sw_positions_deinit(&positions);
}

static void the_position_of_a_source_that_has_ended_is_that_of_all_that_follows(void **state)
{
    (void)state;
    sw_positions positions = { 0 };
    add(&positions, 6);
    add(&positions, 7);
    add(&positions, 0);
    positions.oldest = 7;
    is_released(&positions, "at 7");
    positions.oldest = 20;
    is_released(&positions, "at 0");
    positions.oldest = 21;
    is_released(&positions, "at 0");
    sw_positions_deinit(&positions);
    add(&positions, 0); /* It ended before the first barrier. */
    positions.oldest = 30;
    is_released(&positions, "at 0");
    sw_positions_deinit(&positions);
}

static void adding_survives_every_failed_allocation(void **state)
{
    (void)state;
    sw_buf bytes = { 0 };
    assert_int_equal(sw_buf_append_str(&bytes, "here"), SW_OK);
    for (long n = 0;; n++) {
        sw_positions positions = { 0 };
        size_t live = sw_alloc_live();
        sw_fault_fail_after(n);
        int rc = SW_OK;
        for (uint32_t id = 1; id < 10 && rc == SW_OK; id++) rc = sw_positions_add(&positions, id, &bytes);
        bool is_hit = sw_fault_hit();
        sw_fault_off();
        sw_positions_deinit(&positions);
        assert_int_equal(sw_alloc_live(), live);
        assert_int_equal(rc, is_hit ? SW_ENOMEM : SW_OK);
        if (!is_hit) break;
    }
    sw_buf_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_position_that_can_be_asked_for_is_released_once),
        cmocka_unit_test(failed_checkpoints_are_passed_over),
        cmocka_unit_test(the_position_of_a_source_that_has_ended_is_that_of_all_that_follows),
        cmocka_unit_test(adding_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
