#include "run/ack.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "run/ack_marks.h"
#include "run/ack_nodes.h"

#define NAME_BITS 48
#define NAME_MASK ((1ull << NAME_BITS) - 1)
#define FULL_QUIET_MS 1000 /* a full set of which nothing is acknowledged for so long is reported */

typedef enum scope_kind {
    SCOPE_NONE,
    SCOPE_ROW,  /* a row of a channel: its root's task is told */
    SCOPE_NEW,  /* a source's event, whose node becomes pending when it has to */
    SCOPE_NODE, /* something of a node of this tracker */
} scope_kind;

typedef struct scope {
    uint64_t root; /* what is emitted descends from; 0 nothing */
    uint64_t sum;  /* of the edge that came and those that went */
    scope_kind kind;
    sw_ack_fate fate;
} scope;

struct sw_acks {
    sw_ack_options options; /* as given */
    sw_ack_mail mail;
    sw_ack_nodes nodes;
    sw_rng rng;                        /* draws edges */
    scope *scopes;                     /* options.depth of them, and one for what is about nothing; owned */
    scope *top;                        /* the innermost that is open */
    const sw_anchor *used;             /* what the next row takes; NULL: one is drawn */
    sw_ack_kept *fresh;                /* the new event at work; owned; NULL none */
    uint64_t last_id;                  /* of the source's events */
    uint32_t pending;                  /* roots, due ones included */
    uint32_t due, due_last;            /* first and last place that waits to be replayed */
    uint32_t due_count;                /* how many do */
    uint32_t links;                    /* nodes that are links; atomic */
    uint32_t holder;                   /* component index + 1; 0 none */
    uint32_t now_ms;                   /* at the last take, wrapping */
    int64_t taken_ms;                  /* the same */
    int64_t quiet_since_ms;            /* nothing has been acknowledged since; the set was not full before */
    bool is_reported;                  /* that nothing is */
    bool is_hopeless;                  /* an event has failed too often */
    bool is_ended;                     /* the source gives no more */
    bool wants_notices;                /* the source is told what becomes of its events */
    uint64_t (*named)[2];              /* root and edge of what the next open_named is about; owned */
    uint32_t named_count;              /* entries of named */
    uint32_t named_cap;                /* room */
    sw_ack_marks marks;                /* positions of the source */
    sw_ack_notice *notices;            /* not read yet, from notice_next on; owned */
    uint32_t notice_next;              /* the next one to be read */
    uint32_t notice_count, notice_cap; /* entries, and room */
};

/* --- making ------------------------------------------------------------------------------------------------------ */

