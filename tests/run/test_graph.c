#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "graphs.h"

#define JOB_PARALLELISM 4

static sw_graph graph; /* of the test that runs */

static int start_graph(void **state)
{
    (void)state;
    sw_graph_init(&graph);
    return 0;
}

static int end_graph(void **state)
{
    (void)state;
    sw_graph_deinit(&graph);
    return 0;
}

static uint32_t source(const char *name, uint32_t own)
{
    return add_component(&graph, name, SW_SOURCE, own);
}

static uint32_t operator(const char *name, uint32_t own)
{
    return add_component(&graph, name, SW_OPERATOR, own);
}

static void join(uint32_t from, uint32_t to, sw_grouping grouping)
{
    add_edge(&graph, from, to, grouping);
}

static void plan(void)
{
    sw_error err = { 0 };
    int rc = sw_graph_plan(&graph, JOB_PARALLELISM, &err);
    if (rc != SW_OK) fail_msg("%s", err.text);
}

static void assert_plan_refused(const char *text)
{
    sw_error err = { 0 };
    assert_int_equal(sw_graph_plan(&graph, JOB_PARALLELISM, &err), SW_EINVAL);
    assert_string_equal(err.text, text);
}

static void assert_task(uint32_t task, uint32_t count, const uint32_t *components)
{
    assert_true(task < graph.task_count);
    assert_int_equal(graph.tasks[task].count, count);
    assert_int_equal(graph.tasks[task].head, components[0]);
    for (uint32_t i = 0; i < count; i++) {
        const sw_component *component = &graph.components[components[i]];
        assert_int_equal(graph.tasks[task].components[i], components[i]);
        assert_int_equal(component->task, task);
        assert_int_equal(graph.tasks[task].parallelism, component->parallelism);
    }
}

#define ASSERT_TASK(task, ...)                                                                                         \
    assert_task(task, sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t), (uint32_t[]){ __VA_ARGS__ })

/* --- parallelism ---------------------------------------------------------------------------------------- */

static void the_jobs_parallelism_applies_to_sources(void **state)
{
    (void)state;
    uint32_t plain = source("plain", 0), own = source("own", 3);
    plan();
    assert_int_equal(graph.components[plain].parallelism, JOB_PARALLELISM);
    assert_int_equal(graph.components[own].parallelism, 3);
}

static void a_component_takes_its_upstreams_parallelism_until_a_grouping_is_named(void **state)
{
    (void)state;
    uint32_t from = source("from", 3), map = operator("map", 0), filter = operator("filter", 0);
    uint32_t keyed = operator("keyed", 0), behind = operator("behind", 0);
    join(from, map, SW_GROUPING_FORWARD);
    join(map, filter, SW_GROUPING_FORWARD);
    join(filter, keyed, SW_GROUPING_KEY);
    join(keyed, behind, SW_GROUPING_FORWARD);
    plan();
    assert_int_equal(graph.components[map].parallelism, 3);
    assert_int_equal(graph.components[filter].parallelism, 3);
    assert_int_equal(graph.components[keyed].parallelism, JOB_PARALLELISM);
    assert_int_equal(graph.components[behind].parallelism, JOB_PARALLELISM);
}

static void behind_every_grouping_but_global_the_jobs_parallelism_applies(void **state)
{
    static const sw_grouping groupings[] = { SW_GROUPING_SHUFFLE, SW_GROUPING_KEY, SW_GROUPING_BROADCAST,
                                             SW_GROUPING_PARTITION };
    (void)state;
    uint32_t from = source("from", 3);
    for (int i = 0; i < 4; i++) {
        uint32_t to = operator(sw_grouping_name(groupings[i]), 0);
        join(from, to, groupings[i]);
        plan();
        assert_int_equal(graph.components[to].parallelism, JOB_PARALLELISM);
        assert_int_equal(graph.edges[i].grouping, groupings[i]);
    }
    uint32_t global = operator("global", 0);
    join(from, global, SW_GROUPING_GLOBAL);
    plan();
    assert_int_equal(graph.components[global].parallelism, 1);
}

static void a_components_own_parallelism_wins_over_what_it_would_get(void **state)
{
    (void)state;
    uint32_t from = source("from", 3), map = operator("map", 2), keyed = operator("keyed", 5);
    uint32_t global = operator("global", 6);
    join(from, map, SW_GROUPING_FORWARD);
    join(map, keyed, SW_GROUPING_KEY);
    join(map, global, SW_GROUPING_GLOBAL);
    plan();
    assert_int_equal(graph.components[map].parallelism, 2);
    assert_int_equal(graph.components[keyed].parallelism, 5);
    assert_int_equal(graph.components[global].parallelism, 6);
}

