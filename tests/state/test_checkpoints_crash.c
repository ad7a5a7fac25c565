/* Kills a process at every crash point of the store in turn, and looks at what it left. */
#include "state/checkpoint_support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define LAST 8   /* checkpoints that a run takes */
#define RETAIN 2 /* of them are kept */
#define PROGRESS "progress"

/* What the job holds after n checkpoints. */
static const char *state_after(int n)
{
    static char text[128];
    size_t size = 0;
    text[0] = '\0';
    for (int key = 0; key < 3; key++) {
        int last = 0; /* the change that set the key last; it is removed by the next one */
        for (int i = 1; i <= n; i++) {
            if (i % 3 == key) last = i;
            if ((i + 2) % 3 == key) last = 0;
        }
        if (last > 0) size += (size_t)snprintf(text + size, sizeof(text) - size, "k%d=%d ", key, last);
    }
    snprintf(text + size, sizeof(text) - size, "n=%d", n);
    return n > 0 ? text : "";
}

/* --- the process that is killed --------------------------------------------------------------------------------- */

static int count_of(const sw_restore *restored)
{
    sw_buf value = { 0 };
    sw_restore_get(restored, "op", SW_SAVED_KEYED, 0, (const uint8_t *)"n", 1, &value, NULL);
    int n = sw_buf_append(&value, "", 1) == SW_OK ? atoi((const char *)value.data) : 0;
    sw_buf_deinit(&value);
    return n;
}

/* Written without syncs: SIGKILL takes back nothing. */
static void acknowledge(int n)
{
    int fd = open(in_dir(PROGRESS), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, &n, sizeof(n)) != sizeof(n)) _exit(10);
    close(fd);
}

static int commit_next(sw_checkpoints *store, int n)
{
    char text[64];
    uint64_t id;
    snprintf(text, sizeof(text), "n=%d k%d=%d -k%d", n, n % 3, n, (n + 2) % 3);
    if (try_commit(store, text, &id, NULL) != SW_OK) return 11;
    acknowledge(n);
    return 0;
}

/* What follows the n-th checkpoint. */
static int look_after(sw_checkpoints *store, int n)
{
    if (n % 3 == 0 && n > 0 && sw_checkpoints_fold(store, NULL) != SW_OK) return 12;
    int saved = n == 4 ? sw_checkpoints_savepoint(store, "s4", NULL) : SW_OK;
    return saved == SW_OK || saved == SW_EINVAL ? 0 : 13; /* It may have one already. */
}

/* Restores `which` and takes checkpoints up to the last. */
static int run(const char *which)
{
    const sw_checkpoints_options options = { .retain = RETAIN, .sync_is_unsafe = true };
    sw_checkpoints *store = NULL;
    sw_restore *restored = NULL;
    int n = 0;
    if (sw_checkpoints_open(&store, dir, &options, NULL) != SW_OK) return 20;
    int rc = sw_restore_open(&restored, store, which, NULL, NULL, NULL);
    if (rc == SW_OK) n = count_of(restored);
    sw_restore_close(restored);
    if (rc != SW_OK && rc != SW_ENOTFOUND) return 21;
    int wrong = look_after(store, n);
    while (n < LAST && wrong == 0) {
        wrong = commit_next(store, ++n);
        if (wrong == 0) wrong = look_after(store, n);
    }
    if (wrong != 0) return wrong;
    sw_checkpoints_close(store);
    return 0;
}

/* --- the one that looks ----------------------------------------------------------------------------------------- */

