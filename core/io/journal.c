#include "io/journal.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/log_position.h"
#include "io/log_rows.h"
#include "state/log_keep.h"
#include "state/log_reader.h"

#define INNER_ROWS                                                                                                     \
    65536u /* taken at once: more than there are in a chunk of input, so that nothing read stays unlogged */

typedef struct journal {
    sw_source base;          /* what the engine sees; first */
    sw_source *inner;        /* owned */
    sw_evlog *log;           /* written; owned */
    sw_evlog_reader *reader; /* of the part that is handed on again; NULL when that is done; owned */
    sw_log_rows rows;        /* records to rows */
    sw_batch held;           /* logged rows of the inner source that are not handed on yet */
    const sw_row *next_row;  /* the next of them */
    uint32_t left;           /* how many */
    uint64_t next;           /* number of the next row to be handed on */
    bool is_ended;           /* the inner source has ended */
    sw_buf scratch;          /* map of a record row */
    sw_buf name;             /* of the log, and of its reader; NUL-terminated */
    char *logs_dir;          /* owned */
} journal;

static const char *name_of(const journal *j)
{
    return (const char *)j->name.data;
}

static void journal_close(sw_source *base)
{
    journal *j = (journal *)base;
    j->inner->ops->close(j->inner);
    sw_evlog_reader_close(j->reader);
    sw_evlog_close(j->log, NULL);
    sw_log_rows_deinit(&j->rows);
    sw_batch_deinit(&j->held);
    sw_buf_deinit(&j->scratch);
    sw_buf_deinit(&j->name);
    sw_free(j->logs_dir);
    sw_free(j);
}

/* --- handing on -------------------------------------------------------------------------------------------------- */

/* Hands on from the log; closes the reader at its end. */
static int replay(journal *j, sw_batch *out, uint32_t row_limit, sw_error *err)
{
    sw_evlog_record record;
    int rc = SW_OK;
    sw_log_rows_tick(&j->rows);
    while (rc == SW_OK && out->count < row_limit) {
        if ((rc = sw_evlog_reader_read(j->reader, &record, err)) != SW_OK) break;
        rc = sw_log_rows_take(&j->rows, &record, out, err);
        j->next = record.number + 1;
    }
    if (rc != SW_EEMPTY) return rc;
    sw_evlog_reader_close(j->reader);
    j->reader = NULL;
    return SW_OK;
}

static int log_held(journal *j, sw_error *err)
{
    const sw_row *row = (const sw_row *)(const void *)j->held.data;
    int rc = SW_OK;
    for (uint32_t i = 0; rc == SW_OK && i < j->held.count; i++, row = sw_row_next(row)) {
        sw_evlog_record record;
        rc = sw_log_rows_give(row, &j->scratch, &record, err);
        if (rc == SW_OK) rc = sw_evlog_append(j->log, &record, err);
    }
    return rc == SW_OK ? sw_evlog_publish(j->log, false, err) : rc;
}

/* Takes what the inner source has. SW_OK; SW_EEMPTY: nothing now; SW_ECLOSED: nothing any more. */
static int take_more(journal *j, sw_error *err)
{
    if (j->is_ended) return SW_ECLOSED;
    sw_batch_clear(&j->held);
    int rc = j->inner->ops->fill(j->inner, &j->held, INNER_ROWS, err);
    j->base.wait_fd = j->inner->wait_fd;
    if (rc == SW_ECLOSED) j->is_ended = true;
    bool is_given = rc == SW_OK || (rc == SW_ECLOSED && j->held.count > 0);
    if (!is_given) return rc;
    if ((rc = log_held(j, err)) != SW_OK) return rc;
    j->next_row = (const sw_row *)(const void *)j->held.data;
    j->left = j->held.count;
    return SW_OK;
}

static int hand_on(journal *j, sw_batch *out, uint32_t row_limit, sw_error *err)
{
    for (; j->left > 0 && out->count < row_limit; j->left--, j->next_row = sw_row_next(j->next_row)) {
        if (sw_batch_append(out, j->next_row) != SW_OK) return sw_error_set(err, SW_ENOMEM, "out of memory");
        j->next++;
    }
    return SW_OK;
}

static int journal_fill(sw_source *base, sw_batch *out, uint32_t max_rows, sw_error *err)
{
    journal *j = (journal *)base;
    uint32_t before = out->count, limit = before + max_rows;
    int rc = SW_OK;
    if (j->reader != NULL) rc = replay(j, out, limit, err);
    if (rc != SW_OK || out->count > before) return rc;
    if (j->left == 0 && (rc = take_more(j, err)) != SW_OK) return rc;
    return hand_on(j, out, limit, err);
}

/* --- positions --------------------------------------------------------------------------------------------------- */

static int journal_position(sw_source *base, sw_buf *out, sw_error *err)
{
    journal *j = (journal *)base;
    int rc = sw_evlog_publish(j->log, true, err);
    const sw_log_position position = { .next = j->next, .last = UINT64_MAX, .count = 1 };
    return rc == SW_OK ? sw_log_position_write(&position, out, err) : rc;
}

