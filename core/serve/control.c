#include "serve/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/socket.h"
#include "io/json_write.h"

#define BACKLOG 64
#define ACCEPTS_MAX 16      /* at once, before others get their turn */
#define ACCEPT_RETRY_MS 100 /* after a failure to accept: descriptors may be free again */
#define ID_TEXT_MAX 100     /* bytes of an id that is a text */
#define ID_JSON_SIZE (6 * ID_TEXT_MAX + 3)

typedef struct connection {
    sw_control *control;          /* whose it is */
    struct bufferevent *bev;      /* owned, with its descriptor */
    struct connection *quieter;   /* the one that was active before it */
    struct connection *livelier;  /* and behind it */
    sw_control_request *requests; /* under way */
    uint32_t pending;             /* of them */
    size_t scanned;               /* bytes of the input that hold no line end */
    bool is_at_end;               /* the client has said all; closed once everything is answered */
    bool is_ending;               /* the same, and what it has said since does not count */
    bool is_in_use;               /* on the stack of on_readable */
    bool is_broken;               /* to be freed by on_readable */
} connection;

struct sw_control_request {
    connection *from;         /* NULL: it has gone */
    sw_control_request *next; /* of the same connection */
    char id[ID_JSON_SIZE];    /* as JSON */
};

struct sw_control {
    struct event_base *base;    /* borrowed */
    sw_control_ops ops;         /* as given to open */
    sw_listener listener;       /* owned */
    char *path;                 /* of the socket; owned */
    struct event *accept_event; /* somebody connects */
    struct event *retry_event;  /* listens again after a failure */
    connection *quietest;       /* silent for longest */
    connection *liveliest;      /* active last */
    size_t count;               /* connections */
    sw_message message;         /* the request being looked at */
};

/* --- connections -------------------------------------------------------------------------------------------------- */

static void unlink_connection(connection *c)
{
    sw_control *control = c->control;
    if (c->quieter != NULL) c->quieter->livelier = c->livelier;
    else control->quietest = c->livelier;
    if (c->livelier != NULL) c->livelier->quieter = c->quieter;
    else control->liveliest = c->quieter;
}

static void link_liveliest(connection *c)
{
    sw_control *control = c->control;
    c->quieter = control->liveliest;
    c->livelier = NULL;
    if (control->liveliest != NULL) control->liveliest->livelier = c;
    else control->quietest = c;
    control->liveliest = c;
}

/* What can be written at once is. */
static void flush(connection *c)
{
    struct evbuffer *output = bufferevent_get_output(c->bev);
    evbuffer_unfreeze(output, 1); /* The bufferevent keeps it for itself. */
    if (evbuffer_get_length(output) > 0) evbuffer_write(output, bufferevent_getfd(c->bev));
}

static void free_connection(connection *c)
{
    for (sw_control_request *r = c->requests; r != NULL; r = r->next) r->from = NULL;
    unlink_connection(c);
    c->control->count--;
    bufferevent_free(c->bev);
    sw_free(c);
}

static void drop(connection *c)
{
    if (c->is_in_use) c->is_broken = true;
    else free_connection(c);
}

/* Closes a connection that reads no more once it has nothing to say either. */
static void drop_if_over(connection *c)
{
    bool is_silent = c->pending == 0 && evbuffer_get_length(bufferevent_get_output(c->bev)) == 0;
    bool has_lines = !c->is_ending && evbuffer_get_length(bufferevent_get_input(c->bev)) > c->scanned;
    if ((c->is_at_end || c->is_ending) && is_silent && !has_lines) drop(c);
}

static void write_line(connection *c, const sw_buf *line)
{
    struct evbuffer *output = bufferevent_get_output(c->bev);
    if (evbuffer_get_length(output) + line->size > SW_CONTROL_UNREAD_MAX ||
        bufferevent_write(c->bev, line->data, line->size) != 0)
        drop(c); /* It does not read. */
}

/* --- replies ------------------------------------------------------------------------------------------------------ */

static void leave_connection(sw_control_request *request)
{
    connection *c = request->from;
    sw_control_request **at = &c->requests;
    while (*at != request) at = &(*at)->next;
    *at = request->next;
    c->pending--;
}

/* Sends `{"id":ID,"ok":OK<rest>}` and frees the request. Out of memory, the connection ends: a missing reply would be
 * waited for. */
static void answer(sw_control_request *request, bool is_ok, const char *before, const char *rest)
{
    connection *c = request->from;
    if (c != NULL) {
        sw_buf line = { 0 };
        bool was_full = c->pending == SW_CONTROL_PENDING_MAX;
        int rc =
            sw_buf_printf(&line, "{\"id\":%s,\"ok\":%s%s%s}\n", request->id, is_ok ? "true" : "false", before, rest);
        leave_connection(request);
        if (was_full) bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
        if (rc == SW_OK) write_line(c, &line);
        else drop(c);
        sw_buf_deinit(&line);
    }
    sw_free(request);
}

