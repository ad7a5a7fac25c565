/* keyed_fields.h -- what a sw_keyed_instance (ffi.h) points to where its keys are read from events in C, and the
 * userdata that owns both.
 *
 * Ownership  The userdata owns the store, the timers, and the names of its key fields; Lua collects it. */
#ifndef SW_SCRIPT_KEYED_FIELDS_H
#define SW_SCRIPT_KEYED_FIELDS_H

#include <lua.h>

#include "base/buf.h"
#include "script/ffi.h"
#include "state/key.h"

typedef struct sw_keyed_fields {
    sw_key_fields fields; /* which fields make the key; its arrays and names are owned by api.c */
    sw_buf key;           /* scratch for its bytes */
    sw_batch gathered;    /* rows with their keys, waiting to be looked up together */
} sw_keyed_fields;

typedef struct sw_keyed_userdata {
    sw_keyed_instance instance; /* first: Lua casts the userdata's address to it */
    sw_keyed_fields by;         /* key fields of a fused edge */
} sw_keyed_userdata;

/* The userdata at this index of the stack; raises for anything else. */
sw_keyed_userdata *sw_check_keyed(lua_State *L, int index);

#endif
