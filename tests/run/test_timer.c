#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/rng.h"
#include "run/timer.h"

static sw_timers *open_timers(void)
{
    sw_timers *timers = NULL;
    assert_int_equal(sw_timers_new(&timers, NULL), SW_OK);
    return timers;
}

static int set(sw_timers *timers, int64_t time, const char *key, const char *name)
{
    uint32_t key_len = (uint32_t)strlen(key), name_len = name != NULL ? (uint32_t)strlen(name) : 0;
    return sw_timers_set(timers, time, sw_hash(key, key_len), (const uint8_t *)key, key_len, name, name_len);
}

static int cancel(sw_timers *timers, int64_t time, const char *key, const char *name)
{
    uint32_t key_len = (uint32_t)strlen(key), name_len = name != NULL ? (uint32_t)strlen(name) : 0;
    return sw_timers_cancel(timers, time, sw_hash(key, key_len), (const uint8_t *)key, key_len, name, name_len);
}

static void assert_due(const sw_timer *due, int64_t time, const char *key, const char *name)
{
    assert_int_equal(due->time, time);
    assert_int_equal(due->key_len, strlen(key));
    assert_memory_equal(due->key, key, due->key_len);
    assert_int_equal(due->hash, sw_hash(key, due->key_len));
    assert_int_equal(due->name == NULL, name == NULL);
    if (name == NULL) return;
    assert_int_equal(due->name_len, strlen(name));
    assert_memory_equal(due->name, name, due->name_len);
}

static void assert_next_due(sw_timers *timers, int64_t time, const char *key, const char *name)
{
    sw_timer due;
    assert_int_equal(sw_timers_pop(timers, INT64_MAX, &due), SW_OK);
    assert_due(&due, time, key, name);
}

static void assert_empty(sw_timers *timers)
{
    sw_timer due;
    assert_int_equal(sw_timers_pop(timers, INT64_MAX, &due), SW_EEMPTY);
    assert_int_equal(sw_timers_count(timers), 0);
    assert_int_equal(sw_timers_next(timers), INT64_MAX);
}

static void timers_come_out_by_time_and_only_up_to_the_given_time(void **state)
{
    sw_timers *timers = open_timers();
    sw_timer due;
    (void)state;
    assert_empty(timers);
    set(timers, 30, "a", NULL);
    set(timers, INT64_MIN, "a", NULL);
    set(timers, 10, "a", NULL);
    set(timers, INT64_MAX, "a", NULL);
    assert_int_equal(sw_timers_next(timers), INT64_MIN);
    assert_int_equal(sw_timers_pop(timers, 9, &due), SW_OK);
    assert_int_equal(sw_timers_next(timers), 10);
    assert_int_equal(sw_timers_pop(timers, 9, &due), SW_EEMPTY);
    assert_int_equal(sw_timers_pop(timers, 10, &due), SW_OK);
    assert_due(&due, 10, "a", NULL);
    assert_next_due(timers, 30, "a", NULL);
    assert_next_due(timers, INT64_MAX, "a", NULL);
    assert_empty(timers);
    sw_timers_free(timers);
}

static void timers_of_one_time_come_out_by_key_bytes_then_by_name_those_without_first(void **state)
{
    static const char *const keys[] = { "a", "aa", "b", "\xff" };
    static const char *const names[] = { NULL, "", "x", "xx", "y", "\xff" };
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        sw_timers *timers = open_timers();
        sw_rng rng;
        sw_rng_seed(&rng, seed);
        for (int i = 0; i < 1000; i++) set(timers, 5, keys[sw_rng_below(&rng, 4)], names[sw_rng_below(&rng, 6)]);
        assert_int_equal(sw_timers_count(timers), 24);
        for (int k = 0; k < 4; k++)
            for (int n = 0; n < 6; n++) assert_next_due(timers, 5, keys[k], names[n]);
        assert_empty(timers);
        sw_timers_free(timers);
    }
}

static void a_timer_without_a_name_set_twice_to_one_time_fires_once(void **state)
{
    sw_timers *timers = open_timers();
    (void)state;
    set(timers, 10, "a", NULL);
    set(timers, 10, "a", NULL);
    set(timers, 11, "a", NULL);
    set(timers, 10, "b", NULL);
    assert_int_equal(sw_timers_count(timers), 3);
    assert_int_equal(sw_timers_seq(timers), 3);
    assert_next_due(timers, 10, "a", NULL);
    assert_next_due(timers, 10, "b", NULL);
    assert_next_due(timers, 11, "a", NULL);
    assert_empty(timers);
    sw_timers_free(timers);
}

