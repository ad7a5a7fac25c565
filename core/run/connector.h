/* connector.h -- what the engine asks of a source or sink written in C.
 *
 *     source: outside --fill--> batch of rows ---> task           sink: task ---> row --write--> outside
 *
 * Connectors know transport and format; the engine knows time, watermarks, groupings, delivery and threads. One
 * object serves one instance. Custom sources and sinks (Lua tables) do not come through here: their calls are part of
 * the task's Lua loop.
 *
 * Checkpoints  At a barrier a source says its position, behind the rows it has given; a sink *prepares*: what it was
 *             given so far is fixed, and a value says what and where. Then, on the thread that writes checkpoints:
 *             sync(value), before the checkpoint is committed; and commit(value), after it is durable. Both work on the
 *             value alone, never on an open connector, and may be repeated: a restart calls commit again with the
 *             values of the checkpoint that it restores. Values and positions are msgpack maps.
 *
 * Ownership  The task instance owns its connector; close frees it, whatever it returns.
 * Threads    All calls of one object come from the worker of its task instance, never two at once.
 * Limits     fill makes at most `max_rows` rows. */
#ifndef SW_RUN_CONNECTOR_H
#define SW_RUN_CONNECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/buf.h"
#include "base/error.h"
#include "run/connector_options.h"
#include "state/row.h"

/* --- checkpoints ----------------------------------------------------------------------------------------------- */

typedef enum sw_delivery { SW_AT_MOST_ONCE, SW_AT_LEAST_ONCE, SW_EXACTLY_ONCE } sw_delivery;

/* What the instances of a component saved at the checkpoint that is restored: one value (msgpack) an instance that
 * had one, for sinks perhaps several in order of age. The numbers of instances then and now may differ. */
typedef struct sw_saved_values {
    uint32_t count;             /* entries of the arrays */
    const uint32_t *instances;  /* whose value it is */
    const uint8_t *const *data; /* borrowed for the call of open */
    const uint32_t *lens;       /* bytes */
    uint32_t parallelism;       /* instances there were */
    bool is_finished;           /* all input had ended: what has been added to it since is read */
} sw_saved_values;

/* --- sources --------------------------------------------------------------------------------------------------- */

typedef struct sw_source_context {
    const char *component;    /* for messages */
    uint32_t instance, count; /* this instance's number, and how many there are: an instance reads its own part */
    const sw_schema *schema;  /* rows are records of it; NULL: msgpack maps */
    const char *time_field;   /* field that gives event time; NULL: the clock at arrival */
    int64_t max_ahead_ms;     /* an event time further ahead of the clock is malformed; 0: no bound */
    sw_clock *clock;          /* the engine's */
    const sw_saved_values *restored; /* positions of all instances at the restored checkpoint; NULL: start afresh */
    const char *logs_dir;            /* where event logs live, absolute; NULL: nowhere */
    const char *job;                 /* name of the job */
    sw_delivery delivery;            /* of the job */
    bool is_journaled;               /* what arrives is written to a log first (io/journal.h) */
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
    /* Appends the position behind the rows that fill has given: what open needs to go on there. NULL: the source
     * cannot be rewound. */
    int (*position)(sw_source *source, sw_buf *out, sw_error *err);
    /* This instance will never be asked again for what lies before this position: that of the oldest checkpoint that
     * can still be restored, or, when a job has finished, its last. A hint: failures are not told. NULL: the source
     * keeps nothing for others. */
    void (*release)(sw_source *source, const uint8_t *position, size_t len);
} sw_source_ops;

/* --- sinks ----------------------------------------------------------------------------------------------------- */

typedef struct sw_sink_context {
    const char *component;           /* for messages */
    uint32_t instance, count;        /* this instance's number, and how many there are */
    sw_clock *clock;                 /* the engine's */
    sw_delivery delivery;            /* under exactly-once nothing may be seen before commit */
    const char *state_dir;           /* absolute; for what is not committed yet; NULL: no checkpoints are taken */
    const sw_saved_values *restored; /* prepared values of the restored checkpoint, already committed again; NULL:
                                        start afresh */
    const char *logs_dir;            /* where event logs live, absolute; NULL: nowhere */
} sw_sink_context;

typedef struct sw_sink sw_sink;
struct sw_sink {
    const struct sw_sink_ops *ops;
    bool is_busy;          /* at flush, by the engine: the task has more to do, so that what is dear may wait */
    bool is_transactional; /* under exactly-once nothing is seen before its commit; else it gives at-least-once */
};

typedef struct sw_sink_ops {
    /* Takes one event row of either shape. SW_OK; SW_ETYPE or SW_EFORMAT: this event cannot be written (nothing of it
     * was), which is an error of the event; else the sink failed. */
    int (*write)(sw_sink *sink, const sw_row *row, sw_error *err);
    /* Hands on what is buffered: called when the task has nothing to do, and at least every few ms. */
    int (*flush)(sw_sink *sink, sw_error *err);
    /* Flushes and frees. An error is that of the flush. Under exactly-once what was not prepared is thrown away. */
    int (*close)(sw_sink *sink, sw_error *err);
    /* Fixes what was written since the last prepare as part of this checkpoint and appends the value that sync and
     * commit need: nothing where they have nothing to do. Must be quick: no fsync. A checkpoint that fails is not
     * undone: its value is committed with the next one's, in order. After a failure it may be called again. NULL: the
     * sink has nothing to prepare. */
    int (*prepare)(sw_sink *sink, uint64_t checkpoint, sw_buf *value, sw_error *err);
} sw_sink_ops;

/* What a type of sink does with prepared values, without an open sink (io/registry.h finds it by type). */
typedef struct sw_sink_commit_ops {
    /* Makes durable what the value names: before the checkpoint is committed. */
    int (*sync)(const uint8_t *value, size_t len, sw_error *err);
    /* Shows it: after the checkpoint is durable. Repeatable; finishes what a crash left half done. */
    int (*commit)(const uint8_t *value, size_t len, sw_error *err);
    /* Takes back what was committed behind this value, the newest of its instance, when an older checkpoint is
     * restored: cuts it off, keeps it beside as NAME.cut-CHECKPOINT and appends a sentence naming both to `said`
     * (nothing when nothing was cut). Repeatable. NULL: it cannot be taken back. */
    int (*rewind)(const uint8_t *value, size_t len, uint64_t checkpoint, sw_buf *said, sw_error *err);
} sw_sink_commit_ops;

#endif
