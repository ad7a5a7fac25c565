#include "state/index.h"

#include <string.h>

#include "base/alloc.h"

#define SEGMENT_ALIGN _Alignof(sw_index_segment)
#define SEGMENT_SLOTS_FIRST 16u  /* of a new index: small stores stay small */
#define SEGMENT_SLOTS_SPLIT 256u /* a full segment of this size splits instead of growing */
#define DIR_SLACK 4u             /* places in the directory per segment, at most twice this */

static size_t segment_bytes(uint64_t slots)
{
    return SEGMENT_ALIGN - 1 + sizeof(sw_index_segment) + slots * sizeof(sw_index_slot);
}

static sw_index_segment *segment_new(sw_index *index, uint64_t slots, uint64_t depth)
{
    void *block = sw_slab_alloc(&index->slab, segment_bytes(slots));
    if (block == NULL) return NULL;
    memset(block, 0, segment_bytes(slots));
    uintptr_t address = ((uintptr_t)block + SEGMENT_ALIGN - 1) & ~(uintptr_t)(SEGMENT_ALIGN - 1);
    sw_index_segment *segment = (sw_index_segment *)address;
    segment->depth = depth;
    segment->block = block;
    return segment;
}

static void segment_free(sw_index *index, sw_index_segment *segment, uint64_t slots)
{
    if (segment != NULL) sw_slab_free(&index->slab, segment->block, segment_bytes(slots));
}

/* There is a free slot. */
static void segment_put(sw_index_segment *segment, uint64_t mask, sw_index_slot slot)
{
    uint64_t i = sw_index_home(slot.hash) & mask;
    while (segment->slots[i].entry != NULL) i = (i + 1) & mask;
    segment->slots[i] = slot;
    segment->count++;
}

/* Makes all places of the directory that share the segment's `depth` top bits with `hash` name it. */
static void dir_set(sw_index *index, uint64_t hash, sw_index_ref ref)
{
    uint64_t spread = index->depth - ref.segment->depth;
    uint64_t first = (((hash >> 1) >> index->shift) >> spread) << spread;
    for (uint64_t i = 0; i < (uint64_t)1 << spread; i++) index->dir[first + i] = ref;
}

int sw_index_init(sw_index *index)
{
    sw_index_ref *dir = sw_alloc(sizeof(*dir));
    if (dir == NULL) return SW_ENOMEM;
    *index = (sw_index){ .dir = dir, .shift = 63, .segments = 1, .slots = SEGMENT_SLOTS_FIRST };
    *dir = (sw_index_ref){ segment_new(index, SEGMENT_SLOTS_FIRST, 0), SEGMENT_SLOTS_FIRST - 1 };
    if (dir->segment != NULL) return SW_OK;
    sw_slab_deinit(&index->slab);
    sw_free(dir);
    return SW_ENOMEM;
}

void sw_index_deinit(sw_index *index)
{
    for (uint64_t i = 0; i < (uint64_t)1 << index->depth;) { /* The slab does not free large blocks. */
        sw_index_ref ref = index->dir[i];
        i += (uint64_t)1 << (index->depth - ref.segment->depth);
        segment_free(index, ref.segment, ref.mask + 1);
    }
    sw_slab_deinit(&index->slab);
    sw_free(index->dir);
}

static int segment_grow(sw_index *index, uint64_t hash)
{
    sw_index_ref old = *sw_index_at(index, hash), new = { NULL, 2 * old.mask + 1 };
    new.segment = segment_new(index, new.mask + 1, old.segment->depth);
    if (new.segment == NULL) return SW_ENOMEM;
    for (uint64_t i = 0; i <= old.mask; i++) {
        if (old.segment->slots[i].entry != NULL) segment_put(new.segment, new.mask, old.segment->slots[i]);
    }
    dir_set(index, hash, new);
    index->slots += old.mask + 1;
    segment_free(index, old.segment, old.mask + 1);
    return SW_OK;
}

static int dir_double(sw_index *index)
{
    uint64_t places = (uint64_t)1 << index->depth;
    sw_index_ref *dir = sw_alloc(2 * places * sizeof(*dir));
    if (dir == NULL) return SW_ENOMEM;
    for (uint64_t i = 0; i < places; i++) dir[2 * i] = dir[2 * i + 1] = index->dir[i];
    sw_free(index->dir);
    index->dir = dir;
    index->depth++;
    index->shift--;
    index->cursor *= 2;
    return SW_OK;
}

/* The smallest power of two that `count` slots in use fill to half or less. */
static uint64_t slots_for(uint64_t count)
{
    uint64_t slots = SEGMENT_SLOTS_FIRST;
    while (slots < 2 * count) slots *= 2;
    return slots;
}

