/* segment.h -- what a transactional sink was given since the last barrier, in a side file until it is committed.
 *
 *     sink --write--> STATE_DIR/sinks/NAME.INSTANCE.N ---prepare---> [ sw_prepared ] --sync, commit--> target
 *
 * A segment is made by its first byte: a checkpoint without rows costs nothing on disk. What sw_prepared says is all
 * that commit needs, in this process or the next.
 *
 * Format     sw_prepared is a msgpack map { path, segment, bytes, hash, offset, checkpoint, applied, is_direct }.
 * Crash      The segment and its name are synced before the checkpoint is committed, and removed only after the target
 *            is synced. Others are left over: sw_segment_init removes them, so that numbers can begin at 0.
 * Ownership  deinit frees everything, and removes the segment that was not prepared.
 * Threads    One: the worker of the sink's instance. Functions of prepared values: any.
 * Limits     A write that fails has to be repeated, before prepare, with the same bytes or more. */
#ifndef SW_IO_SEGMENT_H
#define SW_IO_SEGMENT_H

#include "base/fs.h"
#include "base/hash.h"
#include "run/connector.h"

typedef struct sw_segment {
    char *prefix;     /* path of a segment less its number; owned */
    sw_file *file;    /* being written; NULL before the first byte; owned */
    uint64_t number;  /* of it */
    uint64_t bytes;   /* in it */
    sw_hasher hasher; /* over them */
} sw_segment;

/* What a sink has prepared. */
typedef struct sw_prepared {
    const char *path;    /* the target, from the root on */
    const char *segment; /* where its bytes are, from the root on; NULL: there are none */
    uint64_t bytes;      /* in the segment */
    uint64_t hash;       /* of them */
    uint64_t offset;     /* of a file: where they go; of a store: the checkpoint that changed it before */
    uint64_t checkpoint; /* for which they were prepared */
    uint64_t applied;    /* of a store: the last checkpoint that changed it, this one included; 0: none did */
    bool is_direct;      /* the target itself was written, and has to be synced */
    sw_buf texts;        /* what path and segment of a value that was read point into; owned */
} sw_prepared;

/* Makes STATE_DIR/sinks and removes what an earlier run left of this instance there; instance 0 also what instances
 * left that there are no more. */
int sw_segment_init(sw_segment *segment, const sw_sink_context *context, sw_error *err);
void sw_segment_deinit(sw_segment *segment);

/* Appends n bytes. */
int sw_segment_write(sw_segment *segment, const void *bytes, size_t n, sw_error *err);

/* Closes the segment, appends the value, and begins another segment. The caller has filled `prepared` but for segment,
 * bytes and hash; afterwards bytes is set. On failure all is as it was, and may be repeated. */
int sw_segment_prepare(sw_segment *segment, sw_prepared *prepared, sw_buf *value, sw_error *err);

/* Appends the value. SW_OK, SW_ENOMEM. */
int sw_prepared_write(const sw_prepared *prepared, sw_buf *value, sw_error *err);

/* Reads a value; sw_prepared_deinit frees. SW_EFORMAT, SW_ENOMEM. */
int sw_prepared_read(const uint8_t *value, size_t len, sw_prepared *out, sw_error *err);
void sw_prepared_deinit(sw_prepared *prepared);

/* The saved value of the instance that opens the target `path`: the latest one for this path, else that of the same
 * instance for a path it had before. SW_ENOTFOUND: it had none; what sw_prepared_read returns. */
int sw_prepared_find(const sw_saved_values *saved, uint32_t instance, const char *path, sw_prepared *out,
                     sw_error *err);

/* Makes the segment and its name durable. Nothing to do for one that is gone: it was committed. */
int sw_prepared_sync(const sw_prepared *prepared, sw_error *err);

/* Opens the segment and reads it through. SW_ENOTFOUND: there is none, or not the one that was prepared. */
int sw_prepared_open(const sw_prepared *prepared, sw_file **out, sw_error *err);

/* Removes the segment, after it was applied. */
int sw_prepared_drop(const sw_prepared *prepared, sw_error *err);

#endif
