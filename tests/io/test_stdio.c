#include "io_rows.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "io/registry.h"

static sw_option lines_format = { .name = "format", .kind = SW_OPTION_STRING, .string = "lines" };
static const sw_options lines_options = { &lines_format, 1 };

/* Standard input (0) or output (1) as a pipe while a test runs. */
typedef struct redirected {
    int standard; /* which */
    int saved;    /* what it was */
    int other;    /* the test's end of the pipe */
} redirected;

static redirected redirect(int standard)
{
    int ends[2];
    fflush(stdout);
    assert_int_equal(pipe(ends), 0);
    redirected r = { standard, dup(standard), ends[standard == 0 ? 1 : 0] };
    int own = ends[standard];
    assert_true(r.saved >= 0 && dup2(own, standard) == standard);
    close(own);
    return r;
}

static void restore(const redirected *r)
{
    dup2(r->saved, r->standard);
    close(r->saved);
}

static sw_source *open_stdin(uint32_t instance)
{
    sw_source *source = NULL;
    sw_source_context context = context_of(NULL, NULL);
    context.instance = instance;
    context.count = 2;
    assert_int_equal(sw_io_open_source("stdin", &lines_options, &context, &source, NULL), SW_OK);
    return source;
}

static void standard_input_gives_what_is_there_and_waits_for_more(void **state)
{
    redirected r = redirect(0);
    int flags = fcntl(0, F_GETFL);
    sw_source *source = open_stdin(0);
    sw_batch batch;
    uint32_t len = 0;
    (void)state;
    sw_batch_init(&batch);
    assert_true(source->unbounded);
    assert_int_equal(source->wait_fd, 0);
    assert_int_equal(source->ops->fill(source, &batch, 10, NULL), SW_EEMPTY);
    assert_int_equal(write(r.other, "a\nb\npart", 8), 8);
    assert_int_equal(source->ops->fill(source, &batch, 1, NULL), SW_OK);
    assert_int_equal(source->ops->fill(source, &batch, 1, NULL), SW_OK);
    assert_int_equal(batch.count, 2);
    sw_batch_clear(&batch);
    assert_int_equal(source->ops->fill(source, &batch, 10, NULL), SW_EEMPTY);
    assert_int_equal(write(r.other, "ly", 2), 2);
    close(r.other);
    assert_int_equal(source->ops->fill(source, &batch, 10, NULL), SW_OK);
    assert_memory_equal(map_string(first_row(&batch), "line", &len), "partly", 6);
    assert_int_equal(len, 6);
    sw_batch_clear(&batch);
    assert_int_equal(source->ops->fill(source, &batch, 10, NULL), SW_ECLOSED);
    assert_int_equal(batch.count, 0);
    assert_int_equal(fcntl(0, F_GETFL), flags);
    source->ops->close(source);
    sw_batch_deinit(&batch);
    restore(&r);
}

static void only_the_first_instance_reads_standard_input(void **state)
{
    redirected r = redirect(0);
    sw_source *source = open_stdin(1);
    sw_batch batch;
    (void)state;
    sw_batch_init(&batch);
    assert_int_equal(write(r.other, "a\n", 2), 2);
    assert_int_equal(source->ops->fill(source, &batch, 10, NULL), SW_ECLOSED);
    assert_int_equal(batch.count, 0);
    source->ops->close(source);
    close(r.other);
    restore(&r);
}

static sw_sink *open_sink(const char *type)
{
    sw_sink *sink = NULL;
    sw_sink_context context = { .component = "out", .count = 1, .clock = sw_clock_real() };
    assert_int_equal(sw_io_open_sink(type, &lines_options, &context, &sink, NULL), SW_OK);
    return sink;
}

/* A row of format "lines", in a batch of its own. */
static void make_row(sw_batch *batch, const char *text)
{
    sw_decoder *decoder = decoder_of("lines", NULL, NULL);
    sw_batch_init(batch);
    decode_bytes(decoder, text, strlen(text), batch);
    sw_decoder_free(decoder);
}

static void a_closed_standard_output_is_told_as_such(void **state)
{
    redirected r = redirect(1);
    sw_sink *sink = open_sink("stdout");
    sw_error err;
    sw_batch batch;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    make_row(&batch, "a");
    close(r.other);
    int written = sink->ops->write(sink, first_row(&batch), NULL);
    int flushed = sink->ops->flush(sink, &err);
    int closed = sink->ops->close(sink, NULL);
    restore(&r);
    assert_int_equal(written, SW_OK);
    assert_int_equal(flushed, SW_ECLOSED);
    assert_string_equal(err.text, "standard output was closed");
    assert_int_equal(closed, SW_OK);
    sw_batch_deinit(&batch);
}

