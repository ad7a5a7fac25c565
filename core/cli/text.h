/* text.h -- numbers, durations and times as people read them in the tables that commands print.
 *
 * Each writes to out, SW_TEXT_SIZE bytes, and returns it.
 *
 * Ownership  nothing is kept.
 * Threads    any. */
#ifndef SW_CLI_TEXT_H
#define SW_CLI_TEXT_H

#include <stdint.h>

#define SW_TEXT_SIZE 64

/* 1234567 as "1,234,567". */
const char *sw_text_number(char out[SW_TEXT_SIZE], uint64_t value);
/* "42s", "3m20s", "5h10m", "12d03h". */
const char *sw_text_duration(char out[SW_TEXT_SIZE], double seconds);
/* Epoch ms as "2026-05-01T12:00:00.250Z". */
const char *sw_text_time(char out[SW_TEXT_SIZE], int64_t ms);

#endif
