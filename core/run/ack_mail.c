#include "run/ack_mail.h"

#include <string.h>

#include "base/alloc.h"

#define LIST_FIRST 64

static bool make_room(sw_ack_list *list, uint32_t more)
{
    if (more <= list->cap - list->count) return true;
    uint32_t cap = list->cap > 0 ? list->cap : LIST_FIRST;
    while (cap - list->count < more) cap *= 2;
    sw_ack_message *items = sw_realloc(list->items, cap * sizeof(*items));
    if (items == NULL) return false;
    list->items = items;
    list->cap = cap;
    return true;
}

int sw_ack_mail_init(sw_ack_mail *mail, sw_ack_mail **all, uint32_t count, sw_channel_wake wake)
{
    memset(mail, 0, sizeof(*mail));
    pthread_mutex_init(&mail->lock, NULL);
    mail->all = all;
    mail->count = count;
    mail->wake = wake;
    mail->out = sw_calloc(count, sizeof(*mail->out));
    mail->touched = sw_calloc(count, sizeof(*mail->touched));
    return mail->out != NULL && mail->touched != NULL ? SW_OK : SW_ENOMEM;
}

void sw_ack_mail_deinit(sw_ack_mail *mail)
{
    for (uint32_t i = 0; mail->out != NULL && i < mail->count; i++) sw_free(mail->out[i].items);
    sw_free(mail->out);
    sw_free(mail->touched);
    sw_free(mail->read.items);
    sw_free(mail->inbox.items);
    pthread_mutex_destroy(&mail->lock);
}

/* Messages about one event that follow each other are one: a task that got a thousand children of an event in a row
 * tells of all at once. */
void sw_ack_mail_post(sw_ack_mail *mail, uint32_t receiver, const sw_ack_message *message)
{
    sw_ack_list *out = &mail->out[receiver];
    sw_ack_message *last = out->count > 0 ? &out->items[out->count - 1] : NULL;
    if (last != NULL && last->root == message->root && last->fate == SW_ACKED && message->fate == SW_ACKED) {
        last->sum ^= message->sum;
        return;
    }
    if (!make_room(out, 1)) return;
    if (out->count == 0) mail->touched[mail->touched_count++] = receiver;
    out->items[out->count++] = *message;
}

/* Moves a list into an inbox. */
static void deliver(sw_ack_mail *to, sw_ack_list *list)
{
    pthread_mutex_lock(&to->lock);
    if (make_room(&to->inbox, list->count)) {
        memcpy(&to->inbox.items[to->inbox.count], list->items, list->count * sizeof(*list->items));
        to->inbox.count += list->count;
        atomic_store_explicit(&to->has_mail, true, memory_order_release);
    }
    bool was_asleep = to->is_asleep;
    to->is_asleep = false;
    pthread_mutex_unlock(&to->lock);
    list->count = 0;
    if (was_asleep && to->wake.fn != NULL) to->wake.fn(to->wake.arg);
}

void sw_ack_mail_send(sw_ack_mail *mail)
{
    for (uint32_t i = 0; i < mail->touched_count; i++)
        deliver(mail->all[mail->touched[i]], &mail->out[mail->touched[i]]);
    mail->touched_count = 0;
}

const sw_ack_list *sw_ack_mail_collect(sw_ack_mail *mail)
{
    mail->read.count = 0;
    if (!sw_ack_mail_has_any(mail)) return &mail->read;
    pthread_mutex_lock(&mail->lock);
    sw_ack_list came = mail->inbox;
    mail->inbox = mail->read;
    mail->read = came;
    mail->is_asleep = false;
    atomic_store_explicit(&mail->has_mail, false, memory_order_relaxed);
    pthread_mutex_unlock(&mail->lock);
    return &mail->read;
}

bool sw_ack_mail_await(sw_ack_mail *mail)
{
    pthread_mutex_lock(&mail->lock);
    bool has_any = mail->inbox.count > 0;
    mail->is_asleep = !has_any;
    pthread_mutex_unlock(&mail->lock);
    return has_any;
}
