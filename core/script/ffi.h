/* ffi.h -- what the hot loop in Lua sees of the engine: one text for the compiler and for ffi.cdef.
 *
 * The build strips comments and preprocessor lines and hands the rest to LuaJIT. The structs repeat the public part
 * of those in state/row.h, state/keyed.h and run/task.h; they are hidden from the compiler here, and swffi_abi lets
 * Lua compare sizes and offsets at load. Functions return a code, never raise, and never call Lua.
 *
 * Threads  All calls come from the worker of the task they name. */
#ifndef SW_SCRIPT_FFI_H
#define SW_SCRIPT_FFI_H
#include "base/buf.h"
#include "run/task.h"
#include "run/timer.h"
#include "state/keyed.h"
#define SW_FFI_EXPORT __attribute__((visibility("default"), used))
#if 0
typedef struct sw_row {
    int64_t time, wm;
    uint64_t hash;
    uint32_t len, body_len, key_len, stamp;
    uint16_t schema;
    uint8_t kind, flags;
    uint32_t reserved;
} sw_row;
typedef struct sw_anchor { uint64_t root, edge; } sw_anchor;
typedef struct sw_batch { uint8_t *data; uint32_t size, cap, count; } sw_batch;
typedef struct sw_entry {
    uint64_t hash;
    uint32_t key_len, touched;
    int64_t changed_ms;
    uint8_t *bytes;
    uint32_t bytes_len, live;
    uint64_t saved_hash;
    uint32_t dirty_at, save_due;
} sw_entry;
typedef struct sw_keyed_slot { double number; sw_entry *entry; } sw_keyed_slot;
typedef struct sw_keyed_recent { sw_keyed_slot slots[4096]; } sw_keyed_recent;
typedef struct sw_keyed_string { uint32_t len; char bytes[1]; } sw_keyed_string;
typedef struct sw_error { int code; char text[1024]; } sw_error;
typedef struct sw_instance {
    uint64_t n_in, n_out, late, dropped, malformed, errors, dead_letters, unread, acked, replayed;
    const struct sw_instance *fed_by;
} sw_instance;
typedef struct sw_input { int64_t wm; sw_batch *batch; uint32_t edge, is_ended, idle; } sw_input;
typedef struct sw_task {
    int64_t now_ms, wm[8], wake_ms, timer_ms;
    uint32_t at, stamp, control, control_seen, is_stopping, number, pause_at, committed, committed_seen, is_released;
    uint32_t idle, is_starved;
    uint32_t asked;
    sw_batch rows;
    sw_error err;
} sw_task;
typedef struct sw_port sw_port;
typedef struct sw_sink sw_sink;
typedef struct sw_ack_notice { double id; uint32_t is_acked; } sw_ack_notice;
typedef struct sw_keyed sw_keyed;
typedef struct sw_timers sw_timers;
#endif
typedef struct sw_scratch {
    uint8_t *data;
    uint32_t cap;
} sw_scratch;
typedef struct sw_keyed_instance {
    sw_keyed *store;
    sw_entry *entry;
    sw_timers *timers[2];
    int64_t timer_time;
    uint64_t timer_seq;
    const char *timer_name;
    uint32_t timer_name_len;
    void *fields;
    sw_batch *gathered;
    uint32_t expired_live[64];
} sw_keyed_instance;
const uint32_t *swffi_abi(void);
int swffi_scratch_grow(sw_scratch *scratch, uint32_t size);
uint32_t swffi_stamp(sw_task *task);
int64_t swffi_now_ms(sw_task *task);
sw_input *swffi_task_next(sw_task *task);
void swffi_task_release(sw_task *task, sw_input *input);
int swffi_task_on_control(sw_task *task, sw_input *input, uint32_t id);
int swffi_task_on_end(sw_task *task, sw_input *input);
uint32_t swffi_task_control_due(sw_task *task);
void swffi_task_answer(sw_task *task, uint32_t id);
int64_t swffi_task_input_watermark(const sw_task *task);
uint32_t swffi_task_input_idle(const sw_task *task);
int64_t swffi_task_source_watermark(const sw_task *task);
void swffi_task_saw_time(sw_task *task, int64_t time);
int swffi_task_fill(sw_task *task);
uint32_t swffi_task_credit(sw_task *task);
void swffi_task_give_credit(sw_task *task, int count);
int swffi_task_send(sw_task *task, int kind, uint32_t id);
int swffi_task_close_sinks(sw_task *task);
double swffi_acks_open_new(sw_task *task, const sw_row *row, uint32_t output);
void swffi_acks_open_row(sw_task *task, const sw_row *row);
void swffi_acks_open_none(sw_task *task);
void swffi_acks_reserve(sw_task *task, sw_anchor *out);
void swffi_acks_open_reserved(sw_task *task, const sw_anchor *anchor);
double swffi_acks_open_held(sw_task *task);
void swffi_acks_name(sw_task *task, double held);
int swffi_acks_open_named(sw_task *task);
const sw_row *swffi_acks_open_replay(sw_task *task);
void swffi_acks_close(sw_task *task);
int swffi_acks_fail(sw_task *task);
void swffi_acks_release(sw_task *task, double held, int has_failed);
uint32_t swffi_acks_pending(const sw_task *task);
uint32_t swffi_acks_due(const sw_task *task);
int swffi_acks_next_notice(sw_task *task, sw_ack_notice *out);
int swffi_port_put(sw_task *task, sw_port *port, const sw_row *row);
int swffi_port_put_key(sw_task *task, sw_port *port, const sw_row *row, const uint8_t *key, uint32_t key_len);
int swffi_port_put_to(sw_task *task, sw_port *port, const sw_row *row, uint32_t instance);
sw_row *swffi_port_put_header(sw_task *task, sw_port *port, sw_row *header, uint32_t instance);
int swffi_port_put_over(sw_task *task, sw_port *port, const sw_row *row, const uint8_t *key, uint32_t key_len,
                        uint32_t instance);
