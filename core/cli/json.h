/* json.h -- strings of the JSON that commands print.
 *
 * Ownership  nothing is kept. */
#ifndef SW_CLI_JSON_H
#define SW_CLI_JSON_H

#include "base/buf.h"

/* Appends text as a JSON string, or null for NULL. SW_OK, SW_ENOMEM. */
int sw_cli_json_string(sw_buf *out, const char *text);

#endif
