#include "io/stdio.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "io/text_source.h"

#define WRITE_BYTES (64u << 10) /* collected before they are written */

/* --- standard input ------------------------------------------------------------------------------- */

typedef struct stdin_source {
    sw_source base;      /* what the engine sees; first */
    sw_text_source text; /* bytes to rows */
    sw_file *file;       /* owned */
    bool is_finished;    /* the end was read, or this instance has no input */
} stdin_source;

static void source_close(sw_source *base)
{
    stdin_source *source = (stdin_source *)base;
    sw_text_source_deinit(&source->text);
    sw_file_close(source->file, NULL);
    sw_free(source);
}

static bool is_readable(int fd)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };
    return poll(&pfd, 1, 0) != 0; /* An error too is for read to find. */
}

static int read_chunk(stdin_source *source, sw_error *err)
{
    size_t room;
    if (!is_readable(STDIN_FILENO)) return SW_EEMPTY;
    uint8_t *to = sw_text_source_room(&source->text, &room);
    if (to == NULL) return sw_error_set(err, SW_ENOMEM, "standard input: out of memory");
    ssize_t n = sw_file_read(source->file, to, room, err);
    if (n < 0) return (int)n;
    if (n > 0) {
        sw_text_source_added(&source->text, (size_t)n);
    } else {
        sw_text_source_finish(&source->text);
        source->is_finished = true;
    }
    return SW_OK;
}

static int source_fill(sw_source *base, sw_batch *out, uint32_t max_rows, sw_error *err)
{
    stdin_source *source = (stdin_source *)base;
    uint32_t before = out->count;
    for (;;) {
        int rc = sw_text_source_decode(&source->text, "stdin", out, before + max_rows, err);
        if (rc != SW_OK || out->count > before) return rc;
        if (source->is_finished) return SW_ECLOSED;
        if ((rc = read_chunk(source, err)) != SW_OK) return rc;
    }
}

int sw_stdin_source_open(const sw_options *options, const sw_source_context *context, sw_source **out, sw_error *err)
{
    static const sw_source_ops ops = { .fill = source_fill, .close = source_close };
    stdin_source *source = sw_calloc(1, sizeof(*source));
    if (source == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    source->base = (sw_source){ .ops = &ops, .wait_fd = STDIN_FILENO, .unbounded = true };
    source->is_finished = context->instance > 0;
    int rc = sw_text_source_init(&source->text, options, context, err);
    if (rc == SW_OK && (source->file = sw_file_from_fd(STDIN_FILENO, "standard input")) == NULL) {
        sw_text_source_deinit(&source->text);
        rc = sw_error_set(err, SW_ENOMEM, "out of memory");
    }
    if (rc != SW_OK) {
        sw_free(source);
        return rc;
    }
    *out = &source->base;
    return SW_OK;
}

/* --- standard output ------------------------------------------------------------------------------ */

static pthread_mutex_t stdout_lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct stdout_sink {
    sw_sink base;        /* what the engine sees; first */
    sw_file *file;       /* owned */
    sw_encoder *encoder; /* owned */
    sw_buf pending;      /* whole lines, not yet written */
} stdout_sink;

static int sink_flush(sw_sink *base, sw_error *err)
{
    stdout_sink *sink = (stdout_sink *)base;
    if (sink->pending.size == 0) return SW_OK;
    pthread_mutex_lock(&stdout_lock);
    int rc = sw_file_write_all(sink->file, sink->pending.data, sink->pending.size, err);
    pthread_mutex_unlock(&stdout_lock);
    sw_buf_clear(&sink->pending);
    if (rc == SW_ECLOSED) return sw_error_set(err, rc, "standard output was closed");
    return rc;
}

static int sink_write(sw_sink *base, const sw_row *row, sw_error *err)
{
    stdout_sink *sink = (stdout_sink *)base;
    int rc = sw_encoder_encode(sink->encoder, row, &sink->pending, err);
    if (rc != SW_OK || sink->pending.size < WRITE_BYTES) return rc;
    return sink_flush(base, err);
}

/* What was flushed was seen, and comes again when the checkpoint before is restored. */
static int sink_prepare(sw_sink *base, uint64_t checkpoint, sw_buf *value, sw_error *err)
{
    (void)checkpoint;
    (void)value;
    return sink_flush(base, err);
}

static int sink_close(sw_sink *base, sw_error *err)
{
    stdout_sink *sink = (stdout_sink *)base;
    int rc = sink_flush(base, err);
    sw_encoder_free(sink->encoder);
    sw_buf_deinit(&sink->pending);
    sw_file_close(sink->file, NULL);
    sw_free(sink);
    return rc;
}

int sw_stdout_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err)
{
    static const sw_sink_ops ops = { sink_write, sink_flush, sink_close, sink_prepare };
    const sw_option *format = sw_options_find(options, "format");
    (void)context;
    stdout_sink *sink = sw_calloc(1, sizeof(*sink));
    if (sink == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    sink->base.ops = &ops;
    sw_buf_init(&sink->pending);
    int rc = sw_encoder_new(&sink->encoder, format != NULL ? format->string : "jsonl", err);
    if (rc == SW_OK && (sink->file = sw_file_from_fd(STDOUT_FILENO, "standard output")) == NULL) {
        sw_encoder_free(sink->encoder);
        rc = sw_error_set(err, SW_ENOMEM, "out of memory");
    }
    if (rc != SW_OK) {
        sw_free(sink);
        return rc;
    }
    *out = &sink->base;
    return SW_OK;
}

/* --- nothing -------------------------------------------------------------------------------------- */

static int null_write(sw_sink *sink, const sw_row *row, sw_error *err)
{
    (void)sink;
    (void)row;
    (void)err;
    return SW_OK;
}

static int null_flush(sw_sink *sink, sw_error *err)
{
    (void)sink;
    (void)err;
    return SW_OK;
}

static int null_close(sw_sink *sink, sw_error *err)
{
    (void)err;
    sw_free(sink);
    return SW_OK;
}

int sw_null_sink_open(const sw_options *options, const sw_sink_context *context, sw_sink **out, sw_error *err)
{
    static const sw_sink_ops ops = { .write = null_write, .flush = null_flush, .close = null_close };
    (void)options;
    (void)context;
    sw_sink *sink = sw_calloc(1, sizeof(*sink));
    if (sink == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    *sink = (sw_sink){ .ops = &ops, .is_transactional = true };
    *out = sink;
    return SW_OK;
}
