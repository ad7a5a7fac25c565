#include "run/ack_nodes.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

#define PLACES_FIRST 64

_Static_assert(sizeof(sw_ack_node) == 32, "memory of a pending event");

void sw_ack_nodes_init(sw_ack_nodes *nodes)
{
    memset(nodes, 0, sizeof(*nodes));
    nodes->free = nodes->oldest = nodes->newest = SW_ACK_NONE;
}

void sw_ack_nodes_deinit(sw_ack_nodes *nodes)
{
    sw_free(nodes->list);
    sw_ack_nodes_init(nodes);
}

static bool add_place(sw_ack_nodes *nodes)
{
    if (nodes->count == SW_ACK_PLACES_MAX) return false;
    if (nodes->count == nodes->cap) {
        uint32_t cap = nodes->cap > 0 ? 2 * nodes->cap : PLACES_FIRST;
        sw_ack_node *list = sw_realloc(nodes->list, cap * sizeof(*list));
        if (list == NULL) return false;
        nodes->list = list;
        nodes->cap = cap;
    }
    nodes->list[nodes->count] = (sw_ack_node){ .generation = 1, .newer = nodes->free };
    nodes->free = nodes->count++;
    return true;
}

uint32_t sw_ack_nodes_take(sw_ack_nodes *nodes, sw_ack_kind kind)
{
    if (nodes->free == SW_ACK_NONE && !add_place(nodes)) return SW_ACK_NONE;
    uint32_t place = nodes->free;
    sw_ack_node *node = &nodes->list[place];
    nodes->free = node->newer;
    node->sum = 0;
    node->keeps = NULL;
    node->kind = kind;
    node->older = node->newer = SW_ACK_NONE;
    return place;
}

void sw_ack_nodes_renew(sw_ack_nodes *nodes, uint32_t place)
{
    sw_ack_node *node = &nodes->list[place];
    uint32_t next = (node->generation + 1) & (SW_ACK_PLACES_MAX - 1);
    node->generation = next != 0 ? next : 1; /* So that the name is never 0. */
}

void sw_ack_nodes_give_back(sw_ack_nodes *nodes, uint32_t place)
{
    sw_ack_nodes_renew(nodes, place);
    nodes->list[place].kind = SW_ACK_FREE;
    nodes->list[place].newer = nodes->free;
    nodes->free = place;
}

void sw_ack_nodes_age(sw_ack_nodes *nodes, uint32_t place, uint32_t now_ms)
{
    sw_ack_node *node = &nodes->list[place];
    node->taken_ms = now_ms;
    node->older = nodes->newest;
    node->newer = SW_ACK_NONE;
    if (nodes->newest != SW_ACK_NONE) nodes->list[nodes->newest].newer = place;
    else nodes->oldest = place;
    nodes->newest = place;
}

void sw_ack_nodes_unage(sw_ack_nodes *nodes, uint32_t place)
{
    sw_ack_node *node = &nodes->list[place];
    if (node->older != SW_ACK_NONE) nodes->list[node->older].newer = node->newer;
    else nodes->oldest = node->newer;
    if (node->newer != SW_ACK_NONE) nodes->list[node->newer].older = node->older;
    else nodes->newest = node->older;
    node->older = node->newer = SW_ACK_NONE;
}
