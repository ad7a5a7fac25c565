/* Sinks in processes that are killed at every crash point, every time they come there, and started again. */
#include "sinks.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/store_file.h"

#define EPOCHS 5
#define FAILS_AT 2 /* the epoch whose checkpoint fails: its value is committed with the next one's */
#define TIMES_MAX 100

static const int rows_of[EPOCHS] = { 3, 0, 2, 4, 1 };

typedef struct mode {
    const char *type;          /* of the sink */
    sw_delivery delivery;      /* how it is opened */
    const char *const *points; /* where its processes are killed; NULL behind the last */
} mode;

/* --- the processes ------------------------------------------------------------------------------------------------ */

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

/* The last checkpoint: its number, and what the sink prepared for it. It stands in for the checkpoint store. */
typedef struct checkpoint {
    uint32_t id;
    saved values;
} checkpoint;

static void write_checkpoint(const checkpoint *c)
{
    sw_buf bytes = { 0 };
    MUST(sw_buf_append(&bytes, &c->id, 4) == SW_OK);
    for (uint32_t i = 0; i < c->values.view.count; i++) {
        MUST(sw_buf_append(&bytes, &c->values.lens[i], 4) == SW_OK);
        MUST(sw_buf_append(&bytes, c->values.data[i], c->values.lens[i]) == SW_OK);
    }
    write_bytes("checkpoint.tmp", bytes.data, bytes.size);
    MUST(sw_fs_rename(in_dir("checkpoint.tmp"), in_dir("checkpoint"), NULL) == SW_OK);
    sw_buf_deinit(&bytes);
}

static void read_checkpoint(checkpoint *c)
{
    sw_buf bytes = { 0 };
    memset(c, 0, sizeof(*c));
    if (!sw_fs_exists(in_dir("checkpoint"))) return;
    MUST(sw_fs_read_all(in_dir("checkpoint"), &bytes, 1 << 20, NULL) == SW_OK);
    memcpy(&c->id, bytes.data, 4);
    for (size_t at = 4; at < bytes.size;) {
        uint32_t len;
        sw_buf value = { 0 };
        memcpy(&len, bytes.data + at, 4);
        MUST(sw_buf_append(&value, bytes.data + at + 4, len) == SW_OK);
        saved_add(&c->values, 0, value);
        at += 4 + len;
    }
    sw_buf_deinit(&bytes);
}

static sw_sink *open_sink(const mode *m, const checkpoint *c)
{
    const sw_option list[] = { text_option("path", in_dir("out")), number_option("keys", 1),
                               text_option("key1", "id") };
    const sw_options options = { list, 3 };
    sw_sink_context context = sink_context(m->delivery, c->id > 0 ? &c->values : NULL);
    sw_sink *sink = NULL;
    sw_error err = { 0 };
    int rc = sw_io_open_sink(m->type, &options, &context, &sink, &err);
    if (rc != SW_OK) fprintf(stderr, "%s\n", err.text);
    MUST(rc == SW_OK);
    return sink;
}

static void commit_all(const sw_sink_commit_ops *ops, const checkpoint *c)
{
    for (uint32_t i = 0; i < c->values.view.count; i++) {
        sw_error err = { 0 };
        int rc = ops->commit(c->values.data[i], c->values.lens[i], &err);
        if (rc != SW_OK) fprintf(stderr, "%s\n", err.text);
        MUST(rc == SW_OK);
    }
}

/* Rows of an epoch: the key comes again in later epochs. */
static void write_rows(sw_sink *sink, int epoch)
{
    for (int i = 0; i < rows_of[epoch]; i++) {
        char json[64];
        snprintf(json, sizeof(json), "{\"epoch\":%d,\"id\":%d}", epoch, i);
        MUST(put(sink, "jsonl", json, NULL) == SW_OK);
    }
}

