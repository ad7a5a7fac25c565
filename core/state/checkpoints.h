/* checkpoints.h -- the checkpoints of one state directory: written, listed, restored, folded, retired.
 *
 *     snapshots --commit--> checkpoints/ID.mdb (what changed) --fold--> ID.full.mdb (everything)
 *                                  |
 *     latest | ID | NAME | path --open_restore--> verified chain of files --each/parts--> state of instances
 *
 * Ownership  sw_checkpoints owns its directory: one process at a time (a lock on DIR/OWNER, held until close; a child
 *            that is forked meanwhile and lives on holds it too).
 * Durable    A checkpoint when commit returns SW_OK, a savepoint when savepoint does, what was set aside or dropped
 *            when that returns; ids before they are used. store.h argues why a crash at any moment leaves whole files.
 * Threads    One at a time, except what is marked "any thread". A tool may read the directory (is_read_only) beside the
 *            process that writes it; files that are retired meanwhile make it look again.
 * Limits     Keys and values as in snapshot.h, together below 2^32 bytes; groups and instances up to 255. Files are
 *            read by machines of the same byte order. Checksums tell damage, not malice: a savepoint from a stranger is
 *            to be trusted like a program. */
#ifndef SW_STATE_CHECKPOINTS_H
#define SW_STATE_CHECKPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "state/snapshot.h"

#define SW_SAVEPOINT_NAME_MAX 100 /* bytes; letters, digits, '.', '_' and '-', not beginning with a digit or '.' */

typedef struct sw_checkpoints sw_checkpoints;
typedef struct sw_restore sw_restore;

/* What a component was when the checkpoint was taken. */
typedef struct sw_saved_component {
    const char *name;     /* its identity */
    uint32_t parallelism; /* instances */
    uint32_t version;     /* of the shape of its state; 0: it does not say */
    bool has_state;       /* its removal from the job loses something */
} sw_saved_component;

/* What a checkpoint says about itself. */
typedef struct sw_checkpoint_meta {
    uint64_t id;                          /* growing; ids of aborted ones are never used again */
    int64_t time_ms;                      /* when it was taken, epoch ms */
    bool is_finished;                     /* the job's input had ended: the next run starts fresh */
    const char *job;                      /* name of the job */
    const char *folder;                   /* from which it was run */
    const char *script_path;              /* of the job's script */
    const char *script;                   /* its text */
    uint32_t script_len;                  /* bytes */
    const sw_saved_component *components; /* by index in the job's graph: what sw_saved.component means */
    uint32_t component_count;             /* entries of components */
} sw_checkpoint_meta;

/* A row of sw_checkpoints_list. */
typedef struct sw_checkpoint_entry {
    uint64_t id;                          /* of the checkpoint */
    char name[SW_SAVEPOINT_NAME_MAX + 1]; /* of a savepoint; "" otherwise */
    int64_t time_ms;                      /* when it was taken */
    bool is_finished;                     /* see the meta */
    bool is_full;                         /* builds on no other file */
    uint64_t bytes;                       /* of its own file */
    uint64_t changes;                     /* entries in its own file */
    uint32_t files;                       /* it needs, its own included */
    int problem;                          /* SW_OK, or why it cannot be used: SW_EFORMAT (damaged), SW_ENOTFOUND (a
                                             file is missing); its text is in `why` */
    char why[256];                        /* names the file at fault */
} sw_checkpoint_entry;

typedef struct sw_checkpoints_options {
    uint32_t retain;     /* checkpoints kept, at least 1 */
    bool is_read_only;   /* takes no lock, writes nothing: for tools beside a running job */
    bool sync_is_unsafe; /* tests only: checkpoints are not synced, to prove that tests of power loss see it */
} sw_checkpoints_options;

/* Makes the directory if need be, and takes its lock. SW_EBUSY: another process has it (err names its pid);
 * SW_ENOTFOUND: read-only, and there is none; SW_EIO, SW_ENOSPC, SW_ENOMEM. Removes what an interrupted write left. */
int sw_checkpoints_open(sw_checkpoints **out, const char *dir, const sw_checkpoints_options *options, sw_error *err);
void sw_checkpoints_close(sw_checkpoints *checkpoints);

/* A greater id than that of any checkpoint ever begun here. Any thread. After a crash up to 16 numbers are left out. */
uint64_t sw_checkpoints_next_id(sw_checkpoints *checkpoints);

/* Notes, and asks, that a job was over with this checkpoint: its input had ended, and sinks have shown all of it. Not
 * synced. A note that is lost or cannot be written counts as none. */
void sw_checkpoints_note_over(const sw_checkpoints *checkpoints, uint64_t id);
bool sw_checkpoints_is_over(const sw_checkpoints *checkpoints, uint64_t id);

