#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "run/channel.h"

#define BODY_MAX (4u << 20)

typedef struct test_row {
    sw_row row;        /* header */
    uint64_t id;       /* first 8 bytes of the body */
    uint8_t more[256]; /* further body */
} test_row;

typedef struct fixture {
    sw_channel *channel; /* under test */
    int data_wakes;      /* calls of on_data */
    int room_wakes;      /* calls of on_room */
} fixture;

static void count_wake(void *arg)
{
    ++*(int *)arg;
}

static void open_channel(fixture *f, uint32_t queue)
{
    *f = (fixture){ 0 };
    sw_channel_wake on_data = { count_wake, &f->data_wakes }, on_room = { count_wake, &f->room_wakes };
    assert_int_equal(sw_channel_new(&f->channel, queue, on_data, on_room, NULL), SW_OK);
}

static test_row make_row(sw_row_kind kind, uint64_t id)
{
    test_row r = { .row = { .kind = (uint8_t)kind, .body_len = 8, .len = sizeof(sw_row) + 8 }, .id = id };
    return r;
}

static int put_kind(sw_channel *channel, sw_row_kind kind, uint64_t id)
{
    test_row r = make_row(kind, id);
    return sw_channel_put(channel, &r.row, 0);
}

static int put(sw_channel *channel, uint64_t id)
{
    return put_kind(channel, SW_ROW_EVENT, id);
}

static int put_with_wm(sw_channel *channel, int64_t wm)
{
    test_row r = make_row(SW_ROW_EVENT, 0);
    return sw_channel_put(channel, &r.row, wm);
}

static const sw_row *first(const sw_batch *batch)
{
    return (const sw_row *)(const void *)batch->data;
}

static uint64_t id_of(const sw_row *row)
{
    uint64_t id;
    memcpy(&id, sw_row_body(row), sizeof(id));
    return id;
}

/* Pops every batch, checks that ids count up from `next`, and returns the id after the last. */
static uint64_t drain_in_order(sw_channel *channel, uint64_t next)
{
    for (const sw_batch *batch; (batch = sw_channel_front(channel)) != NULL; sw_channel_pop(channel)) {
        const sw_row *row = first(batch);
        for (uint32_t i = 0; i < batch->count; i++, row = sw_row_next(row)) assert_int_equal(id_of(row), next++);
    }
    return next;
}

static void rows_come_out_in_the_order_they_went_in_with_control_items_in_their_place(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 10000);
    static const sw_row_kind kinds[] = { SW_ROW_EVENT, SW_ROW_EVENT, SW_ROW_CONTROL, SW_ROW_EVENT, SW_ROW_WATERMARK };
    uint64_t next = 0;
    for (uint64_t i = 0; i < 5000; i++) {
        assert_int_equal(put_kind(f.channel, kinds[i % 5], i), SW_OK);
        if (i % 7 == 0) sw_channel_flush(f.channel);
        if (i % 31 == 0) next = drain_in_order(f.channel, next);
    }
    while (next < 5000) {
        sw_channel_flush(f.channel);
        next = drain_in_order(f.channel, next);
    }
    assert_int_equal(sw_channel_fill(f.channel), 0);
    sw_channel_free(f.channel);
}

static void a_burst_of_exactly_the_queue_fits_and_one_more_does_not(void **state)
{
    static const uint32_t queues[] = { 1, 2, 127, 128, 129, 1024, 5000 };
    (void)state;
    for (size_t q = 0; q < sizeof(queues) / sizeof(*queues); q++) {
        fixture f;
        open_channel(&f, queues[q]);
        for (uint32_t round = 0; round < 3; round++) {
            for (uint32_t i = 0; i < queues[q]; i++) {
                assert_true(sw_channel_has_room(f.channel));
                assert_int_equal(put(f.channel, i), SW_OK);
            }
            assert_false(sw_channel_has_room(f.channel));
            assert_int_equal(put(f.channel, 0), SW_EFULL);
            assert_int_equal(sw_channel_fill(f.channel), queues[q]);
            sw_channel_flush(f.channel);
            uint64_t next = drain_in_order(f.channel, 0);
            sw_channel_flush(f.channel);
            assert_int_equal(drain_in_order(f.channel, next), queues[q]);
        }
        assert_int_equal(sw_channel_queue(f.channel), queues[q]);
        sw_channel_free(f.channel);
    }
}

