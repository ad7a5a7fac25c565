#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/hash.h"
#include "run/port.h"
#include "rows.h"

#define RECEIVERS 3
#define LONG_NS SW_FLUSH_AFTER_NS

typedef struct fixture {
    sw_channel *channels[RECEIVERS]; /* what the port sends to */
    sw_port port;                    /* under test */
    int64_t wm;                      /* of the sender */
    sw_batch rows[RECEIVERS];        /* read so far, by receiver */
} fixture;

static fixture f; /* of the test that runs */

static void open_channels(uint32_t queue)
{
    f = (fixture){ .wm = SW_TIME_MIN };
    for (int i = 0; i < RECEIVERS; i++)
        assert_int_equal(sw_channel_new(&f.channels[i], queue, (sw_channel_wake){ 0 }, (sw_channel_wake){ 0 }, NULL),
                         SW_OK);
}

static void open_port_of(const sw_edge *edge, uint32_t queue, uint32_t instance)
{
    open_channels(queue);
    assert_int_equal(sw_port_init(&f.port, edge, instance, f.channels, RECEIVERS, &f.wm, NULL), SW_OK);
}

static void open_port(sw_grouping grouping, uint32_t queue)
{
    sw_edge edge = { .grouping = grouping };
    open_port_of(&edge, queue, 0);
}

static int close_port(void **state)
{
    (void)state;
    sw_port_deinit(&f.port);
    for (int i = 0; i < RECEIVERS; i++) {
        sw_channel_free(f.channels[i]);
        sw_batch_deinit(&f.rows[i]);
    }
    return 0;
}

static int put(uint64_t id)
{
    test_row r = make_row(SW_ROW_EVENT, id);
    return sw_port_put(&f.port, &r.row, NULL);
}

static int put_to(uint64_t id, uint32_t instance)
{
    test_row r = make_row(SW_ROW_EVENT, id);
    return sw_port_put_to(&f.port, &r.row, instance);
}

/* Ids are their own keys modulo `keys`. */
static int put_key(uint64_t id, uint64_t keys)
{
    test_row r = make_row(SW_ROW_EVENT, id);
    sw_buf key = { 0 };
    assert_int_equal(sw_key_u64(&key, id % keys), SW_OK);
    int rc = sw_port_put_key(&f.port, &r.row, key.data, (uint32_t)key.size);
    sw_buf_deinit(&key);
    return rc;
}

static int put_over(uint64_t id, uint32_t instance)
{
    test_row r = make_row(SW_ROW_EVENT, id);
    return sw_port_put_over(&f.port, &r.row, (const uint8_t *)"k", 1, instance, NULL);
}

static void receive(void)
{
    for (int i = 0; i < RECEIVERS; i++) take_events(f.channels[i], &f.rows[i]);
}

static void assert_received(int receiver, uint32_t count, const uint64_t *ids)
{
    const sw_row *row = first_row(&f.rows[receiver]);
    assert_int_equal(f.rows[receiver].count, count);
    for (uint32_t i = 0; i < count; i++, row = sw_row_next(row)) assert_int_equal(id_of(row), ids[i]);
}

static void assert_each_receivers_ids_grow(void)
{
    for (int r = 0; r < RECEIVERS; r++) {
        const sw_row *row = first_row(&f.rows[r]);
        uint64_t last = 0;
        for (uint32_t i = 0; i < f.rows[r].count; i++, row = sw_row_next(row)) {
            if (i > 0) assert_true(id_of(row) > last);
            last = id_of(row);
        }
    }
}

/* Is there anything that a consumer could read now? Reads one batch of it. */
static bool take_batch(int receiver)
{
    if (sw_channel_front(f.channels[receiver]) == NULL) return false;
    sw_channel_pop(f.channels[receiver]);
    return true;
}

/* The watermark row that is all a receiver has got. */
static int64_t only_watermark(int receiver)
{
    const sw_batch *batch = sw_channel_front(f.channels[receiver]);
    assert_non_null(batch);
    assert_int_equal(batch->count, 1);
    assert_int_equal(first_row(batch)->kind, SW_ROW_WATERMARK);
    int64_t wm = first_row(batch)->wm;
    sw_channel_pop(f.channels[receiver]);
    return wm;
}

