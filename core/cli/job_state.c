#include "cli/job_state.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "cli/options.h"
#include "cli/saved.h"
#include "io/json_write.h"
#include "run/inquiry.h"
#include "state/key.h"

typedef struct sw_question {
    sw_job_state *owner;         /* borrowed */
    sw_control_request *request; /* NULL: replied to */
    struct event *timeout;       /* owned */
    uint32_t component;          /* index in the graph */
    uint32_t limit;              /* of scan: rows; 0: as many as go well */
    uint32_t first;              /* instance of the first inquiry */
    uint32_t count;              /* inquiries */
    uint32_t pending;            /* of them not back yet */
    struct sw_question *next;    /* of the owner's */
    sw_inquiry inquiries[];      /* one an instance; arg NULL: it is back */
} question;

static const char *component_of(const question *q)
{
    return q->owner->runner->graph.components[q->component].name;
}

static void free_question(question *q)
{
    if (q->timeout != NULL) event_free(q->timeout);
    for (uint32_t i = 0; i < q->count; i++) sw_inquiry_deinit(&q->inquiries[i]);
    sw_free(q);
}

static void forget(question *q)
{
    question **at = &q->owner->questions;
    while (*at != q) at = &(*at)->next;
    *at = q->next;
    free_question(q);
}

/* --- the reply ---------------------------------------------------------------------------------------------------- */

/* One being made. */
typedef struct reply {
    sw_json_encoder encoder; /* lenient */
    sw_buf members;          /* of the reply */
    sw_buf row;              /* being made */
    uint32_t rows;           /* in it */
    sw_error err;            /* why it cannot be made */
} reply;

static int out_of_memory(reply *r)
{
    return sw_error_set(&r->err, SW_ENOMEM, "out of memory");
}

static int add_row(reply *r)
{
    if (sw_buf_append_str(&r->row, "}") != SW_OK) return out_of_memory(r);
    if (r->rows++ > 0 && sw_buf_append_str(&r->members, ",") != SW_OK) return out_of_memory(r);
    int rc = sw_json_write_string(&r->members, (const char *)r->row.data, r->row.size, &r->err);
    sw_buf_clear(&r->row);
    return rc;
}

/* One row an instance. */
static int add_instances(reply *r, const question *q)
{
    sw_saved saved;
    int rc = SW_OK;
    for (uint32_t i = 0; i < q->count && rc == SW_OK; i++) {
        size_t offset = 0;
        if (sw_buf_printf(&r->row, "{\"instance\":%u", q->first + i) != SW_OK) return out_of_memory(r);
        while (rc == SW_OK && sw_snapshot_next(&q->inquiries[i].answer, &offset, &saved))
            rc = sw_saved_print_part(&r->encoder, &saved, &r->row, &r->err);
        if (rc == SW_OK) rc = add_row(r);
    }
    return rc;
}

/* The keys of an instance, in order. */
typedef struct lane {
    size_t offset;  /* of what follows `at` in the snapshot */
    sw_saved at;    /* comes next */
    bool has_entry; /* there is one */
} lane;

static bool is_before(const sw_saved *a, const sw_saved *b)
{
    int order = memcmp(a->key, b->key, a->key_len < b->key_len ? a->key_len : b->key_len);
    return order != 0 ? order < 0 : a->key_len < b->key_len;
}

static int put_next(reply *r, const sw_saved *last)
{
    int rc = sw_buf_append_str(&r->members, "],\"next\":\"");
    for (uint32_t i = 0; i < last->key_len && rc == SW_OK; i++) rc = sw_buf_printf(&r->members, "%02x", last->key[i]);
    if (rc == SW_OK) rc = sw_buf_append_str(&r->members, "\"");
    return rc == SW_OK ? SW_OK : out_of_memory(r);
}

/* The lane whose key is the least; NULL: all are at their end. */
static lane *least_of(lane *lanes, uint32_t count)
{
    lane *least = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (lanes[i].has_entry && (least == NULL || is_before(&lanes[i].at, &least->at))) least = &lanes[i];
    return least;
}

/* Merges what the instances have answered. It ends with the rows asked for, when the reply is long enough, or where an
 * instance has more than it has answered. */
static int add_keys(reply *r, const question *q)
{
    lane lanes[SW_PARALLELISM_MAX];
    sw_saved last = { 0 };
    bool is_cut = false;
    lane *least;
    int rc = SW_OK;
    for (uint32_t i = 0; i < q->count; i++) {
        lanes[i] = (lane){ 0 };
        lanes[i].has_entry = sw_snapshot_next(&q->inquiries[i].answer, &lanes[i].offset, &lanes[i].at);
    }
    while (rc == SW_OK && !is_cut && (least = least_of(lanes, q->count)) != NULL) {
        const sw_inquiry *inquiry = &q->inquiries[least - lanes];
        last = least->at;
        rc = sw_saved_print_keyed(&r->encoder, &last, &r->row, &r->err);
        if (rc == SW_OK) rc = add_row(r);
        least->has_entry = sw_snapshot_next(&inquiry->answer, &least->offset, &least->at);
        is_cut =
            r->rows == q->limit || r->members.size >= SW_JOB_STATE_BYTES_MAX || (!least->has_entry && inquiry->is_more);
    }
    if (rc != SW_OK || q->inquiries[0].kind != SW_INQUIRY_KEYS) return rc;
    return is_cut ? put_next(r, &last)
                  : (sw_buf_append_str(&r->members, "],\"next\":null") == SW_OK ? SW_OK : out_of_memory(r));
}

