/* A source on one thread and two readers on others: every event is acknowledged by both, some only when they are
 * replayed. A lost wake shows as a hang, which alarm() ends. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "run/ack.h"
#include "run/channel.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define EVENTS 50000
#else
#define EVENTS 500000
#endif
#define READERS 2
#define QUEUE 64
#define FAIL_ONE_IN 100
#define HANG_SECONDS 300

typedef struct reader {
    pthread_t thread;
    sw_channel *channel;
    sw_acks *acks;
    uint64_t read; /* rows */
    uint64_t failed;
} reader;

static sw_ack_mail *mails[READERS + 1];
static sw_instance instances[READERS + 1];
static reader readers[READERS];
static sw_acks *source;
static sem_t wakes;

static void wake_source(void *arg)
{
    sem_post(arg);
}

static sw_acks *open_tracker(uint32_t number)
{
    sw_acks *acks;
    const sw_ack_options options = {
        .number = number,
        .count = READERS + 1,
        .mails = mails,
        .seed = 7,
        .settings = { .timeout_ms = 1000000, .errors_max = UINT32_MAX },
        .pending_max = 1000,
        .depth = 2,
        .instance = &instances[number],
        .wake = { .fn = number == 0 ? wake_source : NULL, .arg = &wakes },
    };
    assert_int_equal(sw_acks_new(&acks, &options, NULL), SW_OK);
    return acks;
}

static bool read_batch(reader *r, sw_rng *rng, const sw_batch *batch)
{
    const sw_row *row = (const sw_row *)(const void *)batch->data;
    for (uint32_t i = 0; i < batch->count; i++, row = sw_row_next(row)) {
        if (row->kind == SW_ROW_END) return false;
        sw_acks_open_row(r->acks, row);
        r->read++;
        if (sw_rng_below(rng, FAIL_ONE_IN) == 0 && sw_acks_fail(r->acks, SW_ERRED)) r->failed++;
        sw_acks_close(r->acks);
    }
    return true;
}

static void *read_all(void *arg)
{
    reader *r = arg;
    sw_rng rng;
    sw_rng_seed(&rng, (uint64_t)(r - readers));
    for (bool is_open = true; is_open;) {
        const sw_batch *batch = sw_channel_front(r->channel);
        if (batch == NULL) {
            sched_yield();
            continue;
        }
        is_open = read_batch(r, &rng, batch);
        sw_channel_pop(r->channel);
        sw_acks_send(r->acks);
    }
    return NULL;
}

static void send_to_all(const sw_row *row)
{
    static const uint8_t no_key[1];
    for (int i = 0; i < READERS; i++) {
        const sw_anchor anchor = sw_acks_draw(source);
        while (sw_channel_put_anchored(readers[i].channel, row, 0, 0, no_key, 0, &anchor) == SW_EFULL) {
            sw_channel_flush(readers[i].channel);
            sched_yield();
        }
        sw_acks_sent(source, &anchor);
    }
}

static void replay_due(void)
{
    const sw_row *row;
    while ((row = sw_acks_open_replay(source)) != NULL) {
        send_to_all(row);
        sw_acks_close(source);
    }
}

static void sleep_until_acknowledged(void)
{
    for (int i = 0; i < READERS; i++) sw_channel_flush(readers[i].channel);
    if (!sw_acks_await(source)) sem_wait(&wakes);
}

static void every_event_is_acknowledged_by_readers_on_other_threads(void **state)
{
    const sw_row event = { .len = sizeof(event) };
    const sw_row end = { .len = sizeof(end), .kind = SW_ROW_END };
    uint64_t given = 0;
    (void)state;
    alarm(HANG_SECONDS);
    sem_init(&wakes, 0, 0);
    source = open_tracker(0);
    for (int i = 0; i < READERS; i++) {
        readers[i].acks = open_tracker((uint32_t)i + 1);
        assert_int_equal(
            sw_channel_new(&readers[i].channel, QUEUE, (sw_channel_wake){ 0 }, (sw_channel_wake){ 0 }, NULL), SW_OK);
    }
    for (int i = 0; i < READERS; i++) pthread_create(&readers[i].thread, NULL, read_all, &readers[i]);
    while (given < EVENTS || sw_acks_pending(source) > 0) {
        sw_acks_take(source, 0);
        replay_due();
        uint32_t room = given < EVENTS ? sw_acks_room(source) : 0;
        if (room == 0 && sw_acks_pending(source) > 0) sleep_until_acknowledged();
        for (; room > 0 && given < EVENTS; room--, given++) {
            sw_acks_open_new(source, &event, 0);
            send_to_all(&event);
            sw_acks_close(source);
        }
    }
    uint64_t failed = 0;
    for (int i = 0; i < READERS; i++) {
        sw_channel_put(readers[i].channel, &end, 0);
        while (!sw_channel_flush(readers[i].channel)) sched_yield();
        pthread_join(readers[i].thread, NULL);
        failed += readers[i].failed;
        assert_int_equal(readers[i].read, EVENTS + instances[0].replayed);
        sw_channel_free(readers[i].channel);
        sw_acks_free(readers[i].acks);
    }
    assert_int_equal(instances[0].acked, EVENTS);
    assert_true(instances[0].replayed > 0 && instances[0].replayed <= failed);
    sw_acks_free(source);
    sem_destroy(&wakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_is_acknowledged_by_readers_on_other_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
