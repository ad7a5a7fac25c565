/* dead_letters.h -- where events go that failed and that no job:dead_letters() reads: dead-letters.jsonl in the state
 * directory.
 *
 * The folder and the file are made with the first letter; one line a letter, written at once, appended to what is
 * there.
 *
 * Ownership  open and close pair up; without open (tests) letters are only counted by their component.
 * Threads    write: any worker, one at a time behind a lock. */
#ifndef SW_SCRIPT_DEAD_LETTERS_H
#define SW_SCRIPT_DEAD_LETTERS_H

#include "base/error.h"
#include "state/row.h"

typedef struct sw_dead_letters sw_dead_letters;

int sw_dead_letters_open(sw_dead_letters **out, const char *directory, sw_error *err);
int sw_dead_letters_write(sw_dead_letters *letters, const sw_row *row, sw_error *err);
void sw_dead_letters_close(sw_dead_letters *letters);

#endif
