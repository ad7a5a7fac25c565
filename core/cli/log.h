/* log.h -- what the parts of `swlua log` share.
 *
 * Ownership  sw_log_call_end frees what sw_log_call_begin made.
 * Threads    the main thread. */
#ifndef SW_CLI_LOG_H
#define SW_CLI_LOG_H

#include "base/buf.h"
#include "cli/command.h"

/* A call of one of the sub-commands, and all their options. */
typedef struct sw_log_call {
    const sw_command *command; /* which */
    const char *logs;          /* --logs; NULL: the default */
    const char *name;          /* of the log */
    const char *file;          /* append: what to read; NULL: standard input */
    const char *time_field;    /* append: --time */
    const char *from;          /* cat: --from */
    uint64_t limit;            /* cat: --limit; UINT64_MAX: none */
    bool is_follow;            /* cat: --follow */
    bool is_json;              /* info: --json */
    bool is_forced;            /* trim: --force */
    const char *keep_size;     /* trim: as given */
    const char *keep_age;      /* trim: as given */
    sw_buf folder;             /* where the logs are: absolute, NUL-terminated; owned */
} sw_log_call;

enum {
    SW_LOG_OPTION_LOGS = 1,
    SW_LOG_OPTION_TIME,
    SW_LOG_OPTION_FROM,
    SW_LOG_OPTION_LIMIT,
    SW_LOG_OPTION_FOLLOW,
    SW_LOG_OPTION_JSON,
    SW_LOG_OPTION_FORCE,
    SW_LOG_OPTION_KEEP_SIZE,
    SW_LOG_OPTION_KEEP_AGE,
};

#define SW_LOG_OPTION_LOGS_ROW                                                                                         \
    {                                                                                                                  \
        SW_LOG_OPTION_LOGS, "logs", "DIR", "where event logs live; default $XDG_STATE_HOME/swlua/logs"                 \
    }

/* Reads the arguments. False: *status is the exit status. */
bool sw_log_call_begin(sw_log_call *call, const sw_command *command, int argc, char **argv, int *status);
void sw_log_call_end(sw_log_call *call);

static inline const char *sw_log_call_folder(const sw_log_call *call)
{
    return (const char *)call->folder.data;
}

/* Says what went wrong; the exit status for it. */
int sw_log_call_failed(const sw_log_call *call, int rc, const sw_error *err);

extern const sw_command sw_command_log_append;
extern const sw_command sw_command_log_cat;
extern const sw_command sw_command_log_info;
extern const sw_command sw_command_log_trim;

#endif
