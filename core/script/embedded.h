/* embedded.h -- the Lua half of swlua, compiled into the binary.
 *
 *     lua/swlua/ **.lua --bytecode--> sw_embedded_modules        core/script/ffi.h --text--> sw_ffi_cdef
 *
 * embed.lua writes the C file that defines both when the engine is built.
 *
 * Ownership  static, never freed.
 * Threads    read only; any thread.
 * Limits     none. */
#ifndef SW_SCRIPT_EMBEDDED_H
#define SW_SCRIPT_EMBEDDED_H

#include <stddef.h>

struct sw_embedded {
    const char *name;          /* What require asks for: "swlua.internal.loop"; NULL ends the list. */
    const unsigned char *data; /* LuaJIT bytecode with debug information, for luaL_loadbuffer. */
    size_t size;               /* Of data, in bytes. */
};

/* Every module of lua/swlua, sorted by name. */
extern const struct sw_embedded sw_embedded_modules[];

/* The declarations of ffi.h without comments and preprocessor lines, for ffi.cdef. */
extern const char sw_ffi_cdef[];

#endif
