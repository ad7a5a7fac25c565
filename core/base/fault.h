/* fault.h -- makes chosen allocations fail, so that tests reach every error path.
 *
 * Ownership  nothing is owned; the setting is one per process.
 * Threads    any; with several threads allocating, which one meets the failure is a race.
 * Limits     works in builds with SW_FAULT; otherwise nothing fails and sw_fault_hit is false. */
#ifndef SW_BASE_FAULT_H
#define SW_BASE_FAULT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The n-th allocation from now fails, counted from 0; those before and after it succeed. Clears sw_fault_hit. */
void sw_fault_fail_after(long n);

/* No allocation fails any more. Leaves sw_fault_hit as it is. */
void sw_fault_off(void);

/* Has an allocation been failed since the last sw_fault_fail_after? */
bool sw_fault_hit(void);

/* For allocators: counts one allocation and says whether it is the one to fail. */
bool sw_fault_next(void);

#ifdef __cplusplus
}
#endif

#endif
