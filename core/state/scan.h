/* scan.h -- looking into a checkpoint from outside: its files, and the entries of a component one after the other.
 *
 *     sw_restore --open--> [ group 0: entry ... | group 1: entry ... | ... ] --next--> entries in order of keys
 *
 * Keys are ordered by their bytes (key.h), whatever groups they are in: small whole numbers first, then lists, then
 * strings, shorter ones before longer. Of keys above 506 bytes that begin alike the order is any, but the same in every
 * checkpoint.
 *
 * Ownership  A scan borrows the restore, in whose files lies what next shows, until the restore is closed.
 * Threads    Each scan one at a time; several of one restore at once.
 * Limits     Memory as of the groups and files, not of the entries. */
#ifndef SW_STATE_SCAN_H
#define SW_STATE_SCAN_H

#include "state/checkpoints.h"

typedef struct sw_scan sw_scan;

/* Of an inherited kind, in groups [first, end). SW_ENOTFOUND for a component that the meta lacks; SW_EFORMAT,
 * SW_ENOMEM.
 */
int sw_scan_open(sw_scan **out, const sw_restore *restore, const char *component, sw_saved_kind kind,
                 uint32_t group_first, uint32_t group_end, sw_error *err);
void sw_scan_close(sw_scan *scan); /* NULL is fine */

/* The next entry; saved->component is the index in the meta. SW_EEMPTY at the end; SW_EFORMAT. */
int sw_scan_next(sw_scan *scan, sw_saved *out, sw_error *err);

/* Which of two scans, which may be of different checkpoints, has shown the lesser key last: below 0, 0 for the same
 * key, above 0. One that is at its end comes last. */
int sw_scan_compare(const sw_scan *a, const sw_scan *b);

/* A file of a checkpoint. */
typedef struct sw_restore_file {
    const char *path; /* as opened */
    bool is_full;     /* builds on no other */
    uint64_t bytes;   /* size */
    uint64_t entries; /* in it */
} sw_restore_file;

/* The files that were opened, newest first; false behind the last. */
bool sw_restore_file_at(const sw_restore *restore, uint32_t index, sw_restore_file *out);

#endif
