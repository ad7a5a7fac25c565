/* state_diff.c -- `swlua state diff`: two checkpoints side by side.
 *
 * Both are read in the order of their keys, so that what is in memory is a key of each. State is the same when its
 * bytes are, or its text: the same table may have been saved with its fields in another order. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/saved.h"
#include "cli/state.h"
#include "io/mp_read.h"
#include "run/graph.h"
#include "state/key.h"
#include "state/scan.h"

/* One of the two. */
typedef struct side {
    sw_restore *restore;  /* owned */
    sw_scan *scan;        /* owned; NULL: it has no such component */
    sw_saved saved;       /* the entry it is at */
    bool has_entry;       /* it is at one */
    uint32_t parallelism; /* of the component; 0: it has none */
    sw_buf text;          /* of the state at work, as JSON */
    bool is_exact;        /* that tells it from any other */
} side;

typedef struct comparison {
    const sw_state_query *query; /* borrowed */
    sw_state_output *output;     /* borrowed */
    sw_checkpoints *checkpoints; /* owned */
    side sides[2];               /* the old one and the new */
    sw_error *err;               /* borrowed */
} comparison;

static int put(comparison *c, const char *text)
{
    if (sw_buf_append_str(&c->output->line, text) == SW_OK) return SW_OK;
    return sw_error_set(c->err, SW_ENOMEM, "out of memory");
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int open_side(comparison *c, side *s, const char *which)
{
    int rc = sw_saved_restore(&s->restore, c->checkpoints, which, c->err);
    if (rc != SW_OK) return rc;
    const sw_checkpoint_meta *meta = sw_restore_meta(s->restore);
    for (uint32_t i = 0; i < meta->component_count; i++)
        if (strcmp(meta->components[i].name, c->query->component) == 0)
            s->parallelism = meta->components[i].parallelism;
    if (s->parallelism == 0) return SW_OK;
    return sw_scan_open(&s->scan, s->restore, c->query->component, SW_SAVED_KEYED, 0, SW_KEY_GROUPS, c->err);
}

static int open_both(comparison *c)
{
    int rc = sw_saved_open(&c->checkpoints, c->query->job, c->err);
    if (rc == SW_OK) rc = open_side(c, &c->sides[0], c->query->at);
    if (rc == SW_OK) rc = open_side(c, &c->sides[1], c->query->to != NULL ? c->query->to : "latest");
    if (rc == SW_OK && c->sides[0].parallelism == 0 && c->sides[1].parallelism == 0)
        rc = sw_saved_check_component(c->sides[1].restore, c->query->component, c->err);
    return rc;
}

static void close_both(comparison *c)
{
    for (int i = 0; i < 2; i++) {
        sw_scan_close(c->sides[i].scan);
        sw_restore_close(c->sides[i].restore);
        sw_buf_deinit(&c->sides[i].text);
    }
    sw_checkpoints_close(c->checkpoints);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static int print_state(comparison *c, side *s, const uint8_t *state, size_t len)
{
    sw_buf_clear(&s->text);
    int rc = sw_json_encode_value(&c->output->encoder, state, len, &s->text, c->err);
    s->is_exact = c->output->encoder.was_exact;
    return rc;
}

static bool is_same_text(const comparison *c)
{
    const side *a = &c->sides[0], *b = &c->sides[1];
    return a->is_exact && b->is_exact && a->text.size == b->text.size &&
           memcmp(a->text.data, b->text.data, a->text.size) == 0;
}

/* Ends the line that begins with what differs: how, and the text of the sides that have it. */
static int put_change(comparison *c, bool has_old, bool has_new, int64_t version_old, int64_t version_new)
{
    static const char *const names[] = { ",\"old\":", ",\"new\":" };
    const bool has[] = { has_old, has_new };
    int rc = put(c, !has_old   ? ",\"change\":\"added\""
                    : !has_new ? ",\"change\":\"removed\""
                               : ",\"change\":\"changed\"");
    for (int i = 0; i < 2 && rc == SW_OK; i++) {
        if (!has[i]) continue;
        rc = put(c, names[i]);
        if (rc == SW_OK && sw_buf_append(&c->output->line, c->sides[i].text.data, c->sides[i].text.size) != SW_OK)
            rc = sw_error_set(c->err, SW_ENOMEM, "out of memory");
    }
    if (rc == SW_OK && has_old && has_new && version_old != version_new &&
        sw_buf_printf(&c->output->line, ",\"old_version\":%" PRId64 ",\"new_version\":%" PRId64, version_old,
                      version_new) != SW_OK)
        rc = sw_error_set(c->err, SW_ENOMEM, "out of memory");
    if (rc == SW_OK) rc = put(c, "}");
    return rc == SW_OK ? sw_state_output_line(c->output) : rc;
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static int next_entry(comparison *c, side *s)
{
    s->has_entry = false;
    if (s->scan == NULL) return SW_OK;
    int rc = sw_scan_next(s->scan, &s->saved, c->err);
    s->has_entry = rc == SW_OK;
    return rc == SW_EEMPTY ? SW_OK : rc;
}

/* Below 0: the old one's key comes first, or is alone. */
static int order(const comparison *c)
{
    const side *a = &c->sides[0], *b = &c->sides[1];
    if (!a->has_entry || !b->has_entry) return (int)b->has_entry - (int)a->has_entry;
    return sw_scan_compare(a->scan, b->scan);
}

static int compare_entries(comparison *c, bool has_old, bool has_new)
{
    const bool has[] = { has_old, has_new };
    sw_saved_keyed_value values[2] = { { 0 }, { 0 } };
    int rc = SW_OK;
    for (int i = 0; i < 2 && rc == SW_OK; i++)
        if (has[i]) rc = sw_saved_read_keyed(&c->sides[i].saved, &values[i], c->err);
    bool is_both = has_old && has_new && values[0].version == values[1].version;
    if (rc == SW_OK && is_both && values[0].state_len == values[1].state_len &&
        memcmp(values[0].state, values[1].state, values[0].state_len) == 0)
        return SW_OK;
    for (int i = 0; i < 2 && rc == SW_OK; i++)
        if (has[i]) rc = print_state(c, &c->sides[i], values[i].state, values[i].state_len);
    if (rc != SW_OK || (is_both && is_same_text(c))) return rc;
    const sw_saved *saved = &c->sides[has_old ? 0 : 1].saved;
    if ((rc = put(c, "{\"key\":")) != SW_OK) return rc;
    rc = sw_json_encode_value(&c->output->encoder, saved->key, saved->key_len, &c->output->line, c->err);
    return rc == SW_OK ? put_change(c, has_old, has_new, values[0].version, values[1].version) : rc;
}

static int compare_keys(comparison *c)
{
    int rc = next_entry(c, &c->sides[0]);
    if (rc == SW_OK) rc = next_entry(c, &c->sides[1]);
    while (rc == SW_OK && (c->sides[0].has_entry || c->sides[1].has_entry)) {
        int which = order(c);
        rc = compare_entries(c, which <= 0, which >= 0);
        if (rc == SW_OK && which <= 0) rc = next_entry(c, &c->sides[0]);
        if (rc == SW_OK && which >= 0) rc = next_entry(c, &c->sides[1]);
    }
    return rc;
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

/* What is looked for in a checkpoint: the state of an instance. */
typedef struct wanted {
    comparison *c;
    side *s;
    uint32_t instance;
    bool is_found;
    int64_t version;
} wanted;

static int take_state(void *arg, const sw_saved *saved)
{
    static const uint8_t nil[] = { 0xc0 };
    wanted *w = arg;
    const uint8_t *end = saved->value + saved->value_len;
    size_t len = 0, version_len = 0;
    sw_mp_value version;
    if (saved->group != w->instance) return SW_OK;
    const uint8_t *at = sw_mp_member(saved->value, end, "version", &version_len);
    if (at == NULL || sw_mp_read(at, end, &version) == NULL || version.kind != SW_MP_KIND_I64)
        return sw_error_set(w->c->err, SW_EFORMAT, "a saved state is damaged");
    const uint8_t *state = sw_mp_member(saved->value, end, "state", &len);
    w->is_found = true;
    w->version = version.as.i;
    return state != NULL ? print_state(w->c, w->s, state, len) : print_state(w->c, w->s, nil, sizeof(nil));
}

static int find_state(wanted *w)
{
    if (w->s->parallelism <= w->instance) return SW_OK;
    return sw_restore_parts(w->s->restore, w->c->query->component, SW_SAVED_INSTANCE, take_state, w, w->c->err);
}

static int compare_instance(comparison *c, uint32_t instance)
{
    wanted w[2] = { { .c = c, .s = &c->sides[0], .instance = instance },
                    { .c = c, .s = &c->sides[1], .instance = instance } };
    int rc = find_state(&w[0]);
    if (rc == SW_OK) rc = find_state(&w[1]);
    if (rc != SW_OK || (!w[0].is_found && !w[1].is_found)) return rc;
    if (w[0].is_found && w[1].is_found && w[0].version == w[1].version && is_same_text(c)) return SW_OK;
    if (sw_buf_printf(&c->output->line, "{\"instance\":%u", instance) != SW_OK)
        return sw_error_set(c->err, SW_ENOMEM, "out of memory");
    return put_change(c, w[0].is_found, w[1].is_found, w[0].version, w[1].version);
}

int sw_state_diff(const sw_state_query *query, sw_state_output *output, sw_error *err)
{
    comparison c = { .query = query, .output = output, .err = err };
    int rc = open_both(&c);
    for (uint32_t i = 0; i < SW_PARALLELISM_MAX && rc == SW_OK; i++) rc = compare_instance(&c, i);
    if (rc == SW_OK) rc = compare_keys(&c);
    close_both(&c);
    return rc;
}
