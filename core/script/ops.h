/* ops.h -- what the engine asks of the script layer (sw_engine_ops), for a runner and for sw.test. */
#ifndef SW_SCRIPT_OPS_H
#define SW_SCRIPT_OPS_H

#include "run/engine.h"

struct sw_runner;

/* The ops of a runner. */
sw_engine_ops sw_script_ops(struct sw_runner *runner);

/* Resumes a task's coroutine: what it yields is its step; an error in it is a bug of the engine and fails the job. */
sw_step sw_script_resume(void *arg, sw_task *task);

#endif
