/* ack.h -- at-least-once by acknowledgement: one task's part of it.
 *
 *     source event --open_new--> scope --edge--> row --channel--> open_row: scope --close--> message to the root's task
 *                      `-close--> pending: sum of edges == 0: acknowledged
 *
 * An event of a source is a *root*. Whenever a row that descends from it is put into a channel an *edge*, 64 random
 * bits, is drawn, written behind the row and XORed into the sum of the *scope* at work: what a task does with one
 * event. When it is done one message tells the root's task the edge that came and all that went, XORed. There they are
 * XORed into the root's sum, which is zero once every edge has been seen twice: as sent and as done. As what an event
 * is done with and what has been made of it come in one message, the sum cannot be zero before, but by a chance
 * of 2^-64.
 *
 * A *node* is what a sum is kept for. Besides the roots there are *links*: a link descends from one or more other
 * nodes, is done when all that descends from it is, and then counts as their descendant that is done. An event that a
 * component holds until it acknowledges it by hand is a link; so is one made of several events.
 *
 * Failing    A node that fails, or is not done within the timeout, is replayed when it is a root, by its own task from
 *            the row kept; messages about the earlier try name an older generation of it and are dropped. A
 *            link that fails fails what it descends from; one that times out is forgotten: its roots are older.
 * Order      The messages of a task are applied only between its events: none is older than the node it is about.
 * Size       32 bytes a node, and the row of a root; nothing for the tree below it. An event whose descendants never
 *            left its task is no node at all.
 *
 * Ownership  The engine owns the trackers, one a task. A tracker copies the rows it keeps.
 * Threads    The worker of its task; others only through ack_mail.h.
 * Limits     SW_ACK_PENDING_MAX roots a tracker, then the source waits; SW_ACK_TASKS_MAX tasks; a timeout of 24 days;
 *            a generation repeats after 2^24 uses of one place. */
#ifndef SW_RUN_ACK_H
#define SW_RUN_ACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rng.h"
#include "run/ack_mail.h"
#include "run/instance.h"
#include "state/row.h"

#define SW_ACK_PENDING_MAX 65536
#define SW_ACK_TASKS_MAX 65536

typedef struct sw_acks sw_acks;

/* Of a job. */
typedef struct sw_ack_settings {
    int64_t timeout_ms;  /* until a pending event is replayed; 0: events are not acknowledged */
    uint32_t errors_max; /* errors of one event after which it is not replayed any more */
} sw_ack_settings;

typedef struct sw_ack_options {
    uint32_t number, count;                      /* of the task, and how many there are */
    sw_ack_mail **mails;                         /* by task; borrowed; filled in by each tracker */
    uint64_t seed;                               /* of the edges */
    sw_ack_settings settings;                    /* of the job */
    uint32_t pending_max;                        /* roots; 0: SW_ACK_PENDING_MAX */
    uint32_t depth;                              /* scopes open at once, at most */
    sw_instance *instance;                       /* where `acked` and `replayed` are counted; borrowed */
    sw_channel_wake wake;                        /* wakes the task's worker */
    void (*on_full)(void *arg, const sw_acks *); /* nothing was acknowledged for a while though the set is full */
    void *arg;                                   /* passed to on_full */
} sw_ack_options;

int sw_acks_new(sw_acks **out, const sw_ack_options *options, sw_error *err); /* SW_OK, SW_ENOMEM */
void sw_acks_free(sw_acks *acks);

/* --- scopes: what happens from open to close is about one event; they nest --------------------------------------- */

/* A new event of a source. Its row is copied; `output` says which of the source's it goes to. Returns its id, 1..; 0
 * when out of memory: then no scope is open. */
uint64_t sw_acks_open_new(sw_acks *acks, const sw_row *row, uint32_t output);
void sw_acks_open_row(sw_acks *acks, const sw_row *row); /* a row that came by a channel */
void sw_acks_open_none(sw_acks *acks);                   /* what is emitted descends from nothing: timers */
/* The event at work is held by a component until release: a link. Returns what names it; 0 when out of memory: then the
 * scope descends from the event itself. */
