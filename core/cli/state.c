#include "cli/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "cli/command.h"
#include "io/mp_read.h"
#include "run/graph.h"
#include "state/key.h"
#include "state/pack.h"

enum { OPTION_AT = 1, OPTION_TO, OPTION_INSTANCE, OPTION_LIMIT, OPTION_TIMERS, OPTION_JSON };

static const sw_cli_option state_options[] = {
    { OPTION_AT, "at", "ID", "of this checkpoint or savepoint (or \"latest\"), not of the running job" },
    { OPTION_TO, "to", "ID", "diff: the other one; default latest" },
    { OPTION_INSTANCE, "instance", "N", "only what this instance has, from 0 on" },
    { OPTION_LIMIT, "limit", "N", "scan: so many lines at most" },
    { OPTION_TIMERS, "timers", NULL, "scan: the timers that a checkpoint holds, by key" },
    { OPTION_JSON, "json", NULL, "what it prints anyway: a JSON object a line" },
    { 0 },
};

static int set_option(void *arg, int id, const char *value, sw_error *err)
{
    sw_state_query *query = arg;
    uint64_t number = 0;
    int rc = SW_OK;
    switch (id) {
    case OPTION_AT: query->at = value; break;
    case OPTION_TO: query->to = value; break;
    case OPTION_INSTANCE:
        if ((rc = sw_cli_read_count(value, 0, SW_PARALLELISM_MAX - 1, &number, err)) == SW_OK)
            query->instance = (int64_t)number;
        break;
    case OPTION_LIMIT: return sw_cli_read_count(value, 1, UINT64_MAX - 1, &query->limit, err);
    case OPTION_TIMERS: query->is_timers = true; break;
    default: break; /* --json */
    }
    return rc;
}

/* --- output ------------------------------------------------------------------------------------------------------- */

void sw_state_output_init(sw_state_output *output)
{
    memset(output, 0, sizeof(*output));
    sw_json_encoder_init(&output->encoder);
    output->encoder.is_lenient = true;
}

void sw_state_output_deinit(sw_state_output *output)
{
    sw_json_encoder_deinit(&output->encoder);
    sw_buf_deinit(&output->line);
}