/* Restores the last checkpoint, or starts, and goes on to the end. */
static void run(const mode *m)
{
    const sw_sink_commit_ops *ops = sw_io_sink_commit_ops(m->type);
    checkpoint restored, next = { 0 };
    read_checkpoint(&restored);
    commit_all(ops, &restored);
    sw_sink *sink = open_sink(m, &restored);
    for (int epoch = (int)restored.id; epoch < EPOCHS; epoch++) {
        sw_buf value = { 0 };
        write_rows(sink, epoch);
        MUST(sink->ops->flush(sink, NULL) == SW_OK);
        MUST(sink->ops->prepare(sink, (uint64_t)epoch + 1, &value, NULL) == SW_OK);
        saved_add(&next.values, 0, value);
        next.id = (uint32_t)epoch + 1;
        if (epoch == FAILS_AT) continue;
        for (uint32_t i = 0; i < next.values.view.count; i++)
            MUST(ops->sync(next.values.data[i], next.values.lens[i], NULL) == SW_OK);
        write_checkpoint(&next);
        commit_all(ops, &next);
        saved_free(&next.values);
    }
    MUST(sink->ops->close(sink, NULL) == SW_OK);
    saved_free(&restored.values);
}

/* Goes back to the first checkpoint after a whole run. */
static void go_back(const mode *m)
{
    const sw_sink_commit_ops *ops = sw_io_sink_commit_ops(m->type);
    checkpoint first;
    sw_buf said = { 0 };
    read_checkpoint(&first);
    commit_all(ops, &first);
    MUST(ops->rewind(first.values.data[0], first.values.lens[0], 1, &said, NULL) == SW_OK);
    sw_sink *sink = open_sink(m, &first);
    MUST(sink->ops->close(sink, NULL) == SW_OK);
    sw_buf_deinit(&said);
    saved_free(&first.values);
}

