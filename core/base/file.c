/* file.c -- the open files of fs.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/gunzip.h"

#define NEW_FILE_MODE 0666 /* Less the umask. */
#define SKIP_BYTES 65536u  /* Decompressed at once to be thrown away. */

struct sw_file {
    int fd;            /* The descriptor. */
    bool is_owned;     /* Opened here, so closed here. */
    sw_gunzip *gz;     /* Decompressor of a .gz file, or NULL; owned. */
    uint64_t position; /* Bytes of the contents that sw_file_read has given or skip_to passed. */
    char name[];       /* Path, or what the descriptor is called; for error texts. */
};

sw_file *sw_file_from_fd(int fd, const char *name)
{
    size_t size = strlen(name) + 1;
    sw_file *f = sw_alloc(sizeof(*f) + size);
    if (f == NULL) return NULL;
    f->fd = fd;
    f->is_owned = false;
    f->gz = NULL;
    f->position = 0;
    memcpy(f->name, name, size);
    return f;
}

static int open_path(sw_file **out, const char *path, int flags, sw_error *err)
{
    struct stat st;
    int rc;
    int fd;
    if (sw_fault_next(SW_FAULT_OPEN)) return sw_error_errno(err, EIO, "cannot open %s", path);
    do {
        fd = open(path, flags | O_CLOEXEC, NEW_FILE_MODE);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == EISDIR) return sw_error_set(err, SW_EINVAL, "%s is a directory", path);
    if (fd < 0) return sw_error_errno(err, errno, "cannot open %s", path);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = sw_error_set(err, SW_EINVAL, "%s is a directory", path);
        goto close_fd;
    }
    sw_file *f = sw_file_from_fd(fd, path);
    if (f == NULL) {
        rc = sw_error_set(err, SW_ENOMEM, "cannot open %s: out of memory", path);
        goto close_fd;
    }
    f->is_owned = true;
    *out = f;
    return SW_OK;

close_fd:
    close(fd);
    return rc;
}

int sw_file_open_create(sw_file **out, const char *path, sw_error *err)
{
    return open_path(out, path, O_WRONLY | O_CREAT | O_TRUNC, err);
}

int sw_file_open_append(sw_file **out, const char *path, sw_error *err)
{
    return open_path(out, path, O_WRONLY | O_CREAT | O_APPEND, err);
}

/* Waits until a descriptor that somebody made non-blocking (a shared terminal or pipe) is ready. */
static void wait_ready(int fd, short events)
{
    struct pollfd p = { fd, events, 0 };
    poll(&p, 1, -1);
}

static ssize_t read_raw(void *context, void *buf, size_t n, sw_error *err)
{
    sw_file *f = context;
    if (sw_fault_next(SW_FAULT_READ)) return sw_error_errno(err, EIO, "cannot read %s", f->name);
    for (;;) {
        ssize_t got = read(f->fd, buf, n);
        if (got >= 0) return got;
        if (errno == EAGAIN) {
            wait_ready(f->fd, POLLIN);
        } else if (errno != EINTR) {
            return sw_error_errno(err, errno, "cannot read %s", f->name);
        }
    }
}

static bool has_gz_suffix(const char *path)
{
    size_t size = strlen(path);
    return size > 3 && strcmp(path + size - 3, ".gz") == 0;
}

int sw_file_open_read(sw_file **out, const char *path, sw_error *err)
{
    sw_file *f = NULL;
    int rc = open_path(&f, path, O_RDONLY, err);
    if (rc != SW_OK) return rc;
    if (has_gz_suffix(path) && (f->gz = sw_gunzip_new(read_raw, f)) == NULL) {
        sw_file_close(f, NULL);
        return sw_error_set(err, SW_ENOMEM, "cannot open %s: out of memory", path);
    }
    *out = f;
    return SW_OK;
}

ssize_t sw_file_read(sw_file *f, void *buf, size_t n, sw_error *err)
{
    SW_ASSERT(n > 0);
    ssize_t got = f->gz != NULL ? sw_gunzip_read(f->gz, buf, n, err) : read_raw(f, buf, n, err);
    if (f->gz != NULL && (got == SW_EFORMAT || got == SW_ENOMEM)) sw_error_prepend(err, "%s", f->name);
    if (got > 0) f->position += (uint64_t)got;
    return got;
}

