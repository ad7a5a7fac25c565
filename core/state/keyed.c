#include "state/keyed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "state/index.h"
#include "state/key.h"
#include "state/pack.h"
#include "state/row.h"
#include "state/saving.h"
#include "state/slab.h"

#define RECENT_MAX 0x1p51       /* numbers below have their lower 32 bits as Lua's bit operations see them */
#define PREFETCH_COUNT_MIN 8192 /* entries: fewer are in the cache anyway, and asking for them costs 6 ns a key */

struct sw_keyed {
    sw_index index;          /* of all entries */
    uint32_t value_size;     /* bytes between an entry's header and its key */
    uint32_t epoch;          /* stamped on what is handed out; from 1, so that 0 is never */
    uint64_t count;          /* entries */
    sw_slab slab;            /* entries, strings, bytes at rest */
    const sw_schema *schema; /* of record state; NULL: table state */
    sw_saving saving;        /* what is to be saved */
    sw_buf packed;           /* scratch: record state as msgpack */
    sw_keyed_recent *recent; /* owned; NULL until asked for */
};

_Static_assert(sizeof(sw_entry) == 56, "Lua declares the same layout");

int sw_keyed_new(sw_keyed **out, const sw_schema *schema, sw_error *err)
{
    sw_keyed *keyed = sw_calloc(1, sizeof(*keyed));
    if (keyed == NULL) goto fail;
    keyed->schema = schema;
    keyed->value_size = schema != NULL ? schema->fixed_size : 0;
    keyed->epoch = 1;
    if (sw_index_init(&keyed->index) != SW_OK) goto free_keyed;
    *out = keyed;
    return SW_OK;

free_keyed:
    sw_free(keyed);
fail:
    return sw_error_set(err, SW_ENOMEM, "out of memory for keyed state");
}

const uint8_t *sw_entry_key(const sw_keyed *keyed, const sw_entry *entry)
{
    return (const uint8_t *)(entry + 1) + keyed->value_size;
}

void *sw_entry_value(const sw_entry *entry)
{
    return (void *)(uintptr_t)(entry + 1);
}

static uint64_t *value_presence(const sw_entry *entry)
{
    return sw_entry_value(entry);
}

static sw_keyed_string **value_string(const sw_keyed *keyed, const sw_entry *entry, uint32_t field)
{
    return (sw_keyed_string **)(void *)(value_presence(entry) + keyed->schema->presence_words + field);
}

static size_t string_size(const sw_keyed_string *string)
{
    return sizeof(*string) + string->len;
}

static size_t entry_size(const sw_keyed *keyed, uint32_t key_len)
{
    return sizeof(sw_entry) + keyed->value_size + key_len;
}

/* Gives back what the entry owns, and itself. */
static void entry_free(sw_keyed *keyed, sw_entry *entry)
{
    uint32_t fields = keyed->schema != NULL ? keyed->schema->count : 0;
    for (uint32_t i = 0; i < fields; i++) {
        if (keyed->schema->fields[i].type != SW_TYPE_STRING) continue;
        sw_keyed_string *string = *value_string(keyed, entry, i);
        if (string != NULL) sw_slab_free(&keyed->slab, string, string_size(string));
    }
    sw_slab_free(&keyed->slab, entry->bytes, entry->bytes_len);
    sw_slab_free(&keyed->slab, entry, entry_size(keyed, entry->key_len));
}

void sw_keyed_free(sw_keyed *keyed)
{
    if (keyed == NULL) return;
    sw_index_rewind(&keyed->index);
    for (uint64_t i = 0; i < keyed->index.slots; i++, sw_index_advance(&keyed->index)) {
        sw_entry *entry = sw_index_cursor(&keyed->index);
        if (entry != NULL) entry_free(keyed, entry); /* Blocks over the slab's size are the allocator's. */
    }
    sw_slab_deinit(&keyed->slab);
    sw_index_deinit(&keyed->index);
    sw_saving_deinit(&keyed->saving);
    sw_buf_deinit(&keyed->packed);
    sw_free(keyed->recent);
    sw_free(keyed);
}

