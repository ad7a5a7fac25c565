#include "run/port.h"

#include "base/alloc.h"
#include "base/hash.h"

static int init_key_fields(sw_key_fields *fields, const sw_edge *edge)
{
    fields->count = edge->key_field_count;
    fields->cached_schema = 0;
    if (fields->count == 0) return SW_OK;
    fields->names = sw_calloc(fields->count, sizeof(*fields->names));
    fields->name_lens = sw_calloc(fields->count, sizeof(*fields->name_lens));
    fields->indexes = sw_calloc(fields->count, sizeof(*fields->indexes));
    if (fields->names == NULL || fields->name_lens == NULL || fields->indexes == NULL) return SW_ENOMEM;
    for (uint32_t i = 0; i < fields->count; i++) {
        fields->names[i] = edge->key_fields[i];
        fields->name_lens[i] = (uint32_t)strlen(edge->key_fields[i]);
    }
    return SW_OK;
}

int sw_port_init(sw_port *port, const sw_edge *edge, uint32_t instance, sw_channel **channels, uint32_t count,
                 const int64_t *wm, sw_error *err)
{
    memset(port, 0, sizeof(*port));
    sw_buf_init(&port->key);
    sw_batch_init(&port->overflow);
    port->grouping = edge->grouping;
    port->own = instance;
    port->next = count > 0 ? instance % count : 0; /* Senders start at different consumers. */
    port->count = count;
    port->wm = wm;
    port->wm_sent = SW_TIME_MIN;
    port->channels = sw_calloc(count, sizeof(*channels));
    if (port->channels == NULL || init_key_fields(&port->fields, edge) != SW_OK) {
        sw_port_deinit(port);
        return sw_error_set(err, SW_ENOMEM, "out of memory");
    }
    memcpy(port->channels, channels, count * sizeof(*channels));
    return SW_OK;
}

void sw_port_deinit(sw_port *port)
{
    sw_free(port->channels);
    sw_free(port->fields.names);
    sw_free(port->fields.name_lens);
    sw_free(port->fields.indexes);
    sw_buf_deinit(&port->key);
    sw_batch_deinit(&port->overflow);
    memset(port, 0, sizeof(*port));
}

static const uint8_t no_key[1] = { 0 };

/* Each copy of a row has an edge of its own. */
static int put_anchored(sw_port *port, uint32_t index, const sw_row *row, uint64_t hash, const uint8_t *key,
                        uint32_t key_len)
{
    const sw_anchor anchor = sw_acks_draw(port->acks);
    int rc = sw_channel_put_anchored(port->channels[index], row, *port->wm, hash, key, key_len, &anchor);
    if (rc == SW_OK) sw_acks_sent(port->acks, &anchor);
    return rc;
}

static inline int put(sw_port *port, uint32_t index, const sw_row *row)
{
    if (port->acks != NULL) return put_anchored(port, index, row, 0, no_key, 0);
    return sw_channel_put(port->channels[index], row, *port->wm);
}

static int put_to_channel(sw_port *port, uint32_t index, const sw_row *row)
{
    int rc = put(port, index, row);
    if (rc == SW_EFULL) port->target = index;
    return rc;
}

static int put_to_all(sw_port *port, const sw_row *row)
{
    for (uint32_t i = 0; i < port->count; i++) {
        if (sw_channel_has_room(port->channels[i])) continue;
        port->target = i;
        return SW_EFULL;
    }
    for (uint32_t i = 0; i < port->count; i++) {
        int rc = put(port, i, row);
        if (rc != SW_OK) return rc;
    }
    return SW_OK;
}

/* Puts a row of the overflow, which has its anchor. */
static int put_kept(sw_port *port, const sw_row *row)
{
    sw_channel *channel = port->channels[row->reserved];
    if (port->acks == NULL) return sw_channel_put(channel, row, row->wm);
    return sw_channel_put_anchored(channel, row, row->wm, row->hash, sw_row_key(row), row->key_len, sw_row_anchor(row));
}

