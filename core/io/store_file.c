#include "io/store_file.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "state/mdb.h"

#define FILE_MODE 0666        /* less the umask */
#define READ_BYTES (1u << 20) /* of a segment, at once */
#define GROWTHS_MAX 30        /* doublings of the map in one transaction */
#define HEAD_BYTES 8u         /* of a change */
#define NOTE_KEY "\xc1swlua"  /* what no key begins with */

struct sw_store_file {
    sw_store_file *next;  /* of the list of open ones */
    char *path;           /* owned */
    MDB_env *env;         /* owned */
    MDB_dbi dbi;          /* the table */
    sw_file *locked;      /* by a sink; NULL: by none; owned */
    uint32_t users;       /* calls of open that were not closed */
    pthread_mutex_t lock; /* held while there is a transaction: the map grows only when there is none */
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static sw_store_file *open_files; /* under list_lock */

static int lmdb_error(sw_error *err, int rc, const char *path)
{
    int code = sw_mdb_fail(err, rc, path);
    if (code != SW_EFORMAT) return code;
    return sw_error_set(err, code, "%s is no store, or damaged: %s", path, mdb_strerror(rc));
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int open_env(MDB_env **out, const char *path, unsigned flags, size_t map_bytes)
{
    MDB_env *env = NULL;
    int rc = SW_MDB(mdb_env_create(&env));
    if (rc != 0) return rc;
    if ((rc = mdb_env_set_mapsize(env, map_bytes)) == 0)
        rc = SW_MDB(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS | flags, FILE_MODE));
    if (rc != 0) {
        mdb_env_close(env); /* LMDB wants this also when open failed. */
        return rc;
    }
    *out = env;
    return 0;
}

/* An environment that a crash leaves half made cannot be opened: it gets its name when it is whole. */
static int create(const char *path, sw_error *err)
{
    MDB_env *env = NULL;
    sw_buf made = { 0 };
    if (sw_buf_printf(&made, "%s.new", path) != SW_OK) return sw_error_set(err, SW_ENOMEM, "%s: out of memory", path);
    const char *name = (const char *)made.data;
    int rc = sw_fs_exists(name) ? sw_fs_remove(name, err) : SW_OK;
    if (rc != SW_OK) goto done;
    SW_CRASH_POINT("store-create");
    int failed = open_env(&env, name, MDB_NOLOCK, READ_BYTES);
    if (failed == 0) failed = SW_MDB(mdb_env_sync(env, 1));
    if (env != NULL) mdb_env_close(env);
    if (failed != 0) {
        rc = lmdb_error(err, failed, path);
        goto done;
    }
    SW_CRASH_POINT("store-rename");
    if ((rc = sw_fs_rename(name, path, err)) != SW_OK) goto done;
    SW_CRASH_POINT("store-renamed");
    rc = sw_fs_sync_names(path, err);

done:
    sw_buf_deinit(&made);
    return rc;
}

/* A file that was cut is filled up with zeros: pages that are not there would end the process, these read as damaged.
 * (A sound one may be a little shorter too: pages freed in the transaction that took them are not written.) */
static int fill_up(MDB_env *env, const char *path, sw_error *err)
{
    MDB_envinfo info;
    MDB_stat stat;
    sw_file *file = NULL;
    mdb_env_info(env, &info);
    mdb_env_stat(env, &stat);
    int rc = sw_file_open_update(&file, path, err);
    if (rc != SW_OK) return rc;
    uint64_t wanted = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    int64_t size = sw_file_size(file, err);
    if (size < 0) rc = (int)size;
    if (size >= 0 && (uint64_t)size < wanted) rc = sw_file_truncate(file, wanted, err);
    sw_file_close(file, NULL);
    return rc;
}

static int open_table(sw_store_file *store, sw_error *err)
{
    MDB_txn *txn = NULL;
    int rc = SW_MDB(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn));
    if (rc == 0) rc = SW_MDB(mdb_dbi_open(txn, NULL, 0, &store->dbi));
    if (rc == 0) {
        rc = sw_mdb_commit(txn); /* Keeps the handle. */
    } else if (txn != NULL) {
        mdb_txn_abort(txn);
    }
    return rc == 0 ? SW_OK : lmdb_error(err, rc, store->path);
}

