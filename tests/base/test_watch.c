#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/watch.h"

static void a_watch_tells_of_writes_until_it_is_cleared(void **state)
{
    (void)state;
    char dir[] = "/tmp/swlua-watch-XXXXXX", path[64];
    int fd = -1;
    sw_file *file = NULL;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/a", dir);
    assert_int_equal(sw_watch_open(path, &fd, NULL), SW_ENOTFOUND);
    assert_int_equal(sw_file_open_update(&file, path, NULL), SW_OK);
    assert_string_equal(sw_file_name(file), path);
    assert_int_equal(sw_watch_open(path, &fd, NULL), SW_OK);
    assert_false(sw_watch_wait(fd, 0));
    for (int i = 0; i < 3; i++) assert_int_equal(sw_file_pwrite(file, "x", 1, 0, NULL), SW_OK);
    assert_true(sw_watch_wait(fd, -1));
    sw_watch_clear(fd);
    assert_false(sw_watch_wait(fd, 0));
    sw_watch_close(fd);
    sw_watch_close(-1);
    sw_file_close(file, NULL);
    assert_int_equal(sw_fs_remove_tree(dir, NULL), SW_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_watch_tells_of_writes_until_it_is_cleared) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
