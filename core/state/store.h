/* store.h -- the inside of sw_checkpoints, for the files that implement checkpoints.h.
 *
 *     checkpoints.c  open, close, list, drop      commit.c   changes -> file
 *     restore.c      files -> entries             fold.c     a chain -> one file: folding, savepoints
 *     publish.c      temporary file -> durable name; ids
 *
 * Names in the directory besides those of catalog.h: savepoints/NAME.mdb, and three small files in checkpoints/. IDS
 * holds a number that no id given out has reached; it is on the disk before the ids are used. NEWEST holds the id of
 * the newest checkpoint, not synced: it only serves to notice that the file of that one is gone. OVER holds the id of
 * the one with which the job was over, not synced either: without it the job goes on from there, and is over at once.
 *
 * The crash argument  A file gets its name when its bytes are on the disk, and counts when the name is; before that the
 *             checkpoint is absent, and the next open removes what carries a temporary name. One whose rename is done
 *             and whose directory's sync fails is removed again; should it come back by a crash, it is whole, and what
 *             sinks prepared for it was synced before: a restart from it is as good. What is removed is needed by
 *             nothing that stays (catalog.h). So at every moment each file under a proper name is whole, and the chains
 *             of those that are kept are complete. */
#ifndef SW_STATE_STORE_H
#define SW_STATE_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/fs.h"
#include "state/catalog.h"
#include "state/checkpoint_file.h"
#include "state/checkpoints.h"
#include "state/image.h"

#define SW_STORE_IDS "IDS"
#define SW_STORE_NEWEST "NEWEST"
#define SW_STORE_OVER "OVER"
#define SW_IDS_RESERVED 16u /* ids given out per write of IDS, and at most lost by a crash */
#define SW_LOAD_TRIES 8     /* of reading a directory whose files are retired meanwhile */

struct sw_checkpoints {
    sw_checkpoints_options options; /* as given */
    sw_file *lock;                  /* on OWNER; NULL: read-only */
    sw_catalog catalog;             /* of checkpoints/, up to date where it may write */
    bool has_base;                  /* the next commit builds on a checkpoint: */
    bool base_is_full;              /* on its image */
    uint64_t base_id;               /* its id */
    pthread_mutex_t ids_mutex;      /* guards the next two */
    uint64_t next_id;               /* to be given out */
    uint64_t ids_end;               /* as in IDS */
    char dir[SW_PATH_MAX];          /* of the state */
    char checkpoints[SW_PATH_MAX];  /* its checkpoints/ */
    char savepoints[SW_PATH_MAX];   /* its savepoints/ */
};

/* Files of one checkpoint, newest first, all verified. */
typedef struct sw_chain {
    sw_checkpoint_file **files; /* owned */
    uint32_t count;             /* files */
} sw_chain;

struct sw_restore {
    sw_chain chain;          /* owned */
    sw_checkpoint_meta meta; /* of its newest file, with the script */
};

/* The file of the catalog that the next commit builds on; NULL. */
const sw_catalog_file *sw_store_base(const sw_checkpoints *checkpoints);

/* Reads the directory afresh; where files are retired meanwhile, until what is listed is complete. */
int sw_store_load(const sw_checkpoints *checkpoints, sw_catalog *out, sw_error *err);

/* SW_ESTATE when it is read-only. */
int sw_store_check_writable(const sw_checkpoints *checkpoints, sw_error *err);

/* Removes what retention does not keep. */
void sw_store_retire(sw_checkpoints *checkpoints);

/* --- publish.c -------------------------------------------------------------------------------------------------- */

/* SW_ENOSPC when the disk has not so much room. */
int sw_store_check_room(const sw_checkpoints *checkpoints, uint64_t bytes, sw_error *err);

/* Gives a written and synced file its name in `dir`, durably, or removes it. */
int sw_store_publish(const sw_checkpoints *checkpoints, const char *dir, const char *temporary, const char *path,
                     sw_error *err);
int sw_store_sync_dir(const sw_checkpoints *checkpoints, const char *dir, sw_error *err);

/* The number in one of the small files; 0 if there is none. */
int sw_store_read_number(const char *dir, const char *name, uint64_t *number, sw_error *err);

/* Makes sure that IDS is above `id`; lowers it to what was given out, where it fails ids are lost. */
int sw_store_reserve_ids(sw_checkpoints *checkpoints, uint64_t id, sw_error *err);
void sw_store_return_ids(sw_checkpoints *checkpoints);

/* Notes the id of the newest checkpoint in the catalog; failing does no harm. */
void sw_store_note_newest(const sw_checkpoints *checkpoints);

/* Writes the path of savepoints/NAME.mdb. SW_EINVAL: it cannot be a name. */
int sw_store_savepoint_path(const sw_checkpoints *checkpoints, const char *name, char path[SW_PATH_MAX], sw_error *err);

/* --- restore.c and fold.c --------------------------------------------------------------------------------------- */

/* Opens a checkpoint's file in `dir` and all it builds on; or a full image, wherever it is. SW_EFORMAT, SW_ENOTFOUND,
 * SW_EIO, SW_ENOMEM, SW_ELIMIT. */
int sw_chain_open(sw_chain *out, const char *dir, uint64_t id, bool is_full, sw_error *err);
int sw_chain_open_single(sw_chain *out, const char *path, sw_error *err);
void sw_chain_close(sw_chain *chain);

/* The meta of the chain that has the script; NULL: none has. */
const sw_checkpoint_meta *sw_chain_script(const sw_chain *chain);

/* A component's index in the meta, and its id in stored keys. SW_ENOTFOUND. */
int sw_restore_find(const sw_restore *restore, const char *component, uint32_t *index, uint32_t *id, sw_error *err);

/* Writes all entries of the chain as a full image of checkpoint `id`, reads it back, and gives it its name. */
int sw_store_write_image(const sw_checkpoints *checkpoints, const sw_chain *chain, uint64_t id, const char *dir,
                         const char *path, sw_manifest *written, sw_file_ref *ref, sw_error *err);

#endif