/* --- groupings ------------------------------------------------------------------------------------------ */

static void forward_sends_to_the_instance_of_the_same_number(void **state)
{
    sw_edge edge = { .grouping = SW_GROUPING_FORWARD };
    (void)state;
    open_port_of(&edge, 8, 1);
    for (uint64_t id = 0; id < 3; id++) assert_int_equal(put(id), SW_OK);
    receive();
    assert_received(0, 0, NULL);
    assert_received(1, 3, (uint64_t[]){ 0, 1, 2 });
    assert_received(2, 0, NULL);
}

static void global_sends_all_to_the_first_instance(void **state)
{
    sw_edge edge = { .grouping = SW_GROUPING_GLOBAL };
    (void)state;
    open_port_of(&edge, 8, 2);
    for (uint64_t id = 0; id < 3; id++) assert_int_equal(put(id), SW_OK);
    receive();
    assert_received(0, 3, (uint64_t[]){ 0, 1, 2 });
    assert_received(1, 0, NULL);
}

static void shuffle_gives_each_instance_as_many_events_within_one(void **state)
{
    (void)state;
    open_port(SW_GROUPING_SHUFFLE, 1000);
    for (uint64_t id = 0; id < 100; id++) {
        assert_int_equal(put(id), SW_OK);
        receive();
        uint32_t least = UINT32_MAX, most = 0;
        for (int r = 0; r < RECEIVERS; r++) {
            if (f.rows[r].count < least) least = f.rows[r].count;
            if (f.rows[r].count > most) most = f.rows[r].count;
        }
        assert_true(most - least <= 1);
    }
    assert_int_equal(f.rows[0].count + f.rows[1].count + f.rows[2].count, 100);
    assert_each_receivers_ids_grow();
}

static void a_full_instance_keeps_its_turn_in_the_shuffle(void **state)
{
    (void)state;
    open_port(SW_GROUPING_SHUFFLE, 1);
    for (uint64_t id = 0; id < 3; id++) assert_int_equal(put(id), SW_OK);
    for (int again = 0; again < 2; again++) assert_int_equal(put(3), SW_EFULL);
    receive();
    assert_int_equal(put(3), SW_OK);
    receive();
    assert_received(0, 2, (uint64_t[]){ 0, 3 });
    assert_received(1, 1, (uint64_t[]){ 1 });
    assert_received(2, 1, (uint64_t[]){ 2 });
}

static void senders_start_their_shuffles_at_different_instances(void **state)
{
    sw_edge edge = { .grouping = SW_GROUPING_SHUFFLE };
    (void)state;
    open_port_of(&edge, 8, 4);
    assert_int_equal(put(7), SW_OK);
    receive();
    assert_received(1, 1, (uint64_t[]){ 7 });
}

static void equal_keys_meet_in_one_channel_and_distinct_keys_spread(void **state)
{
    const uint64_t keys = 500;
    int home[500];
    uint32_t homes[RECEIVERS] = { 0 };
    (void)state;
    open_port(SW_GROUPING_KEY, 10000);
    for (uint64_t id = 0; id < 3 * keys; id++) assert_int_equal(put_key(id, keys), SW_OK);
    receive();
    for (uint64_t k = 0; k < keys; k++) home[k] = -1;
    for (int r = 0; r < RECEIVERS; r++) {
        const sw_row *row = first_row(&f.rows[r]);
        for (uint32_t i = 0; i < f.rows[r].count; i++, row = sw_row_next(row)) {
            uint64_t key = id_of(row) % keys;
            if (home[key] < 0) homes[r]++;
            else assert_int_equal(home[key], r);
            home[key] = r;
            assert_int_equal(row->hash, sw_hash(sw_row_key(row), row->key_len));
            assert_int_equal(sw_key_instance(row->hash, RECEIVERS), r);
        }
    }
    for (int r = 0; r < RECEIVERS; r++) assert_in_range(homes[r], 100, 240);
    assert_int_equal(homes[0] + homes[1] + homes[2], keys);
    assert_each_receivers_ids_grow();
}

