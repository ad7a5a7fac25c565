/* engine_ops.h -- what the engine asks of whoever opens it, since it knows no Lua.
 *
 * Threads  As said at each; arg is passed to all of them. */
#ifndef SW_RUN_ENGINE_OPS_H
#define SW_RUN_ENGINE_OPS_H

#include "run/task.h"
#include "run/worker.h"

typedef struct sw_engine_ops {
    void *arg; /* passed to each */
    int (*start_worker)(void *arg, sw_worker *worker,
                        sw_error *err);                /* on the worker's thread: make coroutines of its tasks */
    sw_step (*resume)(void *arg, sw_task *task);       /* run a task until it yields */
    void (*stop_worker)(void *arg, sw_worker *worker); /* on the worker's thread, at its end */
    void (*on_tick)(void *arg);                        /* threads: main thread, about every 100 ms; may be NULL */
    void (*on_wake)(void *arg);                        /* threads: main thread, after each wake and tick; may be NULL */
    int (*dead_letter)(void *arg, const sw_row *row,
                       sw_error *err);          /* any worker: an event set aside that nobody reads */
    void (*on_stuck)(void *arg, sw_task *task); /* main thread: a call of user code does not return */
} sw_engine_ops;

#endif
