#include "cli/job_options.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "cli/command.h"

#define DEFAULT_SEED 1

void sw_job_options_init(sw_job_options *options)
{
    memset(options, 0, sizeof(*options));
    options->config.sets = options->sets;
    options->config.settings = options->settings;
    options->config.seed = DEFAULT_SEED;
    options->config.start_ms = SW_SIM_START_MS;
}

static void free_names(sw_pair *pairs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) sw_free((char *)(uintptr_t)pairs[i].name);
}

void sw_job_options_deinit(sw_job_options *options)
{
    free_names(options->sets, options->config.set_count);
    free_names(options->settings, options->config.setting_count);
    options->config.set_count = options->config.setting_count = 0;
}

/* Takes the name over, also on failure. */
static int add_pair(sw_pair *pairs, uint32_t *count, char *name, const char *value, sw_error *err)
{
    if (name == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    if (*count == SW_RUNNER_PAIRS_MAX) {
        sw_free(name);
        return sw_error_set(err, SW_ELIMIT, "given more than %d times", SW_RUNNER_PAIRS_MAX);
    }
    pairs[(*count)++] = (sw_pair){ .name = name, .value = value };
    return SW_OK;
}

static int add_setting(sw_job_options *options, const char *name, const char *value, sw_error *err)
{
    return add_pair(options->settings, &options->config.setting_count, sw_strdup(name), value, err);
}

static int add_word(sw_job_options *options, const char *name, const char *value, const char *const *words,
                    sw_error *err)
{
    int index;
    int rc = sw_cli_read_word(value, words, &index, err);
    return rc == SW_OK ? add_setting(options, name, value, err) : rc;
}

static int add_set(sw_job_options *options, const char *value, sw_error *err)
{
    const char *equals = strchr(value, '=');
    if (equals == NULL || equals == value)
        return sw_error_set(err, SW_EINVAL, "expected NAME=VALUE, got \"%s\"", value);
    char *name = sw_strndup(value, (size_t)(equals - value));
    return add_pair(options->sets, &options->config.set_count, name, equals + 1, err);
}

static int add_parallelism(sw_job_options *options, const char *value, sw_error *err)
{
    static const char setting[] = "parallelism";
    const char *equals = strrchr(value, '='), *number = equals != NULL ? equals + 1 : value;
    uint64_t count;
    if (equals == value) return sw_error_set(err, SW_EINVAL, "expected COMPONENT=N, got \"%s\"", value);
    int rc = sw_cli_read_count(number, 1, SW_PARALLELISM_MAX, &count, err);
    if (rc != SW_OK) return rc;
    if (equals == NULL) return add_setting(options, setting, number, err);
    size_t size = sizeof(setting) + 1 + (size_t)(equals - value);
    char *name = sw_alloc(size);
    if (name != NULL) snprintf(name, size, "%s:%.*s", setting, (int)(equals - value), value);
    return add_pair(options->settings, &options->config.setting_count, name, number, err);
}

static int add_interval(sw_job_options *options, const char *value, sw_error *err)
{
    int64_t ms;
    int rc = sw_duration_parse_ms(value, &ms, err);
    if (rc == SW_OK && ms <= 0) rc = sw_error_set(err, SW_EINVAL, "expected a duration above 0, got \"%s\"", value);
    return rc == SW_OK ? add_setting(options, "checkpoint_interval", value, err) : rc;
}

int sw_job_options_set(sw_job_options *options, int id, const char *value, sw_error *err)
{
    static const char *const deliveries[] = { "at-most-once", "at-least-once", "exactly-once", NULL };
    static const char *const policies[] = { "block", "stop-sources", "drop", "drop-newest", "drop-oldest", NULL };
    static const char *const reactions[] = { "fail", "skip", "dead-letter", NULL };
    uint64_t count;
    int rc;
    switch (id) {
    case SW_JOB_OPTION_SET: return add_set(options, value, err);
    case SW_JOB_OPTION_PARALLELISM: return add_parallelism(options, value, err);
    case SW_JOB_OPTION_DELIVERY: return add_word(options, "delivery", value, deliveries, err);
    case SW_JOB_OPTION_BACKPRESSURE: return add_word(options, "backpressure", value, policies, err);
    case SW_JOB_OPTION_ON_ERROR: return add_word(options, "on_error", value, reactions, err);
    case SW_JOB_OPTION_CHECKPOINT_INTERVAL: return add_interval(options, value, err);
    case SW_JOB_OPTION_WORKERS:
        if ((rc = sw_cli_read_count(value, 1, SW_WORKERS_MAX, &count, err)) != SW_OK) return rc;
        options->config.workers = (uint32_t)count;
        return SW_OK;
    }
    SW_ASSERT(!"an option of the table");
    return SW_EINVAL;
}

int sw_job_options_take_script(sw_job_options *options, const sw_cli_parsed *parsed, sw_error *err)
{
    if (parsed->rest_count == 0) return sw_error_set(err, SW_EINVAL, "which script?");
    options->config.script = parsed->rest[0];
    options->config.args = parsed->rest + 1;
    options->config.arg_count = parsed->rest_count - 1;
    return SW_OK;
}

/* --- loading ------------------------------------------------------------------------------------------------------ */

int sw_job_open(sw_runner *runner, const sw_job_options *options)
{
    sw_error err;
    int rc = sw_runner_open(runner, &options->config, &err);
    if (rc == SW_OK) return SW_EXIT_OK;
    fprintf(stderr, "swlua: %s\n", err.text);
    if (rc == SW_ESTATE) return SW_EXIT_STATE;
    return rc == SW_ESCRIPT || rc == SW_ENOTFOUND || rc == SW_EIO ? SW_EXIT_SCRIPT : SW_EXIT_FAILED;
}

void sw_job_print_warnings(const sw_buf *text)
{
    const char *line = (const char *)text->data, *end = line + text->size;
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (stop == NULL) stop = end;
        fprintf(stderr, "swlua: warning: %.*s\n", (int)(stop - line), line);
        line = stop + 1;
    }
}
