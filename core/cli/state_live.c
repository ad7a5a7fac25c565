/* state_live.c -- `swlua state get` and `scan` of a running job, over its control socket (job_state.h). */
#include <stdio.h>

#include "cli/job_state.h"
#include "cli/json.h"
#include "cli/state.h"
#include "io/mp_read.h"

/* --- asking ------------------------------------------------------------------------------------------------------- */

static int begin_request(sw_buf *out, const char *op, const sw_state_query *query)
{
    sw_buf_clear(out);
    int rc = sw_buf_printf(out, "{\"cmd\":\"state\",\"op\":\"%s\",\"component\":", op);
    if (rc == SW_OK) rc = sw_cli_json_string(out, query->component);
    if (rc == SW_OK && query->instance >= 0) rc = sw_buf_printf(out, ",\"instance\":%d", (int)query->instance);
    return rc;
}

static int call(sw_client *client, sw_buf *request, sw_error *err)
{
    if (sw_buf_append(request, "}", 2) != SW_OK) return sw_error_set(err, SW_ENOMEM, "out of memory");
    return sw_client_call(client, (const char *)request->data, false, err);
}

/* Prints the rows of the reply, at most as many as are wanted. */
static int print_rows(const sw_client *client, uint64_t wanted, sw_state_output *output, sw_error *err)
{
    size_t len = 0;
    sw_mp_value list, row;
    const uint8_t *p = sw_message_bytes(&client->reply, "rows", &len), *end = p + len;
    if (p == NULL || (p = sw_mp_read(p, end, &list)) == NULL || list.kind != SW_MP_KIND_ARRAY)
        return sw_error_set(err, SW_EIO, "its reply makes no sense");
    int rc = SW_OK;
    for (uint32_t i = 0; i < list.len && i < wanted && rc == SW_OK; i++) {
        if ((p = sw_mp_read(p, end, &row)) == NULL || row.kind != SW_MP_KIND_STR)
            return sw_error_set(err, SW_EIO, "its reply makes no sense");
        if (sw_buf_append(&output->line, row.bytes, row.len) != SW_OK)
            return sw_error_set(err, SW_ENOMEM, "out of memory");
        rc = sw_state_output_line(output);
    }
    return rc;
}

/* --- get ---------------------------------------------------------------------------------------------------------- */

/* Asks for a key; output->rows tells whether it is there. */
static int ask_key(const sw_state_query *query, const sw_buf *key, sw_client *client, sw_state_output *output,
                   sw_error *err)
{
    sw_buf request = { 0 };
    int rc = begin_request(&request, "get", query);
    if (rc == SW_OK) rc = sw_buf_append_str(&request, ",\"key\":");
    if (rc != SW_OK) sw_error_set(err, rc, "out of memory");
    if (rc == SW_OK) rc = sw_json_encode_value(&output->encoder, key->data, key->size, &request, err);
    if (rc == SW_OK) rc = call(client, &request, err);
    sw_buf_deinit(&request);
    return rc;
}

static bool has_rows(const sw_client *client)
{
    sw_mp_value list;
    return sw_message_find(&client->reply, "rows", &list) && list.kind == SW_MP_KIND_ARRAY && list.len > 0;
}

static int no_such_key(const sw_state_query *query, sw_client *client, sw_state_output *output, sw_error *err)
{
    sw_buf other = { 0 };
    bool is_other = sw_state_other_key(&query->key, &other) == SW_OK &&
                    ask_key(query, &other, client, output, err) == SW_OK && has_rows(client);
    int rc = sw_state_no_key(query, is_other ? &other : NULL, "the running job", err);
    sw_buf_deinit(&other);
    return rc;
}

static int get_instances(const sw_state_query *query, sw_client *client, sw_state_output *output, sw_error *err)
{
    sw_buf request = { 0 };
    int rc = begin_request(&request, "instances", query);
    rc = rc == SW_OK ? call(client, &request, err) : sw_error_set(err, rc, "out of memory");
    if (rc == SW_OK) rc = print_rows(client, UINT64_MAX, output, err);
    sw_buf_deinit(&request);
    return rc;
}

int sw_state_get_live(const sw_state_query *query, sw_client *client, sw_state_output *output, sw_error *err)
{
    if (query->key_text == NULL) return get_instances(query, client, output, err);
    int rc = ask_key(query, &query->key, client, output, err);
    if (rc == SW_OK && !has_rows(client)) return no_such_key(query, client, output, err);
    return rc == SW_OK ? print_rows(client, 1, output, err) : rc;
}

/* --- scan --------------------------------------------------------------------------------------------------------- */

/* Asks for the keys behind `after` and prints them; puts into `after` where to go on, or nothing at the end. */
static int scan_page(const sw_state_query *query, sw_client *client, sw_buf *request, sw_buf *after,
                     sw_state_output *output, sw_error *err)
{
    sw_mp_value next;
    uint64_t wanted = query->limit - output->rows;
    int rc = begin_request(request, "scan", query);
    if (rc == SW_OK && query->limit != UINT64_MAX)
        rc = sw_buf_printf(request, ",\"limit\":%llu", (unsigned long long)wanted);
    if (rc == SW_OK && after->size > 0)
        rc = sw_buf_printf(request, ",\"after\":\"%.*s\"", (int)after->size, (const char *)after->data);
    rc = rc == SW_OK ? call(client, request, err) : sw_error_set(err, rc, "out of memory");
    if (rc == SW_OK) rc = print_rows(client, wanted, output, err);
    sw_buf_clear(after);
    if (rc != SW_OK || !sw_message_find(&client->reply, "next", &next) || next.kind != SW_MP_KIND_STR) return rc;
    if (sw_buf_append(after, next.bytes, next.len) == SW_OK) return SW_OK;
    return sw_error_set(err, SW_ENOMEM, "out of memory");
}

int sw_state_scan_live(const sw_state_query *query, sw_client *client, sw_state_output *output, sw_error *err)
{
    sw_buf request = { 0 }, after = { 0 };
    int rc;
    do {
        rc = scan_page(query, client, &request, &after, output, err);
    } while (rc == SW_OK && after.size > 0 && output->rows < query->limit);
    if (rc == SW_OK && output->rows == 0) fprintf(stderr, "swlua state: %s has no keys\n", query->component);
    sw_buf_deinit(&request);
    sw_buf_deinit(&after);
    return rc;
}
