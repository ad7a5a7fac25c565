#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/schema.h"

static const sw_schema *intern(const char *const *names, const sw_type *types, size_t count)
{
    const sw_schema *schema = NULL;
    assert_int_equal(sw_schema_intern(names, types, count, &schema, NULL), SW_OK);
    return schema;
}

static void equal_fields_in_the_same_order_are_one_schema(void **state)
{
    (void)state;
    const char *names[] = { "a", "b" }, *swapped[] = { "b", "a" };
    sw_type types[] = { SW_TYPE_I64, SW_TYPE_STRING }, other[] = { SW_TYPE_I64, SW_TYPE_F64 };
    const sw_schema *first = intern(names, types, 2);
    assert_ptr_equal(intern(names, types, 2), first);
    assert_ptr_not_equal(intern(swapped, types, 2), first);
    assert_ptr_not_equal(intern(names, other, 2), first);
    assert_ptr_not_equal(intern(names, types, 1), first);
    assert_ptr_equal(sw_schema_get(first->id), first);
}

static void an_id_never_given_out_has_no_schema(void **state)
{
    (void)state;
    assert_null(sw_schema_get(0));
    assert_null(sw_schema_get(SW_SCHEMA_MAX));
    assert_null(sw_schema_get(UINT16_MAX));
}

static void the_layout_counts_one_presence_word_per_64_fields(void **state)
{
    (void)state;
    char texts[65][16];
    const char *names[65];
    sw_type types[65];
    for (int i = 0; i < 65; i++) {
        snprintf(texts[i], sizeof(texts[i]), "f%d", i);
        names[i] = texts[i];
        types[i] = SW_TYPE_BOOL;
    }
    assert_int_equal(intern(names, types, 1)->presence_words, 1);
    assert_int_equal(intern(names, types, 64)->fixed_size, 8 + 64 * 8);
    assert_int_equal(intern(names, types, 65)->presence_words, 2);
    assert_int_equal(intern(names, types, 65)->fixed_size, 16 + 65 * 8);
}

static void fields_are_found_by_name(void **state)
{
    (void)state;
    const char *names[] = { "price", "p", "" };
    sw_type types[] = { SW_TYPE_F64, SW_TYPE_TIME, SW_TYPE_BOOL };
    const sw_schema *schema = intern(names, types, 3);
    assert_int_equal(sw_schema_find(schema, "price", 5), 0);
    assert_int_equal(sw_schema_find(schema, "price", 1), 1);
    assert_int_equal(sw_schema_find(schema, "", 0), 2);
    assert_int_equal(sw_schema_find(schema, "pric", 4), -1);
    assert_int_equal(schema->fields[1].type, SW_TYPE_TIME);
}

static void the_json_key_is_escaped(void **state)
{
    (void)state;
    const char *names[] = { "a\"b\\\n\x01\xc3\xa4" };
    sw_type types[] = { SW_TYPE_I64 };
    const sw_field *field = intern(names, types, 1)->fields;
    assert_string_equal(field->json_key, "\"a\\\"b\\\\\\n\\u0001\xc3\xa4\":");
    assert_int_equal(field->json_len, strlen(field->json_key));
}

static void bad_fields_are_refused_by_name(void **state)
{
    (void)state;
    const char *twice[] = { "x", "y", "x" };
    sw_type types[] = { SW_TYPE_I64, SW_TYPE_I64, SW_TYPE_I64 }, bad[] = { SW_TYPE_I64, (sw_type)9 };
    const sw_schema *schema = NULL;
    sw_error err;
    assert_int_equal(sw_schema_intern(twice, types, 3, &schema, &err), SW_EINVAL);
    assert_string_equal(err.text, "schema field \"x\" is declared twice");
    assert_int_equal(sw_schema_intern(twice, bad, 2, &schema, &err), SW_EINVAL);
    assert_string_equal(err.text, "schema field \"y\": unknown type 9");
    assert_int_equal(sw_schema_intern(twice, types, 0, &schema, &err), SW_EINVAL);
    assert_int_equal(sw_schema_intern(twice, types, SW_SCHEMA_FIELDS_MAX + 1, &schema, &err), SW_EINVAL);
    assert_null(schema);
}

static void type_names_go_there_and_back(void **state)
{
    (void)state;
    for (int type = SW_TYPE_I64; type <= SW_TYPE_STRING; type++) {
        assert_int_equal(sw_type_parse(sw_type_name((sw_type)type)), type);
    }
    assert_string_equal(sw_type_name(SW_TYPE_TIME), "time");
    assert_int_equal(sw_type_parse("int"), 0);
    assert_int_equal(sw_type_parse(""), 0);
}

static void interning_survives_every_allocation_failure(void **state)
{
    (void)state;
    const char *names[] = { "swept", "fields" };
    sw_type types[] = { SW_TYPE_I64, SW_TYPE_STRING };
    const sw_schema *schema = NULL;
    for (int n = 0;; n++) {
        size_t live_before = sw_alloc_live();
        sw_fault_fail_after(n);
        int rc = sw_schema_intern(names, types, 2, &schema, NULL);
        sw_fault_off();
        if (rc == SW_OK) {
            assert_true(n > 0);
            break;
        }
        assert_int_equal(rc, SW_ENOMEM);
        assert_int_equal(sw_alloc_live(), live_before);
        assert_null(schema);
    }
    assert_ptr_equal(sw_schema_get(schema->id), schema);
}

/* Last: it leaves the registry full. */
static void a_full_registry_refuses_new_schemas_and_knows_the_old(void **state)
{
    (void)state;
    char text[16];
    const char *names[] = { text };
    sw_type types[] = { SW_TYPE_I64 };
    const sw_schema *schema = NULL;
    sw_error err;
    int rc = SW_OK, made = 0;
    for (; rc == SW_OK && made <= SW_SCHEMA_MAX; made++) {
        snprintf(text, sizeof(text), "full%d", made);
        rc = sw_schema_intern(names, types, 1, &schema, &err);
    }
    assert_int_equal(rc, SW_ELIMIT);
    assert_int_equal(schema->id, SW_SCHEMA_MAX);
    snprintf(text, sizeof(text), "full0");
    assert_int_equal(intern(names, types, 1)->count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_fields_in_the_same_order_are_one_schema),
        cmocka_unit_test(an_id_never_given_out_has_no_schema),
        cmocka_unit_test(the_layout_counts_one_presence_word_per_64_fields),
        cmocka_unit_test(fields_are_found_by_name),
        cmocka_unit_test(the_json_key_is_escaped),
        cmocka_unit_test(bad_fields_are_refused_by_name),
        cmocka_unit_test(type_names_go_there_and_back),
        cmocka_unit_test(interning_survives_every_allocation_failure),
        cmocka_unit_test(a_full_registry_refuses_new_schemas_and_knows_the_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
