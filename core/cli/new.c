#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "cli/command.h"

#define PATH_SIZE 256
#define NAME_LENGTH_MAX 64

/* Both texts are written with @ for the job's name. */
static const char job_text[] = "-- @.lua                     run with: swlua @.lua\n"
                               "local sw = require \"swlua\"\n"
                               "\n"
                               "local job = sw.job(\"@\")\n"
                               "\n"
                               "-- Any source will do: sw.from.file(\"input.jsonl\"), sw.from.stdin(), ...\n"
                               "local words = { \"to\", \"be\", \"or\", \"not\", \"to\", \"be\" }\n"
                               "local spoken = job:source(\"spoken\", sw.from.generator(function(i)\n"
                               "  return { word = words[(i - 1) % #words + 1] }, i\n"
                               "end, { count = 12 }))\n"
                               "\n"
                               "spoken\n"
                               "  :filter(\"short\", function(event) return #event.word == 2 end)\n"
                               "  :key_by(\"word\")\n"
                               "  :apply(\"counts\", function(event, out, state)\n"
                               "    state.n = (state.n or 0) + 1\n"
                               "    out:emit({ word = event.word, n = state.n })\n"
                               "  end)\n"
                               "  :to(\"results\", sw.to.stdout())\n"
                               "\n"
                               "return job\n";

static const char spec_text[] =
    "-- @_spec.lua                run with: swlua test @_spec.lua\n"
    "local sw = require \"swlua\"\n"
    "\n"
    "describe(\"@\", function()\n"
    "  it(\"counts each short word\", function()\n"
    "    local t = sw.test(\"@.lua\")\n"
    "    t:push(\"spoken\", { word = \"to\" })\n"
    "    t:push(\"spoken\", { word = \"not\" })\n"
    "    t:push(\"spoken\", { word = \"to\" })\n"
    "    assert.are.same({ { word = \"to\", n = 1 }, { word = \"to\", n = 2 } }, t:results(\"results\"))\n"
    "  end)\n"
    "end)\n";

static int fill_in(sw_buf *out, const char *text, const char *name)
{
    int rc = SW_OK;
    while (rc == SW_OK && *text != '\0') {
        size_t len = strcspn(text, "@");
        rc = sw_buf_append(out, text, len);
        text += len;
        if (rc != SW_OK || *text == '\0') break;
        rc = sw_buf_append_str(out, name);
        text++;
    }
    return rc;
}

static int write_file(const char *path, const char *text, const char *name, sw_error *err)
{
    sw_buf content = { 0 };
    sw_file *file = NULL;
    int rc = fill_in(&content, text, name);
    if (rc != SW_OK) sw_error_set(err, rc, "out of memory");
    if (rc == SW_OK) rc = sw_file_open_create(&file, path, err);
    if (rc == SW_OK) rc = sw_file_write_all(file, content.data, content.size, err);
    int closed = sw_file_close(file, rc == SW_OK ? err : NULL);
    sw_buf_deinit(&content);
    return rc == SW_OK ? closed : rc;
}

/* Letters, digits, "_" and "-": what is a name of a job and of a file alike. */
static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strlen(name);
    return len > 0 && len <= NAME_LENGTH_MAX && name[0] != '-' && strspn(name, allowed) == len;
}

static int run_new(const sw_command *command, int argc, char **argv)
{
    char job_path[PATH_SIZE], spec_path[PATH_SIZE];
    sw_cli_parsed parsed;
    sw_error err;
    int status;
    if (!sw_command_begin(command, argc, argv, NULL, NULL, &parsed, &status)) return status;
    if (parsed.rest_count != 1) return sw_command_misused(command, "which name?");
    const char *name = parsed.rest[0];
    if (!is_name(name))
        return sw_command_misused(command, "\"%s\" is no name: use letters, digits, _ and -, at most %d", name,
                                  NAME_LENGTH_MAX);
    snprintf(job_path, sizeof(job_path), "%s.lua", name);
    snprintf(spec_path, sizeof(spec_path), "%s_spec.lua", name);
    const char *taken = sw_fs_exists(job_path) ? job_path : sw_fs_exists(spec_path) ? spec_path : NULL;
    if (taken != NULL) return sw_command_misused(command, "%s exists already", taken);
    if (write_file(job_path, job_text, name, &err) != SW_OK || write_file(spec_path, spec_text, name, &err) != SW_OK) {
        fprintf(stderr, "swlua new: %s\n", err.text);
        return SW_EXIT_FAILED;
    }
    printf("%s: run with swlua %s\n%s: run with swlua test %s\n", job_path, job_path, spec_path, spec_path);
    return SW_EXIT_OK;
}

const sw_command sw_command_new = {
    .name = "new",
    .arguments = "NAME",
    .summary = "a starter job with its spec",
    .notes = "Writes NAME.lua and NAME_spec.lua into the current folder; replaces nothing.",
    .run = run_new,
};
