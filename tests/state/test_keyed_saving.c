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
#include "state/pack.h"
#include "state/row.h"

#define KEYS 300
#define COMPONENT 7
#define VERSION 2

typedef struct model {
    int64_t now[KEYS];     /* state of each key; 0: it has none */
    int64_t barrier[KEYS]; /* as it was at the barrier */
    int64_t saved[KEYS];   /* what the parts taken so far say */
    int64_t live[KEYS];    /* table state: what the live table holds, 0: not live */
} model;

static const sw_schema *state_schema(void)
{
    const char *names[] = { "n", "text", "f", "yes" };
    sw_type types[] = { SW_TYPE_I64, SW_TYPE_STRING, SW_TYPE_F64, SW_TYPE_BOOL };
    const sw_schema *schema = NULL;
    assert_int_equal(sw_schema_intern(names, types, 4, &schema, NULL), SW_OK);
    return schema;
}

static sw_keyed *new_tracked(const sw_schema *schema)
{
    sw_keyed *keyed = NULL;
    assert_int_equal(sw_keyed_new(&keyed, schema, NULL), SW_OK);
    sw_keyed_track(keyed, COMPONENT, VERSION);
    return keyed;
}

static sw_entry *get(sw_keyed *keyed, uint32_t key)
{
    return sw_keyed_get(keyed, sw_hash(&key, sizeof(key)), (const uint8_t *)&key, sizeof(key));
}

static sw_slot *slots(const sw_entry *entry)
{
    return (sw_slot *)sw_entry_value(entry) + 1; /* Behind one presence word. */
}

static void set_record(sw_keyed *keyed, sw_entry *entry, int64_t n)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%lld", (long long)n);
    slots(entry)[0].i = n;
    slots(entry)[2].f = (double)n / 2;
    slots(entry)[3].i = n % 2;
    *(uint64_t *)sw_entry_value(entry) |= 1 | 4 | 8;
    assert_int_equal(sw_keyed_set_string(keyed, entry, 1, text, (uint32_t)len), SW_OK);
}

/* The state { n = <number> } as table state rests. */
static uint32_t table_state(int64_t n, uint8_t *out)
{
    sw_buf buf;
    sw_buf_init(&buf);
    sw_pack_map(&buf, 1);
    sw_pack_str(&buf, "n", 1);
    sw_pack_i64(&buf, n);
    memcpy(out, buf.data, buf.size);
    uint32_t len = (uint32_t)buf.size;
    sw_buf_deinit(&buf);
    return len;
}

static void set_table(sw_keyed *keyed, sw_entry *entry, int64_t n)
{
    uint8_t bytes[32];
    uint32_t len = table_state(n, bytes);
    assert_int_equal(sw_keyed_set_bytes(keyed, entry, bytes, len), SW_OK);
}

/* Field n of a saved value. */
static int64_t saved_number(const sw_saved *saved)
{
    sw_pack_reader reader = { saved->value, saved->value + saved->value_len };
    sw_pack_item item;
    assert_int_equal(sw_pack_next(&reader, &item), SW_OK);
    assert_int_equal(item.count, 3);
    assert_int_equal(sw_pack_next(&reader, &item), SW_OK);
    assert_int_equal(item.v.i, VERSION);
    assert_int_equal(sw_pack_next(&reader, &item), SW_OK);
    assert_int_equal(sw_pack_find(reader.p, (size_t)(reader.end - reader.p), "n", 1, &item), SW_OK);
    return item.v.i;
}

static void apply_part(model *m, const sw_snapshot *part)
{
    size_t offset = 0;
    sw_saved saved;
    while (sw_snapshot_next(part, &offset, &saved)) {
        uint32_t key;
        assert_int_equal(saved.component, COMPONENT);
        assert_int_equal(saved.kind, SW_SAVED_KEYED);
        assert_int_equal(saved.key_len, sizeof(key));
        memcpy(&key, saved.key, sizeof(key));
        assert_int_equal(saved.group, sw_key_group(sw_hash(&key, sizeof(key))));
        m->saved[key] = saved.value != NULL ? saved_number(&saved) : 0;
    }
}

static int save_live(sw_keyed *keyed, sw_entry *entry, const model *m)
{
    uint8_t bytes[32];
    uint32_t key;
    memcpy(&key, sw_entry_key(keyed, entry), sizeof(key));
    uint32_t len = table_state(m->live[key], bytes);
    return sw_keyed_save_live(keyed, entry, bytes, len);
}

