/* acking.h -- acknowledgement in an engine: the trackers of its tasks (ack.h), and what it says of them.
 *
 * Ownership  The engine owns what open makes; tasks free their trackers.
 * Threads    open, close: as the engine's. The others: any worker. */
#ifndef SW_RUN_ACKING_H
#define SW_RUN_ACKING_H

#include "base/error.h"

struct sw_engine;
struct sw_task;

/* Makes a tracker for each task, where the options say so. Before ports are made. SW_EINVAL: too many tasks;
 * SW_ENOMEM. Here graphs whose windows or joins hold events longer than ack_timeout are to be refused. */
int sw_acking_open(struct sw_engine *engine, sw_error *err);
void sw_acking_close(struct sw_engine *engine);

/* Notes why an event is going to be replayed, for the day that it was too often. */
void sw_acking_note_error(struct sw_engine *engine, const char *text);
/* Fails the job: an event of this source was replayed too often because of errors. */
void sw_acking_fail(struct sw_engine *engine, const struct sw_task *source);

#endif