static void a_timer_with_a_name_set_again_moves(void **state)
{
    sw_timers *timers = open_timers();
    (void)state;
    set(timers, 10, "a", "t");
    set(timers, 20, "a", "u");
    set(timers, 15, "b", "t");
    set(timers, 30, "a", "t"); /* Later, */
    set(timers, 5, "a", "u");  /* and earlier. */
    assert_int_equal(sw_timers_count(timers), 3);
    assert_next_due(timers, 5, "a", "u");
    assert_next_due(timers, 15, "b", "t");
    assert_next_due(timers, 30, "a", "t");
    assert_empty(timers);
    sw_timers_free(timers);
}

static void seq_tells_timers_set_or_moved_meanwhile_from_those_left_alone(void **state)
{
    sw_timers *timers = open_timers();
    sw_timer due;
    (void)state;
    set(timers, 10, "a", NULL);
    set(timers, 20, "a", "same");
    set(timers, 30, "a", "moved");
    uint64_t before = sw_timers_seq(timers);
    set(timers, 10, "a", NULL);
    set(timers, 20, "a", "same");
    set(timers, 31, "a", "moved");
    set(timers, 40, "a", NULL);
    static const bool is_new[] = { false, false, true, true };
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sw_timers_pop(timers, INT64_MAX, &due), SW_OK);
        assert_int_equal(due.seq >= before, is_new[i]);
    }
    sw_timers_free(timers);
}

static void cancelling_by_name_or_time_removes_just_that_timer(void **state)
{
    sw_timers *timers = open_timers();
    (void)state;
    assert_int_equal(cancel(timers, 10, "a", NULL), 0);
    set(timers, 10, "a", NULL);
    set(timers, 10, "a", "t");
    set(timers, 10, "b", NULL);
    set(timers, 20, "a", NULL);
    set(timers, 30, "a", "");
    assert_int_equal(cancel(timers, 11, "a", NULL), 0);
    assert_int_equal(cancel(timers, 10, "a", "u"), 0);
    assert_int_equal(cancel(timers, 30, "a", NULL), 0); /* That one has a name, of no bytes. */
    assert_int_equal(cancel(timers, 10, "a", NULL), 1);
    assert_int_equal(cancel(timers, 10, "a", NULL), 0);
    assert_int_equal(cancel(timers, 999, "a", "t"), 1); /* The name decides, not the time. */
    assert_next_due(timers, 10, "b", NULL);
    assert_next_due(timers, 20, "a", NULL);
    assert_int_equal(cancel(timers, 0, "a", ""), 1);
    assert_empty(timers);
    sw_timers_free(timers);
}

static void names_of_255_bytes_fit_and_longer_ones_are_refused(void **state)
{
    sw_timers *timers = open_timers();
    char name[257];
    (void)state;
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    assert_int_equal(set(timers, 1, "a", name), SW_EINVAL);
    assert_int_equal(cancel(timers, 1, "a", name), 0);
    assert_int_equal(sw_timers_count(timers), 0);
    name[255] = '\0';
    assert_int_equal(set(timers, 1, "a", name), SW_OK);
    assert_next_due(timers, 1, "a", name);
    sw_timers_free(timers);
}

static void the_timer_lent_may_be_named_in_the_next_call(void **state)
{
    sw_timers *timers = open_timers();
    sw_timer due;
    (void)state;
    set(timers, 1, "some key", "some name");
    for (int64_t time = 1; time < 100; time++) {
        assert_int_equal(sw_timers_pop(timers, time, &due), SW_OK);
        assert_due(&due, time, "some key", "some name");
        assert_int_equal(sw_timers_set(timers, time + 1, due.hash, due.key, due.key_len, due.name, due.name_len),
                         SW_OK);
    }
    assert_int_equal(sw_timers_count(timers), 1);
    sw_timers_free(timers);
}

