/* step.h -- what a run of a task's coroutine ended with: what it yields, and what decides when it runs again. */
#ifndef SW_RUN_STEP_H
#define SW_RUN_STEP_H

typedef enum sw_step {
    SW_STEP_RAN = 1,     /* did something: run again */
    SW_STEP_WAIT_INPUT,  /* nothing to read */
    SW_STEP_WAIT_ROOM,   /* a channel is full */
    SW_STEP_WAIT_TIME,   /* nothing before wake_ms, or until the source's descriptor is readable */
    SW_STEP_DONE,        /* ended: END has been sent to every channel */
    SW_STEP_FAILED,      /* the job has failed; the reason is with the engine */
    SW_STEP_WAIT_ACKS,   /* a source whose input has ended, with events pending */
    SW_STEP_WAIT_COMMIT, /* all done but for sinks that the job's last checkpoint has to commit */
} sw_step;

#endif