static void an_event_refused_as_too_many_leaves_the_channel_as_it_was(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 2);
    put(f.channel, 0);
    put(f.channel, 1);
    test_row r = make_row(SW_ROW_EVENT, 99);
    assert_int_equal(sw_channel_put(f.channel, &r.row, 500), SW_EFULL);
    assert_int_equal(sw_channel_put_keyed(f.channel, &r.row, 500, 7, (const uint8_t *)"k", 1), SW_EFULL);
    assert_true(sw_channel_flush(f.channel));
    const sw_batch *batch = sw_channel_front(f.channel);
    assert_int_equal(batch->count, 2);
    assert_int_equal(sw_row_next(first(batch))->wm, 0);
    sw_channel_pop(f.channel);
    assert_int_equal(sw_channel_put(f.channel, &r.row, 500), SW_OK);
    sw_channel_free(f.channel);
}

static void a_batch_being_read_counts_until_it_is_popped(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 1);
    put(f.channel, 0);
    sw_channel_flush(f.channel);
    assert_non_null(sw_channel_front(f.channel));
    assert_int_equal(put(f.channel, 1), SW_EFULL);
    assert_false(sw_channel_is_hungry(f.channel));
    sw_channel_pop(f.channel);
    assert_true(sw_channel_is_hungry(f.channel));
    assert_int_equal(put(f.channel, 1), SW_OK);
    sw_channel_free(f.channel);
}

static void control_rows_fit_into_a_full_channel(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 3);
    for (uint64_t i = 0; i < 3; i++) put(f.channel, i);
    for (uint64_t i = 3; i < 60; i++)
        assert_int_equal(put_kind(f.channel, i % 2 ? SW_ROW_CONTROL : SW_ROW_WATERMARK, i), SW_OK);
    assert_int_equal(sw_channel_fill(f.channel), 3); /* Only events count. */
    uint64_t next = 0;
    for (int i = 0; i < 60 && next < 60; i++) {
        next = drain_in_order(f.channel, next);
        sw_channel_flush(f.channel);
    }
    assert_int_equal(next, 60);
    sw_channel_free(f.channel);
}

static void the_open_batch_grows_while_no_slot_is_free_and_goes_out_whole_once_one_is(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 4096);
    for (uint64_t i = 0; i < SW_CHANNEL_SLOTS; i++) {
        put(f.channel, i);
        assert_true(sw_channel_flush(f.channel));
    }
    for (uint64_t i = SW_CHANNEL_SLOTS; i < 4096; i++) assert_int_equal(put(f.channel, i), SW_OK);
    assert_false(sw_channel_flush(f.channel));
    assert_true(sw_channel_has_unpublished(f.channel));
    assert_int_equal(put(f.channel, 0), SW_EFULL);
    assert_int_equal(id_of(first(sw_channel_front(f.channel))), 0);
    sw_channel_pop(f.channel);
    assert_true(sw_channel_flush(f.channel));
    assert_false(sw_channel_has_unpublished(f.channel));
    assert_int_equal(drain_in_order(f.channel, 1), 4096);
    sw_channel_free(f.channel);
}

static void a_full_batch_and_a_closing_row_publish_by_themselves(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 4096);
    for (uint64_t i = 0; i < SW_CHANNEL_BATCH; i++) {
        assert_null(sw_channel_front(f.channel));
        put(f.channel, i);
    }
    assert_int_equal(sw_channel_front(f.channel)->count, SW_CHANNEL_BATCH);
    sw_channel_pop(f.channel);
    put(f.channel, 0);
    put_kind(f.channel, SW_ROW_CONTROL, 1);
    assert_int_equal(sw_channel_front(f.channel)->count, 2);
    sw_channel_pop(f.channel);
    put_kind(f.channel, SW_ROW_END, 2);
    assert_int_equal(first(sw_channel_front(f.channel))->kind, SW_ROW_END);
    sw_channel_pop(f.channel);
    sw_channel_watermark(f.channel, 1000); /* Nothing follows END, not even this. */
    assert_false(sw_channel_has_unpublished(f.channel));
    assert_true(sw_channel_flush(f.channel));
    assert_null(sw_channel_front(f.channel));
    sw_channel_free(f.channel);
}

