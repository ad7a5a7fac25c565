/* inquiry.h -- a question to one task, which its coroutine answers between two events.
 *
 *     main thread --ask--> task's list --coroutine: next, done--> engine's list --main thread: on_answer--> asker
 *
 * A task that is in a long call, waits for room, or has ended does not answer: who asks bounds the wait.
 *
 * Ownership  The asker's. Between ask and on_answer it is the task's: it may be freed once it has come back, or when
 *            all workers have ended.
 * Threads    ask, deliver: the main thread. next, done: the task's worker. The engine's lock guards the lists. */
#ifndef SW_RUN_INQUIRY_H
#define SW_RUN_INQUIRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "state/snapshot.h"

struct sw_engine;
struct sw_task;

typedef enum sw_inquiry_kind {
    SW_INQUIRY_KEY,      /* the state of a key */
    SW_INQUIRY_KEYS,     /* of the first keys behind one */
    SW_INQUIRY_INSTANCE, /* what the instance itself keeps */
} sw_inquiry_kind;

typedef struct sw_inquiry {
    sw_inquiry_kind kind; /* what is asked */
    uint32_t component;   /* index in the graph */
    sw_buf key;           /* canonical bytes; of KEYS: where to go on, empty at first */
    uint32_t limit;       /* of KEYS: keys at most; 0: as many as go well */
    sw_snapshot answer;   /* entries as a checkpoint would hold them */
    bool is_more;         /* of KEYS: there are keys behind those */
    int rc;               /* SW_OK, or why there is no answer: */
    sw_error err;         /* as a text */
    void (*on_answer)(void *arg, struct sw_inquiry *inquiry); /* on the main thread */
    void *arg;                                                /* of on_answer */
    struct sw_inquiry *next;                                  /* in a list */
} sw_inquiry;

void sw_inquiry_deinit(sw_inquiry *inquiry);

/* SW_ESTATE: the task has ended; else on_answer will be called, if it ever answers. */
int sw_task_ask(struct sw_task *task, sw_inquiry *inquiry);

/* What is to be answered next; NULL: nothing. It stays the first until done, which hands it back. */
sw_inquiry *sw_task_next_inquiry(struct sw_task *task);
void sw_task_inquiry_done(struct sw_task *task);

/* Calls on_answer for all that have been answered. */
void sw_engine_deliver_answers(struct sw_engine *engine);

#endif
