/* log_events.c -- `swlua log append` and `swlua log cat`: events into a log and out of it. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/watch.h"
#include "cli/log.h"
#include "io/codec.h"
#include "io/log_rows.h"
#include "io/registry.h"
#include "state/log_reader.h"
#include "state/pack.h"

#define ROWS_AT_ONCE 4096u
#define REFUSED_SHOWN 20u        /* lines that are told one by one */
#define WRITE_BYTES (256u << 10) /* printed at once */

/* --- append ------------------------------------------------------------------------------------------------------ */

typedef struct appending {
    const sw_log_call *call; /* what was asked for */
    sw_evlog *log;           /* owned */
    sw_source *source;       /* owned */
    sw_batch rows;           /* read and not appended */
    sw_buf scratch;          /* see sw_log_rows_give */
    uint64_t first;          /* number of the first event appended */
    uint64_t refused;        /* lines that are no events */
} appending;

static void refuse(appending *a, const sw_row *row)
{
    sw_pack_item where = { 0 }, why = { 0 };
    if (++a->refused > REFUSED_SHOWN) return;
    if (sw_pack_find(sw_row_body(row), row->body_len, "where", 5, &where) != SW_OK) return;
    if (sw_pack_find(sw_row_body(row), row->body_len, "error", 5, &why) != SW_OK) return;
    fprintf(stderr, "swlua log append: %.*s: %.*s\n", (int)where.count, (const char *)where.v.bytes, (int)why.count,
            (const char *)why.v.bytes);
}

static int append_rows(appending *a, sw_error *err)
{
    const sw_row *row = (const sw_row *)(const void *)a->rows.data;
    int rc = SW_OK;
    for (uint32_t i = 0; rc == SW_OK && i < a->rows.count; i++, row = sw_row_next(row)) {
        sw_evlog_record record;
        if (row->kind == SW_ROW_MALFORMED) {
            refuse(a, row);
            continue;
        }
        rc = sw_log_rows_give(row, &a->scratch, &record, err);
        if (rc == SW_OK) rc = sw_evlog_append(a->log, &record, err);
    }
    sw_batch_clear(&a->rows);
    return rc;
}

static void wait_for(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    poll(&p, 1, -1);
}

/* What has come is shown to readers before more is waited for. */
static int append_all(appending *a, sw_error *err)
{
    for (;;) {
        int rc = a->source->ops->fill(a->source, &a->rows, ROWS_AT_ONCE, err);
        bool is_ended = rc == SW_ECLOSED, is_waiting = rc == SW_EEMPTY;
        if (rc != SW_OK && !is_ended && !is_waiting) return rc;
        if ((rc = append_rows(a, err)) != SW_OK) return rc;
        if ((rc = sw_evlog_publish(a->log, is_ended, err)) != SW_OK || is_ended) return rc;
        if (is_waiting) wait_for(a->source->wait_fd);
    }
}

static int open_source(appending *a, sw_error *err)
{
    const sw_option path = { .name = "path", .kind = SW_OPTION_STRING, .string = a->call->file };
    const sw_options options = { &path, a->call->file != NULL ? 1 : 0 };
    const sw_source_context context = {
        .component = a->call->command->name, .count = 1, .time_field = a->call->time_field, .clock = sw_clock_real()
    };
    return sw_io_open_source(a->call->file != NULL ? "file" : "stdin", &options, &context, &a->source, err);
}

static int finish_append(appending *a)
{
    uint64_t end = sw_evlog_next(a->log), count = end - a->first;
    const char *plural = count == 1 ? "" : "s";
    if (count > 0)
        printf("%" PRIu64 " event%s appended: #%" PRIu64 " to #%" PRIu64 "\n", count, plural, a->first, end - 1);
    else puts("no events appended");
    if (a->refused == 0) return SW_EXIT_OK;
    fprintf(stderr, "swlua log append: lines left out because they are no events: %" PRIu64 "\n", a->refused);
    return SW_EXIT_FAILED;
}

