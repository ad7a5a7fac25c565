/* positions.h -- the positions that a source's checkpoints hold, until they need not be kept.
 *
 *     barrier --add(id, position)--> [ 3 | 4 | 5 | 6 ] --oldest = 5--> that of 5, to be released; 3 and 4 go
 *
 * A source that has ended answers once, for all checkpoints behind its last barrier. Ids of checkpoints that failed are
 * among them; `oldest` is one of this run that did not.
 *
 * Ownership  deinit frees.
 * Threads    one at a time: the source's worker; but `oldest` is set by the coordinator. */
#ifndef SW_RUN_POSITIONS_H
#define SW_RUN_POSITIONS_H

#include "base/buf.h"

typedef struct sw_position_at {
    uint32_t checkpoint; /* id */
    sw_buf bytes;        /* owned: the position that it holds */
} sw_position_at;

typedef struct sw_positions {
    sw_position_at *list; /* owned: in order of id */
    uint32_t count;       /* entries */
    uint32_t cap;         /* room for entries */
    uint32_t last;        /* id of the newest that was added */
    uint32_t oldest;      /* the oldest checkpoint that can be restored; 0: not known; atomic, for others to set */
    uint32_t oldest_seen; /* the last one that was acted on */
} sw_positions;

void sw_positions_deinit(sw_positions *positions);

/* Adds a position, of a checkpoint newer than those there; 0: of all newer ones. SW_OK, SW_ENOMEM. */
int sw_positions_add(sw_positions *positions, uint32_t checkpoint, const sw_buf *bytes);

/* Looks at `oldest`: when it has changed, drops what is older. Its position, valid until the next call; NULL: it has
 * not changed, or nothing is known of it. */
const sw_buf *sw_positions_released(sw_positions *positions);

#endif
