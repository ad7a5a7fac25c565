/* A test is one source file: those that need it include this one. */
#include "ledger.h"

#include <stdio.h>

#include "driver.c"

__attribute__((format(printf, 2, 3))) static void ledger_fault(ledger *l, const char *fmt, ...)
{
    va_list args;
    if (l->fault[0] != '\0') return;
    va_start(args, fmt);
    vsnprintf(l->fault, sizeof(l->fault), fmt, args);
    va_end(args);
}

/* --- answering ------------------------------------------------------------------------------------------ */

static uint32_t ledger_component(const sw_task *task)
{
    return task->engine->graph->tasks[task->plan_task].head;
}

static void ledger_put(sw_snapshot *part, const sw_task *task, sw_saved_kind kind, const void *key, size_t key_len,
                       const void *value, size_t len)
{
    const sw_saved saved = {
        .component = ledger_component(task),
        .kind = kind,
        .group = task->number,
        .key = key,
        .key_len = (uint32_t)key_len,
        .value = value,
        .value_len = (uint32_t)len,
    };
    SW_ASSERT(sw_snapshot_put(part, &saved) == SW_OK);
}

static void ledger_put_keys(sw_snapshot *part, const sw_task *task, teller *t, const actor *a)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        if (t->of_key[key] == a->of_key[key]) continue;
        t->of_key[key] = a->of_key[key];
        ledger_put(part, task, SW_SAVED_KEYED, &key, sizeof(key), &a->of_key[key], sizeof(a->of_key[key]));
    }
}

static void ledger_put_sink(sw_snapshot *part, const sw_task *task, teller *t, const actor *a, uint32_t id)
{
    const uint64_t range[2] = { t->prepared, a->events };
    uint64_t key = __builtin_bswap64(id);
    if (range[0] == range[1]) return;
    t->prepared = a->events;
    ledger_put(part, task, SW_SAVED_SINK, &key, sizeof(key), range, sizeof(range));
}

static void ledger_give(ledger *l, teller *t)
{
    sw_answer *answer = t->held;
    t->held = NULL;
    if (answer != NULL) sw_coordinator_deliver(l->coordinator, answer);
}

static void ledger_control(driver *d, sw_task *task, uint32_t id, bool is_end)
{
    ledger *l = d->test;
    uint32_t index = (uint32_t)(task - d->engine.tasks), component = ledger_component(task);
    teller *t = &l->tellers[index];
    const actor *a = &d->actors[index];
    sw_snapshot part;
    sw_answer *answer;
    ledger_give(l, t); /* Answers of a task come in order. */
    sw_snapshot_init(&part);
    if (component == IN) ledger_put(&part, task, SW_SAVED_SOURCE, NULL, 0, &a->events, sizeof(a->events));
    else ledger_put(&part, task, SW_SAVED_INSTANCE, NULL, 0, a->of_source, sizeof(a->of_source));
    if (component == WORK) ledger_put_keys(&part, task, t, a);
    if (component == OUT) ledger_put_sink(&part, task, t, a, id);
    SW_ASSERT(sw_answer_new(&answer, task, id) == SW_OK && sw_answer_add(answer, &part) == SW_OK);
    answer->is_final = is_end;
    answer->is_input_ended = is_end && !__atomic_load_n(&task->is_stopping, __ATOMIC_RELAXED);
    t->held = answer;
    t->hold = l->hold_max > 0 ? (uint32_t)(id * 7 + index * 5) % (l->hold_max + 1) : 0;
    if (t->hold == 0 || is_end) ledger_give(l, t);
}

void ledger_give_held(ledger *l, sw_task *task)
{
    teller *t = &l->tellers[task - l->d->engine.tasks];
    if (t->held != NULL && t->hold-- == 0) ledger_give(l, t);
}

/* --- what a checkpoint holds ---------------------------------------------------------------------------- */

static void ledger_apply(ledger *l, const sw_saved *saved)
{
    if (saved->kind == SW_SAVED_SOURCE) {
        memcpy(&l->sent[saved->group], saved->value, sizeof(uint64_t));
    } else if (saved->kind == SW_SAVED_INSTANCE) {
        memcpy(l->counts[saved->component][saved->group], saved->value, saved->value_len);
    } else if (saved->kind == SW_SAVED_KEYED) {
        uint64_t key;
        memcpy(&key, saved->key, sizeof(key));
        memcpy(&l->of_key[saved->group][key], saved->value, sizeof(uint64_t));
    }
}

static void ledger_each(ledger *l, const sw_checkpoint_request *request, void (*fn)(ledger *l, const sw_saved *saved))
{
    sw_saved saved;
    for (uint32_t i = 0; i < request->count; i++)
        for (size_t offset = 0; sw_snapshot_next(request->snapshots[i], &offset, &saved);) fn(l, &saved);
}

static bool ledger_holds(const ledger *l, uint64_t has, uint64_t due)
{
    return has == due || (l->is_unaligned && has > due);
}

static void ledger_check_sources(ledger *l, uint32_t id)
{
    for (uint32_t c = WORK; c <= OUT; c++) {
        for (uint32_t s = 0; s < l->d->engine.graph->components[IN].parallelism; s++) {
            uint64_t has = 0;
            for (uint32_t i = 0; i < 4; i++) has += l->counts[c][i][s];
            if (ledger_holds(l, has, l->sent[s] * l->copies)) continue;
            ledger_fault(l, "checkpoint %u: %llu events of source %u in component %u, which has sent %llu", id,
                         (unsigned long long)has, s, c, (unsigned long long)l->sent[s]);
        }
    }
}