static int skip_compressed(sw_file *f, uint64_t offset, sw_error *err)
{
    uint8_t *thrown_away = sw_alloc(SKIP_BYTES);
    ssize_t n = 1;
    if (thrown_away == NULL) return sw_error_set(err, SW_ENOMEM, "%s: out of memory", f->name);
    for (; offset > f->position && n > 0;) {
        uint64_t left = offset - f->position;
        n = sw_file_read(f, thrown_away, left < SKIP_BYTES ? (size_t)left : SKIP_BYTES, err);
    }
    sw_free(thrown_away);
    if (n < 0) return (int)n;
    if (n > 0) return SW_OK;
    return sw_error_set(err, SW_ELIMIT, "%s has only %" PRIu64 " bytes", f->name, f->position);
}

int sw_file_skip_to(sw_file *f, uint64_t offset, sw_error *err)
{
    SW_ASSERT(offset >= f->position);
    if (f->gz != NULL) return skip_compressed(f, offset, err);
    int64_t size = sw_file_size(f, err);
    if (size < 0) return (int)size;
    if ((uint64_t)size < offset) return sw_error_set(err, SW_ELIMIT, "%s has only %" PRId64 " bytes", f->name, size);
    if (lseek(f->fd, (off_t)offset, SEEK_SET) < 0) return sw_error_errno(err, errno, "cannot read %s", f->name);
    f->position = offset;
    return SW_OK;
}

int sw_file_write_all(sw_file *f, const void *buf, size_t n, sw_error *err)
{
    const uint8_t *p = buf;
    if (sw_fault_next(SW_FAULT_WRITE)) return sw_error_errno(err, ENOSPC, "cannot write %s", f->name);
    while (n > 0) {
        ssize_t done = write(f->fd, p, n);
        if (done >= 0) {
            p += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN) {
            wait_ready(f->fd, POLLOUT);
        } else if (errno != EINTR) {
            return sw_error_errno(err, errno, "cannot write %s", f->name);
        }
    }
    return SW_OK;
}

int sw_file_open_random(sw_file **out, const char *path, bool is_writable, sw_error *err)
{
    return open_path(out, path, is_writable ? O_RDWR : O_RDONLY, err);
}

int sw_file_open_update(sw_file **out, const char *path, sw_error *err)
{
    return open_path(out, path, O_RDWR | O_CREAT, err);
}

ssize_t sw_file_pread(sw_file *f, void *buf, size_t n, uint64_t offset, sw_error *err)
{
    uint8_t *p = buf;
    size_t done = 0;
    if (sw_fault_next(SW_FAULT_READ)) return sw_error_errno(err, EIO, "cannot read %s", f->name);
    while (done < n) {
        ssize_t got = pread(f->fd, p + done, n - done, (off_t)(offset + done));
        if (got == 0) break;
        if (got > 0) {
            done += (size_t)got;
        } else if (errno != EINTR) {
            return sw_error_errno(err, errno, "cannot read %s", f->name);
        }
    }
    return (ssize_t)done;
}

int sw_file_pwrite(sw_file *f, const void *buf, size_t n, uint64_t offset, sw_error *err)
{
    const uint8_t *p = buf;
    if (sw_fault_next(SW_FAULT_WRITE)) return sw_error_errno(err, ENOSPC, "cannot write %s", f->name);
    while (n > 0) {
        ssize_t done = pwrite(f->fd, p, n, (off_t)offset);
        if (done >= 0) {
            p += done;
            n -= (size_t)done;
            offset += (uint64_t)done;
        } else if (errno != EINTR) {
            return sw_error_errno(err, errno, "cannot write %s", f->name);
        }
    }
    return SW_OK;
}

int sw_file_reserve(sw_file *f, uint64_t offset, uint64_t n, sw_error *err)
{
    if (sw_fault_next(SW_FAULT_WRITE)) return sw_error_errno(err, ENOSPC, "no room for %s", f->name);
    while (fallocate(f->fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n) != 0) {
        if (errno == ENOSPC || errno == EDQUOT) return sw_error_errno(err, errno, "no room for %s", f->name);
        if (errno != EINTR) return SW_OK; /* What is really wrong shows when it is written. */
    }
    return SW_OK;
}

