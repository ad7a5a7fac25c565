/* stdio.h -- standard input as source, standard output and nothing as sinks.
 *
 * Standard input is read only when poll says that there is something, and its flags are not touched: the
 * terminal's belong to the shell. It has one instance that reads; others have ended. Several standard
 * output sinks (print) share the descriptor: each writes whole lines at once behind one lock, so lines
 * never mix.
 *
 * Ownership, threads, limits: run/connector.h. */
#ifndef SW_IO_STDIO_H
#define SW_IO_STDIO_H

#include "run/connector.h"

int sw_stdin_source_open(const sw_options *options, const sw_source_context *context, sw_source **out, sw_error *err);
int sw_stdout_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err);
int sw_null_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err);

#endif
