/* ack_nodes.h -- the nodes of a tracker (ack.h): events that wait to be acknowledged, in places that are used again.
 *
 *     take --> [ node: sum, what it keeps ] by age --give_back--> free
 *
 * A node is named by its place and the generation of its use, so that messages about an earlier use find nothing.
 *
 * Ownership  The nodes own their memory, the tracker what they keep.
 * Threads    The tracker's.
 * Limits     2^24 places. */
#ifndef SW_RUN_ACK_NODES_H
#define SW_RUN_ACK_NODES_H

#include <stdbool.h>
#include <stdint.h>

#define SW_ACK_NONE UINT32_MAX /* no place */
#define SW_ACK_PLACES_MAX (1u << 24)

typedef enum sw_ack_kind {
    SW_ACK_FREE,
    SW_ACK_EVENT, /* a root */
    SW_ACK_DUE,   /* a root that waits to be replayed; not in order of age */
    SW_ACK_LINK,
} sw_ack_kind;

/* A root's event, for replaying. */
typedef struct sw_ack_kept {
    uint64_t id;     /* of the event */
    uint64_t mark;   /* number of the mark it was given behind */
    uint32_t errors; /* it has failed with so far */
    uint32_t cap;    /* bytes behind this header, where its row lies */
} sw_ack_kept;

/* What a link descends from. */
typedef struct sw_ack_parents {
    uint32_t count;        /* entries of anchors */
    uint32_t reserved;     /* 0 */
    uint64_t anchors[][2]; /* root and edge */
} sw_ack_parents;

typedef struct sw_ack_node {
    uint64_t sum;             /* XOR of the edges seen once */
    void *keeps;              /* sw_ack_kept or sw_ack_parents; owned by the tracker */
    uint32_t generation : 24; /* of this use of the place */
    uint32_t kind : 8;        /* sw_ack_kind */
    uint32_t older, newer;    /* places next to it by age; free or due: `newer` is the next one */
    uint32_t taken_ms;        /* time at which it became pending, wrapping */
} sw_ack_node;

typedef struct sw_ack_nodes {
    sw_ack_node *list;       /* by place; owned */
    uint32_t count, cap;     /* places ever used, and room */
    uint32_t free;           /* first free place */
    uint32_t oldest, newest; /* by age */
} sw_ack_nodes;

void sw_ack_nodes_init(sw_ack_nodes *nodes);
void sw_ack_nodes_deinit(sw_ack_nodes *nodes);

/* A place, not in order of age yet; SW_ACK_NONE: out of memory. Nodes may move. */
uint32_t sw_ack_nodes_take(sw_ack_nodes *nodes, sw_ack_kind kind);
void sw_ack_nodes_give_back(sw_ack_nodes *nodes, uint32_t place);

/* Puts a node behind all others by age. */
void sw_ack_nodes_age(sw_ack_nodes *nodes, uint32_t place, uint32_t now_ms);
/* Takes it out of that order. */
void sw_ack_nodes_unage(sw_ack_nodes *nodes, uint32_t place);
/* Lets no message about it find it any more. */
void sw_ack_nodes_renew(sw_ack_nodes *nodes, uint32_t place);

/* Generation and place in 48 bits, and back: SW_ACK_NONE when the node is not the one that was named. */
static inline uint64_t sw_ack_nodes_name(const sw_ack_nodes *nodes, uint32_t place)
{
    return (uint64_t)nodes->list[place].generation << 24 | place;
}
static inline uint32_t sw_ack_nodes_find(const sw_ack_nodes *nodes, uint64_t name)
{
    uint32_t place = name & (SW_ACK_PLACES_MAX - 1);
    if (place >= nodes->count) return SW_ACK_NONE;
    const sw_ack_node *node = &nodes->list[place];
    bool is_it = (node->kind == SW_ACK_EVENT || node->kind == SW_ACK_LINK) &&
                 node->generation == (name >> 24 & (SW_ACK_PLACES_MAX - 1));
    return is_it ? place : SW_ACK_NONE;
}

#endif
