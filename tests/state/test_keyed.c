#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/rng.h"
#include "state/key.h"
#include "state/keyed.h"
#include "state/row.h"

#define MODEL_KEYS 6000
#define MODEL_OPS 100000

static const sw_schema *state_schema(void)
{
    const char *names[] = { "n", "name", "note" };
    sw_type types[] = { SW_TYPE_I64, SW_TYPE_STRING, SW_TYPE_STRING };
    const sw_schema *schema = NULL;
    assert_int_equal(sw_schema_intern(names, types, 3, &schema, NULL), SW_OK);
    return schema;
}

static sw_keyed *new_keyed(const sw_schema *schema)
{
    sw_keyed *keyed = NULL;
    assert_int_equal(sw_keyed_new(&keyed, schema, NULL), SW_OK);
    return keyed;
}

static sw_entry *get(sw_keyed *keyed, const char *key)
{
    uint32_t len = (uint32_t)strlen(key);
    return sw_keyed_get(keyed, sw_hash(key, len), (const uint8_t *)key, len);
}

static sw_entry *find(const sw_keyed *keyed, const char *key)
{
    uint32_t len = (uint32_t)strlen(key);
    return sw_keyed_find(keyed, sw_hash(key, len), (const uint8_t *)key, len);
}

static const sw_slot *slots_of(const sw_entry *entry)
{
    return (const sw_slot *)sw_entry_value(entry) + 1; /* Behind one presence word. */
}

static const sw_keyed_string *string_of(const sw_entry *entry, int field)
{
    return (const sw_keyed_string *)(uintptr_t)slots_of(entry)[field].i;
}

static void a_new_key_has_a_zeroed_value_and_keeps_its_address(void **state)
{
    (void)state;
    sw_keyed *keyed = new_keyed(state_schema());
    sw_entry *entry = get(keyed, "one");
    assert_non_null(entry);
    for (int i = 0; i < 4; i++) assert_int_equal(((uint64_t *)sw_entry_value(entry))[i], 0);
    for (int i = 0; i < 100000; i++) {
        assert_non_null(sw_keyed_get(keyed, sw_hash(&i, sizeof(i)), (const uint8_t *)&i, sizeof(i)));
    }
    assert_ptr_equal(get(keyed, "one"), entry);
    assert_int_equal(sw_keyed_count(keyed), 100001);
    assert_int_equal(entry->key_len, 3);
    assert_memory_equal(sw_entry_key(keyed, entry), "one", 3);
    sw_keyed_free(keyed);
}

static void finding_makes_no_entry_and_stamps_none(void **state)
{
    (void)state;
    sw_keyed *keyed = new_keyed(NULL);
    assert_null(find(keyed, "a"));
    sw_entry *entry = get(keyed, "a");
    uint32_t first = entry->touched;
    sw_keyed_track(keyed, 0, 1);
    sw_keyed_begin_save(keyed);
    assert_ptr_equal(find(keyed, "a"), entry);
    assert_int_equal(entry->touched, first);
    get(keyed, "a");
    assert_int_equal(entry->touched, first + 1);
    assert_int_equal(sw_keyed_count(keyed), 1);
    sw_keyed_free(keyed);
}

static sw_entry *get_number(sw_keyed *keyed, int64_t number)
{
    sw_buf key;
    sw_buf_init(&key);
    assert_int_equal(sw_key_i64(&key, number), SW_OK);
    sw_entry *entry = sw_keyed_get(keyed, sw_hash(key.data, key.size), key.data, (uint32_t)key.size);
    sw_keyed_remember(keyed, (double)number, entry);
    sw_buf_deinit(&key);
    return entry;
}

static sw_entry *recent(sw_keyed *keyed, int64_t number)
{
    const sw_keyed_slot *slot = &sw_keyed_recent_of(keyed)->slots[sw_keyed_place(number)];
    return slot->number == (double)number ? slot->entry : NULL;
}

static void a_number_is_remembered_until_its_entry_is_removed(void **state)
{
    const int64_t numbers[] = { 0, 1, -1, 127, 128, -33, 70000, (int64_t)1 << 32, -((int64_t)1 << 50), 4096 };
    (void)state;
    sw_keyed *keyed = new_keyed(state_schema());
    assert_null(recent(keyed, 0));
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sw_entry *entry = get_number(keyed, numbers[i]);
        assert_ptr_equal(recent(keyed, numbers[i]), entry);
        sw_keyed_remove(keyed, entry);
        assert_null(recent(keyed, numbers[i]));
    }
    sw_keyed_free(keyed);
}

