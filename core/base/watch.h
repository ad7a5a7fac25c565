/* watch.h -- news that a file was written to, by whatever process.
 *
 * Ownership  a watch is a descriptor; sw_watch_close closes it.
 * Threads    one at a time.
 * Limits     local file systems; the system gives each user so many watches. Closing one takes the system some time. */
#ifndef SW_BASE_WATCH_H
#define SW_BASE_WATCH_H

#include <stdbool.h>

#include "base/error.h"

/* Makes a descriptor that becomes readable when the file is written to. SW_ELIMIT: the system gives no more;
 * SW_ENOTFOUND, SW_EIO. */
int sw_watch_open(const char *path, int *fd, sw_error *err);

/* Forgets the news so far: call it, then look at the file. */
void sw_watch_clear(int fd);

/* Blocks until there is news, at most timeout_ms (-1: no bound); false when there was none. */
bool sw_watch_wait(int fd, int timeout_ms);

/* -1 is fine. */
void sw_watch_close(int fd);

#endif