static void large_keys_are_kept_and_clearing_removes_all(void **state)
{
    sw_timers *timers = open_timers();
    static char key[65536];
    (void)state;
    memset(key, 'k', sizeof(key) - 1);
    size_t live_before = sw_alloc_live();
    for (int round = 0; round < 3; round++) {
        set(timers, 1, key, "n");
        set(timers, 2, "small", NULL);
        assert_next_due(timers, 1, key, "n");
        set(timers, 3, key, "n");
        uint64_t seq = sw_timers_seq(timers);
        sw_timers_clear(timers);
        assert_empty(timers);
        assert_int_equal(cancel(timers, 3, key, "n"), 0);
        assert_int_equal(sw_timers_seq(timers), seq);
    }
    sw_timers_free(timers);
    assert_true(sw_alloc_live() <= live_before);
    sw_timers_free(NULL);
}

/* --- against a list --------------------------------------------------------------------------------------- */

#define MODEL_MAX 600
#define MODEL_OPERATIONS 100000

typedef struct model_timer {
    int64_t time; /* due */
    uint64_t key; /* as 8 bytes, most significant first */
    int name;     /* -1: none */
    uint64_t seq; /* order of setting */
} model_timer;

typedef struct model {
    model_timer list[MODEL_MAX]; /* sorted by time, key, name */
    int count;                   /* timers */
    uint64_t seq;                /* next */
} model;

static int compare_model(const void *a, const void *b)
{
    const model_timer *x = a, *y = b;
    if (x->time != y->time) return x->time < y->time ? -1 : 1;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->name > y->name) - (x->name < y->name);
}

static int model_find(const model *m, const model_timer *t)
{
    for (int i = 0; i < m->count; i++) {
        const model_timer *u = &m->list[i];
        if (u->key == t->key && u->name == t->name && (t->name >= 0 || u->time == t->time)) return i;
    }
    return -1;
}

static void model_remove(model *m, int i)
{
    memmove(&m->list[i], &m->list[i + 1], (size_t)(--m->count - i) * sizeof(m->list[0]));
}

static void model_set(model *m, model_timer t)
{
    int present = model_find(m, &t);
    if (present >= 0 && m->list[present].time == t.time) return;
    if (present >= 0) model_remove(m, present);
    t.seq = m->seq++;
    int i = m->count++;
    for (; i > 0 && compare_model(&t, &m->list[i - 1]) < 0; i--) m->list[i] = m->list[i - 1];
    m->list[i] = t;
}

static uint64_t key_bytes(const model_timer *t)
{
    return __builtin_bswap64(t->key);
}

static const char *name_bytes(const model_timer *t)
{
    static char name[2];
    name[0] = (char)('a' + t->name);
    return t->name < 0 ? NULL : name;
}

static void check_pop(sw_timers *timers, model *m, int64_t until)
{
    sw_timer due;
    int rc = sw_timers_pop(timers, until, &due);
    if (m->count == 0 || m->list[0].time > until) {
        assert_int_equal(rc, SW_EEMPTY);
        return;
    }
    assert_int_equal(rc, SW_OK);
    uint64_t key = key_bytes(&m->list[0]);
    const char *name = name_bytes(&m->list[0]);
    assert_int_equal(due.time, m->list[0].time);
    assert_int_equal(due.seq, m->list[0].seq);
    assert_int_equal(due.hash, sw_hash(&key, 8));
    assert_memory_equal(due.key, &key, 8);
    assert_int_equal(due.name == NULL, name == NULL);
    if (name != NULL) assert_int_equal(due.name[0], name[0]);
    model_remove(m, 0);
}

static void random_operation(sw_timers *timers, model *m, sw_rng *rng, bool is_growing)
{
    model_timer t = { .time = (int64_t)sw_rng_below(rng, 40), .key = sw_rng_below(rng, 24) * 0x0101010101010101u };
    t.name = (int)sw_rng_below(rng, 8) - 4;
    if (t.name < -1) t.name = -1;
    uint64_t key = key_bytes(&t), hash = sw_hash(&key, 8), dice = sw_rng_below(rng, 8);
    const char *name = name_bytes(&t);
    uint32_t name_len = name != NULL;
    if (dice < (is_growing ? 6u : 2u) && m->count < MODEL_MAX) {
        assert_int_equal(sw_timers_set(timers, t.time, hash, (const uint8_t *)&key, 8, name, name_len), SW_OK);
        model_set(m, t);
    } else if (dice == 7) {
        check_pop(timers, m, t.time);
    } else {
        int present = model_find(m, &t);
        assert_int_equal(sw_timers_cancel(timers, t.time, hash, (const uint8_t *)&key, 8, name, name_len),
                         present >= 0);
        if (present >= 0) model_remove(m, present);
    }
}

