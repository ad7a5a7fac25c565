/* Two threads drive a channel and sleep on condition variables. A lost wake shows as a hang, which alarm() ends. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/rng.h"
#include "run/channel.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ROWS 1000000
#else
#define ROWS 10000000
#endif
#define BODY_WORDS_MAX 16
#define HANG_SECONDS 300

typedef struct sleeper {
    pthread_mutex_t lock; /* guards is_woken */
    pthread_cond_t cond;  /* signalled when is_woken becomes true */
    bool is_woken;        /* a wake came since the last sleep ended, maybe before it began */
    uint64_t sleeps;      /* the sleeper's: how often it said that it waits */
    uint64_t wakes;       /* how often it was woken; under lock */
} sleeper;

typedef struct ends {
    sw_channel *channel;    /* under test */
    uint64_t rows;          /* events to send */
    uint32_t flush_one_in;  /* a random flush after one row in so many */
    sleeper consumer;       /* woken by on_data */
    sleeper producer;       /* woken by on_room */
    uint64_t sum_put;       /* of all body words, by the producer */
    uint64_t sum_read;      /* of all body words, by the consumer */
    uint64_t events_read;   /* event rows read */
    uint64_t controls_put;  /* control rows put */
    uint64_t controls_read; /* control rows read */
    uint64_t faults;        /* rows out of order, watermarks going back, rows behind a closing one */
} ends;

typedef struct test_row {
    sw_row row;                    /* header */
    uint64_t body[BODY_WORDS_MAX]; /* the sequence number, then random words */
} test_row;

static void wake(void *arg)
{
    sleeper *s = arg;
    pthread_mutex_lock(&s->lock);
    s->is_woken = true;
    s->wakes++;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->lock);
}

static void sleep_until_woken(sleeper *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->is_woken) pthread_cond_wait(&s->cond, &s->lock);
    s->is_woken = false;
    pthread_mutex_unlock(&s->lock);
}

static void put_or_wait(ends *e, const sw_row *row, int64_t wm)
{
    while (sw_channel_put(e->channel, row, wm) == SW_EFULL) {
        e->producer.sleeps++;
        if (!sw_channel_await_room(e->channel)) sleep_until_woken(&e->producer);
    }
}

static void flush_or_wait(ends *e)
{
    while (!sw_channel_flush(e->channel)) {
        e->producer.sleeps++;
        if (!sw_channel_await_room(e->channel)) sleep_until_woken(&e->producer);
    }
}

static void put_random_event(ends *e, sw_rng *rng, uint64_t number, int64_t wm)
{
    test_row r = { .row = { .kind = SW_ROW_EVENT } };
    uint32_t words = 1 + (uint32_t)sw_rng_below(rng, BODY_WORDS_MAX - 1);
    r.body[0] = number;
    for (uint32_t i = 1; i < words; i++) r.body[i] = sw_rng_next(rng);
    for (uint32_t i = 0; i < words; i++) e->sum_put += r.body[i];
    r.row.body_len = 8 * words;
    r.row.len = sw_row_size(r.row.body_len, 0);
    put_or_wait(e, &r.row, wm);
}

static void put_control(ends *e, sw_row_kind kind, int64_t wm)
{
    test_row r = { .row = { .kind = (uint8_t)kind, .body_len = 8, .len = sizeof(sw_row) + 8 } };
    if (kind == SW_ROW_CONTROL) r.body[0] = e->controls_put++;
    if (sw_channel_put(e->channel, &r.row, wm) != SW_OK) e->faults++;
}

static void *produce(void *arg)
{
    ends *e = arg;
    sw_rng rng;
    int64_t wm = 0;
    sw_rng_seed(&rng, e->rows);
    for (uint64_t i = 0; i < e->rows; i++) {
        put_random_event(e, &rng, i, wm);
        uint64_t dice = sw_rng_next(&rng);
        if (dice % 1000 == 0) put_control(e, SW_ROW_CONTROL, wm);
        if (dice / 1000 % 100 == 0) sw_channel_watermark(e->channel, ++wm);
        if (dice / 100000 % e->flush_one_in == 0) sw_channel_flush(e->channel);
    }
    put_control(e, SW_ROW_END, wm);
    flush_or_wait(e);
    return NULL;
}

