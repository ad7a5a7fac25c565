/* file.h -- an open file.
 *
 *     path --open--> sw_file --read--> bytes      (of the contents where the path ends in .gz)
 *     bytes --write_all--> sw_file --sync--> disk
 *
 * Failures are those of fs.h.
 *
 * Ownership  sw_file_close closes and frees; what sw_file_from_fd wraps is never closed.
 * Threads    one at a time for each file.
 * Limits     no buffering of its own except for gzip: use large blocks. */
#ifndef SW_BASE_FILE_H
#define SW_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sw_file sw_file;

/* Opens a file for reading. A path that ends in ".gz" is decompressed on the way. */
int sw_file_open_read(sw_file **out, const char *path, sw_error *err);

/* Opens a file for writing: emptied if it exists (create), or written on at its end (append). */
int sw_file_open_create(sw_file **out, const char *path, sw_error *err);
int sw_file_open_append(sw_file **out, const char *path, sw_error *err);

/* Wraps an open descriptor such as standard input; name stands in error texts. NULL when memory is out. */
sw_file *sw_file_from_fd(int fd, const char *name);

/* Reads up to n bytes (n > 0): their number, 0 at the end, or a negative code. A plain file that has
 * grown after the 0 can be read on. */
ssize_t sw_file_read(sw_file *f, void *buf, size_t n, sw_error *err);

/* The next read is from this byte of the contents on, not before what was read. SW_ELIMIT: there are fewer bytes. */
int sw_file_skip_to(sw_file *f, uint64_t offset, sw_error *err);

/* Writes all n bytes, however many write(2) calls that takes. */
int sw_file_write_all(sw_file *f, const void *buf, size_t n, sw_error *err);

/* Opens an existing file for sw_file_pread and, if is_writable, sw_file_pwrite; nothing is decompressed. */
int sw_file_open_random(sw_file **out, const char *path, bool is_writable, sw_error *err);

/* The same for reading and writing, of a file that is made if it is not there. */
int sw_file_open_update(sw_file **out, const char *path, sw_error *err);

/* Reads n bytes at the offset, fewer only where the file ends: their number, or a negative code. */
ssize_t sw_file_pread(sw_file *f, void *buf, size_t n, uint64_t offset, sw_error *err);

/* Writes all n bytes at the offset; a gap before it reads as zeros. */
int sw_file_pwrite(sw_file *f, const void *buf, size_t n, uint64_t offset, sw_error *err);

/* Makes the file this long. */
int sw_file_truncate(sw_file *f, uint64_t size, sw_error *err);

/* Takes room on the disk for n bytes from offset on and shows nothing of it; SW_OK too where that cannot be done. */
int sw_file_reserve(sw_file *f, uint64_t offset, uint64_t n, sw_error *err);

/* Takes the file for this sw_file until it is closed. SW_EBUSY: another one has it, in whatever process. */
int sw_file_lock(sw_file *f, sw_error *err);

/* The same, and waits until nobody has it. */
int sw_file_await_lock(sw_file *f, sw_error *err);

/* Asks the system to forget what it keeps of a synced file in memory, so that reading it again reads the disk. */
void sw_file_forget_cached(sw_file *f);

/* Returns when what was written is on the disk; does nothing where that has no meaning (pipes, terminals). */
int sw_file_sync(sw_file *f, sw_error *err);

/* The file's present size in bytes (compressed, for .gz), or a negative code. */
int64_t sw_file_size(sw_file *f, sw_error *err);

/* The descriptor, for waiting until it is readable; reading it would bypass gzip. */
int sw_file_fd(const sw_file *f);

/* What error texts call it: its path. */
const char *sw_file_name(const sw_file *f);

/* Closes and frees in every case; the code tells of a write that failed late. NULL is fine. */
int sw_file_close(sw_file *f, sw_error *err);

#ifdef __cplusplus
}
#endif

#endif
