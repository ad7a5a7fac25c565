/* driver.h -- runs an engine whose tasks are small state machines in C instead of coroutines of Lua.
 *
 *     source task: numbered events --ports--> reader tasks: check, pass on --ports--> ... --> readers without ports
 *
 * Every event says which source made it, its number there, and how many control items that source had sent before. A
 * reader checks what the engine promises: numbers of a source grow by each input, and an event comes behind exactly
 * the control items that were sent before it.
 *
 * Threads  An actor belongs to the worker of its task; what others read while it runs is atomic. */
#ifndef TESTS_RUN_DRIVER_H
#define TESTS_RUN_DRIVER_H

#include <stdlib.h>
#include <string.h>

#include "run/engine.h"

#define SOURCES_MAX 4
#define INPUTS_MAX 16
#define KEYS 1000

typedef struct driver_event {
    sw_row row;        /* header */
    uint64_t source;   /* instance of the source */
    uint64_t number;   /* of the event there, from 1 */
    uint64_t controls; /* items the source had sent */
} driver_event;

typedef struct actor {
    driver_event event;                     /* source: being sent */
    sw_input *input;                        /* reader: being read; NULL none */
    const sw_row *row;                      /* reader: the next of its batch */
    uint32_t row_index;                     /* reader: number of row */
    uint32_t next_port;                     /* the first port that has not got the present event */
    bool is_checked;                        /* reader: the present event was checked, and waits for room */
    bool is_ending;                         /* only the END is left to send */
    uint32_t controls;                      /* id of the last item that has come by */
    uint64_t events;                        /* sent by a source, or read; atomic */
    uint64_t faults;                        /* broken promises */
    uint64_t last[INPUTS_MAX][SOURCES_MAX]; /* number of the last event, by input and source */
    uint64_t of_key[KEYS];                  /* events read of each key */
    uint64_t of_source[SOURCES_MAX];        /* events read of each source */
} actor;

typedef struct driver driver;
struct driver {
    sw_engine engine;                                 /* runs the actors */
    actor *actors;                                    /* by task */
    uint64_t limit;                                   /* events of each source instance; 0: no end */
    bool is_uneven;                                   /* source 1 has half of that, source 2 a third, ... */
    uint32_t controls_wait;                           /* control items a source waits for before it ends */
    sw_step (*before_step)(driver *d, sw_task *task); /* SW_STEP_RAN: go on; else it is the step. May be NULL */
    /* A task acts on a control item, before it sends it on, or ends, before it sends the END. May be NULL; with
     * it items may be left out and come unaligned, and only their order is checked. */
    void (*on_control)(driver *d, sw_task *task, uint32_t id, bool is_end);
    bool awaits_commits;      /* tasks with has_commits end when they are released */
    uint32_t workers_started; /* calls of start_worker; atomic */
    uint32_t workers_stopped; /* calls of stop_worker; atomic */
    void *test;               /* of the test */
};

static inline uint64_t driver_events(const actor *a)
{
    return __atomic_load_n(&a->events, __ATOMIC_RELAXED);
}

sw_engine_ops driver_ops(driver *d);
/* Opens the engine and makes its actors. */
void driver_open(driver *d, sw_graph *graph, const sw_engine_options *options);
void driver_close(driver *d);

/* --- looking at the result ------------------------------------------------------------------------------ */

static inline sw_task *driver_task(driver *d, uint32_t component, uint32_t instance)
{
    return &d->engine.tasks[d->engine.first_task[d->engine.graph->components[component].task] + instance];
}

static inline actor *driver_actor(driver *d, uint32_t component, uint32_t instance)
{
    return &d->actors[driver_task(d, component, instance) - d->engine.tasks];
}

/* Events sent or read by all instances of a component that heads a task. */
static inline uint64_t driver_total(driver *d, uint32_t component)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->engine.graph->components[component].parallelism; i++)
        sum += driver_events(driver_actor(d, component, i));
    return sum;
}

static inline void driver_assert_faultless(driver *d)
{
    for (uint32_t i = 0; i < d->engine.task_count; i++) assert_int_equal(d->actors[i].faults, 0);
}

#endif
