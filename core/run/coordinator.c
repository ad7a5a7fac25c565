#include "run/coordinator.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/stats.h"
#include "run/engine.h"

#define NAMED_MAX 3 /* tasks that a timed-out checkpoint waited for, in its message */

/* --- answers ------------------------------------------------------------------------------------------------------ */

int sw_answer_new(sw_answer **out, sw_task *task, uint32_t checkpoint)
{
    sw_answer *answer = sw_calloc(1, sizeof(*answer));
    if (answer == NULL) return SW_ENOMEM;
    answer->task = task;
    answer->checkpoint = checkpoint;
    *out = answer;
    return SW_OK;
}

void sw_answer_free(sw_answer *answer)
{
    if (answer == NULL) return;
    for (uint32_t i = 0; i < answer->part_count; i++) sw_snapshot_deinit(&answer->parts[i]);
    sw_free(answer->parts);
    sw_free(answer);
}

int sw_answer_add(sw_answer *answer, sw_snapshot *part)
{
    sw_snapshot *parts = sw_realloc(answer->parts, (answer->part_count + 1) * sizeof(*parts));
    if (parts == NULL) return SW_ENOMEM;
    answer->parts = parts;
    parts[answer->part_count++] = *part;
    sw_snapshot_init(part);
    return SW_OK;
}

/* Leaves of a final answer what every later checkpoint repeats: the complete kinds. */
static int keep_complete_kinds(sw_answer *answer)
{
    sw_snapshot kept;
    sw_saved saved;
    int rc = SW_OK;
    sw_snapshot_init(&kept);
    for (uint32_t i = 0; i < answer->part_count && rc == SW_OK; i++) {
        size_t offset = 0;
        while (rc == SW_OK && sw_snapshot_next(&answer->parts[i], &offset, &saved))
            if (saved.kind >= SW_SAVED_COMPLETE) rc = sw_snapshot_put(&kept, &saved);
    }
    if (rc != SW_OK || answer->part_count == 0) {
        sw_snapshot_deinit(&kept); /* All of it is repeated: no harm but in size. */
        return rc;
    }
    for (uint32_t i = 0; i < answer->part_count; i++) sw_snapshot_deinit(&answer->parts[i]);
    answer->parts[0] = kept;
    answer->part_count = 1;
    return SW_OK;
}

/* --- the coordinator ---------------------------------------------------------------------------------------------- */

typedef enum phase {
    IDLE,
    COLLECTING, /* the barrier is on its way */
    WRITING,    /* the writer has the request */
    HALTING,    /* the last checkpoint is done: tasks commit sinks of their own */
    OVER,
} phase;

/* Who waits for a checkpoint. */
typedef struct waiting {
    struct waiting *next;
    char *savepoint;             /* owned; NULL none */
    sw_checkpoint_done *on_done; /* may be NULL */
    void *arg;                   /* passed to it */
    int rc;                      /* how its savepoint went */
    sw_error err;                /* and why it failed */
} waiting;

/* What the writer thread is given and gives back. */
typedef struct writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool has_thread;
    bool has_work;   /* request is to be written */
    bool is_done;    /* result is there */
    bool is_leaving; /* the thread is to end */
    sw_checkpoint_request request;
    uint64_t bytes;  /* result */
    uint32_t oldest; /* result: see the ops */
    int rc;          /* result of write */
    int show_rc;     /* result of show */
    sw_error err;    /* of the one that failed */
} writer;

