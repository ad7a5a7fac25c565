/* sim.h -- an engine under the simulating scheduler, driven step by step from the Lua state that holds the job: what
 * sw.test stands on.
 *
 * Threads  The caller's alone; every task lives in the caller's Lua state. */
#ifndef SW_SCRIPT_SIM_H
#define SW_SCRIPT_SIM_H

#include <lua.h>

/* core.sim_open(job name, start ms, seed, parallelism, queue, declare, folder, from, delivery, ms until events are
 * replayed or 0, restarts) -> sim:
 * declare(graph) is called to fill the graph; checkpoints are kept in the folder; from: as for swlua run. */
int l_sim_open(lua_State *L);

/* core.make_temporary() -> path of a new folder; core.remove_tree(path). */
int l_make_temporary(lua_State *L);
int l_remove_tree(lua_State *L);

#endif
