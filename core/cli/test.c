#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "script/state.h"

/* Runs busted in the engine's own Lua state, as its command line does, and returns the number it would exit with. It is
 * looked for where Debian puts packages for Lua 5.1, behind the places LuaJIT looks in anyway. */
static const char run_busted[] =
    "local root = '/usr/share/lua/5.1/'\n"
    "local arch = ({ x64 = 'x86_64', arm64 = 'aarch64' })[jit.arch] or jit.arch\n"
    "package.path = package.path .. ';' .. root .. '?.lua;' .. root .. '?/init.lua'\n"
    "package.cpath = package.cpath .. ';/usr/lib/' .. arch .. '-linux-gnu/lua/5.1/?.so'\n"
    "arg = { [0] = 'swlua test', ... }\n"
    "local found, compatibility = pcall(require, 'busted.compatibility')\n"
    "if not found then return -1 end\n"
    "compatibility.exit = function(code) error({ busted_exit = code or 0 }) end\n"
    "local function on_error(err)\n"
    "  return type(err) == 'table' and err.busted_exit and err or debug.traceback(tostring(err), 2)\n"
    "end\n"
    "local function run() require('busted.runner')({ standalone = false }) end\n"
    "local ok, err = xpcall(run, on_error)\n"
    "if ok then return 0 end\n"
    "if type(err) ~= 'table' then error({ text = err }) end\n"
    "return err.busted_exit\n";

static int call_busted(sw_script *script, int argc, char **argv, int *result, sw_error *err)
{
    lua_State *L = script->L;
    if (!lua_checkstack(L, argc + LUA_MINSTACK)) return sw_error_set(err, SW_ELIMIT, "too many arguments");
    if (luaL_loadbuffer(L, run_busted, sizeof(run_busted) - 1, "=swlua test") != 0)
        return sw_error_set(err, SW_ESCRIPT, "%s", lua_tostring(L, -1));
    for (int i = 0; i < argc; i++) lua_pushstring(L, argv[i]);
    int rc = sw_script_call(L, argc, 1, err);
    if (rc == SW_OK) *result = (int)lua_tointeger(L, -1);
    return rc;
}

static int test_files(int argc, char **argv)
{
    sw_script *script = NULL;
    sw_error err;
    int result = 0;
    int rc = sw_script_new(&script, &err);
    if (rc == SW_OK) rc = call_busted(script, argc, argv, &result, &err);
    sw_script_free(script);
    if (rc != SW_OK) fprintf(stderr, "swlua test: %s\n", err.text);
    else if (result < 0) fputs("swlua test: busted is not installed; on Debian: apt install lua-busted\n", stderr);
    return rc == SW_OK && result == 0 ? SW_EXIT_OK : SW_EXIT_FAILED;
}

/* Options are busted's, except for --help. */
static int run_test(const sw_command *command, int argc, char **argv)
{
    if (argc < 2) return sw_command_misused(command, "which specs?");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        sw_help_print(command);
        return SW_EXIT_OK;
    }
    return test_files(argc - 1, argv + 1);
}

const sw_command sw_command_test = {
    .name = "test",
    .arguments = "FILES... [busted options]",
    .summary = "runs busted specs with the testing API on the path",
    .notes = "sw.test runs a job in simulation; folders stand for the files in them that end in _spec.lua. "
             "Options are those\n"
             "of busted, such as --filter=PATTERN and -o TAP. The exit status is 1 when a spec fails.",
    .run = run_test,
};
