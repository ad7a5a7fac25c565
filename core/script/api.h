/* api.h -- the module "swlua.core": what the engine's Lua modules ask of C while a job is set up, and once per batch.
 *
 * Pointers cross as light userdata and are turned into cdata by internal/ffi.lua. None of these functions is for user
 * code.
 *
 * Threads  Each is called on the thread that owns the Lua state. */
#ifndef SW_SCRIPT_API_H
#define SW_SCRIPT_API_H

#include <lua.h>

int l_open_core(lua_State *L);

/* Registered by other files of this folder. */
int l_decode_batch(lua_State *L); /* decode.c: (batch, events, null, array metatable, boxer) */
int l_decode_bytes(lua_State *L); /* decode.c: (pointer, length, null, array metatable, boxer) -> value */
int l_send_batch(lua_State *L);   /* encode.c */

#endif