void sw_control_reply(sw_control_request *request, const char *members)
{
    answer(request, true, members[0] != '\0' ? "," : "", members);
}

void sw_control_refuse(sw_control_request *request, const char *fmt, ...)
{
    char text[SW_ERROR_TEXT_SIZE];
    sw_buf error = { 0 };
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (sw_json_write_string(&error, text, strlen(text), NULL) != SW_OK) {
        for (char *p = text; *p != '\0'; p++)
            if ((unsigned char)*p >= 0x80) *p = '?'; /* Bytes of a path, or a character that was cut. */
        sw_buf_clear(&error);
        sw_json_write_string(&error, text, strlen(text), NULL);
    }
    bool is_made = sw_buf_append(&error, "", 1) == SW_OK;
    answer(request, false, ",\"error\":", is_made ? (const char *)error.data : "\"out of memory\"");
    sw_buf_deinit(&error);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

/* Writes the id as JSON; false when it is neither a whole number nor a short text. */
static bool take_id(const sw_message *message, char out[ID_JSON_SIZE])
{
    sw_mp_value id;
    sw_buf text = { 0 };
    snprintf(out, ID_JSON_SIZE, "null");
    if (!sw_message_find(message, "id", &id) || id.kind == SW_MP_KIND_NIL) return true;
    if (id.kind == SW_MP_KIND_I64) {
        snprintf(out, ID_JSON_SIZE, "%lld", (long long)id.as.i);
        return true;
    }
    if (id.kind != SW_MP_KIND_STR || id.len > ID_TEXT_MAX) return false;
    bool is_made = sw_json_write_string(&text, id.bytes, id.len, NULL) == SW_OK && text.size < ID_JSON_SIZE;
    if (is_made) snprintf(out, ID_JSON_SIZE, "%.*s", (int)text.size, (const char *)text.data);
    sw_buf_deinit(&text);
    return is_made;
}

static sw_control_request *new_request(connection *c)
{
    sw_control_request *request = sw_calloc(1, sizeof(*request));
    if (request == NULL) return NULL;
    snprintf(request->id, sizeof(request->id), "null");
    request->from = c;
    request->next = c->requests;
    c->requests = request;
    c->pending++;
    return request;
}

static void run_command(const sw_control_ops *ops, sw_control_request *request, const sw_message *message)
{
    const struct {
        const char *name;
        sw_control_handler *run;
    } commands[] = {
        { "ps", ops->ps },
        { "stop", ops->stop },
        { "checkpoint", ops->checkpoint },
        { "savepoint", ops->savepoint },
        { "state", ops->state },
    };
    char name[32];
    if (!sw_message_text(message, "cmd", name, sizeof(name))) {
        sw_control_refuse(request, "a request names a command: {\"id\":1,\"cmd\":\"ps\"}");
        return;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) != 0) continue;
        if (commands[i].run != NULL) commands[i].run(ops->arg, request, message);
        else sw_control_refuse(request, "command \"%s\" is not available for this job", name);
        return;
    }
    sw_control_refuse(request, "unknown command \"%s\"", name);
}

