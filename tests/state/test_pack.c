#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <msgpack.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/rng.h"
#include "state/pack.h"

/* The same value by both writers. */
typedef struct pair {
    sw_buf ours;            /* by sw_pack_* */
    msgpack_sbuffer theirs; /* by msgpack-c */
    msgpack_packer packer;  /* onto theirs */
} pair;

static void pair_init(pair *p)
{
    sw_buf_init(&p->ours);
    msgpack_sbuffer_init(&p->theirs);
    msgpack_packer_init(&p->packer, &p->theirs, msgpack_sbuffer_write);
}

static void pair_deinit(pair *p)
{
    sw_buf_deinit(&p->ours);
    msgpack_sbuffer_destroy(&p->theirs);
}

static void assert_pair_equal(const pair *p)
{
    assert_int_equal(p->ours.size, p->theirs.size);
    assert_memory_equal(p->ours.data, p->theirs.data, p->ours.size);
}

static void both_i64(pair *p, int64_t value)
{
    assert_int_equal(sw_pack_i64(&p->ours, value), SW_OK);
    msgpack_pack_int64(&p->packer, value);
}

static void both_u64(pair *p, uint64_t value)
{
    assert_int_equal(sw_pack_u64(&p->ours, value), SW_OK);
    msgpack_pack_uint64(&p->packer, value);
}

static void both_str(pair *p, const char *bytes, uint32_t len)
{
    assert_int_equal(sw_pack_str(&p->ours, bytes, len), SW_OK);
    msgpack_pack_str(&p->packer, len);
    msgpack_pack_str_body(&p->packer, bytes, len);
}

static double random_double(sw_rng *rng)
{
    uint64_t bits = sw_rng_next(rng);
    double value;
    memcpy(&value, &bits, 8);
    return isnan(value) ? 0.5 : value; /* What a NaN's payload becomes is up to the processor. */
}

static void both_random(pair *p, sw_rng *rng, int depth)
{
    static const char text[70000];
    uint32_t count = (uint32_t)sw_rng_below(rng, sw_rng_below(rng, 20) == 0 ? 40 : 5);
    uint64_t bits = sw_rng_next(rng) >> sw_rng_below(rng, 64);
    switch (sw_rng_below(rng, depth > 0 ? 9 : 7)) {
    case 0:
        assert_int_equal(sw_pack_nil(&p->ours), SW_OK);
        msgpack_pack_nil(&p->packer);
        break;
    case 1:
        assert_int_equal(sw_pack_bool(&p->ours, 7), SW_OK);
        msgpack_pack_true(&p->packer);
        break;
    case 2:
        assert_int_equal(sw_pack_bool(&p->ours, 0), SW_OK);
        msgpack_pack_false(&p->packer);
        break;
    case 3: both_i64(p, bits % 2 != 0 ? (int64_t)~bits : (int64_t)bits); break;
    case 4: both_u64(p, bits); break;
    case 5: {
        double value = random_double(rng);
        assert_int_equal(sw_pack_f64(&p->ours, value), SW_OK);
        msgpack_pack_double(&p->packer, value);
        break;
    }
    case 6: both_str(p, text, (uint32_t)sw_rng_below(rng, sw_rng_below(rng, 50) == 0 ? 70000 : 300)); break;
    case 7:
        assert_int_equal(sw_pack_array(&p->ours, count), SW_OK);
        msgpack_pack_array(&p->packer, count);
        for (uint32_t i = 0; i < count; i++) both_random(p, rng, depth - 1);
        break;
    default:
        assert_int_equal(sw_pack_map(&p->ours, count), SW_OK);
        msgpack_pack_map(&p->packer, count);
        for (uint32_t i = 0; i < 2 * count; i++) both_random(p, rng, depth - 1);
    }
}

