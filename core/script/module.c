/* module.c -- the entry point of swlua.so: require "swlua" from a plain LuaJIT. */
#include <lauxlib.h>

#include "script/ffi.h"
#include "script/state.h"

/* Makes the engine's modules requirable and returns the module "swlua". */
SW_FFI_EXPORT int luaopen_swlua(lua_State *L)
{
    sw_script *script;
    sw_error err;
    if (sw_script_adopt(&script, L, &err) != SW_OK) return luaL_error(L, "%s", err.text);
    sw_script_free(script); /* It owns nothing of the state. */
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_pushnil(L);
    lua_setfield(L, -2, "swlua"); /* require marks it as being loaded: the module of that name is ours now. */
    lua_pushcfunction(L, l_chunk);
    lua_pushliteral(L, "swlua");
    lua_call(L, 1, 1);
    lua_pushliteral(L, "swlua");
    lua_call(L, 1, 1);
    return 1;
}
