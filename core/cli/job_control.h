/* job_control.h -- what the control socket of a running job can do: sw_control_ops over a runner.
 *
 *     runner's tick --> opens DIR/control.sock, measures        client --serve/control.h--> ps, stop, ... --> runner
 *
 * The socket is made at the first tick: a job that ends sooner leaves nothing behind, and starts no slower.
 *
 * Ownership  Borrows the runner, which has an engine; close it before the runner.
 * Threads    the main thread. */
#ifndef SW_CLI_JOB_CONTROL_H
#define SW_CLI_JOB_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/job_state.h"
#include "script/runner.h"
#include "serve/control.h"

typedef struct sw_job_control {
    sw_runner *runner;         /* borrowed */
    void (*end_at_once)(void); /* ends the process without waiting for anything; does not return */
    sw_control *control;       /* owned; NULL: not open, or could not be opened */
    bool is_tried;             /* it was tried to open it */
    bool has_made_dir;         /* the state directory was not there before */
    sw_job_state state;        /* what is asked of its tasks */
    int64_t began_ns;          /* clock when the job was started, restarts included */
    int64_t measured_ns;       /* clock at the last measurement */
    uint64_t measured_events;  /* taken in by then */
    double events_per_s;       /* between the last two */
} sw_job_control;

void sw_job_control_init(sw_job_control *job, sw_runner *runner, void (*end_at_once)(void));
void sw_job_control_tick(sw_job_control *job);
void sw_job_control_close(sw_job_control *job);

#endif