/* memcmp's call costs more than the comparison of a usual key. */
static inline int keys_equal(const uint8_t *a, const uint8_t *b, uint32_t len)
{
    if (len > 32) return memcmp(a, b, len) == 0;
    uint64_t x, y;
    for (; len >= 8; len -= 8, a += 8, b += 8) {
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        if (x != y) return 0;
    }
    for (; len > 0; len--) {
        if (*a++ != *b++) return 0;
    }
    return 1;
}

static inline sw_entry *find(const sw_keyed *keyed, uint64_t hash, const uint8_t *key, uint32_t key_len)
{
    const sw_index_ref *ref = sw_index_at(&keyed->index, hash);
    for (uint64_t i = sw_index_home(hash);; i += SW_INDEX_GROUP) {
        const sw_index_slot *group = &ref->segment->slots[i & ref->mask];
        for (unsigned match = sw_index_match(group, hash); match != 0; match &= match - 1) {
            sw_entry *entry = group[__builtin_ctz(match)].entry;
            if (entry == NULL) return NULL;
            if (entry->key_len == key_len && keys_equal(sw_entry_key(keyed, entry), key, key_len)) return entry;
        }
        if (group[SW_INDEX_GROUP - 1].entry == NULL) return NULL;
    }
}

/* A new entry, listed nowhere yet. */
static sw_entry *add_unlisted(sw_keyed *keyed, uint64_t hash, const uint8_t *key, uint32_t key_len)
{
    SW_ASSERT(key_len <= SW_KEY_BYTES_MAX);
    sw_entry *entry = sw_slab_alloc(&keyed->slab, entry_size(keyed, key_len));
    if (entry == NULL) return NULL;
    memset(entry, 0, sizeof(*entry) + keyed->value_size);
    entry->hash = hash;
    entry->key_len = key_len;
    memcpy((uint8_t *)(entry + 1) + keyed->value_size, key, key_len);
    if (sw_index_add(&keyed->index, entry) != SW_OK) {
        entry_free(keyed, entry);
        return NULL;
    }
    keyed->count++;
    return entry;
}

static __attribute__((noinline)) sw_entry *add(sw_keyed *keyed, uint64_t hash, const uint8_t *key, uint32_t key_len)
{
    sw_entry *entry = add_unlisted(keyed, hash, key, key_len);
    if (entry == NULL) return NULL;
    entry->touched = keyed->epoch;
    if (!keyed->saving.is_on || sw_saving_note(&keyed->saving, entry) == SW_OK) return entry;
    sw_index_remove(&keyed->index, entry);
    entry_free(keyed, entry);
    keyed->count--;
    return NULL;
}

static int save_pending(sw_keyed *keyed, sw_entry *entry);

/* An entry is handed out for the first time in this epoch: what a save waits for is saved before it can change. A live
 * table can only be encoded by the caller, who is told. */
static __attribute__((noinline)) int touch(sw_keyed *keyed, sw_entry *entry)
{
    sw_saving *saving = &keyed->saving;
    if (saving->is_on) {
        bool is_pending = entry->dirty_at != 0;
        if (is_pending && entry->live == 0 && save_pending(keyed, entry) != SW_OK) return SW_ENOMEM;
        if (is_pending && entry->live != 0) {
            saving->pending.entries[entry->dirty_at - 1] = NULL;
            entry->save_due = 1;
            saving->due++;
        }
        if (sw_saving_note(saving, entry) != SW_OK) return SW_ENOMEM;
    }
    entry->touched = keyed->epoch;
    return SW_OK;
}

sw_entry *sw_keyed_get(sw_keyed *keyed, uint64_t hash, const uint8_t *key, uint32_t key_len)
{
    sw_entry *entry = find(keyed, hash, key, key_len);
    if (entry == NULL) return add(keyed, hash, key, key_len);
    if (entry->touched != keyed->epoch && touch(keyed, entry) != SW_OK) return NULL;
    return entry;
}

sw_entry *sw_keyed_find(const sw_keyed *keyed, uint64_t hash, const uint8_t *key, uint32_t key_len)
{
    return find(keyed, hash, key, key_len);
}