/* Control items put while no slot is free must still end the batch they come in. */
static void a_control_row_or_end_closes_its_batch_also_when_it_had_to_wait_for_a_slot(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 1000);
    uint64_t id = 0, next = 0;
    for (int i = 0; i < SW_CHANNEL_SLOTS; i++) {
        put(f.channel, id++);
        sw_channel_flush(f.channel);
    }
    for (int i = 0; i < 3; i++) {
        put(f.channel, id++);
        put_kind(f.channel, SW_ROW_CONTROL, id++);
        put_kind(f.channel, SW_ROW_CONTROL, id++);
    }
    put(f.channel, id++);
    put_kind(f.channel, SW_ROW_END, id++);
    int closers = 0;
    for (const sw_batch *batch; (batch = sw_channel_front(f.channel)) != NULL; sw_channel_flush(f.channel)) {
        const sw_row *row = first(batch);
        for (uint32_t i = 0; i < batch->count; i++, row = sw_row_next(row)) {
            assert_int_equal(id_of(row), next++);
            if (row->kind == SW_ROW_EVENT) continue;
            assert_int_equal(i, batch->count - 1);
            closers++;
        }
        sw_channel_pop(f.channel);
    }
    assert_int_equal(closers, 7);
    assert_int_equal(next, id);
    assert_int_equal(sw_channel_fill(f.channel), 0);
    sw_channel_free(f.channel);
}

static sw_row *big_row(uint32_t len)
{
    sw_row *row = sw_calloc(1, len);
    assert_non_null(row);
    row->len = len;
    row->body_len = len - (uint32_t)sizeof(*row);
    return row;
}

static void a_burst_of_exactly_the_byte_bound_fits_and_one_more_row_does_not(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 1000000);
    sw_row *row = big_row(BODY_MAX);
    for (uint32_t i = 0; i < SW_CHANNEL_BYTES_MAX / BODY_MAX; i++) {
        assert_true(sw_channel_has_room(f.channel));
        assert_int_equal(sw_channel_put(f.channel, row, 0), SW_OK);
        if (i == 1) sw_channel_flush(f.channel); /* Published and open bytes count alike. */
    }
    assert_false(sw_channel_has_room(f.channel));
    assert_int_equal(put(f.channel, 0), SW_EFULL);
    assert_int_equal(put_kind(f.channel, SW_ROW_CONTROL, 0), SW_OK);
    assert_non_null(sw_channel_front(f.channel));
    sw_channel_pop(f.channel);
    assert_true(sw_channel_has_room(f.channel));
    assert_int_equal(put(f.channel, 0), SW_OK);
    sw_channel_free(f.channel);
    sw_free(row);
}

static void one_row_above_the_byte_bound_fits_into_an_empty_channel_and_its_memory_is_given_back(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 1000);
    sw_row *row = big_row(SW_CHANNEL_BYTES_MAX + 4096);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sw_channel_put(f.channel, row, 0), SW_OK);
        assert_int_equal(put(f.channel, 0), SW_EFULL);
        assert_true(sw_channel_flush(f.channel));
        sw_batch *batch = sw_channel_front(f.channel);
        assert_int_equal(first(batch)->len, row->len);
        sw_channel_pop(f.channel);
        assert_true(batch->cap < SW_CHANNEL_BYTES_MAX);
    }
    sw_channel_free(f.channel);
    sw_free(row);
}

static void a_keyed_put_places_hash_and_key_behind_the_body_and_zeroes_the_padding(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 100);
    for (uint32_t key_len = 0; key_len < 20; key_len++) {
        test_row r = make_row(SW_ROW_EVENT, 5);
        r.row.body_len = 11;
        r.row.key_len = 3; /* An old key must go. */
        r.row.len = sw_row_size(11, 3);
        memset(r.more, 0xee, sizeof(r.more));
        const uint8_t *key = (const uint8_t *)"0123456789abcdefghijklmn";
        assert_int_equal(sw_channel_put_keyed(f.channel, &r.row, 77, 42, key, key_len), SW_OK);
        sw_channel_flush(f.channel);
        const sw_row *row = first(sw_channel_front(f.channel));
        assert_int_equal(row->hash, 42);
        assert_int_equal(row->wm, 77);
        assert_int_equal(row->key_len, key_len);
        assert_int_equal(row->len, sw_row_size(11, key_len));
        assert_memory_equal(sw_row_body(row), &r.id, 11);
        assert_memory_equal(sw_row_key(row), key, key_len);
        for (const uint8_t *p = sw_row_key(row) + key_len; p < (const uint8_t *)row + row->len; p++)
            assert_int_equal(*p, 0);
        sw_channel_pop(f.channel);
    }
    sw_channel_free(f.channel);
}

