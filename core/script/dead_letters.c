#include "script/dead_letters.h"

#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"
#include "io/codec.h"

struct sw_dead_letters {
    pthread_mutex_t lock; /* guards the rest */
    char *directory;      /* owned */
    sw_file *file;        /* NULL before the first letter */
    sw_encoder *encoder;  /* JSON lines */
    sw_buf line;          /* scratch */
};

int sw_dead_letters_open(sw_dead_letters **out, const char *directory, sw_error *err)
{
    sw_dead_letters *letters = sw_calloc(1, sizeof(*letters));
    if (letters == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    pthread_mutex_init(&letters->lock, NULL);
    sw_buf_init(&letters->line);
    letters->directory = sw_strdup(directory);
    int rc = letters->directory == NULL ? sw_error_set(err, SW_ENOMEM, "out of memory")
                                        : sw_encoder_new(&letters->encoder, "jsonl", err);
    if (rc != SW_OK) {
        sw_dead_letters_close(letters);
        return rc;
    }
    *out = letters;
    return SW_OK;
}

static int open_file(sw_dead_letters *letters, sw_error *err)
{
    char path[4096];
    int rc = sw_fs_mkdirs(letters->directory, err);
    if (rc != SW_OK) return rc;
    snprintf(path, sizeof(path), "%s/dead-letters.jsonl", letters->directory);
    return sw_file_open_append(&letters->file, path, err);
}

int sw_dead_letters_write(sw_dead_letters *letters, const sw_row *row, sw_error *err)
{
    if (letters == NULL) return SW_OK;
    pthread_mutex_lock(&letters->lock);
    sw_buf_clear(&letters->line);
    int rc = letters->file == NULL ? open_file(letters, err) : SW_OK;
    if (rc == SW_OK) rc = sw_encoder_encode(letters->encoder, row, &letters->line, err);
    if (rc == SW_OK) rc = sw_file_write_all(letters->file, letters->line.data, letters->line.size, err);
    pthread_mutex_unlock(&letters->lock);
    return rc;
}

void sw_dead_letters_close(sw_dead_letters *letters)
{
    if (letters == NULL) return;
    if (letters->file != NULL) sw_file_close(letters->file, NULL);
    sw_encoder_free(letters->encoder);
    sw_buf_deinit(&letters->line);
    pthread_mutex_destroy(&letters->lock);
    sw_free(letters->directory);
    sw_free(letters);
}
