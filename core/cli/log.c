#include "cli/log.h"

#include <stdio.h>
#include <string.h>

#include "io/log.h"
#include "state/log.h"

static const sw_command *const parts[] = {
    &sw_command_log_append, &sw_command_log_cat, &sw_command_log_info, &sw_command_log_trim, NULL,
};

static int set_option(void *arg, int id, const char *value, sw_error *err)
{
    sw_log_call *call = arg;
    switch (id) {
    case SW_LOG_OPTION_LOGS: call->logs = value; break;
    case SW_LOG_OPTION_TIME: call->time_field = value; break;
    case SW_LOG_OPTION_FROM: call->from = value; break;
    case SW_LOG_OPTION_LIMIT: return sw_cli_read_count(value, 0, UINT64_MAX, &call->limit, err);
    case SW_LOG_OPTION_FOLLOW: call->is_follow = true; break;
    case SW_LOG_OPTION_JSON: call->is_json = true; break;
    case SW_LOG_OPTION_FORCE: call->is_forced = true; break;
    case SW_LOG_OPTION_KEEP_SIZE: call->keep_size = value; break;
    case SW_LOG_OPTION_KEEP_AGE: call->keep_age = value; break;
    }
    return SW_OK;
}

bool sw_log_call_begin(sw_log_call *call, const sw_command *command, int argc, char **argv, int *status)
{
    bool takes_file = command == &sw_command_log_append;
    sw_cli_parsed parsed;
    sw_error err;
    *call = (sw_log_call){ .command = command, .limit = UINT64_MAX };
    if (!sw_command_begin(command, argc, argv, set_option, call, &parsed, status)) return false;
    if (parsed.rest_count == 0) *status = sw_command_misused(command, "which log?");
    else if (parsed.rest_count > (takes_file ? 2 : 1))
        *status = sw_command_misused(command, "one %s at a time", takes_file ? "log and one file" : "log");
    else if (sw_evlog_check_name(parsed.rest[0], &err) != SW_OK) *status = sw_command_misused(command, "%s", err.text);
    else if (sw_log_folder(call->logs, &call->folder, &err) != SW_OK)
        *status = sw_log_call_failed(call, SW_ENOMEM, &err);
    else {
        call->name = parsed.rest[0];
        call->file = parsed.rest_count == 2 ? parsed.rest[1] : NULL;
        return true;
    }
    return false;
}

void sw_log_call_end(sw_log_call *call)
{
    sw_buf_deinit(&call->folder);
}

int sw_log_call_failed(const sw_log_call *call, int rc, const sw_error *err)
{
    fprintf(stderr, "swlua %s: %s\n", call->command->name, err->text);
    bool is_state = rc == SW_EBUSY || rc == SW_ESTATE || rc == SW_EFORMAT || rc == SW_ENOTFOUND;
    return is_state ? SW_EXIT_STATE : SW_EXIT_FAILED;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static int run_log(const sw_command *command, int argc, char **argv)
{
    const char *names[sizeof(parts) / sizeof(parts[0])];
    if (argc < 2) return sw_command_misused(command, "append, cat, info or trim?");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        sw_help_print(command);
        return SW_EXIT_OK;
    }
    for (int i = 0; i < (int)(sizeof(parts) / sizeof(parts[0])); i++) {
        names[i] = parts[i] != NULL ? strchr(parts[i]->name, ' ') + 1 : NULL;
        if (names[i] != NULL && strcmp(names[i], argv[1]) == 0) return parts[i]->run(parts[i], argc - 1, argv + 1);
    }
    const char *nearest = sw_cli_nearest(argv[1], names);
    if (nearest == NULL) return sw_command_misused(command, "no \"%s\": append, cat, info or trim", argv[1]);
    return sw_command_misused(command, "no \"%s\"; did you mean \"%s\"?", argv[1], nearest);
}

const sw_command sw_command_log = {
    .name = "log",
    .arguments = "append|cat|info|trim NAME [options]",
    .summary = "the embedded event log",
    .notes = "swlua log append NAME [FILE]   adds events, JSON lines of a file or of standard input\n"
             "swlua log cat NAME             prints events as JSON lines\n"
             "swlua log info NAME            what there is, and who reads it\n"
             "swlua log trim NAME            removes old events\n"
             "\n"
             "swlua log append --help, and so on, has the options. Jobs use logs by sw.from.log and sw.to.log.",
    .run = run_log,
};
