/* state.h -- a Lua state of the engine: its libraries, the modules compiled into the program, and the one gate by
 * which C calls Lua.
 *
 * Modules named "swlua..." come from the program itself, or from the folder in SWLUA_PATH while developing.
 *
 * Ownership  sw_script_new makes a state and sw_script_free closes it; sw_script_adopt borrows the caller's.
 * Threads    A state is used by one thread at a time; the runner hands a state over only before that thread starts. */
#ifndef SW_SCRIPT_STATE_H
#define SW_SCRIPT_STATE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "base/error.h"
#include "state/slab.h"

typedef struct sw_script {
    lua_State *L;   /* the state */
    bool is_owned;  /* close it when freed */
    sw_slab memory; /* what an owned state's values lie in */
} sw_script;

int sw_script_new(sw_script **out, sw_error *err);
/* Makes the engine's modules requirable in a state that exists already (plain LuaJIT). */
int sw_script_adopt(sw_script **out, lua_State *L, sw_error *err);
void sw_script_free(sw_script *script);

/* The gate. Calls the function below its nargs arguments on the stack; on error the text (with traceback when it is
 * not an error the user's script position explains) is in err, the stack is as before the function was pushed, and
 * the result is SW_ESCRIPT. */
int sw_script_call(lua_State *L, int nargs, int nresults, sw_error *err);

/* Pushes function `name` of module `module`, to be followed by arguments and sw_script_call. */
int sw_script_push(lua_State *L, const char *module, const char *name, sw_error *err);

/* lua_CFunctions: the module searcher, and a fresh copy of a module's chunk (core.chunk). */
int l_chunk(lua_State *L);

#endif
