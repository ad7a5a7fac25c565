/* graphs.h -- short ways to write a graph in tests. */
#ifndef TESTS_RUN_GRAPHS_H
#define TESTS_RUN_GRAPHS_H

#include "run/graph.h"

/* Adds a component with this parallelism of its own (0: none) and returns its index. */
static inline uint32_t add_component(sw_graph *graph, const char *name, sw_component_kind kind, uint32_t own)
{
    sw_component component = { .name = (char *)(uintptr_t)name, .kind = kind, .parallelism_own = own };
    assert_int_equal(sw_graph_add_component(graph, &component, NULL), SW_OK);
    return graph->component_count - 1;
}

static inline void add_edge(sw_graph *graph, uint32_t from, uint32_t to, sw_grouping grouping)
{
    sw_edge edge = { .from = from, .to = to, .output = (char *)(uintptr_t) "default", .grouping = grouping };
    assert_int_equal(sw_graph_add_edge(graph, &edge, NULL), SW_OK);
}

#endif
