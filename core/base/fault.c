#include "base/fault.h"

#ifdef SW_FAULT

#include <stdatomic.h>

static atomic_long left = -1; /* Allocations until the one that fails; negative: none will. */
static atomic_bool hit;       /* One has been failed since the last sw_fault_fail_after. */

void sw_fault_fail_after(long n)
{
    atomic_store(&hit, false);
    atomic_store(&left, n);
}

void sw_fault_off(void)
{
    atomic_store(&left, -1);
}

bool sw_fault_hit(void)
{
    return atomic_load(&hit);
}

bool sw_fault_next(void)
{
    if (atomic_load_explicit(&left, memory_order_relaxed) < 0) return false;
    if (atomic_fetch_sub(&left, 1) != 0) return false;
    atomic_store(&hit, true);
    return true;
}

#else

void sw_fault_fail_after(long n)
{
    (void)n;
}

void sw_fault_off(void)
{
}

bool sw_fault_hit(void)
{
    return false;
}

bool sw_fault_next(void)
{
    return false;
}

#endif
