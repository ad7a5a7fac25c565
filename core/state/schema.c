#include "state/schema.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"

/* Index id - 1. Filled under the lock, each entry published once and never changed, so readers need no lock. */
static _Atomic(const sw_schema *) registry[SW_SCHEMA_MAX];
static size_t registry_count; /* guarded by registry_lock */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const type_names[] = {
    [SW_TYPE_I64] = "i64",   [SW_TYPE_F64] = "f64",       [SW_TYPE_BOOL] = "bool",
    [SW_TYPE_TIME] = "time", [SW_TYPE_STRING] = "string",
};

sw_type sw_type_parse(const char *text)
{
    for (int type = SW_TYPE_I64; type <= SW_TYPE_STRING; type++) {
        if (strcmp(text, type_names[type]) == 0) return (sw_type)type;
    }
    return (sw_type)0;
}

const char *sw_type_name(sw_type type)
{
    return type >= SW_TYPE_I64 && type <= SW_TYPE_STRING ? type_names[type] : "?";
}

static int check_fields(const char *const *names, const sw_type *types, size_t count, sw_error *err)
{
    if (count == 0) return sw_error_set(err, SW_EINVAL, "a schema needs at least one field");
    if (count > SW_SCHEMA_FIELDS_MAX) {
        return sw_error_set(err, SW_EINVAL, "a schema of %zu fields: at most %d", count, SW_SCHEMA_FIELDS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (types[i] < SW_TYPE_I64 || types[i] > SW_TYPE_STRING) {
            return sw_error_set(err, SW_EINVAL, "schema field \"%s\": unknown type %d", names[i], (int)types[i]);
        }
        if (strlen(names[i]) > SW_SCHEMA_NAME_MAX) {
            return sw_error_set(err, SW_EINVAL, "schema field \"%.40s...\": its name is over %d bytes", names[i],
                                SW_SCHEMA_NAME_MAX);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(names[i], names[j]) == 0) {
                return sw_error_set(err, SW_EINVAL, "schema field \"%s\" is declared twice", names[i]);
            }
        }
    }
    return SW_OK;
}

/* The letter behind the backslash of a JSON short escape, 'u' for \u00xx, or 0 for bytes that stand for themselves. */
static char json_escape(unsigned char byte)
{
    switch (byte) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return byte < 0x20 ? 'u' : 0;
    }
}

static size_t json_key_size(const char *name)
{
    size_t size = 3; /* Two quotes and the colon. */
    for (; *name != '\0'; name++) {
        char letter = json_escape((unsigned char)*name);
        size += letter == 0 ? 1 : letter == 'u' ? 6 : 2;
    }
    return size;
}

/* Writes `"name":`; returns the byte behind it. */
static char *json_key_write(char *out, const char *name)
{
    static const char hex[] = "0123456789abcdef";
    *out++ = '"';
    for (; *name != '\0'; name++) {
        unsigned char byte = (unsigned char)*name;
        char letter = json_escape(byte);
        if (letter == 0) {
            *out++ = (char)byte;
            continue;
        }
        *out++ = '\\';
        *out++ = letter;
        if (letter == 'u') {
            memcpy(out, "00", 2);
            out[2] = hex[byte >> 4];
            out[3] = hex[byte & 15];
            out += 4;
        }
    }
    *out++ = '"';
    *out++ = ':';
    return out;
}

/* One block holds the schema, its fields and their texts: nothing to unwind, and readers touch few cache lines. */
static sw_schema *schema_make(const char *const *names, const sw_type *types, size_t count)
{
    size_t text_size = 0;
    for (size_t i = 0; i < count; i++) text_size += strlen(names[i]) + 1 + json_key_size(names[i]) + 1;
    sw_schema *schema = sw_alloc(sizeof(*schema) + count * sizeof(sw_field) + text_size);
    if (schema == NULL) return NULL;
    schema->count = (uint16_t)count;
    schema->presence_words = (uint16_t)((count + 63) / 64);
    schema->fixed_size = (uint32_t)(8 * (schema->presence_words + count));
    schema->fields = (sw_field *)(void *)(schema + 1);
    char *text = (char *)(schema->fields + count);
    for (size_t i = 0; i < count; i++) {
        sw_field *field = &schema->fields[i];
        field->type = types[i];
        field->name = text;
        field->name_len = (uint32_t)strlen(names[i]);
        memcpy(text, names[i], field->name_len + 1);
        text += field->name_len + 1;
        field->json_key = text;
        text = json_key_write(text, names[i]);
        field->json_len = (uint32_t)(text - field->json_key);
        *text++ = '\0';
    }
    return schema;
}

static int schema_equals(const sw_schema *schema, const char *const *names, const sw_type *types, size_t count)
{
    if (schema->count != count) return 0;
    for (size_t i = 0; i < count; i++) {
        if (schema->fields[i].type != types[i] || strcmp(schema->fields[i].name, names[i]) != 0) return 0;
    }
    return 1;
}

/* Caller holds the lock. */
static int intern_locked(const char *const *names, const sw_type *types, size_t count, const sw_schema **out,
                         sw_error *err)
{
    for (size_t i = 0; i < registry_count; i++) {
        const sw_schema *known = atomic_load_explicit(&registry[i], memory_order_relaxed);
        if (schema_equals(known, names, types, count)) {
            *out = known;
            return SW_OK;
        }
    }
    if (registry_count == SW_SCHEMA_MAX) {
        return sw_error_set(err, SW_ELIMIT, "more than %d different schemas in one process", SW_SCHEMA_MAX);
    }
    sw_schema *schema = schema_make(names, types, count);
    if (schema == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory for a schema of %zu fields", count);
    schema->id = (uint16_t)(registry_count + 1);
    atomic_store_explicit(&registry[registry_count++], schema, memory_order_release);
    *out = schema;
    return SW_OK;
}

int sw_schema_intern(const char *const *names, const sw_type *types, size_t count, const sw_schema **out, sw_error *err)
{
    int rc = check_fields(names, types, count, err);
    if (rc != SW_OK) return rc;
    pthread_mutex_lock(&registry_lock);
    rc = intern_locked(names, types, count, out, err);
    pthread_mutex_unlock(&registry_lock);
    return rc;
}

const sw_schema *sw_schema_get(uint16_t id)
{
    if (id == 0 || id > SW_SCHEMA_MAX) return NULL;
    return atomic_load_explicit(&registry[id - 1], memory_order_acquire);
}

int sw_schema_find(const sw_schema *schema, const char *name, size_t name_len)
{
    for (int i = 0; i < schema->count; i++) {
        const sw_field *field = &schema->fields[i];
        if (field->name_len == name_len && memcmp(field->name, name, name_len) == 0) return i;
    }
    return -1;
}
