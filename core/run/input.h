/* input.h -- one channel that leads to a task, as the task sees it.
 *
 * Layout     The part above the "private" banner is read and written by Lua through FFI: script/ffi.h repeats it.
 * Ownership  The task owns its inputs; the engine owns the channels.
 * Threads    The task's worker. */
#ifndef SW_RUN_INPUT_H
#define SW_RUN_INPUT_H

#include "run/channel.h"

/* Does a sender hold back the watermark of its readers? Not while it is idle: silent for longer than its idle
 * option. */
typedef enum sw_idle {
    SW_IDLE_NO,     /* it does */
    SW_IDLE_STILL,  /* it does not, and says nothing of the time */
    SW_IDLE_MOVING, /* it does not, unless all are idle: its watermark goes on with the clock */
} sw_idle;

typedef struct sw_input {
    int64_t wm;        /* watermark that came by it */
    sw_batch *batch;   /* being read; NULL between sw_task_next and sw_task_release */
    uint32_t edge;     /* index in the graph */
    uint32_t is_ended; /* an END row came */
    sw_idle idle;      /* as the last IDLE row said */
    /* --- private --- */
    sw_channel *channel; /* borrowed from the engine */
    uint32_t control;    /* id of the barrier that came by it and has not come by all others; 0 none */
} sw_input;

#endif