/* A msgpack map { k: value, n: id }. */
static int put_map(uint8_t value, uint8_t id)
{
    struct {
        sw_row row;
        uint8_t body[8];
    } r = { .body = { 0x82, 0xa1, 'k', value, 0xa1, 'n', id } };
    r.row.len = sizeof(r);
    r.row.body_len = 7;
    return sw_port_put(&f.port, &r.row, NULL);
}

static void open_port_by_field(uint32_t queue)
{
    static char name[] = "k";
    static char *fields[] = { name };
    sw_edge edge = { .grouping = SW_GROUPING_KEY, .key_fields = fields, .key_field_count = 1 };
    open_port_of(&edge, queue, 0);
}

static void a_key_by_fields_is_read_from_the_row_and_sent_with_it(void **state)
{
    (void)state;
    open_port_by_field(100);
    for (uint8_t id = 0; id < 60; id++) assert_int_equal(put_map(id % 20, id), SW_OK);
    receive();
    uint32_t seen = 0;
    for (int r = 0; r < RECEIVERS; r++) {
        const sw_row *row = first_row(&f.rows[r]);
        for (uint32_t i = 0; i < f.rows[r].count; i++, row = sw_row_next(row), seen++) {
            assert_int_equal(row->key_len, 1);
            assert_int_equal(*sw_row_key(row), sw_row_body(row)[3]); /* a small integer is one byte */
            assert_int_equal(sw_key_instance(sw_hash(sw_row_key(row), 1), RECEIVERS), r);
        }
    }
    assert_int_equal(seen, 60);
}

static void a_field_that_cannot_be_a_key_is_refused_and_nothing_is_sent(void **state)
{
    sw_error err = { 0 };
    struct {
        sw_row row;
        uint8_t body[8];
    } r = { .body = { 0x81, 0xa1, 'k', 0x80 } }; /* { k: {} } */
    (void)state;
    open_port_by_field(8);
    r.row.len = sizeof(r);
    r.row.body_len = 4;
    assert_int_equal(sw_port_put(&f.port, &r.row, &err), SW_ETYPE);
    assert_non_null(strstr(err.text, "k"));
    receive();
    for (int i = 0; i < RECEIVERS; i++) assert_received(i, 0, NULL);
}

static void broadcast_sends_to_all_or_to_none(void **state)
{
    (void)state;
    open_port(SW_GROUPING_BROADCAST, 2);
    assert_int_equal(put(0), SW_OK);
    assert_int_equal(put(1), SW_OK);
    take_events(f.channels[0], &f.rows[0]);
    take_events(f.channels[2], &f.rows[2]);
    assert_int_equal(put(2), SW_EFULL);
    assert_false(sw_port_has_room(&f.port));
    receive();
    for (int r = 0; r < RECEIVERS; r++) assert_received(r, 2, (uint64_t[]){ 0, 1 });
    assert_true(sw_port_has_room(&f.port));
    assert_int_equal(put(2), SW_OK);
    receive();
    for (int r = 0; r < RECEIVERS; r++) assert_received(r, 3, (uint64_t[]){ 0, 1, 2 });
}

static void partition_sends_where_it_is_told_and_refuses_what_is_no_instance(void **state)
{
    (void)state;
    open_port(SW_GROUPING_PARTITION, 8);
    assert_int_equal(put_to(5, 2), SW_OK);
    assert_int_equal(put_to(6, 0), SW_OK);
    assert_int_equal(put_to(7, RECEIVERS), SW_EINVAL);
    assert_int_equal(put_over(7, RECEIVERS), SW_EINVAL);
    assert_int_equal(put(7), SW_EINVAL);
    receive();
    assert_received(0, 1, (uint64_t[]){ 6 });
    assert_received(1, 0, NULL);
    assert_received(2, 1, (uint64_t[]){ 5 });
}

/* --- room ----------------------------------------------------------------------------------------------- */

static void the_port_waits_for_the_instance_that_was_full(void **state)
{
    (void)state;
    open_port(SW_GROUPING_PARTITION, 1);
    assert_int_equal(put_to(0, 0), SW_OK);
    assert_int_equal(put_to(1, 1), SW_OK);
    assert_int_equal(put_to(2, 1), SW_EFULL);
    take_events(f.channels[0], &f.rows[0]);
    assert_false(sw_port_has_room(&f.port));
    assert_false(sw_port_await_room(&f.port));
    assert_true(take_batch(1)); /* Waiting has published what was open. */
    assert_true(sw_port_has_room(&f.port));
    assert_true(sw_port_await_room(&f.port));
}

