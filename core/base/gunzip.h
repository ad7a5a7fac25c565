/* gunzip.h -- decompresses a stream of gzip members as it is read; used by file.c alone.
 *
 *     source() --compressed--> [ 64 KB ] --inflate--> sw_gunzip_read
 *
 * Ownership  sw_gunzip_free frees it; the source's context stays the caller's.
 * Threads    one at a time.
 * Limits     zero bytes between and behind members are skipped, anything else there is SW_EFORMAT. */
#ifndef SW_BASE_GUNZIP_H
#define SW_BASE_GUNZIP_H

#include <sys/types.h>

#include "base/error.h"

typedef struct sw_gunzip sw_gunzip;

/* Reads up to n compressed bytes: their number, 0 at the end, or a negative code with its text. */
typedef ssize_t (*sw_gunzip_source)(void *context, void *buf, size_t n, sw_error *err);

/* NULL when memory is out. */
sw_gunzip *sw_gunzip_new(sw_gunzip_source source, void *context);
void sw_gunzip_free(sw_gunzip *g);

/* Reads up to n (> 0) decompressed bytes: their number, 0 at the end, or a negative code: SW_EFORMAT when the
 * data is damaged, no gzip, or ends within a member; SW_ENOMEM; or the source's. */
ssize_t sw_gunzip_read(sw_gunzip *g, void *buf, size_t n, sw_error *err);

#endif
