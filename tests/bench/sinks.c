/* sinks.c -- what the guarantees of a sink cost: rows a second of CPU time and of wall time, for each delivery.
 *
 *     rows --write--> sink;  every `interval` rows: prepare, sync, commit (in the engine on a thread of their own)
 *
 * One process, one thread; the deliveries take turns, medians are printed. Wall time has the disk's syncs in it.
 * Usage: sinks FOLDER [rows] [interval] [file|store] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/clock.h"
#include "io/mp.h"
#include "io/registry.h"

#define ROUNDS 7
#define KEYS 10000

typedef struct measured {
    double cpu_s, wall_s;
} measured;

static uint64_t row_count = 2000000;
static uint64_t interval = 500000;
static const char *type = "file";
static const char *folder;

static void must(int rc, const sw_error *err)
{
    if (rc == SW_OK) return;
    fprintf(stderr, "sinks: %s\n", err->text);
    exit(1);
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void make_row(sw_row *row, uint64_t i)
{
    uint8_t *p = sw_mp_map_header(sw_row_body(row), 3);
    p = sw_mp_str(p, "id", 2);
    p = sw_mp_u64(p, i % KEYS);
    p = sw_mp_str(p, "amount", 6);
    p = sw_mp_f64(p, (double)i * 0.25);
    p = sw_mp_str(p, "text", 4);
    p = sw_mp_str(p, "what an event of this length may say", 36);
    row->body_len = (uint32_t)(p - sw_row_body(row));
}

static void checkpoint(sw_sink *sink, uint64_t id)
{
    const sw_sink_commit_ops *ops = sw_io_sink_commit_ops(type);
    sw_buf value = { 0 };
    sw_error err;
    must(sink->ops->prepare(sink, id, &value, &err), &err);
    must(ops->sync(value.data, value.size, &err), &err);
    must(ops->commit(value.data, value.size, &err), &err);
    sw_buf_deinit(&value);
}

static measured run(sw_delivery delivery)
{
    char path[512];
    uint64_t bytes[32] = { 0 };
    sw_row *row = (sw_row *)(void *)bytes;
    sw_sink *sink = NULL;
    sw_error err;
    snprintf(path, sizeof(path), "%s/out.%s", folder, type);
    const sw_option list[] = { { "path", SW_OPTION_STRING, path, 0 },
                               { "keys", SW_OPTION_NUMBER, NULL, 1 },
                               { "key1", SW_OPTION_STRING, "id", 0 } };
    const sw_options options = { list, 3 };
    const sw_sink_context context = { .component = "out",
                                      .count = 1,
                                      .clock = sw_clock_real(),
                                      .delivery = delivery,
                                      .state_dir = delivery == SW_AT_MOST_ONCE ? NULL : folder };
    double cpu = cpu_seconds();
    int64_t wall = sw_clock_mono_ns(context.clock);
    must(sw_io_open_sink(type, &options, &context, &sink, &err), &err);
    for (uint64_t i = 0; i < row_count; i++) {
        make_row(row, i);
        must(sink->ops->write(sink, row, &err), &err);
        if (context.state_dir != NULL && (i + 1) % interval == 0) checkpoint(sink, (i + 1) / interval);
    }
    if (context.state_dir != NULL) checkpoint(sink, row_count / interval + 1);
    must(sink->ops->close(sink, &err), &err);
    return (measured){ cpu_seconds() - cpu, (double)(sw_clock_mono_ns(context.clock) - wall) * 1e-9 };
}

static int by_cpu(const void *a, const void *b)
{
    double x = ((const measured *)a)->cpu_s, y = ((const measured *)b)->cpu_s;
    return (x > y) - (x < y);
}

static int by_wall(const void *a, const void *b)
{
    double x = ((const measured *)a)->wall_s, y = ((const measured *)b)->wall_s;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "at-most-once", "at-least-once", "exactly-once" };
    static measured all[3][ROUNDS];
    if (argc < 2) {
        fputs("usage: sinks FOLDER [rows] [interval] [file|store]\n", stderr);
        return 2;
    }
    folder = argv[1];
    if (argc > 2) row_count = strtoull(argv[2], NULL, 10);
    if (argc > 3) interval = strtoull(argv[3], NULL, 10);
    if (argc > 4) type = argv[4];
    for (int round = 0; round < ROUNDS; round++)
        for (int d = 0; d < 3; d++) all[d][round] = run((sw_delivery)d);
    double first_cpu = 0, first_wall = 0;
    for (int d = 0; d < 3; d++) {
        qsort(all[d], ROUNDS, sizeof(measured), by_cpu);
        double cpu = all[d][ROUNDS / 2].cpu_s;
        qsort(all[d], ROUNDS, sizeof(measured), by_wall);
        double wall = all[d][ROUNDS / 2].wall_s;
        if (d == 0) {
            first_cpu = cpu;
            first_wall = wall;
        }
        printf("%-14s %6.2f M rows/s of CPU (%.2f)  %6.2f M rows/s of wall (%.2f)\n", names[d],
               (double)row_count / cpu * 1e-6, first_cpu / cpu, (double)row_count / wall * 1e-6, first_wall / wall);
    }
    return 0;
}