static int make_reply(reply *r, const question *q)
{
    sw_inquiry_kind kind = q->inquiries[0].kind;
    if (sw_buf_append_str(&r->members, "\"rows\":[") != SW_OK) return out_of_memory(r);
    int rc = kind == SW_INQUIRY_INSTANCE ? add_instances(r, q) : add_keys(r, q);
    if (rc == SW_OK && kind != SW_INQUIRY_KEYS) rc = sw_buf_append_str(&r->members, "]");
    if (rc == SW_OK) rc = sw_buf_append(&r->members, "", 1);
    return rc == SW_OK ? SW_OK : out_of_memory(r);
}

static void answer(question *q)
{
    reply r = { .rows = 0 };
    sw_control_request *request = q->request;
    q->request = NULL;
    for (uint32_t i = 0; i < q->count; i++) {
        const sw_inquiry *inquiry = &q->inquiries[i];
        if (inquiry->rc == SW_OK) continue;
        sw_control_refuse(request, "%s#%u: %s", component_of(q), q->first + i, inquiry->err.text);
        return;
    }
    sw_json_encoder_init(&r.encoder);
    r.encoder.is_lenient = true;
    if (make_reply(&r, q) == SW_OK) sw_control_reply(request, (const char *)r.members.data);
    else sw_control_refuse(request, "%s: %s", component_of(q), r.err.text);
    sw_json_encoder_deinit(&r.encoder);
    sw_buf_deinit(&r.members);
    sw_buf_deinit(&r.row);
}

/* --- what comes back ---------------------------------------------------------------------------------------------- */

static void on_answer(void *arg, sw_inquiry *inquiry)
{
    question *q = arg;
    inquiry->arg = NULL;
    if (--q->pending > 0) return;
    if (q->request != NULL) answer(q);
    forget(q);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    question *q = arg;
    uint32_t i = 0;
    (void)fd;
    (void)what;
    if (q->request == NULL) return;
    while (q->inquiries[i].arg == NULL) i++;
    sw_control_refuse(q->request,
                      "%s#%u has not answered within %d s: it is in a call of its code, or waits for room behind it",
                      component_of(q), q->first + i, SW_JOB_STATE_TIMEOUT_MS / 1000);
    q->request = NULL;
}

/* --- what is asked ------------------------------------------------------------------------------------------------ */

/* Index of the component asked for; -1: there is none, and the request is answered. */
static int64_t take_component(const sw_job_state *state, sw_control_request *request, const sw_message *message)
{
    const sw_graph *graph = &state->runner->graph;
    const char *names[SW_CONTROL_PENDING_MAX * 16 + 1];
    char name[512];
    uint32_t count = 0;
    if (!sw_message_text(message, "component", name, sizeof(name))) {
        sw_control_refuse(request, "which component?");
        return -1;
    }
    for (uint32_t i = 0; i < graph->component_count; i++) {
        if (strcmp(graph->components[i].name, name) == 0) return i;
        if (count + 1 < sizeof(names) / sizeof(names[0])) names[count++] = graph->components[i].name;
    }
    names[count] = NULL;
    const char *nearest = sw_cli_nearest(name, names);
    if (nearest != NULL) sw_control_refuse(request, "no component \"%s\"; did you mean \"%s\"?", name, nearest);
    else sw_control_refuse(request, "no component \"%s\"", name);
    return -1;
}

/* Reads hexadecimal digits as bytes. */
static int read_hex(const char *text, size_t len, sw_buf *out)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        char digits[3] = { text[i], text[i + 1], '\0' }, *end;
        uint8_t byte = (uint8_t)strtoul(digits, &end, 16);
        if (*end != '\0' || sw_buf_append(out, &byte, 1) != SW_OK) return SW_EINVAL;
    }
    return len % 2 == 0 ? SW_OK : SW_EINVAL;
}

/* The key that is asked for, or that the scan goes on from. */
static int take_key(const sw_message *message, sw_inquiry_kind kind, sw_buf *out)
{
    sw_mp_value after;
    size_t len = 0;
    if (kind == SW_INQUIRY_INSTANCE) return SW_OK;
    if (kind == SW_INQUIRY_KEYS) {
        if (!sw_message_find(message, "after", &after)) return SW_OK;
        return after.kind == SW_MP_KIND_STR ? read_hex(after.bytes, after.len, out) : SW_EINVAL;
    }
    const uint8_t *key = sw_message_bytes(message, "key", &len);
    return key != NULL ? sw_key_from_pack(key, len, out) : sw_key_nil(out);
}