struct sw_coordinator {
    sw_engine *engine;             /* borrowed */
    sw_coordinator_ops ops;        /* as given */
    sw_coordinator_options opts;   /* as given */
    phase phase;                   /* what is under way */
    uint32_t id;                   /* of the checkpoint under way, or the last one */
    int64_t begun_ns;              /* clock at its barrier */
    int64_t begun_ms;              /* engine time of its barrier */
    int64_t due_ms;                /* engine time of the next barrier */
    bool is_last;                  /* the checkpoint under way is the job's last */
    bool is_stop;                  /* the checkpoint under way stops the job */
    atomic_bool stop_wanted;       /* sw_coordinator_stop was called */
    sw_answer **got;               /* by task: its answer to the barrier under way */
    sw_answer **finals;            /* by task: its final answer */
    sw_answer **carried;           /* answers to barriers given up, in order of age */
    uint32_t carried_count;        /* entries of carried */
    waiting *wanted;               /* who asked since the barrier under way */
    waiting *served;               /* whom the checkpoint under way serves */
    const sw_snapshot **snapshots; /* of the request being written */
    writer writer;
    sw_coordinator_stats stats;
    sw_histogram durations_us;
    pthread_mutex_t inbox_lock;
    sw_answer *inbox; /* delivered, newest first */
};

static uint32_t task_index(const sw_coordinator *c, const sw_task *task)
{
    return (uint32_t)(task - c->engine->tasks);
}

static int64_t now_ms(const sw_coordinator *c)
{
    return sw_engine_now_ms(c->engine);
}

/* --- the writer --------------------------------------------------------------------------------------------------- */

static void write_request(sw_coordinator *c)
{
    writer *w = &c->writer;
    w->show_rc = SW_OK;
    w->rc = c->ops.write(c->ops.arg, &w->request, &w->bytes, &w->err);
    w->oldest = w->rc == SW_OK && c->ops.oldest != NULL ? c->ops.oldest(c->ops.arg) : 0;
    if (w->rc == SW_OK) w->show_rc = c->ops.show(c->ops.arg, &w->request, &w->err);
    if (w->rc != SW_OK || w->show_rc != SW_OK) return;
    for (waiting *one = c->served; one != NULL; one = one->next)
        if (one->savepoint != NULL) one->rc = c->ops.save_as(c->ops.arg, one->savepoint, &one->err);
}

static void *writer_main(void *arg)
{
    sw_coordinator *c = arg;
    writer *w = &c->writer;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->has_work && !w->is_leaving) pthread_cond_wait(&w->wake, &w->lock);
        if (w->is_leaving) break;
        pthread_mutex_unlock(&w->lock);
        write_request(c);
        pthread_mutex_lock(&w->lock);
        w->has_work = false;
        w->is_done = true;
        sw_engine_wake(c->engine);
        pthread_mutex_unlock(&w->lock);
        c->ops.tidy(c->ops.arg); /* Nobody waits for it but the next checkpoint. */
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static int start_writer(sw_coordinator *c, sw_error *err)
{
    writer *w = &c->writer;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    if (c->engine->options.is_sim) return SW_OK;
    int rc = pthread_create(&w->thread, NULL, writer_main, c);
    if (rc != 0) return sw_error_errno(err, rc, "cannot start the thread that writes checkpoints");
    w->has_thread = true;
    return SW_OK;
}

