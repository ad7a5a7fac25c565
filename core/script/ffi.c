/* ffi.c -- the functions of ffi.h: thin, since the work is done in the modules they call. */
#include "script/ffi.h"

#include <stddef.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "run/engine.h"
#include "script/keyed_fields.h"

#define LATENCY_SAMPLE 64 /* one write to a sink in this many is timed */

SW_FFI_EXPORT const uint32_t *swffi_abi(void)
{
    static const uint32_t table[] = {
        sizeof(sw_row),
        offsetof(sw_row, hash),
        offsetof(sw_row, len),
        offsetof(sw_row, stamp),
        offsetof(sw_row, schema),
        offsetof(sw_row, kind),
        sizeof(sw_batch),
        sizeof(sw_entry),
        offsetof(sw_entry, changed_ms),
        offsetof(sw_entry, bytes),
        offsetof(sw_entry, live),
        offsetof(sw_entry, save_due),
        sizeof(sw_keyed_recent),
        offsetof(sw_instance, fed_by),
        sizeof(sw_ack_notice),
        sizeof(sw_anchor),
        offsetof(sw_input, batch),
        offsetof(sw_input, idle),
        offsetof(sw_task, timer_ms),
        offsetof(sw_task, at),
        offsetof(sw_task, number),
        offsetof(sw_task, is_starved),
        offsetof(sw_task, asked),
        offsetof(sw_task, rows),
        offsetof(sw_task, err),
    };
    return table;
}

SW_FFI_EXPORT int swffi_scratch_grow(sw_scratch *scratch, uint32_t size)
{
    if (size > SW_ROW_BYTES_MAX) return SW_ELIMIT;
    uint32_t cap = scratch->cap < 1024 ? 1024 : scratch->cap;
    while (cap < size) cap *= 2;
    uint8_t *data = sw_realloc(scratch->data, cap);
    if (data == NULL) return SW_ENOMEM;
    scratch->data = data;
    scratch->cap = cap;
    return SW_OK;
}

/* --- tasks ---------------------------------------------------------------------------------------------------- */

SW_FFI_EXPORT uint32_t swffi_stamp(sw_task *task)
{
    return sw_engine_stamp(task->engine);
}
SW_FFI_EXPORT int64_t swffi_now_ms(sw_task *task)
{
    return sw_engine_now_ms(task->engine);
}
SW_FFI_EXPORT sw_input *swffi_task_next(sw_task *task)
{
    return sw_task_next(task);
}
SW_FFI_EXPORT void swffi_task_release(sw_task *task, sw_input *input)
{
    sw_task_release(task, input);
}
SW_FFI_EXPORT int swffi_task_on_end(sw_task *task, sw_input *input)
{
    return sw_task_on_end(task, input);
}
SW_FFI_EXPORT uint32_t swffi_task_control_due(sw_task *task)
{
    return sw_task_control_due(task);
}
SW_FFI_EXPORT void swffi_task_answer(sw_task *task, uint32_t id)
{
    sw_engine_answer_control(task->engine, id);
}
SW_FFI_EXPORT int64_t swffi_task_input_watermark(const sw_task *task)
{
    return sw_task_input_watermark(task);
}
SW_FFI_EXPORT void swffi_task_saw_time(sw_task *task, int64_t time)
{
    sw_task_saw_time(task, time);
}
SW_FFI_EXPORT int swffi_task_fill(sw_task *task)
{
    return sw_task_fill(task);
}
SW_FFI_EXPORT void swffi_task_give_credit(sw_task *task, int count)
{
    task->rate_credit += count;
}
SW_FFI_EXPORT uint32_t swffi_task_credit(sw_task *task)
{
    return sw_task_take_credit(task);
}

SW_FFI_EXPORT int swffi_task_on_control(sw_task *task, sw_input *input, uint32_t id)
{
    return sw_task_on_control(task, input, id);
}

SW_FFI_EXPORT int swffi_task_send(sw_task *task, int kind, uint32_t id)
{
    return sw_task_send(task, (sw_row_kind)kind, id);
}

SW_FFI_EXPORT uint32_t swffi_task_input_idle(const sw_task *task)
{
    return sw_task_input_idle(task);
}

