#include "base/watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

int sw_watch_open(const char *path, int *fd, sw_error *err)
{
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch >= 0 && inotify_add_watch(watch, path, IN_MODIFY) >= 0) {
        *fd = watch;
        return SW_OK;
    }
    int why = errno;
    if (watch >= 0) close(watch);
    if (why == EMFILE || why == ENFILE || why == ENOSPC)
        return sw_error_set(err, SW_ELIMIT, "cannot watch %s: %s", path, strerror(why));
    return sw_error_errno(err, why, "cannot watch %s", path);
}

void sw_watch_clear(int fd)
{
    char events[4096];
    while (read(fd, events, sizeof(events)) > 0) continue;
}

bool sw_watch_wait(int fd, int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, timeout_ms) > 0;
}

void sw_watch_close(int fd)
{
    if (fd >= 0) close(fd);
}
