/* merge.h -- the entries of a chain of files as if they were one: of each key the newest.
 *
 *     file 5 (newest)  --cursor--\
 *     file 4           --cursor---> smallest key first, newest file first --next--> entry
 *     file 1 (image)   --cursor--/
 *
 * Ownership  A merge owns its cursors; the files stay open longer.
 * Threads    One at a time; several merges of the same files may run at once.
 * Limits     SW_CHAIN_MAX + 1 files. Memory: a cursor a file. */
#ifndef SW_STATE_MERGE_H
#define SW_STATE_MERGE_H

#include <stdint.h>

#include "base/error.h"
#include "state/checkpoint_file.h"

typedef struct sw_merge sw_merge;

/* `files` are in order of age, newest first. */
int sw_merge_open(sw_merge **out, sw_checkpoint_file *const *files, uint32_t count, sw_error *err);
void sw_merge_close(sw_merge *merge);

/* From here on: keys from `first` on and before `end`, in the newest `files` files. */
int sw_merge_seek(sw_merge *merge, uint32_t files, const uint8_t first[SW_STORED_PLACE],
                  const uint8_t end[SW_STORED_PLACE], sw_error *err);

/* The next entry that is not removed; it lies in its file's mapping. SW_EEMPTY at the end; SW_EFORMAT, SW_EIO. */
int sw_merge_next(sw_merge *merge, sw_stored *out, sw_error *err);

#endif
