#include "run/ack_marks.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

#define MARKS_FIRST 16

void sw_ack_marks_deinit(sw_ack_marks *marks)
{
    for (uint32_t i = 0; i < marks->cap; i++) sw_buf_deinit(&marks->list[i].position);
    sw_free(marks->list);
    memset(marks, 0, sizeof(*marks));
}

/* Forgets marks at the head that nothing waits for, but for the newest. */
static void trim(sw_ack_marks *marks)
{
    while (marks->used - marks->head > 1 && marks->list[marks->head].pending == 0) {
        marks->head++;
        marks->first++;
    }
}

/* Moves the marks in use to the front; the buffers of the others go behind them, to be used again. */
static int compact(sw_ack_marks *marks)
{
    uint32_t count = marks->used - marks->head;
    sw_ack_mark *list = sw_calloc(marks->cap, sizeof(*list));
    if (list == NULL) return SW_ENOMEM;
    memcpy(list, &marks->list[marks->head], count * sizeof(*list));
    memcpy(&list[count], marks->list, marks->head * sizeof(*list));
    memcpy(&list[marks->used], &marks->list[marks->used], (marks->cap - marks->used) * sizeof(*list));
    sw_free(marks->list);
    marks->list = list;
    marks->head = 0;
    marks->used = count;
    return SW_OK;
}

static int make_room(sw_ack_marks *marks)
{
    if (marks->used < marks->cap) return SW_OK;
    if (marks->head > marks->cap / 2) return compact(marks);
    uint32_t cap = marks->cap > 0 ? 2 * marks->cap : MARKS_FIRST;
    sw_ack_mark *list = sw_realloc(marks->list, cap * sizeof(*list));
    if (list == NULL) return SW_ENOMEM;
    memset(&list[marks->cap], 0, (cap - marks->cap) * sizeof(*list));
    marks->list = list;
    marks->cap = cap;
    return SW_OK;
}

static int set_position(sw_ack_mark *mark, const uint8_t *position, uint32_t len)
{
    sw_buf_clear(&mark->position);
    return sw_buf_append(&mark->position, position, len);
}

int sw_ack_marks_add(sw_ack_marks *marks, const uint8_t *position, uint32_t len)
{
    trim(marks);
    if (marks->used > marks->head && marks->list[marks->used - 1].pending == 0)
        return set_position(&marks->list[marks->used - 1], position, len);
    int rc = make_room(marks);
    if (rc == SW_OK) rc = set_position(&marks->list[marks->used], position, len);
    if (rc != SW_OK) return rc;
    marks->list[marks->used++].pending = 0;
    return SW_OK;
}

uint64_t sw_ack_marks_hold(sw_ack_marks *marks)
{
    if (marks->used == marks->head) return 0; /* Nobody asks for positions. */
    marks->list[marks->used - 1].pending++;
    return marks->first + (marks->used - 1 - marks->head);
}

void sw_ack_marks_drop(sw_ack_marks *marks, uint64_t number)
{
    if (marks->used == marks->head) return;
    SW_ASSERT(number >= marks->first && number - marks->first < marks->used - marks->head);
    marks->list[marks->head + (number - marks->first)].pending--;
}

const sw_buf *sw_ack_marks_oldest(const sw_ack_marks *marks)
{
    for (uint32_t i = marks->head; i < marks->used; i++)
        if (marks->list[i].pending > 0) return &marks->list[i].position;
    return NULL;
}
