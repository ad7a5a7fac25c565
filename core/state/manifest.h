/* manifest.h -- what a checkpoint's file says about itself, and the bytes of it.
 *
 *     [ pages of LMDB ][ manifest ][ trailer ]          see image.h
 *
 * Component ids stand for components in stored keys. They never change their meaning along a chain of files, although a
 * component's index in the job's graph may change with each run: a component that the file before knows by name keeps
 * its id, one that is new gets an id never given before, so what a removed component left is never taken for
 * another's.
 *
 * Format     msgpack: an array of the fields below in a fixed order; texts hold their NUL.
 * Ownership  A decoded manifest owns its memory; one that is put together for encoding borrows everything.
 * Threads    Pure functions.
 * Limits     65,535 components, SW_CHAIN_MAX files. */
#ifndef SW_STATE_MANIFEST_H
#define SW_STATE_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "state/checkpoints.h"

#define SW_CHAIN_MAX 256 /* files that a checkpoint may build on */

/* A file that another one builds on: just this one, not one of the same name. */
typedef struct sw_file_ref {
    uint64_t id;     /* of its checkpoint */
    bool is_full;    /* the image, not the changes */
    uint64_t bytes;  /* size */
    sw_hash128 hash; /* from its trailer */
} sw_file_ref;

typedef struct sw_manifest {
    sw_checkpoint_meta meta;       /* script NULL: that of the file before */
    sw_hash128 script_hash;        /* of the script, here or in the file before */
    const uint32_t *component_ids; /* by index in meta.components */
    uint32_t next_component_id;    /* above every id given along the chain */
    uint64_t entries;              /* stored in the file */
    const sw_file_ref *chain;      /* the files that this one builds on, the full image first */
    uint32_t chain_count;          /* none: this is a full image */
    void *owned;                   /* decoded: memory behind the pointers, else NULL */
} sw_manifest;

/* Appends the bytes. SW_ENOMEM. */
int sw_manifest_encode(const sw_manifest *manifest, sw_buf *out);

/* SW_EFORMAT, SW_ENOMEM; *out is written on success only. */
int sw_manifest_decode(sw_manifest *out, const uint8_t *bytes, size_t len, sw_error *err);
void sw_manifest_deinit(sw_manifest *manifest);

/* Index of a component by its name; -1: there is none. */
int64_t sw_manifest_find(const sw_manifest *manifest, const char *component);

static inline bool sw_file_ref_same(const sw_file_ref *a, const sw_file_ref *b)
{
    return a->id == b->id && a->is_full == b->is_full && a->bytes == b->bytes && a->hash.low == b->hash.low &&
           a->hash.high == b->hash.high;
}

#endif
