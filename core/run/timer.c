#include "run/timer.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "state/key.h"
#include "state/pack.h"
#include "state/slab.h"

#define HEAP_WAYS 4        /* children of a node: half the levels of a binary heap, and siblings share a cache line */
#define HEAP_CAP_FIRST 16  /* timers */
#define INDEX_CAP_FIRST 32 /* slots, a power of two */
#define NAME_BYTES_MAX 255
#define LIST_CAP_FIRST 64

typedef struct node {
    uint64_t hash;    /* of the key */
    uint64_t id;      /* hash of the identity: key and name, or key and time */
    uint64_t seq;     /* order of setting */
    uint64_t at;      /* place in the heap */
    uint32_t key_len; /* bytes */
    uint32_t listed;  /* place in a list of timers to be saved, from 1; 0: in none */
    uint32_t epoch;   /* in which it was listed: in `dirty` if it is the present one, else in `pending` */
    uint8_t name_len; /* bytes */
    bool is_named;    /* a name of no bytes is a name */
    bool is_saved;    /* a checkpoint may know it */
    uint8_t bytes[];  /* key, name */
} node;

typedef struct node_list {
    node **nodes;   /* owned array; NULL where a timer has been dealt with */
    uint64_t count; /* used */
    uint64_t cap;   /* allocated */
} node_list;

typedef struct heap_entry {
    int64_t time; /* due, ms; here so that most comparisons stay in the array */
    node *node;   /* owned */
} heap_entry;

typedef struct index_slot {
    uint64_t id; /* of the node */
    node *node;  /* NULL: free */
} index_slot;

struct sw_timers {
    heap_entry *heap;    /* owned */
    uint64_t count;      /* timers */
    uint64_t heap_cap;   /* entries allocated */
    index_slot *index;   /* owned; linear probing from id, removal by shifting back */
    uint64_t index_mask; /* slots - 1; 0 before the first timer */
    uint64_t seq;        /* of the next timer set */
    node *lent;          /* by the last pop, or NULL */
    sw_slab slab;        /* memory of the nodes */
    /* --- saving --- */
    bool is_tracked;      /* changes are listed */
    bool is_saving;       /* between begin and take */
    uint8_t which;        /* kind of time */
    int group;            /* of all timers; -1: each its key's */
    uint32_t component;   /* index in the job's graph */
    uint32_t epoch;       /* barriers so far */
    node_list dirty;      /* set since the last barrier */
    node_list pending;    /* to be saved as they were at the barrier */
    uint64_t next;        /* index of the first pending timer not looked at */
    sw_snapshot removals; /* since the last barrier */
    sw_snapshot part;     /* being made */
    sw_buf identity;      /* scratch */
};

