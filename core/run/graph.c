#include "run/graph.h"

#include <string.h>

#include "base/alloc.h"

void sw_graph_init(sw_graph *graph)
{
    memset(graph, 0, sizeof(*graph));
}

static void free_edge(sw_edge *edge)
{
    sw_free(edge->output);
    for (uint32_t i = 0; i < edge->key_field_count; i++) sw_free(edge->key_fields[i]);
    sw_free(edge->key_fields);
}

static void free_tasks(sw_graph *graph)
{
    for (uint32_t i = 0; i < graph->task_count; i++) sw_free(graph->tasks[i].components);
    sw_free(graph->tasks);
    graph->tasks = NULL;
    graph->task_count = 0;
}

void sw_graph_deinit(sw_graph *graph)
{
    for (uint32_t i = 0; i < graph->component_count; i++) sw_free(graph->components[i].name);
    for (uint32_t i = 0; i < graph->edge_count; i++) free_edge(&graph->edges[i]);
    free_tasks(graph);
    sw_free(graph->components);
    sw_free(graph->edges);
    sw_graph_init(graph);
}

int sw_graph_find(const sw_graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->component_count; i++)
        if (strcmp(graph->components[i].name, name) == 0) return (int)i;
    return -1;
}

int sw_graph_add_component(sw_graph *graph, const sw_component *component, sw_error *err)
{
    if (sw_graph_find(graph, component->name) >= 0)
        return sw_error_set(err, SW_EINVAL, "two components are called \"%s\"", component->name);
    sw_component *list = sw_realloc(graph->components, (graph->component_count + 1) * sizeof(*graph->components));
    if (list == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    graph->components = list;
    sw_component *copy = &list[graph->component_count];
    *copy = *component;
    copy->name = sw_strdup(component->name);
    if (copy->name == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    copy->task = SW_NO_TASK;
    graph->component_count++;
    return SW_OK;
}

static int copy_key_fields(sw_edge *copy, const sw_edge *edge)
{
    if (edge->key_field_count == 0) return SW_OK;
    copy->key_fields = sw_calloc(edge->key_field_count, sizeof(char *));
    if (copy->key_fields == NULL) return SW_ENOMEM;
    for (uint32_t i = 0; i < edge->key_field_count; i++) {
        if ((copy->key_fields[i] = sw_strdup(edge->key_fields[i])) == NULL) return SW_ENOMEM;
        copy->key_field_count++;
    }
    return SW_OK;
}

int sw_graph_add_edge(sw_graph *graph, const sw_edge *edge, sw_error *err)
{
    if (edge->from >= graph->component_count || edge->to >= graph->component_count)
        return sw_error_set(err, SW_EINVAL, "an edge names a component that does not exist");
    sw_edge *list = sw_realloc(graph->edges, (graph->edge_count + 1) * sizeof(*graph->edges));
    if (list == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    graph->edges = list;
    sw_edge *copy = &list[graph->edge_count];
    *copy = *edge;
    copy->key_fields = NULL; /* What free_edge finds is the copy's own. */
    copy->key_field_count = 0;
    copy->output = sw_strdup(edge->output);
    if (copy->output == NULL || copy_key_fields(copy, edge) != SW_OK) {
        free_edge(copy);
        return sw_error_set(err, SW_ENOMEM, "out of memory");
    }
    graph->edge_count++;
    return SW_OK;
}

const char *sw_grouping_name(sw_grouping grouping)
{
    static const char *const names[] = { "forward", "shuffle", "key", "broadcast", "global", "partition" };
    return names[grouping];
}

/* --- the plan ------------------------------------------------------------------------------------------------- */

/* Kahn's algorithm: writes component indexes in topological order, lowest index first among the ready. */
static int sort_topologically(const sw_graph *graph, uint32_t *order, sw_error *err)
{
    uint32_t count = graph->component_count, done = 0;
    uint32_t *missing = sw_calloc(count, sizeof(*missing));
    bool *is_placed = sw_calloc(count, sizeof(*is_placed));
    int rc = SW_OK;
    if (missing == NULL || is_placed == NULL) {
        rc = sw_error_set(err, SW_ENOMEM, "out of memory");
        goto free_lists;
    }
    for (uint32_t e = 0; e < graph->edge_count; e++) missing[graph->edges[e].to]++;
    while (done < count) {
        uint32_t c = 0;
        while (c < count && (is_placed[c] || missing[c] > 0)) c++;
        if (c == count) break;
        is_placed[c] = true;
        order[done++] = c;
        for (uint32_t e = 0; e < graph->edge_count; e++)
            if (graph->edges[e].from == c) missing[graph->edges[e].to]--;
    }
    for (uint32_t c = 0; c < count && done < count; c++) {
        if (is_placed[c]) continue;
        rc = sw_error_set(err, SW_EINVAL, "component \"%s\" is part of a cycle or behind one",
                          graph->components[c].name);
        break;
    }
free_lists:
    sw_free(missing);
    sw_free(is_placed);
    return rc;
}

/* What a component without a parallelism of its own gets from its inputs. */
static uint32_t inherited_parallelism(const sw_graph *graph, uint32_t c, uint32_t job_parallelism)
{
    uint32_t upstream = 0;
    bool is_all_global = true;
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        const sw_edge *edge = &graph->edges[e];
        if (edge->to != c) continue;
        if (edge->grouping != SW_GROUPING_GLOBAL) is_all_global = false;
        if (edge->grouping != SW_GROUPING_FORWARD && edge->grouping != SW_GROUPING_GLOBAL) return job_parallelism;
        if (edge->grouping == SW_GROUPING_FORWARD && graph->components[edge->from].parallelism > upstream)
            upstream = graph->components[edge->from].parallelism;
    }
    if (upstream > 0) return upstream;
    return is_all_global ? 1 : job_parallelism;
}

static int set_parallelism(sw_graph *graph, uint32_t c, uint32_t job_parallelism, sw_error *err)
{
    sw_component *component = &graph->components[c];
    if (component->parallelism_own > 0) component->parallelism = component->parallelism_own;
    else if (component->is_single) component->parallelism = 1;
    else if (component->kind == SW_SOURCE) component->parallelism = job_parallelism;
    else component->parallelism = inherited_parallelism(graph, c, job_parallelism);
    if (component->is_single && component->parallelism > 1)
        return sw_error_set(err, SW_EINVAL, "component \"%s\" works on one resource and cannot have parallelism %u",
                            component->name, component->parallelism);
    if (component->parallelism < 1 || component->parallelism > SW_PARALLELISM_MAX)
        return sw_error_set(err, SW_EINVAL, "component \"%s\": parallelism %u is not between 1 and %d", component->name,
                            component->parallelism, SW_PARALLELISM_MAX);
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        sw_edge *edge = &graph->edges[e];
        if (edge->to == c && edge->grouping == SW_GROUPING_FORWARD &&
            graph->components[edge->from].parallelism != component->parallelism)
            edge->grouping = SW_GROUPING_SHUFFLE;
    }
    return SW_OK;
}

/* Can this edge never move an event to another instance? */
static bool is_local(const sw_graph *graph, const sw_edge *edge)
{
    if (edge->is_detached) return false;
    if (edge->grouping == SW_GROUPING_FORWARD) return true;
    return graph->components[edge->from].parallelism == 1 && graph->components[edge->to].parallelism == 1;
}

/* The task that component c can join, or SW_NO_TASK when it must head its own. */
static uint32_t task_to_join(const sw_graph *graph, uint32_t c)
{
    uint32_t task = SW_NO_TASK;
    if (graph->components[c].kind == SW_SOURCE || graph->components[c].queue_own > 0) return SW_NO_TASK;
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        const sw_edge *edge = &graph->edges[e];
        if (edge->to != c) continue;
        uint32_t from_task = graph->components[edge->from].task;
        if (!is_local(graph, edge) || (task != SW_NO_TASK && task != from_task)) return SW_NO_TASK;
        task = from_task;
    }
    return task;
}