int sw_port_drain(sw_port *port)
{
    while (port->overflow_next < port->overflow.size) {
        const sw_row *row = (const sw_row *)(const void *)(port->overflow.data + port->overflow_next);
        int rc = put_kept(port, row);
        if (rc == SW_EFULL) port->target = row->reserved;
        if (rc != SW_OK) return rc;
        port->overflow_next += row->len;
    }
    sw_batch_clear(&port->overflow);
    port->overflow_next = 0;
    return SW_OK;
}

/* Nothing may pass what waits in the overflow. */
static inline int drain_before(sw_port *port)
{
    return port->overflow.count == 0 ? SW_OK : sw_port_drain(port);
}

static int overflow_to(sw_port *port, uint32_t index, const sw_row *row, uint64_t hash, const uint8_t *key,
                       uint32_t key_len)
{
    uint32_t len = (uint32_t)sizeof(*row) + row->body_len + key_len;
    if (port->acks != NULL) len = ((len + 7u) & ~7u) + (uint32_t)sizeof(sw_anchor);
    sw_row *copy = sw_batch_reserve(&port->overflow, len);
    if (copy == NULL) return SW_ENOMEM;
    memcpy(copy, row, sizeof(*row) + row->body_len);
    copy->hash = hash;
    copy->key_len = key_len;
    copy->wm = *port->wm;
    copy->reserved = index;
    memcpy(sw_row_key(copy), key, key_len);
    sw_batch_commit(&port->overflow, len);
    if (port->acks == NULL) return SW_OK;
    const sw_anchor anchor = sw_acks_draw(port->acks);
    *sw_row_anchor(copy) = anchor;
    sw_acks_sent(port->acks, &anchor);
    return SW_OK;
}

int sw_port_put_over(sw_port *port, const sw_row *row, const uint8_t *key, uint32_t key_len, uint32_t instance,
                     sw_error *err)
{
    uint32_t index = instance;
    int rc = SW_OK;
    uint64_t hash = 0;
    uint32_t copies = port->grouping == SW_GROUPING_BROADCAST ? port->count : 1;
    if (port->overflow.count + copies > SW_OVERFLOW_ROWS) return SW_EFULL;
    if (port->grouping == SW_GROUPING_PARTITION && instance >= port->count) return SW_EINVAL;
    if (port->grouping == SW_GROUPING_KEY) {
        if (port->fields.count > 0) {
            if ((rc = sw_key_from_row(&port->fields, row, &port->key, err)) != SW_OK) return rc;
            key = port->key.data;
            key_len = (uint32_t)port->key.size;
        }
        hash = sw_hash(key, key_len);
        return overflow_to(port, sw_key_instance(hash, port->count), row, hash, key, key_len);
    }
    if (port->grouping == SW_GROUPING_FORWARD) index = port->own;
    if (port->grouping == SW_GROUPING_GLOBAL) index = 0;
    if (port->grouping == SW_GROUPING_SHUFFLE) {
        index = port->next;
        port->next = (port->next + 1) % port->count;
    }
    if (port->grouping != SW_GROUPING_BROADCAST) return overflow_to(port, index, row, 0, no_key, 0);
    for (index = 0; rc == SW_OK && index < port->count; index++) rc = overflow_to(port, index, row, 0, no_key, 0);
    return rc;
}