static int run_append(const sw_command *command, int argc, char **argv)
{
    sw_log_call call;
    sw_error err;
    int status = SW_EXIT_OK;
    if (!sw_log_call_begin(&call, command, argc, argv, &status)) return status;
    appending a = { .call = &call };
    sw_batch_init(&a.rows);
    int rc = open_source(&a, &err);
    if (rc != SW_OK) {
        fprintf(stderr, "swlua %s: %s\n", command->name, err.text); /* Not a matter of the log. */
        status = SW_EXIT_FAILED;
    } else {
        rc = sw_evlog_open(&a.log, sw_log_call_folder(&call), call.name, NULL, &err);
        if (rc == SW_OK && sw_evlog_repair(a.log)[0] != '\0')
            fprintf(stderr, "swlua %s: %s\n", command->name, sw_evlog_repair(a.log));
        if (rc == SW_OK) a.first = sw_evlog_next(a.log);
        if (rc == SW_OK) rc = append_all(&a, &err);
        status = rc == SW_OK ? finish_append(&a) : sw_log_call_failed(&call, rc, &err);
        a.source->ops->close(a.source);
    }
    sw_evlog_close(a.log, NULL);
    sw_batch_deinit(&a.rows);
    sw_buf_deinit(&a.scratch);
    sw_log_call_end(&call);
    return status;
}

static const sw_cli_option append_options[] = {
    { SW_LOG_OPTION_TIME, "time", "FIELD", "the field that holds event time; without it, the time of appending" },
    SW_LOG_OPTION_LOGS_ROW,
    { 0 },
};

const sw_command sw_command_log_append = {
    .name = "log append",
    .arguments = "NAME [FILE] [options]",
    .summary = "adds events, JSON lines of a file or of standard input, to an event log",
    .notes = "Makes the log if there is none. Readers see events as they are appended; they are on the disk when the\n"
             "command ends. Lines that are no events are named and left out, and the status is 1.",
    .options = append_options,
    .run = run_append,
};

/* --- cat --------------------------------------------------------------------------------------------------------- */

typedef struct printing {
    const sw_log_call *call; /* what was asked for */
    sw_evlog_reader *reader; /* owned */
    sw_log_rows rows;        /* records to rows */
    sw_encoder *encoder;     /* rows to lines; owned */
    sw_file *out;            /* standard output; owned */
    sw_batch batch;          /* one row */
    sw_buf lines;            /* not printed yet */
    uint64_t left;           /* events still to be printed */
} printing;

static int print_lines(printing *p, sw_error *err)
{
    if (p->lines.size == 0) return SW_OK;
    int rc = sw_file_write_all(p->out, p->lines.data, p->lines.size, err);
    sw_buf_clear(&p->lines);
    return rc;
}

/* Events that have no JSON form are named and left out. */
static int add_line(printing *p, const sw_evlog_record *record, sw_error *err)
{
    sw_batch_clear(&p->batch);
    int rc = sw_log_rows_take(&p->rows, record, &p->batch, err);
    if (rc == SW_OK) rc = sw_encoder_encode(p->encoder, (const sw_row *)(const void *)p->batch.data, &p->lines, err);
    if (rc != SW_EFORMAT) return rc;
    fprintf(stderr, "swlua log cat: #%" PRIu64 ": %s\n", record->number, err->text);
    return SW_OK;
}

static int print_events(printing *p, sw_error *err)
{
    sw_evlog_record record;
    int rc = SW_OK;
    while (rc == SW_OK && p->left > 0) {
        if ((rc = sw_evlog_reader_read(p->reader, &record, err)) != SW_OK) break;
        p->left--;
        rc = add_line(p, &record, err);
        if (rc == SW_OK && p->lines.size >= WRITE_BYTES) rc = print_lines(p, err);
    }
    bool is_good = rc == SW_OK || rc == SW_EEMPTY;
    int printed = print_lines(p, is_good ? err : NULL); /* Also what came before a damaged record. */
    return is_good && printed != SW_OK ? printed : rc;
}