/* Puts a header and then writes the id behind it. */
static bool put_in_place(sw_channel *channel, uint64_t id, int64_t wm)
{
    test_row r = make_row(SW_ROW_EVENT, 0);
    sw_row *row = sw_channel_put_header(channel, &r.row, wm);
    if (row == NULL) return false;
    memcpy(sw_row_body(row), &id, sizeof(id));
    return true;
}

static void rows_written_in_place_keep_their_order_among_the_others(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 10000);
    for (uint64_t i = 0; i < 2000; i++) {
        if (i % 3 == 0) assert_int_equal(put(f.channel, i), SW_OK);
        else if (i % 301 == 0) assert_int_equal(put_kind(f.channel, SW_ROW_CONTROL, i), SW_OK);
        else assert_true(put_in_place(f.channel, i, 0));
    }
    for (uint64_t next = 0; next < 2000;) {
        sw_channel_flush(f.channel);
        next = drain_in_order(f.channel, next);
    }
    sw_channel_free(f.channel);
}

static void a_row_written_in_place_is_published_by_what_follows_it(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 4096);
    for (uint64_t i = 0; i < SW_CHANNEL_BATCH; i++) assert_true(put_in_place(f.channel, i, 7));
    assert_null(sw_channel_front(f.channel));
    assert_true(put_in_place(f.channel, SW_CHANNEL_BATCH, 7));
    const sw_batch *batch = sw_channel_front(f.channel);
    assert_int_equal(batch->count, SW_CHANNEL_BATCH);
    assert_int_equal(first(batch)->wm, 7);
    sw_channel_pop(f.channel);
    sw_channel_flush(f.channel);
    assert_int_equal(id_of(first(sw_channel_front(f.channel))), SW_CHANNEL_BATCH);
    sw_channel_free(f.channel);
}

static void a_full_channel_takes_no_row_to_be_written_in_place(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 2);
    assert_true(put_in_place(f.channel, 0, 0));
    assert_true(put_in_place(f.channel, 1, 0));
    assert_false(put_in_place(f.channel, 2, 0));
    sw_channel_flush(f.channel);
    assert_int_equal(drain_in_order(f.channel, 0), 2);
    assert_true(put_in_place(f.channel, 2, 0));
    sw_channel_free(f.channel);
}

static void a_raised_watermark_is_sent_once_and_only_if_no_row_carried_it(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 100);
    sw_channel_watermark(f.channel, 10);
    sw_channel_watermark(f.channel, 30);
    sw_channel_watermark(f.channel, 20);
    assert_true(sw_channel_has_unpublished(f.channel));
    assert_true(sw_channel_flush(f.channel));
    const sw_batch *batch = sw_channel_front(f.channel);
    assert_int_equal(batch->count, 1);
    assert_int_equal(first(batch)->kind, SW_ROW_WATERMARK);
    assert_int_equal(first(batch)->wm, 30);
    sw_channel_pop(f.channel);
    assert_true(sw_channel_flush(f.channel));
    assert_null(sw_channel_front(f.channel)); /* Not again. */

    sw_channel_watermark(f.channel, 40);
    put_with_wm(f.channel, 40);
    sw_channel_flush(f.channel);
    assert_int_equal(sw_channel_front(f.channel)->count, 1); /* The row carried it. */
    sw_channel_pop(f.channel);

    put_with_wm(f.channel, 40);
    sw_channel_watermark(f.channel, 50);
    sw_channel_flush(f.channel);
    batch = sw_channel_front(f.channel);
    assert_int_equal(batch->count, 2);
    assert_int_equal(first(batch)->wm, 40);
    assert_int_equal(sw_row_next(first(batch))->wm, 50);
    sw_channel_free(f.channel);
}

