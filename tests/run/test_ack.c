/* Trackers against a model that keeps, for each try of each event, how much of it is still under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "run/ack.h"

#define TRACKERS 5
#define SOURCES 2
#define EVENTS 120       /* of each source */
#define TRIES 400        /* of one event, at most */
#define UNDER_WAY 100000 /* rows and held events, at most */
#define TIMEOUT_MS 1000
#define ENDLESS UINT32_MAX

/* --- the model ---------------------------------------------------------------------------------------------------- */

typedef struct try_of {
    uint32_t source, id, number;
} try_of;

typedef struct descent {
    try_of *list; /* owned */
    uint32_t count;
} descent;

/* A row in a channel, or an event that is held. */
typedef struct item {
    struct {
        sw_row row;
        uint64_t body;
        sw_anchor anchor;
    } bytes;
    uint64_t held;   /* 0: a row */
    uint32_t at;     /* tracker that reads or holds it */
    descent descent; /* what it descends from */
} item;

static sw_acks *acks[TRACKERS];
static sw_ack_mail *mails[TRACKERS];
static sw_instance instances[TRACKERS];
static item items[UNDER_WAY];
static uint32_t item_count;
static uint32_t open_of[SOURCES][EVENTS + 1][TRIES]; /* items that descend from a try */
static bool has_failed[SOURCES][EVENTS + 1][TRIES];
static uint32_t try_now[SOURCES][EVENTS + 1];
static bool is_acked[SOURCES][EVENTS + 1];
static uint64_t given[SOURCES];
static int64_t now_ms;
static sw_rng rng;

static uint32_t draw(uint32_t n)
{
    return (uint32_t)sw_rng_below(&rng, n);
}

static void add_item(item it, const descent *from)
{
    assert_true(item_count < UNDER_WAY);
    it.descent.count = from->count;
    it.descent.list = malloc((from->count + 1) * sizeof(try_of));
    memcpy(it.descent.list, from->list, from->count * sizeof(try_of));
    for (uint32_t i = 0; i < from->count; i++) open_of[from->list[i].source][from->list[i].id][from->list[i].number]++;
    items[item_count++] = it;
}

static item take_item(uint32_t index)
{
    item it = items[index];
    items[index] = items[--item_count];
    return it;
}

static void end_item(item *it)
{
    for (uint32_t i = 0; i < it->descent.count; i++)
        open_of[it->descent.list[i].source][it->descent.list[i].id][it->descent.list[i].number]--;
    free(it->descent.list);
}

/* --- what a job does ---------------------------------------------------------------------------------------------- */

static void open_trackers(uint64_t seed, uint32_t pending_max)
{
    sw_rng_seed(&rng, seed);
    memset(open_of, 0, sizeof(open_of));
    memset(has_failed, 0, sizeof(has_failed));
    memset(try_now, 0, sizeof(try_now));
    memset(is_acked, 0, sizeof(is_acked));
    memset(instances, 0, sizeof(instances));
    memset(given, 0, sizeof(given));
    now_ms = 5000;
    for (uint32_t i = 0; i < TRACKERS; i++) {
        const sw_ack_options options = {
            .number = i,
            .count = TRACKERS,
            .mails = mails,
            .seed = seed,
            .settings = { .timeout_ms = TIMEOUT_MS, .errors_max = ENDLESS },
            .pending_max = pending_max,
            .depth = 8,
            .instance = &instances[i],
        };
        assert_int_equal(sw_acks_new(&acks[i], &options, NULL), SW_OK);
        sw_acks_want_notices(acks[i]);
        sw_acks_take(acks[i], now_ms);
    }
}

static int close_trackers(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < TRACKERS; i++) {
        sw_acks_free(acks[i]);
        acks[i] = NULL;
    }
    while (item_count > 0) free(items[--item_count].descent.list);
    return 0;
}

static void emit(uint32_t at, const descent *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        item it = { .at = draw(TRACKERS) };
        it.bytes.anchor = sw_acks_draw(acks[at]);
        it.bytes.row = (sw_row){ .len = sizeof(it.bytes), .body_len = sizeof(it.bytes.body) };
        sw_acks_sent(acks[at], &it.bytes.anchor);
        add_item(it, from);
    }
}

