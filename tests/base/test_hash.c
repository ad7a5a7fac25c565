#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

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

static void a_hash_of_128_bits_does_not_depend_on_where_the_bytes_are(void **state)
{
    static uint8_t bytes[3000], moved[3000 + 64];
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)sw_hash_u64(i);
    for (size_t size = 0; size < sizeof(bytes); size += 1 + size / 8) {
        sw_hash128 whole = sw_hash128_of(bytes, size);
        for (size_t at = 0; at < 64; at += 7) {
            sw_hasher hasher;
            memcpy(moved + at, bytes, size);
            sw_hash128 elsewhere = sw_hash128_of(moved + at, size);
            assert_true(elsewhere.low == whole.low && elsewhere.high == whole.high);
            sw_hasher_init(&hasher);
            sw_hasher_add(&hasher, moved + at, size / 3);
            sw_hasher_add(&hasher, moved + at + size / 3, size - size / 3);
            sw_hash128 pieces = sw_hasher_sum(&hasher);
            assert_true(pieces.low == whole.low && pieces.high == whole.high);
        }
    }
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
        cmocka_unit_test(a_hash_of_128_bits_does_not_depend_on_where_the_bytes_are),
        cmocka_unit_test(one_changed_bit_changes_about_half_of_the_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
