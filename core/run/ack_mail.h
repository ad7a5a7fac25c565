/* ack_mail.h -- what trackers tell each other about events: one post box each.
 *
 *     post --> [outbox by receiver] --send--> inbox of the receiver --collect--> messages, in the order of each sender
 *
 * A task posts a message an event and sends them all after its step: one lock a receiver and step. Messages about one
 * event that follow each other are joined into one.
 *
 * Losing     A message that finds no memory is dropped: its event is replayed when it times out.
 * Ownership  A post box owns its lists; the array of all boxes is borrowed.
 * Threads    post, send, collect, await: the worker of its task. Other workers add to the inbox, under its lock.
 * Limits     An inbox holds what its owner has not collected: at most a message a row and step of those that send. */
#ifndef SW_RUN_ACK_MAIL_H
#define SW_RUN_ACK_MAIL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "run/channel.h"

/* What became of an event at one place. */
typedef enum sw_ack_fate {
    SW_ACKED,  /* processed: `sum` are the edges gone and come */
    SW_FAILED, /* it is to be replayed, because user code says so */
    SW_ERRED,  /* it is to be replayed, because user code raised an error */
} sw_ack_fate;

typedef struct sw_ack_message {
    uint64_t root;    /* of the event (ack.h) */
    uint64_t sum;     /* XOR of the edge that came and those that were sent */
    sw_ack_fate fate; /* what became of it */
} sw_ack_message;

typedef struct sw_ack_list {
    sw_ack_message *items; /* owned */
    uint32_t count, cap;   /* messages in it, and room */
} sw_ack_list;

typedef struct sw_ack_mail {
    sw_ack_list *out;         /* by receiver; owned */
    uint32_t *touched;        /* receivers whose list is not empty; owned */
    uint32_t touched_count;   /* entries of touched */
    sw_ack_list read;         /* what was collected last */
    pthread_mutex_t lock;     /* guards inbox and is_asleep */
    sw_ack_list inbox;        /* what came */
    bool is_asleep;           /* who adds to the inbox wakes */
    _Atomic bool has_mail;    /* the inbox is not empty */
    sw_channel_wake wake;     /* wakes the owner */
    struct sw_ack_mail **all; /* by number of task; borrowed */
    uint32_t count;           /* entries of all */
} sw_ack_mail;

/* SW_OK, SW_ENOMEM. Deinit also after a failure. */
int sw_ack_mail_init(sw_ack_mail *mail, sw_ack_mail **all, uint32_t count, sw_channel_wake wake);
void sw_ack_mail_deinit(sw_ack_mail *mail);

void sw_ack_mail_post(sw_ack_mail *mail, uint32_t receiver, const sw_ack_message *message);
void sw_ack_mail_send(sw_ack_mail *mail);

static inline bool sw_ack_mail_has_any(const sw_ack_mail *mail)
{
    return atomic_load_explicit(&mail->has_mail, memory_order_acquire);
}
/* What came since; valid until the next call. */
const sw_ack_list *sw_ack_mail_collect(sw_ack_mail *mail);
/* Says that the owner is about to sleep; true if there is mail after all (then do not sleep). */
bool sw_ack_mail_await(sw_ack_mail *mail);

#endif