static void stop_writer(sw_coordinator *c)
{
    writer *w = &c->writer;
    if (w->has_thread) {
        pthread_mutex_lock(&w->lock);
        w->is_leaving = true;
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
}

static void hand_to_writer(sw_coordinator *c)
{
    writer *w = &c->writer;
    if (!w->has_thread) {
        write_request(c);
        c->ops.tidy(c->ops.arg);
        w->is_done = true;
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->has_work = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

/* Is the writer done with what it was given? */
static bool take_result(sw_coordinator *c)
{
    writer *w = &c->writer;
    pthread_mutex_lock(&w->lock);
    bool is_done = w->is_done;
    w->is_done = false;
    pthread_mutex_unlock(&w->lock);
    return is_done;
}

/* --- making and freeing ------------------------------------------------------------------------------------------- */

int sw_coordinator_new(sw_coordinator **out, sw_engine *engine, const sw_coordinator_options *options,
                       const sw_coordinator_ops *ops, sw_error *err)
{
    sw_coordinator *c = sw_calloc(1, sizeof(*c));
    if (c == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    c->engine = engine;
    c->ops = *ops;
    c->opts = *options;
    c->id = options->first_id - 1;
    engine->control_sent = c->id;
    for (uint32_t i = 0; i < engine->task_count; i++) /* A task that meets no barrier counts on from here as well. */
        engine->tasks[i].control = engine->tasks[i].control_seen = c->id;
    c->due_ms = options->interval_ms > 0 ? now_ms(c) + options->interval_ms : INT64_MAX;
    sw_histogram_init(&c->durations_us);
    c->got = sw_calloc(engine->task_count + 1, sizeof(sw_answer *));
    c->finals = sw_calloc(engine->task_count + 1, sizeof(sw_answer *));
    pthread_mutex_init(&c->inbox_lock, NULL);
    int rc = c->got != NULL && c->finals != NULL ? SW_OK : sw_error_set(err, SW_ENOMEM, "out of memory");
    if (rc == SW_OK) rc = start_writer(c, err);
    if (rc != SW_OK) {
        pthread_mutex_destroy(&c->inbox_lock);
        sw_free(c->got);
        sw_free(c->finals);
        sw_free(c);
        return rc;
    }
    *out = c;
    return SW_OK;
}

/* Frees a list; those who still wait hear that nothing comes any more. */
static void free_waiting(waiting *list, uint32_t id)
{
    static const sw_error over = { .code = SW_ESTOPPED, .text = "the job has ended" };
    while (list != NULL) {
        if (id != 0 && list->on_done != NULL) list->on_done(list->arg, id, over.code, &over);
        waiting *next = list->next;
        sw_free(list->savepoint);
        sw_free(list);
        list = next;
    }
}

static void free_answers(sw_answer **answers, uint32_t count)
{
    for (uint32_t i = 0; answers != NULL && i < count; i++) {
        sw_answer_free(answers[i]);
        answers[i] = NULL;
    }
}

void sw_coordinator_free(sw_coordinator *c)
{
    if (c == NULL) return;
    stop_writer(c);
    free_answers(c->got, c->engine->task_count);
    free_answers(c->finals, c->engine->task_count);
    free_answers(c->carried, c->carried_count);
    while (c->inbox != NULL) {
        sw_answer *next = c->inbox->next;
        sw_answer_free(c->inbox);
        c->inbox = next;
    }
    free_waiting(c->wanted, c->id + 1);
    free_waiting(c->served, c->id + 1);
    pthread_mutex_destroy(&c->inbox_lock);
    sw_free(c->got);
    sw_free(c->finals);
    sw_free(c->carried);
    sw_free(c->snapshots);
    sw_free(c);
}

/* --- answers coming in ------------------------------------------------------------------------------------------ */

void sw_coordinator_deliver(sw_coordinator *c, sw_answer *answer)
{
    pthread_mutex_lock(&c->inbox_lock);
    answer->next = c->inbox;
    c->inbox = answer;
    pthread_mutex_unlock(&c->inbox_lock);
    sw_engine_wake(c->engine);
}

/* An answer that no checkpoint has taken: the next one does. */
static void carry(sw_coordinator *c, sw_answer *answer)
{
    sw_answer **carried = sw_realloc(c->carried, (c->carried_count + 1) * sizeof(sw_answer *));
    SW_ASSERT(carried != NULL); /* Without it the next checkpoint would lack changes. */
    c->carried = carried;
    carried[c->carried_count++] = answer;
}

static void take_answer(sw_coordinator *c, sw_answer *answer)
{
    uint32_t index = task_index(c, answer->task);
    if (answer->is_final) {
        SW_ASSERT(c->finals[index] == NULL);
        c->finals[index] = answer;
    } else if (c->phase == COLLECTING && answer->checkpoint == c->id) {
        SW_ASSERT(c->got[index] == NULL);
        c->got[index] = answer;
    } else {
        carry(c, answer);
    }
}

static bool take_inbox(sw_coordinator *c)
{
    pthread_mutex_lock(&c->inbox_lock);
    sw_answer *newest_first = c->inbox, *list = NULL;
    c->inbox = NULL;
    pthread_mutex_unlock(&c->inbox_lock);
    while (newest_first != NULL) {
        sw_answer *next = newest_first->next;
        newest_first->next = list;
        list = newest_first;
        newest_first = next;
    }
    bool has_any = list != NULL;
    while (list != NULL) {
        sw_answer *next = list->next;
        take_answer(c, list);
        list = next;
    }
    return has_any;
}

/* --- beginning -------------------------------------------------------------------------------------------------- */

static bool is_all_final(const sw_coordinator *c)
{
    for (uint32_t i = 0; i < c->engine->task_count; i++)
        if (c->finals[i] == NULL) return false;
    return true;
}

static bool is_input_finished(const sw_coordinator *c)
{
    for (uint32_t i = 0; i < c->engine->task_count; i++)
        if (c->engine->tasks[i].input_count == 0 && !c->finals[i]->is_input_ended) return false;
    return true;
}

static void begin(sw_coordinator *c)
{
    bool is_first = c->id < c->opts.first_id;
    c->phase = COLLECTING;
    c->id = is_first ? c->opts.first_id : (uint32_t)c->ops.next_id(c->ops.arg);
    c->begun_ms = now_ms(c);
    c->begun_ns = sw_clock_mono_ns(c->engine->clock);
    c->is_last = is_all_final(c);
    c->is_stop = atomic_load(&c->stop_wanted);
    c->served = c->wanted;
    c->wanted = NULL;
    if (c->is_last) return; /* All that has to be said was said. */
    for (uint32_t i = 0; c->is_stop && i < c->engine->task_count; i++)
        __atomic_store_n(&c->engine->tasks[i].pause_at, c->id, __ATOMIC_RELAXED);
    sw_engine_send_control(c->engine, c->id);
}

static bool should_begin(const sw_coordinator *c)
{
    return is_all_final(c) || atomic_load(&c->stop_wanted) || c->wanted != NULL || now_ms(c) >= c->due_ms;
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static bool is_complete(const sw_coordinator *c)
{
    for (uint32_t i = 0; i < c->engine->task_count; i++)
        if (c->got[i] == NULL && c->finals[i] == NULL) return false;
    return true;
}

static uint32_t add_parts(const sw_snapshot **list, uint32_t count, const sw_answer *answer)
{
    for (uint32_t i = 0; i < answer->part_count; i++) list[count++] = &answer->parts[i];
    return count;
}

/* What a task contributes to the checkpoint under way. */
static sw_answer *answer_of(const sw_coordinator *c, uint32_t task)
{
    return c->got[task] != NULL ? c->got[task] : c->finals[task];
}

static void begin_writing(sw_coordinator *c)
{
    uint32_t tasks = c->engine->task_count, most = 0, count = 0;
    for (uint32_t i = 0; i < c->carried_count; i++) most += c->carried[i]->part_count;
    for (uint32_t i = 0; i < tasks; i++) most += answer_of(c, i)->part_count;
    const sw_snapshot **list = sw_realloc(c->snapshots, (most + 1) * sizeof(*list));
    SW_ASSERT(list != NULL);
    for (uint32_t i = 0; i < c->carried_count; i++) count = add_parts(list, count, c->carried[i]);
    for (uint32_t i = 0; i < tasks; i++) count = add_parts(list, count, answer_of(c, i));
    c->snapshots = list;
    c->writer.request = (sw_checkpoint_request){
        .id = c->id,
        .is_finished = c->is_last && is_input_finished(c),
        .time_ms = c->begun_ms,
        .snapshots = list,
        .count = count,
    };
    c->phase = WRITING;
    hand_to_writer(c);
}

/* --- ending ----------------------------------------------------------------------------------------------------- */

/* Tells those who waited for the checkpoint. */
static void answer_waiting(sw_coordinator *c, int rc, const sw_error *err)
{
    waiting *list = c->served;
    c->served = NULL;
    for (waiting *one = list; one != NULL; one = one->next) {
        if (one->on_done == NULL) continue;
        if (rc != SW_OK) one->on_done(one->arg, c->id, rc, err);
        else one->on_done(one->arg, c->id, one->rc, &one->err);
    }
    free_waiting(list, 0);
}

static void schedule_next(sw_coordinator *c)
{
    c->phase = IDLE;
    if (c->opts.interval_ms > 0) c->due_ms = c->begun_ms + c->opts.interval_ms; /* At once if it took longer. */
}

/* The checkpoint under way is given up; what was answered goes into the next. */
static void give_up(sw_coordinator *c, int rc, const sw_error *err)
{
    bool is_end = c->is_last || c->is_stop;
    for (uint32_t i = 0; i < c->engine->task_count; i++) {
        if (c->got[i] != NULL) carry(c, c->got[i]);
        c->got[i] = NULL;
    }
    c->stats.failed++;
    sw_log(SW_LOG_WARN, c->engine->options.job, "checkpoint %u failed: %s", c->id, err->text);
    answer_waiting(c, rc, err);
    schedule_next(c);
    if (is_end) sw_engine_fail(c->engine, 1, "the last checkpoint, %u, failed: %s", c->id, err->text);
}

/* Has tasks commit the sinks that are theirs to commit, and sources forget what need not be kept: a job that has
 * finished does not come back for anything. */
static void publish_commit(sw_coordinator *c)
{
    uint32_t oldest = c->writer.request.is_finished ? c->id : c->writer.oldest;
    for (uint32_t i = 0; i < c->engine->task_count; i++) {
        sw_task *task = &c->engine->tasks[i];
        if (task->has_commits) __atomic_store_n(&task->committed, c->id, __ATOMIC_RELEASE);
        if (oldest >= c->opts.first_id) __atomic_store_n(&task->positions.oldest, oldest, __ATOMIC_RELEASE);
        if (c->is_last) __atomic_store_n(&task->is_released, 1, __ATOMIC_RELEASE);
    }
    sw_engine_wake_workers(c->engine);
}

static void succeed(sw_coordinator *c)
{
    uint32_t tasks = c->engine->task_count;
    int64_t took_ns = sw_clock_mono_ns(c->engine->clock) - c->begun_ns;
    for (uint32_t i = 0; i < tasks; i++)
        if (c->got[i] == NULL) keep_complete_kinds(c->finals[i]);
    free_answers(c->got, tasks);
    free_answers(c->carried, c->carried_count);
    c->carried_count = 0;
    c->stats.completed++;
    if (c->engine->options.supervision != NULL) atomic_fetch_add(&c->engine->options.supervision->checkpoints, 1);
    c->stats.last_id = c->id;
    c->stats.last_bytes = c->writer.bytes;
    c->stats.last_ms = now_ms(c);
    sw_histogram_record(&c->durations_us, (uint64_t)(took_ns / 1000), 1);
    publish_commit(c);
    answer_waiting(c, SW_OK, NULL);
    schedule_next(c);
    if (c->is_last || c->is_stop) c->phase = HALTING;
}

static void finish_writing(sw_coordinator *c)
{
    const writer *w = &c->writer;
    if (w->rc != SW_OK) {
        give_up(c, w->rc, &w->err);
    } else if (w->show_rc != SW_OK) {
        sw_engine_fail(c->engine, 1, "what checkpoint %u holds could not be shown: %s", c->id, w->err.text);
        answer_waiting(c, w->show_rc, &w->err);
        c->phase = OVER;
    } else {
        succeed(c);
    }
}

static void time_out(sw_coordinator *c)
{
    sw_error err;
    char names[256] = "";
    uint32_t missing = 0;
    for (uint32_t i = 0; i < c->engine->task_count; i++) {
        const sw_task *task = &c->engine->tasks[i];
        if (answer_of(c, i) != NULL || missing++ >= NAMED_MAX) continue;
        const sw_plan_task *plan = &c->engine->graph->tasks[task->plan_task];
        size_t used = strlen(names);
        snprintf(names + used, sizeof(names) - used, "%s%s#%u", used > 0 ? ", " : "",
                 c->engine->graph->components[plan->head].name, task->number);
    }
    sw_error_set(&err, SW_EBUSY, "no answer within %lld ms from %s%s", (long long)c->opts.timeout_ms, names,
                 missing > NAMED_MAX ? " and others" : "");
    give_up(c, err.code, &err);
}

/* Have all tasks committed what is theirs? */
static bool is_committed(const sw_coordinator *c)
{
    for (uint32_t i = 0; i < c->engine->task_count; i++) {
        const sw_task *task = &c->engine->tasks[i];
        if (task->has_commits && __atomic_load_n(&task->committed_seen, __ATOMIC_ACQUIRE) != task->committed)
            return false;
    }
    return true;
}

/* --- stepping --------------------------------------------------------------------------------------------------- */

static bool step_once(sw_coordinator *c)
{
    bool has_acted = take_inbox(c);
    switch (c->phase) {
    case IDLE:
        if (!should_begin(c)) return has_acted;
        begin(c);
        return true;
    case COLLECTING:
        if (is_complete(c)) begin_writing(c);
        else if (now_ms(c) - c->begun_ms >= c->opts.timeout_ms) time_out(c);
        else return has_acted;
        return true;
    case WRITING:
        if (!take_result(c)) return has_acted;
        finish_writing(c);
        return true;
    case HALTING:
        if (!is_committed(c)) return has_acted;
        c->phase = OVER;
        sw_engine_halt(c->engine);
        return true;
    case OVER: return has_acted;
    }
    return has_acted;
}

bool sw_coordinator_step(sw_coordinator *c)
{
    bool has_acted = false;
    while (!c->engine->is_failed && step_once(c)) has_acted = true; /* A step may fail the job: then it was the last. */
    return has_acted;
}

int64_t sw_coordinator_deadline_ms(const sw_coordinator *c)
{
    if (c->phase == IDLE) return c->due_ms;
    if (c->phase != COLLECTING || c->opts.timeout_ms > INT64_MAX - c->begun_ms) return INT64_MAX;
    return c->begun_ms + c->opts.timeout_ms;
}

int sw_coordinator_request(sw_coordinator *c, const char *savepoint, sw_checkpoint_done *on_done, void *arg)
{
    waiting *one = sw_calloc(1, sizeof(*one));
    if (one == NULL) return SW_ENOMEM;
    if (savepoint != NULL && (one->savepoint = sw_strdup(savepoint)) == NULL) {
        sw_free(one);
        return SW_ENOMEM;
    }
    one->on_done = on_done;
    one->arg = arg;
    one->next = c->wanted;
    c->wanted = one;
    sw_engine_wake(c->engine);
    return SW_OK;
}

void sw_coordinator_stop(sw_coordinator *c)
{
    atomic_store(&c->stop_wanted, true);
    sw_engine_wake(c->engine);
}

bool sw_coordinator_is_over(const sw_coordinator *c)
{
    return c->phase == OVER || c->engine->is_failed;
}

sw_coordinator_stats sw_coordinator_get_stats(const sw_coordinator *c)
{
    sw_coordinator_stats stats = c->stats;
    stats.p50_ms = (double)sw_histogram_quantile(&c->durations_us, 0.5) / 1000;
    stats.p99_ms = (double)sw_histogram_quantile(&c->durations_us, 0.99) / 1000;
    return stats;
}
