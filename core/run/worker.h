/* worker.h -- one thread that runs the tasks placed on it: their coroutines, one Lua state, one libevent loop.
 *
 * The loop: run every runnable task once, in turn; when none is, spin briefly, then sleep in libevent until a
 * channel's other side, a descriptor or a deadline wakes it.
 *
 * Ownership  The engine owns workers; a worker borrows its tasks.
 * Threads    Its own; sw_worker_wake may be called from any. */
#ifndef SW_RUN_WORKER_H
#define SW_RUN_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct event_base;
struct event;
struct sw_engine;
struct sw_task;

typedef struct sw_worker {
    struct sw_engine *engine;    /* borrowed */
    uint32_t index;              /* 0.. */
    struct sw_task **tasks;      /* those placed here; array owned */
    uint32_t task_count;         /* entries of tasks */
    uint32_t next;               /* whose turn it is */
    void *script;                /* script's: the Lua state and what goes with it */
    pthread_t thread;            /* valid while has_thread */
    bool has_thread;             /* thread is to be joined */
    struct event_base *base;     /* NULL under sim */
    struct event *wake_event;    /* reads wake_fd */
    struct event *timeout_event; /* bounds a sleep */
    struct event **fd_events;    /* by task: watches its source's descriptor; NULL none */
    int wake_fd;                 /* eventfd; -1 under sim */
} sw_worker;

int sw_worker_init(sw_worker *worker, struct sw_engine *engine, uint32_t index, sw_error *err);
void sw_worker_deinit(sw_worker *worker);
int sw_worker_start(sw_worker *worker, sw_error *err); /* starts the thread */
void sw_worker_join(sw_worker *worker);
void sw_worker_wake(void *worker); /* any thread */

/* Runs one step of a task, with all that goes before and behind it. False when the job has failed. */
bool sw_worker_run_task(sw_worker *worker, struct sw_task *task);
bool sw_worker_is_done(const sw_worker *worker);

#endif
