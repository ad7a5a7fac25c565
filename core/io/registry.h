/* registry.h -- connectors by the name that sw.from and sw.to give them.
 *
 * Ownership  What is opened is closed by its own ops.
 * Threads    Any. */
#ifndef SW_IO_REGISTRY_H
#define SW_IO_REGISTRY_H

#include "run/connector.h"

/* Opens a source: "file", "log", "stdin". SW_EINVAL for an unknown type or option value; what the connector's open
 * says. */
int sw_io_open_source(const char *type, const sw_options *options, const sw_source_context *context, sw_source **out,
                      sw_error *err);

/* Opens a sink: "file", "log", "stdout", "store", "null". */
int sw_io_open_sink(const char *type, const sw_options *options, const sw_sink_context *context, sw_sink **out,
                    sw_error *err);

/* The type's own name, which lives as long as the process; NULL for one that is unknown. */
const char *sw_io_sink_type(const char *type);

/* What is done with the prepared values of a type of sink; NULL: nothing. */
const sw_sink_commit_ops *sw_io_sink_commit_ops(const char *type);

#endif
