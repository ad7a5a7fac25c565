/* timer.h -- the timers of one keyed operator instance: by key, in one kind of time.
 *
 * A timer has a due time, a key and an optional name. Without a name its identity is (key, time): set twice,
 * it fires once. With a name its identity is (key, name): setting it again moves it. Due timers come out by
 * time, then key bytes, then name, so that what they do is the same in every run.
 *
 * Saving works as for keyed state (state/saving.h): at a barrier what was set since the last is listed, and encoded a
 * few at a time, each at the latest before it fires or changes. Value: its time (msgpack). Identity within the key
 * group: key bytes (one msgpack value), which kind of time (a byte), then 0 and the time (8 bytes, big-endian, sign
 * flipped) or 1 and the name.
 *
 * Ownership  Copies key and name in.
 * Threads    One: the instance's worker.
 * Limits     Names up to 255 bytes. */
#ifndef SW_RUN_TIMER_H
#define SW_RUN_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "state/snapshot.h"

typedef struct sw_timers sw_timers;

/* One due timer, as sw_timers_pop lends it: valid until the next call of sw_timers_set, _cancel, _pop or _clear,
 * in whose arguments it may still stand. */
typedef struct sw_timer {
    int64_t time;       /* when it was due, ms */
    uint64_t hash;      /* of the key */
    const uint8_t *key; /* key bytes */
    uint32_t key_len;   /* bytes */
    const char *name;   /* NULL without a name */
    uint32_t name_len;  /* bytes */
    uint64_t seq;       /* order of setting, growing: tells timers set meanwhile from those set before */
} sw_timer;

int sw_timers_new(sw_timers **out, sw_error *err);
void sw_timers_free(sw_timers *timers);

/* A timer set again to the time it has stays as it is, and keeps its seq; one that is moved gets a new seq. A name
 * of no bytes is a name. SW_OK, SW_ENOMEM, SW_EINVAL (a name too long). */
int sw_timers_set(sw_timers *timers, int64_t time, uint64_t hash, const uint8_t *key, uint32_t key_len,
                  const char *name, uint32_t name_len);
/* Removes the timer of (key, name), or of (key, time) where name is NULL. 1 if there was one, else 0. */
int sw_timers_cancel(sw_timers *timers, int64_t time, uint64_t hash, const uint8_t *key, uint32_t key_len,
                     const char *name, uint32_t name_len);
/* Takes the first timer with time <= until out and lends it through *due; SW_EEMPTY when none is. */
int sw_timers_pop(sw_timers *timers, int64_t until, sw_timer *due);
/* Due time of the first timer; INT64_MAX when there is none. A field read: cheap. */
int64_t sw_timers_next(const sw_timers *timers);
uint64_t sw_timers_count(const sw_timers *timers);
uint64_t sw_timers_seq(const sw_timers *timers); /* the seq that the next timer set would get */
void sw_timers_clear(sw_timers *timers);

/* From now on changes are listed for the next save. which: 0 event time, 1 processing time. group: of all timers, for
 * an operator without keys: its instance; -1: each its key's. */
void sw_timers_track(sw_timers *timers, uint32_t component, uint8_t which, int group);
void sw_timers_begin_save(sw_timers *timers); /* at a barrier; no save may be going on */
bool sw_timers_is_saving(const sw_timers *timers);
/* Saves up to `max` timers. SW_OK: perhaps more to do; SW_ECLOSED: all done; SW_ENOMEM. */
int sw_timers_save_some(sw_timers *timers, uint32_t max);
void sw_timers_take_part(sw_timers *timers, sw_snapshot *part); /* moves what was saved to *part */

/* Sets a timer as it was saved, if it is of this kind of time: 1 if so, else 0. SW_EFORMAT, SW_ENOMEM. */
int sw_timers_restore(sw_timers *timers, const sw_saved *saved);

#endif
