/* checkpoint_support.h -- what the tests of checkpoints share: a directory, changes and states written as text.
 *
 *     commit(store, "a=1 b=2 -c")       puts a and b, removes c, of the component "op" */
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

#define MEMORY_TEST(test) cmocka_unit_test_setup_teardown(test, make_memory_dir, remove_temp_dir)
#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, make_temp_dir, remove_temp_dir)

#endif
