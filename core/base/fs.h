/* fs.h -- the disk seam: files and paths. Nothing else in the engine opens a file.
 *
 *     path --open--> sw_file --read--> bytes      (of the contents where the path ends in .gz)
 *     bytes --write_all--> sw_file --sync--> disk
 *
 * Failures carry a text that names the path. SW_ENOTFOUND: no such file. SW_EINVAL: it is a directory, or the
 * name cannot be. SW_EFORMAT: damaged gzip. SW_ENOSPC: the disk or the quota is full. SW_ECLOSED: nobody reads
 * the pipe any more (the process has to ignore SIGPIPE). SW_ENOMEM. SW_EIO: all else.
 *
 * Ownership  sw_file_close closes and frees; what sw_file_from_fd wraps is never closed.
 * Threads    a sw_file belongs to one thread at a time; the path functions may be called from any.
 * Limits     no buffering of its own except for gzip: use large blocks. */
#ifndef SW_BASE_FS_H
#define SW_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
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

/* The paths that match the pattern, sorted by their bytes; free them with sw_fs_glob_free. A pattern that is
 * itself the name of something gives just that. SW_ENOTFOUND when nothing matches. */
int sw_fs_glob(const char *pattern, char ***paths, size_t *n, sw_error *err);
void sw_fs_glob_free(char **paths, size_t n);

/* Makes the directory and those above it; what exists already is fine if it is a directory. What it made is on the
 * disk when it returns. */
int sw_fs_mkdirs(const char *path, sw_error *err);

/* Is there something, a directory, a pipe or device, under this name? Links are followed. */
bool sw_fs_exists(const char *path);
bool sw_fs_is_dir(const char *path);
bool sw_fs_is_special(const char *path);
bool sw_fs_is_same(const char *a, const char *b); /* Do both names lead to one file? */
bool sw_fs_is_remote(const char *path);           /* Is it in a directory of another machine? */

/* The path from the root on, to be freed; NULL when memory is out or there is no working directory. */
char *sw_fs_absolute(const char *path);

/* Gives `from` the name `to`, replacing atomically what had it. */
int sw_fs_rename(const char *from, const char *to, sw_error *err);

/* Removes a file or an empty directory. */
int sw_fs_remove(const char *path, sw_error *err);
/* Removes a directory with all that is in it; one that is not there is fine. */
int sw_fs_remove_tree(const char *path, sw_error *err);

/* Returns when the names made, changed and removed in the directory are on the disk. */
int sw_fs_sync_dir(const char *path, sw_error *err);

/* The same of the directory that the path's last part stands in. */
int sw_fs_sync_names(const char *path, sw_error *err);

/* Puts the bytes into the file `path` so that it has, whatever happens, the old content or the new one; the new one is
 * on the disk when this returns SW_OK. */
int sw_fs_replace(const char *path, const void *bytes, size_t n, sw_error *err);

/* The names in a directory but for "." and "..", sorted by their bytes; free them with sw_fs_glob_free. */
int sw_fs_list(const char *path, char ***names, size_t *n, sw_error *err);

/* Takes the lock that the file stands for and writes the process's id into it; closing the file gives it back, and so
 * does the end of the process. SW_EBUSY names the process that has it. A child forked with the file open shares the
 * lock; no other open or close of the file, here or elsewhere, drops it. */
int sw_fs_lock(sw_file **out, const char *path, sw_error *err);

/* Bytes that may still be written where the path is; UINT64_MAX when that cannot be told. */
uint64_t sw_fs_free_bytes(const char *path);

/* Puts something under each of the descriptors 0 to 2 that the process was started without, so that no file opened
 * later is taken for standard input or output: reading 0 and writing 1 still fail. For the beginning of main. */
void sw_fs_hold_standard(void);

/* Appends the whole file (decompressed, for .gz) to out. SW_ELIMIT when it has more than limit bytes;
 * on failure out holds what it held before. */
int sw_fs_read_all(const char *path, sw_buf *out, size_t limit, sw_error *err);

#ifdef __cplusplus
}
#endif

#endif