static bool put_in_place(uint64_t id, uint32_t instance)
{
    test_row r = make_row(SW_ROW_EVENT, 0);
    sw_row *row = sw_port_put_header(&f.port, &r.row, instance);
    if (row == NULL) return false;
    memcpy(sw_row_body(row), &id, sizeof(id));
    return true;
}

static void rows_written_in_place_go_where_their_grouping_says(void **state)
{
    static const uint64_t ids[] = { 0, 1, 2 };
    static const struct {
        sw_grouping grouping;
        uint32_t counts[RECEIVERS]; /* of three rows sent by instance 0, to instance 2 where that is asked */
    } cases[] = {
        { SW_GROUPING_FORWARD, { 3, 0, 0 } },
        { SW_GROUPING_GLOBAL, { 3, 0, 0 } },
        { SW_GROUPING_SHUFFLE, { 1, 1, 1 } },
        { SW_GROUPING_PARTITION, { 0, 0, 3 } },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_port(cases[i].grouping, 8);
        for (uint64_t id = 0; id < 3; id++) assert_true(put_in_place(id, 2));
        receive();
        for (int r = 0; r < RECEIVERS; r++)
            assert_received(r, cases[i].counts[r], cases[i].counts[r] == 1 ? &ids[r] : ids);
        close_port(state);
    }
    open_port(SW_GROUPING_PARTITION, 8);
    assert_false(put_in_place(0, RECEIVERS));
}

static void no_row_is_written_in_place_where_its_key_or_copies_are_needed(void **state)
{
    (void)state;
    open_port(SW_GROUPING_BROADCAST, 8);
    assert_false(put_in_place(0, 0));
    close_port(state);
    open_port(SW_GROUPING_KEY, 8);
    assert_false(put_in_place(0, 0));
}

static void no_row_written_in_place_passes_those_over_the_bound(void **state)
{
    (void)state;
    open_port(SW_GROUPING_GLOBAL, 1);
    assert_int_equal(put(0), SW_OK);
    assert_int_equal(put_over(1, 0), SW_OK);
    receive();
    assert_false(put_in_place(2, 0));
    assert_int_equal(sw_port_drain(&f.port), SW_OK);
    receive();
    assert_true(put_in_place(2, 0));
    receive();
    assert_received(0, 3, (uint64_t[]){ 0, 1, 2 });
}

static void rows_over_the_bound_go_before_what_is_put_later(void **state)
{
    (void)state;
    open_port(SW_GROUPING_FORWARD, 2);
    assert_int_equal(put(0), SW_OK);
    assert_int_equal(put(1), SW_OK);
    for (uint64_t id = 2; id < 7; id++) assert_int_equal(put_over(id, 0), SW_OK);
    assert_int_equal(put(7), SW_EFULL);
    assert_int_equal(sw_port_drain(&f.port), SW_EFULL);
    assert_false(sw_port_has_room(&f.port));
    take_events(f.channels[0], &f.rows[0]);
    assert_int_equal(put(7), SW_EFULL); /* Room for two, and five wait. */
    take_events(f.channels[0], &f.rows[0]);
    assert_int_equal(sw_port_drain(&f.port), SW_EFULL);
    take_events(f.channels[0], &f.rows[0]);
    assert_int_equal(put(7), SW_OK);
    receive();
    assert_received(0, 8, (uint64_t[]){ 0, 1, 2, 3, 4, 5, 6, 7 });
}

static void rows_over_the_bound_go_where_their_grouping_says(void **state)
{
    (void)state;
    open_port(SW_GROUPING_PARTITION, 8);
    assert_int_equal(put_over(5, 2), SW_OK);
    assert_int_equal(sw_port_drain(&f.port), SW_OK);
    receive();
    assert_received(2, 1, (uint64_t[]){ 5 });
}