/* Emits a few rows, perhaps fails, perhaps has a fused component hold the event, which emits as well. */
static void process(uint32_t at, const descent *from, uint32_t mood, bool may_fail)
{
    emit(at, from, draw(mood));
    if (draw(8) == 0) {
        item it = { .at = at, .held = sw_acks_open_held(acks[at]) };
        assert_int_not_equal(it.held, 0);
        emit(at, from, draw(mood));
        bool is_released = draw(2) == 0;
        if (is_released) sw_acks_release(acks[at], it.held, SW_ACKED);
        emit(at, from, draw(mood));
        if (!is_released) add_item(it, from);
        sw_acks_close(acks[at]);
    }
    if (!may_fail || draw(40) != 0) return;
    sw_acks_fail(acks[at], draw(2) == 0 ? SW_FAILED : SW_ERRED);
    for (uint32_t i = 0; i < from->count; i++)
        has_failed[from->list[i].source][from->list[i].id][from->list[i].number] = true;
}

static void give(uint32_t source, uint32_t mood)
{
    const struct {
        sw_row row;
        uint64_t body;
    } event = { .row = { .len = sizeof(event), .body_len = 8, .time = (int64_t)given[source] }, .body = given[source] };
    if (given[source] == EVENTS || sw_acks_room(acks[source]) == 0) return;
    uint64_t id = sw_acks_open_new(acks[source], &event.row, source);
    assert_int_equal(id, ++given[source]);
    try_of self = { source, (uint32_t)id, 0 };
    process(source, &(descent){ &self, 1 }, mood, true);
    sw_acks_close(acks[source]);
}

static void replay(uint32_t source, uint32_t mood, bool may_fail)
{
    const sw_row *row = sw_acks_open_replay(acks[source]);
    if (row == NULL) return;
    uint32_t id = (uint32_t)row->time + 1;
    assert_int_equal(*(const uint64_t *)(const void *)sw_row_body(row), id - 1);
    assert_int_equal(row->reserved, source);
    assert_true(try_now[source][id] + 1 < TRIES);
    try_of self = { source, id, ++try_now[source][id] };
    process(source, &(descent){ &self, 1 }, mood, may_fail);
    sw_acks_close(acks[source]);
}

static void read_row(uint32_t index, uint32_t mood, bool may_fail)
{
    item it = take_item(index);
    sw_acks_open_row(acks[it.at], &it.bytes.row);
    process(it.at, &it.descent, mood, may_fail);
    end_item(&it);
    sw_acks_close(acks[it.at]);
}

/* Releases a held event, perhaps after a row was made of it and another. */
static void release(uint32_t index, uint32_t mood)
{
    item it = take_item(index);
    if (mood > 0 && item_count > 0) {
        const item *other = &items[draw(item_count)];
        try_of list[2 * (SOURCES * EVENTS)];
        descent both = { list, it.descent.count };
        memcpy(list, it.descent.list, it.descent.count * sizeof(try_of));
        sw_acks_name(acks[it.at], it.held);
        if (other->held != 0 && other->at == it.at && other->descent.count + both.count < SOURCES * EVENTS) {
            sw_acks_name(acks[it.at], other->held);
            memcpy(&list[both.count], other->descent.list, other->descent.count * sizeof(try_of));
            both.count += other->descent.count;
        }
        assert_int_equal(sw_acks_open_named(acks[it.at]), SW_OK);
        emit(it.at, &both, draw(mood));
        sw_acks_close(acks[it.at]);
    }
    sw_acks_release(acks[it.at], it.held, SW_ACKED);
    end_item(&it);
}

static void touch_item(uint32_t mood, bool may_fail)
{
    if (item_count == 0) return;
    uint32_t index = draw(item_count);
    if (items[index].held == 0) read_row(index, mood, may_fail);
    else if (draw(4) == 0 || !may_fail) release(index, mood);
}

/* --- what is checked ---------------------------------------------------------------------------------------------- */

static void read_notices(uint32_t source)
{
    sw_ack_notice notice;
    while (sw_acks_next_notice(acks[source], &notice)) {
        uint32_t id = (uint32_t)notice.id;
        if (!notice.is_acked) continue;
        assert_false(is_acked[source][id]); /* Once. */
        assert_int_equal(open_of[source][id][try_now[source][id]], 0);
        assert_false(has_failed[source][id][try_now[source][id]]);
        is_acked[source][id] = true;
    }
}

static void step_tracker(uint32_t at)
{
    sw_acks_send(acks[at]);
    sw_acks_take(acks[at], now_ms);
    read_notices(at);
}

static void drain(void)
{
    for (uint32_t round = 0; round < TRIES; round++) {
        while (item_count > 0) touch_item(1, false);
        for (uint32_t i = 0; i < 4 * TRACKERS; i++) step_tracker(i % TRACKERS);
        for (uint32_t s = 0; s < SOURCES; s++)
            while (sw_acks_due(acks[s]) > 0) replay(s, 2, false);
        for (uint32_t s = 0; s < SOURCES; s++) read_notices(s);
        if (item_count == 0 && sw_acks_pending(acks[0]) + sw_acks_pending(acks[1]) == 0) return;
        now_ms += TIMEOUT_MS / 4;
    }
    fail_msg("events stay pending");
}

