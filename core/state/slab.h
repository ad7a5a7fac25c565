/* slab.h -- memory for many small blocks of few sizes: entries, their strings and their bytes at rest.
 *
 *     chunk: [ link | block | block | block ... | not yet carved ]      free[class] -> block -> block
 *
 * A size class every 16 bytes up to 1 KiB, then four per power of two up to 32 KiB, so a larger block loses at most
 * a fifth; over 32 KiB blocks come from the allocator. The caller remembers a block's size, so a block has no header.
 * Chunks double from 4 KiB to 2 MiB, from where on they are huge pages.
 *
 * Ownership  The slab owns its chunks; large blocks are the caller's to free before sw_slab_deinit.
 * Threads    One at a time.
 * Limits     A freed block serves its own class again; chunks go back to the system with the slab. */
#ifndef SW_STATE_SLAB_H
#define SW_STATE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define SW_SLAB_ALIGN 16
#define SW_SLAB_SMALL_MAX 1024
#define SW_SLAB_BLOCK_MAX 32768
#define SW_SLAB_CLASSES (1 + SW_SLAB_SMALL_MAX / SW_SLAB_ALIGN + 4 * 5)

typedef struct sw_slab_block {
    struct sw_slab_block *next; /* the next free block, or the chunk allocated before */
} sw_slab_block;

typedef struct sw_slab {
    sw_slab_block *free[SW_SLAB_CLASSES]; /* by class; class 0 is unused */
    uint8_t *bump;                        /* first byte of the newest chunk that is not carved yet */
    uint8_t *end;                         /* end of that chunk */
    sw_slab_block *chunks;                /* owned */
    size_t chunk_size;                    /* bytes of the next chunk; 0 at first */
    uint64_t bytes;                       /* held: chunks and large blocks */
} sw_slab;

/* All bytes zero is an empty slab. Frees the chunks. */
void sw_slab_deinit(sw_slab *slab);

/* 16-aligned, not zeroed; NULL when out of memory. size is not 0. */
void *sw_slab_alloc(sw_slab *slab, size_t size);

/* size as it was given to sw_slab_alloc; block may be NULL. */
void sw_slab_free(sw_slab *slab, void *block, size_t size);

/* A block of new_size with the bytes of this one, of size, which is then freed; NULL when out of memory, and the block
 * stays. Neither size is 0. */
void *sw_slab_resize(sw_slab *slab, void *block, size_t size, size_t new_size);

/* Would a block of one size also do for the other? */
int sw_slab_same_class(size_t a, size_t b);

#endif