static void clear_recent(sw_keyed_recent *recent)
{
    memset(recent, 0, sizeof(*recent));
    recent->slots[sw_keyed_place(0)].number = NAN; /* The others' number 0 has its place here. */
}

sw_keyed_recent *sw_keyed_recent_of(sw_keyed *keyed)
{
    if (keyed->recent != NULL) return keyed->recent;
    keyed->recent = sw_alloc(sizeof(*keyed->recent));
    if (keyed->recent != NULL) clear_recent(keyed->recent);
    return keyed->recent;
}

void sw_keyed_remember(sw_keyed *keyed, double number, sw_entry *entry)
{
    if (keyed->recent == NULL || !(fabs(number) < RECENT_MAX) || number != trunc(number)) return;
    keyed->recent->slots[sw_keyed_place((int64_t)number)] = (sw_keyed_slot){ number, entry };
}

static void forget(sw_keyed *keyed, const sw_entry *entry)
{
    sw_pack_reader reader = { sw_entry_key(keyed, entry), sw_entry_key(keyed, entry) + entry->key_len };
    sw_pack_item item;
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_I64) return;
    sw_keyed_slot *slot = &keyed->recent->slots[sw_keyed_place(item.v.i)];
    if (slot->entry == entry) *slot = (sw_keyed_slot){ NAN, NULL };
}

void sw_keyed_remove(sw_keyed *keyed, sw_entry *entry)
{
    if (keyed->recent != NULL) forget(keyed, entry);
    if (keyed->saving.is_on) {
        SW_ASSERT(entry->touched == keyed->epoch || entry->dirty_at == 0);
        int rc = sw_saving_forget(&keyed->saving, entry, sw_entry_key(keyed, entry));
        SW_ASSERT(rc == SW_OK); /* Out of memory for a removal: going on would bring the key back at a restore. */
    }
    sw_index_remove(&keyed->index, entry);
    entry_free(keyed, entry);
    keyed->count--;
}

void sw_keyed_prefetch(const sw_keyed *keyed, const uint64_t *hashes, uint32_t count)
{
    if (keyed->count < PREFETCH_COUNT_MIN) return;
    for (uint32_t n = 0; n < count; n++) {
        const sw_index_ref *ref = sw_index_at(&keyed->index, hashes[n]);
        __builtin_prefetch(&ref->segment->slots[sw_index_home(hashes[n]) & ref->mask]);
    }
    for (uint32_t n = 0; n < count; n++) {
        const sw_index_ref *ref = sw_index_at(&keyed->index, hashes[n]);
        const sw_index_slot *group = &ref->segment->slots[sw_index_home(hashes[n]) & ref->mask];
        unsigned match = sw_index_match(group, hashes[n]);
        if (match == 0) continue; /* New, or one of the few that did not fit into their group. */
        const sw_entry *entry = group[__builtin_ctz(match)].entry;
        if (entry == NULL) continue;
        __builtin_prefetch(entry, 1); /* An entry with a small value lies in two or three lines. */
        __builtin_prefetch(sw_entry_value(entry), 1);
        __builtin_prefetch(sw_entry_key(keyed, entry), 1);
    }
}

int sw_keyed_set_bytes(sw_keyed *keyed, sw_entry *entry, const uint8_t *bytes, uint32_t len)
{
    uint8_t *block = entry->bytes;
    if (len == 0) {
        sw_slab_free(&keyed->slab, block, entry->bytes_len);
        entry->bytes = NULL;
        entry->bytes_len = 0;
        return SW_OK;
    }
    if (block == NULL || !sw_slab_same_class(entry->bytes_len, len)) {
        block = sw_slab_alloc(&keyed->slab, len);
        if (block == NULL) return SW_ENOMEM;
    }
    memmove(block, bytes, len); /* They may be the present ones. */
    if (block != entry->bytes) sw_slab_free(&keyed->slab, entry->bytes, entry->bytes_len);
    entry->bytes = block;
    entry->bytes_len = len;
    return SW_OK;
}