static void random_operations_agree_with_a_sorted_list(void **state)
{
    static model m;
    sw_timers *timers = open_timers();
    sw_rng rng;
    int most = 0;
    (void)state;
    sw_rng_seed(&rng, 42);
    for (int i = 0; i < MODEL_OPERATIONS; i++) {
        random_operation(timers, &m, &rng, i / 4096 % 2 == 0);
        assert_int_equal(sw_timers_count(timers), m.count);
        assert_int_equal(sw_timers_seq(timers), m.seq);
        assert_true(sw_timers_next(timers) == (m.count > 0 ? m.list[0].time : INT64_MAX));
        if (m.count > most) most = m.count;
    }
    assert_true(most > 200);
    while (m.count > 0) check_pop(timers, &m, INT64_MAX);
    assert_empty(timers);
    sw_timers_free(timers);
}

/* --- memory ----------------------------------------------------------------------------------------------- */

static void nothing_is_allocated_in_the_steady_state(void **state)
{
    sw_timers *timers = open_timers();
    sw_timer due;
    (void)state;
    for (int64_t i = 0; i < 1000; i++) set(timers, i, i % 2 ? "odd" : "even", i % 3 ? NULL : "name");
    for (int64_t i = 1000; i < 2000; i++) set(timers, i, "key", NULL);
    sw_fault_fail_after(0);
    for (int64_t i = 2000; i < 20000; i++) {
        assert_int_equal(sw_timers_pop(timers, INT64_MAX, &due), SW_OK);
        assert_int_equal(set(timers, i, "key", NULL), SW_OK);
    }
    sw_fault_off();
    assert_false(sw_fault_hit());
    sw_timers_free(timers);
}

static void setting_survives_every_allocation_failure(void **state)
{
    bool is_hit = true;
    int n = 0;
    (void)state;
    size_t live_before = sw_alloc_live();
    for (; is_hit; n++) {
        sw_timers *timers = NULL;
        sw_fault_fail_after(n);
        int rc = sw_timers_new(&timers, NULL);
        if (rc != SW_OK) assert_null(timers);
        for (int64_t i = 0; rc == SW_OK && i < 300; i++) {
            uint64_t count = sw_timers_count(timers), seq = sw_timers_seq(timers);
            if (set(timers, 1000 - i, "key", NULL) == SW_OK) continue;
            assert_int_equal(sw_timers_count(timers), count); /* A refused timer leaves no trace, */
            assert_int_equal(sw_timers_seq(timers), seq);
            assert_int_equal(set(timers, 1000 - i, "key", NULL), SW_OK); /* and can be set again. */
        }
        sw_fault_off();
        is_hit = sw_fault_hit();
        for (int64_t i = 299; rc == SW_OK && i >= 0; i--) assert_next_due(timers, 1000 - i, "key", NULL);
        if (rc == SW_OK) assert_empty(timers);
        sw_timers_free(timers);
        assert_int_equal(sw_alloc_live(), live_before);
    }
#ifdef SW_FAULT
    assert_true(n > 5);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_come_out_by_time_and_only_up_to_the_given_time),
        cmocka_unit_test(timers_of_one_time_come_out_by_key_bytes_then_by_name_those_without_first),
        cmocka_unit_test(a_timer_without_a_name_set_twice_to_one_time_fires_once),
        cmocka_unit_test(a_timer_with_a_name_set_again_moves),
        cmocka_unit_test(seq_tells_timers_set_or_moved_meanwhile_from_those_left_alone),
        cmocka_unit_test(cancelling_by_name_or_time_removes_just_that_timer),
        cmocka_unit_test(names_of_255_bytes_fit_and_longer_ones_are_refused),
        cmocka_unit_test(the_timer_lent_may_be_named_in_the_next_call),
        cmocka_unit_test(large_keys_are_kept_and_clearing_removes_all),
        cmocka_unit_test(random_operations_agree_with_a_sorted_list),
        cmocka_unit_test(nothing_is_allocated_in_the_steady_state),
        cmocka_unit_test(setting_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