int swffi_sink_write(sw_task *task, sw_sink *sink, const sw_row *row);
sw_entry *swffi_keyed_row(sw_keyed_instance *keyed, const sw_row *row);
sw_entry *swffi_keyed_fields(sw_task *task, sw_keyed_instance *keyed, const sw_row *row);
sw_entry *swffi_keyed_bytes(sw_keyed_instance *keyed, const uint8_t *key, uint32_t key_len);
sw_entry *swffi_keyed_number(sw_keyed_instance *keyed, double number);
sw_keyed_recent *swffi_keyed_recent(sw_keyed_instance *keyed);
const uint8_t *swffi_keyed_key(const sw_keyed_instance *keyed);
int swffi_keyed_gather(sw_task *task, sw_keyed_instance *keyed, const sw_row *row, int64_t wm);
void swffi_keyed_clear_gathered(sw_keyed_instance *keyed);
uint64_t swffi_keyed_count(const sw_keyed_instance *keyed);
void swffi_keyed_prefetch(sw_keyed_instance *keyed, const sw_batch *batch);
void swffi_keyed_remove(sw_keyed_instance *keyed, sw_entry *entry);
int swffi_keyed_set_bytes(sw_keyed_instance *keyed, sw_entry *entry, const uint8_t *bytes, uint32_t len);
int swffi_keyed_set_string(sw_keyed_instance *keyed, sw_entry *entry, uint32_t field, const char *bytes, uint32_t len);
int swffi_keyed_save_live(sw_keyed_instance *keyed, sw_entry *entry, const uint8_t *bytes, uint32_t len);
uint32_t swffi_keyed_expire(sw_keyed_instance *keyed, int64_t before_ms, uint32_t max_steps);
int swffi_timer_set(sw_keyed_instance *keyed, int which, int64_t time, const char *name, uint32_t name_len);
int swffi_timer_cancel(sw_keyed_instance *keyed, int which, int64_t time, const char *name, uint32_t name_len);
int swffi_timer_pop(sw_keyed_instance *keyed, int which, int64_t until);
int64_t swffi_timer_next(const sw_keyed_instance *keyed, int which);
uint64_t swffi_timer_seq(const sw_keyed_instance *keyed, int which);
#endif
