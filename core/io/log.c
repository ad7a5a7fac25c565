#include "io/log.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "io/log_position.h"
#include "io/log_rows.h"
#include "state/log_keep.h"
#include "state/log_reader.h"

#define READER_BYTES 1024u /* of a reader's name: longer ones are cut */

static const char *name_option(const sw_options *options)
{
    const sw_option *name = sw_options_find(options, "name");
    return name != NULL ? name->string : NULL;
}

static int check_context(const char *name, const char *logs_dir, sw_error *err)
{
    if (name == NULL) return sw_error_set(err, SW_EINVAL, "an event log needs a name");
    if (logs_dir == NULL) return sw_error_set(err, SW_EINVAL, "there is no folder for event logs here");
    return SW_OK;
}

int sw_log_folder(const char *given, sw_buf *out, sw_error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    size_t before = out->size;
    bool has_state = state != NULL && state[0] != '\0';
    const char *root = given != NULL ? given : has_state ? state : home != NULL ? home : ".";
    char *path = sw_fs_absolute(root);
    int rc = path != NULL ? sw_buf_append_str(out, path) : SW_ENOMEM;
    sw_free(path);
    if (rc == SW_OK && given == NULL)
        rc = sw_buf_append_str(out, has_state ? "/swlua/logs" : "/.local/state/swlua/logs");
    if (rc == SW_OK) rc = sw_buf_append(out, "", 1);
    if (rc == SW_OK) return SW_OK;
    out->size = before;
    return sw_error_set(err, rc, "the path of the event logs is not known: out of memory, or no working directory");
}

/* --- source ------------------------------------------------------------------------------------------------------ */

typedef struct log_source {
    sw_source base;                /* what the engine sees; first */
    sw_evlog_reader *reader;       /* owned */
    sw_log_rows rows;              /* records to rows */
    sw_log_position position;      /* how far it is */
    uint64_t began;                /* number at which it began: what is retained before anything is released */
    bool is_registered;            /* the log knows it as a reader */
    char *logs_dir;                /* owned */
    char *name;                    /* of the log; owned */
    char registered[READER_BYTES]; /* as reader of the log */
} log_source;

static void source_close(sw_source *base)
{
    log_source *source = (log_source *)base;
    sw_evlog_reader_close(source->reader);
    sw_log_rows_deinit(&source->rows);
    sw_log_position_deinit(&source->position);
    sw_free(source->logs_dir);
    sw_free(source->name);
    sw_free(source);
}

/* Reads what is there, until there are enough rows. SW_EEMPTY: at the end as last looked at; SW_ECLOSED: at the
 * last. */
static int read_rows(log_source *source, sw_batch *out, uint32_t row_limit, sw_error *err)
{
    sw_evlog_record record;
    while (out->count < row_limit) {
        if (sw_evlog_reader_next(source->reader) >= source->position.last) return SW_ECLOSED;
        int rc = sw_evlog_reader_read(source->reader, &record, err);
        if (rc != SW_OK) return rc;
        if (!sw_log_position_is_mine(&source->position, record.number)) continue;
        if ((rc = sw_log_rows_take(&source->rows, &record, out, err)) != SW_OK) return rc;
    }
    return SW_OK;
}

static int source_fill(sw_source *base, sw_batch *out, uint32_t max_rows, sw_error *err)
{
    log_source *source = (log_source *)base;
    uint32_t before = out->count;
    sw_log_rows_tick(&source->rows);
    int rc = read_rows(source, out, before + max_rows, err);
    if (rc == SW_EEMPTY && out->count == before) {
        rc = sw_evlog_reader_refresh(source->reader, err);
        source->position.taken = sw_evlog_reader_taken(source->reader);
        if (rc == SW_OK) rc = read_rows(source, out, before + max_rows, err);
    }
    sw_log_position_advance(&source->position, sw_evlog_reader_next(source->reader));
    return rc == SW_EEMPTY && out->count > before ? SW_OK : rc;
}