static void rows_over_the_bound_take_their_turn_in_the_shuffle(void **state)
{
    (void)state;
    open_port(SW_GROUPING_SHUFFLE, 8);
    assert_int_equal(put(0), SW_OK);
    assert_int_equal(put_over(1, 0), SW_OK);
    assert_int_equal(put(2), SW_OK);
    receive();
    for (uint64_t r = 0; r < RECEIVERS; r++) assert_received((int)r, 1, (uint64_t[]){ r });
}

static void a_row_over_the_bound_keeps_its_key(void **state)
{
    uint64_t hash = sw_hash("k", 1);
    int home = (int)sw_key_instance(hash, RECEIVERS);
    (void)state;
    open_port(SW_GROUPING_KEY, 8);
    assert_int_equal(put_over(5, 0), SW_OK);
    assert_int_equal(sw_port_drain(&f.port), SW_OK);
    receive();
    assert_received(home, 1, (uint64_t[]){ 5 });
    const sw_row *row = first_row(&f.rows[home]);
    assert_int_equal(row->hash, hash);
    assert_int_equal(row->key_len, 1);
    assert_int_equal(*sw_row_key(row), 'k');
    assert_int_equal(row->len, sw_row_size(8, 1));
    for (uint32_t i = 1; i < 8; i++) assert_int_equal(sw_row_key(row)[i], 0);
}

static void the_bound_can_be_passed_by_so_many_rows_and_no_more(void **state)
{
    (void)state;
    open_port(SW_GROUPING_FORWARD, 1);
    for (uint64_t id = 0; id < SW_OVERFLOW_ROWS; id++) assert_int_equal(put_over(id, 0), SW_OK);
    assert_int_equal(put_over(SW_OVERFLOW_ROWS, 0), SW_EFULL);
    assert_int_equal(sw_port_drain(&f.port), SW_EFULL);
    assert_int_equal(put_over(SW_OVERFLOW_ROWS, 0), SW_EFULL);
    while (sw_port_drain(&f.port) == SW_EFULL) take_events(f.channels[0], &f.rows[0]);
    assert_int_equal(put_over(SW_OVERFLOW_ROWS, 0), SW_OK);
    while (sw_port_drain(&f.port) == SW_EFULL) take_events(f.channels[0], &f.rows[0]);
    receive();
    assert_int_equal(f.rows[0].count, SW_OVERFLOW_ROWS + 1);
    assert_each_receivers_ids_grow();
}

static void a_broadcast_over_the_bound_is_taken_for_all_or_for_none(void **state)
{
    (void)state;
    open_port(SW_GROUPING_BROADCAST, SW_OVERFLOW_ROWS);
    uint64_t taken = 0;
    while (put_over(taken, 0) == SW_OK) taken++;
    assert_int_equal(taken, SW_OVERFLOW_ROWS / RECEIVERS);
    assert_int_equal(sw_port_drain(&f.port), SW_OK);
    receive();
    for (int r = 0; r < RECEIVERS; r++) assert_int_equal(f.rows[r].count, taken);
}

static void a_watermark_does_not_pass_rows_over_the_bound(void **state)
{
    (void)state;
    open_port(SW_GROUPING_FORWARD, 1);
    assert_int_equal(put(0), SW_OK);
    assert_int_equal(put_over(1, 0), SW_OK);
    f.wm = 500;
    assert_false(sw_port_flush(&f.port, LONG_NS, true));
    uint64_t events = 0;
    int64_t wm = SW_TIME_MIN;
    while (sw_channel_front(f.channels[0]) != NULL) {
        const sw_batch *batch = sw_channel_front(f.channels[0]);
        const sw_row *row = first_row(batch);
        for (uint32_t i = 0; i < batch->count; i++, row = sw_row_next(row)) {
            if (row->wm > wm) wm = row->wm;
            if (row->kind != SW_ROW_EVENT) continue;
            assert_int_equal(id_of(row), events++);
            assert_int_equal(wm, SW_TIME_MIN);
        }
        sw_channel_pop(f.channels[0]);
        sw_port_flush(&f.port, LONG_NS, true);
    }
    assert_int_equal(events, 2);
    assert_int_equal(wm, 500);
}

/* --- flushing ------------------------------------------------------------------------------------------- */