static void a_forward_between_unequal_parallelisms_becomes_a_shuffle(void **state)
{
    (void)state;
    uint32_t from = source("from", 3), same = operator("same", 0), less = operator("less", 2);
    join(from, same, SW_GROUPING_FORWARD);
    join(same, less, SW_GROUPING_FORWARD);
    plan();
    assert_int_equal(graph.edges[0].grouping, SW_GROUPING_FORWARD);
    assert_true(graph.edges[0].is_fused);
    assert_int_equal(graph.edges[1].grouping, SW_GROUPING_SHUFFLE);
    assert_false(graph.edges[1].is_fused);
}

static void what_forwards_from_several_upstreams_takes_the_greatest_parallelism(void **state)
{
    (void)state;
    uint32_t two = source("two", 2), three = source("three", 3), both = operator("both", 0);
    join(two, both, SW_GROUPING_FORWARD);
    join(three, both, SW_GROUPING_FORWARD);
    plan();
    assert_int_equal(graph.components[both].parallelism, 3);
    assert_int_equal(graph.edges[0].grouping, SW_GROUPING_SHUFFLE);
    assert_int_equal(graph.edges[1].grouping, SW_GROUPING_FORWARD);
}

static void one_grouping_among_several_inputs_gives_the_jobs_parallelism(void **state)
{
    (void)state;
    uint32_t two = source("two", 2), three = source("three", 3), both = operator("both", 0);
    join(two, both, SW_GROUPING_FORWARD);
    join(three, both, SW_GROUPING_KEY);
    plan();
    assert_int_equal(graph.components[both].parallelism, JOB_PARALLELISM);
    assert_int_equal(graph.edges[0].grouping, SW_GROUPING_SHUFFLE);
}

static void add_single(const char *name, sw_component_kind kind, uint32_t own)
{
    add_component(&graph, name, kind, own);
    graph.components[graph.component_count - 1].is_single = true;
}

static void a_component_on_one_resource_has_one_instance(void **state)
{
    (void)state;
    add_single("file", SW_SOURCE, 0);
    add_single("same file", SW_SOURCE, 1);
    uint32_t many = source("many", 0);
    add_single("stdout", SW_SINK, 0);
    join(many, 3, SW_GROUPING_FORWARD);
    plan();
    assert_int_equal(graph.components[0].parallelism, 1);
    assert_int_equal(graph.components[1].parallelism, 1);
    assert_int_equal(graph.components[3].parallelism, 1);
    assert_int_equal(graph.edges[0].grouping, SW_GROUPING_SHUFFLE);
}

static void more_than_one_instance_on_one_resource_is_refused(void **state)
{
    (void)state;
    add_single("stdout", SW_SINK, 2);
    assert_plan_refused("component \"stdout\" works on one resource and cannot have parallelism 2");
}

static void a_parallelism_out_of_bounds_is_refused(void **state)
{
    sw_error err;
    (void)state;
    source("many", 0);
    assert_int_equal(sw_graph_plan(&graph, SW_PARALLELISM_MAX, &err), SW_OK);
    assert_int_equal(sw_graph_plan(&graph, 0, &err), SW_EINVAL);
    assert_int_equal(sw_graph_plan(&graph, SW_PARALLELISM_MAX + 1, &err), SW_EINVAL);
    assert_string_equal(err.text, "component \"many\": parallelism 129 is not between 1 and 128");
}

/* --- tasks ---------------------------------------------------------------------------------------------- */

static void forwards_between_equal_parallelisms_are_one_task(void **state)
{
    (void)state;
    uint32_t from = source("from", 0), map = operator("map", 0), filter = operator("filter", 0);
    join(from, map, SW_GROUPING_FORWARD);
    join(map, filter, SW_GROUPING_FORWARD);
    plan();
    assert_int_equal(graph.task_count, 1);
    ASSERT_TASK(0, from, map, filter);
}

static void a_grouping_starts_a_task_unless_both_sides_have_one_instance(void **state)
{
    static const sw_grouping groupings[] = { SW_GROUPING_SHUFFLE, SW_GROUPING_KEY, SW_GROUPING_BROADCAST,
                                             SW_GROUPING_GLOBAL, SW_GROUPING_PARTITION };
    (void)state;
    for (int i = 0; i < 5; i++) {
        for (uint32_t from_count = 1; from_count <= 2; from_count++) {
            for (uint32_t to_count = 1; to_count <= 2; to_count++) {
                bool is_one = from_count == 1 && to_count == 1;
                uint32_t from = source("from", from_count), to = operator("to", to_count);
                join(from, to, groupings[i]);
                plan();
                assert_int_equal(graph.task_count, is_one ? 1 : 2);
                assert_int_equal(graph.edges[0].is_fused, is_one);
                sw_graph_deinit(&graph);
            }
        }
    }
}

