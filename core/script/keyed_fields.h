/* keyed_fields.h -- what a sw_keyed_instance (ffi.h) points to where its keys are read from events in C. */
#ifndef SW_SCRIPT_KEYED_FIELDS_H
#define SW_SCRIPT_KEYED_FIELDS_H

#include "base/buf.h"
#include "state/key.h"

typedef struct sw_keyed_fields {
    sw_key_fields fields; /* which fields make the key; its arrays and names are owned by api.c */
    sw_buf key;           /* scratch for its bytes */
    sw_batch gathered;    /* rows with their keys, waiting to be looked up together */
} sw_keyed_fields;

#endif