int sw_file_truncate(sw_file *f, uint64_t size, sw_error *err)
{
    if (sw_fault_next(SW_FAULT_WRITE)) return sw_error_errno(err, ENOSPC, "cannot cut %s", f->name);
    while (ftruncate(f->fd, (off_t)size) != 0)
        if (errno != EINTR) return sw_error_errno(err, errno, "cannot cut %s", f->name);
    return SW_OK;
}

int sw_file_lock(sw_file *f, sw_error *err)
{
    if (flock(f->fd, LOCK_EX | LOCK_NB) == 0) return SW_OK;
    if (errno == EWOULDBLOCK) return sw_error_set(err, SW_EBUSY, "%s is being written by another sink", f->name);
    return sw_error_errno(err, errno, "cannot lock %s", f->name);
}

int sw_file_await_lock(sw_file *f, sw_error *err)
{
    while (flock(f->fd, LOCK_EX) != 0)
        if (errno != EINTR) return sw_error_errno(err, errno, "cannot lock %s", f->name);
    return SW_OK;
}

void sw_file_forget_cached(sw_file *f)
{
    (void)posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
}

int sw_file_sync(sw_file *f, sw_error *err)
{
    if (sw_fault_next(SW_FAULT_SYNC)) return sw_error_errno(err, EIO, "cannot sync %s", f->name);
    while (fsync(f->fd) != 0) {
        if (errno == EINVAL || errno == EROFS) return SW_OK; /* A pipe or a terminal has nothing to sync. */
        if (errno != EINTR) return sw_error_errno(err, errno, "cannot sync %s", f->name);
    }
    return SW_OK;
}

int sw_fs_sync_dir(const char *path, sw_error *err)
{
    if (sw_fault_next(SW_FAULT_SYNC)) return sw_error_errno(err, EIO, "cannot sync %s", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return sw_error_errno(err, errno, "cannot open %s", path);
    int rc = SW_OK;
    while (fsync(fd) != 0) {
        if (errno == EINTR) continue;
        if (errno != EINVAL && errno != EROFS) rc = sw_error_errno(err, errno, "cannot sync %s", path);
        break; /* A filesystem that cannot sync directories keeps their order by itself. */
    }
    close(fd);
    return rc;
}

/* Says who has the lock, as far as the file tells. */
static int lock_is_taken(sw_file *f, sw_error *err)
{
    char pid[24] = "";
    ssize_t n = pread(f->fd, pid, sizeof(pid) - 1, 0);
    long number = n > 0 ? strtol(pid, NULL, 10) : 0;
    if (number <= 0) return sw_error_set(err, SW_EBUSY, "%s: another process has the lock", f->name);
    return sw_error_set(err, SW_EBUSY, "%s: process %ld has the lock", f->name, number);
}

int sw_fs_lock(sw_file **out, const char *path, sw_error *err)
{
    char pid[24];
    sw_file *f = NULL;
    int rc = open_path(&f, path, O_RDWR | O_CREAT, err);
    if (rc != SW_OK) return rc;
    while (flock(f->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        rc = errno == EWOULDBLOCK ? lock_is_taken(f, err) : sw_error_errno(err, errno, "cannot lock %s", path);
        goto close_file;
    }
    int size = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(f->fd, 0) != 0) {
        rc = sw_error_errno(err, errno, "cannot write %s", path);
        goto close_file;
    }
    if ((rc = sw_file_pwrite(f, pid, (size_t)size, 0, err)) != SW_OK) goto close_file;
    *out = f;
    return SW_OK;

close_file:
    sw_file_close(f, NULL);
    return rc;
}

int64_t sw_file_size(sw_file *f, sw_error *err)
{
    struct stat st;
    if (fstat(f->fd, &st) != 0) return sw_error_errno(err, errno, "cannot get the size of %s", f->name);
    return st.st_size;
}

int sw_file_fd(const sw_file *f)
{
    return f->fd;
}

const char *sw_file_name(const sw_file *f)
{
    return f->name;
}

int sw_file_close(sw_file *f, sw_error *err)
{
    int rc = SW_OK;
    if (f == NULL) return SW_OK;
    sw_gunzip_free(f->gz);
    /* Linux closes the descriptor even when a signal interrupts the call. */
    if (f->is_owned && close(f->fd) != 0 && errno != EINTR) rc = sw_error_errno(err, errno, "cannot close %s", f->name);
    sw_free(f);
    return rc;
}
