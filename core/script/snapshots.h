/* snapshots.h -- what Lua asks of C at a barrier and at a restore: part of the module "swlua.core" (api.c).
 *
 *     barrier: snapshot_begin -> snapshot_put, keyed_begin_save ... keyed_save_some -> snapshot_end -> coordinator
 *     restore: restored_parts, restored_task, keyed_restore
 *
 * Saved values of sinks are msgpack [type of the connector, value]: who commits them needs no job for it.
 *
 * Threads  Each is called on the thread that owns the Lua state. */
#ifndef SW_SCRIPT_SNAPSHOTS_H
#define SW_SCRIPT_SNAPSHOTS_H

#include <lua.h>

#include "run/engine.h"
#include "state/checkpoints.h"

/* What the instances of a component saved, copied. */
typedef struct sw_parts {
    sw_saved_values values; /* points into the rest */
    uint32_t *instances;    /* owned, as all here */
    uint8_t **data;
    uint32_t *lens;
    uint64_t *checkpoints; /* sinks: at which each value was prepared */
    uint32_t cap;          /* entries allocated */
} sw_parts;

/* Nothing when the engine starts afresh. Values of sinks come without their type. SW_OK, SW_ENOMEM, SW_EFORMAT. */
int sw_parts_collect(sw_parts *parts, const sw_engine *engine, const char *component, sw_saved_kind kind,
                     sw_error *err);
void sw_parts_free(sw_parts *parts);

/* Replaces `out` by what is saved of the task itself: [has its input ended?, greatest time seen, watermarks].
 * SW_ENOMEM. */
int sw_snapshot_pack_task(const sw_task *task, bool is_input_ended, sw_buf *out);

int l_snapshot_begin(lua_State *L);
int l_snapshot_put(lua_State *L);
int l_snapshot_end(lua_State *L);
int l_keyed_track(lua_State *L);
int l_keyed_begin_save(lua_State *L);
int l_keyed_save_some(lua_State *L);
int l_keyed_restore(lua_State *L);
int l_restored_parts(lua_State *L);
int l_restored_version(lua_State *L);
int l_restored_task(lua_State *L);
int l_has_checkpoints(lua_State *L);
int l_set_commits(lua_State *L);
int l_committed(lua_State *L);

#endif