/* True when the row was the END. */
static bool check_row(ends *e, const sw_row *row, bool is_last, int64_t *wm)
{
    const uint64_t *body = (const uint64_t *)(const void *)sw_row_body(row);
    if (row->wm < *wm) e->faults++;
    *wm = row->wm;
    if (row->kind == SW_ROW_EVENT) {
        if (body[0] != e->events_read++) e->faults++;
        for (uint32_t i = 0; i < row->body_len / 8; i++) e->sum_read += body[i];
        return false;
    }
    if (row->kind == SW_ROW_WATERMARK) return false;
    if (!is_last) e->faults++;
    if (row->kind == SW_ROW_END) return true;
    if (body[0] != e->controls_read++) e->faults++;
    return false;
}

static void *consume(void *arg)
{
    ends *e = arg;
    int64_t wm = 0;
    bool is_ended = false;
    while (!is_ended) {
        const sw_batch *batch = sw_channel_front(e->channel);
        if (batch == NULL) {
            e->consumer.sleeps++;
            if (!sw_channel_await_data(e->channel)) sleep_until_woken(&e->consumer);
            continue;
        }
        const sw_row *row = (const sw_row *)(const void *)batch->data;
        for (uint32_t i = 0; i < batch->count; i++, row = sw_row_next(row))
            is_ended = check_row(e, row, i + 1 == batch->count, &wm);
        sw_channel_pop(e->channel);
    }
    return NULL;
}

static void init_sleeper(sleeper *s)
{
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->cond, NULL);
}

static void deinit_sleeper(sleeper *s)
{
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->lock);
}

static void run_through(uint32_t queue, uint64_t rows, uint32_t flush_one_in)
{
    pthread_t producer, consumer;
    ends e = { .rows = rows, .flush_one_in = flush_one_in };
    init_sleeper(&e.consumer);
    init_sleeper(&e.producer);
    sw_channel_wake on_data = { wake, &e.consumer }, on_room = { wake, &e.producer };
    assert_int_equal(sw_channel_new(&e.channel, queue, on_data, on_room, NULL), SW_OK);
    alarm(HANG_SECONDS);
    assert_int_equal(pthread_create(&consumer, NULL, consume, &e), 0);
    assert_int_equal(pthread_create(&producer, NULL, produce, &e), 0);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    alarm(0);
    assert_int_equal(e.faults, 0);
    assert_int_equal(e.events_read, rows);
    assert_int_equal(e.controls_read, e.controls_put);
    assert_int_equal(e.sum_read, e.sum_put);
    assert_int_equal(sw_channel_fill(e.channel), 0);
    assert_true(e.consumer.wakes <= e.consumer.sleeps); /* At most once per wait. */
    assert_true(e.producer.wakes <= e.producer.sleeps);
    sw_channel_free(e.channel);
    deinit_sleeper(&e.consumer);
    deinit_sleeper(&e.producer);
}

static void all_rows_cross_in_order_with_full_and_partial_batches(void **state)
{
    (void)state;
    run_through(1024, ROWS, 100);
}

static void all_rows_cross_a_queue_of_a_few_events(void **state)
{
    (void)state;
    run_through(7, ROWS / 50, 3);
}

static void all_rows_cross_a_queue_of_one_event(void **state)
{
    (void)state;
    run_through(1, ROWS / 100, 10);
}

static void a_queue_above_what_the_slots_hold_crosses_in_grown_batches(void **state)
{
    (void)state;
    run_through(100000, ROWS / 10, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_rows_cross_in_order_with_full_and_partial_batches),
        cmocka_unit_test(all_rows_cross_a_queue_of_a_few_events),
        cmocka_unit_test(all_rows_cross_a_queue_of_one_event),
        cmocka_unit_test(a_queue_above_what_the_slots_hold_crosses_in_grown_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