static void a_watermark_that_finds_no_slot_goes_out_later(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 100);
    for (uint64_t i = 0; i < SW_CHANNEL_SLOTS; i++) {
        put(f.channel, i);
        sw_channel_flush(f.channel);
    }
    sw_channel_watermark(f.channel, 9);
    assert_false(sw_channel_flush(f.channel));
    assert_false(sw_channel_flush(f.channel));
    drain_in_order(f.channel, 0);
    assert_true(sw_channel_flush(f.channel));
    assert_int_equal(sw_channel_front(f.channel)->count, 1);
    assert_int_equal(first(sw_channel_front(f.channel))->wm, 9);
    sw_channel_free(f.channel);
}

static void the_consumer_is_woken_once_per_sleep_and_only_when_it_sleeps(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 100);
    put(f.channel, 0);
    sw_channel_flush(f.channel);
    assert_int_equal(f.data_wakes, 0);             /* Awake. */
    assert_true(sw_channel_await_data(f.channel)); /* Something is there after all. */
    put(f.channel, 1);
    sw_channel_flush(f.channel);
    assert_int_equal(f.data_wakes, 0);
    drain_in_order(f.channel, 0);
    assert_false(sw_channel_await_data(f.channel));
    put(f.channel, 2);
    assert_int_equal(f.data_wakes, 0); /* Nothing is published yet. */
    sw_channel_flush(f.channel);
    assert_int_equal(f.data_wakes, 1);
    put(f.channel, 3);
    sw_channel_flush(f.channel);
    assert_int_equal(f.data_wakes, 1);
    drain_in_order(f.channel, 2);
    assert_false(sw_channel_await_data(f.channel));
    assert_null(sw_channel_front(f.channel)); /* Woken by something else, it looks: awake again. */
    put(f.channel, 4);
    sw_channel_flush(f.channel);
    assert_int_equal(f.data_wakes, 1);
    sw_channel_free(f.channel);
}

static void a_waiting_producer_is_woken_once_when_the_channel_is_half_empty(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 8);
    for (uint64_t i = 0; i < 8; i++) {
        assert_true(sw_channel_await_room(f.channel));
        put(f.channel, i);
        sw_channel_flush(f.channel);
    }
    assert_false(sw_channel_await_room(f.channel));
    for (int i = 1; i <= 8; i++) {
        assert_non_null(sw_channel_front(f.channel));
        sw_channel_pop(f.channel);
        assert_int_equal(f.room_wakes, i >= 4);
    }
    sw_channel_free(f.channel);
}

static void a_producer_that_went_on_by_itself_is_not_woken(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 4);
    for (uint64_t i = 0; i < 4; i++) {
        put(f.channel, i);
        sw_channel_flush(f.channel);
    }
    assert_false(sw_channel_await_room(f.channel));
    assert_non_null(sw_channel_front(f.channel));
    sw_channel_pop(f.channel);
    assert_int_equal(put(f.channel, 4), SW_OK);
    assert_int_equal(f.room_wakes, 0);
    drain_in_order(f.channel, 1);
    assert_int_equal(f.room_wakes, 0);
    sw_channel_free(f.channel);
}

static void a_waiting_producer_is_woken_at_the_last_pop_whatever_the_queue(void **state)
{
    (void)state;
    for (uint32_t queue = 1; queue < 20; queue++) {
        fixture f;
        open_channel(&f, queue);
        while (put(f.channel, 0) == SW_OK) continue;
        assert_true(sw_channel_has_unpublished(f.channel));
        assert_false(sw_channel_await_room(f.channel)); /* Publishes: nobody else could. */
        assert_false(sw_channel_has_unpublished(f.channel));
        assert_non_null(sw_channel_front(f.channel));
        sw_channel_pop(f.channel);
        assert_int_equal(f.room_wakes, 1);
        assert_int_equal(put(f.channel, 0), SW_OK);
        sw_channel_free(f.channel);
    }
}

