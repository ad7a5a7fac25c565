/* checkpoints.c -- what the checkpoint store costs: commits, restoring, folding.
 *
 *     checkpoints [keys] [directory]          1,000,000 keys of 16 + 100 bytes unless said otherwise
 *
 * Commits are medians of ROUNDS; restoring counts from opening the directory to the last entry. The directory is on
 * the disk to be measured; it is removed at the end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "state/checkpoints.h"

#define ROUNDS 9
#define VALUE_BYTES 100
#define GROUPS 128

static const sw_saved_component component = { "count", 1, 1, true };
static uint64_t key_count = 1000000;

static double now_ms(void)
{
    return (double)sw_clock_mono_ns(sw_clock_real()) / 1e6;
}

static void check(int rc, const sw_error *err)
{
    if (rc == SW_OK) return;
    fprintf(stderr, "checkpoints: %s\n", err->text);
    exit(1);
}

/* Adds all keys, or n of them at random, in an order that is not theirs. */
static void add_keys(sw_snapshot *snapshot, uint64_t n, uint64_t salt)
{
    static uint8_t value[VALUE_BYTES];
    for (uint64_t i = 0; i < n; i++) {
        char key[17];
        uint64_t k = n == key_count ? i : sw_hash_u64(i + salt) % key_count;
        snprintf(key, sizeof(key), "%016" PRIx64, sw_hash_u64(k));
        memcpy(value, &k, sizeof(k));
        memcpy(value + sizeof(k), &salt, sizeof(salt));
        const sw_saved saved = {
            .kind = SW_SAVED_KEYED,
            .group = (uint32_t)(sw_hash_u64(k) % GROUPS),
            .key = (const uint8_t *)key,
            .key_len = 16,
            .value = value,
            .value_len = VALUE_BYTES,
        };
        if (sw_snapshot_put(snapshot, &saved) != SW_OK) abort();
    }
}

static double commit(sw_checkpoints *store, uint64_t changes, uint64_t salt, uint64_t *bytes)
{
    sw_snapshot snapshot;
    const sw_snapshot *list[] = { &snapshot };
    sw_error err;
    sw_snapshot_init(&snapshot);
    add_keys(&snapshot, changes, salt);
    const sw_checkpoint_meta meta = {
        .id = sw_checkpoints_next_id(store),
        .job = "bench",
        .script = "return 1",
        .script_len = 8,
        .components = &component,
        .component_count = 1,
    };
    double start = now_ms();
    check(sw_checkpoints_commit(store, &meta, list, 1, bytes, &err), &err);
    double took = now_ms() - start;
    sw_snapshot_deinit(&snapshot);
    return took;
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void report_commits(sw_checkpoints *store, uint64_t changes)
{
    double took[ROUNDS];
    uint64_t bytes = 0;
    for (int i = 0; i < ROUNDS; i++) took[i] = commit(store, changes, 1000 * changes + (uint64_t)i, &bytes);
    qsort(took, ROUNDS, sizeof(*took), compare_doubles);
    printf("commit of %" PRIu64 " changes: %.2f ms (worst of %d: %.2f), %" PRIu64 " bytes\n", changes, took[ROUNDS / 2],
           ROUNDS, took[ROUNDS - 1], bytes);
}

static int sum_up(void *arg, const sw_saved *saved)
{
    uint64_t k;
    memcpy(&k, saved->value, sizeof(k));
    *(uint64_t *)arg += k;
    return 0;
}

static void report_restore(const char *dir, const char *what)
{
    const sw_checkpoints_options options = { .is_read_only = true };
    sw_checkpoints *store = NULL;
    sw_restore *restored = NULL;
    sw_error err;
    uint64_t sum = 0;
    double start = now_ms();
    check(sw_checkpoints_open(&store, dir, &options, &err), &err);
    check(sw_restore_open(&restored, store, "latest", NULL, NULL, &err), &err);
    double opened = now_ms();
    check(sw_restore_each(restored, "count", SW_SAVED_KEYED, 0, GROUPS, sum_up, &sum, &err), &err);
    double read = now_ms();
    if (sum != key_count * (key_count - 1) / 2) fprintf(stderr, "checkpoints: the sum is wrong\n");
    printf("restore of %" PRIu64 " keys, %s: %.0f ms (verify and open %.0f, each %.0f)\n", key_count, what,
           read - start, opened - start, read - opened);
    sw_restore_close(restored);
    sw_checkpoints_close(store);
}

static void report_fold(sw_checkpoints *store)
{
    sw_error err;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    double start = now_ms();
    check(sw_checkpoints_fold(store, &err), &err);
    double took = now_ms() - start;
    getrusage(RUSAGE_SELF, &after);
    printf("fold of %" PRIu64 " keys: %.0f ms; peak memory grew by %ld MB\n", key_count, took,
           (after.ru_maxrss - before.ru_maxrss) / 1024);
}

int main(int argc, char **argv)
{
    const sw_checkpoints_options options = { .retain = 3 };
    char dir[256], command[300];
    sw_checkpoints *store = NULL;
    sw_error err;
    uint64_t bytes = 0;
    if (argc > 1) key_count = strtoull(argv[1], NULL, 10);
    snprintf(dir, sizeof(dir), "%s/checkpoints-%d", argc > 2 ? argv[2] : ".", (int)getpid());
    check(sw_checkpoints_open(&store, dir, &options, &err), &err);
    double took = commit(store, key_count, 1, &bytes);
    printf("first commit of %" PRIu64 " keys: %.0f ms, %" PRIu64 " bytes\n", key_count, took, bytes);
    report_commits(store, 0);
    report_commits(store, 1000);
    report_commits(store, 10000);
    report_restore(dir, "image and changes");
    report_fold(store);
    report_restore(dir, "image alone");
    double start = now_ms();
    check(sw_checkpoints_savepoint(store, "bench", &err), &err);
    printf("savepoint of %" PRIu64 " keys: %.0f ms\n", key_count, now_ms() - start);
    sw_checkpoints_close(store);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}