static int retain(log_source *source, uint64_t number, sw_error *err)
{
    return sw_evlog_retain(source->logs_dir, source->name, source->registered, number, err);
}

static int source_position(sw_source *base, sw_buf *out, sw_error *err)
{
    log_source *source = (log_source *)base;
    if (!source->is_registered) {
        int rc = retain(source, source->began, err);
        if (rc != SW_OK) return rc;
        source->is_registered = true;
    }
    return sw_log_position_write(&source->position, out, err);
}

static void source_release(sw_source *base, const uint8_t *bytes, size_t len)
{
    log_source *source = (log_source *)base;
    sw_log_position position = { 0 };
    sw_error err;
    int rc = sw_log_position_read(&position, bytes, len, &err);
    if (rc == SW_OK) rc = retain(source, position.next, &err);
    if (rc != SW_OK) sw_log(SW_LOG_WARN, source->registered, "%s", err.text);
    sw_log_position_deinit(&position);
}

static int go_to_start(log_source *source, const sw_options *options, sw_error *err)
{
    const sw_option *start = sw_options_find(options, "start");
    uint64_t number = sw_evlog_reader_committed(source->reader);
    if (start != NULL && start->kind == SW_OPTION_NUMBER)
        return sw_evlog_reader_seek_time(source->reader, (int64_t)start->number, err);
    if (start != NULL && start->string != NULL && strcmp(start->string, "latest") == 0)
        return sw_evlog_reader_seek(source->reader, number, err);
    return SW_OK; /* It stands at the first. */
}

/* What old instances registered that there are no more is theirs alone to retain. */
static void forget_old(log_source *source, const sw_source_context *context)
{
    for (uint32_t i = context->count; context->instance == 0 && i < context->restored->parallelism; i++) {
        char reader[READER_BYTES];
        snprintf(reader, sizeof(reader), "%s.%s#%u", context->job, context->component, i);
        sw_evlog_forget(source->logs_dir, source->name, reader, NULL);
    }
}

static int go_to_place(log_source *source, const sw_options *options, const sw_source_context *context, sw_error *err)
{
    const sw_option *follow = sw_options_find(options, "follow");
    sw_log_position *position = &source->position;
    bool is_ending = (follow != NULL && follow->number == 0) || sw_clock_is_virtual(context->clock);
    int rc;
    if (context->restored != NULL) {
        rc = sw_log_position_restore(position, context->restored, context->instance, context->count, err);
        if (rc == SW_OK) rc = sw_evlog_reader_check(source->reader, position->next, position->taken, err);
        if (rc == SW_OK) rc = sw_evlog_reader_seek(source->reader, position->next, err);
        if (rc == SW_OK) forget_old(source, context);
    } else {
        rc = go_to_start(source, options, err);
        *position = (sw_log_position){ .last = UINT64_MAX, .instance = context->instance, .count = context->count };
    }
    if (rc != SW_OK) return rc;
    if (!is_ending) position->last = UINT64_MAX;
    else if (position->last == UINT64_MAX) position->last = sw_evlog_reader_committed(source->reader);
    position->next = source->began = sw_evlog_reader_next(source->reader);
    position->taken = sw_evlog_reader_taken(source->reader);
    source->base.unbounded = !is_ending;
    return SW_OK;
}

static int open_reader(log_source *source, const sw_options *options, const sw_source_context *context, sw_error *err)
{
    int rc = sw_evlog_reader_open(&source->reader, context->logs_dir, source->name, err);
    if (rc == SW_OK) rc = sw_log_rows_init(&source->rows, source->name, context, err);
    if (rc == SW_OK) rc = go_to_place(source, options, context, err);
    if (rc != SW_OK || !source->base.unbounded) return rc;
    source->base.wait_fd = sw_evlog_reader_fd(source->reader);
    return sw_evlog_reader_refresh(source->reader, err); /* The watch was not there when it was opened. */
}