static void a_component_with_a_queue_of_its_own_heads_a_task(void **state)
{
    (void)state;
    uint32_t from = source("from", 1), to = operator("to", 0);
    join(from, to, SW_GROUPING_FORWARD);
    graph.components[to].queue_own = 16;
    plan();
    ASSERT_TASK(0, from);
    ASSERT_TASK(1, to);
    assert_false(graph.edges[0].is_fused);
    assert_int_equal(graph.edges[0].grouping, SW_GROUPING_FORWARD);
}

static void a_detached_edge_is_never_fused(void **state)
{
    (void)state;
    uint32_t from = source("from", 1), letters = operator("letters", 0);
    join(from, letters, SW_GROUPING_FORWARD);
    graph.edges[0].is_detached = true;
    plan();
    assert_int_equal(graph.task_count, 2);
    assert_false(graph.edges[0].is_fused);
}

static void branches_that_meet_again_within_a_task_stay_in_it(void **state)
{
    (void)state;
    uint32_t from = source("from", 2), left = operator("left", 0), right = operator("right", 0);
    uint32_t both = operator("both", 0);
    join(from, left, SW_GROUPING_FORWARD);
    join(from, right, SW_GROUPING_FORWARD);
    join(left, both, SW_GROUPING_FORWARD);
    join(right, both, SW_GROUPING_FORWARD);
    plan();
    assert_int_equal(graph.task_count, 1);
    ASSERT_TASK(0, from, left, right, both);
}

static void a_component_with_inputs_of_two_tasks_heads_its_own(void **state)
{
    (void)state;
    uint32_t left = source("left", 2), right = source("right", 2), both = operator("both", 0);
    uint32_t behind = operator("behind", 0);
    join(left, both, SW_GROUPING_FORWARD);
    join(right, both, SW_GROUPING_FORWARD);
    join(both, behind, SW_GROUPING_FORWARD);
    plan();
    assert_int_equal(graph.task_count, 3);
    ASSERT_TASK(2, both, behind);
    assert_false(graph.edges[0].is_fused);
    assert_false(graph.edges[1].is_fused);
    assert_true(graph.edges[2].is_fused);
}

static void one_input_that_moves_events_keeps_all_of_them_out_of_the_task(void **state)
{
    (void)state;
    uint32_t from = source("from", 2), map = operator("map", 0), both = operator("both", 2);
    join(from, map, SW_GROUPING_FORWARD);
    join(map, both, SW_GROUPING_FORWARD);
    join(from, both, SW_GROUPING_KEY);
    plan();
    ASSERT_TASK(0, from, map);
    ASSERT_TASK(1, both);
    assert_false(graph.edges[1].is_fused);
}

static void components_are_planned_in_order_of_flow_not_of_declaration(void **state)
{
    (void)state;
    uint32_t last = operator("last", 0), middle = operator("middle", 0), first = source("first", 3);
    join(middle, last, SW_GROUPING_FORWARD);
    join(first, middle, SW_GROUPING_FORWARD);
    plan();
    assert_int_equal(graph.task_count, 1);
    ASSERT_TASK(0, first, middle, last);
    assert_int_equal(graph.components[last].parallelism, 3);
}

/* --- what cannot be ------------------------------------------------------------------------------------- */

static void a_cycle_is_refused_and_named(void **state)
{
    (void)state;
    uint32_t from = source("from", 0), a = operator("a", 0), b = operator("b", 0);
    join(from, a, SW_GROUPING_FORWARD);
    join(a, b, SW_GROUPING_KEY);
    join(b, a, SW_GROUPING_SHUFFLE);
    assert_plan_refused("component \"a\" is part of a cycle or behind one");
    assert_int_equal(graph.task_count, 0);
}

static void a_component_that_reads_itself_is_a_cycle(void **state)
{
    (void)state;
    uint32_t self = operator("self", 0);
    join(self, self, SW_GROUPING_KEY);
    assert_plan_refused("component \"self\" is part of a cycle or behind one");
}

static void two_components_of_one_name_are_refused(void **state)
{
    sw_error err;
    (void)state;
    source("input", 0);
    sw_component second = { .name = (char *)(uintptr_t) "input", .kind = SW_SINK };
    assert_int_equal(sw_graph_add_component(&graph, &second, &err), SW_EINVAL);
    assert_string_equal(err.text, "two components are called \"input\"");
    assert_int_equal(graph.component_count, 1);
}

