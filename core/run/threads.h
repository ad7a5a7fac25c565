/* threads.h -- the main thread's half of the threads scheduler (engine.h): its loop, the tick, the watchdog. Internal
 * to the engine, as is sim.c for the other scheduler.
 *
 *     workers, signals --sw_engine_wake--> [ loop of the main thread ] <--events-- control socket, ...
 *                                            | each wake and tick
 *                                            v
 *                                          ops.on_wake
 *
 * Threads    the main thread; sw_engine_wake any. */
#ifndef SW_RUN_THREADS_H
#define SW_RUN_THREADS_H

#include "run/engine.h"

/* Makes the loop, in an engine whose wake_fd is -1. SW_EIO, SW_ENOMEM; deinit also after a failure. */
int sw_threads_init(sw_engine *engine, sw_error *err);
void sw_threads_deinit(sw_engine *engine);

/* Starts the workers and runs the loop until all have ended. Returns the exit code. */
int sw_threads_run(sw_engine *engine);

#endif