int sw_port_put(sw_port *port, const sw_row *row, sw_error *err)
{
    int rc = drain_before(port);
    if (rc != SW_OK) return rc;
    switch (port->grouping) {
    case SW_GROUPING_FORWARD: return put_to_channel(port, port->own, row);
    case SW_GROUPING_GLOBAL: return put_to_channel(port, 0, row);
    case SW_GROUPING_BROADCAST: return put_to_all(port, row);
    case SW_GROUPING_SHUFFLE:
        rc = put_to_channel(port, port->next, row);
        if (rc == SW_OK && ++port->next == port->count) port->next = 0;
        return rc;
    case SW_GROUPING_KEY:
        rc = sw_key_from_row(&port->fields, row, &port->key, err);
        if (rc != SW_OK) return rc;
        return sw_port_put_key(port, row, port->key.data, (uint32_t)port->key.size);
    case SW_GROUPING_PARTITION: break;
    }
    return sw_error_set(err, SW_EINVAL, "a partition() grouping needs the instance");
}

int sw_port_put_key(sw_port *port, const sw_row *row, const uint8_t *key, uint32_t key_len)
{
    uint64_t hash = sw_hash(key, key_len);
    uint32_t index = sw_key_instance(hash, port->count);
    int rc = drain_before(port);
    if (rc == SW_OK && port->acks != NULL) rc = put_anchored(port, index, row, hash, key, key_len);
    else if (rc == SW_OK) rc = sw_channel_put_keyed(port->channels[index], row, *port->wm, hash, key, key_len);
    if (rc == SW_EFULL) port->target = index;
    return rc;
}

int sw_port_put_to(sw_port *port, const sw_row *row, uint32_t instance)
{
    if (instance >= port->count) return SW_EINVAL;
    int rc = drain_before(port);
    if (rc != SW_OK) return rc;
    return put_to_channel(port, instance, row);
}

sw_row *sw_port_put_header(sw_port *port, const sw_row *header, uint32_t instance)
{
    uint32_t index = instance;
    if (port->overflow.count > 0) return NULL;
    if (port->grouping == SW_GROUPING_FORWARD) index = port->own;
    else if (port->grouping == SW_GROUPING_GLOBAL) index = 0;
    else if (port->grouping == SW_GROUPING_SHUFFLE) index = port->next;
    else if (port->grouping != SW_GROUPING_PARTITION || instance >= port->count) return NULL;
    sw_row *row = sw_channel_put_header(port->channels[index], header, *port->wm);
    if (row != NULL && port->grouping == SW_GROUPING_SHUFFLE && ++port->next == port->count) port->next = 0;
    return row;
}

int sw_port_put_control(sw_port *port, const sw_row *row)
{
    for (uint32_t i = 0; i < port->count; i++) {
        if (port->channels[i] == NULL) continue;
        int rc = sw_channel_put(port->channels[i], row, *port->wm);
        if (rc != SW_OK) return rc;
    }
    return SW_OK;
}

bool sw_port_has_room(const sw_port *port)
{
    return sw_channel_has_room(port->channels[port->target]);
}

bool sw_port_await_room(sw_port *port)
{
    sw_channel_flush(port->channels[port->target]);
    return sw_channel_await_room(port->channels[port->target]);
}

bool sw_port_flush(sw_port *port, int64_t now_ns, bool all)
{
    bool is_held = drain_before(port) != SW_OK; /* The watermark waits behind what was taken over the bound. */
    bool is_raised = !is_held && !port->is_amid && *port->wm > port->wm_sent, is_left = is_held;
    bool is_old = port->open_since_ns != 0 && now_ns - port->open_since_ns >= SW_FLUSH_AFTER_NS;
    for (uint32_t i = 0; i < port->count; i++) {
        sw_channel *channel = port->channels[i];
        if (channel == NULL) continue;
        if (is_raised) sw_channel_watermark(channel, *port->wm);
        if (!sw_channel_has_unpublished(channel)) continue;
        if ((all || is_old || sw_channel_is_hungry(channel)) && sw_channel_flush(channel)) continue;
        is_left = true;
    }
    if (is_raised) port->wm_sent = *port->wm;
    if (!is_left) port->open_since_ns = 0;
    else if (port->open_since_ns == 0) port->open_since_ns = now_ns != 0 ? now_ns : 1; /* Virtual time starts at 0. */
    return !is_left;
}