int sw_timers_new(sw_timers **out, sw_error *err)
{
    sw_timers *timers = sw_calloc(1, sizeof(*timers));
    if (timers == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory for timers");
    *out = timers;
    return SW_OK;
}

/* --- nodes ---------------------------------------------------------------------------------------------- */

static size_t node_size(uint32_t key_len, uint32_t name_len)
{
    return sizeof(node) + key_len + name_len;
}

static void free_node(sw_timers *timers, node *n)
{
    if (n != NULL) sw_slab_free(&timers->slab, n, node_size(n->key_len, n->name_len));
}

static void end_loan(sw_timers *timers)
{
    free_node(timers, timers->lent);
    timers->lent = NULL;
}

static int compare_bytes(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* The order of timers due at one time: by key, then without a name before with one, then by name. */
static int compare_nodes(const node *a, const node *b)
{
    int order = compare_bytes(a->bytes, a->key_len, b->bytes, b->key_len);
    if (order != 0) return order;
    if (a->is_named != b->is_named) return a->is_named - b->is_named;
    return compare_bytes(a->bytes + a->key_len, a->name_len, b->bytes + b->key_len, b->name_len);
}

static inline bool is_before(const heap_entry *a, const heap_entry *b)
{
    return a->time != b->time ? a->time < b->time : compare_nodes(a->node, b->node) < 0;
}

/* --- heap ----------------------------------------------------------------------------------------------- */

static inline void place(sw_timers *timers, uint64_t at, heap_entry entry)
{
    timers->heap[at] = entry;
    entry.node->at = at;
}

static void sift_up(sw_timers *timers, uint64_t at, heap_entry entry)
{
    while (at > 0) {
        uint64_t parent = (at - 1) / HEAP_WAYS;
        if (!is_before(&entry, &timers->heap[parent])) break;
        place(timers, at, timers->heap[parent]);
        at = parent;
    }
    place(timers, at, entry);
}

static void sift_down(sw_timers *timers, uint64_t at, heap_entry entry)
{
    for (;;) {
        uint64_t child = at * HEAP_WAYS + 1, end = child + HEAP_WAYS, least = child;
        if (child >= timers->count) break;
        if (end > timers->count) end = timers->count;
        while (++child < end)
            if (is_before(&timers->heap[child], &timers->heap[least])) least = child;
        if (!is_before(&timers->heap[least], &entry)) break;
        place(timers, at, timers->heap[least]);
        at = least;
    }
    place(timers, at, entry);
}

/* Puts an entry where another was taken out, wherever the order wants it. */
static void settle(sw_timers *timers, uint64_t at, heap_entry entry)
{
    if (at > 0 && is_before(&entry, &timers->heap[(at - 1) / HEAP_WAYS])) sift_up(timers, at, entry);
    else sift_down(timers, at, entry);
}

static void heap_remove(sw_timers *timers, uint64_t at)
{
    heap_entry last = timers->heap[--timers->count];
    if (at < timers->count) settle(timers, at, last);
}

static int heap_grow(sw_timers *timers)
{
    uint64_t cap = timers->heap_cap > 0 ? timers->heap_cap * 2 : HEAP_CAP_FIRST;
    heap_entry *heap = sw_realloc(timers->heap, cap * sizeof(*heap));
    if (heap == NULL) return SW_ENOMEM;
    timers->heap = heap;
    timers->heap_cap = cap;
    return SW_OK;
}

/* --- index ---------------------------------------------------------------------------------------------- */

typedef struct wanted { /* an identity to look for */
    int64_t time;       /* matters without a name */
    uint64_t hash;      /* of the key */
    const uint8_t *key; /* key bytes */
    const char *name;   /* or NULL */
    uint32_t key_len;   /* bytes */
    uint32_t name_len;  /* bytes */
} wanted;

/* Mixed twice over, since key hashes of one instance share low bits and times step evenly. */
static uint64_t id_of(const wanted *w)
{
    uint64_t second = w->name != NULL ? sw_hash(w->name, w->name_len) : sw_hash_u64((uint64_t)w->time);
    return sw_hash_u64(w->hash ^ second);
}

static bool is_wanted(const sw_timers *timers, const node *n, const wanted *w)
{
    if (n->key_len != w->key_len || n->is_named != (w->name != NULL)) return false;
    if (memcmp(n->bytes, w->key, w->key_len) != 0) return false;
    if (!n->is_named) return timers->heap[n->at].time == w->time;
    return n->name_len == w->name_len && memcmp(n->bytes + n->key_len, w->name, w->name_len) == 0;
}

static node *find(const sw_timers *timers, uint64_t id, const wanted *w)
{
    if (timers->index == NULL) return NULL;
    for (uint64_t i = id & timers->index_mask;; i = (i + 1) & timers->index_mask) {
        const index_slot *slot = &timers->index[i];
        if (slot->node == NULL) return NULL;
        if (slot->id == id && is_wanted(timers, slot->node, w)) return slot->node;
    }
}

static void index_put(index_slot *index, uint64_t mask, node *n)
{
    uint64_t i = n->id & mask;
    while (index[i].node != NULL) i = (i + 1) & mask;
    index[i] = (index_slot){ n->id, n };
}

/* Fills the gap by shifting back what could not stand at its home (Knuth, 6.4, algorithm R): no tombstones. */
static void index_remove(sw_timers *timers, const node *n)
{
    index_slot *index = timers->index;
    uint64_t mask = timers->index_mask, gap = n->id & mask;
    while (index[gap].node != n) gap = (gap + 1) & mask;
    for (uint64_t i = (gap + 1) & mask; index[i].node != NULL; i = (i + 1) & mask) {
        if (((i - index[i].id) & mask) < ((i - gap) & mask)) continue; /* Its home lies behind the gap. */
        index[gap] = index[i];
        gap = i;
    }
    index[gap].node = NULL;
}

static int index_grow(sw_timers *timers)
{
    uint64_t cap = timers->index != NULL ? (timers->index_mask + 1) * 2 : INDEX_CAP_FIRST;
    index_slot *index = sw_calloc(cap, sizeof(*index));
    if (index == NULL) return SW_ENOMEM;
    for (uint64_t i = 0; i < timers->count; i++) index_put(index, cap - 1, timers->heap[i].node);
    sw_free(timers->index);
    timers->index = index;
    timers->index_mask = cap - 1;
    return SW_OK;
}

/* --- saving --------------------------------------------------------------------------------------------- */

static int make_identity(sw_timers *timers, const node *n, int64_t time)
{
    sw_buf *out = &timers->identity;
    const uint8_t kind[] = { timers->which, n->is_named };
    uint64_t ordered = __builtin_bswap64((uint64_t)time ^ (uint64_t)1 << 63);
    sw_buf_clear(out);
    int rc = sw_buf_reserve(out, n->key_len + sizeof(kind) + sizeof(ordered) + n->name_len);
    if (rc != SW_OK) return rc;
    sw_buf_append(out, n->bytes, n->key_len); /* Within the reserve. */
    sw_buf_append(out, kind, sizeof(kind));
    if (n->is_named) sw_buf_append(out, n->bytes + n->key_len, n->name_len);
    else sw_buf_append(out, &ordered, sizeof(ordered));
    return SW_OK;
}

/* Appends the timer to `to`, or its removal. */
static int put_change(sw_timers *timers, const node *n, int64_t time, bool is_removal, sw_snapshot *to)
{
    uint8_t value[9] = { 0xd3 }; /* msgpack: int64 */
    uint64_t bits = __builtin_bswap64((uint64_t)time);
    memcpy(value + 1, &bits, sizeof(bits));
    int rc = make_identity(timers, n, time);
    if (rc != SW_OK) return rc;
    const sw_saved saved = {
        .component = timers->component,
        .kind = SW_SAVED_TIMER,
        .group = timers->group >= 0 ? (uint32_t)timers->group : sw_key_group(n->hash),
        .key = timers->identity.data,
        .key_len = (uint32_t)timers->identity.size,
        .value = is_removal ? NULL : value,
        .value_len = sizeof(value),
    };
    return sw_snapshot_put(to, &saved);
}

static int save_node(sw_timers *timers, node *n)
{
    int rc = put_change(timers, n, timers->heap[n->at].time, false, &timers->part);
    if (rc != SW_OK) return rc;
    timers->pending.nodes[n->listed - 1] = NULL;
    n->listed = 0;
    n->is_saved = true;
    return SW_OK;
}

/* Lists a timer that was set or moved. */
static int list_dirty(sw_timers *timers, node *n)
{
    node_list *list = &timers->dirty;
    if (!timers->is_tracked) return SW_OK;
    if (list->count == list->cap) {
        uint64_t cap = list->cap > 0 ? 2 * list->cap : LIST_CAP_FIRST;
        node **nodes = sw_realloc(list->nodes, cap * sizeof(*nodes));
        if (nodes == NULL) return SW_ENOMEM;
        list->nodes = nodes;
        list->cap = cap;
    }
    list->nodes[list->count++] = n;
    n->listed = (uint32_t)list->count;
    n->epoch = timers->epoch;
    return SW_OK;
}

static bool is_pending(const sw_timers *timers, const node *n)
{
    return n->listed != 0 && n->epoch != timers->epoch;
}

/* The last of the list takes its place. */
static void unlist_dirty(sw_timers *timers, node *n)
{
    node_list *list = &timers->dirty;
    node *last = list->nodes[--list->count];
    list->nodes[n->listed - 1] = last;
    last->listed = n->listed;
    n->listed = 0;
}

/* A timer is about to move: what a save waits for is saved as it is. */
static int before_move(sw_timers *timers, node *n)
{
    int rc = is_pending(timers, n) ? save_node(timers, n) : SW_OK;
    return rc == SW_OK && n->listed == 0 ? list_dirty(timers, n) : rc;
}

/* A timer is about to go. Going on without memory would bring it back at a restore. */
static void before_removal(sw_timers *timers, node *n)
{
    int rc = is_pending(timers, n) ? save_node(timers, n) : SW_OK;
    if (n->listed != 0) unlist_dirty(timers, n);
    if (rc == SW_OK && n->is_saved) rc = put_change(timers, n, timers->heap[n->at].time, true, &timers->removals);
    SW_ASSERT(rc == SW_OK);
}

void sw_timers_track(sw_timers *timers, uint32_t component, uint8_t which, int group)
{
    timers->is_tracked = true;
    timers->group = group;
    timers->component = component;
    timers->which = which;
}

void sw_timers_begin_save(sw_timers *timers)
{
    SW_ASSERT(timers->is_tracked && !timers->is_saving);
    node_list done = timers->pending;
    done.count = 0;
    timers->pending = timers->dirty;
    timers->dirty = done;
    timers->epoch++;
    timers->part = timers->removals; /* A timer set again is saved behind its removal. */
    sw_snapshot_init(&timers->removals);
    timers->next = 0;
    timers->is_saving = true;
}

bool sw_timers_is_saving(const sw_timers *timers)
{
    return timers->is_saving;
}

int sw_timers_save_some(sw_timers *timers, uint32_t max)
{
    for (; max > 0 && timers->next < timers->pending.count; max--) {
        node *n = timers->pending.nodes[timers->next];
        int rc = n != NULL ? save_node(timers, n) : SW_OK;
        if (rc != SW_OK) return rc;
        timers->next++;
    }
    return timers->next == timers->pending.count ? SW_ECLOSED : SW_OK;
}

void sw_timers_take_part(sw_timers *timers, sw_snapshot *part)
{
    SW_ASSERT(timers->is_saving && timers->next == timers->pending.count);
    *part = timers->part;
    sw_snapshot_init(&timers->part);
    timers->is_saving = false;
}

/* --- setting and cancelling ----------------------------------------------------------------------------- */

/* Room for one more timer in heap and index; the index stays at most half full. */
static int make_room(sw_timers *timers)
{
    if (timers->count == timers->heap_cap && heap_grow(timers) != SW_OK) return SW_ENOMEM;
    bool is_full = timers->index == NULL || timers->count >= (timers->index_mask + 1) / 2;
    return is_full ? index_grow(timers) : SW_OK;
}

static int add(sw_timers *timers, uint64_t id, const wanted *w)
{
    if (make_room(timers) != SW_OK) return SW_ENOMEM;
    uint32_t name_len = w->name != NULL ? w->name_len : 0;
    node *n = sw_slab_alloc(&timers->slab, node_size(w->key_len, name_len));
    if (n == NULL) return SW_ENOMEM;
    n->hash = w->hash;
    n->id = id;
    n->seq = timers->seq++;
    n->key_len = w->key_len;
    n->name_len = (uint8_t)name_len;
    n->is_named = w->name != NULL;
    n->is_saved = false;
    n->listed = 0;
    memcpy(n->bytes, w->key, w->key_len);
    if (name_len > 0) memcpy(n->bytes + w->key_len, w->name, name_len);
    if (list_dirty(timers, n) != SW_OK) {
        free_node(timers, n);
        return SW_ENOMEM;
    }
    index_put(timers->index, timers->index_mask, n);
    sift_up(timers, timers->count++, (heap_entry){ w->time, n });
    return SW_OK;
}

/* What is set to the time it has is left alone, and keeps its place in the order of setting. */
static int move(sw_timers *timers, node *n, int64_t time)
{
    if (timers->heap[n->at].time == time) return SW_OK;
    if (before_move(timers, n) != SW_OK) return SW_ENOMEM;
    n->seq = timers->seq++;
    settle(timers, n->at, (heap_entry){ time, n });
    return SW_OK;
}

int sw_timers_set(sw_timers *timers, int64_t time, uint64_t hash, const uint8_t *key, uint32_t key_len,
                  const char *name, uint32_t name_len)
{
    if (name != NULL && name_len > NAME_BYTES_MAX) return SW_EINVAL;
    wanted w = { time, hash, key, name, key_len, name_len };
    uint64_t id = id_of(&w);
    node *present = find(timers, id, &w);
    int rc = present != NULL ? move(timers, present, time) : add(timers, id, &w);
    end_loan(timers); /* Not before: key and name may be those of the timer lent. */
    return rc;
}

int sw_timers_cancel(sw_timers *timers, int64_t time, uint64_t hash, const uint8_t *key, uint32_t key_len,
                     const char *name, uint32_t name_len)
{
    wanted w = { time, hash, key, name, key_len, name_len };
    node *present = find(timers, id_of(&w), &w);
    end_loan(timers);
    if (present == NULL) return 0;
    before_removal(timers, present);
    index_remove(timers, present);
    heap_remove(timers, present->at);
    free_node(timers, present);
    return 1;
}

int sw_timers_restore(sw_timers *timers, const sw_saved *saved)
{
    sw_pack_reader reader = { saved->key, saved->key + saved->key_len },
                   value = { saved->value, saved->value + saved->value_len };
    sw_pack_item time;
    if (sw_pack_skip(&reader) != SW_OK || reader.end - reader.p < 2) return SW_EFORMAT;
    if (sw_pack_next(&value, &time) != SW_OK || time.type != SW_PACK_I64) return SW_EFORMAT;
    if (reader.p[0] != timers->which) return 0;
    uint32_t key_len = (uint32_t)(reader.p - saved->key), name_len = (uint32_t)(reader.end - reader.p - 2);
    const char *name = reader.p[1] != 0 ? (const char *)reader.p + 2 : NULL;
    uint64_t hash = sw_hash(saved->key, key_len);
    bool was_tracked = timers->is_tracked;
    timers->is_tracked = false; /* It is as the checkpoint has it. */
    int rc = sw_timers_set(timers, time.v.i, hash, saved->key, key_len, name, name != NULL ? name_len : 0);
    timers->is_tracked = was_tracked;
    if (rc != SW_OK) return rc;
    wanted w = { time.v.i, hash, saved->key, name, key_len, name != NULL ? name_len : 0 };
    find(timers, id_of(&w), &w)->is_saved = true;
    return 1;
}

/* --- what is due ---------------------------------------------------------------------------------------- */

int sw_timers_pop(sw_timers *timers, int64_t until, sw_timer *due)
{
    end_loan(timers);
    if (timers->count == 0 || timers->heap[0].time > until) return SW_EEMPTY;
    node *n = timers->heap[0].node;
    due->time = timers->heap[0].time;
    due->hash = n->hash;
    due->key = n->bytes;
    due->key_len = n->key_len;
    due->name = n->is_named ? (const char *)n->bytes + n->key_len : NULL;
    due->name_len = n->name_len;
    due->seq = n->seq;
    before_removal(timers, n);
    index_remove(timers, n);
    heap_remove(timers, 0);
    timers->lent = n;
    return SW_OK;
}

int64_t sw_timers_next(const sw_timers *timers)
{
    return timers->count > 0 ? timers->heap[0].time : INT64_MAX;
}

uint64_t sw_timers_count(const sw_timers *timers)
{
    return timers->count;
}

uint64_t sw_timers_seq(const sw_timers *timers)
{
    return timers->seq;
}

void sw_timers_clear(sw_timers *timers)
{
    end_loan(timers);
    for (uint64_t i = 0; i < timers->count; i++) free_node(timers, timers->heap[i].node);
    if (timers->count > 0) memset(timers->index, 0, (timers->index_mask + 1) * sizeof(*timers->index));
    timers->count = 0;
}

void sw_timers_free(sw_timers *timers)
{
    if (timers == NULL) return;
    sw_timers_clear(timers);
    sw_slab_deinit(&timers->slab);
    sw_free(timers->heap);
    sw_free(timers->index);
    sw_free(timers->dirty.nodes);
    sw_free(timers->pending.nodes);
    sw_snapshot_deinit(&timers->removals);
    sw_snapshot_deinit(&timers->part);
    sw_buf_deinit(&timers->identity);
    sw_free(timers);
}