static int join_task(sw_graph *graph, uint32_t c, uint32_t task, sw_error *err)
{
    if (task == SW_NO_TASK) {
        sw_plan_task *list = sw_realloc(graph->tasks, (graph->task_count + 1) * sizeof(*list));
        if (list == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
        graph->tasks = list;
        task = graph->task_count++;
        list[task] = (sw_plan_task){ .head = c, .parallelism = graph->components[c].parallelism };
    } else {
        for (uint32_t e = 0; e < graph->edge_count; e++)
            if (graph->edges[e].to == c) graph->edges[e].is_fused = true;
    }
    sw_plan_task *joined = &graph->tasks[task];
    uint32_t *members = sw_realloc(joined->components, (joined->count + 1) * sizeof(*members));
    if (members == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    joined->components = members;
    members[joined->count++] = c;
    graph->components[c].task = task;
    return SW_OK;
}

int sw_graph_plan(sw_graph *graph, uint32_t job_parallelism, sw_error *err)
{
    uint32_t *order = sw_calloc(graph->component_count + 1, sizeof(*order));
    if (order == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    free_tasks(graph);
    for (uint32_t e = 0; e < graph->edge_count; e++) graph->edges[e].is_fused = false;
    int rc = sort_topologically(graph, order, err);
    for (uint32_t i = 0; rc == SW_OK && i < graph->component_count; i++)
        rc = set_parallelism(graph, order[i], job_parallelism, err);
    for (uint32_t i = 0; rc == SW_OK && i < graph->component_count; i++)
        rc = join_task(graph, order[i], task_to_join(graph, order[i]), err);
    sw_free(order);
    return rc;
}
