#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_MODE 0600

/* --- addresses ---------------------------------------------------------------------------------------------------- */

/* An address for path. *folder is a descriptor that it goes through, to be closed behind its use, or -1. */
static int make_address(struct sockaddr_un *address, const char *path, int *folder)
{
    *folder = -1;
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) < sizeof(address->sun_path)) {
        memcpy(address->sun_path, path, strlen(path));
        return 0;
    }
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) >= sizeof(parent)) return ENAMETOOLONG;
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    if ((*folder = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) return errno;
    int len = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d%s", *folder, slash);
    return len < (int)sizeof(address->sun_path) ? 0 : ENAMETOOLONG;
}

typedef int socket_act(int fd, const struct sockaddr *address, socklen_t len);

/* Binds or connects; an errno value. */
static int act_at(int fd, const char *path, socket_act *act)
{
    struct sockaddr_un address;
    int folder;
    int rc = make_address(&address, path, &folder);
    if (rc == 0 && act(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) != 0) rc = errno;
    if (folder >= 0) close(folder);
    return rc;
}

static int new_socket(int flags)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

/* --- listening ---------------------------------------------------------------------------------------------------- */

/* SW_EBUSY when somebody answers at path. */
static int refuse_if_alive(const char *path, sw_error *err)
{
    pid_t pid = 0;
    uid_t uid;
    int fd = new_socket(SOCK_NONBLOCK);
    if (fd < 0) return sw_error_errno(err, errno, "socket");
    int rc = act_at(fd, path, connect);
    if (rc == 0) sw_socket_peer(fd, &pid, &uid);
    close(fd);
    if (rc == 0) return sw_error_set(err, SW_EBUSY, "process %ld listens at %s", (long)pid, path);
    if (rc == EAGAIN) return sw_error_set(err, SW_EBUSY, "another process listens at %s", path);
    return SW_OK;
}

/* Bound under a name of its own and then renamed, so that nobody finds a socket that does not listen yet. */
static int bind_at(sw_listener *listener, const char *path, int backlog, sw_error *err)
{
    char temporary[PATH_MAX];
    struct stat st;
    int len = snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid());
    int rc = len < (int)sizeof(temporary) ? 0 : ENAMETOOLONG;
    if (rc == 0) {
        unlink(temporary);
        if (fchmod(listener->fd, SOCKET_MODE) != 0) rc = errno; /* Linux gives the file the mode of the socket. */
    }
    if (rc == 0) rc = act_at(listener->fd, temporary, bind);
    if (rc != 0) return sw_error_errno(err, rc, "cannot listen at %s", path);
    if (listen(listener->fd, backlog) == 0 && lstat(temporary, &st) == 0 && rename(temporary, path) == 0) {
        listener->device = st.st_dev;
        listener->inode = st.st_ino;
        return SW_OK;
    }
    rc = errno;
    unlink(temporary);
    return sw_error_errno(err, rc, "cannot listen at %s", path);
}

int sw_socket_listen(sw_listener *out, const char *path, int backlog, sw_error *err)
{
    sw_listener listener;
    int rc = refuse_if_alive(path, err);
    if (rc != SW_OK) return rc;
    if ((listener.fd = new_socket(SOCK_NONBLOCK)) < 0) return sw_error_errno(err, errno, "socket");
    if ((rc = bind_at(&listener, path, backlog, err)) != SW_OK) {
        close(listener.fd);
        return rc;
    }
    *out = listener;
    return SW_OK;
}

void sw_socket_close(sw_listener *listener, const char *path)
{
    struct stat st;
    if (listener->fd < 0) return;
    if (lstat(path, &st) == 0 && st.st_dev == listener->device && st.st_ino == listener->inode) unlink(path);
    close(listener->fd);
    listener->fd = -1;
}

/* --- connecting --------------------------------------------------------------------------------------------------- */

int sw_socket_connect(int *out, const char *path, int64_t timeout_ms, sw_error *err)
{
    const struct timeval timeout = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
    int fd = new_socket(0);
    if (fd < 0) return sw_error_errno(err, errno, "socket");
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)); /* It bounds connect as well. */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    int rc = act_at(fd, path, connect);
    if (rc == 0) {
        *out = fd;
        return SW_OK;
    }
    close(fd);
    if (rc == ECONNREFUSED || rc == ENOENT || rc == ENOTDIR)
        return sw_error_set(err, SW_ENOTFOUND, "nobody listens at %s", path);
    if (rc == EAGAIN) return sw_error_set(err, SW_EBUSY, "who listens at %s does not answer", path);
    return sw_error_errno(err, rc, "cannot connect to %s", path);
}

int sw_socket_peer(int fd, pid_t *pid, uid_t *uid)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) return SW_EIO;
    *pid = peer.pid;
    *uid = peer.uid;
    return SW_OK;
}