/* All events lie in the open batch behind control rows that fill every slot: popping these must wake. */
static void a_producer_is_woken_also_when_all_events_are_still_unpublished(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 2);
    for (uint64_t i = 0; i < SW_CHANNEL_SLOTS; i++) put_kind(f.channel, SW_ROW_CONTROL, i);
    while (put(f.channel, 0) == SW_OK) continue;
    assert_false(sw_channel_await_room(f.channel));
    drain_in_order(f.channel, 0);
    assert_int_equal(f.room_wakes, 1);
    assert_false(sw_channel_await_room(f.channel));
    assert_int_equal(sw_channel_front(f.channel)->count, 2);
    sw_channel_pop(f.channel);
    assert_int_equal(f.room_wakes, 2);
    assert_true(sw_channel_has_room(f.channel));
    sw_channel_free(f.channel);
}

static void a_producer_that_waits_for_bytes_is_woken(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 1000000);
    sw_row *row = big_row(BODY_MAX);
    int rows = 0;
    for (; sw_channel_put(f.channel, row, 0) == SW_OK; rows++) sw_channel_flush(f.channel);
    assert_false(sw_channel_await_room(f.channel));
    for (int i = 1; i <= rows; i++) {
        assert_non_null(sw_channel_front(f.channel));
        sw_channel_pop(f.channel);
        assert_int_equal(f.room_wakes, i >= rows / 2);
    }
    sw_channel_free(f.channel);
    sw_free(row);
}

static void a_producer_that_ended_can_wait_for_the_slot_of_its_last_batch(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 100);
    for (uint64_t i = 0; i < SW_CHANNEL_SLOTS; i++) put_kind(f.channel, SW_ROW_CONTROL, i);
    put_kind(f.channel, SW_ROW_END, SW_CHANNEL_SLOTS);
    assert_false(sw_channel_await_room(f.channel));
    drain_in_order(f.channel, 0);
    assert_int_equal(f.room_wakes, 1);
    assert_true(sw_channel_await_room(f.channel));
    assert_int_equal(first(sw_channel_front(f.channel))->kind, SW_ROW_END);
    sw_channel_pop(f.channel);
    assert_int_equal(f.room_wakes, 1);
    sw_channel_free(f.channel);
}

static void a_channel_without_wakes_works_the_same(void **state)
{
    sw_channel *channel = NULL;
    sw_channel_wake nobody = { NULL, NULL };
    (void)state;
    assert_int_equal(sw_channel_new(&channel, 1, nobody, nobody, NULL), SW_OK);
    for (uint64_t i = 0; i < 100; i++) {
        assert_false(sw_channel_await_data(channel));
        assert_int_equal(put(channel, i), SW_OK);
        assert_false(sw_channel_await_room(channel));
        assert_int_equal(drain_in_order(channel, i), i + 1);
    }
    sw_channel_free(channel);
}

/* Both ends on one thread take turns: the buffer just read is the next to be written. */
static void memory_is_reused_in_the_steady_state(void **state)
{
    fixture f;
    (void)state;
    open_channel(&f, 1000);
    for (uint64_t i = 0; i < 100; i++) {
        put(f.channel, i);
        sw_channel_flush(f.channel);
        drain_in_order(f.channel, i);
    }
    sw_fault_fail_after(0);
    for (uint64_t i = 0; i < 10000; i++) {
        for (int k = 0; k < 50; k++) assert_int_equal(put(f.channel, i), SW_OK);
        sw_channel_flush(f.channel);
        while (sw_channel_front(f.channel) != NULL) sw_channel_pop(f.channel);
    }
    sw_fault_off();
    assert_false(sw_fault_hit());
    sw_channel_free(f.channel);
}

static void creation_survives_every_allocation_failure(void **state)
{
    sw_channel *channel = NULL;
    sw_channel_wake nobody = { NULL, NULL };
    (void)state;
    for (int n = 0;; n++) {
        size_t live_before = sw_alloc_live();
        sw_fault_fail_after(n);
        int rc = sw_channel_new(&channel, 8, nobody, nobody, NULL);
        sw_fault_off();
        if (rc == SW_OK) break;
        assert_int_equal(rc, SW_ENOMEM);
        assert_int_equal(sw_alloc_live(), live_before);
        assert_null(channel);
    }
    sw_channel_free(channel);
}