SW_FFI_EXPORT int64_t swffi_task_source_watermark(const sw_task *task)
{
    return task->time_max == SW_TIME_MIN ? SW_TIME_MIN : task->time_max - task->max_delay_ms;
}

SW_FFI_EXPORT int swffi_task_close_sinks(sw_task *task)
{
    int rc = SW_OK;
    task->at = 0; /* Waiting for whoever reads a pipe is no call of user code, which the watchdog is about. */
    for (uint32_t i = 0; i < task->sink_count; i++) {
        int closed = task->sinks[i].sink->ops->close(task->sinks[i].sink, rc == SW_OK ? &task->err : NULL);
        if (rc == SW_OK) rc = closed;
    }
    task->sink_count = 0;
    return rc;
}

/* --- ports and sinks ------------------------------------------------------------------------------------------ */

static int note_blocked(sw_task *task, sw_port *port, int rc)
{
    if (rc == SW_EFULL) task->blocked = port;
    return rc;
}

SW_FFI_EXPORT int swffi_port_put(sw_task *task, sw_port *port, const sw_row *row)
{
    return note_blocked(task, port, sw_port_put(port, row, &task->err));
}

SW_FFI_EXPORT int swffi_port_put_key(sw_task *task, sw_port *port, const sw_row *row, const uint8_t *key,
                                     uint32_t key_len)
{
    return note_blocked(task, port, sw_port_put_key(port, row, key, key_len));
}

SW_FFI_EXPORT int swffi_port_put_to(sw_task *task, sw_port *port, const sw_row *row, uint32_t instance)
{
    return note_blocked(task, port, sw_port_put_to(port, row, instance));
}

SW_FFI_EXPORT sw_row *swffi_port_put_header(sw_task *task, sw_port *port, sw_row *header, uint32_t instance)
{
    header->stamp = task->stamp;
    return sw_port_put_header(port, header, instance);
}

SW_FFI_EXPORT int swffi_port_put_over(sw_task *task, sw_port *port, const sw_row *row, const uint8_t *key,
                                      uint32_t key_len, uint32_t instance)
{
    return sw_port_put_over(port, row, key, key_len, instance, &task->err);
}

SW_FFI_EXPORT int swffi_sink_write(sw_task *task, sw_sink *sink, const sw_row *row)
{
    if ((++task->writes % LATENCY_SAMPLE) == 1)
        sw_histogram_record(&task->latency, sw_engine_stamp(task->engine) - row->stamp, 1);
    task->at = 0; /* As above; who emitted sets it again. */
    return sink->ops->write(sink, row, &task->err);
}

/* --- acknowledging: called only where events are acknowledged ------------------------------------------------- */

SW_FFI_EXPORT double swffi_acks_open_new(sw_task *task, const sw_row *row, uint32_t output)
{
    return (double)sw_acks_open_new(task->acks, row, output);
}
SW_FFI_EXPORT void swffi_acks_open_row(sw_task *task, const sw_row *row)
{
    sw_acks_open_row(task->acks, row);
}
SW_FFI_EXPORT void swffi_acks_open_none(sw_task *task)
{
    sw_acks_open_none(task->acks);
}
SW_FFI_EXPORT void swffi_acks_reserve(sw_task *task, sw_anchor *out)
{
    sw_acks_reserve(task->acks, out);
}
SW_FFI_EXPORT void swffi_acks_open_reserved(sw_task *task, const sw_anchor *anchor)
{
    sw_acks_open_reserved(task->acks, anchor);
}
SW_FFI_EXPORT double swffi_acks_open_held(sw_task *task)
{
    return (double)sw_acks_open_held(task->acks); /* 48 bits. */
}
SW_FFI_EXPORT void swffi_acks_name(sw_task *task, double held)
{
    sw_acks_name(task->acks, (uint64_t)held);
}
SW_FFI_EXPORT int swffi_acks_open_named(sw_task *task)
{
    return sw_acks_open_named(task->acks);
}
SW_FFI_EXPORT const sw_row *swffi_acks_open_replay(sw_task *task)
{
    return sw_acks_open_replay(task->acks);
}
SW_FFI_EXPORT void swffi_acks_close(sw_task *task)
{
    sw_acks_close(task->acks);
}
SW_FFI_EXPORT int swffi_acks_fail(sw_task *task)
{
    return sw_acks_fail(task->acks, SW_ERRED);
}
SW_FFI_EXPORT void swffi_acks_release(sw_task *task, double held, int has_failed)
{
    sw_acks_release(task->acks, (uint64_t)held, has_failed ? SW_FAILED : SW_ACKED);
}
SW_FFI_EXPORT uint32_t swffi_acks_pending(const sw_task *task)
{
    return sw_acks_pending(task->acks);
}
SW_FFI_EXPORT uint32_t swffi_acks_due(const sw_task *task)
{
    return sw_acks_due(task->acks);
}
SW_FFI_EXPORT int swffi_acks_next_notice(sw_task *task, sw_ack_notice *out)
{
    return sw_acks_next_notice(task->acks, out);
}