static void handle_line(connection *c, const char *line, size_t len)
{
    sw_control *control = c->control;
    sw_error err;
    if (len > 0 && line[len - 1] == '\r') len--;
    if (len == 0) return;
    sw_control_request *request = new_request(c);
    if (request == NULL) {
        drop(c);
        return;
    }
    if (sw_message_read(&control->message, line, len, &err) != SW_OK)
        sw_control_refuse(request, "not a request: %s", err.text);
    else if (!take_id(&control->message, request->id))
        sw_control_refuse(request, "an id is a whole number, or a text of at most %d bytes", ID_TEXT_MAX);
    else run_command(&control->ops, request, &control->message);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void refuse_long_line(connection *c)
{
    sw_control_request *request = new_request(c);
    c->is_ending = true;
    bufferevent_disable(c->bev, EV_READ);
    if (request != NULL) sw_control_refuse(request, "a request has at most %u bytes", SW_CONTROL_LINE_MAX);
}

/* Handles the next line of the input; false when there is no whole one. What was searched is not searched again. */
static bool take_line(connection *c)
{
    struct evbuffer *input = bufferevent_get_input(c->bev);
    struct evbuffer_ptr from;
    size_t size = evbuffer_get_length(input);
    evbuffer_ptr_set(input, &from, c->scanned, EVBUFFER_PTR_SET);
    struct evbuffer_ptr at = c->scanned < size ? evbuffer_search(input, "\n", 1, &from) : from;
    if (c->scanned >= size || at.pos < 0) {
        c->scanned = size;
        if (size > SW_CONTROL_LINE_MAX) refuse_long_line(c);
        return false;
    }
    const char *line = (const char *)evbuffer_pullup(input, at.pos + 1);
    if (line != NULL) handle_line(c, line, (size_t)at.pos);
    else drop(c);
    evbuffer_drain(input, (size_t)at.pos + 1);
    c->scanned = 0;
    return true;
}

static void on_readable(struct bufferevent *bev, void *arg)
{
    connection *c = arg;
    (void)bev;
    unlink_connection(c);
    link_liveliest(c);
    c->is_in_use = true;
    while (!c->is_broken && !c->is_ending && c->pending < SW_CONTROL_PENDING_MAX && take_line(c)) continue;
    c->is_in_use = false;
    if (c->is_broken) free_connection(c);
    else drop_if_over(c);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    (void)bev;
    drop_if_over(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    connection *c = arg;
    if ((what & BEV_EVENT_TIMEOUT) != 0 && (what & BEV_EVENT_READING) != 0 && c->pending > 0) {
        bufferevent_enable(bev, EV_READ); /* It waits for us. */
    } else if ((what & BEV_EVENT_EOF) != 0) {
        c->is_at_end = true;
        drop_if_over(c);
    } else {
        drop(c);
    }
}

/* --- accepting ---------------------------------------------------------------------------------------------------- */

/* Room for one more: the connection that has been silent for longest goes, of those without a request under way. */
static bool make_room(sw_control *control)
{
    if (control->count < SW_CONTROL_CONNECTIONS_MAX) return true;
    for (connection *c = control->quietest; c != NULL; c = c->livelier) {
        if (c->pending > 0 || c->is_in_use) continue;
        free_connection(c);
        return true;
    }
    return false;
}

int sw_control_serve(sw_control *control, int fd)
{
    static const struct timeval idle = { .tv_sec = SW_CONTROL_IDLE_MS / 1000 };
    connection *c = make_room(control) ? sw_calloc(1, sizeof(*c)) : NULL;
    struct bufferevent *bev = c != NULL ? bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE) : NULL;
    if (bev == NULL) {
        sw_free(c);
        close(fd);
        return SW_ENOMEM;
    }
    c->control = control;
    c->bev = bev;
    control->count++;
    link_liveliest(c);
    bufferevent_setcb(bev, on_readable, on_written, on_event, c);
    bufferevent_setwatermark(bev, EV_READ, 0, SW_CONTROL_LINE_MAX + 1);
    bufferevent_set_timeouts(bev, &idle, &idle);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return SW_OK;
}

static bool is_allowed(int fd)
{
    pid_t pid;
    uid_t uid;
    return sw_socket_peer(fd, &pid, &uid) == SW_OK && (uid == geteuid() || uid == 0);
}

static void on_connect(evutil_socket_t listener, short what, void *arg)
{
    static const struct timeval retry = { .tv_usec = ACCEPT_RETRY_MS * 1000 };
    sw_control *control = arg;
    (void)what;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && is_allowed(fd)) {
            sw_control_serve(control, fd);
        } else if (fd >= 0) {
            close(fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            event_del(control->accept_event); /* It would come again and again. */
            event_add(control->retry_event, &retry);
            return;
        }
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    sw_control *control = arg;
    (void)fd;
    (void)what;
    event_add(control->accept_event, NULL);
}

/* --- the life of it ----------------------------------------------------------------------------------------------- */

int sw_control_open(sw_control **out, struct event_base *base, const char *path, const sw_control_ops *ops,
                    sw_error *err)
{
    sw_control *control = sw_calloc(1, sizeof(*control));
    if (control == NULL) return sw_error_set(err, SW_ENOMEM, "out of memory");
    control->base = base;
    control->ops = *ops;
    control->listener.fd = -1;
    int rc = sw_message_init(&control->message, err);
    if (rc == SW_OK && (control->path = sw_strdup(path)) == NULL) rc = sw_error_set(err, SW_ENOMEM, "out of memory");
    if (rc == SW_OK) rc = sw_socket_listen(&control->listener, path, BACKLOG, err);
    if (rc == SW_OK) {
        control->accept_event = event_new(base, control->listener.fd, EV_READ | EV_PERSIST, on_connect, control);
        control->retry_event = event_new(base, -1, 0, on_retry, control);
        if (control->accept_event == NULL || control->retry_event == NULL ||
            event_add(control->accept_event, NULL) != 0)
            rc = sw_error_set(err, SW_ENOMEM, "out of memory");
    }
    if (rc == SW_OK) *out = control;
    else sw_control_close(control);
    return rc;
}

void sw_control_close(sw_control *control)
{
    if (control == NULL) return;
    while (control->quietest != NULL) {
        flush(control->quietest);
        free_connection(control->quietest);
    }
    if (control->accept_event != NULL) event_free(control->accept_event);
    if (control->retry_event != NULL) event_free(control->retry_event);
    if (control->path != NULL) sw_socket_close(&control->listener, control->path);
    sw_message_deinit(&control->message);
    sw_free(control->path);
    sw_free(control);
}

size_t sw_control_connections(const sw_control *control)
{
    return control->count;
}