/* Runs it in a process that dies at the n-th crash point (0: at none); true: it came to its end. */
static bool run_in_child(const char *which, int point)
{
    char where[32];
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        snprintf(where, sizeof(where), "*:%d", point);
        if (point > 0) setenv("SWLUA_CRASH_AT", where, 1);
        execl("/proc/self/exe", "test_checkpoints_crash", dir, which, (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return false;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

static int acknowledged(void)
{
    sw_buf bytes = { 0 };
    int n = 0;
    if (sw_fs_read_all(in_dir(PROGRESS), &bytes, 4096, NULL) == SW_OK)
        memcpy(&n, bytes.data + bytes.size - sizeof(n), sizeof(n));
    sw_buf_deinit(&bytes);
    return n;
}

static void assert_all_sound(sw_checkpoints *reader)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    assert_int_equal(sw_checkpoints_list(reader, true, &list, &count, NULL), SW_OK);
    for (uint32_t i = 0; i < count; i++)
        if (list[i].problem != SW_OK) fail_msg("%s", list[i].why);
    sw_free(list);
}

/* What was acknowledged is there, or the one that was being taken. */
static void assert_nothing_is_lost(void)
{
    sw_checkpoints *reader = NULL;
    sw_restore *restored = NULL;
    const sw_checkpoints_options options = { .is_read_only = true };
    int told = acknowledged();
    if (sw_checkpoints_open(&reader, dir, &options, NULL) != SW_OK) {
        assert_int_equal(told, 0); /* It died before it had a directory. */
        return;
    }
    skips[0] = '\0';
    int rc = sw_restore_open(&restored, reader, "latest", note_skip, NULL, NULL);
    int n = rc == SW_OK ? count_of(restored) : 0;
    if (n != told && n != told + 1) fail_msg("%d is there, %d was told", n, told);
    if (n > 0) assert_string_equal(state_of(restored), state_after(n));
    assert_string_equal(skips, "");
    assert_all_sound(reader);
    sw_restore_close(restored);
    sw_checkpoints_close(reader);
}

static void assert_came_to_its_end(void)
{
    sw_checkpoints *reader = open_reader();
    assert_state(reader, "latest", state_after(LAST));
    assert_state(reader, "s4", state_after(4));
    assert_all_sound(reader);
    sw_checkpoints_close(reader);
    assert_null(strstr(files(), ".tmp"));
}

static void start_afresh(void)
{
    assert_int_equal(remove_temp_dir(NULL), 0);
    assert_int_equal(make_memory_dir(NULL), 0);
}

static void killed_at_any_point_it_loses_nothing_and_goes_on(void **state)
{
    (void)state;
    for (int point = 1;; point++) {
        bool ended = run_in_child("latest", point);
        assert_nothing_is_lost();
        assert_true(run_in_child("latest", 0));
        assert_came_to_its_end();
        if (ended) {
            assert_true(point > 100); /* There are that many. */
            return;
        }
        start_afresh();
    }
}

/* Killed again and again, a little further each time. */
static void killed_on_every_attempt_it_still_comes_to_its_end(void **state)
{
    bool ended = false;
    (void)state;
    for (int point = 12; !ended; point++) {
        assert_true(point < 200);
        ended = run_in_child("latest", point);
        assert_nothing_is_lost();
    }
    assert_came_to_its_end();
}

/* From an older checkpoint, or the savepoint: the same is asked for until one of the new run was taken. */
static void assert_going_back_survives(const char *which)
{
    for (int point = 1;; point++) {
        char id[24];
        assert_true(run_in_child("latest", 0));
        sw_checkpoints *reader = open_reader();
        sw_checkpoint_entry *list = NULL;
        uint32_t count = 0;
        assert_int_equal(sw_checkpoints_list(reader, false, &list, &count, NULL), SW_OK);
        snprintf(id, sizeof(id), "%" PRIu64, list[0].id);
        sw_free(list);
        sw_checkpoints_close(reader);
        assert_int_equal(sw_fs_remove(in_dir(PROGRESS), NULL), SW_OK);
        bool ended = run_in_child(which != NULL ? which : id, point);
        if (acknowledged() > 0) {
            assert_nothing_is_lost();
        } else { /* From where it was told to. */
            assert_true(run_in_child(which != NULL ? which : id, 0));
            assert_true(acknowledged() == LAST);
        }
        assert_true(run_in_child("latest", 0));
        assert_came_to_its_end();
        start_afresh();
        if (ended) return;
    }
}

static void killed_while_it_goes_back_it_can_go_back_again(void **state)
{
    (void)state;
    assert_going_back_survives(NULL);
    assert_going_back_survives("s4");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(killed_at_any_point_it_loses_nothing_and_goes_on),
        MEMORY_TEST(killed_on_every_attempt_it_still_comes_to_its_end),
        MEMORY_TEST(killed_while_it_goes_back_it_can_go_back_again),
    };
    if (argc == 3) {
        snprintf(dir, sizeof(dir), "%s", argv[1]);
        return run(argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
