/* message.h -- one line of the control protocol: a JSON object, looked into by the names of its members.
 *
 * Ownership  A sw_message holds the line it read last; deinit frees it.
 * Threads    one at a time.
 * Limits     nests SW_JSON_DEPTH_MAX deep; of members with the same name the last one counts. */
#ifndef SW_SERVE_MESSAGE_H
#define SW_SERVE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "io/json_decode.h"
#include "io/mp_read.h"

typedef struct sw_message {
    sw_json_decoder *decoder; /* owned */
    sw_batch batch;           /* the object, as one row */
    sw_buf line;              /* its text, padded */
} sw_message;

/* SW_ENOMEM. */
int sw_message_init(sw_message *message, sw_error *err);
void sw_message_deinit(sw_message *message);

/* SW_EFORMAT when the line is no JSON object (the message is then empty); SW_ENOMEM. */
int sw_message_read(sw_message *message, const void *line, size_t len, sw_error *err);

/* A member's value; false when there is none. It lies in the message, and may be read on with mp_read.h. */
bool sw_message_find(const sw_message *message, const char *name, sw_mp_value *out);

/* The msgpack bytes of a member's value; NULL when there is none, or it is null. */
const uint8_t *sw_message_bytes(const sw_message *message, const char *name, size_t *len);

/* Copies a member that is text without NUL, with its NUL; false when there is none, or it does not fit. */
bool sw_message_text(const sw_message *message, const char *name, char *out, size_t size);
/* A member that is a number; false when there is none. */
bool sw_message_number(const sw_message *message, const char *name, double *out);
/* A member that is true. */
bool sw_message_is(const sw_message *message, const char *name);

#endif
