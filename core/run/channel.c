#include "run/channel.h"

#include <stdalign.h>
#include <stdatomic.h>

#include "base/alloc.h"

#define LINE 64 /* bytes that two threads must not write side by side */
#define LIKELY(cond) __builtin_expect(!!(cond), 1)

typedef struct slot {
    alignas(
        LINE) sw_batch batch; /* published: the consumer's to read; else empty, its memory the producer's to reuse */
    uint32_t events;          /* event rows in batch */
} slot;

/* Indexes and totals only grow and may wrap; what is in the channel is a difference. */
struct sw_channel {
    /* --- fixed --- */
    void *block;             /* what was allocated; the channel lies in it on a cache line of its own */
    uint32_t queue;          /* events it holds */
    sw_channel_wake on_data; /* wakes the consumer */
    sw_channel_wake on_room; /* wakes the producer */

    /* --- the producer's own --- */
    alignas(LINE) sw_batch open; /* rows not yet published */
    _Atomic uint64_t events_put; /* event rows ever put; other threads read it only for sw_channel_fill and a wake */
    uint64_t events_limit;       /* events_put may grow up to this, as far as the producer has seen */
    uint64_t open_limit;         /* bytes; a row fits while open.size is below, as far as the producer has seen */
    int64_t wm_sent;             /* watermark carried by the last row put */
    int64_t wm_noted;            /* watermark of sw_channel_watermark; due when above wm_sent */
    uint64_t events_published;   /* event rows ever published */
    uint32_t popped_seen;        /* `popped` when last looked at */
    uint32_t open_closers;       /* CONTROL and END rows in open */
    bool is_ended;               /* an END row was put */
    bool is_waiting;             /* producer_waits may be set */

    /* --- written by the producer, read by the consumer --- */
    alignas(LINE) atomic_uint published; /* batches ever published */
    _Atomic uint64_t bytes_published;    /* bytes ever published */
    atomic_bool consumer_sleeps;         /* set by the consumer; who clears it by exchange wakes */

    /* --- written by the consumer, read by the producer --- */
    alignas(LINE) atomic_uint popped; /* batches ever popped */
    _Atomic uint64_t events_popped;   /* event rows in them */
    _Atomic uint64_t bytes_popped;    /* bytes in them */
    atomic_bool producer_waits;       /* set by the producer; who clears it by exchange wakes */
    uint32_t published_seen;          /* the consumer's own: `published` when last looked at */
    bool is_sleeping;                 /* the consumer's own: consumer_sleeps may be set */

    slot slots[SW_CHANNEL_SLOTS]; /* batch n is in slot n % SW_CHANNEL_SLOTS */
};

#define RELAXED(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define SET_RELAXED(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

