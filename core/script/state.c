#include "script/state.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"
#include "script/api.h"
#include "script/embedded.h"

#define MODULE_BYTES_MAX (16u << 20)

/* --- modules -------------------------------------------------------------------------------------------------- */

static int load_embedded(lua_State *L, const char *name)
{
    for (const struct sw_embedded *m = sw_embedded_modules; m->name != NULL; m++)
        if (strcmp(m->name, name) == 0) return luaL_loadbuffer(L, (const char *)m->data, m->size, name) == 0;
    lua_pushfstring(L, "\n\tno module '%s' in the program", name);
    return 0;
}

static bool read_module(const char *root, const char *name, char *path, size_t path_size, sw_buf *text)
{
    char relative[256];
    size_t n = 0;
    for (; name[n] != '\0' && n + 1 < sizeof(relative); n++) relative[n] = name[n] == '.' ? '/' : name[n];
    relative[n] = '\0';
    snprintf(path, path_size, "%s/%s.lua", root, relative);
    if (sw_fs_read_all(path, text, MODULE_BYTES_MAX, NULL) == SW_OK) return true;
    snprintf(path, path_size, "%s/%s/init.lua", root, relative);
    return sw_fs_read_all(path, text, MODULE_BYTES_MAX, NULL) == SW_OK;
}

/* Pushes the chunk of a module of ours, or a message. True when it is the chunk. */
static bool push_chunk(lua_State *L, const char *name)
{
    const char *root = getenv("SWLUA_PATH");
    char path[4096];
    sw_buf text;
    if (root == NULL) return load_embedded(L, name);
    sw_buf_init(&text);
    if (!read_module(root, name, path, sizeof(path), &text)) {
        sw_buf_deinit(&text);
        lua_pushfstring(L, "\n\tno module '%s' in SWLUA_PATH", name);
        return false;
    }
    char chunkname[4100];
    snprintf(chunkname, sizeof(chunkname), "@%s", path);
    int rc = luaL_loadbuffer(L, (const char *)text.data, text.size, chunkname);
    sw_buf_deinit(&text);
    return rc == 0;
}

static bool is_ours(const char *name)
{
    return strcmp(name, "swlua") == 0 || strncmp(name, "swlua.", 6) == 0;
}

static int l_search(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    if (!is_ours(name)) return 0;
    push_chunk(L, name);
    return 1;
}

/* core.chunk(name): a new function from the module's code, so that its loops get traces of their own. */
int l_chunk(lua_State *L)
{
    if (!push_chunk(L, luaL_checkstring(L, 1))) return lua_error(L);
    return 1;
}

/* Puts the searcher before the one that reads files. */
static void add_searcher(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaders");
    for (int i = (int)lua_objlen(L, -1); i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushcfunction(L, l_search);
    lua_rawseti(L, -2, 2);
    lua_getfield(L, -2, "preload");
    lua_pushcfunction(L, l_open_core);
    lua_setfield(L, -2, "swlua.core");
    lua_pop(L, 3);
}

static int l_prepare(lua_State *L)
{
    if (lua_toboolean(L, 1)) luaL_openlibs(L);
    add_searcher(L);
    return 0;
}

/* --- states ---------------------------------------------------------------------------------------------------- */

static int prepare(lua_State *L, bool with_libraries, sw_error *err)
{
    lua_pushcfunction(L, l_prepare);
    lua_pushboolean(L, with_libraries);
    return sw_script_call(L, 1, 0, err);
}

/* lua_Alloc. Events are many tables and strings that soon go: LuaJIT's own allocator, which merges every block freed
 * with its neighbours, takes a fifth of such a job's time. */
static void *allocate(void *memory, void *block, size_t size, size_t new_size)
{
    sw_slab *slab = memory;
    if (new_size == 0) {
        sw_slab_free(slab, block, size);
        return NULL;
    }
    if (block == NULL) return sw_slab_alloc(slab, new_size);
    void *moved = sw_slab_resize(slab, block, size, new_size);
    return moved == NULL && new_size < size ? block : moved; /* Lua counts on it that shrinking does not fail. */
}

static int on_panic(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "swlua: an error in Lua that nobody catches: %s\n", text != NULL ? text : "?");
    return 0; /* LuaJIT then ends the process. */
}

int sw_script_new(sw_script **out, sw_error *err)
{
    int rc = SW_ENOMEM;
    sw_script *script = sw_calloc(1, sizeof(*script));
    if (script == NULL) goto fail;
    lua_State *L = lua_newstate(allocate, &script->memory);
    if (L == NULL) goto free_script;
    lua_atpanic(L, on_panic);
    script->L = L;
    script->is_owned = true;
    if ((rc = prepare(L, true, err)) != SW_OK) goto free_script;
    *out = script;
    return SW_OK;

free_script:
    sw_script_free(script);
fail:
    return rc == SW_ENOMEM ? sw_error_set(err, rc, "cannot make a Lua state") : rc;
}

int sw_script_adopt(sw_script **out, lua_State *L, sw_error *err)
{
    int rc = prepare(L, false, err);
    if (rc != SW_OK) return rc;
    sw_script *script = sw_calloc(1, sizeof(*script));
    if (script == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    script->L = L;
    *out = script;
    return SW_OK;
}

void sw_script_free(sw_script *script)
{
    if (script == NULL) return;
    if (script->is_owned) lua_close(script->L);
    sw_slab_deinit(&script->memory);
    sw_free(script);
}

/* --- the gate --------------------------------------------------------------------------------------------------- */

/* Error tables made by our modules carry the whole text already ({ text = ... }); other values get a traceback. */
static int on_error(lua_State *L)
{
    if (lua_istable(L, 1)) {
        lua_getfield(L, 1, "text");
        if (lua_isstring(L, -1)) return 1;
        lua_pop(L, 1);
    }
    if (!lua_isstring(L, 1)) {
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
        return 1;
    }
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

int sw_script_call(lua_State *L, int nargs, int nresults, sw_error *err)
{
    int base = lua_gettop(L) - nargs;
    lua_pushcfunction(L, on_error);
    lua_insert(L, base);
    int rc = lua_pcall(L, nargs, nresults, base);
    lua_remove(L, base);
    if (rc == 0) return SW_OK;
    const char *text = lua_tostring(L, -1);
    sw_error_set(err, SW_ESCRIPT, "%s", text != NULL ? text : "an error without text");
    lua_settop(L, base - 1);
    return SW_ESCRIPT;
}

int sw_script_push(lua_State *L, const char *module, const char *name, sw_error *err)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    int rc = sw_script_call(L, 1, 1, err);
    if (rc != SW_OK) return rc;
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    return SW_OK;
}