static void of_two_numbers_in_one_place_the_later_is_remembered(void **state)
{
    const int64_t other = 1 + ((int64_t)1 << 32);
    (void)state;
    sw_keyed *keyed = new_keyed(NULL);
    recent(keyed, 0);
    assert_int_equal(sw_keyed_place(1), sw_keyed_place(other));
    sw_entry *first = get_number(keyed, 1), *second = get_number(keyed, other);
    assert_null(recent(keyed, 1));
    sw_keyed_remove(keyed, first);
    assert_ptr_equal(recent(keyed, other), second);
    sw_keyed_free(keyed);
}

static void numbers_with_decimals_or_beyond_2_to_51_are_not_remembered(void **state)
{
    const double numbers[] = { 0.5, -1.5, 0x1p51, -0x1p51, 0x1p60, INFINITY };
    (void)state;
    sw_keyed *keyed = new_keyed(NULL);
    sw_entry *entry = get(keyed, "any");
    const sw_keyed_recent *slots = sw_keyed_recent_of(keyed);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) sw_keyed_remember(keyed, numbers[i], entry);
    for (int i = 0; i < SW_KEYED_RECENT; i++) assert_null(slots->slots[i].entry);
    sw_keyed_free(keyed);
}

static void nothing_is_remembered_across_the_beginning_of_a_save(void **state)
{
    (void)state;
    sw_keyed *keyed = new_keyed(NULL);
    sw_keyed_track(keyed, 0, 1);
    recent(keyed, 0);
    sw_entry *zero = get_number(keyed, 0), *five = get_number(keyed, 5);
    sw_keyed_begin_save(keyed);
    assert_null(recent(keyed, 0));
    assert_null(recent(keyed, 5));
    assert_ptr_equal(get_number(keyed, 0), zero);
    assert_ptr_equal(get_number(keyed, 5), five);
    assert_ptr_equal(recent(keyed, 0), zero);
    assert_ptr_equal(recent(keyed, 5), five);
    sw_keyed_free(keyed);
}

static void keys_of_one_hash_are_told_apart(void **state)
{
    (void)state;
    sw_keyed *keyed = new_keyed(NULL);
    sw_entry *entries[3000];
    uint8_t key[4] = { 0 };
    for (uint32_t i = 0; i < 3000; i++) {
        memcpy(key, &i, 4);
        entries[i] = sw_keyed_get(keyed, 42, key, 3 + i % 2);
    }
    assert_int_equal(sw_keyed_count(keyed), 3000);
    for (uint32_t i = 0; i < 3000; i++) {
        memcpy(key, &i, 4);
        assert_ptr_equal(sw_keyed_find(keyed, 42, key, 3 + i % 2), entries[i]);
        assert_null(sw_keyed_find(keyed, 42, key, 4 - i % 2)); /* A length that this one does not have. */
        assert_null(sw_keyed_find(keyed, 43, key, 3 + i % 2));
    }
    sw_keyed_free(keyed);
}

static int collect_order(void *arg, sw_entry *entry)
{
    sw_entry ***next = arg;
    *(*next)++ = entry;
    return 0;
}

static void entries_are_visited_by_key_bytes_then_length(void **state)
{
    (void)state;
    const char *keys[] = { "b",  "a\xff", "a", "longer than eight b", "longer than eight", "longer than eight a",
                           "aa", "\x01" };
    const char *sorted[] = {
        "\x01", "a", "aa", "a\xff", "b", "longer than eight", "longer than eight a", "longer than eight b"
    };
    sw_keyed *keyed = new_keyed(NULL);
    for (int i = 0; i < 8; i++) get(keyed, keys[i]);
    sw_entry *order[8], **next = order;
    assert_int_equal(sw_keyed_each(keyed, collect_order, &next), 0);
    for (int i = 0; i < 8; i++) assert_ptr_equal(order[i], find(keyed, sorted[i]));
    sw_keyed_free(keyed);
}

static void pages_have_every_key_once_and_in_order(void **state)
{
    char key[16];
    (void)state;
    sw_keyed *keyed = new_keyed(NULL);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%d", i * 7);
        get(keyed, key);
    }
    sw_entry *order[1000], **next = order, *page[48], *last = NULL;
    assert_int_equal(sw_keyed_each(keyed, collect_order, &next), 0);
    for (uint32_t max = 1; max <= 48; max += 47) {
        uint32_t seen = 0, count = 0;
        last = NULL;
        do {
            const uint8_t *after = last != NULL ? sw_entry_key(keyed, last) : NULL;
            assert_int_equal(sw_keyed_after(keyed, after, last != NULL ? last->key_len : 0, max, page, &count), SW_OK);
            for (uint32_t i = 0; i < count; i++) assert_ptr_equal(page[i], order[seen++]);
            if (count > 0) last = page[count - 1];
        } while (count == max);
        assert_int_equal(seen, 1000);
    }
    sw_keyed_free(keyed);
}

