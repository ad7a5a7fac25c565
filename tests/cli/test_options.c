#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cli/job_options.h"
#include "cli/options.h"

enum { OPTION_NAME = 1, OPTION_FLAG, OPTION_LATER };

static const sw_cli_option options[] = {
    { OPTION_NAME, "name", "TEXT", "a value" },
    { OPTION_FLAG, "report", NULL, "a flag" },
    { OPTION_LATER, "http", "ADDR", NULL },
    { OPTION_LATER, "watch", NULL, NULL },
    { 0 },
};

/* What set was called with, as "id=value " for each call. */
typedef struct calls {
    char text[256];
} calls;

static int record(void *arg, int id, const char *value, sw_error *err)
{
    calls *seen = arg;
    size_t n = strlen(seen->text);
    snprintf(seen->text + n, sizeof(seen->text) - n, "%d=%s ", id, value != NULL ? value : "");
    if (value != NULL && strcmp(value, "bad") == 0) return sw_error_set(err, SW_EINVAL, "it is bad");
    return SW_OK;
}

#define ARGS_MAX 8

/* Parses `words` behind a command's name; err.text tells what failed. */
static int parse(calls *seen, sw_cli_parsed *parsed, sw_error *err, char **argv, const char *const *words)
{
    int argc = 0;
    argv[argc++] = "command";
    for (; *words != NULL; words++) argv[argc++] = (char *)(uintptr_t)*words;
    argv[argc] = NULL;
    *seen = (calls){ "" };
    return sw_cli_parse(options, argc, argv, record, seen, parsed, err);
}

#define PARSE(...) parse(&seen, &parsed, &err, argv, (const char *const[]){ __VA_ARGS__, NULL })

static void options_stand_before_and_behind_other_arguments(void **state)
{
    calls seen;
    sw_cli_parsed parsed;
    sw_error err;
    char *argv[ARGS_MAX];
    (void)state;
    assert_int_equal(PARSE("--report", "job.lua", "--name", "x", "more"), SW_OK);
    assert_string_equal(seen.text, "2= 1=x ");
    assert_int_equal(parsed.rest_count, 2);
    assert_string_equal(parsed.rest[0], "job.lua");
    assert_string_equal(parsed.rest[1], "more");
    assert_false(parsed.is_help);
}

static void nothing_behind_two_dashes_is_an_option(void **state)
{
    calls seen;
    sw_cli_parsed parsed;
    sw_error err;
    char *argv[ARGS_MAX];
    (void)state;
    assert_int_equal(PARSE("job.lua", "--name=y", "--", "--report", "-x"), SW_OK);
    assert_string_equal(seen.text, "1=y ");
    assert_int_equal(parsed.rest_count, 3);
    assert_string_equal(parsed.rest[1], "--report");
    assert_string_equal(parsed.rest[2], "-x");
}

static void an_unknown_option_is_refused_with_the_nearest_name(void **state)
{
    calls seen;
    sw_cli_parsed parsed;
    sw_error err;
    char *argv[ARGS_MAX];
    (void)state;
    assert_int_equal(PARSE("--reprot=3"), SW_EINVAL);
    assert_string_equal(err.text, "unknown option \"--reprot\"; did you mean \"--report\"?");
    assert_int_equal(PARSE("job.lua", "--zzzzzzz"), SW_EINVAL);
    assert_string_equal(err.text, "unknown option \"--zzzzzzz\"");
    assert_int_equal(PARSE("-x"), SW_EINVAL);
    assert_string_equal(err.text, "unknown option \"-x\"");
}

static void a_value_that_is_missing_or_too_much_is_refused(void **state)
{
    calls seen;
    sw_cli_parsed parsed;
    sw_error err;
    char *argv[ARGS_MAX];
    (void)state;
    assert_int_equal(PARSE("--name"), SW_EINVAL);
    assert_string_equal(err.text, "option \"--name\" needs a value: --name TEXT");
    assert_int_equal(PARSE("--report=3"), SW_EINVAL);
    assert_string_equal(err.text, "option \"--report\" takes no value");
    assert_int_equal(PARSE("--name", "bad"), SW_EINVAL);
    assert_string_equal(err.text, "option \"--name\": it is bad");
}

static void an_option_of_a_later_version_is_refused_as_such(void **state)
{
    calls seen;
    sw_cli_parsed parsed;
    sw_error err;
    char *argv[ARGS_MAX];
    (void)state;
    assert_int_equal(PARSE("--watch"), SW_EINVAL);
    assert_string_equal(err.text, "option \"--watch\" is not available in this version");
    assert_int_equal(PARSE("--http"), SW_EINVAL);
    assert_string_equal(err.text, "option \"--http\" is not available in this version");
    assert_int_equal(PARSE("--http", ":80"), SW_EINVAL);
    assert_string_equal(err.text, "option \"--http\" is not available in this version");
    assert_string_equal(seen.text, "");
}

static void help_is_always_an_option(void **state)
{
    calls seen;
    sw_cli_parsed parsed;
    sw_error err;
    char *argv[ARGS_MAX];
    (void)state;
    assert_int_equal(PARSE("job.lua", "--help"), SW_OK);
    assert_true(parsed.is_help);
    assert_int_equal(PARSE("-h"), SW_OK);
    assert_true(parsed.is_help);
}

