/* log_files.h -- a folder of logs for each test, its files as bytes, and child processes that may die in it.
 *
 * Ownership  Each helper says who frees.
 * Threads    One. */
#ifndef SW_TESTS_STATE_LOG_FILES_H
#define SW_TESTS_STATE_LOG_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/fault.h"

static char logs[64]; /* Fresh for each test; removed after it. */

static inline int make_logs(void **state)
{
    (void)state;
    /* In memory where that is possible: the tests sync thousands of times. */
    snprintf(logs, sizeof(logs), "%s/swlua-log-XXXXXX", sw_fs_is_dir("/dev/shm") ? "/dev/shm" : "/tmp");
    return mkdtemp(logs) == NULL;
}

static inline int remove_tree(const char *path)
{
    return sw_fs_remove_tree(path, NULL);
}

/* Arms the crash point for the children forked from now on. NULL: none. */
static inline void crash_at(const char *name, long n)
{
    char text[128];
    snprintf(text, sizeof(text), "%s:%ld", name != NULL ? name : "", n);
    sw_crash_arm(name != NULL ? text : NULL);
}

static inline int remove_logs(void **state)
{
    (void)state;
    sw_fault_off();
    return remove_tree(logs);
}

/* A path under the logs; the last four stay valid. */
static inline const char *in_logs(const char *path)
{
    static char paths[4][256];
    static unsigned next;
    char *out = paths[next++ % 4];
    snprintf(out, sizeof(paths[0]), "%s/%s", logs, path);
    return out;
}

/* The whole file; free it with sw_buf_deinit. */
static inline void file_of(const char *path, sw_buf *out)
{
    sw_buf_init(out);
    assert_int_equal(sw_fs_read_all(path, out, SIZE_MAX, NULL), SW_OK);
}

static inline void put_file(const char *path, const void *bytes, size_t size)
{
    sw_file *file = NULL;
    assert_int_equal(sw_file_open_create(&file, path, NULL), SW_OK);
    assert_int_equal(sw_file_write_all(file, bytes, size, NULL), SW_OK);
    assert_int_equal(sw_file_close(file, NULL), SW_OK);
}

/* Runs fn in a child process; its exit status, or the negative number of the signal that ended it. */
static inline int in_child(void (*fn)(void *arg), void *arg)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fn(arg);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
