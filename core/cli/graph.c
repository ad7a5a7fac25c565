#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/job_options.h"
#include "cli/json.h"

enum {
    OPTION_FORMAT = SW_JOB_OPTION_END,
};

static const sw_cli_option graph_options[] = {
    { OPTION_FORMAT, "format", "text|json|mermaid|dot", "what to print; default text" },
    SW_JOB_OPTIONS,
    { 0 },
};

static const char *const kind_names[] = { [SW_SOURCE] = "source", [SW_OPERATOR] = "operator", [SW_SINK] = "sink" };

/* --- what all forms say ------------------------------------------------------------------------------------------- */

/* "" for the default output, which has no name in a script. */
static const char *output_of(const sw_edge *edge)
{
    return edge->output == NULL || strcmp(edge->output, "default") == 0 ? "" : edge->output;
}

/* "forward", "by key card, bank" or "by key (function)". */
static int print_grouping(sw_buf *out, const sw_edge *edge)
{
    if (edge->grouping != SW_GROUPING_KEY) return sw_buf_append_str(out, sw_grouping_name(edge->grouping));
    int rc = sw_buf_append_str(out, edge->key_field_count > 0 ? "by key " : "by key (function)");
    for (uint32_t i = 0; rc == SW_OK && i < edge->key_field_count; i++)
        rc = sw_buf_printf(out, "%s%s", i > 0 ? ", " : "", edge->key_fields[i]);
    return rc;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

static int name_width(const sw_graph *graph)
{
    size_t width = 0;
    for (uint32_t c = 0; c < graph->component_count; c++) {
        size_t len = strlen(graph->components[c].name);
        if (len > width) width = len;
    }
    return (int)width;
}

static int print_text_input(sw_buf *out, const sw_graph *graph, const sw_edge *edge)
{
    const char *output = output_of(edge);
    int rc = sw_buf_printf(out, "    from %s%s%s, ", graph->components[edge->from].name, output[0] != '\0' ? ":" : "",
                           output);
    if (rc == SW_OK) rc = print_grouping(out, edge);
    return rc == SW_OK ? sw_buf_append_str(out, edge->is_fused ? " (fused)\n" : "\n") : rc;
}

static int print_text_component(sw_buf *out, const sw_graph *graph, uint32_t index, int width)
{
    const sw_component *component = &graph->components[index];
    int rc =
        sw_buf_printf(out, "%-*s  %-8s  %u instance%s, task %u\n", width, component->name, kind_names[component->kind],
                      component->parallelism, component->parallelism == 1 ? "" : "s", component->task);
    for (uint32_t e = 0; rc == SW_OK && e < graph->edge_count; e++)
        if (graph->edges[e].to == index) rc = print_text_input(out, graph, &graph->edges[e]);
    return rc;
}

static int print_text_task(sw_buf *out, const sw_graph *graph, uint32_t index)
{
    const sw_plan_task *task = &graph->tasks[index];
    int rc = sw_buf_printf(out, "task %u: ", index);
    for (uint32_t i = 0; rc == SW_OK && i < task->count; i++)
        rc = sw_buf_printf(out, "%s%s", i > 0 ? " + " : "", graph->components[task->components[i]].name);
    return rc == SW_OK ? sw_buf_append_str(out, "\n") : rc;
}

static int print_text(sw_buf *out, const char *job, const sw_graph *graph)
{
    int width = name_width(graph);
    int rc =
        sw_buf_printf(out, "%s: %u component%s in %u task%s\n\n", job, graph->component_count,
                      graph->component_count == 1 ? "" : "s", graph->task_count, graph->task_count == 1 ? "" : "s");
    for (uint32_t c = 0; rc == SW_OK && c < graph->component_count; c++)
        rc = print_text_component(out, graph, c, width);
    if (rc == SW_OK) rc = sw_buf_append_str(out, "\n");
    for (uint32_t t = 0; rc == SW_OK && t < graph->task_count; t++) rc = print_text_task(out, graph, t);
    return rc;
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static int print_json_input(sw_buf *out, const sw_graph *graph, const sw_edge *edge)
{
    int rc = sw_buf_append_str(out, "{\"from\":");
    if (rc == SW_OK) rc = sw_cli_json_string(out, graph->components[edge->from].name);
    if (rc == SW_OK) rc = sw_buf_append_str(out, ",\"output\":");
    if (rc == SW_OK) rc = sw_cli_json_string(out, edge->output);
    if (rc == SW_OK) rc = sw_buf_printf(out, ",\"grouping\":\"%s\",\"fields\":[", sw_grouping_name(edge->grouping));
    for (uint32_t i = 0; rc == SW_OK && i < edge->key_field_count; i++) {
        if (i > 0) rc = sw_buf_append_str(out, ",");
        if (rc == SW_OK) rc = sw_cli_json_string(out, edge->key_fields[i]);
    }
    return rc == SW_OK ? sw_buf_printf(out, "],\"fused\":%s}", edge->is_fused ? "true" : "false") : rc;
}

static int print_json_component(sw_buf *out, const sw_graph *graph, uint32_t index)
{
    const sw_component *component = &graph->components[index];
    uint32_t inputs = 0;
    int rc = sw_buf_append_str(out, "{\"name\":");
    if (rc == SW_OK) rc = sw_cli_json_string(out, component->name);
    if (rc == SW_OK)
        rc = sw_buf_printf(out, ",\"kind\":\"%s\",\"parallelism\":%u,\"task\":%u,\"inputs\":[",
                           kind_names[component->kind], component->parallelism, component->task);
    for (uint32_t e = 0; rc == SW_OK && e < graph->edge_count; e++) {
        if (graph->edges[e].to != index) continue;
        if (inputs++ > 0) rc = sw_buf_append_str(out, ",");
        if (rc == SW_OK) rc = print_json_input(out, graph, &graph->edges[e]);
    }
    return rc == SW_OK ? sw_buf_append_str(out, "]}") : rc;
}

static int print_json_task(sw_buf *out, const sw_graph *graph, uint32_t index)
{
    const sw_plan_task *task = &graph->tasks[index];
    int rc = sw_buf_printf(out, "{\"parallelism\":%u,\"components\":[", task->parallelism);
    for (uint32_t i = 0; rc == SW_OK && i < task->count; i++) {
        if (i > 0) rc = sw_buf_append_str(out, ",");
        if (rc == SW_OK) rc = sw_cli_json_string(out, graph->components[task->components[i]].name);
    }
    return rc == SW_OK ? sw_buf_append_str(out, "]}") : rc;
}

static int print_json(sw_buf *out, const char *job, const sw_graph *graph)
{
    int rc = sw_buf_append_str(out, "{\"job\":");
    if (rc == SW_OK) rc = sw_cli_json_string(out, job);
    if (rc == SW_OK) rc = sw_buf_append_str(out, ",\n \"components\":[");
    for (uint32_t c = 0; rc == SW_OK && c < graph->component_count; c++) {
        if (c > 0) rc = sw_buf_append_str(out, ",\n  ");
        if (rc == SW_OK) rc = print_json_component(out, graph, c);
    }
    if (rc == SW_OK) rc = sw_buf_append_str(out, "],\n \"tasks\":[");
    for (uint32_t t = 0; rc == SW_OK && t < graph->task_count; t++) {
        if (t > 0) rc = sw_buf_append_str(out, ",\n  ");
        if (rc == SW_OK) rc = print_json_task(out, graph, t);
    }
    return rc == SW_OK ? sw_buf_append_str(out, "]}\n") : rc;
}

/* --- Mermaid and Graphviz: a box per component, a frame per task of several --------------------------------------- */

typedef struct drawing {
    sw_buf *out;           /* the text so far; borrowed */
    const sw_graph *graph; /* what is drawn; borrowed */
    bool is_dot;           /* Graphviz, else Mermaid */
} drawing;

/* Text inside a quoted label. */
static int draw_text(const drawing *d, const char *text)
{
    int rc = SW_OK;
    for (; rc == SW_OK && *text != '\0'; text++) {
        if (*text == '"') rc = sw_buf_append_str(d->out, d->is_dot ? "\\\"" : "#quot;");
        else if (*text == '\\' && d->is_dot) rc = sw_buf_append_str(d->out, "\\\\");
        else rc = sw_buf_append(d->out, text, 1);
    }
    return rc;
}

static int draw_component(const drawing *d, uint32_t index)
{
    static const char *const mermaid_shapes[][2] = { { "([\"", "\"])" }, { "[\"", "\"]" }, { "[/\"", "\"/]" } };
    static const char *const dot_shapes[] = { "ellipse", "box", "parallelogram" };
    const sw_component *component = &d->graph->components[index];
    const char *open = d->is_dot ? " [label=\"" : mermaid_shapes[component->kind][0];
    int rc = sw_buf_printf(d->out, "  c%u%s", index, open);
    if (rc == SW_OK) rc = draw_text(d, component->name);
    if (rc == SW_OK && component->parallelism > 1) rc = sw_buf_printf(d->out, " x%u", component->parallelism);
    if (rc != SW_OK) return rc;
    if (d->is_dot) return sw_buf_printf(d->out, "\", shape=%s];\n", dot_shapes[component->kind]);
    return sw_buf_printf(d->out, "%s\n", mermaid_shapes[component->kind][1]);
}

static int draw_task(const drawing *d, uint32_t index)
{
    const sw_plan_task *task = &d->graph->tasks[index];
    int rc = SW_OK;
    if (task->count > 1 && d->is_dot)
        rc = sw_buf_printf(d->out, "  subgraph cluster_t%u {\n  label=\"task %u\";\n", index, index);
    else if (task->count > 1) rc = sw_buf_printf(d->out, "  subgraph t%u [\"task %u\"]\n", index, index);
    for (uint32_t i = 0; rc == SW_OK && i < task->count; i++) rc = draw_component(d, task->components[i]);
    if (rc != SW_OK || task->count == 1) return rc;
    return sw_buf_append_str(d->out, d->is_dot ? "  }\n" : "  end\n");
}

static int draw_edge(const drawing *d, const sw_edge *edge)
{
    sw_buf label = { 0 };
    const char *output = output_of(edge);
    int rc = sw_buf_printf(&label, "%s%s", output, output[0] != '\0' ? ": " : "");
    if (rc == SW_OK) rc = print_grouping(&label, edge);
    if (rc == SW_OK && d->is_dot) rc = sw_buf_printf(d->out, "  c%u -> c%u [label=\"", edge->from, edge->to);
    else if (rc == SW_OK) rc = sw_buf_printf(d->out, "  c%u -->|\"", edge->from);
    if (rc == SW_OK) rc = sw_buf_append(&label, "", 1);
    if (rc == SW_OK) rc = draw_text(d, (const char *)label.data);
    if (rc == SW_OK && d->is_dot) rc = sw_buf_append_str(d->out, "\"];\n");
    else if (rc == SW_OK) rc = sw_buf_printf(d->out, "\"| c%u\n", edge->to);
    sw_buf_deinit(&label);
    return rc;
}

static int draw(sw_buf *out, const sw_graph *graph, bool is_dot)
{
    const drawing d = { .out = out, .graph = graph, .is_dot = is_dot };
    int rc = sw_buf_append_str(out, is_dot ? "digraph job {\n  rankdir=LR;\n" : "flowchart LR\n");
    for (uint32_t t = 0; rc == SW_OK && t < graph->task_count; t++) rc = draw_task(&d, t);
    for (uint32_t e = 0; rc == SW_OK && e < graph->edge_count; e++) rc = draw_edge(&d, &graph->edges[e]);
    return rc == SW_OK && is_dot ? sw_buf_append_str(out, "}\n") : rc;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

typedef enum graph_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_MERMAID, FORMAT_DOT } graph_format;

typedef struct graph_settings {
    sw_job_options job;  /* which */
    graph_format format; /* of --format */
} graph_settings;

static int set_option(void *arg, int id, const char *value, sw_error *err)
{
    static const char *const formats[] = { "text", "json", "mermaid", "dot", NULL }; /* As graph_format. */
    graph_settings *settings = arg;
    int index;
    if (id != OPTION_FORMAT) return sw_job_options_set(&settings->job, id, value, err);
    int rc = sw_cli_read_word(value, formats, &index, err);
    if (rc == SW_OK) settings->format = (graph_format)index;
    return rc;
}

static int print_graph(sw_buf *out, const sw_runner *runner, graph_format format)
{
    switch (format) {
    case FORMAT_JSON: return print_json(out, runner->job, &runner->graph);
    case FORMAT_MERMAID: return draw(out, &runner->graph, false);
    case FORMAT_DOT: return draw(out, &runner->graph, true);
    case FORMAT_TEXT: break;
    }
    return print_text(out, runner->job, &runner->graph);
}

static int show_graph(const graph_settings *settings)
{
    sw_runner runner;
    sw_buf out = { 0 };
    int status = sw_job_open(&runner, &settings->job);
    if (status == SW_EXIT_OK && print_graph(&out, &runner, settings->format) != SW_OK) {
        fputs("swlua: out of memory\n", stderr);
        status = SW_EXIT_FAILED;
    }
    if (status == SW_EXIT_OK) fwrite(out.data, 1, out.size, stdout);
    sw_buf_deinit(&out);
    sw_runner_close(&runner);
    return status;
}

static int run_graph(const sw_command *command, int argc, char **argv)
{
    graph_settings settings = { .format = FORMAT_TEXT };
    sw_cli_parsed parsed;
    sw_error err;
    int status;
    sw_job_options_init(&settings.job);
    settings.job.config.is_detached = true;
    if (sw_command_begin(command, argc, argv, set_option, &settings, &parsed, &status)) {
        if (sw_job_options_take_script(&settings.job, &parsed, &err) == SW_OK) status = show_graph(&settings);
        else status = sw_command_misused(command, "%s", err.text);
    }
    sw_job_options_deinit(&settings.job);
    return status;
}

const sw_command sw_command_graph = {
    .name = "graph",
    .arguments = "SCRIPT [options] [-- script arguments]",
    .summary = "the job's components, parallelism, groupings and outputs",
    .options = graph_options,
    .run = run_graph,
};
