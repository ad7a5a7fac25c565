/* control_client.h -- the other end of a job's control socket: finds running jobs and asks them.
 *
 *     JOB (a name, or a state directory) --open--> DIR/control.sock --call--> a reply, as a sw_message
 *
 * Ownership  close frees what open made; a reply lives until the next call.
 * Threads    one at a time.
 * Limits     calls block, for SW_CLIENT_TIMEOUT_MS or for as long as the job takes. */
#ifndef SW_CLI_CONTROL_CLIENT_H
#define SW_CLI_CONTROL_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "serve/message.h"

#define SW_CLIENT_TIMEOUT_MS 5000

typedef struct sw_client {
    int fd;           /* connected; -1 none */
    pid_t engine;     /* the process that serves the socket */
    sw_message reply; /* the last reply */
    sw_buf line;      /* its text, without line end; and what has come behind it */
    size_t line_len;  /* bytes of the line */
} sw_client;

/* The folder that holds the state directories of jobs. SW_ENOMEM. */
int sw_client_state_root(sw_buf *out);

/* Puts the state directory of a job, given by its name or that directory, into an empty buffer, with a NUL behind
 * it. It need not be there. SW_ENOMEM. */
int sw_client_state_dir(sw_buf *out, const char *job);

/* Connects to a job by its name or state directory. SW_ENOTFOUND: no such job runs; SW_EBUSY: it does not answer. */
int sw_client_open(sw_client *client, const char *job, sw_error *err);
/* Connects to a socket by its path. */
int sw_client_open_at(sw_client *client, const char *path, sw_error *err);
void sw_client_close(sw_client *client);

/* Sends a request (an object without id) and reads its reply. is_long: it may take as long as it likes. SW_ESTATE: the
 * job refused, and said why; SW_ECLOSED: it has gone; SW_EBUSY: it does not answer. */
int sw_client_call(sw_client *client, const char *request, bool is_long, sw_error *err);

#endif
