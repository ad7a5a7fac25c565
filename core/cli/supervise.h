/* supervise.h -- a small process, without Lua and without threads, that keeps the engine running.
 *
 *     swlua run --fork--> engine process: loads the script, runs the job, ends --status--> restarted, or passed on
 *                  SIGINT, SIGTERM are passed on to it; it is killed when the supervisor dies
 *
 * Restarted are a process that was killed by a signal (a crash, kill -9, memory) and one that asks for it (failures
 * under a guarantee; run/supervision.h), after the job's restart.delay, doubled each time up to a minute, and at most
 * restart.attempts times without a completed checkpoint in between. A stop that was asked for is never restarted.
 *
 * Both stay in one process group, so that a terminal's Ctrl-C reaches both: the engine counts the signals that the
 * supervisor passes on apart from those that reach it by themselves, and goes by the greater number.
 *
 * Threads    none may exist when it is called. */
#ifndef SW_CLI_SUPERVISE_H
#define SW_CLI_SUPERVISE_H

#include "run/supervision.h"

/* Calls body(arg, page) in a process of its own, and again after each restart. Returns in both processes: in the
 * engine's what body returned, in the supervisor the exit status of it all. */
int sw_supervise(int (*body)(void *arg, sw_supervision *page), void *arg);

#endif
