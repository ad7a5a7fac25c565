/* hop.c -- what one row costs on its way across a channel between two pinned threads.
 *
 *     one thread:   write a row, put it into a batch; per full batch read every row
 *     two threads:  write a row, sw_channel_put   |ring|   front, read every row, pop
 *
 * The rows are the same (48 bytes of header, 80 of body, all written and all read), so the difference per row is what
 * crossing adds. It can be negative, since two threads share the work; the cost of a put and of a pop on one
 * thread is therefore printed too. Usage: hop [rows] [batch] [queue] */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "run/channel.h"

#define ROUNDS 7
#define BODY_WORDS 10 /* 80 bytes */

typedef struct bench_row {
    sw_row row;                /* header */
    uint64_t body[BODY_WORDS]; /* every word written and read */
} bench_row;

static uint64_t row_count = 20000000; /* rows a round */
static uint32_t batch_rows = 128;     /* rows flushed at once */
static uint32_t queue = 1024;         /* events in the channel */

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0) fprintf(stderr, "hop: cannot pin to %d\n", cpu);
}

static inline void write_row(bench_row *r, uint64_t i)
{
    r->row.time = (int64_t)i;
    for (uint32_t w = 0; w < BODY_WORDS; w++) r->body[w] = i + w;
}

static inline uint64_t read_rows(const sw_batch *batch)
{
    const sw_row *row = (const sw_row *)(const void *)batch->data;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < batch->count; i++, row = sw_row_next(row)) {
        const uint64_t *body = (const uint64_t *)(const void *)sw_row_body(row);
        sum += (uint64_t)row->time + (uint64_t)row->wm;
        for (uint32_t w = 0; w < BODY_WORDS; w++) sum += body[w];
    }
    return sum;
}

static const bench_row blank_row = { .row = { .len = sizeof(bench_row), .body_len = 8 * BODY_WORDS } };

static uint64_t run_plain(void)
{
    sw_batch batch;
    sw_batch_init(&batch);
    bench_row r = blank_row;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < row_count; i++) {
        write_row(&r, i);
        r.row.wm = 1;
        if (sw_batch_append(&batch, &r.row) != SW_OK) abort();
        if (batch.count < batch_rows && i + 1 < row_count) continue;
        sum += read_rows(&batch);
        sw_batch_clear(&batch);
    }
    sw_batch_deinit(&batch);
    return sum;
}

static uint64_t drain(sw_channel *channel, uint64_t *rows)
{
    uint64_t sum = 0;
    for (const sw_batch *batch; (batch = sw_channel_front(channel)) != NULL; sw_channel_pop(channel)) {
        sum += read_rows(batch);
        *rows += batch->count;
    }
    return sum;
}

static uint64_t run_same_thread(void)
{
    sw_channel *channel = NULL;
    if (sw_channel_new(&channel, queue, (sw_channel_wake){ 0 }, (sw_channel_wake){ 0 }, NULL) != SW_OK) abort();
    bench_row r = blank_row;
    uint64_t sum = 0, rows = 0;
    for (uint64_t i = 0; i < row_count; i++) {
        write_row(&r, i);
        if (sw_channel_put(channel, &r.row, 1) != SW_OK) abort();
        if ((i + 1) % batch_rows != 0 && i + 1 < row_count) continue;
        sw_channel_flush(channel);
        sum += drain(channel, &rows);
    }
    sw_channel_free(channel);
    return sum;
}

static void *consume(void *arg)
{
    static uint64_t sum;
    sw_channel *channel = arg;
    uint64_t rows = 0;
    pin(1);
    sum = 0;
    while (rows < row_count) {
        sum += drain(channel, &rows);
        __builtin_ia32_pause();
    }
    return &sum;
}

static uint64_t run_two_threads(void)
{
    sw_channel *channel = NULL;
    pthread_t consumer;
    void *sum;
    if (sw_channel_new(&channel, queue, (sw_channel_wake){ 0 }, (sw_channel_wake){ 0 }, NULL) != SW_OK) abort();
    if (pthread_create(&consumer, NULL, consume, channel) != 0) abort();
    bench_row r = blank_row;
    for (uint64_t i = 0; i < row_count; i++) {
        write_row(&r, i);
        while (sw_channel_put(channel, &r.row, 1) == SW_EFULL) __builtin_ia32_pause();
        if (batch_rows < SW_CHANNEL_BATCH && (i + 1) % batch_rows == 0) sw_channel_flush(channel);
    }
    while (!sw_channel_flush(channel)) __builtin_ia32_pause();
    pthread_join(consumer, &sum);
    sw_channel_free(channel);
    return *(uint64_t *)sum;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_ns(const char *name, uint64_t (*run)(void), uint64_t expected)
{
    double ns[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        int64_t start = sw_clock_mono_ns(sw_clock_real());
        uint64_t sum = run();
        ns[i] = (double)(sw_clock_mono_ns(sw_clock_real()) - start) / (double)row_count;
        if (sum == expected) continue;
        fprintf(stderr, "hop: %s: sum %" PRIu64 " instead of %" PRIu64 "\n", name, sum, expected);
        exit(1);
    }
    qsort(ns, ROUNDS, sizeof(ns[0]), compare);
    printf("%-34s %6.2f ns/row (least %.2f, most %.2f)\n", name, ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);
    return ns[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    if (argc > 1) row_count = strtoull(argv[1], NULL, 10);
    if (argc > 2) batch_rows = (uint32_t)strtoul(argv[2], NULL, 10);
    if (argc > 3) queue = (uint32_t)strtoul(argv[3], NULL, 10);
    if (row_count == 0 || batch_rows == 0 || queue < batch_rows) {
        fprintf(stderr, "usage: hop [rows] [batch] [queue], each at least 1 and the batch no more than the queue\n");
        return 2;
    }
    pin(0);
    printf("%" PRIu64 " rows of %zu bytes, batch %u, queue %u, median of %d\n", row_count, sizeof(bench_row),
           batch_rows, queue, ROUNDS);
    uint64_t expected = run_plain();
    double plain = median_ns("one thread, plain batch", run_plain, expected);
    double same = median_ns("one thread, through a channel", run_same_thread, expected);
    double two = median_ns("two threads, through a channel", run_two_threads, expected);
    printf("added by the channel on one thread %6.2f ns/row\n", same - plain);
    printf("added by crossing threads          %6.2f ns/row\n", two - plain);
    return 0;
}
