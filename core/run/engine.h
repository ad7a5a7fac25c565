/* engine.h -- a running job: its tasks and channels, the workers that run them, and the coordinator's view of both.
 *
 *     graph --open--> tasks, channels --start--> workers (threads, or one thread with a seeded order) --> finished |
 *     failed
 *
 * The engine knows no Lua: whoever opens it gives it sw_engine_ops, which build and resume the coroutines of tasks.
 *
 * Scheduling  *threads*: each worker is a thread with a libevent loop, and runs its tasks in turn. *sim*: the caller's
 *             thread runs one runnable task after the other, drawn by a seeded generator, on a virtual clock that
 *             jumps when nothing can run. The tasks cannot tell the difference.
 * Main thread A libevent loop too, to which others may add events (sw_engine_base). After each sw_engine_wake and each
 *             tick it calls ops.on_wake: the one place for what looks at the job as a whole.
 * Failing     The first sw_engine_fail wins; all workers stop at their next step; nothing is drained.
 * Stopping    sw_engine_stop ends the sources as if their input had ended; everything in flight is finished.
 *             sw_coordinator_stop keeps what is there in a checkpoint instead, and halts.
 *
 * Ownership  The engine owns tasks, channels, counters. It borrows graph, clock and ops until closed.
 * Threads    open, run, close: one thread. fail, stop, wake, send_control: any thread (stop and wake also from a signal
 *            handler). */
#ifndef SW_RUN_ENGINE_H
#define SW_RUN_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/rng.h"
#include "run/engine_ops.h"
#include "run/graph.h"
#include "run/supervision.h"
#include "run/task.h"
#include "run/worker.h"

#define SW_QUEUE_DEFAULT 1024

struct event_base;
struct event;

typedef struct sw_engine_options {
    const char *job;                  /* name, for messages; borrowed */
    uint32_t workers;                 /* threads, or Lua states under sim; >= 1 */
    uint32_t parallelism;             /* the job's */
    uint32_t queue;                   /* events per channel; 0: SW_QUEUE_DEFAULT */
    sw_ack_settings acks;             /* whether events are acknowledged */
    int64_t watchdog_ms;              /* a call of user code that takes longer is stuck; 0: no watchdog */
    uint64_t seed;                    /* of everything random */
    bool is_sim;                      /* scheduler */
    bool is_unaligned;                /* barriers block no input: at-least-once */
    sw_delivery delivery;             /* what is promised */
    const char *state_dir;            /* absolute; NULL: no checkpoints are taken; borrowed */
    const char *logs_dir;             /* where event logs live, absolute; borrowed; NULL: nowhere */
    const struct sw_restore *restore; /* what the job goes on from; NULL: it starts afresh; borrowed */
    sw_clock *clock;                  /* borrowed; virtual under sim */
    sw_supervision *supervision;      /* borrowed; NULL without a supervisor */
} sw_engine_options;

typedef struct sw_engine {
    sw_graph *graph;                    /* borrowed; planned by open */
    sw_engine_options options;          /* as given to open */
    sw_engine_ops ops;                  /* as given to open */
    sw_clock *clock;                    /* borrowed */
    int64_t start_wall_ms;              /* clock at open */
    int64_t start_mono_ns;              /* clock at open */
    sw_worker *workers;                 /* options.workers of them */
    sw_task *tasks;                     /* every task instance, by plan task, then instance */
    uint32_t task_count;                /* entries of tasks */
    uint32_t *first_task;               /* by plan task: index of its instance 0 in tasks */
    sw_instance **instances;            /* by component: its parallelism counters */
    sw_channel **channels;              /* all of them, by edge, sender, receiver; NULL where forward needs none */
    uint32_t *first_channel;            /* by edge: index in channels of (sender 0, receiver 0) */
    uint32_t channel_count;             /* entries of channels */
    struct sw_acking *acking;           /* owned; NULL: events are not acknowledged */
    sw_rng rng;                         /* sim: draws the next task */
    pthread_mutex_t lock;               /* guards failure, inquiries, and the start line */
    struct sw_inquiry *answered;        /* what tasks have answered; guarded by lock */
    pthread_cond_t started;             /* workers wait here until all are set up */
    uint32_t started_count;             /* workers set up */
    _Atomic bool has_started;           /* all of them were, without a failure */
    int exit_code;                      /* of the failure; 0 none */
    sw_error failure;                   /* why */
    _Atomic bool is_failed;             /* stop at once */
    _Atomic bool is_stopping;           /* stop was asked for */
    _Atomic bool is_halted;             /* all that has to be kept is kept: workers end where they are */
    struct sw_coordinator *coordinator; /* owned; NULL: no checkpoints are taken */
    _Atomic uint32_t running;           /* workers not yet at their end */
    _Atomic uint32_t control_sent;      /* newest barrier issued */
    _Atomic uint32_t control_answers;   /* tasks that have acted on it */
    struct event_base *base;            /* the main thread's loop; NULL under sim */
    struct event *wake_event;           /* reads wake_fd */
    struct event *deadline_event;       /* when the coordinator has something to do */
    struct event *tick_event;           /* every 100 ms */
    int64_t ticked_ns;                  /* clock at the last tick */
    int wake_fd;                        /* eventfd; -1 under sim */
} sw_engine;