static int print_all(printing *p, sw_error *err)
{
    int fd = p->call->is_follow ? sw_evlog_reader_fd(p->reader) : -1;
    int rc = p->call->is_follow ? sw_evlog_reader_refresh(p->reader, err) : SW_OK;
    if (rc == SW_OK) rc = print_events(p, err);
    while (rc == SW_EEMPTY && p->call->is_follow) {
        if (fd < 0) return sw_error_set(err, SW_ELIMIT, "the system has no more watches to follow the log with");
        sw_watch_wait(fd, -1);
        rc = sw_evlog_reader_refresh(p->reader, err);
        if (rc == SW_OK) rc = print_events(p, err);
    }
    return rc == SW_EEMPTY ? SW_OK : rc;
}

/* "earliest", "latest", "#NUMBER" or a time. SW_EINVAL: none of them. */
static int go_to(sw_evlog_reader *reader, const char *from, sw_error *err)
{
    uint64_t number;
    char *end;
    if (from == NULL || strcmp(from, "earliest") == 0) return SW_OK;
    if (strcmp(from, "latest") == 0) return sw_evlog_reader_seek(reader, sw_evlog_reader_committed(reader), err);
    if (from[0] == '#') {
        int rc = sw_cli_read_count(from + 1, 0, UINT64_MAX, &number, err);
        return rc == SW_OK ? sw_evlog_reader_seek(reader, number, err) : rc;
    }
    errno = 0;
    long long time = strtoll(from, &end, 10);
    if (errno == 0 && end != from && *end == '\0') return sw_evlog_reader_seek_time(reader, time, err);
    return sw_error_set(err, SW_EINVAL, "expected earliest, latest, #NUMBER or a time in milliseconds, got \"%s\"",
                        from);
}

static int open_printing(printing *p, sw_error *err)
{
    const sw_source_context context = { .component = p->call->command->name, .count = 1, .clock = sw_clock_real() };
    int rc = sw_evlog_reader_open(&p->reader, sw_log_call_folder(p->call), p->call->name, err);
    if (rc == SW_OK) rc = sw_log_rows_init(&p->rows, p->call->name, &context, err);
    if (rc == SW_OK) rc = sw_encoder_new(&p->encoder, "jsonl", err);
    if (rc == SW_OK && (p->out = sw_file_from_fd(STDOUT_FILENO, "standard output")) == NULL)
        rc = sw_error_set(err, SW_ENOMEM, "out of memory");
    return rc;
}

static int run_cat(const sw_command *command, int argc, char **argv)
{
    sw_log_call call;
    sw_error err;
    int status = SW_EXIT_OK;
    if (!sw_log_call_begin(&call, command, argc, argv, &status)) return status;
    printing p = { .call = &call, .left = call.limit };
    int rc = open_printing(&p, &err);
    if (rc == SW_OK && (rc = go_to(p.reader, call.from, &err)) == SW_EINVAL)
        status = sw_command_misused(command, "option \"--from\": %s", err.text);
    if (rc == SW_OK) rc = print_all(&p, &err);
    if (rc != SW_OK && rc != SW_EINVAL && rc != SW_ECLOSED) status = sw_log_call_failed(&call, rc, &err);
    sw_evlog_reader_close(p.reader);
    sw_log_rows_deinit(&p.rows);
    sw_encoder_free(p.encoder);
    sw_file_close(p.out, NULL);
    sw_batch_deinit(&p.batch);
    sw_buf_deinit(&p.lines);
    sw_log_call_end(&call);
    return status;
}

static const sw_cli_option cat_options[] = {
    { SW_LOG_OPTION_FROM, "from", "WHERE", "earliest (default), latest, #NUMBER, or a time in milliseconds" },
    { SW_LOG_OPTION_FOLLOW, "follow", NULL, "waits at the end for more, until it is interrupted" },
    { SW_LOG_OPTION_LIMIT, "limit", "N", "at most so many events" },
    SW_LOG_OPTION_LOGS_ROW,
    { 0 },
};

const sw_command sw_command_log_cat = {
    .name = "log cat",
    .arguments = "NAME [options]",
    .summary = "prints the events of an event log as JSON lines",
    .notes = "A log can be read while it is written. A time stands for the first event with that time or a later one.",
    .options = cat_options,
    .run = run_cat,
};
