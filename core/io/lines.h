/* lines.h -- cuts a stream of bytes into lines, in place, with bounded memory.
 *
 *     bytes --room/added--> [ used | lines ready | part of a line | room | padding ] --next--> line
 *
 * A line ends with LF or CR LF, or at the end of the input. A line of more than max_line bytes is reported
 * once, by its first bytes, and the rest of it is thrown away up to the next line end. Lines keep
 * SW_JSON_PADDING readable bytes behind them.
 *
 * Ownership  sw_lines_deinit frees the buffer; a line lies in it, valid until the next call that adds
 * bytes.
 * Threads    one at a time.
 * Limits     memory is at most twice max_line, and one chunk. */
#ifndef SW_IO_LINES_H
#define SW_IO_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SW_LINES_CHUNK (256u << 10) /* Bytes read at once. */

typedef struct sw_lines {
    uint8_t *data;    /* owned; cap bytes and the padding */
    size_t cap;       /* bytes, without the padding */
    size_t begin;     /* start of the first line not handed out */
    size_t scanned;   /* no line end before here */
    size_t end;       /* end of the bytes */
    size_t chunk;     /* bytes read at once */
    size_t max_line;  /* longer lines are too long */
    uint64_t number;  /* of the line handed out last */
    uint64_t added;   /* bytes of the input up to `end` */
    bool is_skipping; /* inside a line that was too long */
    bool is_finished; /* no more bytes come */
} sw_lines;

typedef struct sw_line {
    char *text;       /* without its end */
    size_t len;       /* bytes */
    size_t padding;   /* bytes that can be read behind it */
    uint64_t number;  /* from 1 */
    bool is_too_long; /* text is only the beginning */
} sw_line;

/* chunk: how much is read at once, SW_LINES_CHUNK or less. SW_OK, SW_ENOMEM. */
int sw_lines_init(sw_lines *lines, size_t max_line, size_t chunk);
void sw_lines_deinit(sw_lines *lines);

/* Begins another input: forgets the bytes, keeps the memory, counts from 1. */
void sw_lines_restart(sw_lines *lines);

/* The same in the middle of an input: as if the bytes before `offset` had been handed out, `number` lines of them. */
void sw_lines_resume(sw_lines *lines, uint64_t offset, uint64_t number, bool is_skipping);

/* Where in the input the next line begins. */
static inline uint64_t sw_lines_offset(const sw_lines *lines)
{
    return lines->added - (lines->end - lines->begin);
}

/* The next line: true; false when there is none before more bytes are added, or none at all after
 * sw_lines_finish. */
bool sw_lines_next(sw_lines *lines, sw_line *out);

/* The whole lines that are there and were not handed out, *len bytes with their ends; *len 0 for none. */
const uint8_t *sw_lines_ready(const sw_lines *lines, size_t *len);

/* Goes past the next line, whose size with its end the caller has found himself. */
void sw_lines_pass(sw_lines *lines, size_t size);

/* Where to put up to *room more bytes; NULL when memory is out. Then say how many there were. */
uint8_t *sw_lines_room(sw_lines *lines, size_t *room);
void sw_lines_added(sw_lines *lines, size_t size);

/* No more bytes come: what is left without a line end is the last line. */
void sw_lines_finish(sw_lines *lines);

#endif
