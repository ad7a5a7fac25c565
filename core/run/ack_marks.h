/* ack_marks.h -- where a source stood before events that are still pending (ack.h).
 *
 *     mark(position) --> [ position, events pending behind it ] ... in order --> the first that has any
 *
 * Ownership  Positions are copied.
 * Threads    The tracker's.
 * Limits     As many marks as events are pending, and one. */
#ifndef SW_RUN_ACK_MARKS_H
#define SW_RUN_ACK_MARKS_H

#include "base/buf.h"
#include <stdint.h>

typedef struct sw_ack_mark {
    sw_buf position;  /* owned */
    uint32_t pending; /* events given behind it that are not acknowledged */
} sw_ack_mark;

typedef struct sw_ack_marks {
    sw_ack_mark *list;   /* entries from `head` on are in use; owned */
    uint32_t head, used; /* first one in use, and the end of those */
    uint32_t cap;        /* entries allocated */
    uint64_t first;      /* number of the mark at head */
} sw_ack_marks;

void sw_ack_marks_deinit(sw_ack_marks *marks);
/* SW_OK, SW_ENOMEM. */
int sw_ack_marks_add(sw_ack_marks *marks, const uint8_t *position, uint32_t len);
/* Counts an event behind the newest mark; returns its number for drop. */
uint64_t sw_ack_marks_hold(sw_ack_marks *marks);
void sw_ack_marks_drop(sw_ack_marks *marks, uint64_t number);
/* NULL: nothing is pending. */
const sw_buf *sw_ack_marks_oldest(const sw_ack_marks *marks);

#endif
