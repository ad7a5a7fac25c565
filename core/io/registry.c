#include "io/registry.h"

#include "io/file.h"
#include "io/journal.h"
#include "io/log.h"
#include "io/stdio.h"
#include "io/store.h"

typedef int (*open_source)(const sw_options *, const sw_source_context *, sw_source **, sw_error *);
typedef int (*open_sink)(const sw_options *, const sw_sink_context *, sw_sink **, sw_error *);

static const struct {
    const char *type;
    open_source open;
} sources[] = {
    { "file", sw_file_source_open },
    { "log", sw_log_source_open },
    { "stdin", sw_stdin_source_open },
};

static const struct {
    const char *type;
    open_sink open;
    const sw_sink_commit_ops *commit; /* NULL: nothing to do with what it prepares */
} sinks[] = {
    { "file", sw_file_sink_open, &sw_file_sink_commit_ops },
    { "log", sw_log_sink_open, &sw_log_commit_ops },
    { "stdout", sw_stdout_sink_open, NULL },
    { "store", sw_store_sink_open, &sw_store_sink_commit_ops },
    { "null", sw_null_sink_open, NULL },
};

static int open_journaled(open_source opens, const sw_options *options, const sw_source_context *context,
                          sw_source **out, sw_error *err)
{
    sw_source_context inner_context = *context;
    sw_source *inner = NULL;
    inner_context.restored = NULL;
    int rc = opens(options, &inner_context, &inner, err);
    return rc == SW_OK ? sw_journal_open(inner, context, out, err) : rc;
}

int sw_io_open_source(const char *type, const sw_options *options, const sw_source_context *context, sw_source **out,
                      sw_error *err)
{
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (strcmp(sources[i].type, type) != 0) continue;
        if (context->is_journaled) return open_journaled(sources[i].open, options, context, out, err);
        return sources[i].open(options, context, out, err);
    }
    return sw_error_set(err, SW_EINVAL, "%s: there is no source \"%s\"", context->component, type);
}

int sw_io_open_sink(const char *type, const sw_options *options, const sw_sink_context *context, sw_sink **out,
                    sw_error *err)
{
    for (size_t i = 0; i < sizeof(sinks) / sizeof(sinks[0]); i++)
        if (strcmp(sinks[i].type, type) == 0) return sinks[i].open(options, context, out, err);
    return sw_error_set(err, SW_EINVAL, "%s: there is no sink \"%s\"", context->component, type);
}

const char *sw_io_sink_type(const char *type)
{
    for (size_t i = 0; i < sizeof(sinks) / sizeof(sinks[0]); i++)
        if (strcmp(sinks[i].type, type) == 0) return sinks[i].type;
    return NULL;
}

const sw_sink_commit_ops *sw_io_sink_commit_ops(const char *type)
{
    for (size_t i = 0; i < sizeof(sinks) / sizeof(sinks[0]); i++)
        if (strcmp(sinks[i].type, type) == 0) return sinks[i].commit;
    return NULL;
}