int sw_keyed_set_string(sw_keyed *keyed, sw_entry *entry, uint32_t field, const char *bytes, uint32_t len)
{
    SW_ASSERT(keyed->schema != NULL && field < keyed->schema->count);
    SW_ASSERT(keyed->schema->fields[field].type == SW_TYPE_STRING);
    sw_keyed_string **slot = value_string(keyed, entry, field), *old = *slot, *string = NULL;
    uint64_t *word = value_presence(entry) + field / 64, bit = (uint64_t)1 << (field % 64);
    if (bytes != NULL) {
        int reuse = old != NULL && sw_slab_same_class(string_size(old), sizeof(*string) + len);
        string = reuse ? old : sw_slab_alloc(&keyed->slab, sizeof(*string) + len);
        if (string == NULL) return SW_ENOMEM;
        memmove(string->bytes, bytes, len); /* They may be part of the present string. */
    }
    if (old != NULL && string != old) sw_slab_free(&keyed->slab, old, string_size(old));
    if (string != NULL) string->len = len;
    *slot = string;
    *word = string != NULL ? *word | bit : *word & ~bit;
    return SW_OK;
}

uint64_t sw_keyed_count(const sw_keyed *keyed)
{
    return keyed->count;
}

uint64_t sw_keyed_memory(const sw_keyed *keyed)
{
    return sizeof(*keyed) + sw_index_memory(&keyed->index) + keyed->slab.bytes;
}

/* Sorting by the first 8 bytes decides nearly always, without a visit to the entry. */
typedef struct sort_item {
    uint64_t prefix;    /* first 8 bytes of the key, big-endian, zeros behind a shorter key */
    const uint8_t *key; /* in the entry */
    sw_entry *entry;    /* of that key */
} sort_item;

static sort_item sort_item_of(const sw_keyed *keyed, sw_entry *entry)
{
    sort_item item = { 0, sw_entry_key(keyed, entry), entry };
    for (uint32_t i = 0; i < 8; i++) item.prefix = item.prefix << 8 | (i < entry->key_len ? item.key[i] : 0);
    return item;
}

static int compare_items(const void *left, const void *right)
{
    const sort_item *a = left, *b = right;
    if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
    uint32_t a_len = a->entry->key_len, b_len = b->entry->key_len;
    int order = memcmp(a->key, b->key, a_len < b_len ? a_len : b_len);
    if (order != 0) return order;
    return a_len < b_len ? -1 : a_len > b_len;
}

int sw_keyed_each(sw_keyed *keyed, int (*fn)(void *arg, sw_entry *entry), void *arg)
{
    uint64_t count = 0, cursor = keyed->index.cursor, cursor_slot = keyed->index.cursor_slot;
    int rc = SW_OK;
    if (keyed->count == 0) return SW_OK;
    sort_item *items = sw_alloc(keyed->count * sizeof(*items));
    if (items == NULL) return SW_ENOMEM;
    sw_index_rewind(&keyed->index);
    for (uint64_t i = 0; i < keyed->index.slots; i++, sw_index_advance(&keyed->index)) {
        sw_entry *entry = sw_index_cursor(&keyed->index);
        if (entry != NULL) items[count++] = sort_item_of(keyed, entry);
    }
    SW_ASSERT(count == keyed->count);
    keyed->index.cursor = cursor; /* Where sw_keyed_expire stopped. */
    keyed->index.cursor_slot = cursor_slot;
    qsort(items, count, sizeof(*items), compare_items);
    for (uint64_t i = 0; i < count && rc == 0; i++) rc = fn(arg, items[i].entry);
    sw_free(items);
    return rc;
}

/* Puts an item into the place on top of a heap whose greatest is there. */
static void sift_item(sort_item *heap, uint32_t count, uint32_t at, sort_item moving)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && compare_items(&heap[child], &heap[child + 1]) < 0) child++;
        if (compare_items(&heap[child], &moving) <= 0) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

/* Is the entry's key behind this one? */
static bool is_behind(const sort_item *item, const uint8_t *key, uint32_t key_len)
{
    uint32_t len = item->entry->key_len;
    int order = memcmp(item->key, key, len < key_len ? len : key_len);
    return order != 0 ? order > 0 : len > key_len;
}

