/* file.h -- files as source and sink.
 *
 * Source: options path (may be a glob), format, max_line_bytes. The files, sorted, are shared out: file k
 * belongs to instance k % count; an instance without a file has ended. `.gz` is decompressed (base/fs.h).
 * Nothing that matches, a directory or an unreadable file is an error that names the path.
 * Its position is a map of the files that were begun: path -> [offset, lines, done, skipping, hashed, hash], where
 * the hash over the first bytes tells a file that was replaced. Restored, the positions of all instances are taken
 * together and the files shared out anew. A file that is done is not read again; one that was replaced, was cut or has
 * gone is refused; new ones are read. Without a plain file (a pipe, a device) there is no position.
 *
 * Sink: options path (`{instance}` is replaced by the instance's number), format, mode ("replace" or "append"). The
 * file is made at start, also when no row comes.
 *     exactly-once    rows --> segment (segment.h) --commit--> appended to the file, at the recorded offset
 *     else            rows --> the file, in pieces of 256 KiB and at every flush
 * Restored, the file is gone on with; written directly, what stands behind its last line end is cut off first. A
 * pipe or a device is always written directly, and has nothing to prepare.
 *
 * Crash      exactly-once: the segment stands until the file is synced with its bytes, so a commit is repeated until
 *            it is whole. Directly: what was prepared was synced before the checkpoint was committed; rows behind it
 *            may be there too, and come again.
 * Limits     A commit writes whole lines at once, up to 1 MiB; while it does, a reader may meet the beginning of a
 *            line, where the file system shows a write page by page or the disk fails in it. Two sinks on one file
 *            are refused under exactly-once only.
 * Ownership, threads: run/connector.h. */
#ifndef SW_IO_FILE_H
#define SW_IO_FILE_H

#include "run/connector.h"

int sw_file_source_open(const sw_options *options, const sw_source_context *context, sw_source **out, sw_error *err);
extern const sw_sink_commit_ops sw_file_sink_commit_ops;
int sw_file_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err);

#endif
