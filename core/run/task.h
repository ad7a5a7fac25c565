/* task.h -- one instance of a task: a chain of fused components that one worker runs as a Lua coroutine.
 *
 *     inputs (channels) --next/release--> coroutine (internal/loop.lua) --put--> ports (channels), sinks
 *     source (connector) --fill--/
 *
 * The coroutine runs until it has nothing to read, nowhere to write, or has done one batch, and then yields a
 * sw_step. It is resumed when sw_task_is_runnable says so.
 *
 * Barriers   A control item is the barrier of a checkpoint. It blocks the input it came by until it has come by all
 *            others that have not ended (alignment), so what the task has processed by then is exactly what was sent
 *            before it; under at-least-once nothing is blocked, and what comes too early is in the snapshot as well. A
 *            newer barrier ends the wait for an older one, which was given up.
 *            Then the task answers with a snapshot (coordinator.h). A source sends a barrier when `control` says so.
 *
 * Layout     The part of sw_task, sw_input and sw_instance above the "private" banners is read and written by Lua
 *            through FFI: script/ffi.h repeats it, and swffi_abi compares the offsets at load.
 * Ownership  The engine owns tasks; a task owns its inputs, ports, source and sinks.
 * Threads    The worker it lives on, except what is marked atomic. */
#ifndef SW_RUN_TASK_H
#define SW_RUN_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/stats.h"
#include "run/connector.h"
#include "run/graph.h"
#include "run/input.h"
#include "run/instance.h"
#include "run/port.h"
#include "run/positions.h"
#include "run/step.h"

#define SW_TASK_BATCH 256 /* rows a source reads, or a generator makes, before others get their turn */
#define SW_DOMAINS_MAX 8  /* watermarks of one task: its input's, and one for each event_time in its chain */

typedef struct sw_task_sink {
    sw_sink *sink;      /* owned */
    uint32_t component; /* index in the graph */
    const char *type;   /* of the connector; borrowed, static */
} sw_task_sink;

typedef struct sw_task {
    int64_t now_ms;             /* engine time at the start of this step */
    int64_t wm[SW_DOMAINS_MAX]; /* watermarks: [0] of the input, others of event_time components in the chain */
    int64_t wake_ms;            /* with SW_STEP_WAIT_TIME: engine time to run again at */
    int64_t timer_ms;           /* when the first processing timer is due; INT64_MAX none */
    uint32_t at;                /* component index + 1 whose user code is running; 0 none; atomic */
    uint32_t stamp;             /* of the event being processed: when it was taken in, us */
    uint32_t control;           /* source: id of the newest control item it is to send; atomic */
    uint32_t control_seen;      /* id of the last one it acted on; before the first, of the last there was */
    uint32_t is_stopping;       /* source: end as if the input had ended; atomic */
    uint32_t number;            /* instance, 0.. */
    uint32_t pause_at;          /* source: give nothing behind this barrier; 0 none; atomic */
    uint32_t committed;         /* newest checkpoint whose sinks are to be committed by the task; atomic */
    uint32_t committed_seen;    /* the last one it has committed */
    uint32_t is_released;       /* the job's last checkpoint is done: a task that waits for it may end; atomic */
    sw_idle idle;               /* as it told its readers */
    uint32_t is_starved;        /* source: the last fill found nothing to read */
    uint32_t asked;             /* there are inquiries; atomic */
    sw_batch rows;              /* source: the batch being processed */
    sw_error err;               /* why the last FFI call failed */
    /* --- private --- */
    struct sw_engine *engine;    /* borrowed */
    uint32_t plan_task, worker;  /* index in the graph's tasks, and of the worker it lives on */
    sw_step step;                /* what its last run ended with; atomic */
    sw_input *inputs;            /* input_count of them */
    uint32_t input_count;        /* channels that lead here */
    uint32_t input_next;         /* where the search for a batch goes on */
    sw_port *ports;              /* one per unfused edge that leaves it */
    uint32_t *port_edges;        /* their edges */
    uint32_t port_count;         /* entries of ports */
    sw_port *blocked;            /* with SW_STEP_WAIT_ROOM: the port that waits */
    sw_source *source;           /* connector of a source in C; NULL otherwise */
    sw_positions positions;      /* of it, at the checkpoints that can be restored */
    double rate, rate_credit;    /* source: events per second, 0 unbounded; and that may be read now */
    int64_t rate_ns;             /* source: when credit was last added; -1 never */
    int64_t time_max;            /* source: greatest event time seen */
    int64_t max_delay_ms;        /* source: how far the watermark trails it */
    bool has_time_function;      /* source: not its rows, but Lua says what their times are */
    struct sw_task_sink *sinks;  /* connectors of sinks in C */
    uint32_t sink_count;         /* entries of sinks */
    sw_acks *acks;               /* its tracker; owned; NULL: events are not acknowledged */
    struct sw_answer *answer;    /* being made; owned; NULL between barriers */
    struct sw_inquiry *asking;   /* to be answered (inquiry.h); guarded by the engine's lock */
    bool has_commits;            /* it commits sinks itself (in Lua) */
    int64_t sinks_flushed_ns;    /* when they were last flushed */
    bool is_fd_ready;            /* the source's descriptor became readable */
    bool is_waiting_fd;          /* the worker's loop watches the source's descriptor */
    void *coroutine;             /* script's: what sw_engine_ops.resume gets; NULL before setup */
    int64_t step_began_ns;       /* atomic by the watchdog's needs: clock when this step began; 0 not running */
    int64_t busy_ns, blocked_ns; /* time spent running, and waiting for room; atomic */
    int64_t blocked_since_ns;    /* 0 when not waiting for room */
    uint64_t pulse_seen;         /* watchdog: events counted by its components at the last look */
    int64_t pulse_seen_ns;       /* watchdog: when that last changed */
    sw_buf encoded;              /* script's: scratch for rows being made */
    uint64_t writes;             /* rows written to sinks, for sampling latency */
    sw_histogram latency;        /* us from intake to a sink's write */
} sw_task;