/* --- keyed state ---------------------------------------------------------------------------------------------- */

static sw_entry *select_key(sw_keyed_instance *keyed, uint64_t hash, const uint8_t *key, uint32_t key_len)
{
    sw_entry *entry = sw_keyed_get(keyed->store, hash, key, key_len);
    if (entry == NULL) return NULL;
    keyed->entry = entry;
    return entry;
}

SW_FFI_EXPORT sw_entry *swffi_keyed_row(sw_keyed_instance *keyed, const sw_row *row)
{
    return select_key(keyed, row->hash, sw_row_key(row), row->key_len);
}

SW_FFI_EXPORT sw_entry *swffi_keyed_bytes(sw_keyed_instance *keyed, const uint8_t *key, uint32_t key_len)
{
    return select_key(keyed, sw_hash(key, key_len), key, key_len);
}

SW_FFI_EXPORT sw_entry *swffi_keyed_fields(sw_task *task, sw_keyed_instance *keyed, const sw_row *row)
{
    sw_keyed_fields *by = keyed->fields;
    if (sw_key_from_row(&by->fields, row, &by->key, &task->err) != SW_OK) return NULL;
    return select_key(keyed, sw_hash(by->key.data, by->key.size), by->key.data, (uint32_t)by->key.size);
}

/* NULL for NaN, or when out of memory. */
SW_FFI_EXPORT sw_entry *swffi_keyed_number(sw_keyed_instance *keyed, double number)
{
    sw_keyed_fields *by = keyed->fields;
    sw_buf_clear(&by->key);
    if (sw_key_f64(&by->key, number) != SW_OK) return NULL;
    sw_entry *entry = select_key(keyed, sw_hash(by->key.data, by->key.size), by->key.data, (uint32_t)by->key.size);
    if (entry != NULL) sw_keyed_remember(keyed->store, number, entry);
    return entry;
}

SW_FFI_EXPORT sw_keyed_recent *swffi_keyed_recent(sw_keyed_instance *keyed)
{
    return sw_keyed_recent_of(keyed->store);
}

SW_FFI_EXPORT const uint8_t *swffi_keyed_key(const sw_keyed_instance *keyed)
{
    return sw_entry_key(keyed->store, keyed->entry);
}

/* Puts a copy of the row, with its key behind it, to those that will be looked up together. */
SW_FFI_EXPORT int swffi_keyed_gather(sw_task *task, sw_keyed_instance *keyed, const sw_row *row, int64_t wm)
{
    sw_keyed_fields *by = keyed->fields;
    int rc = sw_key_from_row(&by->fields, row, &by->key, &task->err);
    if (rc != SW_OK) return rc;
    uint32_t key_len = (uint32_t)by->key.size, len = sw_row_size(row->body_len, key_len);
    sw_row *copy = sw_batch_reserve(&by->gathered, len);
    if (copy == NULL) return sw_error_set(&task->err, SW_ENOMEM, "out of memory");
    memcpy(copy, row, sizeof(*row) + row->body_len);
    copy->hash = sw_hash(by->key.data, key_len);
    copy->wm = wm;
    copy->key_len = key_len;
    memcpy(sw_row_key(copy), by->key.data, key_len);
    sw_batch_commit(&by->gathered, len);
    return SW_OK;
}

SW_FFI_EXPORT void swffi_keyed_clear_gathered(sw_keyed_instance *keyed)
{
    sw_batch_clear(keyed->gathered);
}
SW_FFI_EXPORT uint64_t swffi_keyed_count(const sw_keyed_instance *keyed)
{
    return sw_keyed_count(keyed->store);
}