static bool take_kind(sw_control_request *request, const sw_message *message, sw_inquiry_kind *kind)
{
    static const char *const ops[] = { "get", "scan", "instances" }; /* As sw_inquiry_kind. */
    char op[32] = "";
    sw_message_text(message, "op", op, sizeof(op));
    for (int i = 0; i < 3; i++) {
        if (strcmp(op, ops[i]) != 0) continue;
        *kind = (sw_inquiry_kind)i;
        return true;
    }
    sw_control_refuse(request, "op \"%s\": expected \"get\", \"scan\" or \"instances\"", op);
    return false;
}

/* Asks one task; false when it has ended, and the request is answered. */
static bool ask_instance(question *q, uint32_t i)
{
    sw_engine *engine = &q->owner->runner->engine;
    uint32_t plan_task = engine->graph->components[q->component].task;
    sw_task *task = &engine->tasks[engine->first_task[plan_task] + q->first + i];
    if (sw_task_ask(task, &q->inquiries[i]) == SW_OK) return true;
    q->inquiries[i].arg = NULL;
    sw_control_refuse(q->request, "%s#%u has ended: what it kept is in the last checkpoint (--at latest)",
                      component_of(q), q->first + i);
    q->request = NULL;
    return false;
}

static void ask_all(question *q)
{
    static const struct timeval timeout = { .tv_sec = SW_JOB_STATE_TIMEOUT_MS / 1000 };
    q->next = q->owner->questions;
    q->owner->questions = q;
    event_add(q->timeout, &timeout);
    while (q->pending < q->count && ask_instance(q, q->pending)) q->pending++;
    if (q->pending == 0) forget(q);
}

/* The instances concerned: all, the one asked for, or the one that has the key. */
typedef struct span {
    uint32_t first, count;
} span;

/* False: there is no such instance, and the request is answered. */
static bool choose_instances(const sw_component *component, sw_control_request *request, const sw_message *message,
                             const sw_buf *key, sw_inquiry_kind kind, span *out)
{
    double number;
    *out = (span){ 0, component->parallelism };
    if (kind == SW_INQUIRY_KEY) {
        *out = (span){ sw_key_instance(sw_hash(key->data, key->size), component->parallelism), 1 };
    } else if (sw_message_number(message, "instance", &number)) {
        if (number < 0 || number >= component->parallelism) {
            sw_control_refuse(request, "%s has %u instance%s, numbered from 0", component->name, component->parallelism,
                              component->parallelism == 1 ? "" : "s");
            return false;
        }
        *out = (span){ (uint32_t)number, 1 };
    }
    return true;
}

static uint32_t take_limit(const sw_message *message)
{
    double number;
    if (!sw_message_number(message, "limit", &number) || number < 1) return 0;
    return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

static question *new_question(sw_job_state *state, uint32_t component, span instances, sw_inquiry_kind kind,
                              uint32_t limit, const sw_buf *key)
{
    question *q = sw_calloc(1, sizeof(*q) + instances.count * sizeof(sw_inquiry));
    if (q == NULL) return NULL;
    q->owner = state;
    q->component = component;
    q->limit = limit;
    q->first = instances.first;
    q->count = instances.count;
    q->timeout = event_new(sw_engine_base(&state->runner->engine), -1, 0, on_timeout, q);
    bool ok = q->timeout != NULL;
    for (uint32_t i = 0; i < q->count && ok; i++) {
        q->inquiries[i] =
            (sw_inquiry){ .kind = kind, .component = component, .limit = limit, .on_answer = on_answer, .arg = q };
        ok = sw_buf_append(&q->inquiries[i].key, key->data, key->size) == SW_OK;
    }
    if (ok) return q;
    free_question(q);
    return NULL;
}

/* Makes the question and asks it. `key` has been read. */
static void ask(sw_job_state *state, sw_control_request *request, const sw_message *message, uint32_t component,
                sw_inquiry_kind kind, const sw_buf *key)
{
    span instances;
    const sw_component *asked = &state->runner->graph.components[component];
    if (!choose_instances(asked, request, message, key, kind, &instances)) return;
    question *q = new_question(state, component, instances, kind, take_limit(message), key);
    if (q == NULL) {
        sw_control_refuse(request, "out of memory");
        return;
    }
    q->request = request;
    ask_all(q);
}

void sw_job_state_ask(sw_job_state *state, sw_control_request *request, const sw_message *message)
{
    sw_inquiry_kind kind;
    sw_buf key = { 0 };
    int64_t component = take_component(state, request, message);
    if (component < 0 || !take_kind(request, message, &kind)) return;
    if (take_key(message, kind, &key) == SW_OK) ask(state, request, message, (uint32_t)component, kind, &key);
    else sw_control_refuse(request, "a key is a string, number, boolean or null, or a list of these");
    sw_buf_deinit(&key);
}

void sw_job_state_close(sw_job_state *state)
{
    while (state->questions != NULL) {
        question *q = state->questions;
        if (q->request != NULL) sw_control_refuse(q->request, "the job has ended");
        forget(q);
    }
}