static void the_nearest_name_is_found_where_one_is_near(void **state)
{
    static const char *const names[] = { "run", "check", "graph", "parallelism", NULL };
    (void)state;
    assert_string_equal(sw_cli_nearest("rnu", names), "run");
    assert_string_equal(sw_cli_nearest("chekc", names), "check");
    assert_string_equal(sw_cli_nearest("paralelism", names), "parallelism");
    assert_null(sw_cli_nearest("attach", names));
    assert_null(sw_cli_nearest("", names));
}

static void counts_are_whole_numbers_in_their_bounds(void **state)
{
    static const char *const wrong[] = { "", "0", "11", "-1", "+1", " 1", "1x", "1.5", "99999999999999999999", NULL };
    uint64_t count = 7;
    sw_error err;
    (void)state;
    assert_int_equal(sw_cli_read_count("10", 1, 10, &count, &err), SW_OK);
    assert_int_equal(count, 10);
    for (int i = 0; wrong[i] != NULL; i++)
        assert_int_equal(sw_cli_read_count(wrong[i], 1, 10, &count, &err), SW_EINVAL);
    assert_int_equal(count, 10);
    assert_int_equal(sw_cli_read_count("18446744073709551615", 0, UINT64_MAX, &count, &err), SW_OK);
    assert_true(count == UINT64_MAX);
}

static void settings_of_the_job_are_collected_by_name(void **state)
{
    sw_job_options job;
    sw_error err;
    (void)state;
    sw_job_options_init(&job);
    assert_int_equal(sw_job_options_set(&job, SW_JOB_OPTION_PARALLELISM, "4", &err), SW_OK);
    assert_int_equal(sw_job_options_set(&job, SW_JOB_OPTION_PARALLELISM, "a=b=2", &err), SW_OK);
    assert_int_equal(sw_job_options_set(&job, SW_JOB_OPTION_SET, "input=x=y.jsonl", &err), SW_OK);
    assert_int_equal(sw_job_options_set(&job, SW_JOB_OPTION_CHECKPOINT_INTERVAL, "5s", &err), SW_OK);
    assert_int_equal(job.config.setting_count, 3);
    assert_string_equal(job.config.settings[0].name, "parallelism");
    assert_string_equal(job.config.settings[0].value, "4");
    assert_string_equal(job.config.settings[1].name, "parallelism:a=b");
    assert_string_equal(job.config.settings[1].value, "2");
    assert_string_equal(job.config.settings[2].name, "checkpoint_interval");
    assert_int_equal(job.config.set_count, 1);
    assert_string_equal(job.config.sets[0].name, "input");
    assert_string_equal(job.config.sets[0].value, "x=y.jsonl");
    sw_job_options_deinit(&job);
}

static void wrong_settings_are_refused_before_the_script_is_read(void **state)
{
    static const struct {
        int id;
        const char *value;
    } wrong[] = {
        { SW_JOB_OPTION_PARALLELISM, "0" },     { SW_JOB_OPTION_PARALLELISM, "=3" },
        { SW_JOB_OPTION_PARALLELISM, "129" },   { SW_JOB_OPTION_PARALLELISM, "a=" },
        { SW_JOB_OPTION_SET, "input" },         { SW_JOB_OPTION_SET, "=x" },
        { SW_JOB_OPTION_DELIVERY, "twice" },    { SW_JOB_OPTION_CHECKPOINT_INTERVAL, "0s" },
        { SW_JOB_OPTION_ON_ERROR, "ignore" },   { SW_JOB_OPTION_CHECKPOINT_INTERVAL, "5" },
        { SW_JOB_OPTION_BACKPRESSURE, "wait" }, { SW_JOB_OPTION_WORKERS, "0" },
    };
    sw_job_options job;
    sw_error err;
    (void)state;
    sw_job_options_init(&job);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(sw_job_options_set(&job, wrong[i].id, wrong[i].value, &err), SW_EINVAL);
    assert_int_equal(job.config.setting_count + job.config.set_count, 0);
    sw_job_options_deinit(&job);
}

static void more_pairs_than_there_is_room_for_are_refused(void **state)
{
    sw_job_options job;
    sw_error err;
    (void)state;
    sw_job_options_init(&job);
    for (int i = 0; i < SW_RUNNER_PAIRS_MAX; i++)
        assert_int_equal(sw_job_options_set(&job, SW_JOB_OPTION_SET, "a=b", &err), SW_OK);
    assert_int_equal(sw_job_options_set(&job, SW_JOB_OPTION_SET, "a=b", &err), SW_ELIMIT);
    sw_job_options_deinit(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_before_and_behind_other_arguments),
        cmocka_unit_test(nothing_behind_two_dashes_is_an_option),
        cmocka_unit_test(an_unknown_option_is_refused_with_the_nearest_name),
        cmocka_unit_test(a_value_that_is_missing_or_too_much_is_refused),
        cmocka_unit_test(an_option_of_a_later_version_is_refused_as_such),
        cmocka_unit_test(help_is_always_an_option),
        cmocka_unit_test(the_nearest_name_is_found_where_one_is_near),
        cmocka_unit_test(counts_are_whole_numbers_in_their_bounds),
        cmocka_unit_test(settings_of_the_job_are_collected_by_name),
        cmocka_unit_test(wrong_settings_are_refused_before_the_script_is_read),
        cmocka_unit_test(more_pairs_than_there_is_room_for_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
