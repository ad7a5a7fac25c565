/* record.c -- a library to be preloaded: what a program writes below a folder, in order, for replay.lua.
 *
 *     LD_PRELOAD=record.so SWLUA_RECORD_DIR=/x SWLUA_RECORD_LOG=/y swlua run ...
 *
 * Each record: a byte that says what, a flag byte, a 16-bit length of the path, a 32-bit length of the data, inode and
 * offset (64 bits each), then path and data. A call and its record are one step for all threads and processes (a lock
 * on the log), so that the order of records is that of the calls. Little-endian.
 *
 * While the file that SWLUA_RECORD_FULL names is there, nothing can be written below a folder "checkpoints": the disk
 * is full.
 *
 * Limits  Paths have to be absolute or relative to the folder the program stands in all the time; descriptors below
 *         FDS_MAX. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 4096
#define EXPORT __attribute__((visibility("default")))

typedef struct record {
    uint8_t what;      /* 'o' open, 'w' write, 't' truncate, 's' sync, 'r' rename, 'u' unlink, 'm' mkdir, 'd' rmdir */
    uint8_t flag;      /* open: 1 made or cut to nothing; write: 1 the descriptor syncs */
    uint16_t path_len; /* bytes */
    uint32_t data_len; /* bytes */
    uint64_t inode;    /* of the file */
    uint64_t offset;   /* write; truncate: the size */
} record;

static char root[PATH_MAX];          /* of what is recorded */
static int log_fd = -1;              /* -1: nothing is recorded */
static bool is_watched[FDS_MAX];     /* by descriptor */
static bool is_synchronous[FDS_MAX]; /* opened with O_DSYNC */
static bool is_checkpoint[FDS_MAX];  /* below a folder of that name */
static const char *full_path;        /* NULL: the disk is never full */

#define REAL(name) ((__typeof__(&name))(uintptr_t)real(#name))

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    const char *dir = getenv("SWLUA_RECORD_DIR"), *log = getenv("SWLUA_RECORD_LOG");
    full_path = getenv("SWLUA_RECORD_FULL");
    if (dir == NULL || log == NULL) return;
    snprintf(root, sizeof(root), "%s", dir);
    int fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, FDS_MAX - 1); /* Out of the way of the program's. */
    REAL(close)(fd);
}

/* One descriptor is shared by all processes that were forked: fcntl locks tell them apart, a spin lock the threads. */
static int thread_lock;

static void lock(void)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    while (__atomic_exchange_n(&thread_lock, 1, __ATOMIC_ACQUIRE) != 0) continue;
    while (fcntl(log_fd, F_SETLKW, &whole) != 0 && errno == EINTR) continue;
}

static void unlock(void)
{
    struct flock whole = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
    int error = errno;
    fcntl(log_fd, F_SETLK, &whole);
    __atomic_store_n(&thread_lock, 0, __ATOMIC_RELEASE);
    errno = error;
}

static void put(const record *head, const char *path, const void *data)
{
    int error = errno;
    const struct iovec parts[3] = { { (void *)(uintptr_t)head, sizeof(*head) },
                                    { (void *)(uintptr_t)path, head->path_len },
                                    { (void *)(uintptr_t)data, head->data_len } };
    if (REAL(writev)(log_fd, parts, 3) < 0) abort();
    errno = error;
}

/* The absolute path, if it is the folder's or below it. */
static bool find(const char *path, char out[PATH_MAX])
{
    char here[PATH_MAX];
    if (log_fd < 0) return false;
    if (path[0] == '/') snprintf(out, PATH_MAX, "%s", path);
    else if (getcwd(here, sizeof(here)) == NULL || snprintf(out, PATH_MAX, "%s/%s", here, path) >= PATH_MAX)
        return false;
    size_t size = strlen(root);
    return strncmp(out, root, size) == 0 && (out[size] == '/' || out[size] == '\0');
}

static bool is_recorded(int fd)
{
    return log_fd >= 0 && fd >= 0 && fd < FDS_MAX && is_watched[fd];
}

static bool is_full(int fd)
{
    struct stat st;
    if (full_path == NULL || !is_checkpoint[fd] || stat(full_path, &st) != 0) return false;
    errno = ENOSPC;
    return true;
}

static uint64_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* --- names ------------------------------------------------------------------------------------------------------ */

