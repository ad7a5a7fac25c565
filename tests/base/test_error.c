#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

static void setting_an_error_returns_the_code_and_keeps_the_text(void **state)
{
    sw_error err;
    (void)state;
    assert_int_equal(sw_error_set(&err, SW_EFORMAT, "line %d", 7), SW_EFORMAT);
    assert_int_equal(err.code, SW_EFORMAT);
    assert_string_equal(err.text, "line 7");
}

static void an_error_may_be_left_out(void **state)
{
    (void)state;
    assert_int_equal(sw_error_set(NULL, SW_EIO, "text"), SW_EIO);
    assert_int_equal(sw_error_errno(NULL, ENOENT, "text"), SW_ENOTFOUND);
    sw_error_prepend(NULL, "context");
}

static void a_text_may_be_built_from_the_text_it_replaces(void **state)
{
    sw_error err;
    (void)state;
    sw_error_set(&err, SW_EIO, "inner");
    sw_error_set(&err, SW_EIO, "outer(%s)", err.text);
    assert_string_equal(err.text, "outer(inner)");
}

static void context_is_put_before_the_text(void **state)
{
    sw_error err;
    (void)state;
    sw_error_set(&err, SW_EIO, "inner");
    sw_error_prepend(&err, "job %s", "fraud");
    assert_string_equal(err.text, "job fraud: inner");
    assert_int_equal(err.code, SW_EIO);
}

static void context_before_no_text_is_followed_by_the_meaning(void **state)
{
    sw_error err = { SW_EFULL, "" };
    (void)state;
    sw_error_prepend(&err, "ring");
    assert_string_equal(err.text, "ring: full");
}

static void a_text_that_is_too_long_is_cut_and_terminated(void **state)
{
    char text[2 * SW_ERROR_TEXT_SIZE];
    sw_error err;
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    sw_error_set(&err, SW_EIO, "%s", text);
    assert_int_equal(strlen(err.text), SW_ERROR_TEXT_SIZE - 1);
    sw_error_prepend(&err, "ctx");
    assert_int_equal(strlen(err.text), SW_ERROR_TEXT_SIZE - 1);
    assert_memory_equal(err.text, "ctx: xxx", 8);
    sw_error_errno(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.text), SW_ERROR_TEXT_SIZE - 1);
}

static void errno_values_become_codes_with_the_systems_text(void **state)
{
    static const struct {
        int errno_value, code;
    } cases[] = {
        { ENOMEM, SW_ENOMEM }, { ENOENT, SW_ENOTFOUND }, { EISDIR, SW_EINVAL }, { ENOSPC, SW_ENOSPC },
        { EDQUOT, SW_ENOSPC }, { EPIPE, SW_ECLOSED },    { EMFILE, SW_ELIMIT }, { EAGAIN, SW_EBUSY },
        { EACCES, SW_EIO },    { EIO, SW_EIO },
    };
    sw_error err;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sw_error_errno(&err, cases[i].errno_value, "x"), cases[i].code);
        assert_int_equal(err.code, cases[i].code);
    }
    sw_error_errno(&err, ENOENT, "cannot open %s", "a.txt");
    assert_string_equal(err.text, "cannot open a.txt: No such file or directory");
}

static void codes_have_names_and_meanings(void **state)
{
    (void)state;
    assert_string_equal(sw_error_name(SW_OK), "SW_OK");
    assert_string_equal(sw_error_name(SW_ENOSPC), "SW_ENOSPC");
    assert_string_equal(sw_error_name(1), "SW_E?");
    assert_string_equal(sw_error_meaning(SW_ENOSPC), "no space left");
}

static void a_violated_assertion_names_its_place_and_aborts(void **state)
{
    char output[256] = "";
    int ends[2];
    int status = 0;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        SW_ASSERT(1 + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(read(ends[0], output, sizeof(output) - 1) > 0);
    close(ends[0]);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(output, "test_error.c:"));
    assert_non_null(strstr(output, "assertion failed: 1 + 1 == 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_an_error_returns_the_code_and_keeps_the_text),
        cmocka_unit_test(an_error_may_be_left_out),
        cmocka_unit_test(a_text_may_be_built_from_the_text_it_replaces),
        cmocka_unit_test(context_is_put_before_the_text),
        cmocka_unit_test(context_before_no_text_is_followed_by_the_meaning),
        cmocka_unit_test(a_text_that_is_too_long_is_cut_and_terminated),
        cmocka_unit_test(errno_values_become_codes_with_the_systems_text),
        cmocka_unit_test(codes_have_names_and_meanings),
        cmocka_unit_test(a_violated_assertion_names_its_place_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
