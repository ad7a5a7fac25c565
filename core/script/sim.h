/* sim.h -- an engine under the simulating scheduler, driven step by step from the Lua state that holds the job: what
 * sw.test stands on.
 *
 * Threads  The caller's alone; every task lives in the caller's Lua state. */
#ifndef SW_SCRIPT_SIM_H
#define SW_SCRIPT_SIM_H

#include <lua.h>

/* core.sim_open(job name, start ms, seed, parallelism, queue, declare) -> sim: declare(graph) is called to fill the
 * graph. */
int l_sim_open(lua_State *L);

#endif
