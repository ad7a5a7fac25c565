#include "state/slab.h"

#include <string.h>

#include "base/alloc.h"

#define CHUNK_FIRST 4096u
#define CHUNK_MAX (2u << 20) /* and a huge page */
#define SMALL_CLASSES (SW_SLAB_SMALL_MAX / SW_SLAB_ALIGN)
#define SMALL_BITS 10 /* log2 of SW_SLAB_SMALL_MAX */

typedef struct size_class {
    unsigned index; /* into free */
    size_t size;    /* bytes of its blocks */
} size_class;

static inline size_class class_of(size_t size)
{
    if (size <= SW_SLAB_SMALL_MAX) {
        size_t units = (size + SW_SLAB_ALIGN - 1) / SW_SLAB_ALIGN;
        return (size_class){ (unsigned)units, units * SW_SLAB_ALIGN };
    }
    unsigned bits = 63u - (unsigned)__builtin_clzll(size - 1); /* 2^bits < size <= 2^(bits+1) */
    size_t quarter = (size_t)1 << (bits - 2);
    unsigned quarters = (unsigned)((size - 1 - ((size_t)1 << bits)) / quarter);
    return (size_class){ 1 + SMALL_CLASSES + 4 * (bits - SMALL_BITS) + quarters,
                         ((size_t)1 << bits) + (quarters + 1) * quarter };
}

void sw_slab_deinit(sw_slab *slab)
{
    while (slab->chunks != NULL) {
        sw_slab_block *next = slab->chunks->next;
        sw_free(slab->chunks);
        slab->chunks = next;
    }
    *slab = (sw_slab){ 0 };
}

static void push(sw_slab *slab, unsigned index, void *memory)
{
    sw_slab_block *block = memory;
    block->next = slab->free[index];
    slab->free[index] = block;
}

/* The rest of the old chunk is cut into free blocks: none is lost to a block that did not fit. */
static void retire_chunk(sw_slab *slab)
{
    size_t rest = (size_t)(slab->end - slab->bump);
    while (rest >= SW_SLAB_ALIGN) {
        size_t size = rest < SW_SLAB_SMALL_MAX ? rest & ~(size_t)(SW_SLAB_ALIGN - 1) : SW_SLAB_SMALL_MAX;
        push(slab, (unsigned)(size / SW_SLAB_ALIGN), slab->bump);
        slab->bump += size;
        rest -= size;
    }
}

static int add_chunk(sw_slab *slab, size_t block_size)
{
    size_t size = slab->chunk_size > 0 ? slab->chunk_size : CHUNK_FIRST;
    while (size < block_size + SW_SLAB_ALIGN) size *= 2;
    sw_slab_block *chunk = size % CHUNK_MAX == 0 ? sw_alloc_pages(size) : sw_alloc(size);
    if (chunk == NULL) return 0;
    retire_chunk(slab);
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    slab->bump = (uint8_t *)chunk + SW_SLAB_ALIGN;
    slab->end = (uint8_t *)chunk + size;
    slab->chunk_size = size < CHUNK_MAX ? 2 * size : CHUNK_MAX;
    slab->bytes += size;
    return 1;
}

void *sw_slab_alloc(sw_slab *slab, size_t size)
{
    if (size > SW_SLAB_BLOCK_MAX) {
        void *large = sw_alloc(size);
        if (large != NULL) slab->bytes += size;
        return large;
    }
    size_class class = class_of(size);
    sw_slab_block *block = slab->free[class.index];
    if (block != NULL) {
        slab->free[class.index] = block->next;
        return block;
    }
    if ((size_t)(slab->end - slab->bump) < class.size && !add_chunk(slab, class.size)) return NULL;
    void *carved = slab->bump;
    slab->bump += class.size;
    return carved;
}

void sw_slab_free(sw_slab *slab, void *block, size_t size)
{
    if (block == NULL) return;
    if (size > SW_SLAB_BLOCK_MAX) {
        slab->bytes -= size;
        sw_free(block);
        return;
    }
    push(slab, class_of(size).index, block);
}

void *sw_slab_resize(sw_slab *slab, void *block, size_t size, size_t new_size)
{
    if (size > SW_SLAB_BLOCK_MAX && new_size > SW_SLAB_BLOCK_MAX) {
        void *large = sw_realloc(block, new_size);
        if (large != NULL) slab->bytes += new_size - size;
        return large;
    }
    if (sw_slab_same_class(size, new_size)) return block;
    void *copy = sw_slab_alloc(slab, new_size);
    if (copy == NULL) return NULL;
    memcpy(copy, block, size < new_size ? size : new_size);
    sw_slab_free(slab, block, size);
    return copy;
}

int sw_slab_same_class(size_t a, size_t b)
{
    if (a > SW_SLAB_BLOCK_MAX || b > SW_SLAB_BLOCK_MAX) return a == b;
    return class_of(a).index == class_of(b).index;
}
