/* store.h -- a table on disk that a sink keeps up to date: one event a key, in an LMDB file that others may read.
 *
 *     row --key fields--> [ key, event ] --exactly-once: segment (segment.h) --commit--> LMDB file
 *                                         else: at a flush, while busy 5 times a second -->
 *
 * Options: path, keys (how many fields), key1, key2, ... (their names). An event replaces the one with the same key;
 * one whose field `deleted` is true removes it. The table is never emptied, also not on a fresh start.
 *
 * Format     The unnamed database of an LMDB file (MDB_NOSUBDIR): canonical key bytes (state/key.h) -> the event as a
 *            msgpack map. The key c1 73 77 6c 75 61, which is no msgpack, holds the last checkpoint applied.
 * Crash      A commit applies a segment and notes its checkpoint in one transaction, so that it is applied once. A new
 *            file is made under another name. What was committed cannot be taken back.
 * Ownership  run/connector.h. The environment of a file is opened once in a process, and shared by sink and commits.
 * Threads    run/connector.h; commits may run beside the sink.
 * Limits     Keys of 511 bytes. One sink writes to a file, whatever the process; not on a remote file system. A
 *            segment is applied in one transaction, which holds its changed pages in memory. The map begins at 1 GiB
 *            and doubles when it is full: a reader that keeps the file open has to follow. Written directly, it is
 *            synced each time, also in prepare. */
#ifndef SW_IO_STORE_H
#define SW_IO_STORE_H

#include "run/connector.h"

extern const sw_sink_commit_ops sw_store_sink_commit_ops;
int sw_store_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err);

#endif