int sw_state_output_line(sw_state_output *output)
{
    fwrite(output->line.data, 1, output->line.size, stdout);
    fputc('\n', stdout);
    sw_buf_clear(&output->line);
    output->rows++;
    return ferror(stdout) ? SW_ECLOSED : SW_OK;
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

/* A text that begins like none of JSON's own. */
static bool is_word(const char *text)
{
    return text[0] != '\0' && strchr("\"[{ \t", text[0]) == NULL;
}

/* The bytes of {"key":TEXT}; a member that is null is not there. */
static int read_member(sw_message *message, const char *text, sw_buf *out)
{
    sw_buf line = { 0 };
    size_t len = 0;
    sw_mp_value map;
    int rc = sw_buf_printf(&line, "{\"key\":%s}", text);
    if (rc == SW_OK) rc = sw_message_read(message, line.data, line.size, NULL);
    sw_buf_deinit(&line);
    if (rc != SW_OK) return rc;
    const sw_row *row = (const sw_row *)(const void *)message->batch.data;
    const uint8_t *body = sw_row_body(row), *value = sw_message_bytes(message, "key", &len);
    if (sw_mp_read(body, body + row->body_len, &map) == NULL || map.len > 1) return SW_EFORMAT; /* `1,"x":2` */
    if (value != NULL) return sw_key_from_pack(value, len, out);
    sw_buf_clear(out);
    return sw_key_nil(out);
}

int sw_state_read_key(const char *text, sw_buf *out, sw_error *err)
{
    sw_message message;
    int rc = sw_message_init(&message, err);
    if (rc != SW_OK) return rc;
    rc = read_member(&message, text, out);
    sw_message_deinit(&message);
    if (rc == SW_EFORMAT && is_word(text)) {
        sw_buf_clear(out);
        rc = sw_key_str(out, text, (uint32_t)strlen(text));
    }
    if (rc == SW_OK) return SW_OK;
    if (rc == SW_ENOMEM) return sw_error_set(err, rc, "out of memory");
    return sw_error_set(err, SW_EINVAL, "a key is a JSON value such as \"c1\", 42 or [\"a\",1], not %s", text);
}

int sw_state_other_key(const sw_buf *key, sw_buf *out)
{
    sw_pack_reader reader = { key->data, key->data + key->size };
    char text[SW_NUM_TEXT_SIZE];
    double number;
    sw_pack_item item;
    sw_buf_clear(out);
    if (sw_pack_next(&reader, &item) != SW_OK) return SW_ENOTFOUND;
    switch (item.type) {
    case SW_PACK_I64: return sw_key_str(out, text, (uint32_t)sw_num_format_i64(text, item.v.i));
    case SW_PACK_U64: return sw_key_str(out, text, (uint32_t)sw_num_format_u64(text, item.v.u));
    case SW_PACK_F64: return sw_key_str(out, text, (uint32_t)sw_num_format_double(text, item.v.f));
    case SW_PACK_STR:
        if (sw_num_parse_double((const char *)item.v.bytes, item.count, &number) != SW_OK) return SW_ENOTFOUND;
        return sw_key_f64(out, number) == SW_OK ? SW_OK : SW_ENOTFOUND;
    default: return SW_ENOTFOUND;
    }
}

int sw_state_no_key(const sw_state_query *query, const sw_buf *other, const char *where, sw_error *err)
{
    sw_json_encoder encoder;
    sw_buf text = { 0 };
    int rc = SW_ENOTFOUND;
    sw_error_set(err, rc, "%s of %s has no key %s", query->component, where, query->key_text);
    sw_json_encoder_init(&encoder);
    if (other != NULL && sw_json_encode_value(&encoder, other->data, other->size, &text, NULL) == SW_OK)
        sw_error_set(err, rc, "%s of %s has no key %s; did you mean '%.*s'?", query->component, where, query->key_text,
                     (int)text.size, (const char *)text.data);
    sw_json_encoder_deinit(&encoder);
    sw_buf_deinit(&text);
    return rc;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

typedef enum verb { GET, SCAN, DIFF } verb;

/* The running job answers, unless a checkpoint is asked for. */
static int ask(verb what, const sw_state_query *query, sw_state_output *output, sw_error *err)
{
    sw_client client;
    if (what == DIFF) return sw_state_diff(query, output, err);
    int rc = query->at == NULL && !query->is_timers ? sw_client_open(&client, query->job, err) : SW_ENOTFOUND;
    if (rc == SW_OK) {
        rc = what == GET ? sw_state_get_live(query, &client, output, err)
                         : sw_state_scan_live(query, &client, output, err);
        sw_client_close(&client);
        if (rc == SW_EBUSY || rc == SW_ESTATE) sw_error_prepend(err, "%s", query->job);
        return rc;
    }
    if (rc != SW_ENOTFOUND) return rc;
    return what == GET ? sw_state_get_saved(query, output, err) : sw_state_scan_saved(query, output, err);
}

static int status_of(verb what, int rc, const sw_state_output *output)
{
    if (rc == SW_OK || rc == SW_ECLOSED) return what == DIFF && output->rows > 0 ? SW_EXIT_FAILED : SW_EXIT_OK;
    return rc == SW_EFORMAT || what == DIFF ? SW_EXIT_STATE : SW_EXIT_FAILED;
}

static int run_query(const sw_command *command, verb what, sw_state_query *query)
{
    sw_state_output output;
    sw_error err = { 0 };
    if (query->key_text != NULL && sw_state_read_key(query->key_text, &query->key, &err) != SW_OK)
        return sw_command_misused(command, "%s", err.text);
    sw_state_output_init(&output);
    int rc = ask(what, query, &output, &err);
    int status = status_of(what, rc, &output);
    if (rc != SW_OK && rc != SW_ECLOSED) fprintf(stderr, "swlua state: %s\n", err.text);
    sw_state_output_deinit(&output);
    return status;
}

/* "A..B" in place of --at A --to B; to be freed. */
static int take_range(sw_state_query *query, const char *text, char **owned)
{
    const char *dots = strstr(text, "..");
    if (dots == NULL || dots == text || dots[2] == '\0' || query->at != NULL || query->to != NULL) return SW_EINVAL;
    if ((*owned = sw_strdup(text)) == NULL) return SW_ENOMEM;
    (*owned)[dots - text] = '\0';
    query->at = *owned;
    query->to = *owned + (dots - text) + 2;
    return SW_OK;
}

static const char *misuse_of(verb what, const sw_state_query *query)
{
    if (what == DIFF && query->at == NULL) return "diff needs two checkpoints: A..B, or --at A and --to B";
    if (what != DIFF && query->to != NULL) return "--to is for diff";
    if (query->instance >= 0 && (what == DIFF || query->key_text != NULL))
        return "--instance is for scan, and for get without a key";
    if (what != SCAN && (query->limit != UINT64_MAX || query->is_timers)) return "--limit and --timers are for scan";
    if (what == SCAN && query->key_text != NULL) return "scan takes no key: get prints one";
    if (query->is_timers && query->instance >= 0) return "--timers takes no --instance";
    return NULL;
}

static int run_verb(const sw_command *command, const sw_cli_parsed *parsed, sw_state_query *query)
{
    static const char *const verbs[] = { "get", "scan", "diff", NULL };
    char *range = NULL;
    int what = 0;
    sw_error err;
    if (parsed->rest_count == 0) return sw_command_misused(command, "get, scan or diff?");
    if (sw_cli_read_word(parsed->rest[0], verbs, &what, &err) != SW_OK)
        return sw_command_misused(command, "%s", err.text);
    if (parsed->rest_count < 3) return sw_command_misused(command, "of which job, and which component?");
    if (parsed->rest_count > 4) return sw_command_misused(command, "one key at a time");
    query->job = parsed->rest[1];
    query->component = parsed->rest[2];
    if (parsed->rest_count == 4 && what != DIFF) query->key_text = parsed->rest[3];
    if (parsed->rest_count == 4 && what == DIFF && take_range(query, parsed->rest[3], &range) != SW_OK)
        return sw_command_misused(command, "expected A..B, got \"%s\"", parsed->rest[3]);
    const char *misuse = misuse_of((verb)what, query);
    int status = misuse == NULL ? run_query(command, (verb)what, query) : sw_command_misused(command, "%s", misuse);
    sw_free(range);
    return status;
}

static int run_state(const sw_command *command, int argc, char **argv)
{
    sw_state_query query = { .instance = -1, .limit = UINT64_MAX };
    sw_cli_parsed parsed;
    int status;
    if (!sw_command_begin(command, argc, argv, set_option, &query, &parsed, &status)) return status;
    status = run_verb(command, &parsed, &query);
    sw_buf_deinit(&query.key);
    return status;
}

const sw_command sw_command_state = {
    .name = "state",
    .arguments = "get|scan|diff JOB COMPONENT [KEY | A..B]",
    .summary = "what a component keeps, of a job or a checkpoint",
    .notes =
        "JOB is a running job's name, or a state directory. KEY is JSON: '\"c1\"', 42, '[\"a\",1]'; c1 is short for "
        "'\"c1\"'.\n"
        "get prints a key's state, or without KEY what each instance keeps; scan, all keys in the order of their\n"
        "bytes: small numbers, lists, strings, the shorter before the longer; diff, what came, went and changed from\n"
        "one checkpoint to the other. A running job answers between two events; of one that does not run, the latest\n"
        "usable checkpoint is read. Exit status: 0 done (diff: no difference); 1 there is no such key, component or\n"
        "job (diff: there are differences); 4 damaged (diff: cannot be compared).",
    .options = state_options,
    .run = run_state,
};
