/* A store driven at random beside a map in memory: what is restored is always what the map held. */
#include "state/checkpoint_support.h"

#include "base/rng.h"

#define SEEDS 300
#define SYNCED_SEEDS 5 /* of these, where syncs can fail */
#define STEPS 60
#define KEYS 48
#define VALUE_MAX 24
#define IDS_MAX 4096
#define RETAIN_MAX 4

typedef struct contents {
    int16_t values[KEYS]; /* 0: no such key; else what its value is made of */
} contents;

typedef struct model {
    sw_rng rng;
    sw_checkpoints *store;
    uint32_t retain;            /* as the store has it */
    contents now;               /* what the job holds */
    contents at_base;           /* at the last checkpoint of this run: removals are changes from it */
    contents at[IDS_MAX];       /* at each checkpoint */
    bool is_committed[IDS_MAX]; /* there was one */
    uint64_t newest;            /* checkpoint that "latest" means; 0: none */
    contents saved;             /* in the savepoint, */
    int savepoints;             /* made so far */
    sw_snapshot carried;        /* changes of a checkpoint that failed */
} model;

static uint32_t below(model *m, uint32_t n)
{
    return (uint32_t)sw_rng_below(&m->rng, n);
}

/* Some keys are empty, some begin like others, some are longer than LMDB takes. */
static uint32_t key_of(uint32_t k, uint8_t *out)
{
    uint32_t len = k % 6 == 5 ? 480 + k : k % 6 == 4 ? 0 : 1 + k % 3;
    memset(out, 'k', len);
    if (len > 0) out[len - 1] = (uint8_t)k;
    return len;
}

static uint32_t group_of(uint32_t k)
{
    return k % 6 == 4 ? 100 + k / 6 : k % 3;
}

static uint32_t value_of(int16_t value, uint8_t *out)
{
    uint32_t len = sizeof(value) + (uint32_t)value % (VALUE_MAX - sizeof(value));
    memset(out, 'v', len);
    memcpy(out, &value, sizeof(value));
    return len;
}

static void add_change(sw_snapshot *snapshot, uint32_t k, int16_t value)
{
    uint8_t key[1024], bytes[VALUE_MAX];
    sw_saved saved = { .kind = k % 2 == 0 ? SW_SAVED_KEYED : SW_SAVED_TIMER, .group = group_of(k), .key = key };
    saved.key_len = key_of(k, key);
    if (value != 0) {
        saved.value = bytes;
        saved.value_len = value_of(value, bytes);
    }
    assert_int_equal(sw_snapshot_put(snapshot, &saved), SW_OK);
}

/* --- what the model can do -------------------------------------------------------------------------------------- */

static void change_some(model *m, sw_snapshot *snapshot)
{
    for (uint32_t n = below(m, 12); n > 0; n--) {
        uint32_t k = below(m, KEYS);
        m->now.values[k] = below(m, 3) == 0 ? 0 : (int16_t)(1 + below(m, 30000));
        add_change(snapshot, k, m->now.values[k]);
    }
}

/* A checkpoint; at times one that fails first, whose changes the next one carries. */
static void commit_some(model *m)
{
    sw_snapshot fresh;
    const sw_snapshot *list[] = { &m->carried, &fresh };
    uint64_t bytes;
    sw_snapshot_init(&fresh);
    change_some(m, &fresh);
    uint64_t id = sw_checkpoints_next_id(m->store);
    sw_checkpoint_meta meta = meta_of(id);
    assert_true(id < IDS_MAX);
    if (below(m, 5) == 0) sw_fault_fail_kind_after((sw_fault_kind)(SW_FAULT_WRITE + below(m, 3)), below(m, 3));
    int rc = sw_checkpoints_commit(m->store, &meta, list, 2, &bytes, NULL);
    sw_fault_off();
    if (rc == SW_OK) {
        m->at[id] = m->at_base = m->now;
        m->is_committed[id] = true;
        m->newest = id;
        sw_snapshot_deinit(&m->carried);
    } else {
        assert_int_equal(sw_buf_append(&m->carried.bytes, fresh.bytes.data, fresh.bytes.size), SW_OK);
        m->carried.count += fresh.count;
    }
    sw_snapshot_deinit(&fresh);
}

typedef struct found {
    contents contents; /* read so far */
    uint32_t count;    /* entries */
} found;

static int find(void *arg, const sw_saved *saved)
{
    uint8_t key[1024], bytes[VALUE_MAX];
    found *f = arg;
    for (uint32_t k = 0; k < KEYS; k++) {
        uint32_t len = key_of(k, key);
        sw_saved_kind kind = k % 2 == 0 ? SW_SAVED_KEYED : SW_SAVED_TIMER;
        if (saved->kind != kind || saved->group != group_of(k) || saved->key_len != len ||
            (len > 0 && memcmp(saved->key, key, len) != 0))
            continue;
        memcpy(&f->contents.values[k], saved->value, sizeof(int16_t));
        f->count++;
        len = value_of(f->contents.values[k], bytes);
        return saved->value_len == len && memcmp(saved->value, bytes, len) == 0 ? 0 : -100;
    }
    return -101;
}

