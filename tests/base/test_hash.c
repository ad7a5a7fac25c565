#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"

static void the_hash_of_bytes_is_that_of_xxh3(void **state)
{
    (void)state;
    /* Stored key groups depend on these. */
    assert_true(sw_hash(NULL, 0) == 0x2d06800538d394c2u);
    assert_true(sw_hash("a", 1) == 0xe6c632b61e964e1fu);
    assert_true(sw_hash("abc", 3) == 0x78af5f94892f3950u);
}

static void the_hash_of_an_integer_is_the_step_of_splitmix64(void **state)
{
    (void)state;
    assert_true(sw_hash_u64(0) == 0xe220a8397b1dcdafu);
    assert_true(sw_hash_u64(1) == 0x910a2dec89025cc1u);
}

static void a_hash_of_128_bits_is_the_same_in_pieces(void **state)
{
    (void)state;
    sw_hasher hasher;
    sw_hasher_init(&hasher);
    sw_hasher_add(&hasher, "ab", 2);
    sw_hasher_add(&hasher, "c", 1);
    sw_hash128 pieces = sw_hasher_sum(&hasher), whole = sw_hash128_of("abc", 3);
    assert_true(whole.high == 0x06b05ab6733a6185u && whole.low == 0x78af5f94892f3950u); /* Checkpoints depend on it. */
    assert_true(pieces.high == whole.high && pieces.low == whole.low);
}

static void one_changed_bit_changes_about_half_of_the_hash(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        uint64_t difference = sw_hash_u64(12345) ^ sw_hash_u64(12345 ^ ((uint64_t)1 << bit));
        assert_in_range(__builtin_popcountll(difference), 16, 48);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_of_bytes_is_that_of_xxh3),
        cmocka_unit_test(the_hash_of_an_integer_is_the_step_of_splitmix64),
        cmocka_unit_test(a_hash_of_128_bits_is_the_same_in_pieces),
        cmocka_unit_test(one_changed_bit_changes_about_half_of_the_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