static void ledger_check_keys(ledger *l, uint32_t id)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        uint64_t has = 0, due = 0;
        for (uint32_t i = 0; i < 4; i++) has += l->of_key[i][key];
        for (uint32_t s = 0; s < SOURCES_MAX; s++)
            due += key == 0 ? l->sent[s] / KEYS : (l->sent[s] + KEYS - key) / KEYS;
        if (ledger_holds(l, has, due * l->copies)) continue;
        ledger_fault(l, "checkpoint %u: key %llu has come %llu times, sent %llu times", id, (unsigned long long)key,
                     (unsigned long long)has, (unsigned long long)due);
    }
}

static int ledger_write(void *arg, const sw_checkpoint_request *request, uint64_t *bytes, sw_error *err)
{
    ledger *l = arg;
    if (request->id <= l->last_id) ledger_fault(l, "checkpoint %u behind %u", request->id, l->last_id);
    bool is_odd = (l->written + l->failed) % 2 != 0;
    if (sw_rng_below(&l->faults, 100) < l->fail_percent || (is_odd && l->written + l->failed < l->fail_first)) {
        l->failed++;
        return sw_error_set(err, SW_ENOSPC, "the disk is full");
    }
    memset(l->counts, 0, sizeof(l->counts)); /* Complete kinds stand in every checkpoint. */
    memset(l->sent, 0, sizeof(l->sent));
    ledger_each(l, request, ledger_apply);
    ledger_check_sources(l, request->id);
    ledger_check_keys(l, request->id);
    l->written++;
    l->last_id = request->id;
    l->is_finished = request->is_finished;
    *bytes = request->id;
    return SW_OK;
}

/* What is prepared comes in order and without a gap; what a final answer says comes again each time. */
static void ledger_show_range(ledger *l, const sw_saved *saved)
{
    uint64_t range[2], *shown = &l->shown[saved->group];
    if (saved->kind != SW_SAVED_SINK) return;
    memcpy(range, saved->value, sizeof(range));
    if (range[1] <= *shown) return;
    if (range[0] != *shown)
        ledger_fault(l, "out#%u: events from %llu on are shown behind %llu", saved->group, (unsigned long long)range[0],
                     (unsigned long long)*shown);
    *shown = range[1];
}

static int ledger_show(void *arg, const sw_checkpoint_request *request, sw_error *err)
{
    ledger *l = arg;
    if (request->id != l->last_id) ledger_fault(l, "%u is shown and %u was written", request->id, l->last_id);
    if (l->fails_show) return sw_error_set(err, SW_EIO, "the disk is gone");
    ledger_each(l, request, ledger_show_range);
    l->shown_id = request->id;
    return SW_OK;
}

static int ledger_save_as(void *arg, const char *name, sw_error *err)
{
    ledger *l = arg;
    if (l->shown_id != l->last_id) ledger_fault(l, "savepoint %s before its checkpoint was shown", name);
    if (strcmp(name, "taken") == 0) return sw_error_set(err, SW_EINVAL, "the name is taken");
    if (l->savepoint_count == SAVEPOINTS_MAX) return SW_OK;
    snprintf(l->savepoints[l->savepoint_count], sizeof(l->savepoints[0]), "%s", name);
    l->savepoint_ids[l->savepoint_count++] = l->last_id;
    return SW_OK;
}

static uint64_t ledger_next_id(void *arg)
{
    return ++((ledger *)arg)->given_id;
}

static void ledger_tidy(void *arg)
{
    (void)arg;
}

/* --- the ledger ----------------------------------------------------------------------------------------- */

void ledger_init(ledger *l, driver *d, uint64_t seed)
{
    memset(l, 0, sizeof(*l));
    l->d = d;
    l->copies = 1;
    sw_rng_seed(&l->faults, sw_rng_stream(seed, "faults"));
}

void ledger_coordinate(ledger *l, const sw_coordinator_options *options)
{
    const sw_coordinator_ops ops = { .arg = l,
                                     .next_id = ledger_next_id,
                                     .write = ledger_write,
                                     .show = ledger_show,
                                     .save_as = ledger_save_as,
                                     .tidy = ledger_tidy };
    sw_error err;
    SW_ASSERT(l->d->engine.task_count <= TASKS_MAX);
    if (sw_engine_coordinate(&l->d->engine, options, &ops, &err) != SW_OK) fail_msg("%s", err.text);
    l->given_id = options->first_id;
    l->coordinator = l->d->engine.coordinator;
    l->d->on_control = ledger_control;
    l->d->test = l;
}

void ledger_assert_faultless(const ledger *l)
{
    if (l->fault[0] != '\0') fail_msg("%s", l->fault);
    driver_assert_faultless(l->d);
}

void ledger_assert_complete(const ledger *l)
{
    ledger_assert_faultless(l);
    for (uint32_t i = 0; i < l->d->engine.graph->components[IN].parallelism; i++)
        assert_int_equal(l->sent[i], driver_events(driver_actor(l->d, IN, i)));
    for (uint32_t i = 0; i < l->d->engine.graph->components[OUT].parallelism; i++)
        assert_int_equal(l->shown[i], driver_events(driver_actor(l->d, OUT, i)));
    assert_int_equal(driver_total(l->d, WORK), driver_total(l->d, IN) * l->copies);
}
