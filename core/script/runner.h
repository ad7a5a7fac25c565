/* runner.h -- from a script to a running engine: loads it once per Lua state, makes the graph, runs it, and knows
 * what it did.
 *
 *     config --load--> job built in the main state, graph planned --run--> workers (each executes the script again)
 *     --> exit code
 *
 * The main state becomes worker 0's. Every other worker executes the same text (read once) in a state of its own; one
 * that builds another job than the main state is an error that names the difference.
 *
 * Ownership  sw_runner_open takes nothing over; all it makes is freed by sw_runner_close.
 * Threads    open, load, run, close: the main thread. sw_runner_stop: any thread, also a signal handler. */
#ifndef SW_SCRIPT_RUNNER_H
#define SW_SCRIPT_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "run/engine.h"
#include "script/checkpointing.h"
#include "script/state.h"

#define SW_RUNNER_PAIRS_MAX 256

typedef struct sw_pair {
    const char *name;  /* borrowed, NUL-terminated */
    const char *value; /* borrowed, NUL-terminated */
} sw_pair;

typedef struct sw_runner_config {
    const char *script;       /* path */
    char **args;              /* what follows the script's name: `...` and `arg` in it */
    int arg_count;            /* entries of args */
    const sw_pair *sets;      /* --set NAME=VALUE: sw.args */
    uint32_t set_count;       /* entries of sets */
    const sw_pair *settings;  /* overrides of the job's settings by option name: "delivery", "parallelism", "on_error",
                                "checkpoint_interval", "backpressure", "parallelism:COMPONENT" */
    uint32_t setting_count;   /* entries of settings */
    uint32_t workers;         /* 0: the machine's cores */
    uint64_t seed;            /* everything random derives from it */
    bool is_sim;              /* one thread, virtual clock, seeded order */
    const char *state_dir;    /* NULL: $XDG_STATE_HOME/swlua/JOB; made only when something is written there */
    const char *logs_dir;     /* where event logs live; NULL: $XDG_STATE_HOME/swlua/logs */
    const char *from;         /* what to go on from: "latest", "none", an id, a savepoint; NULL: the latest, if its job
                                had not ended */
    const char *const *drops; /* components whose saved state is to be dropped */
    uint32_t drop_count;      /* entries of drops */
    bool is_with_code;        /* executes the text that is stored in what it goes on from, not the file's */
    bool is_detached;         /* whatever is saved of the job is neither used nor touched */
    int64_t start_ms;         /* sim: where the virtual clock starts */
    sw_supervision *supervision; /* borrowed: the page of the supervisor; NULL without one */
} sw_runner_config;

typedef struct sw_runner {
    sw_runner_config config;            /* as given to open, workers filled in */
    sw_buf text;                        /* of the script, read once */
    sw_buf logs_dir;                    /* absolute, NUL-terminated */
    sw_script **scripts;                /* by worker; [0] is the main state */
    sw_graph graph;                     /* of the job */
    sw_engine engine;                   /* open once loaded with is_loaded */
    bool has_engine;                    /* engine is to be closed */
    sw_clock *clock;                    /* virtual under sim, and then owned */
    _Atomic bool is_stopping;           /* it was asked to stop */
    char *job;                          /* name of the job */
    char *fingerprint;                  /* of the job the main state built */
    uint32_t parallelism;               /* settings of the job that the engine needs: instances by default */
    uint32_t queue;                     /* events per channel */
    int64_t ack_timeout_ms;             /* events are acknowledged, and replayed after this; 0: they are not */
    int64_t watchdog_ms;                /* how long a call of user code may take */
    sw_delivery delivery;               /* what is promised */
    sw_checkpoint_settings checkpoints; /* when they are taken */
    uint32_t restart_attempts;          /* of the supervisor */
    int64_t restart_delay_ms;           /* before the first */
    char *state_dir;                    /* absolute; owned */
    sw_checkpointing *checkpointing;    /* owned; NULL: no checkpoints are taken */
    struct sw_dead_letters *letters;    /* owned: where unread dead letters go */
    void (*on_tick)(void *);            /* called about every 100 ms by the main thread while it runs; may be NULL */
    void *tick_arg;                     /* passed to on_tick */
    int64_t began_ns;                   /* clock when run began */
    int64_t ended_ns;                   /* and ended */
} sw_runner;

/* Reads and executes the script and plans its graph. SW_ESCRIPT: the script is wrong (exit code 3; err holds the
 * message with file and line); SW_ESTATE: its saved state cannot be used (exit code 4); SW_ENOTFOUND, SW_EIO: it
 * cannot be read (exit code 3 as well); else exit code 1. Close also after a failure. */
int sw_runner_open(sw_runner *runner, const sw_runner_config *config, sw_error *err);

/* Every problem of the script, as text lines "file:line: text", appended to `problems`; warnings (prefixed "warning:
 * ") to `warnings`. For `swlua check`; opens a state of its own. Returns the number of problems, or a negative code. */
int sw_runner_check(const sw_runner_config *config, sw_buf *problems, sw_buf *warnings, sw_error *err);

/* Runs the job to its end; returns the exit code, and why it failed is engine.failure.text. */
int sw_runner_run(sw_runner *runner);
void sw_runner_stop(sw_runner *runner);
/* Stops it as if the input had ended: timers fire, windows too. Any thread. */
void sw_runner_drain(sw_runner *runner);

/* The checkpoint that the job went on from; 0: it started afresh. */
uint64_t sw_runner_restored_from(const sw_runner *runner);

/* Warnings about the job (components that reach no sink, --set names never read), one per line, appended. */
int sw_runner_warnings(sw_runner *runner, sw_buf *out);

/* Sum of a component's counters over its instances. */
sw_instance sw_runner_totals(const sw_runner *runner, uint32_t component);

/* Calls function `name` of Lua module `module` in the main state with the job as its argument and appends the string
 * it returns to out. (Before run, or after it.) */
int sw_runner_call(sw_runner *runner, const char *module, const char *name, const char *argument, sw_buf *out,
                   sw_error *err);

/* For the engine's ops: gives a worker its state and makes the coroutines of its tasks, on its thread. */
int sw_runner_start_worker(sw_runner *runner, sw_worker *worker, sw_error *err);

void sw_runner_close(sw_runner *runner);

#endif