static void random_values_have_the_bytes_of_msgpack_c_and_pass_the_check(void **state)
{
    (void)state;
    sw_rng rng;
    sw_rng_seed(&rng, 11);
    for (int i = 0; i < 3000; i++) {
        pair p;
        pair_init(&p);
        both_random(&p, &rng, 4);
        assert_pair_equal(&p);
        assert_int_equal(sw_pack_check(p.ours.data, p.ours.size, 4, NULL), SW_OK);
        sw_pack_reader reader = { p.ours.data, p.ours.data + p.ours.size };
        assert_int_equal(sw_pack_skip(&reader), SW_OK);
        assert_ptr_equal(reader.p, reader.end);
        assert_int_equal(sw_pack_skip(&reader), SW_EEMPTY);
        pair_deinit(&p);
    }
}

static const int64_t edges[] = { 0,     1,          127,        128,       255,         256,         65535,
                                 65536, 4294967295, 4294967296, INT64_MAX, -1,          -32,         -33,
                                 -128,  -129,       -32768,     -32769,    -2147483648, -2147483649, INT64_MIN };
#define EDGES (sizeof(edges) / sizeof(edges[0]))

static void integers_at_every_edge_are_shortest_and_read_back(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    for (size_t i = 0; i < EDGES; i++) both_i64(&p, edges[i]);
    both_u64(&p, (uint64_t)INT64_MAX + 1);
    assert_pair_equal(&p);
    sw_pack_reader reader = { p.ours.data, p.ours.data + p.ours.size };
    sw_pack_item item;
    for (size_t i = 0; i < EDGES; i++) {
        assert_int_equal(sw_pack_next(&reader, &item), SW_OK);
        assert_int_equal(item.type, SW_PACK_I64);
        assert_true(item.v.i == edges[i]);
    }
    assert_int_equal(sw_pack_next(&reader, &item), SW_OK);
    assert_int_equal(item.type, SW_PACK_U64);
    assert_true(item.v.u == (uint64_t)INT64_MAX + 1);
    assert_int_equal(sw_pack_next(&reader, &item), SW_EEMPTY);
    pair_deinit(&p);
}

static void heads_at_every_edge_have_the_bytes_of_msgpack_c(void **state)
{
    (void)state;
    static const char text[65536];
    const uint32_t counts[] = { 0, 15, 16, 31, 32, 255, 256, 65535, 65536 };
    for (int i = 0; i < 9; i++) {
        pair p;
        pair_init(&p);
        assert_int_equal(sw_pack_array(&p.ours, counts[i]), SW_OK);
        msgpack_pack_array(&p.packer, counts[i]);
        assert_int_equal(sw_pack_map(&p.ours, counts[i]), SW_OK);
        msgpack_pack_map(&p.packer, counts[i]);
        both_str(&p, text, counts[i]);
        assert_pair_equal(&p);
        pair_deinit(&p);
    }
}

static void float32_binary_and_long_forms_are_read(void **state)
{
    (void)state;
    const uint8_t bytes[] = { 0xca, 0x3f, 0xc0, 0, 0, 0xc4, 2, 'a', 0, 0xd3, 0, 0, 0, 0, 0, 0, 0, 5, 0xc3 };
    sw_pack_reader reader = { bytes, bytes + sizeof(bytes) };
    sw_pack_item item;
    assert_int_equal(sw_pack_next(&reader, &item), SW_OK);
    assert_int_equal(item.type, SW_PACK_F64);
    assert_true(item.v.f == 1.5);
    assert_int_equal(sw_pack_next(&reader, &item), SW_OK);
    assert_int_equal(item.type, SW_PACK_BIN);
    assert_int_equal(item.count, 2);
    assert_memory_equal(item.v.bytes, "a\0", 2);
    assert_int_equal(sw_pack_next(&reader, &item), SW_OK);
    assert_int_equal(item.v.i, 5);
    assert_int_equal(sw_pack_next(&reader, &item), SW_OK);
    assert_int_equal(item.type, SW_PACK_BOOL);
    assert_int_equal(item.v.i, 1);
}