/* --- for the coroutine ---------------------------------------------------------------------------------------- */

/* The next input with a batch to read, in turn; NULL when none has but those that a barrier blocks. */
sw_input *sw_task_next(sw_task *task);
void sw_task_release(sw_task *task, sw_input *input);

/* A CONTROL row with this id came by input. True when it has now come by every input that has not ended: the task acts
 * on it, passes it on and the blocked inputs are free again. False also for one older than what is being aligned. */
bool sw_task_on_control(sw_task *task, sw_input *input, uint32_t id);
/* An END row came by input. True when all inputs have ended. */
bool sw_task_on_end(sw_task *task, sw_input *input);
/* The control item that has come by every input still open, now that another has ended; 0 when none has. */
uint32_t sw_task_control_due(sw_task *task);

/* The least watermark of the inputs that are neither ended nor idle; when all are idle, of those whose time moves on,
 * else SW_TIME_MIN. SW_TIME_MAX when all have ended. */
int64_t sw_task_input_watermark(const sw_task *task);
/* Whether the task is idle itself: all its open inputs are. */
sw_idle sw_task_input_idle(const sw_task *task);

/* Reads the next rows of a connector into task->rows; sets their stamps, and the watermark in force before each.
 * SW_STEP_RAN (rows), SW_STEP_WAIT_TIME (nothing now), SW_STEP_DONE (there may be rows), SW_STEP_FAILED (task->err). */
sw_step sw_task_fill(sw_task *task);
/* Notes an event's time, for sources in Lua: the watermark is to be time_max - max_delay_ms once timers due have
 * fired. */
void sw_task_saw_time(sw_task *task, int64_t time);

/* Sends an END or CONTROL row to every channel; SW_EFULL (and `blocked` set) while a port holds rows taken over its
 * bound. */
int sw_task_send(sw_task *task, sw_row_kind kind, uint32_t id);

/* How many events may be made now under `rate`, at most SW_TASK_BATCH; 0: wake_ms is set. */
uint32_t sw_task_take_credit(sw_task *task);

/* --- for the worker ------------------------------------------------------------------------------------------- */

bool sw_task_is_runnable(sw_task *task);
/* Publishes output after a step and flushes sinks: all of it when the task has nothing to do. SW_OK or the failure of
 * a sink. */
int sw_task_after_step(sw_task *task, int64_t now_ns, sw_error *err);
/* Engine time in ms at which something falls due while nothing comes in; INT64_MAX when nothing will. */
int64_t sw_task_deadline_ms(const sw_task *task, int64_t now_ms);
/* True when data or room came after all; else the other side will wake the worker. */
bool sw_task_await(sw_task *task);
void sw_task_deinit(sw_task *task);

#endif