/* Does a task in a process of its own, killed at the nth time at a point (NULL: not). True: it came to its end. */
static bool in_process(const char *task, const mode *m, const char *point, int nth)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char where[100];
        snprintf(where, sizeof(where), "%s:%d", point != NULL ? point : "", nth);
        if (point != NULL) setenv("SWLUA_CRASH_AT", where, 1);
        execl("/proc/self/exe", "test_sink_crash", dir, task, m->type, m->delivery == SW_EXACTLY_ONCE ? "exact" : "",
              (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) assert_int_equal(WTERMSIG(status), SIGKILL);
    if (WIFEXITED(status)) assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

static void clean(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'/*", dir);
    assert_int_equal(system(command), 0);
}

/* --- what has to be there ----------------------------------------------------------------------------------------- */

/* What the rows of the first `epochs` epochs make of a file. */
static sw_buf rows_until(int epochs)
{
    sw_buf text = { 0 };
    for (int e = 0; e < epochs; e++)
        for (int i = 0; i < rows_of[e]; i++) sw_buf_printf(&text, "{\"epoch\":%d,\"id\":%d}\n", e, i);
    sw_buf_append(&text, "", 1);
    text.size--;
    return text;
}

/* What a reader sees at a crash is the beginning of what will be there at the end. */
static void assert_beginning(void)
{
    if (!sw_fs_exists(in_dir("out"))) return;
    sw_buf all = rows_until(EPOCHS), seen = content_of("out");
    assert_true(seen.size <= all.size);
    assert_memory_equal(seen.data, all.data, seen.size);
    sw_buf_deinit(&all);
    sw_buf_deinit(&seen);
}

static void assert_all_once(void)
{
    sw_buf all = rows_until(EPOCHS);
    assert_content("out", (char *)all.data);
    assert_int_equal(names_in("sinks"), 0);
    sw_buf_deinit(&all);
}

/* Every row is there, and no line that is none. */
static void assert_all_at_least_once(void)
{
    sw_buf all = rows_until(EPOCHS), seen = content_of("out");
    int times[EPOCHS][8] = { { 0 } };
    for (char *line = (char *)seen.data, *end; *line != '\0'; line = end + 1) {
        int epoch = -1, id = -1, len = 0;
        end = strchr(line, '\n');
        assert_non_null(end);
        assert_int_equal(sscanf(line, "{\"epoch\":%d,\"id\":%d}%n", &epoch, &id, &len), 2);
        assert_int_equal(len, end - line);
        times[epoch][id]++;
    }
    for (int e = 0; e < EPOCHS; e++)
        for (int i = 0; i < rows_of[e]; i++) assert_true(times[e][i] >= 1);
    sw_buf_deinit(&all);
    sw_buf_deinit(&seen);
}

/* Nothing is seen before its checkpoint. */
static void check_table(const mode *m)
{
    checkpoint c;
    uint64_t applied = 0;
    sw_store_file *store = NULL;
    (void)m;
    if (!sw_fs_exists(in_dir("out"))) return;
    read_checkpoint(&c);
    MUST(sw_store_file_open(&store, in_dir("out"), SW_STORE_MAP_BYTES, NULL) == SW_OK);
    MUST(sw_store_file_applied(store, &applied, NULL) == SW_OK);
    sw_store_file_close(store);
    MUST(applied <= c.id);
    saved_free(&c.values);
}

static void check_whole_table(const mode *m)
{
    uint64_t applied = 0;
    sw_store_file *store = NULL;
    (void)m;
    MUST(sw_store_file_open(&store, in_dir("out"), SW_STORE_MAP_BYTES, NULL) == SW_OK);
    MUST(sw_store_file_applied(store, &applied, NULL) == SW_OK);
    MUST(applied == EPOCHS);
    sw_store_file_close(store);
    sw_buf bytes = content_of("out");
    for (int i = 0; i < 4; i++) { /* Key 0 was written last in epoch 4, 1 to 3 in epoch 3: map of epoch and id. */
        const uint8_t event[] = { 0x82, 0xa5, 'e', 'p', 'o', 'c', 'h', i == 0 ? 4 : 3, 0xa2, 'i', 'd', (uint8_t)i };
        MUST(memmem(bytes.data, bytes.size, event, sizeof(event)) != NULL);
    }
    sw_buf_deinit(&bytes);
    MUST(names_in("sinks") == 0);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

/* Kills at each point, each time, then once more at the same point while it restores, then runs to the end. */
static void kill_everywhere(const mode *m, void (*at_crash)(void), void (*at_end)(void))
{
    for (const char *const *point = m->points; *point != NULL; point++) {
        int nth = 1;
        for (; nth < TIMES_MAX; nth++) {
            clean();
            bool is_over = in_process("run", m, *point, nth);
            if (!is_over) {
                at_crash();
                in_process("run", m, *point, 1);
                at_crash();
                in_process("run", m, NULL, 0);
            }
            at_end();
            if (is_over) break;
        }
        if (nth == 1) fail_msg("no process ever came to %s", *point);
        assert_true(nth < TIMES_MAX);
    }
}

static void exactly_once_is_kept_by_a_file_wherever_the_process_is_killed(void **state)
{
    static const char *const points[] = { "segment-write",   "segment-written",     "segment-sync",
                                          "segment-synced",  "segment-name-synced", "segment-remove",
                                          "segment-removed", "file-empty",          "file-emptied",
                                          "file-reserve",    "file-write",          "file-written",
                                          "file-sync",       "file-synced",         NULL };
    const mode m = { "file", SW_EXACTLY_ONCE, points };
    (void)state;
    kill_everywhere(&m, assert_beginning, assert_all_once);
}

static void nothing(void)
{
}

static void at_least_once_is_kept_by_a_file_wherever_the_process_is_killed(void **state)
{
    static const char *const points[] = { "file-direct-write", "file-direct-written", "file-direct-sync",
                                          "file-direct-synced", NULL };
    const mode m = { "file", SW_AT_LEAST_ONCE, points };
    (void)state;
    kill_everywhere(&m, nothing, assert_all_at_least_once);
}

static const mode store_mode = { "store", SW_EXACTLY_ONCE, NULL };

static void table_at_crash(void)
{
    assert_true(in_process("check_table", &store_mode, NULL, 0));
}

static void table_at_end(void)
{
    assert_true(in_process("check_whole_table", &store_mode, NULL, 0));
}

static void exactly_once_is_kept_by_a_store_wherever_the_process_is_killed(void **state)
{
    static const char *const points[] = { "segment-write",  "segment-written", "segment-sync",    "segment-synced",
                                          "segment-remove", "segment-removed", "store-create",    "store-rename",
                                          "store-renamed",  "store-commit",    "store-committed", NULL };
    const mode m = { "store", SW_EXACTLY_ONCE, points };
    (void)state;
    kill_everywhere(&m, table_at_crash, table_at_end);
}

/* A run to the end whose first checkpoint is then the one to go back to. */
static void run_and_keep_the_first(const mode *m)
{
    checkpoint none = { 0 }, c = { 0 };
    sw_buf value = { 0 };
    const sw_sink_commit_ops *ops = sw_io_sink_commit_ops(m->type);
    sw_sink *sink = open_sink(m, &none);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        sw_buf_clear(&value);
        write_rows(sink, epoch);
        MUST(sink->ops->prepare(sink, (uint64_t)epoch + 1, &value, NULL) == SW_OK);
        MUST(ops->sync(value.data, value.size, NULL) == SW_OK);
        MUST(ops->commit(value.data, value.size, NULL) == SW_OK);
        if (epoch > 0) continue;
        c.id = 1;
        saved_add(&c.values, 0, value);
        write_checkpoint(&c);
        value = (sw_buf){ 0 };
    }
    MUST(sink->ops->close(sink, NULL) == SW_OK);
    sw_buf_deinit(&value);
    saved_free(&c.values);
}

static void going_back_keeps_every_row_wherever_the_process_is_killed(void **state)
{
    static const char *const points[] = { "file-write",       "file-written", "file-cut-sync", "file-cut-rename",
                                          "file-cut-renamed", "file-cut",     "file-was-cut",  NULL };
    const mode m = { "file", SW_EXACTLY_ONCE, points };
    sw_buf all = rows_until(EPOCHS), first = rows_until(1);
    (void)state;
    for (const char *const *point = points; *point != NULL; point++) {
        clean();
        assert_true(in_process("run_and_keep_the_first", &m, NULL, 0));
        assert_false(in_process("go_back", &m, *point, 1));
        assert_true(in_process("go_back", &m, NULL, 0));
        assert_content("out", (char *)first.data);
        assert_content("out.cut-1", (char *)all.data + first.size);
        assert_int_equal(names_in("."), 4); /* checkpoint, out, out.cut-1, sinks */
    }
    sw_buf_deinit(&all);
    sw_buf_deinit(&first);
}

/* A process: FOLDER TASK TYPE DELIVERY. */
static int do_task(char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(const mode *);
    } tasks[] = { { "run", run },
                  { "go_back", go_back },
                  { "check_table", check_table },
                  { "check_whole_table", check_whole_table },
                  { "run_and_keep_the_first", run_and_keep_the_first } };
    const mode m = { argv[3], argv[4][0] != '\0' ? SW_EXACTLY_ONCE : SW_AT_LEAST_ONCE, NULL };
    snprintf(dir, sizeof(dir), "%s", argv[1]);
    for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
        if (strcmp(tasks[i].name, argv[2]) != 0) continue;
        tasks[i].fn(&m);
        return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 5) return do_task(argv);
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(exactly_once_is_kept_by_a_file_wherever_the_process_is_killed),
        FOLDER_TEST(at_least_once_is_kept_by_a_file_wherever_the_process_is_killed),
        FOLDER_TEST(exactly_once_is_kept_by_a_store_wherever_the_process_is_killed),
        FOLDER_TEST(going_back_keeps_every_row_wherever_the_process_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
