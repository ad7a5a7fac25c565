/* alloc.h -- the allocator every module uses, so that tests can make it fail and count what leaks.
 *
 * Ownership  what sw_alloc and its kin return is freed with sw_free.
 * Threads    any.
 * Limits     counting and failing (fault.h) exist only in builds with SW_FAULT; otherwise these are malloc's. */
#ifndef SW_BASE_ALLOC_H
#define SW_BASE_ALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NULL when memory is out. A size of 0 gives a pointer that can be freed. */
void *sw_alloc(size_t size) __attribute__((malloc, warn_unused_result));

/* Zeroed; NULL when memory is out or n * size overflows. */
void *sw_calloc(size_t n, size_t size) __attribute__((malloc, warn_unused_result));
/* A multiple of 2 MiB, aligned to it, of huge pages where the system has them: for memory that is read in random
 * order. */
void *sw_alloc_pages(size_t size);

/* p may be NULL. On NULL the old block is untouched and still the caller's. size is not 0. */
void *sw_realloc(void *p, size_t size) __attribute__((warn_unused_result));

/* p may be NULL. */
void sw_free(void *p);

/* Copies with a terminating NUL; NULL when memory is out. sw_strndup stops at n bytes or at a NUL. */
char *sw_strdup(const char *text) __attribute__((malloc, warn_unused_result));
char *sw_strndup(const char *text, size_t n) __attribute__((malloc, warn_unused_result));

/* For start-up code that cannot go on without: prints a message and aborts instead of returning NULL. */
void *sw_xalloc(size_t size) __attribute__((malloc, warn_unused_result, returns_nonnull));

/* Blocks allocated and not yet freed, in SW_FAULT builds; 0 otherwise. */
size_t sw_alloc_live(void);

#ifdef __cplusplus
}
#endif

#endif
