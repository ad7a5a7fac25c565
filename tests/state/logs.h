/* logs.h -- what the tests of event logs share: a folder of logs of their own, and numbered records in them.
 *
 * Ownership  Each helper says who frees.
 * Threads    One. */
#ifndef SW_TESTS_STATE_LOGS_H
#define SW_TESTS_STATE_LOGS_H

#include "log_files.h"

#include "base/alloc.h"
#include "state/log_keep.h"
#include "state/log_reader.h"

/* Opens a log whose segments hold about `segment_bytes`; 0: the default. */
static inline sw_evlog *writer_of(const char *name, uint64_t segment_bytes)
{
    const sw_evlog_options options = { .segment_bytes = segment_bytes, .cuts_prepared = true };
    sw_evlog *log = NULL;
    sw_error err = { 0 };
    if (sw_evlog_open(&log, logs, name, &options, &err) != SW_OK) fail_msg("%s", err.text);
    return log;
}

/* Record n has the body "body-n" and the time 1000 + n. */
static inline void append_to(sw_evlog *log, uint64_t first, uint64_t end)
{
    char body[32];
    for (uint64_t n = first; n < end; n++) {
        int len = snprintf(body, sizeof(body), "body-%lu", (unsigned long)n);
        const sw_evlog_record record = { .time = 1000 + (int64_t)n, .body = (uint8_t *)body, .len = (uint32_t)len };
        assert_int_equal(sw_evlog_next(log), n);
        assert_int_equal(sw_evlog_append(log, &record, NULL), SW_OK);
    }
}

static inline void is_record(const sw_evlog_record *record, uint64_t n)
{
    char body[32];
    int len = snprintf(body, sizeof(body), "body-%lu", (unsigned long)n);
    assert_int_equal(record->number, n);
    assert_int_equal(record->time, 1000 + (int64_t)n);
    assert_int_equal(record->len, len);
    assert_memory_equal(record->body, body, (size_t)len);
}

/* A log with records 0 .. count-1, all visible. */
static inline void make_log(const char *name, uint64_t segment_bytes, uint64_t count)
{
    sw_evlog *log = writer_of(name, segment_bytes);
    append_to(log, sw_evlog_next(log), count);
    assert_int_equal(sw_evlog_publish(log, true, NULL), SW_OK);
    assert_int_equal(sw_evlog_close(log, NULL), SW_OK);
}

static inline sw_evlog_reader *reader_of(const char *name)
{
    sw_evlog_reader *reader = NULL;
    sw_error err = { 0 };
    if (sw_evlog_reader_open(&reader, logs, name, &err) != SW_OK) fail_msg("%s", err.text);
    return reader;
}

/* Reads to the end and expects records first .. end-1. */
static inline void reads(sw_evlog_reader *reader, uint64_t first, uint64_t end)
{
    sw_evlog_record record;
    sw_error err = { 0 };
    for (uint64_t n = first; n < end; n++) {
        int rc = sw_evlog_reader_read(reader, &record, &err);
        if (rc != SW_OK) fail_msg("record %lu: %d %s", (unsigned long)n, rc, err.text);
        is_record(&record, n);
    }
    assert_int_equal(sw_evlog_reader_read(reader, &record, &err), SW_EEMPTY);
}

/* A new reader sees exactly records first .. end-1. */
static inline void holds(const char *name, uint64_t first, uint64_t end)
{
    sw_evlog_reader *reader = reader_of(name);
    reads(reader, first, end);
    sw_evlog_reader_close(reader);
}

#endif