static void a_page_behind_a_key_that_is_not_there_begins_with_the_next(void **state)
{
    sw_entry *page[4];
    uint32_t count = 9;
    (void)state;
    sw_keyed *keyed = new_keyed(NULL);
    get(keyed, "a");
    get(keyed, "c");
    assert_int_equal(sw_keyed_after(keyed, (const uint8_t *)"b", 1, 4, page, &count), SW_OK);
    assert_int_equal(count, 1);
    assert_ptr_equal(page[0], find(keyed, "c"));
    assert_int_equal(sw_keyed_after(keyed, (const uint8_t *)"c", 1, 4, page, &count), SW_OK);
    assert_int_equal(count, 0);
    sw_keyed_free(keyed);
}

typedef struct removal {
    sw_keyed *keyed;
    int left; /* removals before it stops */
} removal;

static int remove_some(void *arg, sw_entry *entry)
{
    removal *r = arg;
    sw_keyed_remove(r->keyed, entry);
    return --r->left == 0 ? 7 : 0;
}

static void a_visit_may_remove_the_entry_and_stops_when_told(void **state)
{
    (void)state;
    removal r = { new_keyed(NULL), 2 };
    get(r.keyed, "c");
    get(r.keyed, "a");
    get(r.keyed, "b");
    assert_int_equal(sw_keyed_each(r.keyed, remove_some, &r), 7);
    assert_null(find(r.keyed, "a"));
    assert_null(find(r.keyed, "b"));
    assert_non_null(find(r.keyed, "c"));
    sw_keyed_free(r.keyed);
}

static void a_string_field_is_replaced_and_made_nil(void **state)
{
    (void)state;
    sw_keyed *keyed = new_keyed(state_schema());
    sw_entry *entry = get(keyed, "k");
    char huge[50000];
    memset(huge, 'h', sizeof(huge));
    assert_int_equal(sw_keyed_set_string(keyed, entry, 1, "bob", 3), SW_OK);
    assert_int_equal(sw_keyed_set_string(keyed, entry, 2, "", 0), SW_OK);
    assert_int_equal(*(uint64_t *)sw_entry_value(entry), 6);
    assert_int_equal(string_of(entry, 2)->len, 0);
    const uint32_t lens[] = { 3, 4, 100, 50000, 49999, 2, 1024, 1025, 30000 };
    for (int i = 0; i < 9; i++) {
        assert_int_equal(sw_keyed_set_string(keyed, entry, 1, huge, lens[i]), SW_OK);
        assert_int_equal(string_of(entry, 1)->len, lens[i]);
        assert_memory_equal(string_of(entry, 1)->bytes, huge, lens[i]);
    }
    assert_int_equal(sw_keyed_set_string(keyed, entry, 1, NULL, 0), SW_OK);
    assert_int_equal(*(uint64_t *)sw_entry_value(entry), 4);
    assert_null(string_of(entry, 1));
    sw_keyed_free(keyed);
}

static void a_string_field_can_be_set_to_a_part_of_itself(void **state)
{
    (void)state;
    sw_keyed *keyed = new_keyed(state_schema());
    sw_entry *entry = get(keyed, "k");
    assert_int_equal(sw_keyed_set_string(keyed, entry, 1, "0123456789012345678901234567890123456789", 40), SW_OK);
    assert_int_equal(sw_keyed_set_string(keyed, entry, 1, string_of(entry, 1)->bytes + 5, 35), SW_OK);
    assert_memory_equal(string_of(entry, 1)->bytes, "56789012345", 11);
    assert_int_equal(sw_keyed_set_string(keyed, entry, 1, string_of(entry, 1)->bytes + 4, 3), SW_OK);
    assert_memory_equal(string_of(entry, 1)->bytes, "901", 3);
    sw_keyed_free(keyed);
}

static void memory_of_removed_entries_is_used_again(void **state)
{
    (void)state;
    sw_keyed *keyed = new_keyed(NULL);
    uint8_t bytes[300] = { 0 };
    uint64_t memory = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        sw_entry *entry = sw_keyed_get(keyed, sw_hash_u64(i), (const uint8_t *)&i, 8);
        assert_int_equal(sw_keyed_set_bytes(keyed, entry, bytes, 1 + (uint32_t)(i % 300)), SW_OK);
        if (i == 2000) memory = sw_keyed_memory(keyed);
        if (i < 1000) continue;
        uint64_t old = i - 1000;
        sw_keyed_remove(keyed, sw_keyed_find(keyed, sw_hash_u64(old), (const uint8_t *)&old, 8));
    }
    assert_int_equal(sw_keyed_count(keyed), 1000);
    assert_true(sw_keyed_memory(keyed) <= 2 * memory);
    sw_keyed_free(keyed);
}

