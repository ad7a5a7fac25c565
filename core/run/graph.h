/* graph.h -- a job's components and streams as the engine knows them, and the plan made of them.
 *
 *     components and edges --sw_graph_plan--> parallelism of each, tasks (chains of fused components), channels needed
 *
 * An edge is fused, and costs no channel, when it cannot move an event to another instance: it is forwarded between
 * equal parallelisms, or both sides have one instance; and all other inputs of its consumer come from the same task;
 * and the consumer asks for no queue of its own. A component with any other input heads a task.
 *
 * Parallelism: the component's own; else 1 on a single resource; else that of its upstream when all its inputs are
 * forwarded; else the job's (1 behind global()). A forward edge between unequal parallelisms is a shuffle.
 *
 * Ownership  The graph owns all strings and arrays in it.
 * Threads    Built by one thread, then read by all.
 * Limits     SW_PARALLELISM_MAX instances a component. */
#ifndef SW_RUN_GRAPH_H
#define SW_RUN_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define SW_PARALLELISM_MAX 128
#define SW_NO_TASK UINT32_MAX

typedef enum sw_component_kind { SW_SOURCE, SW_OPERATOR, SW_SINK } sw_component_kind;

typedef enum sw_grouping {
    SW_GROUPING_FORWARD,
    SW_GROUPING_SHUFFLE,
    SW_GROUPING_KEY,
    SW_GROUPING_BROADCAST,
    SW_GROUPING_GLOBAL,
    SW_GROUPING_PARTITION,
} sw_grouping;

typedef struct sw_component {
    char *name;               /* unique in the job */
    sw_component_kind kind;   /* what it does with events */
    bool is_single;           /* works on one resource: has one instance */
    uint32_t parallelism_own; /* as said in the script; 0: not said */
    uint32_t queue_own;       /* events per input channel as said in the script; 0: not said */
    uint32_t parallelism;     /* instances; set by the plan */
    uint32_t task;            /* index of the task it is in; set by the plan */
} sw_component;

typedef struct sw_edge {
    uint32_t from, to;        /* component indexes */
    char *output;             /* which output of `from` */
    sw_grouping grouping;     /* the plan turns forward into shuffle where it must */
    char **key_fields;        /* SW_GROUPING_KEY by fields: their names; NULL for a key function */
    uint32_t key_field_count; /* names */
    bool is_detached;         /* never fused (dead letters) */
    bool is_fused;            /* set by the plan */
} sw_edge;

typedef struct sw_plan_task {
    uint32_t head;        /* component with inputs from outside, or the source */
    uint32_t *components; /* all of them in topological order, head first */
    uint32_t count;       /* components */
    uint32_t parallelism; /* instances */
} sw_plan_task;

typedef struct sw_graph {
    sw_component *components; /* in order of declaration */
    uint32_t component_count; /* entries of components */
    sw_edge *edges;           /* in order of declaration */
    uint32_t edge_count;      /* entries of edges */
    sw_plan_task *tasks;      /* set by the plan */
    uint32_t task_count;      /* entries of tasks */
} sw_graph;

void sw_graph_init(sw_graph *graph);
void sw_graph_deinit(sw_graph *graph);

/* Add a component or an edge; strings are copied. The index is the count before. SW_OK, SW_ENOMEM, SW_EINVAL. */
int sw_graph_add_component(sw_graph *graph, const sw_component *component, sw_error *err);
int sw_graph_add_edge(sw_graph *graph, const sw_edge *edge, sw_error *err);

/* Fills in what the plan sets. SW_EINVAL for a cycle, duplicate names, or a parallelism out of bounds; the text says
 * which. */
int sw_graph_plan(sw_graph *graph, uint32_t job_parallelism, sw_error *err);

/* Index of the component called name, or -1. */
int sw_graph_find(const sw_graph *graph, const char *name);

const char *sw_grouping_name(sw_grouping grouping);

#endif
