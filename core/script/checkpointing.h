/* checkpointing.h -- the checkpoints of one running job: between the coordinator, the directory and the connectors.
 *
 *     open: lock the directory, choose what to restore ---> (engine opens with it) ---> begin: compare with the job,
 *     show again what the checkpoint holds, take back what was shown behind it, start the coordinator
 *
 * What is durable when: a checkpoint when sw_checkpoints_commit returns, and with it every prepared value of a sink,
 * which was synced before. Sinks show it afterwards; a crash in between leaves that to the next begin.
 *
 * Ownership  Owns the directory's lock and the open checkpoint. The engine's coordinator calls back into it: free it
 *            after the engine is closed.
 * Threads    open, begin, free: the main thread. The coordinator's ops: its writer. */
#ifndef SW_SCRIPT_CHECKPOINTING_H
#define SW_SCRIPT_CHECKPOINTING_H

#include <stdbool.h>

#include <lua.h>

#include "base/error.h"
#include "run/engine.h"
#include "state/checkpoints.h"

typedef struct sw_checkpointing sw_checkpointing;

/* What a job's settings say about checkpoints. */
typedef struct sw_checkpoint_settings {
    bool is_on;          /* checkpoints are taken */
    int64_t interval_ms; /* between them; 0: only on request */
    int64_t timeout_ms;  /* until one is given up */
    uint32_t retain;     /* how many are kept */
} sw_checkpoint_settings;

/* All of it is borrowed, and stays. */
typedef struct sw_checkpointed_job {
    const char *name;                /* of the job */
    const char *state_dir;           /* absolute */
    const char *script_path;         /* NULL: it has none */
    const char *script;              /* its text */
    size_t script_len;               /* bytes */
    const char *from;                /* what to go on from, as for swlua run; NULL: the latest, if not finished */
    const char *const *drops;        /* components whose saved state is to be dropped */
    uint32_t drop_count;             /* entries of drops */
    sw_checkpoint_settings settings; /* of the job */
} sw_checkpointed_job;

/* Locks the state directory and opens what the job goes on from. SW_ESTATE: the state cannot be used (exit code 4). */
int sw_checkpointing_open(sw_checkpointing **out, const sw_checkpointed_job *job, sw_error *err);
void sw_checkpointing_free(sw_checkpointing *checkpointing);

/* The engine has ended well: a job whose input has ended is over, and starts afresh the next time. */
void sw_checkpointing_end(const sw_checkpointing *checkpointing);

/* What the engine is to go on from; NULL: it starts afresh. */
const sw_restore *sw_checkpointing_restore(const sw_checkpointing *checkpointing);

/* Appends a line for each component that says what going on from the checkpoint would mean for the job that L knows;
 * *refused: how many forbid it. */
int sw_checkpointing_tell(const sw_graph *graph, sw_restore *restore, lua_State *L, sw_buf *out, uint32_t *refused,
                          sw_error *err);

/* After the engine is open, before it runs. L: the Lua state that knows the job. SW_ESTATE. */
int sw_checkpointing_begin(sw_checkpointing *checkpointing, sw_engine *engine, lua_State *L, sw_error *err);

#endif