/* Plans the graph, makes tasks and channels; starts nothing. SW_EINVAL: a graph that cannot be; SW_ENOMEM, SW_EIO. */
int sw_engine_open(sw_engine *engine, sw_graph *graph, const sw_engine_options *options, const sw_engine_ops *ops,
                   sw_error *err);
void sw_engine_close(sw_engine *engine);

/* Runs the job to its end. Returns the process's exit code for it: 0, or that of the failure (engine->failure). */
int sw_engine_run(sw_engine *engine);

void sw_engine_stop(sw_engine *engine);
void sw_engine_wake(sw_engine *engine); /* has the main thread call ops.on_wake */

/* The main thread's loop, which sw_engine_run runs; NULL under sim. Events are added by the main thread, and freed
 * before the engine is closed. */
struct event_base *sw_engine_base(const sw_engine *engine);

void sw_engine_fail(sw_engine *engine, int exit_code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

struct sw_coordinator_options;
struct sw_coordinator_ops;
/* Takes checkpoints from now on (coordinator.h). Before run; the engine frees it. */
int sw_engine_coordinate(sw_engine *engine, const struct sw_coordinator_options *options,
                         const struct sw_coordinator_ops *ops, sw_error *err);

/* Sends a barrier with this id, greater than any before, from all sources through the graph. control_answers counts the
 * tasks that it has reached. */
void sw_engine_send_control(sw_engine *engine, uint32_t id);
void sw_engine_answer_control(sw_engine *engine, uint32_t id); /* called by a task */
void sw_engine_wake_workers(sw_engine *engine);                /* for what was stored in their tasks */
/* Ends all workers at their next step, without a failure. Any thread. */
void sw_engine_halt(sw_engine *engine);

/* --- sim, step by step (sw.test); sw_engine_run does all of it ------------------------------------------------- */

int sw_engine_sim_start(sw_engine *engine);                 /* sets all workers up; an exit code */
bool sw_engine_sim_step(sw_engine *engine);                 /* runs one task; false: none can run now, or failed */
bool sw_engine_sim_settle(sw_engine *engine);               /* runs until nothing can run at this time; false: failed */
int64_t sw_engine_sim_deadline_ms(const sw_engine *engine); /* engine time at which something falls due; INT64_MAX */
bool sw_engine_is_done(const sw_engine *engine);            /* every task has ended, and the last checkpoint is done */

/* --- time ------------------------------------------------------------------------------------------------------ */

/* Epoch ms that never step back or jump: the wall clock at open, carried on by the monotonic one. */
static inline int64_t sw_engine_now_ms(const sw_engine *engine)
{
    return engine->start_wall_ms + (sw_clock_mono_ns(engine->clock) - engine->start_mono_ns) / 1000000;
}
/* The same in us, wrapping: what rows carry to measure latency. */
static inline uint32_t sw_engine_stamp(const sw_engine *engine)
{
    return (uint32_t)((sw_clock_mono_ns(engine->clock) - engine->start_mono_ns) / 1000);
}

#endif
