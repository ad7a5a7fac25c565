/* supervision.h -- what the supervisor and the engine process that it started tell each other: one page of memory that
 * both have, made before the fork.
 *
 *     supervisor --restarts, failures--> page <--policy, checkpoints completed, why it ends-- engine process
 *
 * The engine process decides whether a failure of its own is worth a restart (it knows the job) and says so before it
 * exits; a process that was killed could say nothing, so of that the supervisor decides. Both count alike.
 *
 * Ownership  The supervisor makes the page; the engine process borrows it.
 * Threads    Fields marked atomic: any. The others: the main thread, and the supervisor while no engine runs.
 * Limits     Texts are cut to their field; components from SW_SUPERVISED_MAX on are never interpreted. */
#ifndef SW_RUN_SUPERVISION_H
#define SW_RUN_SUPERVISION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define SW_SUPERVISED_MAX 256
#define SW_SUPERVISED_NAME 128

typedef struct sw_supervision {
    /* --- the supervisor's --- */
    pid_t supervisor;    /* its process */
    uint32_t restarts;   /* of the engine so far */
    uint32_t failures;   /* ends of the engine in a row without a completed checkpoint */
    bool has_checkpoint; /* one was completed since the program's start: a restart goes on from the latest */
    int64_t began_ns;    /* monotonic clock when it began */
    /* --- the engine process's; what describes the job outlives it, the rest is cleared before the next one --- */
    char job[SW_SUPERVISED_NAME]; /* name; empty while the script is not loaded */
    uint32_t attempts;            /* restarts in a row before the job is given up */
    int64_t delay_ms;             /* before the first of them */
    bool has_guarantee;           /* a restart goes on from a checkpoint; else with sources at their start */
    uint8_t is_interpreted[SW_SUPERVISED_MAX]; /* by component: a call of its code was stuck; see internal/stuck.lua */
    _Atomic uint64_t checkpoints;              /* completed by this process */
    _Atomic bool is_stopping;                  /* it was asked to stop: it is not restarted */
    _Atomic bool is_over;                      /* the job has ended well: nothing is to be restarted */
    _Atomic bool asks_restart;                 /* this process ends in order to be restarted */
    char failure[SW_ERROR_TEXT_SIZE];          /* why; its first line is shown */
} sw_supervision;

/* Are there restarts left? NULL: none. */
bool sw_supervision_has_attempts(const sw_supervision *supervision);

/* The engine process is about to end by a failure. True: it will be restarted, and the supervisor tells of it. False:
 * the failure is the engine's to tell. NULL: false. */
bool sw_supervision_ask_restart(sw_supervision *supervision, const char *failure);

#endif