enum { WRITERS = 4, LINES = 20000, LINE_LEN = 60 };

/* Writes lines of one letter, flushing at odd times. */
static void *write_lines(void *letter)
{
    char text[LINE_LEN + 1];
    sw_batch batch;
    sw_sink *sink = NULL;
    sw_sink_context context = { .component = "out", .count = 1, .clock = NULL };
    memset(text, *(const char *)letter, LINE_LEN);
    text[LINE_LEN] = 0;
    make_row(&batch, text);
    int rc = sw_io_open_sink("stdout", &lines_options, &context, &sink, NULL);
    for (int i = 0; i < LINES && rc == SW_OK; i++) {
        rc = sink->ops->write(sink, (const sw_row *)(void *)batch.data, NULL);
        if (rc == SW_OK && i % 777 == 0) rc = sink->ops->flush(sink, NULL);
    }
    if (sink != NULL && sink->ops->close(sink, NULL) != SW_OK) rc = SW_EIO;
    sw_batch_deinit(&batch);
    return rc == SW_OK ? letter : NULL;
}

/* Counts the lines of each letter; returns how many lines are not of one letter. */
static int count_lines(int fd, int *counts)
{
    char line[LINE_LEN + 2];
    FILE *in = fdopen(fd, "r");
    int bad = 0;
    while (fgets(line, sizeof(line), in) != NULL) {
        bool is_whole =
            strlen(line) == LINE_LEN + 1 && line[LINE_LEN] == '\n' && line[0] >= 'a' && line[0] < 'a' + WRITERS;
        for (int i = 0; i < LINE_LEN && is_whole; i++) is_whole = line[i] == line[0];
        if (!is_whole) bad++;
        if (is_whole) counts[line[0] - 'a']++;
    }
    fclose(in);
    return bad;
}

typedef struct tally {
    int fd;
    int bad;
    int counts[WRITERS];
} tally;

static void *read_lines(void *arg)
{
    tally *r = arg;
    r->bad = count_lines(r->fd, r->counts);
    return NULL;
}

static void lines_of_several_writers_never_mix(void **state)
{
    redirected r = redirect(1);
    static char letters[WRITERS] = { 'a', 'b', 'c', 'd' };
    pthread_t writers[WRITERS], reader;
    void *results[WRITERS];
    tally reading = { .fd = r.other };
    (void)state;
    pthread_create(&reader, NULL, read_lines, &reading);
    for (int i = 0; i < WRITERS; i++) pthread_create(&writers[i], NULL, write_lines, &letters[i]);
    for (int i = 0; i < WRITERS; i++) pthread_join(writers[i], &results[i]);
    restore(&r); /* Closes the pipe's last writing end. */
    pthread_join(reader, NULL);
    assert_int_equal(reading.bad, 0);
    for (int i = 0; i < WRITERS; i++) {
        assert_non_null(results[i]);
        assert_int_equal(reading.counts[i], LINES);
    }
}

static void nothing_takes_everything(void **state)
{
    sw_sink *sink = open_sink("null");
    sw_batch batch;
    (void)state;
    make_row(&batch, "a\nb");
    assert_int_equal(sink->ops->write(sink, first_row(&batch), NULL), SW_OK);
    assert_int_equal(sink->ops->flush(sink, NULL), SW_OK);
    assert_int_equal(sink->ops->close(sink, NULL), SW_OK);
    sw_batch_deinit(&batch);
}

static void an_unknown_type_is_refused_by_name(void **state)
{
    sw_source *source = NULL;
    sw_sink *sink = NULL;
    sw_source_context in = context_of(NULL, NULL);
    sw_sink_context out = { .component = "out", .count = 1, .clock = sw_clock_real() };
    sw_error err;
    (void)state;
    assert_int_equal(sw_io_open_source("pigeon", &lines_options, &in, &source, &err), SW_EINVAL);
    assert_non_null(strstr(err.text, "pigeon"));
    assert_int_equal(sw_io_open_sink("pigeon", &lines_options, &out, &sink, &err), SW_EINVAL);
    assert_non_null(strstr(err.text, "pigeon"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_input_gives_what_is_there_and_waits_for_more),
        cmocka_unit_test(only_the_first_instance_reads_standard_input),
        cmocka_unit_test(a_closed_standard_output_is_told_as_such),
        cmocka_unit_test(lines_of_several_writers_never_mix),
        cmocka_unit_test(nothing_takes_everything),
        cmocka_unit_test(an_unknown_type_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
