/* file.h -- files as source and sink.
 *
 * Source: options path (may be a glob), format, max_line_bytes. The files, sorted, are shared out: file k
 * belongs to instance k % count; an instance without a file has ended. `.gz` is decompressed (base/fs.h).
 * Nothing that matches, a directory or an unreadable file is an error that names the path.
 * Sink: options path (`{instance}` is replaced by the instance's number), format, mode ("replace" or
 * "append"). The file is made at start, also when no row comes; it is written in pieces of 256 KiB and at
 * every flush.
 *
 * Crash      No guarantee yet: what was flushed is with the operating system, not synced.
 * Ownership, threads, limits: run/connector.h. */
#ifndef SW_IO_FILE_H
#define SW_IO_FILE_H

#include "run/connector.h"

int sw_file_source_open(const sw_options *options, const sw_source_context *context, sw_source **out, sw_error *err);
int sw_file_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err);

#endif
