#include "script/checkpointing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/registry.h"
#include "run/coordinator.h"
#include "script/state.h"
#include "state/pack.h"

struct sw_checkpointing {
    sw_checkpointed_job job;        /* as given */
    const sw_graph *graph;          /* of the engine; borrowed; NULL before begin */
    sw_checkpoints *store;          /* owned */
    sw_restore *restore;            /* owned; NULL: the job starts afresh */
    sw_saved_component *components; /* of the job as it is; owned, names borrowed from the graph */
    char *folder;                   /* from which the job is run; owned */
    uint64_t newest;                /* id of the newest checkpoint found at open; 0 none */
    uint64_t finished;              /* id of the one taken when the input had ended; 0 none */
    bool takes_back;                /* what was shown behind the restored checkpoint is taken back */
};

/* --- choosing what to restore ----------------------------------------------------------------------------------- */

static void on_skip(void *arg, const char *text)
{
    sw_checkpointing *c = arg;
    c->takes_back = true;
    sw_log(SW_LOG_WARN, c->job.name, "%s", text);
}

static int find_newest(sw_checkpointing *c, sw_error *err)
{
    sw_checkpoint_entry *list = NULL;
    uint32_t count = 0;
    int rc = sw_checkpoints_list(c->store, false, &list, &count, err);
    if (rc != SW_OK) return rc;
    for (uint32_t i = 0; i < count; i++)
        if (list[i].name[0] == '\0' && list[i].id > c->newest) c->newest = list[i].id;
    sw_free(list);
    return SW_OK;
}

/* A job that was over starts afresh, unless it was said otherwise. One that died at its end is not over yet: it goes on
 * from its last checkpoint, so that sinks show what that holds. */
static void leave_finished(sw_checkpointing *c)
{
    uint64_t id = sw_restore_meta(c->restore)->id;
    sw_log(SW_LOG_INFO, c->job.name,
           "its input had ended at checkpoint %llu: it starts afresh (--from latest goes on from there)",
           (unsigned long long)id);
    sw_restore_close(c->restore);
    c->restore = NULL;
}

static void tell_origin(const sw_checkpointing *c)
{
    const sw_checkpoint_meta *meta = sw_restore_meta(c->restore);
    if (meta->folder != NULL && strcmp(meta->folder, c->folder) != 0)
        sw_log(SW_LOG_WARN, c->job.name, "its state was last run from %s, not from this folder", meta->folder);
    if (meta->script_len != c->job.script_len || memcmp(meta->script, c->job.script, meta->script_len) != 0)
        sw_log(SW_LOG_INFO, c->job.name, "its state was last run by another text of its script (%s)",
               meta->script_path != NULL ? meta->script_path : "unknown");
    sw_log(SW_LOG_INFO, c->job.name, "going on from checkpoint %llu", (unsigned long long)meta->id);
}

static int open_restore(sw_checkpointing *c, sw_error *err)
{
    const char *from = c->job.from;
    if (from != NULL && strcmp(from, "none") == 0) return SW_OK;
    int rc = sw_restore_open(&c->restore, c->store, from != NULL ? from : "latest", on_skip, c, err);
    if (rc == SW_ENOTFOUND && (from == NULL || strcmp(from, "latest") == 0)) return SW_OK;
    if (rc != SW_OK) return rc;
    const sw_checkpoint_meta *meta = sw_restore_meta(c->restore);
    if (from == NULL && meta->is_finished && sw_checkpoints_is_over(c->store, meta->id)) {
        leave_finished(c);
        return SW_OK;
    }
    if (meta->id < c->newest) c->takes_back = true;
    if (c->job.script_path != NULL) tell_origin(c);
    return SW_OK;
}

