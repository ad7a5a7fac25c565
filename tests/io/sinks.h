/* sinks.h -- what the tests of durable sources and sinks share: a fresh folder for each test, saved values, rows.
 *
 * Ownership  Each helper says who frees.
 * Threads    One. */
#ifndef SW_TESTS_IO_SINKS_H
#define SW_TESTS_IO_SINKS_H

#include "io_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/fs.h"
#include "io/registry.h"

#define SAVED_MAX 16

static char dir[64]; /* Fresh for each test; its files are removed after it. */

static inline int make_temp_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/swlua-sinks-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static inline int remove_temp_dir(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

#define FOLDER_TEST(test) cmocka_unit_test_setup_teardown(test, make_temp_dir, remove_temp_dir)
/* A path in the test's folder; the last four stay valid. */
static inline const char *in_dir(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static inline void write_bytes(const char *name, const void *bytes, size_t n)
{
    sw_file *f = NULL;
    assert_int_equal(sw_file_open_create(&f, in_dir(name), NULL), SW_OK);
    assert_int_equal(sw_file_write_all(f, bytes, n, NULL), SW_OK);
    assert_int_equal(sw_file_close(f, NULL), SW_OK);
}

static inline void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* The file's bytes and a NUL; free them with sw_buf_deinit. */
static inline sw_buf content_of(const char *name)
{
    sw_buf content = { 0 };
    assert_int_equal(sw_fs_read_all(in_dir(name), &content, 64 << 20, NULL), SW_OK);
    assert_int_equal(sw_buf_append(&content, "", 1), SW_OK);
    content.size--;
    return content;
}

static inline void assert_content(const char *name, const char *text)
{
    sw_buf content = content_of(name);
    assert_string_equal((char *)content.data, text);
    sw_buf_deinit(&content);
}

/* How many names a folder in the test's folder holds. */
static inline size_t names_in(const char *folder)
{
    char **names = NULL;
    size_t count = 0;
    assert_int_equal(sw_fs_list(in_dir(folder), &names, &count, NULL), SW_OK);
    sw_fs_glob_free(names, count);
    return count;
}

/* Values saved in a checkpoint, as a restart gets them. */
typedef struct saved {
    sw_saved_values view;           /* of what is below */
    uint32_t instances[SAVED_MAX];  /* whose */
    const uint8_t *data[SAVED_MAX]; /* the buffers' */
    uint32_t lens[SAVED_MAX];       /* bytes */
    sw_buf values[SAVED_MAX];       /* owned */
} saved;

static inline void saved_free(saved *s)
{
    for (uint32_t i = 0; i < s->view.count; i++) sw_buf_deinit(&s->values[i]);
    memset(s, 0, sizeof(*s));
}

/* Takes the value over. */
static inline void saved_add(saved *s, uint32_t instance, sw_buf value)
{
    uint32_t i = s->view.count++;
    assert_true(i < SAVED_MAX);
    s->values[i] = value;
    s->instances[i] = instance;
    s->data[i] = value.data;
    s->lens[i] = (uint32_t)value.size;
    s->view.instances = s->instances;
    s->view.data = s->data;
    s->view.lens = s->lens;
}

static inline sw_option text_option(const char *name, const char *value)
{
    return (sw_option){ .name = name, .kind = SW_OPTION_STRING, .string = value };
}

static inline sw_option number_option(const char *name, double value)
{
    return (sw_option){ .name = name, .kind = SW_OPTION_NUMBER, .number = value };
}

/* A sink of instance 0 of 1 with the test's folder as state directory; restored may be NULL. */
static inline sw_sink_context sink_context(sw_delivery delivery, const saved *restored)
{
    return (sw_sink_context){ .component = "out",
                              .count = 1,
                              .clock = sw_clock_real(),
                              .delivery = delivery,
                              .state_dir = dir,
                              .restored = restored != NULL ? &restored->view : NULL };
}

/* Writes the event that this text is in a format. */
static inline int put(sw_sink *sink, const char *format, const char *text, sw_error *err)
{
    sw_decoder *decoder = decoder_of(format, NULL, NULL);
    sw_batch batch;
    sw_batch_init(&batch);
    decode_bytes(decoder, text, strlen(text), &batch);
    int rc = sink->ops->write(sink, first_row(&batch), err);
    sw_batch_deinit(&batch);
    sw_decoder_free(decoder);
    return rc;
}

#endif