int sw_keyed_after(sw_keyed *keyed, const uint8_t *key, uint32_t key_len, uint32_t max, sw_entry **out, uint32_t *count)
{
    uint64_t cursor = keyed->index.cursor, cursor_slot = keyed->index.cursor_slot;
    uint32_t kept = 0;
    SW_ASSERT(max > 0);
    sort_item *items = sw_alloc(max * sizeof(*items));
    if (items == NULL) return SW_ENOMEM;
    sw_index_rewind(&keyed->index);
    for (uint64_t i = 0; i < keyed->index.slots; i++, sw_index_advance(&keyed->index)) {
        sw_entry *entry = sw_index_cursor(&keyed->index);
        if (entry == NULL) continue;
        sort_item item = sort_item_of(keyed, entry);
        if (key_len > 0 && !is_behind(&item, key, key_len)) continue;
        if (kept < max) {
            items[kept++] = item;
            for (uint32_t k = kept == max ? max / 2 : 0; k-- > 0;) sift_item(items, max, k, items[k]);
        } else if (compare_items(&item, &items[0]) < 0) {
            sift_item(items, max, 0, item);
        }
    }
    keyed->index.cursor = cursor; /* Where sw_keyed_expire stopped. */
    keyed->index.cursor_slot = cursor_slot;
    qsort(items, kept, sizeof(*items), compare_items);
    for (uint32_t i = 0; i < kept; i++) out[i] = items[i].entry;
    sw_free(items);
    *count = kept;
    return SW_OK;
}

/* Does a save still wait for this entry? */
static bool is_awaited(const sw_keyed *keyed, const sw_entry *entry)
{
    return (entry->dirty_at != 0 && entry->touched != keyed->epoch) || entry->save_due != 0;
}

uint64_t sw_keyed_expire(sw_keyed *keyed, int64_t before_ms, uint32_t max_steps,
                         void (*on_expire)(void *arg, sw_entry *entry), void *arg)
{
    /* Enough for one way round: a slot counts again when a removal brought another entry there, and the first step may
     * only find that its segment has split. */
    uint64_t round = keyed->index.slots + keyed->count + 1, removed = 0;
    uint64_t steps = max_steps < round ? max_steps : round;
    for (; steps > 0; steps--) {
        sw_entry *entry = sw_index_cursor(&keyed->index);
        if (entry == NULL || entry->changed_ms >= before_ms || is_awaited(keyed, entry)) {
            sw_index_advance(&keyed->index);
            continue;
        }
        if (on_expire != NULL) on_expire(arg, entry);
        sw_keyed_remove(keyed, entry);
        removed++;
    }
    return removed;
}

/* --- saving ----------------------------------------------------------------------------------------------------- */

void sw_keyed_track(sw_keyed *keyed, uint32_t component, uint32_t version)
{
    keyed->saving.is_on = true;
    keyed->saving.component = component;
    keyed->saving.version = version;
}

void sw_keyed_begin_save(sw_keyed *keyed)
{
    sw_saving *saving = &keyed->saving;
    SW_ASSERT(saving->is_on && !saving->is_pending);
    sw_entry_list done = saving->pending;
    done.count = 0;
    saving->pending = saving->dirty;
    saving->dirty = done;
    saving->next = 0;
    saving->is_pending = true;
    saving->part = saving->removals; /* They go before: a key that came back is saved behind its removal. */
    sw_snapshot_init(&saving->removals);
    keyed->epoch++;
    if (keyed->recent != NULL) clear_recent(keyed->recent);
}

bool sw_keyed_is_saving(const sw_keyed *keyed)
{
    return keyed->saving.is_pending;
}

static int pack_slot(const sw_keyed *keyed, const sw_entry *entry, uint32_t field, sw_buf *out)
{
    const sw_slot *slot =
        (const sw_slot *)(const void *)(value_presence(entry) + keyed->schema->presence_words) + field;
    const sw_field *of = &keyed->schema->fields[field];
    int rc = sw_pack_str(out, of->name, of->name_len);
    if (rc != SW_OK) return rc;
    switch (of->type) {
    case SW_TYPE_I64:
    case SW_TYPE_TIME: return sw_pack_i64(out, slot->i);
    case SW_TYPE_F64: return sw_pack_f64(out, slot->f);
    case SW_TYPE_BOOL: return sw_pack_bool(out, slot->i != 0);
    case SW_TYPE_STRING: {
        const sw_keyed_string *string = *value_string(keyed, entry, field);
        return sw_pack_str(out, string->bytes, string->len);
    }
    }
    return SW_OK;
}

