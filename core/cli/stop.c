#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/json.h"

#define LINE_MS 1000 /* between two updates of the line on a terminal */

enum { OPTION_DRAIN = 1, OPTION_SAVEPOINT, OPTION_NOW };

static const sw_cli_option stop_options[] = {
    { OPTION_DRAIN, "drain", NULL, "as if the input had ended: timers fire, and all windows" },
    { OPTION_SAVEPOINT, "savepoint", "NAME", "makes a savepoint of the checkpoint it stops with" },
    { OPTION_NOW, "now", NULL, "waits for nothing; what is in flight is lost, or done again after a restore" },
    { 0 },
};

typedef struct stop_settings {
    int mode;              /* OPTION_...; 0: with a checkpoint */
    const char *savepoint; /* name */
} stop_settings;

static int set_option(void *arg, int id, const char *value, sw_error *err)
{
    stop_settings *settings = arg;
    if (settings->mode != 0 && settings->mode != id)
        return sw_error_set(err, SW_EINVAL, "only one of --drain, --savepoint and --now");
    settings->mode = id;
    settings->savepoint = value;
    return SW_OK;
}

/* --- waiting for the end ------------------------------------------------------------------------------------------ */

static int open_process(pid_t pid, sw_error *err)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd >= 0 ? fd : sw_error_errno(err, errno, "cannot watch process %ld", (long)pid);
}

/* Returns once the process has ended; on a terminal a line says that it is being waited for. */
static void await_end(int process, const char *job)
{
    bool has_terminal = isatty(STDERR_FILENO) == 1;
    int64_t began_ns = sw_clock_mono_ns(sw_clock_real());
    struct pollfd ended = { .fd = process, .events = POLLIN };
    for (;;) {
        int rc = poll(&ended, 1, has_terminal ? LINE_MS : -1);
        if (rc > 0 || (rc < 0 && errno != EINTR)) break;
        long long seconds = (sw_clock_mono_ns(sw_clock_real()) - began_ns) / 1000000000;
        if (has_terminal) fprintf(stderr, "\r\x1b[Kswlua: waiting for %s to stop, %llds\r", job, seconds);
    }
    if (has_terminal) fputs("\r\x1b[K", stderr);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int make_request(sw_buf *out, const stop_settings *settings)
{
    static const char *const modes[] = { "checkpoint", "drain", "savepoint", "now" }; /* As OPTION_..., from 0. */
    int rc = sw_buf_printf(out, "{\"cmd\":\"stop\",\"mode\":\"%s\"", modes[settings->mode]);
    if (rc == SW_OK && settings->savepoint != NULL) rc = sw_buf_append_str(out, ",\"name\":");
    if (rc == SW_OK && settings->savepoint != NULL) rc = sw_cli_json_string(out, settings->savepoint);
    return rc == SW_OK ? sw_buf_append(out, "}", 2) : rc;
}

/* The process to wait for: the supervisor where there is one. */
static int find_process(sw_client *client, pid_t *pid, sw_error *err)
{
    double number;
    int rc = sw_client_call(client, "{\"cmd\":\"ps\"}", false, err);
    *pid = client->engine;
    if (rc == SW_OK && sw_message_number(&client->reply, "pid", &number)) *pid = (pid_t)number;
    return rc;
}

static int stop_job(sw_client *client, const char *job, const stop_settings *settings, sw_error *err)
{
    sw_buf request = { 0 };
    pid_t pid;
    int process = -1;
    int rc = find_process(client, &pid, err);
    if (rc == SW_OK && (process = open_process(pid, err)) < 0) rc = process;
    if (rc == SW_OK && make_request(&request, settings) != SW_OK) rc = sw_error_set(err, SW_ENOMEM, "out of memory");
    if (rc == SW_OK) rc = sw_client_call(client, (const char *)request.data, true, err);
    if (rc == SW_ECLOSED) rc = SW_OK; /* It has ended before it could reply. */
    if (rc == SW_OK) await_end(process, job);
    if (process >= 0) close(process);
    sw_buf_deinit(&request);
    return rc;
}

static int run_stop(const sw_command *command, int argc, char **argv)
{
    stop_settings settings = { 0 };
    sw_cli_parsed parsed;
    sw_client client;
    sw_error err;
    int status;
    if (!sw_command_begin(command, argc, argv, set_option, &settings, &parsed, &status)) return status;
    if (parsed.rest_count != 1) return sw_command_misused(command, "which job? A name or a state directory");
    const char *job = parsed.rest[0];
    int rc = sw_client_open(&client, job, &err);
    if (rc == SW_OK) {
        rc = stop_job(&client, job, &settings, &err);
        sw_client_close(&client);
        if (rc != SW_OK) sw_error_prepend(&err, "%s", job);
    }
    if (rc == SW_OK) printf("%s has stopped\n", job);
    else fprintf(stderr, "swlua stop: %s\n", err.text);
    return rc == SW_OK ? SW_EXIT_OK : SW_EXIT_FAILED;
}

const sw_command sw_command_stop = {
    .name = "stop",
    .arguments = "JOB [--drain | --savepoint NAME | --now]",
    .summary = "stops a running job, and waits until it has ended",
    .notes =
        "JOB is a name or a state directory. By default the sources stop, what is in flight is finished, and a last\n"
        "checkpoint is taken, from which the next run goes on; without a guarantee open timers fire. Exit status: 0\n"
        "it has ended; 1 no such job runs, or it refused.",
    .options = stop_options,
    .run = run_stop,
};