/* { "a": [1, -2, "text", 300 bytes of text], "b": { "c": nil }, "d": 1.5 } */
static void write_sample(sw_buf *out)
{
    char text[300] = { 0 };
    sw_pack_map(out, 3);
    sw_pack_str(out, "a", 1);
    sw_pack_array(out, 4);
    sw_pack_i64(out, 1);
    sw_pack_i64(out, -200);
    sw_pack_str(out, "text", 4);
    sw_pack_str(out, text, sizeof(text));
    sw_pack_str(out, "b", 1);
    sw_pack_map(out, 1);
    sw_pack_str(out, "c", 1);
    sw_pack_nil(out);
    sw_pack_str(out, "d", 1);
    assert_int_equal(sw_pack_f64(out, 1.5), SW_OK);
}

static void a_value_cut_anywhere_or_followed_by_bytes_is_malformed(void **state)
{
    (void)state;
    sw_buf whole = { 0 };
    write_sample(&whole);
    assert_int_equal(sw_pack_check(whole.data, whole.size, SW_PACK_DEPTH, NULL), SW_OK);
    for (size_t len = 0; len < whole.size; len++) {
        uint8_t *cut = malloc(len > 0 ? len : 1); /* A block of its own: reading behind it is noticed. */
        sw_pack_item item;
        memcpy(cut, whole.data, len);
        sw_pack_reader reader = { cut, cut + len };
        assert_int_equal(sw_pack_check(cut, len, SW_PACK_DEPTH, NULL), SW_EFORMAT);
        assert_int_equal(sw_pack_skip(&reader), len == 0 ? SW_EEMPTY : SW_EFORMAT);
        assert_ptr_equal(reader.p, cut);
        assert_int_not_equal(sw_pack_find(cut, len, "d", 1, &item), SW_OK);
        free(cut);
    }
    sw_error err;
    sw_pack_nil(&whole);
    assert_int_equal(sw_pack_check(whole.data, whole.size, SW_PACK_DEPTH, &err), SW_EFORMAT);
    assert_string_equal(err.text, "msgpack: 1 bytes behind the value");
    sw_buf_deinit(&whole);
}

static void random_bytes_are_refused_or_sound(void **state)
{
    (void)state;
    sw_rng rng;
    sw_rng_seed(&rng, 5);
    int sound = 0;
    for (int i = 0; i < 100000; i++) {
        size_t len = 1 + sw_rng_below(&rng, 12);
        uint8_t *bytes = malloc(len);
        for (size_t k = 0; k < len; k++) bytes[k] = (uint8_t)sw_rng_next(&rng);
        sw_pack_reader reader = { bytes, bytes + len };
        int rc = sw_pack_check(bytes, len, 12, NULL), skipped = sw_pack_skip(&reader);
        assert_int_equal(rc == SW_OK, skipped == SW_OK && reader.p == reader.end);
        sound += rc == SW_OK;
        free(bytes);
    }
    assert_true(sound > 100);
}

static void a_hostile_head_costs_nothing(void **state)
{
    (void)state;
    const uint8_t heads[][6] = { { 0xdd, 0xff, 0xff, 0xff, 0xff, 0 }, { 0xdf, 0xff, 0xff, 0xff, 0xff, 0 },
                                 { 0xdb, 0xff, 0xff, 0xff, 0xff, 0 }, { 0xc6, 0xff, 0xff, 0xff, 0xff, 0 },
                                 { 0xdf, 0x80, 0, 0, 0, 0 },          { 0x93, 0x93, 0x93, 1, 1, 1 } };
    for (int i = 0; i < 6; i++) {
        sw_pack_reader reader = { heads[i], heads[i] + 6 };
        assert_int_equal(sw_pack_check(heads[i], 6, SW_PACK_DEPTH, NULL), SW_EFORMAT);
        assert_int_equal(sw_pack_skip(&reader), SW_EFORMAT);
    }
}

