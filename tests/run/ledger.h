/* ledger.h -- what the tasks of a driver answer at barriers, what a directory of checkpoints would hold of it, and
 * whether that is the state between two events.
 *
 *     tasks: counts, changed keys, prepared rows --answers--> coordinator --write--> ledger: durable, checked
 *                                                                         --show---> ledger: shown, checked
 *
 * The job is in --> work --> out. An answer holds, for each task: events by source (complete), how often each changed
 * key has come (inherited), and for `out` which of its events were prepared (sink). When a checkpoint is written, the
 * events that `work` and `out` have counted are exactly those that the sources had sent before the barrier (aligned),
 * or at least those (unaligned); and so are the counts of keys gathered from all checkpoints so far.
 *
 * Threads  ledger_control: workers. The coordinator's ops: its writer. The rest: the test's, when all have ended. */
#ifndef TESTS_RUN_LEDGER_H
#define TESTS_RUN_LEDGER_H

#include "base/rng.h"
#include "driver.h"
#include "run/coordinator.h"

#define TASKS_MAX 16
#define SAVEPOINTS_MAX 64

enum { IN, WORK, OUT }; /* components of the job */

/* What one task has told so far; its worker's. */
typedef struct teller {
    uint64_t of_key[KEYS]; /* as last answered */
    uint64_t prepared;     /* events of a sink in answers so far */
    sw_answer *held;       /* an answer that is not given yet; NULL none */
    uint32_t hold;         /* steps until it is */
} teller;

typedef struct ledger {
    driver *d; /* whose tasks */
    sw_coordinator *coordinator;
    teller tellers[TASKS_MAX]; /* by task */
    uint32_t hold_max;         /* answers are given up to so many steps late; 0: at once */
    uint64_t copies;           /* events that `work` gets of each */
    bool is_unaligned;
    uint32_t given_id; /* of the newest checkpoint begun; the main thread's */
    /* --- of the coordinator's thread --- */
    sw_rng faults;                            /* draws what fails */
    uint32_t fail_percent;                    /* of writes */
    uint32_t fail_first;                      /* every other one of so many writes fails */
    bool fails_show;                          /* the next show fails */
    uint64_t counts[OUT + 1][4][SOURCES_MAX]; /* durable: by component, instance, source */
    uint64_t of_key[4][KEYS];                 /* durable: by instance of work */
    uint64_t sent[SOURCES_MAX];               /* durable: by source */
    uint64_t shown[4];                        /* events shown, by instance of out */
    uint32_t last_id, shown_id;               /* of the newest written and shown */
    uint32_t written, failed;                 /* calls of write */
    bool is_finished;                         /* so said the last written */
    char savepoints[SAVEPOINTS_MAX][16];      /* names, in order */
    uint32_t savepoint_ids[SAVEPOINTS_MAX];   /* of which checkpoint */
    uint32_t savepoint_count;
    char fault[256]; /* the first broken promise */
} ledger;

void ledger_init(ledger *l, driver *d, uint64_t seed);
/* Has the driver's tasks answer to the ledger's coordinator. */
void ledger_coordinate(ledger *l, const sw_coordinator_options *options);
void ledger_give_held(ledger *l, sw_task *task); /* counts a step; gives an answer that was held long enough */
void ledger_assert_faultless(const ledger *l);
/* All that the sources have sent is durable and shown. */
void ledger_assert_complete(const ledger *l);

#endif
