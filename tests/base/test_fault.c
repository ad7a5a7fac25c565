#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"

#define PASSING "pass-the-points" /* What this program is started with to be the one that dies. */

static void pass_the_points(void)
{
    SW_CRASH_POINT("test.first");
    SW_CRASH_POINT("test.second");
    SW_CRASH_POINT("test.first");
}

/* The signal that ends a process which passes the points with the variable set so; 0: it comes to its end. */
static int signal_with(const char *variable)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        if (variable != NULL) setenv("SWLUA_CRASH_AT", variable, 1);
        execl("/proc/self/exe", "test_fault", PASSING, (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) return WTERMSIG(status);
    assert_int_equal(WEXITSTATUS(status), 0);
    return 0;
}

static void a_process_dies_at_the_point_that_the_variable_names(void **state)
{
    (void)state;
    assert_int_equal(signal_with(NULL), 0);
    assert_int_equal(signal_with("test.first:1"), SIGKILL);
    assert_int_equal(signal_with("test.second"), SIGKILL);
    assert_int_equal(signal_with("test.third:1"), 0);
}

static void the_point_is_that_of_the_given_passing(void **state)
{
    (void)state;
    assert_int_equal(signal_with("test.first:2"), SIGKILL);
    assert_int_equal(signal_with("test.first:3"), 0);
    assert_int_equal(signal_with("test.second:2"), 0);
}

static void a_star_counts_every_point(void **state)
{
    (void)state;
    assert_int_equal(signal_with("*:3"), SIGKILL);
    assert_int_equal(signal_with("*:4"), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_dies_at_the_point_that_the_variable_names),
        cmocka_unit_test(the_point_is_that_of_the_given_passing),
        cmocka_unit_test(a_star_counts_every_point),
    };
    if (argc == 2 && strcmp(argv[1], PASSING) == 0) {
        pass_the_points();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