/* The segment's depth is below the directory's. */
static int segment_split(sw_index *index, uint64_t hash)
{
    sw_index_ref old = *sw_index_at(index, hash), half[2];
    uint64_t depth = old.segment->depth;
    uint64_t counts[2] = { 0, 0 };
    for (uint64_t i = 0; i <= old.mask; i++) {
        sw_index_slot *slot = &old.segment->slots[i];
        if (slot->entry != NULL) counts[(slot->hash >> (63 - depth)) & 1]++;
    }
    for (int side = 0; side < 2; side++) {
        half[side].mask = slots_for(counts[side]) - 1;
        half[side].segment = segment_new(index, half[side].mask + 1, depth + 1);
    }
    if (half[0].segment == NULL || half[1].segment == NULL) {
        segment_free(index, half[0].segment, half[0].mask + 1);
        segment_free(index, half[1].segment, half[1].mask + 1);
        return SW_ENOMEM;
    }
    for (uint64_t i = 0; i <= old.mask; i++) {
        sw_index_slot slot = old.segment->slots[i];
        if (slot.entry == NULL) continue;
        sw_index_ref *ref = &half[(slot.hash >> (63 - depth)) & 1];
        segment_put(ref->segment, ref->mask, slot);
    }
    uint64_t bit = (uint64_t)1 << (63 - depth);
    dir_set(index, hash & ~bit, half[0]);
    dir_set(index, hash | bit, half[1]);
    index->segments++;
    index->slots += half[0].mask + half[1].mask + 1 - old.mask;
    segment_free(index, old.segment, old.mask + 1);
    return SW_OK;
}

/* Gives the segment of this hash more room. A directory much larger than the number of segments means that
 * splitting does not part the entries (their hashes agree): then the segment grows instead. */
static int make_room(sw_index *index, uint64_t hash)
{
    const sw_index_ref *ref = sw_index_at(index, hash);
    if (ref->mask + 1 < SEGMENT_SLOTS_SPLIT) return segment_grow(index, hash);
    if (ref->segment->depth == index->depth) {
        if (((uint64_t)1 << index->depth) > DIR_SLACK * index->segments) return segment_grow(index, hash);
        int rc = dir_double(index);
        if (rc != SW_OK) return rc;
    }
    return segment_split(index, hash);
}

int sw_index_add(sw_index *index, sw_entry *entry)
{
    const sw_index_ref *ref = sw_index_at(index, entry->hash);
    while ((ref->segment->count + 1) * 10ull > (ref->mask + 1) * 7) {
        int rc = make_room(index, entry->hash);
        if (rc != SW_OK) return rc;
        ref = sw_index_at(index, entry->hash);
    }
    segment_put(ref->segment, ref->mask, (sw_index_slot){ entry->hash, entry });
    return SW_OK;
}

void sw_index_remove(sw_index *index, const sw_entry *entry)
{
    sw_index_ref ref = *sw_index_at(index, entry->hash);
    sw_index_slot *slots = ref.segment->slots;
    uint64_t hole = sw_index_home(entry->hash) & ref.mask;
    while (slots[hole].entry != entry) {
        SW_ASSERT(slots[hole].entry != NULL);
        hole = (hole + 1) & ref.mask;
    }
    for (uint64_t i = (hole + 1) & ref.mask; slots[i].entry != NULL; i = (i + 1) & ref.mask) {
        uint64_t home = sw_index_home(slots[i].hash);
        if (((i - home) & ref.mask) < ((i - hole) & ref.mask)) continue; /* Its home lies behind the hole. */
        slots[hole] = slots[i];
        hole = i;
    }
    slots[hole] = (sw_index_slot){ 0, NULL };
    ref.segment->count--;
}

sw_entry *sw_index_cursor(const sw_index *index)
{
    const sw_index_ref *ref = &index->dir[index->cursor];
    /* The segment may have split into smaller ones since the cursor came here. */
    return index->cursor_slot <= ref->mask ? ref->segment->slots[index->cursor_slot].entry : NULL;
}

void sw_index_advance(sw_index *index)
{
    const sw_index_ref *ref = &index->dir[index->cursor];
    if (++index->cursor_slot <= ref->mask) return;
    index->cursor_slot = 0;
    index->cursor += (uint64_t)1 << (index->depth - ref->segment->depth);
    if (index->cursor == (uint64_t)1 << index->depth) index->cursor = 0;
}

void sw_index_rewind(sw_index *index)
{
    index->cursor = 0;
    index->cursor_slot = 0;
}

uint64_t sw_index_memory(const sw_index *index)
{
    return (sizeof(sw_index_ref) << index->depth) + index->segments * sizeof(sw_index_segment) +
           index->slots * sizeof(sw_index_slot);
}