static inline bool value_has(const sw_entry *entry, uint32_t field)
{
    return (value_presence(entry)[field / 64] >> (field % 64) & 1) != 0;
}

/* Record state as a map of the fields it has. */
static int pack_record_state(const sw_keyed *keyed, const sw_entry *entry, sw_buf *out)
{
    uint32_t present = 0;
    for (uint32_t w = 0; w < keyed->schema->presence_words; w++)
        present += (uint32_t)__builtin_popcountll(value_presence(entry)[w]);
    int rc = sw_pack_map(out, present);
    for (uint32_t i = 0; i < keyed->schema->count && rc == SW_OK; i++)
        if (value_has(entry, i)) rc = pack_slot(keyed, entry, i, out);
    return rc;
}

/* Saves an entry that is pending and has no live table, and takes it off the list. */
static int save_pending(sw_keyed *keyed, sw_entry *entry)
{
    static const uint8_t nothing[] = { 0x80 }; /* an empty map */
    sw_saving *saving = &keyed->saving;
    const uint8_t *state = entry->bytes != NULL ? entry->bytes : nothing;
    size_t len = entry->bytes != NULL ? entry->bytes_len : sizeof(nothing);
    int rc = SW_OK;
    if (keyed->schema != NULL) {
        sw_buf_clear(&keyed->packed);
        rc = pack_record_state(keyed, entry, &keyed->packed);
        state = keyed->packed.data;
        len = keyed->packed.size;
    }
    if (rc == SW_OK) rc = sw_saving_put(saving, entry, sw_entry_key(keyed, entry), state, (uint32_t)len);
    if (rc != SW_OK) return rc;
    saving->pending.entries[entry->dirty_at - 1] = NULL;
    entry->dirty_at = 0;
    return SW_OK;
}

int sw_keyed_save_some(sw_keyed *keyed, uint32_t max, sw_entry **live)
{
    sw_saving *saving = &keyed->saving;
    for (; max > 0 && saving->next < saving->pending.count; max--) {
        sw_entry *entry = saving->pending.entries[saving->next];
        if (entry != NULL && entry->live != 0) {
            *live = entry;
            return SW_EEMPTY;
        }
        int rc = entry != NULL ? save_pending(keyed, entry) : SW_OK;
        if (rc != SW_OK) return rc;
        saving->next++;
    }
    return saving->next == saving->pending.count && saving->due == 0 ? SW_ECLOSED : SW_OK;
}

int sw_keyed_save_live(sw_keyed *keyed, sw_entry *entry, const uint8_t *state, uint32_t len)
{
    sw_saving *saving = &keyed->saving;
    int rc = state != NULL ? sw_saving_put(saving, entry, sw_entry_key(keyed, entry), state, len) : SW_OK;
    if (rc != SW_OK) return rc;
    if (entry->save_due != 0) { /* It has been listed anew already. */
        entry->save_due = 0;
        saving->due--;
    } else {
        saving->pending.entries[entry->dirty_at - 1] = NULL;
        entry->dirty_at = 0;
    }
    return SW_OK;
}

void sw_keyed_take_part(sw_keyed *keyed, sw_snapshot *part)
{
    sw_saving *saving = &keyed->saving;
    SW_ASSERT(saving->is_pending && saving->next == saving->pending.count && saving->due == 0);
    *part = saving->part;
    sw_snapshot_init(&saving->part);
    saving->is_pending = false;
}

/* --- restoring -------------------------------------------------------------------------------------------------- */

