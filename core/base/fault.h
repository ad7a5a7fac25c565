/* fault.h -- makes chosen operations fail, and the process die at chosen points, so that tests reach every error path
 * and every state that a crash can leave behind.
 *
 *     sw_fault_fail_kind_after(SW_FAULT_WRITE, 3)    the fourth write from now fails, once
 *     SWLUA_CRASH_AT=checkpoint.before-rename:2      SIGKILL where that point is passed the second time
 *
 * Faults exist in builds with SW_FAULT only; elsewhere nothing fails and sw_fault_hit is false. Crash points are a
 * testing aid of every build: the variable is read when the process starts, "*" stands for any point, and without it a
 * point costs one look at a flag. They stand beside writes, syncs and renames, never in a hot path.
 *
 * Ownership  nothing is owned; the setting is one per process.
 * Threads    any; with several threads at it, which one meets the failure is a race.
 * Limits     one failure of each kind at a time, one crash point. */
#ifndef SW_BASE_FAULT_H
#define SW_BASE_FAULT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sw_fault_kind {
    SW_FAULT_ALLOC,  /* sw_alloc and its kin: NULL */
    SW_FAULT_OPEN,   /* opening a file: EIO */
    SW_FAULT_READ,   /* EIO */
    SW_FAULT_WRITE,  /* ENOSPC */
    SW_FAULT_SYNC,   /* of a file or a directory: EIO */
    SW_FAULT_RENAME, /* EIO */
    SW_FAULT_REMOVE, /* EIO */
    SW_FAULT_LMDB,   /* a call of LMDB that can fail: EIO */
    SW_FAULT_MAP,    /* a put into LMDB: MDB_MAP_FULL */
    SW_FAULT_KINDS,
} sw_fault_kind;

/* The n-th allocation from now fails, counted from 0; those before and after it succeed. Clears sw_fault_hit. */
void sw_fault_fail_after(long n);

/* The same of operations of a kind. */
void sw_fault_fail_kind_after(sw_fault_kind kind, long n);

/* Nothing fails any more. Leaves sw_fault_hit as it is. */
void sw_fault_off(void);

/* Has anything been failed since the last sw_fault_fail_after or sw_fault_fail_kind_after? */
bool sw_fault_hit(void);

/* For what may fail: counts one operation and says whether it is the one to fail. */
bool sw_fault_next(sw_fault_kind kind);

/* --- crash points ----------------------------------------------------------------------------------------------- */

extern bool sw_crash_is_armed; /* SWLUA_CRASH_AT was set when the process started */

/* What the variable says, at any time: for tests that fork. NULL: no point any more. */
void sw_crash_arm(const char *text);

/* Counts that a point was passed; ends the process if it is the one. */
void sw_crash_pass(const char *name);

#define SW_CRASH_POINT(name)                                                                                           \
    do {                                                                                                               \
        if (__builtin_expect(sw_crash_is_armed, 0)) sw_crash_pass(name);                                               \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
