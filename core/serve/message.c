#include "serve/message.h"

#include <string.h>

#include "io/json_index.h"

int sw_message_init(sw_message *message, sw_error *err)
{
    memset(message, 0, sizeof(*message));
    sw_batch_init(&message->batch);
    sw_buf_init(&message->line);
    return sw_json_decoder_new(&message->decoder, NULL, NULL, err);
}

void sw_message_deinit(sw_message *message)
{
    sw_json_decoder_free(message->decoder);
    sw_batch_deinit(&message->batch);
    sw_buf_deinit(&message->line);
    memset(message, 0, sizeof(*message));
}

int sw_message_read(sw_message *message, const void *line, size_t len, sw_error *err)
{
    static const uint8_t padding[SW_JSON_PADDING] = { 0 };
    sw_batch_clear(&message->batch);
    sw_buf_clear(&message->line);
    if (sw_buf_append(&message->line, line, len) != SW_OK ||
        sw_buf_append(&message->line, padding, sizeof(padding)) != SW_OK)
        return sw_error_set(err, SW_ENOMEM, "out of memory");
    return sw_json_decode(message->decoder, message->line.data, len, &message->batch, err);
}

const uint8_t *sw_message_bytes(const sw_message *message, const char *name, size_t *len)
{
    if (message->batch.count == 0) return NULL;
    const sw_row *row = (const sw_row *)(const void *)message->batch.data;
    const uint8_t *body = sw_row_body(row);
    return sw_mp_member(body, body + row->body_len, name, len);
}

bool sw_message_find(const sw_message *message, const char *name, sw_mp_value *out)
{
    size_t len = 0;
    const uint8_t *bytes = sw_message_bytes(message, name, &len);
    return bytes != NULL && sw_mp_read(bytes, bytes + len, out) != NULL;
}

bool sw_message_text(const sw_message *message, const char *name, char *out, size_t size)
{
    sw_mp_value value;
    if (!sw_message_find(message, name, &value) || value.kind != SW_MP_KIND_STR) return false;
    if (value.len >= size || memchr(value.bytes, '\0', value.len) != NULL) return false;
    memcpy(out, value.bytes, value.len);
    out[value.len] = '\0';
    return true;
}

bool sw_message_number(const sw_message *message, const char *name, double *out)
{
    sw_mp_value value;
    if (!sw_message_find(message, name, &value)) return false;
    if (value.kind == SW_MP_KIND_I64) *out = (double)value.as.i;
    else if (value.kind == SW_MP_KIND_U64) *out = (double)value.as.u;
    else if (value.kind == SW_MP_KIND_F64) *out = value.as.f;
    else return false;
    return true;
}

bool sw_message_is(const sw_message *message, const char *name)
{
    sw_mp_value value;
    return sw_message_find(message, name, &value) && value.kind == SW_MP_KIND_BOOL && value.as.i != 0;
}
