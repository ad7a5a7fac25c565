#include "io/log_position.h"

#include "base/alloc.h"
#include "state/pack.h"

static int out_of_memory(sw_error *err)
{
    return sw_error_set(err, SW_ENOMEM, "out of memory");
}

static int damaged(sw_error *err)
{
    return sw_error_set(err, SW_EFORMAT, "the saved position in an event log is damaged");
}

void sw_log_position_deinit(sw_log_position *p)
{
    for (uint32_t i = 0; i < p->layer_count; i++) sw_free(p->layers[i].next);
    p->layer_count = 0;
}

void sw_log_position_advance(sw_log_position *p, uint64_t next)
{
    p->next = next;
    for (uint32_t i = 0; i < p->layer_count;) {
        if (p->layers[i].max > next) {
            i++;
            continue;
        }
        sw_free(p->layers[i].next);
        p->layers[i] = p->layers[--p->layer_count];
    }
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

static int put_number(sw_buf *out, const char *name, uint64_t number)
{
    int rc = sw_pack_str(out, name, (uint32_t)strlen(name));
    return rc == SW_OK ? sw_pack_u64(out, number) : rc;
}

int sw_log_position_write(const sw_log_position *p, sw_buf *out, sw_error *err)
{
    size_t before = out->size;
    int rc = sw_pack_map(out, 4);
    if (rc == SW_OK) rc = put_number(out, "next", p->next);
    if (rc == SW_OK) rc = put_number(out, "taken", p->taken);
    if (rc == SW_OK) rc = put_number(out, "last", p->last);
    if (rc == SW_OK) rc = sw_pack_str(out, "layers", 6);
    if (rc == SW_OK) rc = sw_pack_array(out, p->layer_count);
    for (uint32_t i = 0; rc == SW_OK && i < p->layer_count; i++) {
        rc = sw_pack_array(out, p->layers[i].count);
        for (uint32_t k = 0; rc == SW_OK && k < p->layers[i].count; k++) rc = sw_pack_u64(out, p->layers[i].next[k]);
    }
    if (rc == SW_OK) return SW_OK;
    out->size = before;
    return out_of_memory(err);
}

static bool to_number(const sw_pack_item *item, uint64_t *out)
{
    if (item->type != SW_PACK_U64 && (item->type != SW_PACK_I64 || item->v.i < 0)) return false;
    *out = item->type == SW_PACK_U64 ? item->v.u : (uint64_t)item->v.i;
    return true;
}

static bool find_number(const uint8_t *bytes, size_t len, const char *name, uint64_t *out)
{
    sw_pack_item item;
    return sw_pack_find(bytes, len, name, (uint32_t)strlen(name), &item) == SW_OK && to_number(&item, out);
}

/* Adds a layer of `count` numbers, still to be set. */
static sw_log_layer *add_layer(sw_log_position *p, uint32_t count, int *rc, sw_error *err)
{
    if (p->layer_count == SW_LOG_LAYERS_MAX) {
        *rc = sw_error_set(err, SW_ELIMIT,
                           "the parallelism of an event log's source was changed more than %u times within few records",
                           SW_LOG_LAYERS_MAX);
        return NULL;
    }
    uint64_t *next = sw_calloc(count, sizeof(*next));
    if (next == NULL) *rc = out_of_memory(err);
    if (next == NULL) return NULL;
    p->layers[p->layer_count] = (sw_log_layer){ .next = next, .count = count };
    return &p->layers[p->layer_count++];
}

static int read_layer(sw_log_position *p, sw_pack_reader *reader, sw_error *err)
{
    sw_pack_item item;
    int rc = SW_OK;
    if (sw_pack_next(reader, &item) != SW_OK || item.type != SW_PACK_ARRAY || item.count == 0) return damaged(err);
    sw_log_layer *layer = add_layer(p, item.count, &rc, err);
    for (uint32_t i = 0; rc == SW_OK && i < layer->count; i++) {
        if (sw_pack_next(reader, &item) != SW_OK || !to_number(&item, &layer->next[i])) return damaged(err);
        if (layer->next[i] > layer->max) layer->max = layer->next[i];
    }
    return rc;
}

int sw_log_position_read(sw_log_position *p, const uint8_t *bytes, size_t len, sw_error *err)
{
    sw_pack_item layers;
    if (!find_number(bytes, len, "next", &p->next) || !find_number(bytes, len, "taken", &p->taken) ||
        !find_number(bytes, len, "last", &p->last) || sw_pack_find(bytes, len, "layers", 6, &layers) != SW_OK ||
        layers.type != SW_PACK_ARRAY)
        return damaged(err);
    sw_pack_reader reader = { layers.v.bytes, bytes + len };
    int rc = SW_OK;
    for (uint32_t i = 0; rc == SW_OK && i < layers.count; i++) rc = read_layer(p, &reader, err);
    return rc;
}

/* --- another count ----------------------------------------------------------------------------------------------- */

static bool has_layer(const sw_log_position *p, const sw_log_layer *layer)
{
    for (uint32_t i = 0; i < p->layer_count; i++)
        if (p->layers[i].count == layer->count &&
            memcmp(p->layers[i].next, layer->next, layer->count * sizeof(*layer->next)) == 0)
            return true;
    return false;
}

/* Takes over what one old instance knew: its layers, and its own number into the new layer. */
static int merge(sw_log_position *p, sw_log_layer *stood, uint32_t old, const uint8_t *bytes, size_t len, sw_error *err)
{
    sw_log_position one = { 0 };
    int rc = sw_log_position_read(&one, bytes, len, err);
    for (uint32_t i = 0; rc == SW_OK && i < one.layer_count; i++) {
        if (has_layer(p, &one.layers[i])) continue;
        sw_log_layer *copy = add_layer(p, one.layers[i].count, &rc, err);
        if (copy == NULL) break;
        memcpy(copy->next, one.layers[i].next, copy->count * sizeof(*copy->next));
        copy->max = one.layers[i].max;
    }
    if (rc == SW_OK) {
        stood->next[old] = one.next;
        if (one.next > stood->max) stood->max = one.next;
        if (one.next < p->next) p->next = one.next;
        if (one.taken < p->taken) p->taken = one.taken;
        if (p->last == UINT64_MAX || (one.last != UINT64_MAX && one.last > p->last)) p->last = one.last;
    }
    sw_log_position_deinit(&one);
    return rc;
}

static int merge_all(sw_log_position *p, sw_log_layer *stood, const sw_saved_values *saved, sw_error *err)
{
    for (uint32_t old = 0; old < saved->parallelism; old++) {
        uint32_t i = 0;
        while (i < saved->count && saved->instances[i] != old) i++;
        if (i == saved->count)
            return sw_error_set(err, SW_EFORMAT, "the checkpoint lacks the position of instance %u in the event log",
                                old);
        int rc = merge(p, stood, old, saved->data[i], saved->lens[i], err);
        if (rc != SW_OK) return rc;
    }
    return SW_OK;
}

int sw_log_position_restore(sw_log_position *p, const sw_saved_values *saved, uint32_t instance, uint32_t count,
                            sw_error *err)
{
    *p = (sw_log_position){
        .next = UINT64_MAX, .taken = UINT64_MAX, .last = UINT64_MAX, .instance = instance, .count = count
    };
    for (uint32_t i = 0; i < saved->count && saved->parallelism == count; i++)
        if (saved->instances[i] == instance) return sw_log_position_read(p, saved->data[i], saved->lens[i], err);
    sw_log_layer stood = { .count = saved->parallelism };
    stood.next = sw_calloc(saved->parallelism + 1, sizeof(*stood.next));
    if (stood.next == NULL) return out_of_memory(err);
    int rc = merge_all(p, &stood, saved, err);
    sw_log_layer *layer = rc == SW_OK ? add_layer(p, stood.count, &rc, err) : NULL;
    if (layer != NULL) {
        memcpy(layer->next, stood.next, stood.count * sizeof(*stood.next));
        layer->max = stood.max;
        sw_log_position_advance(p, p->next);
    }
    sw_free(stood.next);
    return rc;
}
