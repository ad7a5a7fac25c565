/* control.h -- the control socket of a running job: requests and replies as lines of JSON over a Unix socket.
 *
 *     {"id":1,"cmd":"ps"}                      --> {"id":1,"ok":true,"name":"fraud","pid":4711,...}
 *     {"id":2,"cmd":"stop","mode":"drain"}     --> {"id":2,"ok":true}
 *     {"id":3,"cmd":"savepoint","name":"a b"}  --> {"id":3,"ok":false,"error":"..."}
 *
 * `id` is a whole number or a text, and comes back with the reply; replies come in the order in which they are ready.
 * What a command does is up to sw_control_ops; it may reply later.
 *
 * Hostile peers  Only the job's user and root may connect. Nothing here waits: reading, replying and closing go through
 *                the loop. A request, the replies that nobody reads, the requests under way on a connection and the
 *                connections are bounded; when all connections are taken, the one that has been silent for longest
 *                makes room. A line that is no request is answered with an error and the connection goes on; one that
 *                is too long ends it.
 *
 * Ownership  sw_control_close writes what it can, frees the connections and removes the socket. A request handle lives
 *            until its one reply, also when its connection or the control socket has gone by then.
 * Threads    the thread of the loop.
 * Limits     the constants below. The process has to ignore SIGPIPE. */
#ifndef SW_SERVE_CONTROL_H
#define SW_SERVE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "serve/message.h"

#define SW_CONTROL_LINE_MAX (1u << 20)    /* bytes of a request */
#define SW_CONTROL_UNREAD_MAX (16u << 20) /* bytes of replies on a connection */
#define SW_CONTROL_PENDING_MAX 64         /* requests under way on a connection */
#define SW_CONTROL_CONNECTIONS_MAX 256
#define SW_CONTROL_IDLE_MS 30000 /* a connection without a request under way is closed after so long */

struct event_base;

typedef struct sw_control sw_control;
typedef struct sw_control_request sw_control_request;

/* A command: replies to the request, now or later. The message is valid during the call. */
typedef void sw_control_handler(void *arg, sw_control_request *request, const sw_message *message);

/* NULL: the command is answered with an error that says it is not available. */
typedef struct sw_control_ops {
    void *arg;                      /* passed to each */
    sw_control_handler *ps;         /* what runs, and how */
    sw_control_handler *stop;       /* mode: "checkpoint" (without one), "drain", "now", "savepoint" with `name` */
    sw_control_handler *checkpoint; /* takes one */
    sw_control_handler *savepoint;  /* `name` */
    sw_control_handler *state;      /* op: "get", "scan", "instances"; component, key (cli/job_state.h) */
} sw_control_ops;

/* SW_EBUSY: another process serves that socket; SW_ENOTFOUND: no such folder; SW_EIO, SW_ENOMEM. */
int sw_control_open(sw_control **out, struct event_base *base, const char *path, const sw_control_ops *ops,
                    sw_error *err);
void sw_control_close(sw_control *control); /* NULL is fine */

/* Serves a connected, non-blocking descriptor as one that was accepted, and takes it over. SW_ENOMEM. */
int sw_control_serve(sw_control *control, int fd);
size_t sw_control_connections(const sw_control *control);

/* Answers a request and frees it. `members` is what the reply holds besides id and ok: `"a":1,"b":"x"`, or empty. */
void sw_control_reply(sw_control_request *request, const char *members);
void sw_control_refuse(sw_control_request *request, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
