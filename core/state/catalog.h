/* catalog.h -- the files in checkpoints/: which there are, what they need, which may go.
 *
 *     12.mdb           what changed from checkpoint 11 to 12
 *     12.full.mdb      everything at checkpoint 12
 *     12.mdb.skipped   set aside: an older checkpoint was restored
 *     12.tmp           being written, or left by a crash
 *
 * A checkpoint with both files may be restored from either; the image is preferred, and later checkpoints build on it.
 *
 * Kept are the newest N usable checkpoints with all files they build on and, if these all stand on the same full image,
 * the newest usable one that does not, with its own: once there have been two images, no single bad file makes all
 * checkpoints unusable. What is older goes, changes before what they build on, so that no crash leaves a checkpoint
 * listed whose files are gone.
 *
 * Ownership  A catalog owns its entries.
 * Threads    One at a time.
 * Limits     Damage inside a file's pages shows only where a file is verified (deep). */
#ifndef SW_STATE_CATALOG_H
#define SW_STATE_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "state/manifest.h"

#define SW_CATALOG_WHY 256
#define SW_PATH_MAX 4096 /* bytes of a path, its NUL included */

typedef struct sw_catalog_file {
    uint64_t id;              /* of its checkpoint */
    bool is_full;             /* an image, by its name */
    bool is_skipped;          /* set aside */
    bool is_kept;             /* marked by sw_catalog_mark */
    int problem;              /* SW_OK, or why it cannot be read */
    char why[SW_CATALOG_WHY]; /* the same as a text that names it */
    sw_manifest manifest;     /* if there is no problem and it is not set aside */
    sw_file_ref ref;          /* the same */
} sw_catalog_file;

typedef struct sw_catalog {
    sw_catalog_file *files; /* by id, changes before the image */
    uint32_t count;         /* files */
    uint32_t cap;           /* room in `files` */
    uint64_t id_max;        /* of any name seen, unfinished ones included; 0: none */
} sw_catalog;

/* Writes DIR/NAME of a file into path. */
void sw_catalog_path(char path[SW_PATH_MAX], const char *dir, uint64_t id, bool is_full, bool is_skipped);

/* Reads the ends of all files of the directory. SW_OK also when some of them are damaged or vanish meanwhile. */
int sw_catalog_load(sw_catalog *out, const char *dir, sw_error *err);
void sw_catalog_deinit(sw_catalog *catalog);

/* Reads every file to its end and notes damage. SW_OK, SW_ENOMEM, SW_ELIMIT. */
int sw_catalog_verify(sw_catalog *catalog, const char *dir, sw_error *err);

/* Makes room for one more file, so that sw_catalog_add cannot fail. It takes over the manifest. */
int sw_catalog_reserve(sw_catalog *catalog, sw_error *err);
sw_catalog_file *sw_catalog_add(sw_catalog *catalog, const sw_file_ref *ref, const sw_manifest *manifest);

/* The file that is not set aside; NULL. */
sw_catalog_file *sw_catalog_find(const sw_catalog *catalog, uint64_t id, bool is_full);

/* Can a checkpoint be restored from this file, as far as is known? SW_OK; SW_EFORMAT or SW_ENOTFOUND with a text that
 * names the file at fault. */
int sw_catalog_check(const sw_catalog *catalog, const char *dir, const sw_catalog_file *file, sw_error *err);

/* Sets is_kept of all files as said above; `retain` is N. */
void sw_catalog_mark(sw_catalog *catalog, const char *dir, uint32_t retain);

/* Removes the files that are not marked as kept, from the directory and from here. What cannot be removed stays. */
void sw_catalog_sweep(sw_catalog *catalog, const char *dir);

/* Forgets the file at this index. */
void sw_catalog_forget(sw_catalog *catalog, uint32_t index);

#endif
