#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "run/timer.h"

#define KEYS 40
#define TIMES 8

/* What a checkpoint would hold after all parts: by key, unnamed timers by time, and one named timer (0: none). */
typedef struct model {
    uint8_t unnamed[KEYS][TIMES];
    int64_t named[KEYS];
} model;

static const uint8_t *key_bytes(uint32_t key)
{
    static uint8_t bytes[2];
    bytes[0] = 0xcc; /* msgpack: a number from 0 to 255 */
    bytes[1] = (uint8_t)key;
    return bytes;
}

static int set(sw_timers *timers, uint32_t key, int64_t time, const char *name)
{
    const uint8_t *bytes = key_bytes(key);
    return sw_timers_set(timers, time, sw_hash(bytes, 2), bytes, 2, name, name != NULL ? (uint32_t)strlen(name) : 0);
}

static void cancel(sw_timers *timers, uint32_t key, int64_t time, const char *name)
{
    const uint8_t *bytes = key_bytes(key);
    sw_timers_cancel(timers, time, sw_hash(bytes, 2), bytes, 2, name, name != NULL ? (uint32_t)strlen(name) : 0);
}

static sw_timers *new_tracked(void)
{
    sw_timers *timers = NULL;
    assert_int_equal(sw_timers_new(&timers, NULL), SW_OK);
    sw_timers_track(timers, 3, 1, -1);
    return timers;
}

/* Keeps what parts say, as changes by identity; restores all of it and compares with the model. */
typedef struct archive {
    sw_snapshot changes; /* all parts so far */
} archive;

static void append(archive *a, const sw_snapshot *part)
{
    size_t offset = 0;
    sw_saved saved;
    while (sw_snapshot_next(part, &offset, &saved)) {
        assert_int_equal(saved.component, 3);
        assert_int_equal(saved.kind, SW_SAVED_TIMER);
        assert_int_equal(sw_snapshot_put(&a->changes, &saved), SW_OK);
    }
}

static bool is_superseded(const archive *a, size_t offset, const sw_saved *saved)
{
    sw_saved later;
    while (sw_snapshot_next(&a->changes, &offset, &later))
        if (later.key_len == saved->key_len && memcmp(later.key, saved->key, saved->key_len) == 0) return true;
    return false;
}

static void compare_restored(const archive *a, const model *expected)
{
    sw_timers *timers = new_tracked();
    model found;
    sw_timer due;
    size_t offset = 0;
    sw_saved saved;
    memset(&found, 0, sizeof(found));
    while (sw_snapshot_next(&a->changes, &offset, &saved))
        if (saved.value != NULL && !is_superseded(a, offset, &saved))
            assert_int_equal(sw_timers_restore(timers, &saved), 1);
    while (sw_timers_pop(timers, INT64_MAX, &due) == SW_OK) {
        if (due.name != NULL) found.named[due.key[1]] = due.time;
        else found.unnamed[due.key[1]][due.time - 1]++;
    }
    assert_memory_equal(&found, expected, sizeof(found));
    sw_timers_free(timers);
}

static void change(sw_timers *timers, model *now, sw_rng *rng)
{
    uint32_t key = (uint32_t)sw_rng_below(rng, KEYS);
    int64_t time = 1 + (int64_t)sw_rng_below(rng, TIMES);
    sw_timer due;
    switch (sw_rng_below(rng, 6)) {
    case 0:
    case 1:
        assert_int_equal(set(timers, key, time, NULL), SW_OK);
        now->unnamed[key][time - 1] = 1;
        break;
    case 2:
        assert_int_equal(set(timers, key, time, "t"), SW_OK);
        now->named[key] = time;
        break;
    case 3:
        cancel(timers, key, time, NULL);
        now->unnamed[key][time - 1] = 0;
        break;
    case 4:
        cancel(timers, key, 0, "t");
        now->named[key] = 0;
        break;
    default:
        if (sw_timers_pop(timers, time, &due) != SW_OK) break;
        if (due.name != NULL) now->named[due.key[1]] = 0;
        else now->unnamed[due.key[1]][due.time - 1] = 0;
    }
}

static void run_model(uint64_t seed)
{
    sw_timers *timers = new_tracked();
    sw_rng rng;
    model now, barrier;
    archive all;
    sw_rng_seed(&rng, seed);
    sw_snapshot_init(&all.changes);
    memset(&now, 0, sizeof(now));
    for (int op = 0; op < 3000; op++) {
        change(timers, &now, &rng);
        if (!sw_timers_is_saving(timers)) {
            if (sw_rng_below(&rng, 100) != 0) continue;
            barrier = now;
            sw_timers_begin_save(timers);
        }
        if (sw_timers_save_some(timers, (uint32_t)sw_rng_below(&rng, 4)) != SW_ECLOSED) continue;
        sw_snapshot part;
        sw_timers_take_part(timers, &part);
        append(&all, &part);
        sw_snapshot_deinit(&part);
        compare_restored(&all, &barrier);
    }
    sw_snapshot_deinit(&all.changes);
    sw_timers_free(timers);
}

static void saved_timers_are_those_set_at_the_barrier_whatever_happens_meanwhile(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) run_model(seed);
}

static void timers_that_came_and_went_between_barriers_leave_nothing(void **state)
{
    (void)state;
    sw_timers *timers = new_tracked();
    sw_snapshot part;
    for (uint32_t i = 0; i < 1000; i++) {
        sw_timer due;
        set(timers, i % KEYS, 5, NULL);
        sw_timers_pop(timers, 10, &due);
    }
    sw_timers_begin_save(timers);
    while (sw_timers_save_some(timers, 100) != SW_ECLOSED) continue;
    sw_timers_take_part(timers, &part);
    assert_int_equal(part.count, 0);
    sw_snapshot_deinit(&part);
    sw_timers_free(timers);
}

static void a_timer_of_the_other_kind_of_time_is_left_alone(void **state)
{
    (void)state;
    sw_timers *timers = new_tracked(), *other = NULL;
    sw_snapshot part;
    sw_saved saved;
    size_t offset = 0;
    assert_int_equal(sw_timers_new(&other, NULL), SW_OK);
    sw_timers_track(other, 3, 0, -1);
    set(timers, 1, -5, "name");
    sw_timers_begin_save(timers);
    assert_int_equal(sw_timers_save_some(timers, 10), SW_ECLOSED);
    sw_timers_take_part(timers, &part);
    assert_true(sw_snapshot_next(&part, &offset, &saved));
    assert_int_equal(sw_timers_restore(other, &saved), 0);
    assert_int_equal(sw_timers_count(other), 0);
    saved.value_len = 0;
    assert_int_equal(sw_timers_restore(timers, &saved), SW_EFORMAT);
    sw_snapshot_deinit(&part);
    sw_timers_free(timers);
    sw_timers_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_timers_are_those_set_at_the_barrier_whatever_happens_meanwhile),
        cmocka_unit_test(timers_that_came_and_went_between_barriers_leave_nothing),
        cmocka_unit_test(a_timer_of_the_other_kind_of_time_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
