#include <stdio.h>

#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/json.h"

static int make_request(sw_buf *out, const char *name)
{
    int rc = sw_buf_append_str(out, "{\"cmd\":\"savepoint\",\"name\":");
    if (rc == SW_OK) rc = sw_cli_json_string(out, name);
    return rc == SW_OK ? sw_buf_append(out, "}", 2) : rc;
}

static int take_savepoint(const char *job, const char *name, double *checkpoint, sw_error *err)
{
    sw_client client;
    sw_buf request = { 0 };
    int rc = sw_client_open(&client, job, err);
    if (rc != SW_OK) return rc;
    if (make_request(&request, name) != SW_OK) rc = sw_error_set(err, SW_ENOMEM, "out of memory");
    if (rc == SW_OK) rc = sw_client_call(&client, (const char *)request.data, true, err);
    if (rc == SW_OK) sw_message_number(&client.reply, "checkpoint", checkpoint);
    else sw_error_prepend(err, "%s", job);
    sw_buf_deinit(&request);
    sw_client_close(&client);
    return rc;
}

static int run_savepoint(const sw_command *command, int argc, char **argv)
{
    sw_cli_parsed parsed;
    double checkpoint = 0;
    sw_error err;
    int status;
    if (!sw_command_begin(command, argc, argv, NULL, NULL, &parsed, &status)) return status;
    if (parsed.rest_count != 2) return sw_command_misused(command, "which job, and which name?");
    if (take_savepoint(parsed.rest[0], parsed.rest[1], &checkpoint, &err) != SW_OK) {
        fprintf(stderr, "swlua savepoint: %s\n", err.text);
        return SW_EXIT_FAILED;
    }
    printf("savepoint %s: checkpoint %.0f\n", parsed.rest[1], checkpoint);
    return SW_EXIT_OK;
}

const sw_command sw_command_savepoint = {
    .name = "savepoint",
    .arguments = "JOB NAME",
    .summary = "a checkpoint of a running job that is kept until it is dropped",
    .notes = "JOB is a name or a state directory. The file is DIR/savepoints/NAME.mdb; it needs no other, and can be "
             "carried\n"
             "to another machine. Exit status: 0 it is made; 1 no such job runs, or it could not be made.",
    .run = run_savepoint,
};