int sw_acks_new(sw_acks **out, const sw_ack_options *options, sw_error *err)
{
    SW_ASSERT(options->number < options->count && options->count <= SW_ACK_TASKS_MAX);
    sw_acks *acks = sw_calloc(1, sizeof(*acks));
    if (acks == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    acks->options = *options;
    if (options->pending_max == 0) acks->options.pending_max = SW_ACK_PENDING_MAX;
    sw_rng_seed(&acks->rng, sw_rng_stream(options->seed, "edges") + sw_hash_u64(options->number));
    sw_ack_nodes_init(&acks->nodes);
    acks->due = acks->due_last = SW_ACK_NONE;
    int rc = sw_ack_mail_init(&acks->mail, options->mails, options->count, options->wake);
    acks->scopes = sw_calloc(options->depth + 1, sizeof(*acks->scopes));
    if (rc != SW_OK || acks->scopes == NULL) {
        sw_acks_free(acks);
        return sw_error_set(err, SW_ENOMEM, "out of memory");
    }
    acks->top = acks->scopes;
    options->mails[options->number] = &acks->mail;
    *out = acks;
    return SW_OK;
}

void sw_acks_free(sw_acks *acks)
{
    if (acks == NULL) return;
    for (uint32_t i = 0; i < acks->nodes.count; i++)
        if (acks->nodes.list[i].kind != SW_ACK_FREE) sw_free(acks->nodes.list[i].keeps);
    sw_ack_nodes_deinit(&acks->nodes);
    sw_ack_mail_deinit(&acks->mail);
    sw_ack_marks_deinit(&acks->marks);
    sw_free(acks->scopes);
    sw_free(acks->fresh);
    sw_free(acks->named);
    sw_free(acks->notices);
    sw_free(acks);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static uint64_t root_of(const sw_acks *acks, uint32_t place)
{
    return (uint64_t)acks->options.number << NAME_BITS | sw_ack_nodes_name(&acks->nodes, place);
}

static uint32_t place_of(const sw_acks *acks, uint64_t root)
{
    return sw_ack_nodes_find(&acks->nodes, root & NAME_MASK);
}

static sw_ack_node *node_at(sw_acks *acks, uint32_t place)
{
    return &acks->nodes.list[place];
}

static sw_row *row_of(const sw_ack_kept *kept)
{
    return (sw_row *)(uintptr_t)(kept + 1);
}

/* What stands in a link's sum for its holder, until release. */
static uint64_t token_of(const sw_acks *acks, uint32_t place)
{
    return sw_hash_u64(root_of(acks, place));
}

static void post(sw_acks *acks, uint64_t root, uint64_t sum, sw_ack_fate fate)
{
    const sw_ack_message message = { .root = root, .sum = sum, .fate = fate };
    if (root != 0) sw_ack_mail_post(&acks->mail, (uint32_t)(root >> NAME_BITS), &message);
}

/* --- what becomes of nodes ---------------------------------------------------------------------------------------- */

/* A notice that finds no memory is not given: they inform, no more. */
static void notify(sw_acks *acks, uint64_t id, bool is_acked)
{
    if (!acks->wants_notices) return;
    if (acks->notice_count == acks->notice_cap) {
        uint32_t cap = acks->notice_cap > 0 ? 2 * acks->notice_cap : 64;
        sw_ack_notice *notices = sw_realloc(acks->notices, cap * sizeof(*notices));
        if (notices == NULL) return;
        acks->notices = notices;
        acks->notice_cap = cap;
    }
    acks->notices[acks->notice_count++] = (sw_ack_notice){ .id = (double)id, .is_acked = is_acked };
}

static void add_to(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static void count_acked(sw_acks *acks, uint64_t id)
{
    add_to(&acks->options.instance->acked);
    acks->quiet_since_ms = acks->taken_ms;
    acks->is_reported = false;
    notify(acks, id, true);
}

static void set_links(sw_acks *acks, uint32_t links)
{
    __atomic_store_n(&acks->links, links, __ATOMIC_RELAXED);
}

/* Frees a node that is in order of age. */
static void remove_node(sw_acks *acks, uint32_t place)
{
    sw_ack_node *node = node_at(acks, place);
    if (node->kind == SW_ACK_LINK) set_links(acks, acks->links - 1);
    sw_ack_nodes_unage(&acks->nodes, place);
    sw_free(node->keeps);
    sw_ack_nodes_give_back(&acks->nodes, place);
}

/* Tells what a link descends from what became of it. */
static void tell_parents(sw_acks *acks, const sw_ack_parents *parents, sw_ack_fate fate)
{
    for (uint32_t i = 0; i < parents->count; i++) post(acks, parents->anchors[i][0], parents->anchors[i][1], fate);
}

static void finish_node(sw_acks *acks, uint32_t place)
{
    const sw_ack_node *node = node_at(acks, place);
    if (node->kind == SW_ACK_LINK) {
        tell_parents(acks, node->keeps, SW_ACKED);
    } else {
        const sw_ack_kept *kept = node->keeps;
        sw_ack_marks_drop(&acks->marks, kept->mark);
        count_acked(acks, kept->id);
        acks->pending--;
    }
    remove_node(acks, place);
}

/* Puts a root to those to be replayed. */
static void make_due(sw_acks *acks, uint32_t place)
{
    sw_ack_node *node = node_at(acks, place);
    sw_ack_nodes_unage(&acks->nodes, place);
    sw_ack_nodes_renew(&acks->nodes, place);
    node->kind = SW_ACK_DUE;
    node->newer = SW_ACK_NONE;
    if (acks->due_last != SW_ACK_NONE) node_at(acks, acks->due_last)->newer = place;
    else acks->due = place;
    acks->due_last = place;
    acks->due_count++;
}

static void fail_node(sw_acks *acks, uint32_t place, sw_ack_fate fate)
{
    const sw_ack_node *node = node_at(acks, place);
    if (node->kind == SW_ACK_LINK) {
        tell_parents(acks, node->keeps, fate);
        remove_node(acks, place);
        return;
    }
    sw_ack_kept *kept = node->keeps;
    if (fate == SW_ERRED && ++kept->errors > acks->options.settings.errors_max) acks->is_hopeless = true;
    notify(acks, kept->id, false);
    make_due(acks, place);
}

static bool is_at_work(const sw_acks *acks, uint64_t root)
{
    for (const scope *s = acks->top; s > acks->scopes; s--)
        if (s->root == root) return true;
    return false;
}

/* An event at work may yet emit: its sum says nothing. */
static void settle(sw_acks *acks, uint32_t place)
{
    if (node_at(acks, place)->sum == 0 && !is_at_work(acks, root_of(acks, place))) finish_node(acks, place);
}

/* --- scopes ------------------------------------------------------------------------------------------------------- */

static scope *open_scope(sw_acks *acks, scope_kind kind, uint64_t root, uint64_t sum)
{
    SW_ASSERT(acks->top < acks->scopes + acks->options.depth);
    acks->top++;
    *acks->top = (scope){ .kind = kind, .root = root, .sum = sum };
    return acks->top;
}

/* Makes acks->fresh large enough, and not much larger, for a row of len bytes. */
static bool make_fresh(sw_acks *acks, uint32_t len)
{
    if (acks->fresh != NULL && acks->fresh->cap >= len && acks->fresh->cap / 2 <= len) return true;
    sw_free(acks->fresh);
    acks->fresh = sw_alloc(sizeof(sw_ack_kept) + len);
    if (acks->fresh == NULL) return false;
    acks->fresh->cap = len;
    return true;
}

uint64_t sw_acks_open_new(sw_acks *acks, const sw_row *row, uint32_t output)
{
    uint32_t len = sw_row_size(row->body_len, 0);
    if (!make_fresh(acks, len)) return 0;
    uint32_t place = sw_ack_nodes_take(&acks->nodes, SW_ACK_EVENT);
    if (place == SW_ACK_NONE) return 0;
    sw_ack_kept *kept = acks->fresh;
    kept->id = ++acks->last_id;
    kept->errors = 0;
    memcpy(row_of(kept), row, sizeof(*row) + row->body_len);
    row_of(kept)->len = len;
    row_of(kept)->key_len = 0;
    row_of(kept)->hash = 0;
    row_of(kept)->reserved = output;
    open_scope(acks, SCOPE_NEW, root_of(acks, place), 0);
    return kept->id;
}

void sw_acks_open_reserved(sw_acks *acks, const sw_anchor *anchor)
{
    open_scope(acks, SCOPE_ROW, anchor->root, anchor->edge);
}

void sw_acks_open_row(sw_acks *acks, const sw_row *row)
{
    sw_acks_open_reserved(acks, sw_row_anchor(row));
}

void sw_acks_open_none(sw_acks *acks)
{
    open_scope(acks, SCOPE_NONE, 0, 0);
}

static uint32_t add_link(sw_acks *acks, const uint64_t (*anchors)[2], uint32_t count)
{
    sw_ack_parents *parents = sw_alloc(sizeof(*parents) + count * sizeof(*anchors));
    if (parents == NULL) return SW_ACK_NONE;
    uint32_t place = sw_ack_nodes_take(&acks->nodes, SW_ACK_LINK);
    if (place == SW_ACK_NONE) {
        sw_free(parents);
        return SW_ACK_NONE;
    }
    parents->count = count;
    parents->reserved = 0;
    memcpy(parents->anchors, anchors, count * sizeof(*anchors));
    node_at(acks, place)->keeps = parents;
    sw_ack_nodes_age(&acks->nodes, place, acks->now_ms);
    set_links(acks, acks->links + 1);
    return place;
}

uint64_t sw_acks_open_held(sw_acks *acks)
{
    const uint64_t anchor[1][2] = { { acks->top->root, sw_rng_next(&acks->rng) } };
    uint32_t place = add_link(acks, anchor, 1);
    if (place == SW_ACK_NONE) {
        open_scope(acks, SCOPE_ROW, acks->top->root, 0);
        return 0;
    }
    acks->top->sum ^= anchor[0][1];
    node_at(acks, place)->sum = token_of(acks, place);
    open_scope(acks, SCOPE_NODE, root_of(acks, place), 0);
    return root_of(acks, place) & NAME_MASK;
}

void sw_acks_name(sw_acks *acks, uint64_t held)
{
    uint32_t place = sw_ack_nodes_find(&acks->nodes, held);
    if (place == SW_ACK_NONE) return;
    if (acks->named_count == acks->named_cap) {
        uint32_t cap = acks->named_cap > 0 ? 2 * acks->named_cap : 16;
        uint64_t(*named)[2] = sw_realloc(acks->named, cap * sizeof(*named));
        SW_ASSERT(named != NULL); /* Without it the event would count as done though this one is not. */
        acks->named = named;
        acks->named_cap = cap;
    }
    acks->named[acks->named_count][0] = root_of(acks, place);
    acks->named[acks->named_count++][1] = sw_rng_next(&acks->rng);
}

int sw_acks_open_named(sw_acks *acks)
{
    uint32_t count = acks->named_count;
    acks->named_count = 0;
    if (count < 2) {
        open_scope(acks, count == 0 ? SCOPE_NONE : SCOPE_NODE, count == 0 ? 0 : acks->named[0][0], 0);
        return SW_OK;
    }
    uint32_t place = add_link(acks, (const uint64_t(*)[2])acks->named, count);
    if (place == SW_ACK_NONE) return SW_ENOMEM;
    for (uint32_t i = 0; i < count; i++) node_at(acks, place_of(acks, acks->named[i][0]))->sum ^= acks->named[i][1];
    open_scope(acks, SCOPE_NODE, root_of(acks, place), 0);
    return SW_OK;
}

/* A source's event has been passed on: it is pending when anything was made of it. */
static void close_new(sw_acks *acks, const scope *s)
{
    sw_ack_kept *kept = acks->fresh;
    uint32_t place = place_of(acks, s->root);
    if (s->sum == 0 && s->fate == SW_ACKED) {
        sw_ack_nodes_give_back(&acks->nodes, place);
        count_acked(acks, kept->id);
        return;
    }
    acks->fresh = NULL;
    kept->mark = sw_ack_marks_hold(&acks->marks);
    node_at(acks, place)->keeps = kept;
    node_at(acks, place)->sum = s->sum;
    sw_ack_nodes_age(&acks->nodes, place, acks->now_ms);
    acks->pending++;
    if (s->fate != SW_ACKED) fail_node(acks, place, s->fate);
}

static void close_node(sw_acks *acks, const scope *s)
{
    uint32_t place = place_of(acks, s->root);
    if (place == SW_ACK_NONE) return; /* It failed meanwhile: what was emitted descends from nothing. */
    if (s->fate != SW_ACKED) {
        fail_node(acks, place, s->fate);
        return;
    }
    node_at(acks, place)->sum ^= s->sum;
    settle(acks, place);
}

void sw_acks_close(sw_acks *acks)
{
    SW_ASSERT(acks->top > acks->scopes);
    const scope s = *acks->top--;
    switch (s.kind) {
    case SCOPE_NONE: return;
    case SCOPE_ROW: post(acks, s.root, s.sum, s.fate); return;
    case SCOPE_NEW: close_new(acks, &s); return;
    case SCOPE_NODE: close_node(acks, &s); return;
    }
}

bool sw_acks_fail(sw_acks *acks, sw_ack_fate fate)
{
    if (acks->top->root == 0) return false;
    if (acks->top->fate == SW_ACKED) acks->top->fate = fate;
    return true;
}

void sw_acks_release(sw_acks *acks, uint64_t held, sw_ack_fate fate)
{
    uint32_t place = sw_ack_nodes_find(&acks->nodes, held);
    if (place == SW_ACK_NONE) return;
    if (fate != SW_ACKED) {
        fail_node(acks, place, fate);
        return;
    }
    node_at(acks, place)->sum ^= token_of(acks, place);
    settle(acks, place);
}

sw_anchor sw_acks_draw(sw_acks *acks)
{
    if (acks->used != NULL) return *acks->used;
    uint64_t root = acks->top->root;
    return (sw_anchor){ .root = root, .edge = root != 0 ? sw_rng_next(&acks->rng) : 0 };
}

void sw_acks_sent(sw_acks *acks, const sw_anchor *anchor)
{
    if (acks->used == NULL) acks->top->sum ^= anchor->edge;
}

void sw_acks_reserve(sw_acks *acks, sw_anchor *out)
{
    *out = sw_acks_draw(acks);
    sw_acks_sent(acks, out);
}

void sw_acks_use(sw_acks *acks, const sw_anchor *anchor)
{
    acks->used = anchor;
}

void sw_acks_unuse(sw_acks *acks)
{
    acks->used = NULL;
}

/* --- between events ----------------------------------------------------------------------------------------------- */

void sw_acks_send(sw_acks *acks)
{
    if (acks->mail.touched_count > 0) sw_ack_mail_send(&acks->mail);
}

static void apply(sw_acks *acks, const sw_ack_message *message)
{
    uint32_t place = place_of(acks, message->root);
    if (place == SW_ACK_NONE) return;
    if (message->fate != SW_ACKED) {
        fail_node(acks, place, message->fate);
        return;
    }
    node_at(acks, place)->sum ^= message->sum;
    settle(acks, place);
}

static void time_out(sw_acks *acks)
{
    while (acks->nodes.oldest != SW_ACK_NONE) {
        uint32_t place = acks->nodes.oldest;
        const sw_ack_node *node = node_at(acks, place);
        if (acks->now_ms - node->taken_ms < acks->options.settings.timeout_ms) return;
        if (node->kind == SW_ACK_LINK) remove_node(acks, place);
        else fail_node(acks, place, SW_FAILED);
    }
}

static bool is_full(const sw_acks *acks)
{
    return acks->pending >= acks->options.pending_max || (acks->is_ended && acks->pending > 0);
}

/* A set that stays full without an acknowledgement waits for something that may never come. */
static void report_full(sw_acks *acks)
{
    if (!is_full(acks)) acks->quiet_since_ms = acks->taken_ms;
    if (acks->is_reported || acks->taken_ms - acks->quiet_since_ms < FULL_QUIET_MS) return;
    acks->is_reported = true;
    if (acks->options.on_full != NULL) acks->options.on_full(acks->options.arg, acks);
}

void sw_acks_take(sw_acks *acks, int64_t now_ms)
{
    if (acks->top > acks->scopes) return;
    acks->taken_ms = now_ms;
    acks->now_ms = (uint32_t)now_ms;
    const sw_ack_list *list = sw_ack_mail_collect(&acks->mail);
    for (uint32_t i = 0; i < list->count; i++) apply(acks, &list->items[i]);
    time_out(acks);
    report_full(acks);
}

int64_t sw_acks_deadline_ms(const sw_acks *acks)
{
    int64_t deadline = INT64_MAX;
    if (acks->nodes.oldest != SW_ACK_NONE) {
        uint32_t age = acks->now_ms - acks->nodes.list[acks->nodes.oldest].taken_ms;
        deadline = acks->taken_ms - age + acks->options.settings.timeout_ms;
    }
    if (is_full(acks) && !acks->is_reported && acks->quiet_since_ms + FULL_QUIET_MS < deadline)
        deadline = acks->quiet_since_ms + FULL_QUIET_MS;
    return deadline;
}

bool sw_acks_is_due(const sw_acks *acks, int64_t now_ms)
{
    return acks->due_count > 0 || acks->mail.touched_count > 0 || sw_ack_mail_has_any(&acks->mail) ||
           sw_acks_deadline_ms(acks) <= now_ms;
}

bool sw_acks_await(sw_acks *acks)
{
    return sw_ack_mail_await(&acks->mail);
}

/* --- for sources -------------------------------------------------------------------------------------------------- */

uint32_t sw_acks_pending(const sw_acks *acks)
{
    return acks->pending;
}

uint32_t sw_acks_held(const sw_acks *acks)
{
    return __atomic_load_n(&acks->links, __ATOMIC_RELAXED);
}

uint32_t sw_acks_holder(const sw_acks *acks)
{
    return acks->holder;
}

void sw_acks_set_holder(sw_acks *acks, uint32_t component)
{
    acks->holder = component;
}

uint32_t sw_acks_room(const sw_acks *acks)
{
    return acks->pending >= acks->options.pending_max ? 0 : acks->options.pending_max - acks->pending;
}

void sw_acks_end(sw_acks *acks)
{
    acks->is_ended = true;
}

uint32_t sw_acks_due(const sw_acks *acks)
{
    return acks->due_count;
}

const sw_row *sw_acks_open_replay(sw_acks *acks)
{
    if (acks->due == SW_ACK_NONE) return NULL;
    uint32_t place = acks->due;
    sw_ack_node *node = node_at(acks, place);
    acks->due = node->newer;
    if (acks->due == SW_ACK_NONE) acks->due_last = SW_ACK_NONE;
    acks->due_count--;
    node->kind = SW_ACK_EVENT;
    node->sum = 0;
    sw_ack_nodes_age(&acks->nodes, place, acks->now_ms);
    add_to(&acks->options.instance->replayed);
    open_scope(acks, SCOPE_NODE, root_of(acks, place), 0);
    return row_of(node->keeps);
}

bool sw_acks_is_hopeless(const sw_acks *acks)
{
    return acks->is_hopeless;
}

void sw_acks_want_notices(sw_acks *acks)
{
    acks->wants_notices = true;
}

bool sw_acks_next_notice(sw_acks *acks, sw_ack_notice *out)
{
    if (acks->notice_next == acks->notice_count) {
        acks->notice_next = acks->notice_count = 0;
        return false;
    }
    *out = acks->notices[acks->notice_next++];
    return true;
}

int sw_acks_mark(sw_acks *acks, const uint8_t *position, uint32_t len)
{
    return sw_ack_marks_add(&acks->marks, position, len);
}

const sw_buf *sw_acks_position(const sw_acks *acks)
{
    return sw_ack_marks_oldest(&acks->marks);
}
