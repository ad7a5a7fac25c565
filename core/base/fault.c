#include "base/fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CRASH_VARIABLE "SWLUA_CRASH_AT"

bool sw_crash_is_armed;

static char crash_name[128];    /* of the point, or "*" */
static atomic_long crash_count; /* times it is still to be passed, the last one included */

/* A text that makes no sense arms a point that does not exist: nothing happens. */
void sw_crash_arm(const char *text)
{
    sw_crash_is_armed = false;
    if (text == NULL) return;
    size_t len = strcspn(text, ":");
    if (len >= sizeof(crash_name)) return;
    memcpy(crash_name, text, len);
    crash_name[len] = '\0';
    atomic_store(&crash_count, text[len] == ':' ? strtol(text + len + 1, NULL, 10) : 1);
    sw_crash_is_armed = true;
}

__attribute__((constructor)) static void read_variable(void)
{
    sw_crash_arm(getenv(CRASH_VARIABLE));
}

void sw_crash_pass(const char *name)
{
    if (strcmp(crash_name, "*") != 0 && strcmp(crash_name, name) != 0) return;
    if (atomic_fetch_sub(&crash_count, 1) == 1) raise(SIGKILL);
}

#ifdef SW_FAULT

static atomic_long left[SW_FAULT_KINDS]; /* Operations up to the one that fails, itself included; 0: none will. */
static atomic_bool hit;                  /* One has been failed since the last sw_fault_fail_after. */

void sw_fault_fail_kind_after(sw_fault_kind kind, long n)
{
    atomic_store(&hit, false);
    atomic_store(&left[kind], n + 1);
}

void sw_fault_off(void)
{
    for (int kind = 0; kind < SW_FAULT_KINDS; kind++) atomic_store(&left[kind], 0);
}

bool sw_fault_hit(void)
{
    return atomic_load(&hit);
}

bool sw_fault_next(sw_fault_kind kind)
{
    if (atomic_load_explicit(&left[kind], memory_order_relaxed) <= 0) return false;
    if (atomic_fetch_sub(&left[kind], 1) != 1) return false;
    atomic_store(&hit, true);
    return true;
}

#else

void sw_fault_fail_kind_after(sw_fault_kind kind, long n)
{
    (void)kind;
    (void)n;
}

void sw_fault_off(void)
{
}

bool sw_fault_hit(void)
{
    return false;
}

bool sw_fault_next(sw_fault_kind kind)
{
    (void)kind;
    return false;
}

#endif

void sw_fault_fail_after(long n)
{
    sw_fault_fail_kind_after(SW_FAULT_ALLOC, n);
}
