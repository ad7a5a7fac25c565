#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/socket.h"

static char dir[256];   /* of the test that runs */
static char path[4096]; /* of its socket */

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/swlua-socket-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    return 0;
}

static int remove_dir(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void assert_connects(void)
{
    sw_error err;
    pid_t pid = 0;
    uid_t uid = 0;
    int fd = -1;
    if (sw_socket_connect(&fd, path, 1000, &err) != SW_OK) fail_msg("%s", err.text);
    assert_int_equal(sw_socket_peer(fd, &pid, &uid), SW_OK);
    assert_int_equal(pid, getpid());
    assert_int_equal(uid, geteuid());
    close(fd);
}

static void a_socket_is_its_owners_alone_and_goes_when_closed(void **state)
{
    sw_listener listener;
    struct stat st;
    (void)state;
    assert_int_equal(sw_socket_listen(&listener, path, 4, NULL), SW_OK);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_connects();
    sw_socket_close(&listener, path);
    sw_socket_close(&listener, path);
    assert_int_equal(lstat(path, &st), -1);
}

static void a_path_may_be_longer_than_an_address(void **state)
{
    sw_listener listener;
    size_t len = strlen(dir);
    (void)state;
    memcpy(path, dir, len);
    for (int i = 0; i < 30; i++, len += 20) memcpy(path + len, "/twenty-bytes-a-part", 20);
    path[len] = '\0';
    assert_int_equal(sw_fs_mkdirs(path, NULL), SW_OK);
    memcpy(path + len, "/s", 3);
    assert_int_equal(sw_socket_listen(&listener, path, 4, NULL), SW_OK);
    assert_connects();
    sw_socket_close(&listener, path);
    assert_false(sw_fs_exists(path));
}

static void a_socket_that_somebody_serves_is_not_taken(void **state)
{
    sw_listener listener, other;
    sw_error err;
    char expected[64];
    (void)state;
    assert_int_equal(sw_socket_listen(&listener, path, 4, NULL), SW_OK);
    assert_int_equal(sw_socket_listen(&other, path, 4, &err), SW_EBUSY);
    snprintf(expected, sizeof(expected), "process %ld listens", (long)getpid());
    assert_non_null(strstr(err.text, expected));
    assert_connects();
    sw_socket_close(&listener, path);
}

static void one_that_a_dead_process_left_is_replaced(void **state)
{
    sw_listener listener;
    sw_error err;
    int fd;
    (void)state;
    assert_int_equal(sw_socket_listen(&listener, path, 4, NULL), SW_OK);
    close(listener.fd); /* As its process's death would. */
    assert_true(sw_fs_exists(path));
    assert_int_equal(sw_socket_connect(&fd, path, 1000, &err), SW_ENOTFOUND);
    assert_int_equal(sw_socket_listen(&listener, path, 4, NULL), SW_OK);
    assert_connects();
    sw_socket_close(&listener, path);
}

static void closing_leaves_what_has_taken_the_place(void **state)
{
    sw_listener listener;
    (void)state;
    assert_int_equal(sw_socket_listen(&listener, path, 4, NULL), SW_OK);
    assert_int_equal(unlink(path), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    sw_socket_close(&listener, path);
    assert_true(sw_fs_exists(path));
}

static void nobody_listens_where_there_is_no_folder(void **state)
{
    sw_listener listener;
    sw_error err;
    int fd;
    (void)state;
    snprintf(path, sizeof(path), "%s/nowhere/s", dir);
    assert_int_equal(sw_socket_listen(&listener, path, 4, &err), SW_ENOTFOUND);
    assert_int_equal(sw_socket_connect(&fd, path, 1000, &err), SW_ENOTFOUND);
    assert_non_null(strstr(err.text, "nobody listens at"));
}

static void a_server_that_accepts_nobody_does_not_hold_a_client(void **state)
{
    sw_listener listener;
    sw_error err;
    int fds[8], count = 0, rc = SW_OK;
    (void)state;
    assert_int_equal(sw_socket_listen(&listener, path, 1, NULL), SW_OK);
    while (count < 8 && (rc = sw_socket_connect(&fds[count], path, 10, &err)) == SW_OK) count++;
    assert_int_equal(rc, SW_EBUSY);
    while (count > 0) close(fds[--count]);
    sw_socket_close(&listener, path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_socket_is_its_owners_alone_and_goes_when_closed),
        TEST(a_path_may_be_longer_than_an_address),
        TEST(a_socket_that_somebody_serves_is_not_taken),
        TEST(one_that_a_dead_process_left_is_replaced),
        TEST(closing_leaves_what_has_taken_the_place),
        TEST(nobody_listens_where_there_is_no_folder),
        TEST(a_server_that_accepts_nobody_does_not_hold_a_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