/* Saves a few entries; at the end takes the part and compares with the state at the barrier. */
static void save_some(sw_keyed *keyed, model *m, uint32_t max)
{
    sw_entry *live;
    sw_snapshot part;
    int rc = sw_keyed_save_some(keyed, max, &live);
    if (rc == SW_EEMPTY) assert_int_equal(save_live(keyed, live, m), SW_OK);
    if (rc != SW_ECLOSED) return;
    sw_keyed_take_part(keyed, &part);
    apply_part(m, &part);
    sw_snapshot_deinit(&part);
    assert_memory_equal(m->saved, m->barrier, sizeof(m->saved));
}

/* What the stages in Lua do: get, encode the live table first if that is due, change, and put an emptied one back. */
static void change(sw_keyed *keyed, model *m, uint32_t key, int64_t n, bool is_table, bool is_live)
{
    sw_entry *entry = get(keyed, key);
    assert_non_null(entry);
    if (entry->save_due != 0) assert_int_equal(save_live(keyed, entry, m), SW_OK);
    m->now[key] = n;
    m->live[key] = 0;
    if (n == 0) {
        entry->live = 0;
        sw_keyed_remove(keyed, entry);
    } else if (!is_table) {
        set_record(keyed, entry, n);
    } else if (is_live) {
        entry->live = key + 1;
        m->live[key] = n;
    } else {
        entry->live = 0;
        set_table(keyed, entry, n);
    }
}

static void run_model(uint64_t seed, bool is_table)
{
    sw_rng rng;
    model m;
    sw_keyed *keyed = new_tracked(is_table ? NULL : state_schema());
    memset(&m, 0, sizeof(m));
    sw_rng_seed(&rng, seed);
    for (int op = 0; op < 20000; op++) {
        uint64_t what = sw_rng_below(&rng, 100);
        uint32_t key = (uint32_t)sw_rng_below(&rng, KEYS);
        if (what < 60) {
            change(keyed, &m, key, (int64_t)sw_rng_below(&rng, 5), is_table, sw_rng_below(&rng, 2) == 0);
        } else if (sw_keyed_is_saving(keyed)) {
            save_some(keyed, &m, 1 + (uint32_t)sw_rng_below(&rng, 10));
        } else if (what < 62) {
            memcpy(m.barrier, m.now, sizeof(m.now));
            sw_keyed_begin_save(keyed);
        }
    }
    sw_keyed_free(keyed);
}

static void a_save_is_the_state_at_its_barrier_whatever_happens_meanwhile(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        run_model(seed, false);
        run_model(seed, true);
    }
}

static uint64_t saved_count(sw_keyed *keyed)
{
    sw_entry *live;
    sw_snapshot part;
    sw_keyed_begin_save(keyed);
    assert_int_equal(sw_keyed_save_some(keyed, UINT32_MAX, &live), SW_ECLOSED);
    sw_keyed_take_part(keyed, &part);
    uint64_t count = part.count;
    sw_snapshot_deinit(&part);
    return count;
}

static void what_was_touched_and_is_as_it_was_is_not_saved_again(void **state)
{
    (void)state;
    sw_keyed *keyed = new_tracked(state_schema());
    for (uint32_t key = 0; key < 100; key++) set_record(keyed, get(keyed, key), key + 1);
    assert_int_equal(saved_count(keyed), 100);
    assert_int_equal(saved_count(keyed), 0);
    for (uint32_t key = 0; key < 100; key++) set_record(keyed, get(keyed, key), key % 10 == 0 ? 1000 : key + 1);
    assert_int_equal(saved_count(keyed), 10);
    sw_keyed_remove(keyed, get(keyed, 5));
    sw_keyed_remove(keyed, get(keyed, 500)); /* never saved, so its removal says nothing */
    assert_int_equal(saved_count(keyed), 1);
    sw_keyed_free(keyed);
}

static void a_save_that_is_going_on_keeps_its_entries_from_expiring(void **state)
{
    (void)state;
    sw_keyed *keyed = new_tracked(state_schema());
    sw_entry *live;
    set_record(keyed, get(keyed, 1), 1);
    sw_keyed_begin_save(keyed);
    assert_int_equal(sw_keyed_expire(keyed, 1000, 10000, NULL, NULL), 0);
    assert_int_equal(sw_keyed_save_some(keyed, 10, &live), SW_ECLOSED);
    assert_int_equal(sw_keyed_expire(keyed, 1000, 10000, NULL, NULL), 1);
    sw_keyed_free(keyed);
}

