#include "run/inquiry.h"

#include "run/engine.h"

void sw_inquiry_deinit(sw_inquiry *inquiry)
{
    sw_buf_deinit(&inquiry->key);
    sw_snapshot_deinit(&inquiry->answer);
}

int sw_task_ask(sw_task *task, sw_inquiry *inquiry)
{
    sw_engine *engine = task->engine;
    if (__atomic_load_n(&task->step, __ATOMIC_RELAXED) == SW_STEP_DONE) return SW_ESTATE;
    inquiry->next = NULL;
    pthread_mutex_lock(&engine->lock);
    sw_inquiry **last = &task->asking;
    while (*last != NULL) last = &(*last)->next;
    *last = inquiry;
    __atomic_store_n(&task->asked, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&engine->lock);
    sw_worker_wake(&engine->workers[task->worker]);
    return SW_OK;
}

sw_inquiry *sw_task_next_inquiry(sw_task *task)
{
    pthread_mutex_lock(&task->engine->lock);
    sw_inquiry *first = task->asking;
    pthread_mutex_unlock(&task->engine->lock);
    return first;
}

void sw_task_inquiry_done(sw_task *task)
{
    sw_engine *engine = task->engine;
    pthread_mutex_lock(&engine->lock);
    sw_inquiry *done = task->asking;
    SW_ASSERT(done != NULL);
    task->asking = done->next;
    if (task->asking == NULL) __atomic_store_n(&task->asked, 0, __ATOMIC_RELAXED);
    done->next = engine->answered;
    engine->answered = done;
    pthread_mutex_unlock(&engine->lock);
    sw_engine_wake(engine);
}

void sw_engine_deliver_answers(sw_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    sw_inquiry *done = engine->answered;
    engine->answered = NULL;
    pthread_mutex_unlock(&engine->lock);
    while (done != NULL) {
        sw_inquiry *next = done->next;
        done->on_answer(done->arg, done); /* It may be gone then. */
        done = next;
    }
}