static void assert_contents(const sw_restore *restored, const contents *expected)
{
    found f = { 0 };
    uint32_t count = 0;
    assert_int_equal(sw_restore_each(restored, "op", SW_SAVED_KEYED, 0, 128, find, &f, NULL), SW_OK);
    assert_int_equal(sw_restore_each(restored, "op", SW_SAVED_TIMER, 0, 128, find, &f, NULL), SW_OK);
    for (uint32_t k = 0; k < KEYS; k++) {
        if (f.contents.values[k] != expected->values[k])
            fail_msg("key %u: %d, not %d", k, f.contents.values[k], expected->values[k]);
        count += expected->values[k] != 0;
    }
    assert_int_equal(f.count, count);
}

static void go_on_from(model *m, const contents *what)
{
    m->now = m->at_base = *what;
    sw_snapshot_deinit(&m->carried);
}

static void reopen(model *m, const char *which, const contents *expected)
{
    sw_checkpoints_close(m->store);
    m->store = open_store(m->retain);
    if (which == NULL) return;
    sw_restore *restored = restore(m->store, which);
    assert_string_equal(skips, "");
    assert_contents(restored, expected);
    sw_restore_close(restored);
    go_on_from(m, expected);
}

static void restart(model *m)
{
    static const contents nothing;
    if (m->newest == 0) {
        assert_restore_fails(m->store, "latest", SW_ENOTFOUND, "no checkpoint");
        reopen(m, NULL, NULL);
        go_on_from(m, &nothing);
    } else {
        reopen(m, "latest", &m->at[m->newest]);
    }
}

/* Restores one of those that are listed; the newer ones are gone then. */
static void go_back(model *m)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0, checkpoints = 0;
    char which[24];
    assert_int_equal(sw_checkpoints_list(m->store, true, &list, &count, NULL), SW_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(list[i].problem, SW_OK);
        checkpoints += list[i].name[0] == '\0';
    }
    assert_true(m->newest == 0 || checkpoints > 0);
    if (checkpoints > 0) {
        uint64_t id = list[below(m, checkpoints)].id;
        assert_true(m->is_committed[id]);
        snprintf(which, sizeof(which), "%" PRIu64, id);
        m->newest = id;
        reopen(m, which, &m->at[id]);
    }
    sw_free(list);
}

static void save(model *m)
{
    char name[24];
    snprintf(name, sizeof(name), "s%d", m->savepoints + 1);
    int rc = sw_checkpoints_savepoint(m->store, name, NULL);
    if (rc == SW_ESTATE) return; /* Nothing was committed or restored in this run. */
    assert_int_equal(rc, SW_OK);
    m->savepoints++;
    m->saved = m->at_base;
}

static void go_on_from_savepoint(model *m)
{
    char name[24];
    if (m->savepoints == 0) return;
    snprintf(name, sizeof(name), "s%d", m->savepoints);
    reopen(m, name, &m->saved);
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    assert_int_equal(sw_checkpoints_list(m->store, false, &list, &count, NULL), SW_OK);
    assert_string_equal(list[0].name, ""); /* Its copy is the only checkpoint. */
    m->newest = list[0].id;
    m->at[m->newest] = m->saved;
    m->is_committed[m->newest] = true;
    sw_free(list);
}

static void step(model *m)
{
    switch (below(m, 16)) {
    case 0: restart(m); break;
    case 1: go_back(m); break;
    case 2: save(m); break;
    case 3: go_on_from_savepoint(m); break;
    case 4:
    case 5:
    case 6: assert_true(sw_checkpoints_fold(m->store, NULL) != SW_EFORMAT); break;
    default: commit_some(m); break;
    }
}

/* Files do not pile up: those of the checkpoints that count, of a second image, and what was set aside since. */
static void assert_bounded(model *m)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    assert_int_equal(sw_checkpoints_list(m->store, false, &list, &count, NULL), SW_OK);
    assert_in_range(count, 0, 2 * (m->retain + 33) + (uint32_t)m->savepoints);
    sw_free(list);
}

static void whatever_is_done_what_is_restored_is_what_was_saved(void **state)
{
    static model m;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %d\n", (int)seed); /* The last one printed is the one that fails. */
        is_unsynced = seed > SYNCED_SEEDS;
        memset(&m, 0, sizeof(m));
        sw_rng_seed(&m.rng, seed);
        m.retain = 1 + below(&m, RETAIN_MAX);
        m.store = open_store(m.retain);
        for (int i = 0; i < STEPS; i++) step(&m);
        restart(&m);
        assert_bounded(&m);
        sw_checkpoints_close(m.store);
        sw_snapshot_deinit(&m.carried);
        assert_int_equal(remove_temp_dir(NULL), 0);
        assert_int_equal(make_memory_dir(NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(whatever_is_done_what_is_restored_is_what_was_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
