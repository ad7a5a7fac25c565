#include "cli/json.h"

#include "base/error.h"

int sw_cli_json_string(sw_buf *out, const char *text)
{
    if (text == NULL) return sw_buf_append_str(out, "null");
    int rc = sw_buf_append_str(out, "\"");
    for (const char *p = text; rc == SW_OK && *p != '\0'; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte == '"' || byte == '\\') rc = sw_buf_printf(out, "\\%c", byte);
        else if (byte < 0x20) rc = sw_buf_printf(out, "\\u%04x", byte);
        else rc = sw_buf_append(out, p, 1);
    }
    return rc == SW_OK ? sw_buf_append_str(out, "\"") : rc;
}