int sw_log_source_open(const sw_options *options, const sw_source_context *context, sw_source **out, sw_error *err)
{
    static const sw_source_ops ops = {
        .fill = source_fill, .close = source_close, .position = source_position, .release = source_release
    };
    const char *name = name_option(options), *job = context->job != NULL ? context->job : "job";
    int rc = check_context(name, context->logs_dir, err);
    if (rc != SW_OK) return rc;
    log_source *source = sw_calloc(1, sizeof(*source));
    if (source == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    source->base = (sw_source){ .ops = &ops, .wait_fd = -1 };
    source->name = sw_strdup(name);
    source->logs_dir = sw_strdup(context->logs_dir);
    snprintf(source->registered, sizeof(source->registered), "%s.%s#%u", job, context->component, context->instance);
    rc = source->name != NULL && source->logs_dir != NULL ? open_reader(source, options, context, err)
                                                          : sw_error_set(err, SW_ENOMEM, "out of memory");
    if (rc == SW_OK) *out = &source->base;
    else source_close(&source->base);
    return rc;
}

/* --- sink -------------------------------------------------------------------------------------------------------- */

typedef struct log_sink {
    sw_sink base;   /* what the engine sees; first */
    sw_evlog *log;  /* owned */
    sw_buf scratch; /* map of a record */
} log_sink;

static int sink_write(sw_sink *base, const sw_row *row, sw_error *err)
{
    log_sink *sink = (log_sink *)base;
    sw_evlog_record record;
    int rc = sw_log_rows_give(row, &sink->scratch, &record, err);
    if (rc == SW_OK) rc = sw_evlog_append(sink->log, &record, err);
    return rc == SW_ELIMIT ? SW_EFORMAT : rc;
}

static int sink_flush(sw_sink *base, sw_error *err)
{
    log_sink *sink = (log_sink *)base;
    return base->is_transactional ? sw_evlog_flush(sink->log, err) : sw_evlog_publish(sink->log, false, err);
}

static int sink_close(sw_sink *base, sw_error *err)
{
    log_sink *sink = (log_sink *)base;
    int rc = base->is_transactional ? SW_OK : sw_evlog_publish(sink->log, true, err);
    int closed = sw_evlog_close(sink->log, rc == SW_OK ? err : NULL);
    sw_buf_deinit(&sink->scratch);
    sw_free(sink);
    return rc != SW_OK ? rc : closed;
}

static int sink_prepare(sw_sink *base, uint64_t checkpoint, sw_buf *value, sw_error *err)
{
    (void)checkpoint;
    return sw_evlog_prepare(((log_sink *)base)->log, value, err);
}

int sw_log_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err)
{
    static const sw_sink_ops ops = {
        .write = sink_write, .flush = sink_flush, .close = sink_close, .prepare = sink_prepare
    };
    static const sw_evlog_options own = { .cuts_prepared = true };
    const char *name = name_option(options);
    int rc = check_context(name, context->logs_dir, err);
    if (rc != SW_OK) return rc;
    log_sink *sink = sw_calloc(1, sizeof(*sink));
    if (sink == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    sink->base.ops = &ops;
    sink->base.is_transactional = context->delivery == SW_EXACTLY_ONCE && context->state_dir != NULL;
    if ((rc = sw_evlog_open(&sink->log, context->logs_dir, name, &own, err)) != SW_OK) {
        sw_free(sink);
        return rc;
    }
    if (sw_evlog_repair(sink->log)[0] != '\0')
        sw_log(SW_LOG_WARN, context->component, "%s", sw_evlog_repair(sink->log));
    *out = &sink->base;
    return SW_OK;
}

const sw_sink_commit_ops sw_log_commit_ops = {
    .sync = sw_evlog_sync_value,
    .commit = sw_evlog_commit_value,
    .rewind = sw_evlog_rewind_value,
};
