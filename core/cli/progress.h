/* progress.h -- what a running job shows on standard error: a line that renews itself, or a line now and then.
 *
 *     runner's tick --sw_progress_tick--> counters of the engine --> a line        end --sw_progress_end--> one summary
 *
 * Ownership  borrows the runner, which has an engine.
 * Threads    the main thread; sw_progress_clear also from a signal handler. */
#ifndef SW_CLI_PROGRESS_H
#define SW_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "script/runner.h"

typedef enum sw_progress_mode { SW_PROGRESS_AUTO, SW_PROGRESS_OFF, SW_PROGRESS_PLAIN } sw_progress_mode;

typedef struct sw_progress {
    const sw_runner *runner; /* borrowed */
    sw_progress_mode mode;   /* as asked for */
    bool is_live;            /* renews one line of a terminal */
    bool has_terminal;       /* standard error is one */
    volatile bool is_drawn;  /* the live line is on the terminal */
    int64_t began_ns;        /* clock at init */
    int64_t drawn_ns;        /* and at the last line */
    uint64_t drawn_events;   /* taken in by then */
    int64_t *drawn_busy_ns;  /* and by task instance, busy_ns; owned */
} sw_progress;

/* SW_OK, SW_ENOMEM. */
int sw_progress_init(sw_progress *progress, const sw_runner *runner, sw_progress_mode mode);
void sw_progress_deinit(sw_progress *progress);

void sw_progress_tick(void *progress);

/* Takes the live line off the terminal, if it is there. Async-signal-safe. */
void sw_progress_clear(sw_progress *progress);

/* Says at the end how it went, if anybody wants to know: on a terminal, in plain mode, or when the job was stopped. */
void sw_progress_end(sw_progress *progress, int exit_status);

/* Events that sources have emitted so far. */
uint64_t sw_progress_events_in(const sw_runner *runner);

/* Appends the events that sources have emitted with thousands separated, and each problem counter that is not 0. */
int sw_progress_print_counters(sw_buf *out, const sw_runner *runner);

#endif