static void run_schedule(uint64_t seed, uint32_t mood)
{
    open_trackers(seed, 40);
    for (uint32_t steps = 0; steps < 8000; steps++) {
        switch (draw(6)) {
        case 0: give(draw(SOURCES), mood); break;
        case 1: step_tracker(draw(TRACKERS)); break;
        case 2: replay(draw(SOURCES), mood, true); break;
        default: touch_item(item_count > 500 ? 1 : mood, true); break;
        }
        if (draw(100) == 0) now_ms += draw(TIMEOUT_MS / 3);
        assert_true(sw_acks_pending(acks[0]) <= 40);
    }
    drain();
    for (uint32_t s = 0; s < SOURCES; s++) {
        assert_int_equal(instances[s].acked, given[s]);
        for (uint32_t id = 1; id <= given[s]; id++) assert_true(is_acked[s][id]);
    }
    close_trackers(NULL);
}

static void random_trees_are_acknowledged_once_and_never_early(void **state)
{
    uint64_t replayed = 0, all = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_schedule(seed, 2 + seed % 3);
        replayed += instances[0].replayed + instances[1].replayed;
        all += given[0] + given[1];
    }
    assert_true(all > 2000 && replayed > 1000);
}

/* --- by hand ------------------------------------------------------------------------------------------------------ */

static const sw_row bare = { .len = sizeof(sw_row) };

static sw_anchor give_one(uint32_t source)
{
    assert_int_not_equal(sw_acks_open_new(acks[source], &bare, 0), 0);
    sw_anchor anchor = sw_acks_draw(acks[source]);
    sw_acks_sent(acks[source], &anchor);
    sw_acks_close(acks[source]);
    return anchor;
}

static void read_one(uint32_t at, sw_anchor anchor)
{
    struct {
        sw_row row;
        sw_anchor anchor;
    } row = { .row = { .len = sizeof(row) }, .anchor = anchor };
    sw_acks_open_row(acks[at], &row.row);
    sw_acks_close(acks[at]);
    sw_acks_send(acks[at]);
}

static void an_event_that_stays_in_its_task_is_no_node(void **state)
{
    (void)state;
    open_trackers(1, 0);
    for (int i = 0; i < 1000; i++) {
        sw_acks_open_new(acks[0], &bare, 0);
        sw_acks_close(acks[0]);
    }
    assert_int_equal(instances[0].acked, 1000);
    assert_int_equal(sw_acks_pending(acks[0]), 0);
}

static void a_message_about_an_earlier_try_is_dropped(void **state)
{
    (void)state;
    open_trackers(1, 0);
    sw_anchor first = give_one(0);
    sw_acks_take(acks[0], now_ms += TIMEOUT_MS);
    assert_int_equal(sw_acks_due(acks[0]), 1);
    assert_non_null(sw_acks_open_replay(acks[0]));
    sw_anchor second = sw_acks_draw(acks[0]);
    sw_acks_sent(acks[0], &second);
    sw_acks_close(acks[0]);
    read_one(1, first);
    sw_acks_take(acks[0], now_ms);
    assert_int_equal(sw_acks_pending(acks[0]), 1);
    read_one(1, second);
    sw_acks_take(acks[0], now_ms);
    assert_int_equal(sw_acks_pending(acks[0]), 0);
}

static void an_event_times_out_at_its_time_and_not_before(void **state)
{
    (void)state;
    open_trackers(1, 0);
    give_one(0);
    assert_int_equal(sw_acks_deadline_ms(acks[0]), now_ms + TIMEOUT_MS);
    sw_acks_take(acks[0], now_ms + TIMEOUT_MS - 1);
    assert_int_equal(sw_acks_due(acks[0]), 0);
    assert_false(sw_acks_is_due(acks[0], now_ms + TIMEOUT_MS - 1));
    assert_true(sw_acks_is_due(acks[0], now_ms + TIMEOUT_MS));
}

static void a_full_set_has_no_room_until_an_event_is_acknowledged(void **state)
{
    (void)state;
    open_trackers(1, 3);
    sw_anchor first = give_one(0);
    give_one(0);
    give_one(0);
    assert_int_equal(sw_acks_room(acks[0]), 0);
    read_one(1, first);
    assert_int_equal(sw_acks_room(acks[0]), 0);
    sw_acks_take(acks[0], now_ms);
    assert_int_equal(sw_acks_room(acks[0]), 1);
}

static uint32_t reports;

static void count_report(void *arg, const sw_acks *full)
{
    (void)full;
    assert_ptr_equal(arg, &reports);
    reports++;
}