static void count_expired(void *arg, sw_entry *entry)
{
    assert_true(entry->changed_ms < 500);
    ++*(uint64_t *)arg;
}

static void expiry_looks_at_few_slots_a_call_and_reaches_all(void **state)
{
    (void)state;
    sw_keyed *keyed = new_keyed(NULL);
    for (int i = 0; i < 10000; i++) {
        sw_keyed_get(keyed, sw_hash(&i, 4), (const uint8_t *)&i, 4)->changed_ms = i % 1000;
    }
    uint64_t heard = 0, removed = 0;
    for (int calls = 0; removed < 5000; calls++) {
        uint64_t now = sw_keyed_expire(keyed, 500, 16, count_expired, &heard);
        assert_true(now <= 16);
        assert_true(calls < 10000);
        removed += now;
    }
    assert_int_equal(heard, 5000);
    assert_int_equal(sw_keyed_count(keyed), 5000);
    assert_int_equal(sw_keyed_expire(keyed, 500, UINT32_MAX, NULL, NULL), 0);
    assert_int_equal(sw_keyed_expire(keyed, INT64_MAX, UINT32_MAX, NULL, NULL), 5000);
    sw_keyed_free(keyed);
}

static void prefetching_known_and_unknown_keys_changes_nothing(void **state)
{
    (void)state;
    sw_keyed *keyed = new_keyed(NULL);
    static uint64_t hashes[20000];
    for (uint64_t i = 0; i < 20000; i++) hashes[i] = sw_hash_u64(i);
    hashes[19999] = 0; /* The hash that free slots have. */
    sw_keyed_prefetch(keyed, hashes, 20000);
    for (uint64_t i = 0; i < 10000; i++) sw_keyed_get(keyed, hashes[i], (const uint8_t *)&i, 8);
    sw_keyed_prefetch(keyed, hashes, 20000);
    assert_int_equal(sw_keyed_count(keyed), 10000);
    sw_keyed_free(keyed);
}

/* How a key number becomes a hash: well spread; all in few values; only the low bits differ; only the top bits
 * differ. */
static uint64_t model_hash(int style, uint64_t id)
{
    switch (style) {
    case 0: return sw_hash(&id, sizeof(id));
    case 1: return sw_hash_u64(id % 30);
    case 2: return id;
    default: return id << 51;
    }
}

typedef struct model {
    uint8_t present[MODEL_KEYS]; /* is the key in the store? */
    int64_t changed[MODEL_KEYS]; /* its changed_ms */
    uint64_t count;              /* keys present */
    sw_keyed *keyed;             /* the store under test */
} model;

static uint32_t model_key(uint64_t id, uint8_t out[64])
{
    memset(out, (int)(id % 7), 64);
    memcpy(out, &id, sizeof(id));
    return 8 + (uint32_t)(id % 50);
}

static void model_expired(void *arg, sw_entry *entry)
{
    model *m = arg;
    uint64_t id;
    memcpy(&id, sw_entry_key(m->keyed, entry), sizeof(id));
    assert_int_equal(m->present[id], 1);
    assert_int_equal(m->changed[id], entry->changed_ms);
    m->present[id] = 0;
    m->count--;
}

static void model_step(model *m, int style, sw_rng *rng, int64_t now)
{
    uint8_t key[64];
    uint64_t id = sw_rng_below(rng, MODEL_KEYS), dice = sw_rng_below(rng, 100), hash = model_hash(style, id);
    uint32_t len = model_key(id, key);
    sw_entry *entry = sw_keyed_find(m->keyed, hash, key, len);
    assert_int_equal(entry != NULL, m->present[id]);
    if (entry != NULL) {
        assert_int_equal(entry->changed_ms, m->changed[id]);
        assert_memory_equal(sw_entry_key(m->keyed, entry), key, len);
        assert_memory_equal(entry->bytes, key, len);
    }
    if (dice < 60) {
        sw_entry *got = sw_keyed_get(m->keyed, hash, key, len);
        assert_true(entry == NULL || got == entry);
        got->changed_ms = m->changed[id] = now;
        assert_int_equal(sw_keyed_set_bytes(m->keyed, got, key, len), SW_OK);
        m->count += !m->present[id];
        m->present[id] = 1;
    } else if (dice < 85 && entry != NULL) {
        sw_keyed_remove(m->keyed, entry);
        m->present[id] = 0;
        m->count--;
    } else if (dice == 99) {
        uint64_t before = m->count, removed = sw_keyed_expire(m->keyed, now - 20000, 100, model_expired, m);
        assert_int_equal(before - m->count, removed);
    }
    assert_int_equal(sw_keyed_count(m->keyed), m->count);
}