static void a_flush_publishes_what_hungry_consumers_wait_for(void **state)
{
    (void)state;
    open_port(SW_GROUPING_PARTITION, 8);
    put_to(0, 0);
    put_to(1, 1);
    assert_true(sw_port_flush(&f.port, 1, false));
    assert_true(take_batch(0));
    put_to(2, 0);
    put_to(3, 1);
    assert_false(sw_port_flush(&f.port, 2, false)); /* Instance 1 still has one to read ... */
    assert_true(take_batch(0));
    assert_true(take_batch(1));
    assert_false(take_batch(1)); /* ... and did not get the other. */
    assert_true(sw_port_flush(&f.port, 3, false));
    assert_true(take_batch(1));
}

static void a_flush_publishes_what_has_lain_for_long(void **state)
{
    (void)state;
    open_port(SW_GROUPING_FORWARD, 8);
    put(0);
    assert_true(sw_port_flush(&f.port, 10, false));
    put(1);
    assert_false(sw_port_flush(&f.port, 20, false));
    assert_false(sw_port_flush(&f.port, 20 + LONG_NS - 1, false));
    assert_true(sw_port_flush(&f.port, 20 + LONG_NS, false));
    put(2);
    assert_false(sw_port_flush(&f.port, 21 + LONG_NS, false)); /* Counted anew. */
    assert_int_equal(f.port.open_since_ns, 21 + LONG_NS);
    for (int i = 0; i < 2; i++) assert_true(take_batch(0));
    assert_false(take_batch(0));
}

static void a_flush_of_all_publishes_all(void **state)
{
    (void)state;
    open_port(SW_GROUPING_BROADCAST, 8);
    put(0);
    assert_true(sw_port_flush(&f.port, 1, false));
    put(1);
    assert_true(sw_port_flush(&f.port, 1, true));
    for (int r = 0; r < RECEIVERS; r++)
        for (int i = 0; i < 2; i++) assert_true(take_batch(r));
}

static void what_no_slot_is_free_for_stays_noted_also_at_time_zero(void **state)
{
    (void)state;
    open_port(SW_GROUPING_FORWARD, 100);
    for (uint64_t id = 0; id < SW_CHANNEL_SLOTS; id++) {
        put(id);
        assert_true(sw_port_flush(&f.port, 0, true));
    }
    put(99);
    assert_false(sw_port_flush(&f.port, 0, true));
    assert_true(f.port.open_since_ns != 0);
    assert_true(take_batch(0));
    assert_true(sw_port_flush(&f.port, 0, true));
    assert_int_equal(f.port.open_since_ns, 0);
}

static void a_watermark_reaches_every_channel(void **state)
{
    static const sw_grouping groupings[] = { SW_GROUPING_SHUFFLE, SW_GROUPING_KEY, SW_GROUPING_BROADCAST,
                                             SW_GROUPING_GLOBAL, SW_GROUPING_PARTITION };
    (void)state;
    for (int g = 0; g < 5; g++) {
        open_port(groupings[g], 8);
        f.wm = 700;
        assert_true(sw_port_flush(&f.port, 1, false));
        for (int r = 0; r < RECEIVERS; r++) assert_int_equal(only_watermark(r), 700);
        assert_true(sw_port_flush(&f.port, 2, true));
        for (int r = 0; r < RECEIVERS; r++) assert_null(sw_channel_front(f.channels[r]));
        if (g < 4) close_port(NULL);
    }
}

static void a_watermark_waits_for_rows_that_a_task_amid_a_batch_holds(void **state)
{
    (void)state;
    open_port(SW_GROUPING_GLOBAL, 8);
    f.wm = 100;
    f.port.is_amid = true;
    assert_true(sw_port_flush(&f.port, 1, true));
    for (int r = 0; r < RECEIVERS; r++) assert_null(sw_channel_front(f.channels[r]));
    f.port.is_amid = false;
    assert_true(sw_port_flush(&f.port, 2, true));
    for (int r = 0; r < RECEIVERS; r++) assert_int_equal(only_watermark(r), 100);
}