uint64_t sw_acks_open_held(sw_acks *acks);
/* What is emitted descends from the held events named by sw_acks_name since the last open_named, and from nothing where
 * none is known any more. SW_OK; SW_ENOMEM: no scope is open. */
void sw_acks_name(sw_acks *acks, uint64_t held);
int sw_acks_open_named(sw_acks *acks);
void sw_acks_close(sw_acks *acks);

/* The event at work has failed. False when the scope is about none. */
bool sw_acks_fail(sw_acks *acks, sw_ack_fate fate);
/* A held event is done with: it is acknowledged once all that was emitted in its name is; or it has failed. One
 * that is not known any more is passed over. */
void sw_acks_release(sw_acks *acks, uint64_t held, sw_ack_fate fate);

/* What goes behind a row that is sent now; a row that could not be sent takes none. */
sw_anchor sw_acks_draw(sw_acks *acks);
void sw_acks_sent(sw_acks *acks, const sw_anchor *anchor);

/* An event at work is to be sent, or done with, later, when others are at work: its anchor is set aside. Then either
 * the one row of it that is sent between use and unuse takes the anchor, or a scope is opened for it. */
void sw_acks_reserve(sw_acks *acks, sw_anchor *out);
void sw_acks_use(sw_acks *acks, const sw_anchor *anchor);
void sw_acks_unuse(sw_acks *acks);
void sw_acks_open_reserved(sw_acks *acks, const sw_anchor *anchor);

/* --- between events ---------------------------------------------------------------------------------------------- */

/* Sends what closed scopes have to tell. After each step. */
void sw_acks_send(sw_acks *acks);
/* Applies what has come, and finds what has timed out. Before each step; does nothing while a scope is open. */
void sw_acks_take(sw_acks *acks, int64_t now_ms);
/* Is there mail to send or to read, something to replay, or something that times out now? */
bool sw_acks_is_due(const sw_acks *acks, int64_t now_ms);
int64_t sw_acks_deadline_ms(const sw_acks *acks); /* when is_due will be true by itself; INT64_MAX never */
bool sw_acks_await(sw_acks *acks);                /* before sleeping: true if there is mail after all */

/* --- for sources ------------------------------------------------------------------------------------------------- */

uint32_t sw_acks_pending(const sw_acks *acks);              /* roots not acknowledged */
uint32_t sw_acks_held(const sw_acks *acks);                 /* links; any thread */
uint32_t sw_acks_holder(const sw_acks *acks);               /* what set_holder said; 0 nothing */
void sw_acks_set_holder(sw_acks *acks, uint32_t component); /* index + 1 of one that holds events by hand; at setup */
uint32_t sw_acks_room(const sw_acks *acks);                 /* events that may be given before the set is full */
uint32_t sw_acks_due(const sw_acks *acks);                  /* events that wait to be replayed */
void sw_acks_end(sw_acks *acks);                            /* no more events will be given: it counts as full */
/* Opens a scope about the next event to be replayed and returns its row, with its output in `reserved`; valid until
 * close. NULL: none waits. */
const sw_row *sw_acks_open_replay(sw_acks *acks);
/* Has an event been replayed errors_max times because of errors, and has failed once more? */
bool sw_acks_is_hopeless(const sw_acks *acks);

/* What the source is told: each event that was acknowledged, or has to be replayed. Only once it was asked for. */
typedef struct sw_ack_notice {
    double id;         /* of the event */
    uint32_t is_acked; /* else it is going to be replayed */
} sw_ack_notice;
void sw_acks_want_notices(sw_acks *acks);
bool sw_acks_next_notice(sw_acks *acks, sw_ack_notice *out);

/* Events given from now on lie behind this position of the source. SW_OK, SW_ENOMEM. */
int sw_acks_mark(sw_acks *acks, const uint8_t *position, uint32_t len);
/* The position before the oldest pending event; NULL: none is pending. */
const sw_buf *sw_acks_position(const sw_acks *acks);

#endif