static void extensions_and_the_unused_tag_are_refused(void **state)
{
    (void)state;
    const uint8_t tags[] = { 0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8 };
    sw_error err;
    for (size_t i = 0; i < sizeof(tags); i++) {
        uint8_t bytes[20] = { 0x91, tags[i], 1 };
        assert_int_equal(sw_pack_check(bytes, 20, SW_PACK_DEPTH, &err), SW_EFORMAT);
        assert_string_equal(err.text, "msgpack: malformed value at byte 1");
    }
}

static void depth_is_bounded_exactly(void **state)
{
    (void)state;
    uint8_t bytes[30];
    memset(bytes, 0x91, sizeof(bytes)); /* Arrays of one element ... */
    bytes[SW_PACK_DEPTH] = 0x05;        /* ... around a number. */
    assert_int_equal(sw_pack_check(bytes, SW_PACK_DEPTH + 1, SW_PACK_DEPTH, NULL), SW_OK);
    assert_int_equal(sw_pack_check(bytes, SW_PACK_DEPTH + 1, SW_PACK_DEPTH - 1, NULL), SW_ELIMIT);
    const uint8_t wide[] = { 0x93, 0x90, 0x91, 0x90, 0x80 }; /* Siblings do not add up. */
    assert_int_equal(sw_pack_check(wide, 5, 3, NULL), SW_OK);
    assert_int_equal(sw_pack_check(wide, 5, 2, NULL), SW_ELIMIT);
    assert_int_equal(sw_pack_check(bytes + SW_PACK_DEPTH, 1, 0, NULL), SW_OK);
}

static void a_value_is_found_by_its_name_at_the_top_level_only(void **state)
{
    (void)state;
    sw_buf map = { 0 };
    sw_pack_item item;
    write_sample(&map);
    assert_int_equal(sw_pack_find(map.data, map.size, "d", 1, &item), SW_OK);
    assert_true(item.type == SW_PACK_F64 && item.v.f == 1.5);
    assert_int_equal(sw_pack_find(map.data, map.size, "a", 1, &item), SW_OK);
    assert_int_equal(item.type, SW_PACK_ARRAY);
    assert_int_equal(item.count, 4);
    assert_int_equal(item.v.bytes[0], 1);
    assert_int_equal(sw_pack_find(map.data, map.size, "c", 1, &item), SW_ENOTFOUND);
    assert_int_equal(sw_pack_find(map.data, map.size, "", 0, &item), SW_ENOTFOUND);
    assert_int_equal(sw_pack_find((const uint8_t *)"\x05", 1, "a", 1, &item), SW_EFORMAT);
    sw_buf_deinit(&map);
}

static void a_writer_out_of_memory_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    static const char text[5000];
    for (int n = 0; n < 2; n++) {
        sw_buf out = { 0 };
        sw_fault_fail_after(n);
        int rc = sw_pack_str(&out, text, sizeof(text));
        sw_fault_off();
        assert_int_equal(rc, SW_ENOMEM);
        assert_int_equal(out.size, 0);
        sw_buf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_values_have_the_bytes_of_msgpack_c_and_pass_the_check),
        cmocka_unit_test(integers_at_every_edge_are_shortest_and_read_back),
        cmocka_unit_test(heads_at_every_edge_have_the_bytes_of_msgpack_c),
        cmocka_unit_test(float32_binary_and_long_forms_are_read),
        cmocka_unit_test(a_value_cut_anywhere_or_followed_by_bytes_is_malformed),
        cmocka_unit_test(random_bytes_are_refused_or_sound),
        cmocka_unit_test(a_hostile_head_costs_nothing),
        cmocka_unit_test(extensions_and_the_unused_tag_are_refused),
        cmocka_unit_test(depth_is_bounded_exactly),
        cmocka_unit_test(a_value_is_found_by_its_name_at_the_top_level_only),
        cmocka_unit_test(a_writer_out_of_memory_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