static void restore_into(sw_keyed *to, const sw_snapshot *part)
{
    size_t offset = 0;
    sw_saved saved;
    while (sw_snapshot_next(part, &offset, &saved))
        assert_int_equal(
            sw_keyed_restore(to, saved.key, saved.key_len, saved.value, saved.value_len, saved.key[0] == 9, NULL),
            SW_OK);
}

static void restored_state_is_what_was_saved_and_counts_as_saved(void **state)
{
    (void)state;
    const sw_schema *schema = state_schema();
    sw_keyed *from = new_tracked(schema), *to = new_tracked(schema);
    sw_entry *live;
    sw_snapshot part;
    for (uint32_t key = 0; key < 50; key++) {
        sw_entry *entry = get(from, key);
        set_record(from, entry, key + 1);
        entry->changed_ms = 100 + key;
    }
    sw_keyed_begin_save(from);
    assert_int_equal(sw_keyed_save_some(from, UINT32_MAX, &live), SW_ECLOSED);
    sw_keyed_take_part(from, &part);
    restore_into(to, &part);
    for (uint32_t key = 0; key < 50; key++) {
        sw_entry *entry = sw_keyed_find(to, sw_hash(&key, sizeof(key)), (const uint8_t *)&key, sizeof(key));
        assert_non_null(entry);
        assert_int_equal(slots(entry)[0].i, key + 1);
        assert_true(slots(entry)[2].f == (key + 1) / 2.0);
        assert_int_equal(slots(entry)[3].i, (key + 1) % 2);
        assert_int_equal(entry->changed_ms, 100 + key);
    }
    assert_int_equal(saved_count(to), 1); /* key 9, which was restored as changed */
    sw_snapshot_deinit(&part);
    sw_keyed_free(from);
    sw_keyed_free(to);
}

static void damaged_values_are_refused(void **state)
{
    (void)state;
    sw_keyed *keyed = new_tracked(state_schema());
    sw_error err;
    const uint8_t no_array[] = { 0x01 }, cut[] = { 0x93, 0x01, 0x00 }, wrong[] = { 0x93, 1, 0, 0x81, 0xa1, 'n', 0xc3 },
                  unknown[] = { 0x93, 1, 0, 0x81, 0xa1, 'z', 0x01 };
    assert_int_equal(sw_keyed_restore(keyed, no_array, 1, no_array, sizeof(no_array), false, &err), SW_EFORMAT);
    assert_int_equal(sw_keyed_restore(keyed, cut, 1, cut, sizeof(cut), false, &err), SW_EFORMAT);
    assert_int_equal(sw_keyed_restore(keyed, wrong, 2, wrong, sizeof(wrong), false, &err), SW_ETYPE);
    assert_non_null(strstr(err.text, "field 'n'"));
    assert_int_equal(sw_keyed_restore(keyed, wrong, 3, unknown, sizeof(unknown), false, &err), SW_ETYPE);
    assert_non_null(strstr(err.text, "field 'z'"));
    sw_keyed_free(keyed);
}

static void saving_survives_every_allocation_failure(void **state)
{
    (void)state;
    const sw_schema *schema = state_schema(); /* Interned for good. */
    size_t live_before = sw_alloc_live();
    for (int n = 0;; n++) {
        sw_keyed *keyed = new_tracked(schema);
        sw_entry *live;
        int rc = SW_OK;
        sw_fault_fail_after(n);
        for (uint32_t key = 0; key < 200 && rc == SW_OK; key++) {
            sw_entry *entry = get(keyed, key);
            if (entry == NULL) rc = SW_ENOMEM;
            else slots(entry)[0].i = key + 1, *(uint64_t *)sw_entry_value(entry) |= 1;
        }
        if (rc == SW_OK) {
            sw_keyed_begin_save(keyed);
            rc = sw_keyed_save_some(keyed, UINT32_MAX, &live);
        }
        sw_fault_off();
        sw_keyed_free(keyed);
        if (rc == SW_ECLOSED) break;
        assert_int_equal(rc, SW_ENOMEM);
        assert_int_equal(sw_alloc_live(), live_before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_save_is_the_state_at_its_barrier_whatever_happens_meanwhile),
        cmocka_unit_test(what_was_touched_and_is_as_it_was_is_not_saved_again),
        cmocka_unit_test(a_save_that_is_going_on_keeps_its_entries_from_expiring),
        cmocka_unit_test(restored_state_is_what_was_saved_and_counts_as_saved),
        cmocka_unit_test(damaged_values_are_refused),
        cmocka_unit_test(saving_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