static int open_recorded(const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    struct stat st;
    if (!find(path, full)) {
        int fd = REAL(open)(path, flags, mode);
        if (fd >= 0 && fd < FDS_MAX) is_watched[fd] = false;
        return fd;
    }
    lock();
    bool was_there = stat(full, &st) == 0;
    int fd = REAL(open)(path, flags, mode);
    if (fd >= 0 && fd < FDS_MAX) {
        const record head = { .what = 'o',
                              .flag = !was_there || (flags & O_TRUNC) != 0,
                              .path_len = (uint16_t)strlen(full),
                              .inode = inode_of(fd) };
        is_watched[fd] = true;
        is_checkpoint[fd] = strstr(full, "/checkpoints/") != NULL;
        is_synchronous[fd] = (flags & O_DSYNC) != 0;
        put(&head, full, NULL);
    }
    unlock();
    return fd;
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_recorded(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_recorded(path, flags, mode);
}

EXPORT int close(int fd)
{
    if (fd >= 0 && fd < FDS_MAX) is_watched[fd] = false;
    return REAL(close)(fd);
}

/* A call on one path, recorded if it went well. */
static int on_path(char what, const char *path, int (*call)(const char *path, mode_t mode), mode_t mode)
{
    char full[PATH_MAX];
    if (!find(path, full)) return call(path, mode);
    lock();
    int rc = call(path, mode);
    const record head = { .what = (uint8_t)what, .path_len = (uint16_t)strlen(full) };
    if (rc == 0) put(&head, full, NULL);
    unlock();
    return rc;
}

static int call_unlink(const char *path, mode_t mode)
{
    (void)mode;
    return REAL(unlink)(path);
}

static int call_mkdir(const char *path, mode_t mode)
{
    return REAL(mkdir)(path, mode);
}

static int call_rmdir(const char *path, mode_t mode)
{
    (void)mode;
    return REAL(rmdir)(path);
}

EXPORT int unlink(const char *path)
{
    return on_path('u', path, call_unlink, 0);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    return on_path('m', path, call_mkdir, mode);
}

EXPORT int rmdir(const char *path)
{
    return on_path('d', path, call_rmdir, 0);
}

EXPORT int rename(const char *from, const char *to)
{
    char old[PATH_MAX], new[PATH_MAX];
    if (!find(from, old) || !find(to, new)) return REAL(rename)(from, to);
    lock();
    int rc = REAL(rename)(from, to);
    const record head = { .what = 'r', .path_len = (uint16_t)strlen(old), .data_len = (uint32_t)strlen(new) };
    if (rc == 0) put(&head, old, new);
    unlock();
    return rc;
}

/* --- contents ----------------------------------------------------------------------------------------------------- */

static void put_write(int fd, const void *data, ssize_t n, off_t offset)
{
    const record head = { .what = 'w',
                          .flag = is_synchronous[fd],
                          .data_len = (uint32_t)(n > 0 ? n : 0),
                          .inode = inode_of(fd),
                          .offset = (uint64_t)offset };
    if (n > 0) put(&head, NULL, data);
}

static off_t place(int fd)
{
    struct stat st;
    bool is_append = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
    return is_append && fstat(fd, &st) == 0 ? st.st_size : lseek(fd, 0, SEEK_CUR);
}

EXPORT ssize_t write(int fd, const void *data, size_t size)
{
    if (!is_recorded(fd)) return REAL(write)(fd, data, size);
    if (is_full(fd)) return -1;
    lock();
    off_t offset = place(fd);
    ssize_t n = REAL(write)(fd, data, size);
    put_write(fd, data, n, offset);
    unlock();
    return n;
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (!is_recorded(fd)) return REAL(pwrite)(fd, data, size, offset);
    if (is_full(fd)) return -1;
    lock();
    ssize_t n = REAL(pwrite)(fd, data, size, offset);
    put_write(fd, data, n, offset);
    unlock();
    return n;
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite(fd, data, size, offset);
}

/* Writes the parts one by one: who is recorded can be slow. */
static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t offset)
{
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t n = pwrite(fd, parts[i].iov_base, parts[i].iov_len, offset + sum);
        if (n < 0) return sum > 0 ? sum : n;
        sum += n;
        if ((size_t)n < parts[i].iov_len) break;
    }
    return sum;
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (!is_recorded(fd)) return REAL(writev)(fd, parts, count);
    ssize_t n = write_parts(fd, parts, count, place(fd));
    if (n > 0) lseek(fd, n, SEEK_CUR);
    return n;
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (!is_recorded(fd)) return REAL(pwritev)(fd, parts, count, offset);
    return write_parts(fd, parts, count, offset);
}

EXPORT int ftruncate(int fd, off_t size)
{
    if (!is_recorded(fd)) return REAL(ftruncate)(fd, size);
    lock();
    int rc = REAL(ftruncate)(fd, size);
    const record head = { .what = 't', .inode = inode_of(fd), .offset = (uint64_t)size };
    if (rc == 0) put(&head, NULL, NULL);
    unlock();
    return rc;
}

EXPORT int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

static int sync_recorded(int fd, int (*call)(int fd))
{
    if (!is_recorded(fd)) return call(fd);
    lock();
    const record head = { .what = 's', .inode = inode_of(fd) };
    put(&head, NULL, NULL); /* It need not reach a disk to count: the replay decides what is lost. */
    unlock();
    return 0;
}

EXPORT int fsync(int fd)
{
    return sync_recorded(fd, REAL(fsync));
}

EXPORT int fdatasync(int fd)
{
    return sync_recorded(fd, REAL(fdatasync));
}
