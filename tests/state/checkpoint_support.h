/* checkpoint_support.h -- what the tests of checkpoints share: a directory, changes and states written as text.
 *
 *     commit(store, "a=1 b=2 -c")       puts a and b, removes c, of the component "op"
 *     assert_state(store, "latest", "a=1 b=2") */
#ifndef CHECKPOINT_SUPPORT_H
#define CHECKPOINT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "state/checkpoints.h"

#define UNUSED __attribute__((unused))

static char dir[64];            /* fresh for each test */
UNUSED static bool is_unsynced; /* stores are opened so: where no power is lost, and there is much to do */

UNUSED static int make_temp_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/swlua-checkpoints-XXXXXX");
    return mkdtemp(dir) == NULL;
}

/* The same in memory where that can be: for tests that make and remove files by the thousand. */
UNUSED static int make_memory_dir(void **state)
{
    if (access("/dev/shm", W_OK) != 0) return make_temp_dir(state);
    snprintf(dir, sizeof(dir), "/dev/shm/swlua-checkpoints-XXXXXX");
    return mkdtemp(dir) == NULL;
}

UNUSED static int remove_temp_dir(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

/* The path of something in the directory; the last four stay valid. */
UNUSED static const char *in_dir(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

UNUSED static bool exists(const char *name)
{
    return sw_fs_exists(in_dir(name));
}

UNUSED static sw_checkpoints *open_store_at(const char *path, uint32_t retain)
{
    const sw_checkpoints_options options = { .retain = retain, .sync_is_unsafe = is_unsynced };
    sw_checkpoints *store = NULL;
    sw_error err = { 0 };
    if (sw_checkpoints_open(&store, path, &options, &err) != SW_OK) fail_msg("%s", err.text);
    return store;
}

UNUSED static sw_checkpoints *open_store(uint32_t retain)
{
    return open_store_at(dir, retain);
}

UNUSED static sw_checkpoints *open_reader(void)
{
    const sw_checkpoints_options options = { .is_read_only = true };
    sw_checkpoints *store = NULL;
    assert_int_equal(sw_checkpoints_open(&store, dir, &options, NULL), SW_OK);
    return store;
}

static const sw_saved_component one_component[] = { { "op", 2, 1, true } };

UNUSED static sw_checkpoint_meta meta_of(uint64_t id)
{
    return (sw_checkpoint_meta){
        .id = id,
        .time_ms = 1000 * (int64_t)id,
        .job = "job",
        .folder = "/where",
        .script_path = "job.lua",
        .script = "return 1",
        .script_len = 8,
        .components = one_component,
        .component_count = 1,
    };
}

UNUSED static void put(sw_snapshot *snapshot, sw_saved_kind kind, uint32_t group, const char *key, const char *value)
{
    const sw_saved saved = {
        .kind = kind,
        .group = group,
        .key = (const uint8_t *)key,
        .key_len = (uint32_t)strlen(key),
        .value = (const uint8_t *)value,
        .value_len = value != NULL ? (uint32_t)strlen(value) : 0,
    };
    if (sw_snapshot_put(snapshot, &saved) != SW_OK) fail_msg("out of memory");
}

/* Changes of keyed state in group 0 from a text. */
UNUSED static void put_changes(sw_snapshot *snapshot, const char *text)
{
    char copy[512];
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        char *equals = strchr(word, '=');
        if (equals != NULL) *equals = '\0';
        put(snapshot, SW_SAVED_KEYED, 0, equals != NULL ? word : word + 1, equals != NULL ? equals + 1 : NULL);
    }
}

/* The code; *id is that of the checkpoint. */
UNUSED static int try_commit(sw_checkpoints *store, const char *text, uint64_t *id, sw_error *err)
{
    sw_snapshot snapshot;
    const sw_snapshot *list[] = { &snapshot };
    uint64_t bytes = 0;
    sw_snapshot_init(&snapshot);
    put_changes(&snapshot, text);
    *id = sw_checkpoints_next_id(store);
    sw_checkpoint_meta meta = meta_of(*id);
    int rc = sw_checkpoints_commit(store, &meta, list, 1, &bytes, err);
    sw_snapshot_deinit(&snapshot);
    return rc;
}

UNUSED static uint64_t commit(sw_checkpoints *store, const char *text)
{
    uint64_t id = 0;
    sw_error err = { 0 };
    if (try_commit(store, text, &id, &err) != SW_OK) fail_msg("%s", err.text);
    return id;
}

UNUSED static void fold(sw_checkpoints *store)
{
    sw_error err = { 0 };
    if (sw_checkpoints_fold(store, &err) != SW_OK) fail_msg("%s", err.text);
}

static int add_text(void *arg, const sw_saved *saved)
{
    return sw_buf_printf(arg, "%s%.*s=%.*s", ((sw_buf *)arg)->size > 0 ? " " : "", (int)saved->key_len, saved->key,
                         (int)saved->value_len, saved->value);
}

/* The keyed state of "op" as a text; the last one stays valid. */
UNUSED static const char *state_of(const sw_restore *restore)
{
    static char text[1024];
    sw_buf buf = { 0 };
    sw_error err = { 0 };
    if (sw_restore_each(restore, "op", SW_SAVED_KEYED, 0, 128, add_text, &buf, &err) != SW_OK) fail_msg("%s", err.text);
    snprintf(text, sizeof(text), "%.*s", (int)buf.size, (const char *)buf.data);
    sw_buf_deinit(&buf);
    return text;
}

static char skips[2048]; /* what on_skip was told, one a line */

UNUSED static void note_skip(void *arg, const char *text)
{
    size_t size = strlen(skips);
    (void)arg;
    snprintf(skips + size, sizeof(skips) - size, "%s\n", text);
}

UNUSED static sw_restore *restore(sw_checkpoints *store, const char *which)
{
    sw_restore *restored = NULL;
    sw_error err = { 0 };
    skips[0] = '\0';
    if (sw_restore_open(&restored, store, which, note_skip, NULL, &err) != SW_OK) fail_msg("%s", err.text);
    return restored;
}

/* Restores and compares; the id of what was restored. */
UNUSED static uint64_t assert_state(sw_checkpoints *store, const char *which, const char *expected)
{
    sw_restore *restored = restore(store, which);
    uint64_t id = sw_restore_meta(restored)->id;
    assert_string_equal(state_of(restored), expected);
    sw_restore_close(restored);
    return id;
}

UNUSED static void assert_restore_fails(sw_checkpoints *store, const char *which, int code, const char *words)
{
    sw_restore *restored = NULL;
    sw_error err = { 0 };
    skips[0] = '\0';
    assert_int_equal(sw_restore_open(&restored, store, which, note_skip, NULL, &err), code);
    if (strstr(err.text, words) == NULL) fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    assert_null(restored);
}

/* The files in checkpoints/ but for the small ones, as a text. */
UNUSED static const char *files(void)
{
    static char text[1024];
    char **names = NULL;
    size_t n = 0;
    text[0] = '\0';
    assert_int_equal(sw_fs_list(in_dir("checkpoints"), &names, &n, NULL), SW_OK);
    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(text);
        if (strstr(names[i], ".mdb") == NULL && strstr(names[i], ".tmp") == NULL) continue;
        snprintf(text + size, sizeof(text) - size, "%s%s", size > 0 ? " " : "", names[i]);
    }
    sw_fs_glob_free(names, n);
    return text;
}

#define MEMORY_TEST(test) cmocka_unit_test_setup_teardown(test, make_memory_dir, remove_temp_dir)
#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, make_temp_dir, remove_temp_dir)

#endif