static void the_store_behaves_as_its_model(void **state)
{
    (void)state;
    for (int style = 0; style < 4; style++) {
        static model m;
        memset(&m, 0, sizeof(m));
        m.keyed = new_keyed(NULL);
        sw_rng rng;
        sw_rng_seed(&rng, 7 + (uint64_t)style);
        int ops = style == 1 ? MODEL_OPS / 10 : MODEL_OPS; /* Few hashes are slow by nature. */
        for (int i = 0; i < ops; i++) model_step(&m, style, &rng, i);
        assert_true(m.count > 1000);
        sw_keyed_free(m.keyed);
    }
}

static int fill(sw_keyed **out, sw_keyed **kept)
{
    int rc = sw_keyed_new(kept, state_schema(), NULL);
    if (rc != SW_OK) return rc;
    for (uint64_t i = 0; i < 3000; i++) {
        sw_entry *entry = sw_keyed_get(*kept, sw_hash_u64(i), (const uint8_t *)&i, 8);
        if (entry == NULL) return SW_ENOMEM;
        assert_int_equal(sw_keyed_count(*kept), i + 1);
    }
    for (uint64_t i = 0; i < 3; i++) {
        static const char text[40000];
        sw_entry *entry = sw_keyed_find(*kept, sw_hash_u64(i), (const uint8_t *)&i, 8);
        if ((rc = sw_keyed_set_string(*kept, entry, 1, text, sizeof(text))) != SW_OK) return rc;
        if ((rc = sw_keyed_set_bytes(*kept, entry, (const uint8_t *)text, sizeof(text))) != SW_OK) return rc;
    }
    sw_entry *order[3000], **next = order;
    rc = sw_keyed_each(*kept, collect_order, &next);
    if (rc == SW_OK) *out = *kept;
    return rc;
}

static void the_store_survives_every_allocation_failure(void **state)
{
    (void)state;
    state_schema(); /* Interned once and for good. */
    for (int n = 0;; n++) {
        sw_keyed *keyed = NULL, *full = NULL;
        size_t live_before = sw_alloc_live();
        sw_fault_fail_after(n);
        int rc = fill(&full, &keyed);
        sw_fault_off();
        if (keyed != NULL) { /* What was there before the failure is there still. */
            for (uint64_t i = 0; i < sw_keyed_count(keyed); i++) {
                assert_non_null(sw_keyed_find(keyed, sw_hash_u64(i), (const uint8_t *)&i, 8));
            }
        }
        sw_keyed_free(keyed);
        assert_int_equal(sw_alloc_live(), live_before);
        if (rc == SW_OK) {
            assert_true(n > 20); /* The sweep met splits and a growing directory. */
            break;
        }
        assert_int_equal(rc, SW_ENOMEM);
        assert_true(sw_fault_hit());
        assert_null(full);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_key_has_a_zeroed_value_and_keeps_its_address),
        cmocka_unit_test(finding_makes_no_entry_and_stamps_none),
        cmocka_unit_test(a_number_is_remembered_until_its_entry_is_removed),
        cmocka_unit_test(of_two_numbers_in_one_place_the_later_is_remembered),
        cmocka_unit_test(numbers_with_decimals_or_beyond_2_to_51_are_not_remembered),
        cmocka_unit_test(nothing_is_remembered_across_the_beginning_of_a_save),
        cmocka_unit_test(keys_of_one_hash_are_told_apart),
        cmocka_unit_test(entries_are_visited_by_key_bytes_then_length),
        cmocka_unit_test(pages_have_every_key_once_and_in_order),
        cmocka_unit_test(a_page_behind_a_key_that_is_not_there_begins_with_the_next),
        cmocka_unit_test(a_visit_may_remove_the_entry_and_stops_when_told),
        cmocka_unit_test(a_string_field_is_replaced_and_made_nil),
        cmocka_unit_test(a_string_field_can_be_set_to_a_part_of_itself),
        cmocka_unit_test(memory_of_removed_entries_is_used_again),
        cmocka_unit_test(expiry_looks_at_few_slots_a_call_and_reaches_all),
        cmocka_unit_test(prefetching_known_and_unknown_keys_changes_nothing),
        cmocka_unit_test(the_store_behaves_as_its_model),
        cmocka_unit_test(the_store_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
