#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"

static void copies_of_text_are_terminated_and_stop_where_told(void **state)
{
    char *whole = sw_strdup("stream");
    char *cut = sw_strndup("stream", 3);
    char *shorter = sw_strndup("ab", 10);
    (void)state;
    assert_string_equal(whole, "stream");
    assert_string_equal(cut, "str");
    assert_string_equal(shorter, "ab");
    sw_free(whole);
    sw_free(cut);
    sw_free(shorter);
}

static void calloc_zeroes(void **state)
{
    static const char zeroes[64];
    char *p = sw_calloc(4, 16);
    (void)state;
    assert_memory_equal(p, zeroes, sizeof(zeroes));
    sw_free(p);
}

#ifdef SW_FAULT /* Elsewhere there are no faults and nothing is counted. */

static void live_counts_blocks_until_they_are_freed(void **state)
{
    (void)state;
    size_t before = sw_alloc_live();
    void *a = sw_alloc(0);
    char *b = sw_strdup("x");
    void *c = sw_realloc(NULL, 8);
    assert_int_equal(sw_alloc_live(), before + 3);
    c = sw_realloc(c, 4096);
    assert_int_equal(sw_alloc_live(), before + 3);
    sw_free(NULL);
    sw_free(a);
    sw_free(b);
    sw_free(c);
    assert_int_equal(sw_alloc_live(), before);
}

static void the_chosen_allocation_fails_and_no_other(void **state)
{
    void *p[4];
    (void)state;
    sw_fault_fail_after(2);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sw_fault_hit(), i > 2);
        p[i] = sw_alloc(8);
    }
    assert_non_null(p[0]);
    assert_non_null(p[1]);
    assert_null(p[2]);
    assert_non_null(p[3]);
    for (int i = 0; i < 4; i++) sw_free(p[i]);
}

static void switching_faults_off_keeps_what_was_hit(void **state)
{
    (void)state;
    sw_fault_fail_after(0);
    assert_null(sw_strdup("x"));
    sw_fault_off();
    assert_true(sw_fault_hit());
    sw_fault_fail_after(5);
    assert_false(sw_fault_hit());
    sw_fault_off();
}

static void a_failed_realloc_leaves_the_block_as_it_was(void **state)
{
    (void)state;
    char *p = sw_strdup("kept");
    sw_fault_fail_after(0);
    assert_null(sw_realloc(p, 1000));
    sw_fault_off();
    assert_string_equal(p, "kept");
    sw_free(p);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_of_text_are_terminated_and_stop_where_told),
        cmocka_unit_test(calloc_zeroes),
#ifdef SW_FAULT
        cmocka_unit_test(live_counts_blocks_until_they_are_freed),
        cmocka_unit_test(the_chosen_allocation_fails_and_no_other),
        cmocka_unit_test(switching_faults_off_keeps_what_was_hit),
        cmocka_unit_test(a_failed_realloc_leaves_the_block_as_it_was),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
