/* checkpoint_file.h -- reading the file of a checkpoint (image.h says what is in it).
 *
 *     path --peek--> manifest                  its end only
 *     path --open--> every byte verified --> cursors, get
 *
 * LMDB trusts its pages: a changed byte may give another value, a missing page ends the process. So it is given a file
 * only after the file's bytes were read to the last one and had the hash that its trailer says, and only if what it
 * opened is the very file that was read.
 *
 * Ownership  A file owns its manifest. What cursors and get show lives in the file's mapping: until close.
 * Threads    peek, verify, open: any. An open file may be read by several threads at once, each with cursors of its
 *            own.
 * Limits     A file that somebody overwrites in place while it is open is beyond help; removing it does no harm. */
#ifndef SW_STATE_CHECKPOINT_FILE_H
#define SW_STATE_CHECKPOINT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/fs.h"
#include "state/image.h"
#include "state/manifest.h"
#include "state/stored.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

typedef struct sw_checkpoint_file {
    struct MDB_env *env;  /* read-only */
    unsigned dbi;         /* its only table */
    sw_manifest manifest; /* owned */
    sw_file_ref ref;      /* what others know it by */
    char *path;           /* owned */
} sw_checkpoint_file;

/* The hash of the file up to the trailer's own: of the bytes in front of it and of its first fields. */
int sw_checkpoint_file_hash(sw_file *file, const sw_image_trailer *trailer, sw_hash128 *hash, sw_error *err);

/* Reads what the end of the file says. SW_EFORMAT: that is damaged, or no checkpoint; SW_ENOTFOUND, SW_EIO, SW_ENOMEM.
 * *manifest is to be deinited. */
int sw_checkpoint_file_peek(const char *path, sw_manifest *manifest, sw_file_ref *ref, sw_error *err);

/* Reads all of it, as open does. With from_disk, what the system has of it in memory does not count. */
int sw_checkpoint_file_verify(const char *path, bool from_disk, sw_error *err);

/* Verifies and opens. Codes as peek; SW_ELIMIT: too many open files. */
int sw_checkpoint_file_open(sw_checkpoint_file **out, const char *path, sw_error *err);
void sw_checkpoint_file_close(sw_checkpoint_file *file);

/* The entry under this stored key, to which out->key points; SW_ENOTFOUND. */
int sw_checkpoint_file_get(const sw_checkpoint_file *file, const uint8_t *key, size_t key_len, sw_stored *out,
                           sw_error *err);

typedef struct sw_file_cursor {
    struct MDB_txn *txn;       /* owned */
    struct MDB_cursor *cursor; /* owned */
    const char *path;          /* for messages */
    sw_stored at;              /* the entry; key_len 0: at the end */
} sw_file_cursor;

int sw_file_cursor_open(sw_file_cursor *cursor, const sw_checkpoint_file *file, sw_error *err);
void sw_file_cursor_close(sw_file_cursor *cursor);

/* Goes to the first entry whose key is not less; to the next one. At the end cursor->at.key_len is 0. */
int sw_file_cursor_seek(sw_file_cursor *cursor, const uint8_t *key, size_t key_len, sw_error *err);
int sw_file_cursor_next(sw_file_cursor *cursor, sw_error *err);

#endif
