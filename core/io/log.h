/* log.h -- the event log (state/log.h) as source and sink.
 *
 * Source: options name, start ("earliest", "latest", or a number: the first event with this time, epoch ms, or a later
 * one; default "earliest"), follow (default true: waits at the end; false: ends at what was committed when it was
 * opened). Record n belongs to instance n % count; a restored position is honoured with any count (log_position.h). A
 * log that is not there is an error. Under a virtual clock `follow` is false: nobody else writes in simulation. From
 * its first checkpoint on an instance is registered with the log as reader JOB.COMPONENT#INSTANCE, so that retention
 * keeps what a restore may ask for.
 *
 * Sink: option name. It appends to the log, also on a fresh start. Under exactly-once, with checkpoints, records become
 * visible by commit; else whenever the sink is flushed, and durable with a checkpoint and at the end.
 *
 * Crash      state/log_file.h.
 * Ownership, threads, limits: run/connector.h. */
#ifndef SW_IO_LOG_H
#define SW_IO_LOG_H

#include "run/connector.h"

int sw_log_source_open(const sw_options *options, const sw_source_context *context, sw_source **out, sw_error *err);
int sw_log_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err);

/* For io/registry.c. */
extern const sw_sink_commit_ops sw_log_commit_ops;

/* Where event logs live: `given` made absolute; NULL: $XDG_STATE_HOME/swlua/logs or ~/.local/state/swlua/logs.
 * Appended to `out` with a NUL. */
int sw_log_folder(const char *given, sw_buf *out, sw_error *err);

#endif
