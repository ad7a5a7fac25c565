#include "cli/control_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/socket.h"
#include "serve/control.h"

#define READ_SIZE 4096

/* --- finding ------------------------------------------------------------------------------------------------------ */

int sw_client_state_root(sw_buf *out)
{
    const char *home = getenv("XDG_STATE_HOME"), *user = getenv("HOME");
    if (home != NULL && home[0] != '\0') return sw_buf_printf(out, "%s/swlua", home);
    return sw_buf_printf(out, "%s/.local/state/swlua", user != NULL ? user : ".");
}

/* A path with a slash, and what is a directory here and no job's name, is a state directory. */
int sw_client_state_dir(sw_buf *out, const char *job)
{
    int rc = SW_OK;
    if (strchr(job, '/') == NULL) {
        rc = sw_client_state_root(out);
        if (rc == SW_OK) rc = sw_buf_printf(out, "/%s", job);
        bool is_here = rc == SW_OK && !sw_fs_is_dir((const char *)out->data) && sw_fs_is_dir(job);
        if (rc != SW_OK || !is_here) return rc;
        sw_buf_clear(out);
    }
    return rc == SW_OK ? sw_buf_printf(out, "%s", job) : rc;
}

/* --- connecting --------------------------------------------------------------------------------------------------- */

int sw_client_open_at(sw_client *client, const char *path, sw_error *err)
{
    uid_t uid;
    memset(client, 0, sizeof(*client));
    client->fd = -1;
    int rc = sw_message_init(&client->reply, err);
    if (rc == SW_OK) rc = sw_socket_connect(&client->fd, path, SW_CLIENT_TIMEOUT_MS, err);
    if (rc == SW_OK && sw_socket_peer(client->fd, &client->engine, &uid) != SW_OK)
        rc = sw_error_set(err, SW_EIO, "%s: who is there?", path);
    if (rc != SW_OK) sw_client_close(client);
    return rc;
}

int sw_client_open(sw_client *client, const char *job, sw_error *err)
{
    sw_buf path = { 0 };
    int rc = sw_client_state_dir(&path, job);
    if (rc == SW_OK) rc = sw_buf_printf(&path, "/control.sock");
    if (rc != SW_OK) rc = sw_error_set(err, rc, "out of memory");
    else rc = sw_client_open_at(client, (const char *)path.data, err);
    sw_buf_deinit(&path);
    if (rc == SW_ENOTFOUND) sw_error_prepend(err, "no job \"%s\" runs", job);
    return rc;
}

void sw_client_close(sw_client *client)
{
    if (client->fd >= 0) close(client->fd);
    client->fd = -1;
    sw_message_deinit(&client->reply);
    sw_buf_deinit(&client->line);
}

/* --- calling ------------------------------------------------------------------------------------------------------ */

static int fail_of(int errno_value, sw_error *err)
{
    if (errno_value == EAGAIN) return sw_error_set(err, SW_EBUSY, "it does not answer");
    if (errno_value == EPIPE || errno_value == ECONNRESET) return sw_error_set(err, SW_ECLOSED, "it has ended");
    return sw_error_errno(err, errno_value, "control socket");
}

static int send_all(sw_client *client, const char *text, size_t len, sw_error *err)
{
    while (len > 0) {
        ssize_t sent = send(client->fd, text, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return fail_of(errno, err);
        text += sent;
        len -= (size_t)sent;
    }
    return SW_OK;
}

static int receive_line(sw_client *client, sw_error *err)
{
    sw_buf_clear(&client->line);
    for (;;) {
        if (client->line.size > SW_CONTROL_UNREAD_MAX) return sw_error_set(err, SW_ELIMIT, "its reply has no end");
        if (sw_buf_reserve(&client->line, READ_SIZE) != SW_OK) return sw_error_set(err, SW_ENOMEM, "out of memory");
        uint8_t *at = client->line.data + client->line.size;
        ssize_t got = recv(client->fd, at, READ_SIZE, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_of(errno, err);
        if (got == 0) return sw_error_set(err, SW_ECLOSED, "it has ended");
        client->line.size += (size_t)got;
        const uint8_t *end = memchr(at, '\n', (size_t)got);
        if (end == NULL) continue;
        client->line_len = (size_t)(end - client->line.data);
        return SW_OK;
    }
}

int sw_client_call(sw_client *client, const char *request, bool is_long, sw_error *err)
{
    const struct timeval timeout = { .tv_sec = is_long ? 0 : SW_CLIENT_TIMEOUT_MS / 1000 };
    char why[SW_ERROR_TEXT_SIZE];
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    int rc = send_all(client, request, strlen(request), err);
    if (rc == SW_OK) rc = send_all(client, "\n", 1, err);
    if (rc == SW_OK) rc = receive_line(client, err);
    if (rc == SW_OK) rc = sw_message_read(&client->reply, client->line.data, client->line_len, err);
    if (rc != SW_OK || sw_message_is(&client->reply, "ok")) return rc;
    if (!sw_message_text(&client->reply, "error", why, sizeof(why))) return sw_error_set(err, SW_ESTATE, "refused");
    return sw_error_set(err, SW_ESTATE, "%s", why);
}