/* Writes a checkpoint: durable when it returns SW_OK, else absent. `snapshots` in order of age (a later change
 * of a key counts); it builds on the last one committed or restored here, and without one it is a full image. *bytes:
 * size of its file. Retires what is beyond `retain`. A component that the one before does not list starts without
 * state, even if older ones list it. SW_ENOSPC, SW_EIO, SW_ENOMEM: the checkpoint failed, the ones before are as they
 * were; SW_EINVAL: the id is not above all others. */
int sw_checkpoints_commit(sw_checkpoints *checkpoints, const sw_checkpoint_meta *meta,
                          const sw_snapshot *const *snapshots, uint32_t count, uint64_t *bytes, sw_error *err);

/* The id of the oldest checkpoint that can be restored, savepoints apart; 0 when there is none. */
uint64_t sw_checkpoints_oldest(const sw_checkpoints *checkpoints);

/* Is it worth folding now? Then sw_checkpoints_fold, on the thread that commits, makes the last checkpoint a full
 * image, reads it back, and retires what it replaces. Among the retained checkpoints at least two full images stay,
 * once there have been two. A fold that fails changes nothing, and may be tried again after the next commit.
 * SW_EFORMAT: a file of the chain is damaged, so neither this checkpoint nor those that build on it can be restored. */
bool sw_checkpoints_should_fold(const sw_checkpoints *checkpoints);
int sw_checkpoints_fold(sw_checkpoints *checkpoints, sw_error *err);

/* Makes savepoints/NAME.mdb of the last checkpoint: one file that needs no other. SW_EINVAL for a name that cannot
 * be or is taken; SW_ESTATE: there is no checkpoint yet. */
int sw_checkpoints_savepoint(sw_checkpoints *checkpoints, const char *name, sw_error *err);

/* Checkpoints, oldest first, then savepoints by name: an array to be freed with sw_free. `deep` reads every file
 * to its end to tell damaged ones; otherwise only what their ends say. Any thread. */
int sw_checkpoints_list(sw_checkpoints *checkpoints, bool deep, sw_checkpoint_entry **out, uint32_t *count,
                        sw_error *err);
/* Removes a checkpoint, also one set aside, or a savepoint ("12", "NAME"). SW_ENOTFOUND; SW_ESTATE: another one builds
 * on it, or the next commit will. */
int sw_checkpoints_drop(sw_checkpoints *checkpoints, const char *which, sw_error *err);

/* --- restoring -------------------------------------------------------------------------------------------------- */

/* Opens a checkpoint: "latest", an id, a savepoint's name, or a path to a savepoint's file (with a '/' or ending in
 * ".mdb"). All its files are verified to the last byte first. "latest" falls back over unusable ones and calls
 * on_skip (may be NULL) for each with the reason. SW_ENOTFOUND: there is none ("latest": none at all); SW_EFORMAT:
 * there are, and none is usable (err says which and why).
 * In a checkpoints object that may write, the next commit builds on it, and those newer than it are set aside: renamed
 * to FILE.skipped, never used again, and removed when they are older than all that is retained. From a savepoint a copy
 * under a new id is made first, which the next commit builds on, and all checkpoints are set aside; the meta is the
 * savepoint's. A process that dies in this call is to be started with the same `which` again; after it "latest" will
 * do. */
int sw_restore_open(sw_restore **out, sw_checkpoints *checkpoints, const char *which,
                    void (*on_skip)(void *arg, const char *text), void *arg, sw_error *err);
void sw_restore_close(sw_restore *restore);

/* Valid until close. Any thread. */
const sw_checkpoint_meta *sw_restore_meta(const sw_restore *restore);

/* Calls fn with each entry of an inherited kind in groups [first, end), by group and then key; removed ones do not
 * appear. `component` is the saved name. fn returning non-zero stops. Returns fn's last value or a code. Any thread,
 * several at once. saved->component is the index in the meta. */
int sw_restore_each(const sw_restore *restore, const char *component, sw_saved_kind kind, uint32_t group_first,
                    uint32_t group_end, int (*fn)(void *arg, const sw_saved *saved), void *arg, sw_error *err);
/* The same for a complete kind, by instance and then key. Both: SW_ENOTFOUND for a component that the meta lacks; keys
 * above 506 bytes that begin alike come in any order, the same one every time. */
int sw_restore_parts(const sw_restore *restore, const char *component, sw_saved_kind kind,
                     int (*fn)(void *arg, const sw_saved *saved), void *arg, sw_error *err);
/* One entry, appended to `value`. SW_ENOTFOUND. */
int sw_restore_get(const sw_restore *restore, const char *component, sw_saved_kind kind, uint32_t group,
                   const uint8_t *key, uint32_t key_len, sw_buf *value, sw_error *err);

#endif
