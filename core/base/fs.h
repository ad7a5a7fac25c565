/* fs.h -- the disk seam: paths and directories, and with base/file.h files. Nothing else in the engine opens a file.
 *
 * Failures carry a text that names the path. SW_ENOTFOUND: no such file. SW_EINVAL: it is a directory, or the
 * name cannot be. SW_EFORMAT: damaged gzip. SW_ENOSPC: the disk or the quota is full. SW_ECLOSED: nobody reads
 * the pipe any more (the process has to ignore SIGPIPE). SW_ENOMEM. SW_EIO: all else.
 *
 * Ownership  lists are freed as said at each.
 * Threads    any. */
#ifndef SW_BASE_FS_H
#define SW_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"

#ifdef __cplusplus
extern "C" {
#endif

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
