/* channel.h -- bounded FIFO of events and control items from one task instance to another.
 *
 *     producer --put--> [open batch] --flush--> ( slot | slot | slot | ... ) --front/pop--> consumer
 *
 * Events, watermarks and control items share the ring, so order is the protocol: what was put before control
 * item n belongs before n. The producer appends rows to an open batch that it alone owns; flush publishes the
 * batch by moving it into the next free slot (buffers are swapped, rows are never copied again). The consumer
 * reads a published batch in place and gives the slot back. A same-worker channel is the same structure.
 *
 * Full       A channel is full when `queue` events are in it, whatever their batches: open, published, or
 *            being read (a batch being read counts until pop). Also when SW_CHANNEL_BYTES_MAX bytes or more
 *            are in it, so it may hold one row beyond. When no slot is free the open batch just goes on
 *            growing up to that bound. Control rows (kind != EVENT) always fit.
 * Watermark  put writes `wm` of the row from the caller; sw_channel_watermark notes a raised watermark, which
 *            flush appends as a row of its own only if no row behind it carried it.
 * Waking     After publishing, the producer calls wake(consumer side) only when the consumer said it sleeps;
 *            likewise pop wakes a producer that waits for room, once the channel is half empty or its ring
 *            is. A wake comes at most once per wait, and may come before the sleep has begun: the sleeper
 *            must not lose it (an eventfd, a flag under a mutex).
 *
 * Ownership  put copies the row in, or lends the place of its body until the channel is used again. front lends
 *            a batch until pop.
 * Threads    One producer, one consumer; `wake` callbacks are called on the thread that published or popped.
 * Limits     SW_CHANNEL_SLOTS batches published at once; SW_CHANNEL_BATCH rows are worth it. */
#ifndef SW_RUN_CHANNEL_H
#define SW_RUN_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "state/row.h"

#define SW_CHANNEL_SLOTS 16
#define SW_CHANNEL_BATCH 128
#define SW_CHANNEL_BYTES_MAX (16u << 20)

typedef struct sw_channel sw_channel;

typedef struct sw_channel_wake {
    void (*fn)(void *arg); /* must be callable from the other side's thread; NULL: nobody to wake */
    void *arg;
} sw_channel_wake;

/* queue: events it holds before it is full, >= 1. on_data wakes the consumer, on_room the producer. */
int sw_channel_new(sw_channel **out, uint32_t queue, sw_channel_wake on_data, sw_channel_wake on_room, sw_error *err);
void sw_channel_free(sw_channel *channel);

/* --- producer ------------------------------------------------------------------------------------------- */

/* Copies the row in behind the last one and sets the copy's wm. Publishes the open batch when it holds
 * SW_CHANNEL_BATCH rows or the row is a CONTROL or END row, and a slot is free. SW_OK; SW_EFULL (nothing was
 * taken); SW_ENOMEM. */
int sw_channel_put(sw_channel *channel, const sw_row *row, int64_t wm);

/* The same for a row that is to be sent with a key: hash and key bytes are placed behind the body of the
 * copy. */
int sw_channel_put_keyed(sw_channel *channel, const sw_row *row, int64_t wm, uint64_t hash, const uint8_t *key,
                         uint32_t key_len);

/* Puts an event row of which only the header is there: the caller writes the body where it lies, before it uses the
 * channel again. NULL when it does not fit (nothing was taken), or out of memory. */
sw_row *sw_channel_put_header(sw_channel *channel, const sw_row *header, int64_t wm);

/* The same where events are acknowledged: the anchor goes behind the copy, in place of one that the row may have. */
int sw_channel_put_anchored(sw_channel *channel, const sw_row *row, int64_t wm, uint64_t hash, const uint8_t *key,
                            uint32_t key_len, const sw_anchor *anchor);

/* Notes that the watermark is now `wm` for what follows. */
void sw_channel_watermark(sw_channel *channel, int64_t wm);

/* Publishes the open batch (with a WATERMARK row at its end where needed) if there is anything in it and a
 * slot is free. Returns true when nothing is left unpublished. */
bool sw_channel_flush(sw_channel *channel);

bool sw_channel_has_room(const sw_channel *channel);  /* would an event row fit now? */
bool sw_channel_is_hungry(const sw_channel *channel); /* all that was published is popped: flushing helps */
bool sw_channel_has_unpublished(const sw_channel *channel);
/* Publishes what it can and says that the producer is about to wait for room; true if there is room after all
 * (then do not wait). A put that fits, or a flush, says that it is awake again. Behind an END row it waits for
 * the slot that the rest needs: true if nothing is left unpublished. */
bool sw_channel_await_room(sw_channel *channel);

/* --- consumer ------------------------------------------------------------------------------------------- */

/* The oldest published batch, or NULL. The same batch until pop. Looking says that the consumer is awake. */
sw_batch *sw_channel_front(sw_channel *channel);
void sw_channel_pop(sw_channel *channel);
/* Say that the consumer is about to sleep; true if a batch is there after all (then do not sleep). */
bool sw_channel_await_data(sw_channel *channel);

/* --- any thread ----------------------------------------------------------------------------------------- */

uint64_t sw_channel_fill(const sw_channel *channel); /* event rows in it now (published or open), approximately */
uint32_t sw_channel_queue(const sw_channel *channel);

#endif
