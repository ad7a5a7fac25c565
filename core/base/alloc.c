#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (2u << 20)

static void *huge_pages(size_t size)
{
    void *p = aligned_alloc(HUGE_PAGE, size);
    if (p != NULL) (void)madvise(p, size, MADV_HUGEPAGE); /* Without them it is only slower. */
    return p;
}

#ifdef SW_FAULT

#include <stdatomic.h>

#include "base/fault.h"

static atomic_size_t live; /* Blocks handed out and not yet freed. */

static void *counted(void *p)
{
    if (p != NULL) atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return p;
}

void *sw_alloc(size_t size)
{
    return sw_fault_next(SW_FAULT_ALLOC) ? NULL : counted(malloc(size));
}

void *sw_calloc(size_t n, size_t size)
{
    return sw_fault_next(SW_FAULT_ALLOC) ? NULL : counted(calloc(n, size));
}

void *sw_alloc_pages(size_t size)
{
    return sw_fault_next(SW_FAULT_ALLOC) ? NULL : counted(huge_pages(size));
}

void *sw_realloc(void *p, size_t size)
{
    if (p == NULL) return sw_alloc(size);
    return sw_fault_next(SW_FAULT_ALLOC) ? NULL : realloc(p, size);
}

void sw_free(void *p)
{
    if (p != NULL) atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(p);
}

size_t sw_alloc_live(void)
{
    return atomic_load(&live);
}

#else

void *sw_alloc(size_t size)
{
    return malloc(size);
}

void *sw_calloc(size_t n, size_t size)
{
    return calloc(n, size);
}

void *sw_alloc_pages(size_t size)
{
    return huge_pages(size);
}

void *sw_realloc(void *p, size_t size)
{
    return realloc(p, size);
}

void sw_free(void *p)
{
    free(p);
}

size_t sw_alloc_live(void)
{
    return 0;
}

#endif

char *sw_strdup(const char *text)
{
    return sw_strndup(text, strlen(text));
}

char *sw_strndup(const char *text, size_t n)
{
    size_t size = strnlen(text, n);
    char *copy = sw_alloc(size + 1);
    if (copy == NULL) return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

void *sw_xalloc(size_t size)
{
    void *p = sw_alloc(size);
    if (p != NULL) return p;
    fprintf(stderr, "swlua: out of memory (%zu bytes wanted)\n", size);
    abort();
}