static void an_event_carries_the_watermark_that_stood_when_it_was_put(void **state)
{
    (void)state;
    open_port(SW_GROUPING_GLOBAL, 8);
    f.wm = 100;
    put(0);
    f.wm = 200;
    put(1);
    assert_true(sw_port_flush(&f.port, 1, true));
    const sw_row *row = first_row(sw_channel_front(f.channels[0]));
    assert_int_equal(row->wm, 100);
    assert_int_equal(sw_row_next(row)->wm, 200);
    assert_int_equal(only_watermark(1), 200);
}

static void a_control_row_goes_to_every_channel_though_it_is_full(void **state)
{
    (void)state;
    open_port(SW_GROUPING_SHUFFLE, 1);
    for (uint64_t id = 0; id < RECEIVERS; id++) assert_int_equal(put(id), SW_OK);
    test_row r = make_row(SW_ROW_CONTROL, 9);
    assert_int_equal(sw_port_put_control(&f.port, &r.row), SW_OK);
    for (int i = 0; i < RECEIVERS; i++) {
        const sw_batch *batch = sw_channel_front(f.channels[i]);
        assert_non_null(batch); /* It closes its batch, which is then worth publishing. */
        assert_int_equal(batch->count, 2);
        const sw_row *second = sw_row_next(first_row(batch));
        assert_int_equal(second->kind, SW_ROW_CONTROL);
        assert_int_equal(id_of(second), 9);
    }
}

static void a_port_survives_every_allocation_failure(void **state)
{
    static char name[] = "k";
    char *fields[] = { name };
    sw_edge edge = { .grouping = SW_GROUPING_KEY, .key_fields = fields, .key_field_count = 1 };
    (void)state;
    open_channels(8);
    size_t live_before = sw_alloc_live();
    for (int n = 0;; n++) {
        sw_fault_fail_after(n);
        int rc = sw_port_init(&f.port, &edge, 0, f.channels, RECEIVERS, &f.wm, NULL);
        sw_fault_off();
        if (rc == SW_OK) break;
        assert_int_equal(rc, SW_ENOMEM);
        assert_int_equal(sw_alloc_live(), live_before);
    }
}

#define TEST(name) cmocka_unit_test_teardown(name, close_port)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(forward_sends_to_the_instance_of_the_same_number),
        TEST(global_sends_all_to_the_first_instance),
        TEST(shuffle_gives_each_instance_as_many_events_within_one),
        TEST(a_full_instance_keeps_its_turn_in_the_shuffle),
        TEST(senders_start_their_shuffles_at_different_instances),
        TEST(equal_keys_meet_in_one_channel_and_distinct_keys_spread),
        TEST(a_key_by_fields_is_read_from_the_row_and_sent_with_it),
        TEST(a_field_that_cannot_be_a_key_is_refused_and_nothing_is_sent),
        TEST(broadcast_sends_to_all_or_to_none),
        TEST(partition_sends_where_it_is_told_and_refuses_what_is_no_instance),
        TEST(the_port_waits_for_the_instance_that_was_full),
        TEST(rows_written_in_place_go_where_their_grouping_says),
        TEST(no_row_is_written_in_place_where_its_key_or_copies_are_needed),
        TEST(no_row_written_in_place_passes_those_over_the_bound),
        TEST(rows_over_the_bound_go_before_what_is_put_later),
        TEST(rows_over_the_bound_go_where_their_grouping_says),
        TEST(rows_over_the_bound_take_their_turn_in_the_shuffle),
        TEST(a_row_over_the_bound_keeps_its_key),
        TEST(the_bound_can_be_passed_by_so_many_rows_and_no_more),
        TEST(a_broadcast_over_the_bound_is_taken_for_all_or_for_none),
        TEST(a_watermark_does_not_pass_rows_over_the_bound),
        TEST(a_flush_publishes_what_hungry_consumers_wait_for),
        TEST(a_flush_publishes_what_has_lain_for_long),
        TEST(a_flush_of_all_publishes_all),
        TEST(what_no_slot_is_free_for_stays_noted_also_at_time_zero),
        TEST(a_watermark_reaches_every_channel),
        TEST(a_watermark_waits_for_rows_that_a_task_amid_a_batch_holds),
        TEST(an_event_carries_the_watermark_that_stood_when_it_was_put),
        TEST(a_control_row_goes_to_every_channel_though_it_is_full),
        TEST(a_port_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
