#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"

#define NEW_DIR_MODE 0777     /* Less the umask. */
#define READ_ALL_CHUNK 65536u /* Bytes asked for at once by sw_fs_read_all. */

bool sw_fs_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool sw_fs_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool sw_fs_is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

bool sw_fs_is_same(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

bool sw_fs_is_remote(const char *path)
{
    static const unsigned long remote[] = { 0x6969, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997, 0x00c36400 };
    struct statfs st;
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL) path = ".";
    int len = slash == NULL || slash == path ? 1 : (int)(slash - path);
    int n = snprintf(folder, sizeof(folder), "%.*s", len, path);
    bool is_known = n < (int)sizeof(folder) && statfs(folder, &st) == 0;
    for (size_t i = 0; is_known && i < sizeof(remote) / sizeof(remote[0]); i++)
        if (((unsigned long)st.f_type & 0xffffffff) == remote[i]) return true; /* NFS, CIFS, SMB2, SMB, 9P, Ceph */
    return false;
}

char *sw_fs_absolute(const char *path)
{
    char cwd[PATH_MAX];
    sw_buf joined = { 0 };
    if (path[0] == '/') return sw_strdup(path);
    if (getcwd(cwd, sizeof(cwd)) == NULL) return NULL;
    if (sw_buf_printf(&joined, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path) != SW_OK) {
        sw_buf_deinit(&joined);
        return NULL;
    }
    return (char *)joined.data;
}

/* Copies n paths into one block: the array of pointers, and the texts behind it. NULL when memory is out. */
static char **copy_paths(char *const *paths, size_t n)
{
    size_t bytes = n * sizeof(char *);
    for (size_t i = 0; i < n; i++) bytes += strlen(paths[i]) + 1;
    char **copy = sw_alloc(bytes);
    if (copy == NULL) return NULL;
    char *text = (char *)(copy + n);
    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(paths[i]) + 1;
        copy[i] = memcpy(text, paths[i], size);
        text += size;
    }
    return copy;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A directory that is not there matches nothing; one that cannot be read is an error, as its files would be
 * missing without notice. */
static int on_glob_error(const char *path, int errno_value)
{
    (void)path;
    return errno_value != ENOENT && errno_value != ENOTDIR;
}

static int publish_paths(char *const *found, size_t count, char ***paths, size_t *n, sw_error *err)
{
    char **copy = copy_paths(found, count);
    if (copy == NULL) return sw_error_set(err, SW_ENOMEM, "cannot list files: out of memory");
    qsort(copy, count, sizeof(*copy), compare_paths); /* Not glob's order, which follows the locale. */
    *paths = copy;
    *n = count;
    return SW_OK;
}

int sw_fs_glob(const char *pattern, char ***paths, size_t *n, sw_error *err)
{
    char *itself = (char *)pattern;
    if (sw_fs_exists(pattern)) return publish_paths(&itself, 1, paths, n, err);
    glob_t found;
    int rc = glob(pattern, GLOB_NOSORT, on_glob_error, &found);
    if (rc == GLOB_NOMATCH) {
        rc = sw_error_set(err, SW_ENOTFOUND, "no file matches %s", pattern);
    } else if (rc == GLOB_NOSPACE) {
        rc = sw_error_set(err, SW_ENOMEM, "cannot list %s: out of memory", pattern);
    } else if (rc != 0) {
        rc = sw_error_errno(err, errno, "cannot list %s", pattern);
    } else {
        rc = publish_paths(found.gl_pathv, found.gl_pathc, paths, n, err);
    }
    globfree(&found);
    return rc;
}

void sw_fs_glob_free(char **paths, size_t n)
{
    (void)n;
    sw_free(paths);
}

int sw_fs_sync_names(const char *path, sw_error *err)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return sw_fs_sync_dir(".", err);
    if (slash == path) return sw_fs_sync_dir("/", err);
    char *dir = sw_strndup(path, (size_t)(slash - path));
    if (dir == NULL) return sw_error_set(err, SW_ENOMEM, "cannot sync %s: out of memory", path);
    int rc = sw_fs_sync_dir(dir, err);
    sw_free(dir);
    return rc;
}

/* A directory that was made is on the disk, or it is not there. */
static int make_dir(const char *path, sw_error *err)
{
    if (mkdir(path, NEW_DIR_MODE) != 0) {
        if (sw_fs_is_dir(path)) return SW_OK;
        if (sw_fs_exists(path)) return sw_error_set(err, SW_EINVAL, "%s exists and is not a directory", path);
        return sw_error_errno(err, errno, "cannot make directory %s", path);
    }
    int rc = sw_fs_sync_names(path, err);
    if (rc != SW_OK) (void)rmdir(path);
    return rc;
}

int sw_fs_mkdirs(const char *path, sw_error *err)
{
    int rc = SW_OK;
    char *partial = sw_strdup(path);
    if (partial == NULL) return sw_error_set(err, SW_ENOMEM, "cannot make directory %s: out of memory", path);
    for (char *p = strchr(partial, '/'); p != NULL && rc == SW_OK; p = strchr(p + 1, '/')) {
        if (p == partial) continue; /* The root is there. */
        *p = '\0';
        rc = make_dir(partial, err);
        *p = '/';
    }
    if (rc == SW_OK) rc = make_dir(partial, err);
    sw_free(partial);
    return rc;
}

