#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/slab.h"

/* Of each kind: classes of 16 bytes, of quarters of a power of two, and beyond the slab. */
static const size_t sizes[] = { 1, 16, 17, 500, 1024, 1025, 1280, 1281, 32768, 32769, 100000, 3u << 20 };
enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

static void a_block_that_is_resized_keeps_its_bytes(void **state)
{
    sw_slab slab = { 0 };
    size_t live = sw_alloc_live();
    (void)state;
    for (int from = 0; from < SIZES; from++) {
        for (int to = 0; to < SIZES; to++) {
            size_t kept = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
            uint8_t *neighbour = sw_slab_alloc(&slab, sizes[from]), *block = sw_slab_alloc(&slab, sizes[from]);
            assert_true(neighbour != NULL && block != NULL);
            memset(neighbour, 1, sizes[from]);
            memset(block, 2, sizes[from]);
            block = sw_slab_resize(&slab, block, sizes[from], sizes[to]);
            assert_non_null(block);
            for (size_t i = 0; i < kept; i++) assert_int_equal(block[i], 2);
            memset(block, 3, sizes[to]);
            for (size_t i = 0; i < sizes[from]; i++) assert_int_equal(neighbour[i], 1);
            sw_slab_free(&slab, block, sizes[to]);
            sw_slab_free(&slab, neighbour, sizes[from]);
        }
    }
    sw_slab_deinit(&slab);
    assert_int_equal(sw_alloc_live(), live);
}

static void large_blocks_are_counted_while_they_are_held(void **state)
{
    sw_slab slab = { 0 };
    (void)state;
    void *block = sw_slab_alloc(&slab, 40000);
    assert_int_equal(slab.bytes, 40000);
    block = sw_slab_resize(&slab, block, 40000, 70000);
    assert_int_equal(slab.bytes, 70000);
    block = sw_slab_resize(&slab, block, 70000, 50000);
    assert_int_equal(slab.bytes, 50000);
    sw_slab_free(&slab, block, 50000);
    assert_int_equal(slab.bytes, 0);
    sw_slab_deinit(&slab);
}

static void a_block_stays_as_it_is_when_there_is_no_memory_for_another(void **state)
{
    (void)state;
    for (int from = 0; from < SIZES; from++) {
        sw_slab slab = { 0 };
        uint8_t *block = sw_slab_alloc(&slab, sizes[from]);
        assert_non_null(block);
        block[0] = 7;
        sw_fault_fail_after(0);
        uint8_t *larger = sw_slab_resize(&slab, block, sizes[from], 8u << 20);
        sw_fault_off();
        assert_null(larger);
        assert_int_equal(block[0], 7);
        sw_slab_free(&slab, block, sizes[from]);
        sw_slab_deinit(&slab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_is_resized_keeps_its_bytes),
        cmocka_unit_test(large_blocks_are_counted_while_they_are_held),
        cmocka_unit_test(a_block_stays_as_it_is_when_there_is_no_memory_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