static void a_full_set_that_nothing_leaves_is_reported_once(void **state)
{
    (void)state;
    open_trackers(1, 3);
    sw_acks_free(acks[0]);
    const sw_ack_options options = {
        .count = TRACKERS,
        .mails = mails,
        .settings = { .timeout_ms = 100 * TIMEOUT_MS },
        .pending_max = 1,
        .depth = 1,
        .instance = &instances[0],
        .on_full = count_report,
        .arg = &reports,
    };
    assert_int_equal(sw_acks_new(&acks[0], &options, NULL), SW_OK);
    reports = 0;
    sw_acks_take(acks[0], now_ms);
    give_one(0);
    sw_acks_take(acks[0], now_ms + 999);
    assert_int_equal(reports, 0);
    for (int i = 1000; i < 3000; i += 100) sw_acks_take(acks[0], now_ms + i);
    assert_int_equal(reports, 1);
}

static void the_position_is_that_of_the_oldest_pending_event(void **state)
{
    sw_anchor given_ones[5];
    (void)state;
    open_trackers(1, 0);
    assert_null(sw_acks_position(acks[0]));
    for (uint8_t i = 0; i < 5; i++) {
        assert_int_equal(sw_acks_mark(acks[0], &i, 1), SW_OK);
        given_ones[i] = give_one(0);
    }
    const uint8_t order[5] = { 1, 0, 4, 2, 3 }, oldest[5] = { 0, 2, 2, 3, 0 };
    for (int i = 0; i < 5; i++) {
        read_one(1, given_ones[order[i]]);
        sw_acks_take(acks[0], now_ms);
        const sw_buf *position = sw_acks_position(acks[0]);
        if (i == 4) assert_null(position);
        else assert_int_equal(position->data[0], oldest[i]);
    }
}

static void an_event_with_too_many_errors_is_hopeless(void **state)
{
    (void)state;
    open_trackers(1, 0);
    sw_acks_free(acks[0]);
    const sw_ack_options options = { .count = TRACKERS,
                                     .mails = mails,
                                     .settings = { .timeout_ms = TIMEOUT_MS, .errors_max = 2 },
                                     .depth = 1,
                                     .instance = instances };
    assert_int_equal(sw_acks_new(&acks[0], &options, NULL), SW_OK);
    for (int i = 0; i < 3; i++) {
        assert_false(sw_acks_is_hopeless(acks[0]));
        if (i == 0) sw_acks_open_new(acks[0], &bare, 0);
        else assert_non_null(sw_acks_open_replay(acks[0]));
        assert_true(sw_acks_fail(acks[0], SW_ERRED));
        sw_acks_close(acks[0]);
    }
    assert_true(sw_acks_is_hopeless(acks[0]));
}

/* What finds no memory is refused or dropped: nothing leaks, and no event counts as done. */
static void trackers_survive_every_allocation_failure(void **state)
{
    (void)state;
    open_trackers(1, 0);
    size_t live = sw_alloc_live();
    for (int n = 0; n < 40; n++) {
        sw_fault_fail_after(n);
        uint64_t id = sw_acks_open_new(acks[0], &bare, 0);
        if (id != 0) {
            sw_anchor anchor = sw_acks_draw(acks[0]);
            sw_acks_sent(acks[0], &anchor);
            sw_acks_close(acks[0]);
            read_one(1, anchor);
            sw_acks_take(acks[0], now_ms);
        }
        sw_fault_off();
    }
    sw_acks_take(acks[0], now_ms += TIMEOUT_MS);
    while (sw_acks_due(acks[0]) > 0) {
        assert_non_null(sw_acks_open_replay(acks[0]));
        sw_acks_close(acks[0]);
    }
    assert_int_equal(sw_acks_pending(acks[0]), 0);
    assert_true(sw_alloc_live() - live < 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_trees_are_acknowledged_once_and_never_early),
        cmocka_unit_test_teardown(an_event_that_stays_in_its_task_is_no_node, close_trackers),
        cmocka_unit_test_teardown(a_message_about_an_earlier_try_is_dropped, close_trackers),
        cmocka_unit_test_teardown(an_event_times_out_at_its_time_and_not_before, close_trackers),
        cmocka_unit_test_teardown(a_full_set_has_no_room_until_an_event_is_acknowledged, close_trackers),
        cmocka_unit_test_teardown(a_full_set_that_nothing_leaves_is_reported_once, close_trackers),
        cmocka_unit_test_teardown(the_position_is_that_of_the_oldest_pending_event, close_trackers),
        cmocka_unit_test_teardown(an_event_with_too_many_errors_is_hopeless, close_trackers),
        cmocka_unit_test_teardown(trackers_survive_every_allocation_failure, close_trackers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