int sw_fs_rename(const char *from, const char *to, sw_error *err)
{
    if (sw_fault_next(SW_FAULT_RENAME)) return sw_error_errno(err, EIO, "cannot rename %s to %s", from, to);
    if (rename(from, to) == 0) return SW_OK;
    return sw_error_errno(err, errno, "cannot rename %s to %s", from, to);
}

int sw_fs_remove(const char *path, sw_error *err)
{
    if (sw_fault_next(SW_FAULT_REMOVE)) return sw_error_errno(err, EIO, "cannot remove %s", path);
    if (remove(path) == 0) return SW_OK;
    return sw_error_errno(err, errno, "cannot remove %s", path);
}

static int write_synced(const char *path, const void *bytes, size_t n, sw_error *err)
{
    sw_file *f = NULL;
    int rc = sw_file_open_create(&f, path, err);
    if (rc != SW_OK) return rc;
    rc = sw_file_write_all(f, bytes, n, err);
    if (rc == SW_OK) rc = sw_file_sync(f, err);
    int closed = sw_file_close(f, rc == SW_OK ? err : NULL);
    return rc != SW_OK ? rc : closed;
}

int sw_fs_replace(const char *path, const void *bytes, size_t n, sw_error *err)
{
    sw_buf beside = { 0 };
    int rc = sw_buf_printf(&beside, "%s.tmp", path);
    if (rc != SW_OK) return sw_error_set(err, SW_ENOMEM, "cannot write %s: out of memory", path);
    const char *temporary = (const char *)beside.data;
    rc = write_synced(temporary, bytes, n, err);
    if (rc == SW_OK) rc = sw_fs_rename(temporary, path, err);
    if (rc == SW_OK) {
        rc = sw_fs_sync_names(path, err);
    } else {
        (void)unlink(temporary); /* It may not be there. */
    }
    sw_buf_deinit(&beside);
    return rc;
}

/* Adds the directory's names to `names` as pointers to be freed; SW_ENOMEM, SW_EIO. */
static int read_names(DIR *dir, const char *path, sw_buf *names, sw_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL && errno != 0) return sw_error_errno(err, errno, "cannot list %s", path);
        if (entry == NULL) return SW_OK;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char *name = sw_strdup(entry->d_name);
        if (name == NULL || sw_buf_append(names, &name, sizeof(name)) != SW_OK) {
            sw_free(name);
            return sw_error_set(err, SW_ENOMEM, "cannot list %s: out of memory", path);
        }
    }
}

int sw_fs_list(const char *path, char ***names, size_t *n, sw_error *err)
{
    sw_buf found = { 0 };
    if (sw_fault_next(SW_FAULT_OPEN)) return sw_error_errno(err, EIO, "cannot list %s", path);
    DIR *dir = opendir(path);
    if (dir == NULL) return sw_error_errno(err, errno, "cannot list %s", path);
    int rc = read_names(dir, path, &found, err);
    closedir(dir);
    char **list = (char **)(void *)found.data;
    size_t count = found.size / sizeof(*list);
    if (rc == SW_OK) rc = publish_paths(list, count, names, n, err);
    for (size_t i = 0; i < count; i++) sw_free(list[i]);
    sw_buf_deinit(&found);
    return rc;
}

uint64_t sw_fs_free_bytes(const char *path)
{
    struct statvfs st;
    if (statvfs(path, &st) != 0) return UINT64_MAX;
    return (uint64_t)st.f_bavail * st.f_frsize;
}

/* open takes the lowest number that is free. */
void sw_fs_hold_standard(void)
{
    static const int modes[] = { O_WRONLY, O_RDONLY, O_RDWR }; /* What nobody asks of 0 and 1. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) < 0) return;
}

/* Appends what is left of f; stops one byte past the limit, which proves that there is more. */
static int read_rest(sw_file *f, const char *path, sw_buf *out, size_t limit, sw_error *err)
{
    size_t left = limit < SIZE_MAX ? limit + 1 : limit;
    while (left > 0) {
        size_t chunk = left < READ_ALL_CHUNK ? left : READ_ALL_CHUNK;
        if (sw_buf_reserve(out, chunk) != SW_OK) return sw_error_set(err, SW_ENOMEM, "%s: out of memory", path);
        ssize_t n = sw_file_read(f, out->data + out->size, chunk, err);
        if (n <= 0) return (int)n;
        out->size += (size_t)n;
        left -= (size_t)n;
    }
    return sw_error_set(err, SW_ELIMIT, "%s is larger than %zu bytes", path, limit);
}

int sw_fs_read_all(const char *path, sw_buf *out, size_t limit, sw_error *err)
{
    sw_file *f = NULL;
    size_t size_before = out->size;
    int rc = sw_file_open_read(&f, path, err);
    if (rc != SW_OK) return rc;
    rc = read_rest(f, path, out, limit, err);
    if (rc != SW_OK) out->size = size_before;
    sw_file_close(f, NULL);
    return rc;
}

/* --- trees ------------------------------------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

int sw_fs_remove_tree(const char *path, sw_error *err)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT) return SW_OK;
    return sw_error_errno(err, errno, "cannot remove %s", path);
}