static void an_edge_of_no_component_is_refused(void **state)
{
    (void)state;
    source("input", 0);
    sw_edge to_nobody = { .from = 0, .to = 1, .output = (char *)(uintptr_t) "default" };
    sw_edge from_nobody = { .from = 1, .to = 0, .output = (char *)(uintptr_t) "default" };
    assert_int_equal(sw_graph_add_edge(&graph, &to_nobody, NULL), SW_EINVAL);
    assert_int_equal(sw_graph_add_edge(&graph, &from_nobody, NULL), SW_EINVAL);
    assert_int_equal(graph.edge_count, 0);
}

static void components_are_found_by_name(void **state)
{
    (void)state;
    source("a", 0);
    operator("b", 0);
    assert_int_equal(sw_graph_find(&graph, "a"), 0);
    assert_int_equal(sw_graph_find(&graph, "b"), 1);
    assert_int_equal(sw_graph_find(&graph, "c"), -1);
}

static void an_edge_keeps_copies_of_its_strings(void **state)
{
    char output[] = "late", field[] = "user";
    char *fields[] = { field };
    (void)state;
    source("a", 0);
    operator("b", 0);
    sw_edge edge = {
        .to = 1, .output = output, .key_fields = fields, .key_field_count = 1, .grouping = SW_GROUPING_KEY
    };
    assert_int_equal(sw_graph_add_edge(&graph, &edge, NULL), SW_OK);
    output[0] = field[0] = '?';
    assert_string_equal(graph.edges[0].output, "late");
    assert_int_equal(graph.edges[0].key_field_count, 1);
    assert_string_equal(graph.edges[0].key_fields[0], "user");
}

static int build_and_plan(void)
{
    char *fields[] = { (char *)(uintptr_t) "user", (char *)(uintptr_t) "card" };
    sw_component from = { .name = (char *)(uintptr_t) "from", .kind = SW_SOURCE };
    sw_component to = { .name = (char *)(uintptr_t) "to", .kind = SW_SINK };
    sw_edge edge = { .to = 1,
                     .output = (char *)(uintptr_t) "default",
                     .grouping = SW_GROUPING_KEY,
                     .key_fields = fields,
                     .key_field_count = 2 };
    int rc = sw_graph_add_component(&graph, &from, NULL);
    if (rc == SW_OK) rc = sw_graph_add_component(&graph, &to, NULL);
    if (rc == SW_OK) rc = sw_graph_add_edge(&graph, &edge, NULL);
    if (rc == SW_OK) rc = sw_graph_plan(&graph, 2, NULL);
    return rc;
}

static void a_graph_survives_every_allocation_failure(void **state)
{
    size_t live_before = sw_alloc_live();
    (void)state;
    for (int n = 0;; n++) {
        sw_fault_fail_after(n);
        int rc = build_and_plan();
        sw_fault_off();
        if (rc == SW_OK) break;
        assert_int_equal(rc, SW_ENOMEM);
        sw_graph_deinit(&graph);
        assert_int_equal(sw_alloc_live(), live_before);
    }
    assert_int_equal(graph.task_count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_graph, end_graph)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_jobs_parallelism_applies_to_sources),
        TEST(a_component_takes_its_upstreams_parallelism_until_a_grouping_is_named),
        TEST(behind_every_grouping_but_global_the_jobs_parallelism_applies),
        TEST(a_components_own_parallelism_wins_over_what_it_would_get),
        TEST(a_forward_between_unequal_parallelisms_becomes_a_shuffle),
        TEST(what_forwards_from_several_upstreams_takes_the_greatest_parallelism),
        TEST(one_grouping_among_several_inputs_gives_the_jobs_parallelism),
        TEST(a_component_on_one_resource_has_one_instance),
        TEST(more_than_one_instance_on_one_resource_is_refused),
        TEST(a_parallelism_out_of_bounds_is_refused),
        TEST(forwards_between_equal_parallelisms_are_one_task),
        TEST(a_grouping_starts_a_task_unless_both_sides_have_one_instance),
        TEST(a_component_with_a_queue_of_its_own_heads_a_task),
        TEST(a_detached_edge_is_never_fused),
        TEST(branches_that_meet_again_within_a_task_stay_in_it),
        TEST(a_component_with_inputs_of_two_tasks_heads_its_own),
        TEST(one_input_that_moves_events_keeps_all_of_them_out_of_the_task),
        TEST(components_are_planned_in_order_of_flow_not_of_declaration),
        TEST(a_cycle_is_refused_and_named),
        TEST(a_component_that_reads_itself_is_a_cycle),
        TEST(two_components_of_one_name_are_refused),
        TEST(an_edge_of_no_component_is_refused),
        TEST(components_are_found_by_name),
        TEST(an_edge_keeps_copies_of_its_strings),
        TEST(a_graph_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