static int open_new(sw_store_file **out, const char *path, size_t map_bytes, sw_error *err)
{
    int dead = 0;
    if (sw_fs_is_dir(path)) return sw_error_set(err, SW_EINVAL, "%s is a directory", path);
    if (sw_fs_is_remote(path))
        return sw_error_set(err, SW_EINVAL, "%s is on a remote file system, where a store is not safe", path);
    int rc = sw_fs_exists(path) ? SW_OK : create(path, err);
    if (rc != SW_OK) return rc;
    sw_store_file *store = sw_calloc(1, sizeof(*store));
    if (store == NULL || (store->path = sw_strdup(path)) == NULL) {
        sw_free(store);
        return sw_error_set(err, SW_ENOMEM, "%s: out of memory", path);
    }
    pthread_mutex_init(&store->lock, NULL);
    if ((rc = open_env(&store->env, path, 0, map_bytes)) != 0) {
        rc = lmdb_error(err, rc, path);
        goto free_store;
    }
    mdb_reader_check(store->env, &dead);
    if ((rc = fill_up(store->env, path, err)) != SW_OK || (rc = open_table(store, err)) != SW_OK) goto close_env;
    *out = store;
    return SW_OK;

close_env:
    mdb_env_close(store->env);
free_store:
    pthread_mutex_destroy(&store->lock);
    sw_free(store->path);
    sw_free(store);
    return rc;
}

int sw_store_file_open(sw_store_file **out, const char *path, size_t map_bytes, sw_error *err)
{
    int rc = SW_OK;
    pthread_mutex_lock(&list_lock);
    sw_store_file *store = open_files;
    while (store != NULL && !sw_fs_is_same(store->path, path)) store = store->next;
    if (store == NULL && (rc = open_new(&store, path, map_bytes, err)) == SW_OK) {
        store->next = open_files;
        open_files = store;
    }
    if (rc == SW_OK) {
        store->users++;
        *out = store;
    }
    pthread_mutex_unlock(&list_lock);
    return rc;
}

void sw_store_file_close(sw_store_file *store)
{
    if (store == NULL) return;
    pthread_mutex_lock(&list_lock);
    if (--store->users == 0) {
        sw_store_file **at = &open_files;
        while (*at != store) at = &(*at)->next;
        *at = store->next;
        mdb_env_close(store->env);
        pthread_mutex_destroy(&store->lock);
        sw_free(store->path);
        sw_free(store);
    }
    pthread_mutex_unlock(&list_lock);
}

int sw_store_file_lock(sw_store_file *store, sw_error *err)
{
    sw_file *file = NULL;
    pthread_mutex_lock(&store->lock);
    int rc = store->locked != NULL ? sw_error_set(err, SW_EBUSY, "%s is being written by another sink", store->path)
                                   : sw_file_open_update(&file, store->path, err);
    if (rc == SW_OK && (rc = sw_file_lock(file, err)) == SW_OK) {
        store->locked = file;
        file = NULL;
    }
    sw_file_close(file, NULL);
    pthread_mutex_unlock(&store->lock);
    return rc;
}

void sw_store_file_unlock(sw_store_file *store)
{
    pthread_mutex_lock(&store->lock);
    sw_file_close(store->locked, NULL);
    store->locked = NULL;
    pthread_mutex_unlock(&store->lock);
}

/* --- transactions ------------------------------------------------------------------------------------------------- */

static MDB_val note_key(void)
{
    return (MDB_val){ sizeof(NOTE_KEY) - 1, NOTE_KEY };
}

static int put_note(sw_store_file *store, MDB_txn *txn, uint64_t checkpoint)
{
    uint8_t bytes[8];
    MDB_val key = note_key(), value = { sizeof(bytes), bytes };
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(checkpoint >> (56 - 8 * i));
    if (checkpoint != 0) return SW_MDB(mdb_put(txn, store->dbi, &key, &value, 0));
    int rc = SW_MDB(mdb_del(txn, store->dbi, &key, NULL));
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int sw_store_file_applied(sw_store_file *store, uint64_t *checkpoint, sw_error *err)
{
    MDB_txn *txn = NULL;
    MDB_val key = note_key(), value;
    uint64_t noted = 0;
    pthread_mutex_lock(&store->lock);
    int rc = SW_MDB(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn));
    if (rc == 0) {
        rc = SW_MDB(mdb_get(txn, store->dbi, &key, &value));
        if (rc == 0 && value.mv_size != 8) rc = MDB_CORRUPTED;
        for (int i = 0; rc == 0 && i < 8; i++) noted = noted << 8 | ((const uint8_t *)value.mv_data)[i];
        mdb_txn_abort(txn);
    }
    pthread_mutex_unlock(&store->lock);
    if (rc != 0 && rc != MDB_NOTFOUND) return lmdb_error(err, rc, store->path);
    *checkpoint = noted;
    return SW_OK;
}

