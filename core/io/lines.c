#include "io/lines.h"

#include <string.h>

#include "base/alloc.h"
#include "io/json_index.h"

int sw_lines_init(sw_lines *lines, size_t max_line, size_t chunk)
{
    SW_ASSERT(max_line > 0 && chunk > 0);
    memset(lines, 0, sizeof(*lines));
    lines->data = sw_calloc(1, chunk + SW_JSON_PADDING);
    if (lines->data == NULL) return SW_ENOMEM;
    lines->cap = chunk;
    lines->chunk = chunk;
    lines->max_line = max_line;
    return SW_OK;
}

void sw_lines_deinit(sw_lines *lines)
{
    sw_free(lines->data);
    memset(lines, 0, sizeof(*lines));
}

void sw_lines_restart(sw_lines *lines)
{
    lines->begin = lines->scanned = lines->end = 0;
    lines->number = lines->added = 0;
    lines->is_skipping = lines->is_finished = false;
}

void sw_lines_resume(sw_lines *lines, uint64_t offset, uint64_t number, bool is_skipping)
{
    sw_lines_restart(lines);
    lines->added = offset;
    lines->number = number;
    lines->is_skipping = is_skipping;
}

static bool hand_out(sw_lines *lines, size_t len, size_t next, bool is_too_long, sw_line *out)
{
    out->text = (char *)lines->data + lines->begin;
    out->len = len;
    out->padding = lines->cap + SW_JSON_PADDING - (lines->begin + len);
    out->number = ++lines->number;
    out->is_too_long = is_too_long;
    lines->begin = lines->scanned = next;
    return true;
}

/* Hands out the line of len bytes, of which a CR at its end is no part. */
static bool hand_out_line(sw_lines *lines, size_t len, size_t next, sw_line *out)
{
    if (len > 0 && lines->data[lines->begin + len - 1] == '\r') len--;
    return hand_out(lines, len, next, len > lines->max_line, out);
}

/* Throws bytes away up to the line end. False when it has not come yet. */
static bool skip_rest(sw_lines *lines)
{
    const uint8_t *from = lines->data + lines->begin;
    const uint8_t *newline = memchr(from, '\n', lines->end - lines->begin);
    lines->begin = newline == NULL ? lines->end : (size_t)(newline + 1 - lines->data);
    lines->scanned = lines->begin;
    lines->is_skipping = newline == NULL;
    return newline != NULL;
}

bool sw_lines_next(sw_lines *lines, sw_line *out)
{
    if (lines->is_skipping && !skip_rest(lines)) return false;
    const uint8_t *newline = memchr(lines->data + lines->scanned, '\n', lines->end - lines->scanned);
    if (newline != NULL) {
        size_t at = (size_t)(newline - lines->data);
        return hand_out_line(lines, at - lines->begin, at + 1, out);
    }
    lines->scanned = lines->end;
    size_t len = lines->end - lines->begin;
    if (len > lines->max_line + 1) { /* With a CR behind it, max_line + 1 may yet be a line. */
        lines->is_skipping = true;
        return hand_out(lines, len, lines->end, true, out);
    }
    if (!lines->is_finished || len == 0) return false;
    return hand_out_line(lines, len, lines->end, out);
}

const uint8_t *sw_lines_ready(const sw_lines *lines, size_t *len)
{
    const uint8_t *from = lines->data + lines->begin;
    const uint8_t *newline = lines->is_skipping ? NULL : memrchr(from, '\n', lines->end - lines->begin);
    *len = newline != NULL ? (size_t)(newline + 1 - from) : 0;
    return from;
}

void sw_lines_pass(sw_lines *lines, size_t size)
{
    lines->begin += size;
    lines->scanned = lines->begin;
    lines->number++;
}

static int grow(sw_lines *lines)
{
    size_t cap = lines->cap * 2;
    if (cap > lines->max_line + lines->chunk + 2) cap = lines->max_line + lines->chunk + 2;
    uint8_t *data = sw_realloc(lines->data, cap + SW_JSON_PADDING);
    if (data == NULL) return SW_ENOMEM;
    lines->data = data;
    lines->cap = cap;
    return SW_OK;
}

/* The part of a line that is there moves to the front; the buffer grows when that part fills more than half
 * of it. */
uint8_t *sw_lines_room(sw_lines *lines, size_t *room)
{
    size_t part = lines->end - lines->begin;
    if (lines->begin > 0) {
        memmove(lines->data, lines->data + lines->begin, part);
        lines->scanned -= lines->begin;
        lines->begin = 0;
        lines->end = part;
    }
    if (part > lines->cap / 2 && lines->cap < lines->max_line + lines->chunk + 2 && grow(lines) != SW_OK) return NULL;
    *room = lines->cap - part < lines->chunk ? lines->cap - part : lines->chunk;
    SW_ASSERT(*room > 0);
    return lines->data + part;
}

void sw_lines_added(sw_lines *lines, size_t size)
{
    SW_ASSERT(size <= lines->cap - lines->end);
    lines->end += size;
    lines->added += size;
    memset(lines->data + lines->end, 0, SW_JSON_PADDING); /* What is read behind the last line has a value. */
}

/* The byte behind the last line is made white space, as a line end would be. */
void sw_lines_finish(sw_lines *lines)
{
    lines->data[lines->end] = '\n';
    lines->is_finished = true;
}
