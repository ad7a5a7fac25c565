/* publish.c -- making files and ids of store.h durable. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "state/store.h"

#define NUMBER_SIZE 32
#define NUMBER_MAX ((uint64_t)1 << 60) /* of an id that can be true */
#define ROOM_MIN (1u << 20)            /* bytes left alone */

int sw_store_check_room(const sw_checkpoints *checkpoints, uint64_t bytes, sw_error *err)
{
    uint64_t room = sw_fs_free_bytes(checkpoints->dir);
    if (room >= bytes && room - bytes >= ROOM_MIN) return SW_OK;
    return sw_error_set(err, SW_ENOSPC, "%s: no space for %" PRIu64 " bytes, %" PRIu64 " are free", checkpoints->dir,
                        bytes, room);
}

int sw_store_sync_dir(const sw_checkpoints *checkpoints, const char *dir, sw_error *err)
{
    return checkpoints->options.sync_is_unsafe ? SW_OK : sw_fs_sync_dir(dir, err);
}

int sw_store_publish(const sw_checkpoints *checkpoints, const char *dir, const char *temporary, const char *path,
                     sw_error *err)
{
    SW_CRASH_POINT("checkpoint.before-rename");
    int rc = sw_fs_rename(temporary, path, err);
    if (rc != SW_OK) {
        sw_fs_remove(temporary, NULL);
        return rc;
    }
    SW_CRASH_POINT("checkpoint.after-rename");
    rc = sw_store_sync_dir(checkpoints, dir, err);
    if (rc != SW_OK) sw_fs_remove(path, NULL);
    if (rc == SW_OK) SW_CRASH_POINT("checkpoint.after-sync-dir");
    return rc;
}

int sw_store_read_number(const char *dir, const char *name, uint64_t *number, sw_error *err)
{
    char path[SW_PATH_MAX + NUMBER_SIZE];
    sw_buf text = { 0 };
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int rc = sw_fs_read_all(path, &text, NUMBER_SIZE, err);
    if (rc == SW_OK && (rc = sw_buf_append(&text, "", 1)) != SW_OK)
        sw_error_set(err, rc, "cannot read %s: out of memory", path);
    if (rc == SW_OK && (*number = strtoull((const char *)text.data, NULL, 10)) > NUMBER_MAX)
        rc = sw_error_set(err, SW_EFORMAT, "%s is damaged", path);
    if (rc == SW_ENOTFOUND) *number = 0;
    sw_buf_deinit(&text);
    return rc == SW_ENOTFOUND ? SW_OK : rc;
}

/* Called with the mutex held. */
static int write_ids(sw_checkpoints *checkpoints, uint64_t end, sw_error *err)
{
    char path[SW_PATH_MAX + NUMBER_SIZE], text[NUMBER_SIZE];
    snprintf(path, sizeof(path), "%s/%s", checkpoints->checkpoints, SW_STORE_IDS);
    int size = snprintf(text, sizeof(text), "%" PRIu64 "\n", end);
    SW_CRASH_POINT("ids.before-write");
    int rc = sw_fs_replace(path, text, (size_t)size, err);
    SW_CRASH_POINT("ids.after-write");
    if (rc == SW_OK) checkpoints->ids_end = end;
    return rc;
}

int sw_store_reserve_ids(sw_checkpoints *checkpoints, uint64_t id, sw_error *err)
{
    pthread_mutex_lock(&checkpoints->ids_mutex);
    int rc = id < checkpoints->ids_end ? SW_OK : write_ids(checkpoints, id + SW_IDS_RESERVED, err);
    pthread_mutex_unlock(&checkpoints->ids_mutex);
    return rc;
}

void sw_store_return_ids(sw_checkpoints *checkpoints)
{
    pthread_mutex_lock(&checkpoints->ids_mutex);
    if (checkpoints->ids_end > checkpoints->next_id) (void)write_ids(checkpoints, checkpoints->next_id, NULL);
    pthread_mutex_unlock(&checkpoints->ids_mutex);
}

uint64_t sw_checkpoints_next_id(sw_checkpoints *checkpoints)
{
    SW_ASSERT(!checkpoints->options.is_read_only);
    pthread_mutex_lock(&checkpoints->ids_mutex);
    uint64_t id = checkpoints->next_id++;
    /* Where that fails commit tries again, and fails as long as the id is not recorded. */
    if (id >= checkpoints->ids_end) (void)write_ids(checkpoints, id + SW_IDS_RESERVED, NULL);
    pthread_mutex_unlock(&checkpoints->ids_mutex);
    return id;
}

/* Overwritten in place: a file that is emptied first is written out at once by some filesystems. */
static int open_note(sw_file **out, const char *path)
{
    int rc = sw_file_open_random(out, path, true, NULL);
    return rc == SW_ENOTFOUND ? sw_file_open_create(out, path, NULL) : rc;
}

static void note(const sw_checkpoints *checkpoints, const char *name, uint64_t id)
{
    char path[SW_PATH_MAX + NUMBER_SIZE], text[NUMBER_SIZE];
    sw_file *file = NULL;
    snprintf(path, sizeof(path), "%s/%s", checkpoints->checkpoints, name);
    int size = snprintf(text, sizeof(text), "%020" PRIu64 "\n", id);
    if (open_note(&file, path) != SW_OK) return;
    sw_file_pwrite(file, text, (size_t)size, 0, NULL);
    sw_file_close(file, NULL);
}

void sw_checkpoints_note_over(const sw_checkpoints *checkpoints, uint64_t id)
{
    note(checkpoints, SW_STORE_OVER, id);
}

bool sw_checkpoints_is_over(const sw_checkpoints *checkpoints, uint64_t id)
{
    uint64_t noted;
    sw_error err;
    return sw_store_read_number(checkpoints->checkpoints, SW_STORE_OVER, &noted, &err) == SW_OK && noted == id;
}

void sw_store_note_newest(const sw_checkpoints *checkpoints)
{
    const sw_catalog *catalog = &checkpoints->catalog;
    uint64_t newest = 0;
    for (uint32_t i = 0; i < catalog->count; i++)
        if (!catalog->files[i].is_skipped) newest = catalog->files[i].id;
    note(checkpoints, SW_STORE_NEWEST, newest);
}