int sw_checkpointing_open(sw_checkpointing **out, const sw_checkpointed_job *job, sw_error *err)
{
    const sw_checkpoints_options options = { .retain = job->settings.retain };
    sw_checkpointing *c = sw_calloc(1, sizeof(*c));
    if (c == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    c->job = *job;
    c->folder = getcwd(NULL, 0);
    int rc = c->folder != NULL ? SW_OK : sw_error_set(err, SW_EIO, "the current folder is gone");
    if (rc == SW_OK) rc = sw_checkpoints_open(&c->store, job->state_dir, &options, err);
    if (rc == SW_OK) rc = find_newest(c, err);
    if (rc == SW_OK) rc = open_restore(c, err);
    if (rc == SW_OK) {
        *out = c;
        return SW_OK;
    }
    sw_checkpointing_free(c);
    return rc == SW_ENOMEM ? rc : sw_error_set(err, SW_ESTATE, "%s", err->text);
}

void sw_checkpointing_end(const sw_checkpointing *c)
{
    if (c->finished != 0) sw_checkpoints_note_over(c->store, c->finished);
}

void sw_checkpointing_free(sw_checkpointing *c)
{
    if (c == NULL) return;
    sw_restore_close(c->restore);
    if (c->graph != NULL) (void)sw_checkpoints_next_id(c->store); /* Final answers were given under this one. */
    sw_checkpoints_close(c->store);
    sw_free(c->components);
    free(c->folder); /* From getcwd. */
    sw_free(c);
}

const sw_restore *sw_checkpointing_restore(const sw_checkpointing *c)
{
    return c->restore;
}

/* --- the job against the checkpoint ----------------------------------------------------------------------------- */

/* Fills components from engine.components(): versions, and who has state. */
static int describe_components(sw_checkpointing *c, lua_State *L, sw_error *err)
{
    const sw_graph *graph = c->graph;
    c->components = sw_calloc(graph->component_count + 1, sizeof(*c->components));
    if (c->components == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    int rc = sw_script_push(L, "swlua.internal.engine", "components", err);
    if (rc == SW_OK) rc = sw_script_call(L, 0, 1, err);
    if (rc != SW_OK) return rc;
    for (uint32_t i = 0; i < graph->component_count; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        lua_getfield(L, -1, "version");
        lua_getfield(L, -2, "has_state");
        c->components[i] = (sw_saved_component){
            .name = graph->components[i].name,
            .parallelism = graph->components[i].parallelism,
            .version = (uint32_t)lua_tonumber(L, -2),
            .has_state = lua_toboolean(L, -1),
        };
        lua_pop(L, 3);
    }
    lua_pop(L, 1);
    return SW_OK;
}

static void push_components(lua_State *L, const sw_saved_component *components, uint32_t count)
{
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        lua_createtable(L, 0, 4);
        lua_pushstring(L, components[i].name);
        lua_setfield(L, -2, "name");
        lua_pushnumber(L, components[i].parallelism);
        lua_setfield(L, -2, "parallelism");
        lua_pushnumber(L, components[i].version);
        lua_setfield(L, -2, "version");
        lua_pushboolean(L, components[i].has_state);
        lua_setfield(L, -2, "has_state");
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* Calls an engine function with (saved, present, dropped); leaves its two results on the stack. */
static int call_with_components(const sw_checkpointing *c, lua_State *L, const char *name, sw_error *err)
{
    const sw_checkpoint_meta *meta = sw_restore_meta(c->restore);
    int rc = sw_script_push(L, "swlua.internal.engine", name, err);
    if (rc != SW_OK) return rc;
    push_components(L, meta->components, meta->component_count);
    push_components(L, c->components, c->graph->component_count);
    lua_createtable(L, (int)c->job.drop_count, 0);
    for (uint32_t i = 0; i < c->job.drop_count; i++) {
        lua_pushstring(L, c->job.drops[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return sw_script_call(L, 3, 2, err);
}

/* SW_ESTATE with all that forbids to go on, else logs what has changed. */
static int compare(const sw_checkpointing *c, lua_State *L, sw_error *err)
{
    int rc = call_with_components(c, L, "compare_saved", err);
    if (rc != SW_OK) return rc;
    const char *problems = lua_tostring(L, -2), *changes = lua_tostring(L, -1);
    if (changes != NULL && changes[0] != '\0') sw_log(SW_LOG_INFO, c->job.name, "%s", changes);
    if (problems != NULL && problems[0] != '\0')
        rc = sw_error_set(err, SW_ESTATE, "%s cannot go on from checkpoint %llu: %s", c->job.name,
                          (unsigned long long)sw_restore_meta(c->restore)->id, problems);
    lua_pop(L, 2);
    return rc;
}

int sw_checkpointing_tell(const sw_graph *graph, sw_restore *restore, lua_State *L, sw_buf *out, uint32_t *refused,
                          sw_error *err)
{
    sw_checkpointing c = { .graph = graph, .restore = restore };
    size_t len = 0;
    int rc = describe_components(&c, L, err);
    if (rc == SW_OK) rc = call_with_components(&c, L, "tell_saved", err);
    sw_free(c.components);
    if (rc != SW_OK) return rc;
    const char *lines = lua_tolstring(L, -2, &len);
    *refused = (uint32_t)lua_tonumber(L, -1);
    if (sw_buf_append(out, lines, len) != SW_OK) rc = sw_error_set(err, SW_ENOMEM, "out of memory");
    lua_pop(L, 2);
    return rc;
}

/* --- values of sinks -------------------------------------------------------------------------------------------- */

/* Takes [type, value] apart; *ops is NULL for a sink in Lua. */
static int open_value(const sw_saved *saved, const sw_sink_commit_ops **ops, const uint8_t **value, uint32_t *len)
{
    sw_pack_reader reader = { saved->value, saved->value + saved->value_len };
    sw_pack_item item;
    char type[32];
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_ARRAY || item.count != 2) return SW_EFORMAT;
    if (sw_pack_next(&reader, &item) != SW_OK || item.type != SW_PACK_STR) return SW_EFORMAT;
    snprintf(type, sizeof(type), "%.*s", (int)item.count, (const char *)item.v.bytes);
    *ops = sw_io_sink_commit_ops(type);
    *value = reader.p;
    *len = (uint32_t)(reader.end - reader.p);
    return SW_OK;
}

typedef enum sink_act { ACT_SYNC, ACT_COMMIT } sink_act;

static int act_on_value(const sw_saved *saved, sink_act act, sw_error *err)
{
    const sw_sink_commit_ops *ops;
    const uint8_t *value;
    uint32_t len;
    if (open_value(saved, &ops, &value, &len) != SW_OK) return sw_error_set(err, SW_EFORMAT, "a saved value of a sink");
    if (ops == NULL) return SW_OK;
    return act == ACT_SYNC ? ops->sync(value, len, err) : ops->commit(value, len, err);
}

/* Every prepared value in the snapshots, in order of age. */
static int act_on_values(const sw_checkpoint_request *request, sink_act act, sw_error *err)
{
    sw_saved saved;
    for (uint32_t i = 0; i < request->count; i++) {
        size_t offset = 0;
        while (sw_snapshot_next(request->snapshots[i], &offset, &saved)) {
            if (saved.kind != SW_SAVED_SINK) continue;
            int rc = act_on_value(&saved, act, err);
            if (rc != SW_OK) return rc;
        }
    }
    return SW_OK;
}

/* At a restore: commits a value again. */
static int recommit(void *arg, const sw_saved *saved)
{
    return act_on_value(saved, ACT_COMMIT, arg);
}

/* The last value of each instance, which says where the sink stood. */
typedef struct last_values {
    const sw_checkpointing *c;
    sw_error *err;
    uint32_t instance; /* of `value` */
    sw_buf value;      /* type and value as saved; empty: none yet */
} last_values;

static int rewind_last(last_values *last)
{
    const sw_sink_commit_ops *ops;
    const uint8_t *value;
    uint32_t len;
    sw_buf said;
    const sw_saved saved = { .value = last->value.data, .value_len = (uint32_t)last->value.size };
    if (last->value.size == 0 || open_value(&saved, &ops, &value, &len) != SW_OK || ops == NULL) return SW_OK;
    const sw_checkpointing *c = last->c;
    if (ops->rewind == NULL) {
        if (!c->takes_back) return SW_OK;
        sw_log(SW_LOG_WARN, c->job.name, "what a sink wrote behind checkpoint %llu cannot be taken back",
               (unsigned long long)sw_restore_meta(c->restore)->id);
        return SW_OK;
    }
    sw_buf_init(&said);
    int rc = ops->rewind(value, len, sw_restore_meta(c->restore)->id, &said, last->err);
    if (rc == SW_OK && said.size > 0) sw_log(SW_LOG_WARN, c->job.name, "%.*s", (int)said.size, (const char *)said.data);
    sw_buf_deinit(&said);
    return rc;
}

static int note_last(void *arg, const sw_saved *saved)
{
    last_values *last = arg;
    int rc = SW_OK;
    if (last->value.size > 0 && saved->group != last->instance) rc = rewind_last(last);
    if (rc != SW_OK) return rc;
    last->instance = saved->group;
    sw_buf_clear(&last->value);
    return sw_buf_append(&last->value, saved->value, saved->value_len);
}

/* Shows what the restored checkpoint holds, and takes back what was shown behind it when the job goes back. Under
 * exactly-once that is done each time: a process that died while it went back leaves no other trace of it. */
static int restore_sinks(sw_checkpointing *c, sw_delivery delivery, sw_error *err)
{
    bool takes_back = c->takes_back || delivery == SW_EXACTLY_ONCE;
    const sw_checkpoint_meta *meta = sw_restore_meta(c->restore);
    int rc = SW_OK;
    for (uint32_t i = 0; i < meta->component_count && rc == SW_OK; i++) {
        const char *name = meta->components[i].name;
        last_values last = { .c = c, .err = err };
        rc = sw_restore_parts(c->restore, name, SW_SAVED_SINK, recommit, err, err);
        if (rc == SW_OK && takes_back) rc = sw_restore_parts(c->restore, name, SW_SAVED_SINK, note_last, &last, err);
        if (rc == SW_OK && takes_back) rc = rewind_last(&last);
        sw_buf_deinit(&last.value);
        if (rc != SW_OK) sw_error_prepend(err, "%s", name);
    }
    return rc;
}

/* --- what the coordinator asks ---------------------------------------------------------------------------------- */

static int write_checkpoint(void *arg, const sw_checkpoint_request *request, uint64_t *bytes, sw_error *err)
{
    sw_checkpointing *c = arg;
    const sw_checkpoint_meta meta = {
        .id = request->id,
        .time_ms = request->time_ms,
        .is_finished = request->is_finished,
        .job = c->job.name,
        .folder = c->folder,
        .script_path = c->job.script_path,
        .script = c->job.script,
        .script_len = (uint32_t)c->job.script_len,
        .components = c->components,
        .component_count = c->graph->component_count,
    };
    int rc = act_on_values(request, ACT_SYNC, err);
    if (rc != SW_OK) return rc;
    rc = sw_checkpoints_commit(c->store, &meta, request->snapshots, request->count, bytes, err);
    if (rc == SW_OK && request->is_finished) c->finished = request->id;
    return rc;
}

static int show(void *arg, const sw_checkpoint_request *request, sw_error *err)
{
    (void)arg;
    return act_on_values(request, ACT_COMMIT, err);
}

static int save_as(void *arg, const char *name, sw_error *err)
{
    sw_checkpointing *c = arg;
    return sw_checkpoints_savepoint(c->store, name, err);
}

static uint32_t oldest(void *arg)
{
    return (uint32_t)sw_checkpoints_oldest(((sw_checkpointing *)arg)->store);
}

static uint64_t next_id(void *arg)
{
    const sw_checkpointing *c = arg;
    return sw_checkpoints_next_id(c->store);
}

static void tidy(void *arg)
{
    sw_checkpointing *c = arg;
    sw_error err;
    if (!sw_checkpoints_should_fold(c->store) || sw_checkpoints_fold(c->store, &err) == SW_OK) return;
    sw_log(SW_LOG_WARN, c->job.name, "checkpoints were not folded: %s", err.text);
}

int sw_checkpointing_begin(sw_checkpointing *c, sw_engine *engine, lua_State *L, sw_error *err)
{
    const sw_coordinator_ops ops = { .arg = c,
                                     .next_id = next_id,
                                     .write = write_checkpoint,
                                     .show = show,
                                     .save_as = save_as,
                                     .oldest = oldest,
                                     .tidy = tidy };
    c->graph = engine->graph;
    int rc = describe_components(c, L, err);
    if (rc == SW_OK && c->restore != NULL) rc = compare(c, L, err);
    if (rc == SW_OK && c->restore != NULL) rc = restore_sinks(c, engine->options.delivery, err);
    const sw_coordinator_options options = {
        .first_id = (uint32_t)sw_checkpoints_next_id(c->store),
        .interval_ms = c->job.settings.interval_ms,
        .timeout_ms = c->job.settings.timeout_ms,
    };
    if (rc != SW_OK) return rc == SW_ENOMEM ? rc : sw_error_set(err, SW_ESTATE, "%s", err->text);
    return sw_engine_coordinate(engine, &options, &ops, err);
}
