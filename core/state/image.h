/* image.h -- writing the file of a checkpoint.
 *
 *     entries in order of their stored keys --put--> [ pages of LMDB ][ manifest ][ trailer ]
 *
 * The trailer is seven numbers of 64 bits, little-endian: magic, version, bytes of pages, bytes of manifest, XXH3-64 of
 * the manifest, and the two halves of the XXH3-128 of everything before, pages to here. So a changed byte anywhere,
 * a missing end and an added one are all found, and what a file says of itself is read without touching its pages.
 *
 * Durable when  sw_image_write returns SW_OK: the file's bytes, under the name given; the name itself is the
 * caller's to
 *             sync. Nobody trusts a file under a temporary name, so pages are written without syncs of LMDB's, and one
 *             sync comes before the rename. A file is never changed after that.
 * Ownership  The image belongs to sw_image_write and lives for its call of fill.
 * Threads    One at a time.
 * Limits     Key and value together below 2^32 bytes. Memory: one transaction of SW_IMAGE_TXN_BYTES, whatever the size
 *            of the file. Byte order and page size are those of the machine. */
#ifndef SW_STATE_IMAGE_H
#define SW_STATE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "state/manifest.h"
#include "state/stored.h"

#define SW_IMAGE_TXN_BYTES (8u << 20)      /* written between LMDB's commits */
#define SW_IMAGE_MAGIC 0x31706b63756c7773u /* "swluckp1" */
#define SW_IMAGE_VERSION 1u

typedef struct sw_image_trailer {
    uint64_t magic;          /* SW_IMAGE_MAGIC */
    uint64_t version;        /* SW_IMAGE_VERSION */
    uint64_t pages_bytes;    /* where the manifest begins */
    uint64_t manifest_bytes; /* size of the manifest */
    uint64_t manifest_hash;  /* of the manifest alone */
    sw_hash128 hash;         /* of all bytes before this field */
} sw_image_trailer;

typedef struct sw_image sw_image;

/* Adds a change under this component id, and an entry of another file as it is. Keys must grow. SW_EFULL: the map is
 * full, to be returned by fill, which is then called again. */
int sw_image_put(sw_image *image, uint32_t component_id, const sw_saved *saved, sw_error *err);
int sw_image_copy(sw_image *image, const sw_stored *stored, sw_error *err);

typedef struct sw_image_plan {
    const char *path; /* of the file to be made; what has that name goes */
    uint64_t bytes;   /* estimate of keys and values: a wrong one costs writing again */
    uint64_t count;   /* estimate of entries */
    bool is_unsynced; /* tests only */
    int (*fill)(void *arg, sw_image *image, sw_error *err); /* puts all entries */
    void *arg;                                              /* of fill */
} sw_image_plan;

/* Writes the file. *manifest is encoded with the number of entries, and comes back decoded, owning its memory, as
 * *written; *ref is what others will know the file by. On failure there is no file. */
int sw_image_write(const sw_image_plan *plan, const sw_manifest *manifest, sw_manifest *written, sw_file_ref *ref,
                   sw_error *err);

#endif
