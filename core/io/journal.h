/* journal.h -- makes a source that cannot be rewound one that can: what arrives is written to an event log first.
 *
 *     inner source --rows--> log JOB.COMPONENT --> task          after a restart: log --rows--> task, then inner again
 *
 * A row is visible in the log before it is handed on, so that it outlives the process; it is synced when the position
 * is asked for, so that a checkpoint never counts an event that a loss of power could take. The position is the number
 * of the first row that was not handed on. A restored source hands on what the log has from there, then what comes.
 *
 * Without a checkpoint to restore, all that arrived since the last one was released is handed on again: that is what a
 * job that died before its first checkpoint has not dealt with. Under at-most-once there is nothing to go back to: the
 * log is a record of what came, a run starts at its end, and nobody removes anything from it but `swlua log trim`.
 *
 * Crash      state/log_file.h. What the inner source has read and not made a row of, such as the beginning of a line,
 *            is lost with the process.
 * Ownership  The journal owns the inner source, from open on whatever open returns. Else as run/connector.h.
 * Limits     One writer a log: the same component of the same job runs once at a time. */
#ifndef SW_IO_JOURNAL_H
#define SW_IO_JOURNAL_H

#include "run/connector.h"

/* Puts a journal before `inner`, whose rows are EVENT and MALFORMED. SW_EBUSY: its log is being written; SW_ESTATE:
 * the log lacks what the checkpoint counted; codes of state/log.h. */
int sw_journal_open(sw_source *inner, const sw_source_context *context, sw_source **out, sw_error *err);

#endif