static uint32_t u32_at(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

/* Makes the changes that are whole, and sets *used to their bytes. */
static int apply_changes(sw_store_file *store, MDB_txn *txn, const uint8_t *p, size_t n, size_t *used)
{
    size_t at = 0;
    int rc = 0;
    while (rc == 0 && n - at >= HEAD_BYTES) {
        uint32_t key_len = u32_at(p + at), value_len = u32_at(p + at + 4);
        bool is_removed = value_len == SW_STORE_REMOVED;
        uint64_t len = (uint64_t)HEAD_BYTES + key_len + (is_removed ? 0 : value_len);
        if (key_len == 0 || key_len > SW_STORE_KEY_MAX) return MDB_BAD_VALSIZE;
        if (n - at < len) break;
        MDB_val key = { key_len, (void *)(uintptr_t)(p + at + HEAD_BYTES) };
        MDB_val value = { value_len, (void *)(uintptr_t)(p + at + HEAD_BYTES + key_len) };
        if (sw_fault_next(SW_FAULT_MAP)) return MDB_MAP_FULL;
        rc = SW_MDB(is_removed ? mdb_del(txn, store->dbi, &key, NULL) : mdb_put(txn, store->dbi, &key, &value, 0));
        if (is_removed && rc == MDB_NOTFOUND) rc = 0;
        at += len;
    }
    *used = at;
    return rc;
}

/* Failures of LMDB are returned as such, others as SW_E* in *failed. */
static int apply_file(sw_store_file *store, MDB_txn *txn, const sw_store_changes *changes, int *failed, sw_error *err)
{
    sw_buf buf = { 0 };
    uint64_t offset = 0;
    int rc = 0;
    while (rc == 0 && (offset < changes->bytes || buf.size > 0)) {
        uint64_t left = changes->bytes - offset;
        size_t wanted = left < READ_BYTES ? (size_t)left : READ_BYTES, used = 0;
        if (sw_buf_reserve(&buf, READ_BYTES) != SW_OK) *failed = sw_error_set(err, SW_ENOMEM, "out of memory");
        ssize_t got = *failed == SW_OK ? sw_file_pread(changes->file, buf.data + buf.size, wanted, offset, err) : 0;
        if (got < 0) *failed = (int)got;
        if (*failed != SW_OK) break;
        buf.size += (size_t)got;
        offset += (uint64_t)got;
        rc = apply_changes(store, txn, buf.data, buf.size, &used);
        if (rc == 0 && used == 0 && got == 0) rc = MDB_BAD_VALSIZE; /* The last one is not whole. */
        memmove(buf.data, buf.data + used, buf.size - used);
        buf.size -= used;
    }
    sw_buf_deinit(&buf);
    return rc;
}

static int apply_once(sw_store_file *store, const sw_store_changes *changes, uint64_t checkpoint, int *failed,
                      sw_error *err)
{
    MDB_txn *txn = NULL;
    size_t used = 0;
    int rc = SW_MDB(mdb_txn_begin(store->env, NULL, 0, &txn));
    if (rc != 0) return rc;
    if (changes->data != NULL) {
        rc = apply_changes(store, txn, changes->data, changes->bytes, &used);
        if (rc == 0 && used != changes->bytes) rc = MDB_BAD_VALSIZE;
    } else if (changes->file != NULL) {
        rc = apply_file(store, txn, changes, failed, err);
    }
    if (rc == 0 && *failed == SW_OK && checkpoint != SW_STORE_NO_NOTE) rc = put_note(store, txn, checkpoint);
    if (rc == 0 && *failed == SW_OK) {
        SW_CRASH_POINT("store-commit");
        rc = sw_mdb_commit(txn);
        SW_CRASH_POINT("store-committed");
        return rc;
    }
    mdb_txn_abort(txn);
    return rc;
}

/* Under the lock, so that there is no transaction. */
static int grow(sw_store_file *store)
{
    MDB_envinfo info;
    mdb_env_info(store->env, &info);
    return mdb_env_set_mapsize(store->env, info.me_mapsize * 2);
}

int sw_store_file_apply(sw_store_file *store, const sw_store_changes *changes, uint64_t checkpoint, sw_error *err)
{
    int rc, failed = SW_OK, dead = 0;
    pthread_mutex_lock(&store->lock);
    mdb_reader_check(store->env, &dead); /* A reader that died would keep every page it saw. */
    for (int i = 0; i < GROWTHS_MAX; i++) {
        rc = apply_once(store, changes, checkpoint, &failed, err);
        if (rc == MDB_MAP_RESIZED) rc = mdb_env_set_mapsize(store->env, 0); /* Another process has made it grow. */
        else if (rc == MDB_MAP_FULL) rc = grow(store);
        else break;
        if (rc != 0) break;
    }
    pthread_mutex_unlock(&store->lock);
    if (failed != SW_OK) return failed;
    if (rc == MDB_BAD_VALSIZE) return sw_error_set(err, SW_EFORMAT, "store %s: the changes are damaged", store->path);
    return rc == 0 ? SW_OK : lmdb_error(err, rc, store->path);
}

int sw_store_file_note(sw_store_file *store, uint64_t checkpoint, sw_error *err)
{
    static const sw_store_changes none = { 0 };
    return sw_store_file_apply(store, &none, checkpoint, err);
}