static int unpack_slot(sw_keyed *keyed, sw_entry *entry, uint32_t field, const sw_pack_item *item)
{
    sw_slot *slot = (sw_slot *)(void *)(value_presence(entry) + keyed->schema->presence_words) + field;
    bool is_number = item->type == SW_PACK_I64 || item->type == SW_PACK_F64;
    switch (keyed->schema->fields[field].type) {
    case SW_TYPE_I64:
    case SW_TYPE_TIME:
        if (item->type != SW_PACK_I64) return SW_ETYPE;
        slot->i = item->v.i;
        break;
    case SW_TYPE_F64:
        if (!is_number) return SW_ETYPE;
        slot->f = item->type == SW_PACK_F64 ? item->v.f : (double)item->v.i;
        break;
    case SW_TYPE_BOOL:
        if (item->type != SW_PACK_BOOL) return SW_ETYPE;
        slot->i = item->v.i;
        break;
    case SW_TYPE_STRING:
        if (item->type != SW_PACK_STR && item->type != SW_PACK_BIN) return SW_ETYPE;
        return sw_keyed_set_string(keyed, entry, field, (const char *)item->v.bytes, item->count);
    }
    value_presence(entry)[field / 64] |= (uint64_t)1 << (field % 64);
    return SW_OK;
}

static int unpack_record_state(sw_keyed *keyed, sw_entry *entry, const uint8_t *state, uint32_t len, sw_error *err)
{
    sw_pack_reader reader = { state, state + len };
    sw_pack_item map, key, item;
    if (sw_pack_next(&reader, &map) != SW_OK || map.type != SW_PACK_MAP)
        return sw_error_set(err, SW_EFORMAT, "saved state is no map");
    for (uint32_t i = 0; i < map.count; i++) {
        if (sw_pack_next(&reader, &key) != SW_OK || key.type != SW_PACK_STR || sw_pack_next(&reader, &item) != SW_OK)
            return sw_error_set(err, SW_EFORMAT, "saved state is damaged");
        int field = sw_schema_find(keyed->schema, (const char *)key.v.bytes, key.count);
        int rc = field >= 0 ? unpack_slot(keyed, entry, (uint32_t)field, &item) : SW_ETYPE;
        if (rc == SW_ETYPE)
            return sw_error_set(err, rc, "field '%.*s' of the saved state %s", (int)key.count,
                                (const char *)key.v.bytes,
                                field < 0 ? "is not in the state's record" : "has another type");
        if (rc != SW_OK) return rc;
    }
    return SW_OK;
}

/* Takes [version, changed_ms, state] apart. */
static int unpack_value(const uint8_t *value, uint32_t len, int64_t *changed_ms, const uint8_t **state,
                        uint32_t *state_len)
{
    sw_pack_reader reader = { value, value + len };
    sw_pack_item array, version, changed;
    if (sw_pack_next(&reader, &array) != SW_OK || array.type != SW_PACK_ARRAY || array.count != 3) return SW_EFORMAT;
    if (sw_pack_next(&reader, &version) != SW_OK || version.type != SW_PACK_I64) return SW_EFORMAT;
    if (sw_pack_next(&reader, &changed) != SW_OK || changed.type != SW_PACK_I64) return SW_EFORMAT;
    *changed_ms = changed.v.i;
    *state = reader.p;
    *state_len = (uint32_t)(reader.end - reader.p);
    return SW_OK;
}

int sw_keyed_restore(sw_keyed *keyed, const uint8_t *key, uint32_t key_len, const uint8_t *value, uint32_t len,
                     bool is_changed, sw_error *err)
{
    const uint8_t *state;
    uint32_t state_len;
    int64_t changed_ms;
    uint64_t hash = sw_hash(key, key_len);
    if (key_len > SW_KEY_BYTES_MAX || unpack_value(value, len, &changed_ms, &state, &state_len) != SW_OK)
        return sw_error_set(err, SW_EFORMAT, "a saved entry is damaged");
    sw_entry *entry = is_changed ? add(keyed, hash, key, key_len) : add_unlisted(keyed, hash, key, key_len);
    if (entry == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory for keyed state");
    entry->changed_ms = changed_ms;
    entry->saved_hash = is_changed ? 1 : sw_hash(value, len) | 1; /* 1: saved, and not like this. */
    int rc = keyed->schema != NULL ? unpack_record_state(keyed, entry, state, state_len, err)
                                   : sw_keyed_set_bytes(keyed, entry, state, state_len);
    return rc == SW_ENOMEM ? sw_error_set(err, rc, "out of memory for keyed state") : rc;
}