/* One run with retries: every refused put and flush is repeated and must then bring the very same result. */
static void fill_and_drain(sw_channel *channel)
{
    uint64_t id = 0;
    for (int i = 0; i < 400; i++) {
        sw_row_kind kind = i % 50 == 49 ? SW_ROW_CONTROL : SW_ROW_EVENT;
        int rc = put_kind(channel, kind, id);
        if (rc == SW_ENOMEM) rc = put_kind(channel, kind, id);
        assert_int_equal(rc, SW_OK);
        id++;
        if (i < SW_CHANNEL_SLOTS) sw_channel_flush(channel);
    }
    uint64_t next = 0;
    for (int i = 0; i < 40 && next < id; i++) {
        next = drain_in_order(channel, next);
        sw_channel_flush(channel);
    }
    assert_int_equal(next, id);
    sw_channel_watermark(channel, 1000);
    if (!sw_channel_flush(channel)) assert_true(sw_channel_flush(channel));
    assert_int_equal(first(sw_channel_front(channel))->wm, 1000);
    assert_int_equal(sw_channel_fill(channel), 0);
}

static void putting_and_flushing_survive_every_allocation_failure(void **state)
{
    (void)state;
    size_t live_before = sw_alloc_live();
    bool is_hit = true;
    int n = 0;
    for (; is_hit; n++) {
        fixture f;
        open_channel(&f, 1000);
        sw_fault_fail_after(n);
        fill_and_drain(f.channel);
        sw_fault_off();
        is_hit = sw_fault_hit();
        sw_channel_free(f.channel);
        assert_int_equal(sw_alloc_live(), live_before);
    }
#ifdef SW_FAULT
    assert_true(n > SW_CHANNEL_SLOTS);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_out_in_the_order_they_went_in_with_control_items_in_their_place),
        cmocka_unit_test(a_burst_of_exactly_the_queue_fits_and_one_more_does_not),
        cmocka_unit_test(an_event_refused_as_too_many_leaves_the_channel_as_it_was),
        cmocka_unit_test(a_batch_being_read_counts_until_it_is_popped),
        cmocka_unit_test(control_rows_fit_into_a_full_channel),
        cmocka_unit_test(the_open_batch_grows_while_no_slot_is_free_and_goes_out_whole_once_one_is),
        cmocka_unit_test(a_full_batch_and_a_closing_row_publish_by_themselves),
        cmocka_unit_test(a_control_row_or_end_closes_its_batch_also_when_it_had_to_wait_for_a_slot),
        cmocka_unit_test(a_burst_of_exactly_the_byte_bound_fits_and_one_more_row_does_not),
        cmocka_unit_test(one_row_above_the_byte_bound_fits_into_an_empty_channel_and_its_memory_is_given_back),
        cmocka_unit_test(a_keyed_put_places_hash_and_key_behind_the_body_and_zeroes_the_padding),
        cmocka_unit_test(rows_written_in_place_keep_their_order_among_the_others),
        cmocka_unit_test(a_row_written_in_place_is_published_by_what_follows_it),
        cmocka_unit_test(a_full_channel_takes_no_row_to_be_written_in_place),
        cmocka_unit_test(a_raised_watermark_is_sent_once_and_only_if_no_row_carried_it),
        cmocka_unit_test(a_watermark_that_finds_no_slot_goes_out_later),
        cmocka_unit_test(the_consumer_is_woken_once_per_sleep_and_only_when_it_sleeps),
        cmocka_unit_test(a_waiting_producer_is_woken_once_when_the_channel_is_half_empty),
        cmocka_unit_test(a_producer_that_went_on_by_itself_is_not_woken),
        cmocka_unit_test(a_waiting_producer_is_woken_at_the_last_pop_whatever_the_queue),
        cmocka_unit_test(a_producer_is_woken_also_when_all_events_are_still_unpublished),
        cmocka_unit_test(a_producer_that_waits_for_bytes_is_woken),
        cmocka_unit_test(a_producer_that_ended_can_wait_for_the_slot_of_its_last_batch),
        cmocka_unit_test(a_channel_without_wakes_works_the_same),
        cmocka_unit_test(memory_is_reused_in_the_steady_state),
        cmocka_unit_test(creation_survives_every_allocation_failure),
        cmocka_unit_test(putting_and_flushing_survive_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
