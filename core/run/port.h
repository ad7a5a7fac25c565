/* port.h -- the sender's side of a grouping: where the rows of one edge leave a task instance.
 *
 *     stage --put--> port --choose--> channel to instance 0 | 1 | ... of the consumer
 *
 * The port chooses the channel of an event; control items go to all of them. What does not fit stays with the caller
 * (SW_EFULL), who waits until sw_port_has_room and puts the same row again.
 *
 * Order      Per channel rows keep the order in which they were put; nothing is promised across channels.
 * Ownership  The port borrows its channels from the engine.
 * Threads    One: the worker of the sending task instance. */
#ifndef SW_RUN_PORT_H
#define SW_RUN_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "run/ack.h"
#include "run/channel.h"
#include "run/graph.h"
#include "state/key.h"

typedef struct sw_port {
    const int64_t *wm; /* the watermark of what is sent; in the task instance */
    sw_channel *
        *channels;   /* by consumer instance; with forward only the own one is set. Array owned, channels borrowed */
    uint32_t count;  /* consumer instances */
    uint32_t own;    /* forward: the one it sends to */
    uint32_t next;   /* shuffle: the one that gets the next event */
    uint32_t target; /* the one that was full at the last SW_EFULL */
    sw_grouping grouping;   /* of the edge */
    sw_key_fields fields;   /* key by fields; count 0 otherwise */
    sw_buf key;             /* scratch for key bytes */
    sw_batch overflow;      /* rows taken over the bound, each with its target in `reserved`; they go first */
    uint32_t overflow_next; /* bytes of it that have gone */
    int64_t wm_sent;        /* watermark last noted on all channels */
    sw_acks *acks;          /* the task's tracker, borrowed; NULL: events are not acknowledged */
    int64_t open_since_ns;  /* when the oldest unpublished row was first seen; 0 none */
    bool is_amid;           /* its task stands still amid a batch, and may hold rows that were emitted before the
                               watermark was raised: it waits for them */
} sw_port;

/* instance: the sender's own number. channels: borrowed, edge's consumer count of them. */
int sw_port_init(sw_port *port, const sw_edge *edge, uint32_t instance, sw_channel **channels, uint32_t count,
                 const int64_t *wm, sw_error *err);
void sw_port_deinit(sw_port *port);

/* Sends a row by forward, shuffle, broadcast, global, or key by fields. SW_OK; SW_EFULL; SW_ETYPE, SW_EINVAL or
 * SW_ELIMIT: the row's key cannot be one (err says why); SW_ENOMEM. */
int sw_port_put(sw_port *port, const sw_row *row, sw_error *err);
/* Sends a row with a key made elsewhere (canonical bytes of key.h). */
int sw_port_put_key(sw_port *port, const sw_row *row, const uint8_t *key, uint32_t key_len);
/* Sends a row to one instance. SW_EINVAL when there is no such instance. */
int sw_port_put_to(sw_port *port, const sw_row *row, uint32_t instance);
/* Puts the header of an event row where the grouping is forward, shuffle, global or partition (then to `instance`);
 * the caller writes the body before it uses the port again. NULL: put the whole row instead, which says why. */
sw_row *sw_port_put_header(sw_port *port, const sw_row *header, uint32_t instance);
/* Takes a row though its channel is full, for a caller that cannot wait: up to SW_OVERFLOW_ROWS are kept behind the
 * channels and go before anything that is put later. Key bytes and instance as in the functions above, where the
 * grouping needs them, and their codes. SW_EFULL beyond that; a broadcast is taken for all or for none. */
int sw_port_put_over(sw_port *port, const sw_row *row, const uint8_t *key, uint32_t key_len, uint32_t instance,
                     sw_error *err);
/* Moves what was taken over the bound into the channels: SW_OK when nothing is left, else SW_EFULL. */
int sw_port_drain(sw_port *port);
/* Sends a control row to every channel; always fits. Drain first. */
int sw_port_put_control(sw_port *port, const sw_row *row);

/* After SW_EFULL: does the row fit now? */
bool sw_port_has_room(const sw_port *port);
/* After SW_EFULL, before waiting: true if it fits after all; else the consumer wakes this worker when there is room. */
bool sw_port_await_room(sw_port *port);

/* Publishes what helps now: everything when `all`, else what hungry consumers wait for and what is older than
 * SW_FLUSH_AFTER_NS. Drains first: the watermark goes behind what was taken over the bound. Returns true when nothing
 * is left unpublished. */
bool sw_port_flush(sw_port *port, int64_t now_ns, bool all);

#define SW_FLUSH_AFTER_NS 1000000
#define SW_OVERFLOW_ROWS 65536

#endif
