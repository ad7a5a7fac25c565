/* store_file.h -- the LMDB file under store.h: opened once in a process, changed by lists of changes.
 *
 *     changes: { u32 key bytes | u32 value bytes, or SW_STORE_REMOVED | key | value } ...
 *
 * Ownership  Who opened closes; the last one closes the environment.
 * Threads    Any.
 * Limits     store.h. */
#ifndef SW_IO_STORE_FILE_H
#define SW_IO_STORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fs.h"

#define SW_STORE_REMOVED UINT32_MAX
#define SW_STORE_NO_NOTE UINT64_MAX
#define SW_STORE_KEY_MAX 511u                /* LMDB's */
#define SW_STORE_MAP_BYTES ((size_t)1 << 30) /* address space at first; it grows */

typedef struct sw_store_file sw_store_file;

/* Opens the file, which is made if it is not there. SW_EFORMAT: it is no store, or damaged; SW_EINVAL: it is on a
 * remote file system; SW_EIO, SW_ENOSPC, SW_ENOMEM. */
int sw_store_file_open(sw_store_file **out, const char *path, size_t map_bytes, sw_error *err);
void sw_store_file_close(sw_store_file *store);

/* Takes the file for one sink, until that closes it with sw_store_file_unlock. SW_EBUSY: another one has it. */
int sw_store_file_lock(sw_store_file *store, sw_error *err);
void sw_store_file_unlock(sw_store_file *store);

/* The checkpoint applied last; 0 for none. */
int sw_store_file_applied(sw_store_file *store, uint64_t *checkpoint, sw_error *err);

/* Notes a checkpoint as the last one applied; 0: none. */
int sw_store_file_note(sw_store_file *store, uint64_t checkpoint, sw_error *err);

/* Applies `bytes` bytes of changes, in memory or at the beginning of a file, in one transaction; notes the
 * checkpoint in the same one unless it is SW_STORE_NO_NOTE. SW_EFORMAT: they are no changes, and none was made. */
typedef struct sw_store_changes {
    const uint8_t *data; /* NULL: they are in `file` */
    sw_file *file;       /* or NULL */
    uint64_t bytes;      /* of changes */
} sw_store_changes;
int sw_store_file_apply(sw_store_file *store, const sw_store_changes *changes, uint64_t checkpoint, sw_error *err);

#endif
