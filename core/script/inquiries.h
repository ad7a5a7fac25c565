/* inquiries.h -- what Lua asks of C to answer a question about a task's state: part of the module "swlua.core" (api.c).
 *
 *     inquiry_next -> keyed_find | keyed_after -> inquiry_put_entry, inquiry_put_part -> inquiry_end
 *
 * Threads  Each is called on the thread that owns the Lua state. */
#ifndef SW_SCRIPT_INQUIRIES_H
#define SW_SCRIPT_INQUIRIES_H

#include <lua.h>

int l_inquiry_next(lua_State *L);
int l_inquiry_put_entry(lua_State *L);
int l_inquiry_put_part(lua_State *L);
int l_inquiry_end(lua_State *L);
int l_keyed_after(lua_State *L);

#endif