static void journal_release(sw_source *base, const uint8_t *bytes, size_t len)
{
    static const sw_evlog_keep keep = { .has_bytes = true };
    journal *j = (journal *)base;
    sw_log_position position = { 0 };
    sw_evlog_trimmed trimmed;
    sw_error err;
    int rc = sw_log_position_read(&position, bytes, len, &err);
    if (rc == SW_OK) rc = sw_evlog_retain(j->logs_dir, name_of(j), name_of(j), position.next, &err);
    if (rc == SW_OK) rc = sw_evlog_trim(j->logs_dir, name_of(j), &keep, &trimmed, &err);
    if (rc != SW_OK) sw_log(SW_LOG_WARN, name_of(j), "%s", err.text);
    sw_log_position_deinit(&position);
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static int make_name(journal *j, const sw_source_context *context, sw_error *err)
{
    int rc = sw_evlog_escape(&j->name, context->job);
    if (rc == SW_OK) rc = sw_buf_append(&j->name, ".", 1);
    if (rc == SW_OK) rc = sw_evlog_escape(&j->name, context->component);
    if (rc == SW_OK && context->count > 1) rc = sw_buf_printf(&j->name, ".%u", context->instance);
    if (rc == SW_OK) rc = sw_buf_append(&j->name, "", 1);
    j->logs_dir = sw_strdup(context->logs_dir);
    return rc == SW_OK && j->logs_dir != NULL ? SW_OK : sw_error_set(err, SW_ENOMEM, "out of memory");
}

static int restored_next(journal *j, const sw_source_context *context, sw_error *err)
{
    sw_log_position position;
    int rc = sw_log_position_restore(&position, context->restored, context->instance, context->count, err);
    j->next = position.next;
    sw_log_position_deinit(&position);
    if (rc != SW_OK || j->next <= sw_evlog_next(j->log)) return rc;
    return sw_error_set(err, SW_ESTATE,
                        "event log %s ends at record %" PRIu64 ", but the checkpoint counts %" PRIu64 " of its records",
                        name_of(j), sw_evlog_next(j->log), j->next);
}

/* Where to begin without a checkpoint. */
static int fresh_next(journal *j, const sw_source_context *context, sw_error *err)
{
    j->next = sw_evlog_next(j->log);
    if (context->delivery == SW_AT_MOST_ONCE) return SW_OK;
    int rc = sw_evlog_retained(j->logs_dir, name_of(j), name_of(j), &j->next, err);
    return rc == SW_ENOTFOUND ? sw_evlog_retain(j->logs_dir, name_of(j), name_of(j), j->next, err) : rc;
}

static int open_replay(journal *j, const sw_source_context *context, sw_error *err)
{
    sw_source_context own = *context;
    own.time_field = NULL; /* Rows were given their time when they came. */
    int rc = sw_log_rows_init(&j->rows, name_of(j), &own, err);
    if (rc != SW_OK || j->next >= sw_evlog_next(j->log)) return rc;
    rc = sw_evlog_reader_open(&j->reader, j->logs_dir, name_of(j), err);
    return rc == SW_OK ? sw_evlog_reader_seek(j->reader, j->next, err) : rc;
}

static int open_all(journal *j, const sw_source_context *context, sw_error *err)
{
    static const sw_evlog_options own = { .cuts_prepared = true };
    if (context->logs_dir == NULL) return sw_error_set(err, SW_EINVAL, "there is no folder for event logs here");
    int rc = make_name(j, context, err);
    if (rc == SW_OK) rc = sw_evlog_open(&j->log, j->logs_dir, name_of(j), &own, err);
    if (rc != SW_OK) return rc;
    if (sw_evlog_repair(j->log)[0] != '\0') sw_log(SW_LOG_WARN, name_of(j), "%s", sw_evlog_repair(j->log));
    rc = context->restored != NULL ? restored_next(j, context, err) : fresh_next(j, context, err);
    return rc == SW_OK ? open_replay(j, context, err) : rc;
}

int sw_journal_open(sw_source *inner, const sw_source_context *context, sw_source **out, sw_error *err)
{
    static const sw_source_ops ops = {
        .fill = journal_fill, .close = journal_close, .position = journal_position, .release = journal_release
    };
    journal *j = sw_calloc(1, sizeof(*j));
    if (j == NULL) {
        inner->ops->close(inner);
        return sw_error_set(err, SW_ENOMEM, "out of memory");
    }
    j->base = (sw_source){ .ops = &ops, .wait_fd = inner->wait_fd, .unbounded = inner->unbounded };
    j->inner = inner;
    sw_batch_init(&j->held);
    int rc = open_all(j, context, err);
    if (rc == SW_OK) *out = &j->base;
    else journal_close(&j->base);
    return rc;
}