SW_FFI_EXPORT void swffi_keyed_prefetch(sw_keyed_instance *keyed, const sw_batch *batch)
{
    uint64_t hashes[SW_TASK_BATCH];
    uint32_t count = 0;
    const sw_row *row = (const sw_row *)(const void *)batch->data;
    for (uint32_t i = 0; i < batch->count && count < SW_TASK_BATCH; i++, row = sw_row_next(row))
        if (row->kind == SW_ROW_EVENT) hashes[count++] = row->hash;
    sw_keyed_prefetch(keyed->store, hashes, count);
}

SW_FFI_EXPORT void swffi_keyed_remove(sw_keyed_instance *keyed, sw_entry *entry)
{
    sw_keyed_remove(keyed->store, entry);
}

SW_FFI_EXPORT int swffi_keyed_set_bytes(sw_keyed_instance *keyed, sw_entry *entry, const uint8_t *bytes, uint32_t len)
{
    return sw_keyed_set_bytes(keyed->store, entry, bytes, len);
}

SW_FFI_EXPORT int swffi_keyed_set_string(sw_keyed_instance *keyed, sw_entry *entry, uint32_t field, const char *bytes,
                                         uint32_t len)
{
    return sw_keyed_set_string(keyed->store, entry, field, bytes, len);
}

typedef struct expiry {
    sw_keyed_instance *keyed; /* where freed cache slots are noted */
    uint32_t count;           /* entries gone */
} expiry;

/* Lua frees the cache slot of a live table that went. */
static void note_expired(void *arg, sw_entry *entry)
{
    expiry *e = arg;
    e->keyed->expired_live[e->count++] = entry->live;
}

SW_FFI_EXPORT int swffi_keyed_save_live(sw_keyed_instance *keyed, sw_entry *entry, const uint8_t *bytes, uint32_t len)
{
    return sw_keyed_save_live(keyed->store, entry, bytes, len);
}

SW_FFI_EXPORT uint32_t swffi_keyed_expire(sw_keyed_instance *keyed, int64_t before_ms, uint32_t max_steps)
{
    expiry e = { .keyed = keyed };
    uint32_t bound = sizeof(keyed->expired_live) / sizeof(keyed->expired_live[0]);
    sw_keyed_expire(keyed->store, before_ms, max_steps < bound ? max_steps : bound, note_expired, &e);
    return e.count;
}

/* --- timers: which is 0 for event time, 1 for processing time ---------------------------------------------------- */

SW_FFI_EXPORT int swffi_timer_set(sw_keyed_instance *keyed, int which, int64_t time, const char *name,
                                  uint32_t name_len)
{
    const sw_entry *of = keyed->entry;
    return sw_timers_set(keyed->timers[which], time, of->hash, swffi_keyed_key(keyed), of->key_len, name, name_len);
}

SW_FFI_EXPORT int swffi_timer_cancel(sw_keyed_instance *keyed, int which, int64_t time, const char *name,
                                     uint32_t name_len)
{
    const sw_entry *of = keyed->entry;
    return sw_timers_cancel(keyed->timers[which], time, of->hash, swffi_keyed_key(keyed), of->key_len, name, name_len);
}

SW_FFI_EXPORT int swffi_timer_pop(sw_keyed_instance *keyed, int which, int64_t until)
{
    sw_timer due;
    int rc = sw_timers_pop(keyed->timers[which], until, &due);
    if (rc != SW_OK) return rc;
    keyed->timer_time = due.time;
    keyed->timer_seq = due.seq;
    keyed->timer_name = due.name;
    keyed->timer_name_len = due.name_len;
    return select_key(keyed, due.hash, due.key, due.key_len) != NULL ? SW_OK : SW_ENOMEM;
}

SW_FFI_EXPORT int64_t swffi_timer_next(const sw_keyed_instance *keyed, int which)
{
    return sw_timers_next(keyed->timers[which]);
}

SW_FFI_EXPORT uint64_t swffi_timer_seq(const sw_keyed_instance *keyed, int which)
{
    return sw_timers_seq(keyed->timers[which]);
}
