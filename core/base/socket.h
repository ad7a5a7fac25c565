/* socket.h -- the seam of Unix sockets: where one listens, and who is behind one.
 *
 *     server --listen--> PATH (mode 0600)  <--connect-- client
 *
 * A path too long for an address is reached through a descriptor of its folder. A socket that a dead process has left
 * is replaced; so two servers that start at once may replace each other's, where a lock does not keep them apart.
 *
 * Ownership  Descriptors are the caller's to close; they are not inherited by programs.
 * Threads    any.
 * Limits     Linux. */
#ifndef SW_BASE_SOCKET_H
#define SW_BASE_SOCKET_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A socket that listens. */
typedef struct sw_listener {
    int fd;       /* -1: closed */
    dev_t device; /* of its file */
    ino_t inode;  /* of its file */
} sw_listener;

/* Listens at path, without blocking. SW_EBUSY: a living process does (err names its pid); SW_ENOTFOUND: no such
 * folder; SW_EIO. */
int sw_socket_listen(sw_listener *out, const char *path, int backlog, sw_error *err);

/* Closes it and removes its file, unless another's has taken the place. */
void sw_socket_close(sw_listener *listener, const char *path);

/* Connects; each read and write on it then takes timeout_ms at most. SW_ENOTFOUND: nobody listens there; SW_EBUSY: who
 * listens does not answer; SW_EIO. */
int sw_socket_connect(int *out, const char *path, int64_t timeout_ms, sw_error *err);

/* The process at the other end, as it was when it connected or listened. SW_EIO. */
int sw_socket_peer(int fd, pid_t *pid, uid_t *uid);

#ifdef __cplusplus
}
#endif

#endif
