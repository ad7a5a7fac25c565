/* connector.h -- what the engine asks of a source or sink written in C.
 *
 *     source: outside --fill--> batch of rows ---> task           sink: task ---> row --write--> outside
 *
 * Connectors know transport and format; the engine knows time, watermarks, groupings, delivery and threads. One
 * object serves one instance. Custom sources and sinks (Lua tables) do not come through here: their calls are part of
 * the task's Lua loop.
 *
 * Ownership  The task instance owns its connector; close frees it, whatever it returns.
 * Threads    All calls of one object come from the worker of its task instance, never two at once.
 * Limits     fill makes at most `max_rows` rows. */
#ifndef SW_RUN_CONNECTOR_H
#define SW_RUN_CONNECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "state/row.h"

/* --- options: what the script said, by name ------------------------------------------------------------------- */

typedef enum sw_option_kind { SW_OPTION_STRING, SW_OPTION_NUMBER, SW_OPTION_BOOL } sw_option_kind;

typedef struct sw_option {
    const char *name;    /* NUL-terminated */
    sw_option_kind kind; /* which of the values below */
    const char *string;  /* NUL-terminated */
    double number;       /* also 0 / 1 of a bool */
} sw_option;

typedef struct sw_options {
    const sw_option *list; /* count of them, owned by the caller */
    uint32_t count;        /* options */
} sw_options;

static inline const sw_option *sw_options_find(const sw_options *options, const char *name)
{
    for (uint32_t i = 0; i < options->count; i++)
        if (strcmp(options->list[i].name, name) == 0) return &options->list[i];
    return NULL;
}

/* --- sources --------------------------------------------------------------------------------------------------- */

typedef struct sw_source_context {
    const char *component;    /* for messages */
    uint32_t instance, count; /* this instance's number, and how many there are: an instance reads its own part */
    const sw_schema *schema;  /* rows are records of it; NULL: msgpack maps */
    const char *time_field;   /* field that gives event time; NULL: the clock at arrival */
    int64_t max_ahead_ms;     /* an event time further ahead of the clock is malformed; 0: no bound */
    sw_clock *clock;          /* the engine's */
} sw_source_context;

typedef struct sw_source sw_source;
struct sw_source {
    const struct sw_source_ops *ops;
    int wait_fd;    /* where fill said SW_EEMPTY: the descriptor to wait on for reading, or -1 */
    bool unbounded; /* input that may never end (stdin, sockets, follow) */
};

typedef struct sw_source_ops {
    /* Appends up to max_rows rows (EVENT: time, schema, body, len set; or MALFORMED) to `out`. SW_OK with at least
     * one row; SW_EEMPTY: nothing now, wait; SW_ECLOSED: ended for good (rows may have been added: they count); else
     * it failed. Must not block where it can say SW_EEMPTY. */
    int (*fill)(sw_source *source, sw_batch *out, uint32_t max_rows, sw_error *err);
    void (*close)(sw_source *source);
} sw_source_ops;

/* --- sinks ----------------------------------------------------------------------------------------------------- */

typedef struct sw_sink_context {
    const char *component;    /* for messages */
    uint32_t instance, count; /* this instance's number, and how many there are */
    sw_clock *clock;          /* the engine's */
} sw_sink_context;

typedef struct sw_sink sw_sink;
struct sw_sink {
    const struct sw_sink_ops *ops;
};

typedef struct sw_sink_ops {
    /* Takes one event row of either shape. SW_OK; SW_ETYPE or SW_EFORMAT: this event cannot be written (nothing of it
     * was), which is an error of the event; else the sink failed. */
    int (*write)(sw_sink *sink, const sw_row *row, sw_error *err);
    /* Hands on what is buffered: called when the task has nothing to do, and at least every few ms. */
    int (*flush)(sw_sink *sink, sw_error *err);
    /* Flushes and frees. An error is that of the flush. */
    int (*close)(sw_sink *sink, sw_error *err);
} sw_sink_ops;

#endif