int sw_channel_new(sw_channel **out, uint32_t queue, sw_channel_wake on_data, sw_channel_wake on_room, sw_error *err)
{
    SW_ASSERT(queue >= 1);
    uint8_t *block = sw_calloc(1, sizeof(sw_channel) + LINE - 1);
    if (block == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory for a channel");
    sw_channel *channel = (sw_channel *)(void *)(block + (-(uintptr_t)block & (LINE - 1)));
    channel->block = block;
    channel->queue = queue;
    channel->on_data = on_data;
    channel->on_room = on_room;
    channel->events_limit = queue;
    channel->open_limit = SW_CHANNEL_BYTES_MAX;
    channel->wm_sent = SW_TIME_MIN;
    channel->wm_noted = SW_TIME_MIN;
    sw_batch_init(&channel->open);
    for (int i = 0; i < SW_CHANNEL_SLOTS; i++) sw_batch_init(&channel->slots[i].batch);
    *out = channel;
    return SW_OK;
}

void sw_channel_free(sw_channel *channel)
{
    if (channel == NULL) return;
    sw_batch_deinit(&channel->open);
    for (int i = 0; i < SW_CHANNEL_SLOTS; i++) sw_batch_deinit(&channel->slots[i].batch);
    sw_free(channel->block);
}

/* Both sides call this behind a seq_cst store of what they did, and the sleeper looks at that behind its
 * seq_cst store of the flag: in their one total order at least one sees the other's store, so that no sleeper
 * is left behind. The operations themselves are seq_cst rather than fences, which the thread sanitizer does
 * not model. */
static void wake_once(atomic_bool *sleeps, const sw_channel_wake *wake)
{
    if (atomic_exchange(sleeps, false) && wake->fn != NULL) wake->fn(wake->arg);
}

/* --- producer: room ------------------------------------------------------------------------------------- */

static bool has_room(const sw_channel *channel, uint64_t events_popped, uint64_t bytes_popped)
{
    uint64_t bytes_put = RELAXED(channel->bytes_published) + channel->open.size;
    return RELAXED(channel->events_put) - events_popped < channel->queue &&
           bytes_put - bytes_popped < SW_CHANNEL_BYTES_MAX;
}

/* Looks at what the consumer popped: slots and room. seq_cst for sw_channel_await_room; on the common
 * machines such a load costs no more than an acquiring one. */
static void look_at_popped(sw_channel *channel)
{
    channel->popped_seen = atomic_load(&channel->popped);
    uint64_t in_slots = RELAXED(channel->bytes_published) - RELAXED(channel->bytes_popped);
    channel->events_limit = channel->is_ended ? 0 : RELAXED(channel->events_popped) + channel->queue;
    channel->open_limit = in_slots < SW_CHANNEL_BYTES_MAX ? SW_CHANNEL_BYTES_MAX - in_slots : 0;
}

static bool fits_as_seen(const sw_channel *channel)
{
    return RELAXED(channel->events_put) < channel->events_limit && channel->open.size < channel->open_limit;
}

/* A producer that goes on is awake, and is not to be woken for a wait that is over. */
static void stop_waiting(sw_channel *channel)
{
    if (!channel->is_waiting) return;
    channel->is_waiting = false;
    SET_RELAXED(channel->producer_waits, false);
}

static bool fits_after_a_look(sw_channel *channel)
{
    SW_ASSERT(!channel->is_ended);
    look_at_popped(channel);
    if (!fits_as_seen(channel)) return false;
    stop_waiting(channel);
    return true;
}

/* --- producer: publishing ------------------------------------------------------------------------------- */

typedef struct part {
    uint32_t bytes;  /* length of the part */
    uint32_t rows;   /* rows in it */
    uint32_t events; /* event rows among them */
} part;

static const sw_row *first_row(const sw_batch *batch)
{
    return (const sw_row *)(const void *)batch->data;
}

/* What of the open batch goes out as one batch: the rows up to the first that closes its batch, or all. */
static part next_part(const sw_channel *channel)
{
    const sw_batch *open = &channel->open;
    if (channel->open_closers == 0)
        return (part){ open->size, open->count, (uint32_t)(RELAXED(channel->events_put) - channel->events_published) };
    part p = { 0, 0, 0 };
    const sw_row *row = first_row(open);
    bool is_closed = false;
    while (!is_closed) {
        p.bytes += row->len;
        p.rows++;
        p.events += row->kind == SW_ROW_EVENT;
        is_closed = row->kind == SW_ROW_CONTROL || row->kind == SW_ROW_END;
        row = sw_row_next(row);
    }
    return p;
}

/* Copies what is behind the part. Only rows that were put behind a closing row while no slot was free come
 * here. */
static int copy_rest(const sw_batch *open, part p, sw_batch *rest)
{
    const sw_row *row = (const sw_row *)(const void *)(open->data + p.bytes);
    for (uint32_t i = p.rows; i < open->count; i++, row = sw_row_next(row)) {
        if (sw_batch_append(rest, row) == SW_OK) continue;
        sw_batch_clear(rest);
        return SW_ENOMEM;
    }
    return SW_OK;
}

/* Looks at the consumer's line only when no slot is free as seen: about once a ring, not once a batch. */
static bool has_slot(sw_channel *channel)
{
    unsigned published = RELAXED(channel->published);
    if (published - channel->popped_seen < SW_CHANNEL_SLOTS) return true;
    look_at_popped(channel);
    return published - channel->popped_seen < SW_CHANNEL_SLOTS;
}

/* Moves one part of the open batch into the next slot; false when none is free or memory is out. The empty buffer
 * that lay there becomes the open one. */
static bool publish(sw_channel *channel)
{
    stop_waiting(channel);
    if (!has_slot(channel)) return false;
    unsigned published = RELAXED(channel->published);
    slot *next = &channel->slots[published % SW_CHANNEL_SLOTS];
    part p = next_part(channel);
    if (p.rows < channel->open.count && copy_rest(&channel->open, p, &next->batch) != SW_OK) return false;
    sw_batch reused = next->batch;
    next->batch = channel->open;
    next->batch.size = p.bytes;
    next->batch.count = p.rows;
    next->events = p.events;
    channel->open = reused;
    if (channel->open_closers > 0) channel->open_closers--; /* A part ends with its one closing row. */
    channel->events_published += p.events;
    channel->open_limit -= p.bytes < channel->open_limit ? p.bytes : channel->open_limit;
    SET_RELAXED(channel->bytes_published, RELAXED(channel->bytes_published) + p.bytes);
    atomic_store(&channel->published, published + 1);
    if (atomic_load(&channel->consumer_sleeps)) wake_once(&channel->consumer_sleeps, &channel->on_data);
    return true;
}

static bool is_watermark_due(const sw_channel *channel)
{
    return channel->wm_noted > channel->wm_sent && !channel->is_ended;
}

/* --- producer: putting ---------------------------------------------------------------------------------- */

static inline sw_row *reserve(sw_batch *open, uint32_t len)
{
    if (LIKELY(len <= open->cap - open->size)) return (sw_row *)(void *)(open->data + open->size);
    return sw_batch_reserve(open, len);
}

static inline void commit(sw_channel *channel, sw_row *copy, int64_t wm)
{
    copy->wm = wm;
    channel->wm_sent = wm;
    channel->open.size += copy->len;
    channel->open.count++;
}

static inline void commit_event(sw_channel *channel, sw_row *copy, int64_t wm)
{
    commit(channel, copy, wm);
    SET_RELAXED(channel->events_put, RELAXED(channel->events_put) + 1);
    if (channel->open.count >= SW_CHANNEL_BATCH || channel->open_closers != 0) publish(channel);
}

static int put_item(sw_channel *channel, const sw_row *row, int64_t wm)
{
    SW_ASSERT(!channel->is_ended);
    sw_row *copy = sw_batch_reserve(&channel->open, row->len);
    if (copy == NULL) return SW_ENOMEM;
    memcpy(copy, row, row->len);
    commit(channel, copy, wm);
    if (row->kind == SW_ROW_CONTROL || row->kind == SW_ROW_END) channel->open_closers++;
    if (row->kind == SW_ROW_END) {
        channel->is_ended = true;
        channel->events_limit = 0; /* A further put takes the slow way, where it is asserted against. */
    }
    if (channel->open.count >= SW_CHANNEL_BATCH || channel->open_closers != 0) publish(channel);
    return SW_OK;
}

int sw_channel_put(sw_channel *channel, const sw_row *row, int64_t wm)
{
    if (row->kind != SW_ROW_EVENT) return put_item(channel, row, wm);
    if (!LIKELY(fits_as_seen(channel)) && !fits_after_a_look(channel)) return SW_EFULL;
    sw_row *copy = reserve(&channel->open, row->len);
    if (copy == NULL) return SW_ENOMEM;
    memcpy(copy, row, row->len);
    commit_event(channel, copy, wm);
    return SW_OK;
}

int sw_channel_put_keyed(sw_channel *channel, const sw_row *row, int64_t wm, uint64_t hash, const uint8_t *key,
                         uint32_t key_len)
{
    SW_ASSERT(row->kind == SW_ROW_EVENT);
    if (!LIKELY(fits_as_seen(channel)) && !fits_after_a_look(channel)) return SW_EFULL;
    uint32_t len = sw_row_size(row->body_len, key_len);
    sw_row *copy = reserve(&channel->open, len);
    if (copy == NULL) return SW_ENOMEM;
    memset((uint8_t *)copy + len - 8, 0, 8); /* So that the padding is zero. */
    memcpy(copy, row, sizeof(*row) + row->body_len);
    copy->hash = hash;
    copy->len = len;
    copy->key_len = key_len;
    memcpy(sw_row_key(copy), key, key_len);
    commit_event(channel, copy, wm);
    return SW_OK;
}

/* The batch is published later than by the other functions: not before the body is there. */
sw_row *sw_channel_put_header(sw_channel *channel, const sw_row *header, int64_t wm)
{
    SW_ASSERT(header->kind == SW_ROW_EVENT);
    if (!LIKELY(fits_as_seen(channel)) && !fits_after_a_look(channel)) return NULL;
    if (channel->open.count >= SW_CHANNEL_BATCH || channel->open_closers != 0) publish(channel);
    sw_row *row = reserve(&channel->open, header->len);
    if (row == NULL) return NULL;
    /* One by one: a wide load of what was stored in smaller pieces just now would wait for these. */
    row->time = header->time;
    row->hash = 0;
    row->len = header->len;
    row->body_len = header->body_len;
    row->key_len = 0;
    row->stamp = header->stamp;
    row->schema = header->schema;
    row->kind = SW_ROW_EVENT;
    row->flags = header->flags;
    row->reserved = 0;
    commit(channel, row, wm);
    SET_RELAXED(channel->events_put, RELAXED(channel->events_put) + 1);
    return row;
}

int sw_channel_put_anchored(sw_channel *channel, const sw_row *row, int64_t wm, uint64_t hash, const uint8_t *key,
                            uint32_t key_len, const sw_anchor *anchor)
{
    SW_ASSERT(row->kind == SW_ROW_EVENT);
    if (!LIKELY(fits_as_seen(channel)) && !fits_after_a_look(channel)) return SW_EFULL;
    uint32_t bare = sw_row_size(row->body_len, key_len), len = bare + (uint32_t)sizeof(*anchor);
    sw_row *copy = reserve(&channel->open, len);
    if (copy == NULL) return SW_ENOMEM;
    memset((uint8_t *)copy + bare - 8, 0, 8); /* So that the padding is zero. */
    memcpy(copy, row, sizeof(*row) + row->body_len);
    copy->hash = hash;
    copy->len = len;
    copy->key_len = key_len;
    memcpy(sw_row_key(copy), key, key_len);
    *sw_row_anchor(copy) = *anchor;
    commit_event(channel, copy, wm);
    return SW_OK;
}

void sw_channel_watermark(sw_channel *channel, int64_t wm)
{
    if (wm > channel->wm_noted) channel->wm_noted = wm;
}

bool sw_channel_flush(sw_channel *channel)
{
    if (is_watermark_due(channel)) {
        if (!has_slot(channel)) return false;
        sw_row row = { .len = sizeof(row), .kind = SW_ROW_WATERMARK };
        if (put_item(channel, &row, channel->wm_noted) != SW_OK) return false;
    }
    while (channel->open.count > 0)
        if (!publish(channel)) return false;
    return true;
}

bool sw_channel_has_room(const sw_channel *channel)
{
    return fits_as_seen(channel) ||
           has_room(channel, atomic_load(&channel->events_popped), atomic_load(&channel->bytes_popped));
}

bool sw_channel_is_hungry(const sw_channel *channel)
{
    return atomic_load(&channel->popped) == RELAXED(channel->published);
}

bool sw_channel_has_unpublished(const sw_channel *channel)
{
    return channel->open.count > 0 || is_watermark_due(channel);
}

/* The flush comes behind the flag: what was popped before the consumer could see the flag is seen here, so
 * that either a slot or room is found, or a pop is still to come that sees the flag, the last of which finds
 * the ring empty and wakes. */
bool sw_channel_await_room(sw_channel *channel)
{
    channel->is_waiting = false; /* So that the flush does not take the flag down again. */
    atomic_store(&channel->producer_waits, true);
    bool is_flushed = sw_channel_flush(channel);
    channel->is_waiting = true;
    if (!channel->is_ended) return fits_after_a_look(channel);
    if (is_flushed) stop_waiting(channel);
    return is_flushed;
}

/* --- consumer ------------------------------------------------------------------------------------------- */

sw_batch *sw_channel_front(sw_channel *channel)
{
    unsigned popped = RELAXED(channel->popped);
    if (channel->is_sleeping) {
        channel->is_sleeping = false;
        SET_RELAXED(channel->consumer_sleeps, false);
    }
    if (popped == channel->published_seen) {
        channel->published_seen = atomic_load_explicit(&channel->published, memory_order_acquire);
        if (popped == channel->published_seen) return NULL;
    }
    return &channel->slots[popped % SW_CHANNEL_SLOTS].batch;
}

/* A waiting producer is left alone until the channel is half empty, so that it isn't woken for each batch; an
 * empty ring wakes it in any case, since no later pop would. */
static bool is_worth_waking(const sw_channel *channel)
{
    if (RELAXED(channel->popped) == atomic_load(&channel->published)) return true;
    uint64_t events = RELAXED(channel->events_put) - RELAXED(channel->events_popped);
    uint64_t bytes = RELAXED(channel->bytes_published) - RELAXED(channel->bytes_popped);
    return events <= channel->queue / 2 && bytes <= SW_CHANNEL_BYTES_MAX / 2;
}

void sw_channel_pop(sw_channel *channel)
{
    unsigned popped = RELAXED(channel->popped);
    SW_ASSERT(popped != channel->published_seen);
    slot *last = &channel->slots[popped % SW_CHANNEL_SLOTS];
    SET_RELAXED(channel->events_popped, RELAXED(channel->events_popped) + last->events);
    SET_RELAXED(channel->bytes_popped, RELAXED(channel->bytes_popped) + last->batch.size);
    sw_batch_clear(&last->batch);
    atomic_store(&channel->popped, popped + 1);
    if (atomic_load(&channel->producer_waits) && is_worth_waking(channel))
        wake_once(&channel->producer_waits, &channel->on_room);
}

bool sw_channel_await_data(sw_channel *channel)
{
    channel->is_sleeping = true;
    atomic_store(&channel->consumer_sleeps, true);
    if (atomic_load(&channel->published) == RELAXED(channel->popped)) return false;
    channel->is_sleeping = false;
    SET_RELAXED(channel->consumer_sleeps, false);
    return true;
}

/* --- any thread ----------------------------------------------------------------------------------------- */

uint64_t sw_channel_fill(const sw_channel *channel)
{
    uint64_t popped = atomic_load(&channel->events_popped);
    uint64_t put = RELAXED(channel->events_put);
    return put > popped ? put - popped : 0;
}

uint32_t sw_channel_queue(const sw_channel *channel)
{
    return channel->queue;
}
