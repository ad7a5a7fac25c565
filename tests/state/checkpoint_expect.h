/* checkpoint_expect.h -- what the tests of checkpoints say about what is restored.
 *
 *     assert_state(store, "latest", "a=1 b=2")      of the component "op" */
#ifndef CHECKPOINT_EXPECT_H
#define CHECKPOINT_EXPECT_H

#include "state/checkpoint_support.h"

UNUSED static void fold(sw_checkpoints *store)
{
    sw_error err = { 0 };
    if (sw_checkpoints_fold(store, &err) != SW_OK) fail_msg("%s", err.text);
}

UNUSED static bool exists(const char *name)
{
    return sw_fs_exists(in_dir(name));
}

UNUSED static sw_checkpoints *open_reader(void)
{
    const sw_checkpoints_options options = { .is_read_only = true };
    sw_checkpoints *store = NULL;
    assert_int_equal(sw_checkpoints_open(&store, dir, &options, NULL), SW_OK);
    return store;
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

#endif
