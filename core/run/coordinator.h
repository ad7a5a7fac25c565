/* coordinator.h -- takes checkpoints of a running job.
 *
 *     interval | request --barrier--> sources ... tasks --answer--> gathered --> writer: sync sinks, commit, show
 *     --> idle
 *
 * One checkpoint at a time. It is complete when every task has answered: a task that has ended has given its final
 * answer, which counts for all that follow. When all have, the last checkpoint of the job is taken. One that fails or
 * times out is given up: the job goes on, and what its tasks answered is carried into the next one, so that no
 * change is missing there. Ids grow.
 *
 * Order      What is durable when: every prepared value of a sink is synced before the checkpoint is committed; sinks
 *            show it only after it is durable. A crash between the two is made good by the restart, which shows it
 *            again (connector.h).
 * Ownership  The engine owns its coordinator. deliver takes the answer over.
 * Threads    new, step, request, free: the main thread. deliver: any worker. The ops run on a thread of the
 *            coordinator's own, one call at a time, but for next_id; under sim inside step. */
#ifndef SW_RUN_COORDINATOR_H
#define SW_RUN_COORDINATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "state/snapshot.h"

struct sw_engine;
struct sw_task;

typedef struct sw_coordinator sw_coordinator;

/* What a task saves at a barrier. */
typedef struct sw_answer {
    struct sw_answer *next; /* in the coordinator's lists */
    struct sw_task *task;   /* whose it is */
    uint32_t checkpoint;    /* id of the barrier; 0 for a final answer */
    bool is_final;          /* the task has ended */
    bool is_input_ended;    /* final, of a source: its input has ended, it was not just stopped */
    sw_snapshot *parts;     /* owned */
    uint32_t part_count;    /* parts */
} sw_answer;

/* SW_OK, SW_ENOMEM. */
int sw_answer_new(sw_answer **out, struct sw_task *task, uint32_t checkpoint);
void sw_answer_free(sw_answer *answer);
int sw_answer_add(sw_answer *answer, sw_snapshot *part); /* moves the part in; SW_ENOMEM leaves it the caller's */

/* A checkpoint to be written. */
typedef struct sw_checkpoint_request {
    uint32_t id;                         /* of the checkpoint */
    bool is_finished;                    /* all input has ended by itself */
    int64_t time_ms;                     /* engine time of its barrier */
    const sw_snapshot *const *snapshots; /* in order of age */
    uint32_t count;                      /* snapshots */
} sw_checkpoint_request;

typedef struct sw_coordinator_ops {
    void *arg; /* passed to each */
    /* The id of the next checkpoint, one more than that of the last; none is given twice. Main thread. */
    uint64_t (*next_id)(void *arg);
    /* Makes the checkpoint durable; *bytes: size of its file. A failure leaves everything as it was. */
    int (*write)(void *arg, const sw_checkpoint_request *request, uint64_t *bytes, sw_error *err);
    /* Has sinks show what is durable now. A failure fails the job: a restart repeats it. */
    int (*show)(void *arg, const sw_checkpoint_request *request, sw_error *err);
    /* Makes a savepoint of the checkpoint just shown. A failure is told to who asked for it. */
    int (*save_as)(void *arg, const char *name, sw_error *err);
    /* Id of the oldest checkpoint that can still be restored, after one was written; NULL: nobody knows. */
    uint32_t (*oldest)(void *arg);
    /* Tidies up behind a checkpoint: folds what has grown long. */
    void (*tidy)(void *arg);
} sw_coordinator_ops;

typedef struct sw_coordinator_options {
    uint32_t first_id;   /* of the first checkpoint; the others come from next_id */
    int64_t interval_ms; /* between barriers; 0: only on request */
    int64_t timeout_ms;  /* from barrier to the last answer */
} sw_coordinator_options;

typedef struct sw_coordinator_stats {
    uint64_t completed, failed; /* checkpoints of this run */
    uint32_t last_id;           /* newest completed; 0 none */
    uint64_t last_bytes;        /* of its file */
    int64_t last_ms;            /* engine time at which it completed */
    double p50_ms, p99_ms;      /* from barrier to completion */
} sw_coordinator_stats;

int sw_coordinator_new(sw_coordinator **out, struct sw_engine *engine, const sw_coordinator_options *options,
                       const sw_coordinator_ops *ops, sw_error *err);
void sw_coordinator_free(sw_coordinator *coordinator);

/* Takes a task's answer over. */
void sw_coordinator_deliver(sw_coordinator *coordinator, sw_answer *answer);

/* Does what is due: after each wake and tick, and under sim when nothing else can run. True if it did something. */
bool sw_coordinator_step(sw_coordinator *coordinator);
/* Engine time at which step has something to do by itself; INT64_MAX: only when an answer comes. */
int64_t sw_coordinator_deadline_ms(const sw_coordinator *coordinator);

/* Asks for a checkpoint as soon as none is under way. on_done (may be NULL) is called once, when one whose barrier was
 * sent after the request is done or has failed. savepoint: to be made of it, or NULL; copied. SW_OK, SW_ENOMEM. */
typedef void sw_checkpoint_done(void *arg, uint32_t id, int rc, const sw_error *err);
int sw_coordinator_request(sw_coordinator *coordinator, const char *savepoint, sw_checkpoint_done *on_done, void *arg);

/* Stops the job with a checkpoint: the sources give nothing behind its barrier, and when it is done the engine halts.
 * Any thread, also a signal handler. */
void sw_coordinator_stop(sw_coordinator *coordinator);

/* Is nothing more to come: the job's last checkpoint is done, or the job has failed? */
bool sw_coordinator_is_over(const sw_coordinator *coordinator);

sw_coordinator_stats sw_coordinator_get_stats(const sw_coordinator *coordinator);

#endif
