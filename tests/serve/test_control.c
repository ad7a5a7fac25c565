/* The control socket against good and bad clients. One thread plays both: clients write and read without waiting, and
 * the loop is run in between until nothing is left to do. */
#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/rng.h"
#include "base/socket.h"
#include "serve/control.h"

#define REPLY_SIZE 4096

static struct event_base *base; /* the loop */
static sw_control *control;     /* open, unless the test has closed it */
static char dir[64];            /* of its socket */
static char path[80];           /* its socket */

static sw_control_request *held[SW_CONTROL_PENDING_MAX + 1]; /* requests of "checkpoint", to be answered later */
static size_t held_count;
static size_t big_size; /* bytes that "state" answers with */

/* --- the commands ------------------------------------------------------------------------------------------------- */

static void on_ps(void *arg, sw_control_request *request, const sw_message *message)
{
    char text[256], members[320];
    assert_ptr_equal(arg, &base);
    if (!sw_message_text(message, "say", text, sizeof(text))) text[0] = '\0';
    snprintf(members, sizeof(members), "\"said\":\"%s\"", text);
    sw_control_reply(request, members);
}

static void on_checkpoint(void *arg, sw_control_request *request, const sw_message *message)
{
    (void)arg;
    (void)message;
    assert_true(held_count < sizeof(held) / sizeof(held[0]));
    held[held_count++] = request;
}

static void on_state(void *arg, sw_control_request *request, const sw_message *message)
{
    (void)arg;
    (void)message;
    char *members = malloc(big_size + 8);
    assert_non_null(members);
    memset(members, 'x', big_size);
    memcpy(members, "\"x\":\"", 5);
    memcpy(members + big_size, "\"", 2);
    sw_control_reply(request, members);
    free(members);
}

static void answer_held(void)
{
    for (size_t i = 0; i < held_count; i++) sw_control_reply(held[i], "\"late\":true");
    held_count = 0;
}

/* --- clients ------------------------------------------------------------------------------------------------------ */

static void run_loop(void)
{
    for (int i = 0; i < 20; i++) event_base_loop(base, EVLOOP_NONBLOCK);
}

static int connect_client(void)
{
    sw_error err;
    int fd = -1;
    if (sw_socket_connect(&fd, path, 1000, &err) != SW_OK) fail_msg("%s", err.text);
    run_loop();
    return fd;
}

/* What has come to the client; "" nothing. */
static const char *received(int fd)
{
    static char text[REPLY_SIZE];
    run_loop();
    ssize_t got = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static bool is_closed(int fd)
{
    char byte;
    run_loop();
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

/* Sends bytes, running the loop while the socket is full. False when the other side has closed. */
static bool send_bytes(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        run_loop();
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
        }
    }
    return true;
}

static const char *ask(int fd, const char *line)
{
    assert_true(send_bytes(fd, line, strlen(line)));
    assert_true(send_bytes(fd, "\n", 1));
    return received(fd);
}

#define HELLO "{\"id\":7,\"cmd\":\"ps\",\"say\":\"hello\"}"
#define HELLO_REPLY "{\"id\":7,\"ok\":true,\"said\":\"hello\"}\n"

static void assert_served(int fd)
{
    assert_string_equal(ask(fd, HELLO), HELLO_REPLY);
}

/* --- good clients ------------------------------------------------------------------------------------------------- */

static void a_request_is_answered_with_its_id(void **state)
{
    (void)state;
    int fd = connect_client();
    assert_served(fd);
    assert_string_equal(ask(fd, "{\"cmd\":\"ps\"}"), "{\"id\":null,\"ok\":true,\"said\":\"\"}\n");
    assert_string_equal(ask(fd, "{\"cmd\":\"ps\",\"id\":-5}"), "{\"id\":-5,\"ok\":true,\"said\":\"\"}\n");
    assert_string_equal(ask(fd, "{\"cmd\":\"ps\",\"id\":\"a\\\"\\n\"}"),
                        "{\"id\":\"a\\\"\\n\",\"ok\":true,\"said\":\"\"}\n");
    close(fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    (void)state;
    int fd = connect_client();
    for (const char *p = HELLO; *p != '\0'; p++) {
        assert_true(send_bytes(fd, p, 1));
        assert_string_equal(received(fd), "");
    }
    assert_true(send_bytes(fd, "\n", 1));
    assert_string_equal(received(fd), HELLO_REPLY);
    close(fd);
}

static void many_requests_may_come_at_once_and_end_in_crlf(void **state)
{
    (void)state;
    int fd = connect_client();
    assert_string_equal(ask(fd, HELLO "\r\n\n\r\n" HELLO "\n" HELLO), HELLO_REPLY HELLO_REPLY HELLO_REPLY);
    close(fd);
}

static void replies_come_in_the_order_in_which_they_are_ready(void **state)
{
    (void)state;
    int fd = connect_client();
    assert_string_equal(ask(fd, "{\"id\":1,\"cmd\":\"checkpoint\"}"), "");
    assert_served(fd);
    answer_held();
    assert_string_equal(received(fd), "{\"id\":1,\"ok\":true,\"late\":true}\n");
    close(fd);
}

static void a_client_that_has_said_all_still_gets_its_replies(void **state)
{
    (void)state;
    int fd = connect_client();
    assert_string_equal(ask(fd, "{\"id\":1,\"cmd\":\"checkpoint\"}"), "");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    run_loop();
    assert_int_equal(sw_control_connections(control), 1);
    answer_held();
    assert_string_equal(received(fd), "{\"id\":1,\"ok\":true,\"late\":true}\n");
    assert_true(is_closed(fd));
    assert_int_equal(sw_control_connections(control), 0);
    close(fd);
}

/* --- what is wrong with a request --------------------------------------------------------------------------------- */

static void what_is_no_request_is_answered_with_an_error(void **state)
{
    static const char *const lines[] = {
        "nonsense",
        "{",
        "[1]",
        "{\"cmd\":\"ps\"} more",
        "{\"cmd\":\"\x01\"}",
        "{\"cmd\":\"\xff\"}",
        "{\"id\":1.5,\"cmd\":\"ps\"}",
        "{\"id\":{},\"cmd\":\"ps\"}",
        "{\"id\":99999999999999999999,\"cmd\":\"ps\"}",
        "{\"id\":\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "x\",\"cmd\":\"ps\"}",
        "{}",
        "{\"cmd\":5}",
        "{\"cmd\":\"no-such-command\"}",
        "{\"cmd\":\"savepoint\"}",
    };
    (void)state;
    int fd = connect_client();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const char *reply = ask(fd, lines[i]);
        if (strncmp(reply, "{\"id\":null,\"ok\":false,\"error\":\"", 30) != 0) fail_msg("%s -> %s", lines[i], reply);
    }
    assert_string_equal(ask(fd, "{\"id\":3,\"cmd\":\"nope\"}"),
                        "{\"id\":3,\"ok\":false,\"error\":\"unknown command \\\"nope\\\"\"}\n");
    assert_served(fd);
    close(fd);
}

static void a_request_nested_too_deep_is_refused(void **state)
{
    char line[100000];
    (void)state;
    int fd = connect_client();
    memset(line, '[', sizeof(line));
    memcpy(line, "{\"id\":", 6);
    line[sizeof(line) - 1] = '\0';
    assert_non_null(strstr(ask(fd, line), "\"ok\":false"));
    assert_served(fd);
    close(fd);
}

static void a_nul_in_a_request_is_refused(void **state)
{
    (void)state;
    int fd = connect_client();
    assert_true(send_bytes(fd, "{\"cmd\":\0\"ps\"}\n", 14));
    assert_non_null(strstr(received(fd), "\"ok\":false"));
    assert_non_null(strstr(ask(fd, "{\"cmd\":\"p\\u0000s\"}"), "\"ok\":false"));
    assert_served(fd);
    close(fd);
}

/* Sends a line of n spaces before HELLO. */
static bool send_padded(int fd, size_t n)
{
    char *line = malloc(n);
    assert_non_null(line);
    memset(line, ' ', n);
    bool is_sent = send_bytes(fd, line, n) && send_bytes(fd, HELLO "\n", sizeof(HELLO));
    free(line);
    return is_sent;
}

static void a_request_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    int fd = connect_client(), other = connect_client();
    assert_true(send_padded(fd, SW_CONTROL_LINE_MAX - strlen(HELLO)));
    assert_string_equal(received(fd), HELLO_REPLY);
    send_padded(fd, SW_CONTROL_LINE_MAX - strlen(HELLO) + 1);
    assert_string_equal(received(fd), "{\"id\":null,\"ok\":false,\"error\":\"a request has at most 1048576 bytes\"}\n");
    assert_true(is_closed(fd));
    assert_served(other);
    close(fd);
    close(other);
}

static void a_request_of_a_hundred_megabytes_takes_no_memory(void **state)
{
    static const char block[65536] = { 'x' };
    (void)state;
    int fd = connect_client();
    size_t sent = 0;
    while (sent < 100u << 20 && send_bytes(fd, block, sizeof(block))) sent += sizeof(block);
    assert_true(sent < 4u << 20); /* It was cut off long before. */
    close(fd);
}

/* --- clients that behave badly ------------------------------------------------------------------------------------ */

static void a_client_may_go_at_any_time(void **state)
{
    (void)state;
    int half = connect_client(), waiting = connect_client(), good = connect_client();
    assert_true(send_bytes(half, "{\"cmd\":", 7));
    assert_string_equal(ask(waiting, "{\"cmd\":\"checkpoint\"}"), "");
    close(half);
    close(waiting);
    run_loop();
    answer_held();
    assert_served(good);
    close(good);
    run_loop();
    assert_int_equal(sw_control_connections(control), 0);
}

static void a_reply_may_come_when_the_socket_is_closed(void **state)
{
    (void)state;
    int fd = connect_client();
    assert_string_equal(ask(fd, "{\"cmd\":\"checkpoint\"}"), "");
    sw_control_close(control);
    control = NULL;
    answer_held();
    assert_true(is_closed(fd));
    close(fd);
}

static void replies_that_wait_are_written_when_the_socket_is_closed(void **state)
{
    (void)state;
    int fd = connect_client();
    assert_string_equal(ask(fd, "{\"id\":1,\"cmd\":\"checkpoint\"}"), "");
    answer_held();
    sw_control_close(control);
    control = NULL;
    assert_string_equal(received(fd), "{\"id\":1,\"ok\":true,\"late\":true}\n");
    close(fd);
}

static void requests_under_way_are_bounded(void **state)
{
    (void)state;
    int fd = connect_client();
    for (int i = 0; i < SW_CONTROL_PENDING_MAX; i++) ask(fd, "{\"id\":1,\"cmd\":\"checkpoint\"}");
    assert_int_equal(held_count, SW_CONTROL_PENDING_MAX);
    assert_string_equal(ask(fd, HELLO "\n" HELLO), ""); /* It waits its turn, ... */
    sw_control_reply(held[--held_count], "");
    assert_non_null(strstr(received(fd), HELLO_REPLY HELLO_REPLY)); /* ... and is not forgotten. */
    answer_held();
    received(fd);
    assert_served(fd);
    close(fd);
}

static void requests_that_wait_their_turn_are_answered_also_when_the_client_has_said_all(void **state)
{
    (void)state;
    int fd = connect_client();
    for (int i = 0; i < SW_CONTROL_PENDING_MAX; i++) ask(fd, "{\"id\":1,\"cmd\":\"checkpoint\"}");
    assert_string_equal(ask(fd, HELLO), "");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    run_loop();
    answer_held();
    assert_non_null(strstr(received(fd), HELLO_REPLY));
    assert_true(is_closed(fd));
    close(fd);
}

static void silent_clients_make_room_for_others(void **state)
{
    static int fds[SW_CONTROL_CONNECTIONS_MAX];
    (void)state;
    int waiting = connect_client();
    assert_string_equal(ask(waiting, "{\"id\":1,\"cmd\":\"checkpoint\"}"), "");
    for (int i = 0; i < SW_CONTROL_CONNECTIONS_MAX; i++) fds[i] = connect_client();
    assert_int_equal(sw_control_connections(control), SW_CONTROL_CONNECTIONS_MAX);
    assert_true(is_closed(fds[0])); /* The one that was silent for longest and waited for nothing. */
    assert_false(is_closed(fds[1]));
    assert_served(fds[SW_CONTROL_CONNECTIONS_MAX - 1]);
    answer_held();
    assert_string_equal(received(waiting), "{\"id\":1,\"ok\":true,\"late\":true}\n");
    for (int i = 0; i < SW_CONTROL_CONNECTIONS_MAX; i++) close(fds[i]);
    close(waiting);
}

static void a_client_that_reads_nothing_is_dropped(void **state)
{
    (void)state;
    int fd = connect_client(), good = connect_client();
    big_size = 1u << 20;
    for (int i = 0; i < 40 && send_bytes(fd, "{\"cmd\":\"state\"}\n", 16); i++) run_loop();
    assert_int_equal(sw_control_connections(control), 1);
    assert_served(good);
    close(fd);
    close(good);
}

static void random_bytes_disturb_nobody(void **state)
{
    static const char alphabet[] = "{}[]\":,\\ \n\r\t0123456789eE+-.cmdidpstrulfan\xc3\xa9\xff";
    sw_rng rng;
    (void)state;
    sw_rng_seed(&rng, 1);
    int good = connect_client();
    for (int i = 0; i < 2000; i++) {
        char bytes[200];
        size_t n = (size_t)sw_rng_below(&rng, sizeof(bytes));
        for (size_t k = 0; k < n; k++) bytes[k] = alphabet[sw_rng_below(&rng, sizeof(alphabet))];
        int fd = connect_client();
        send_bytes(fd, bytes, n);
        if (i % 2 == 0) send_bytes(fd, "\n", 1);
        if (i % 100 == 0) assert_served(good);
        close(fd);
    }
    assert_served(good);
    run_loop();
    assert_int_equal(sw_control_connections(control), 1);
    close(good);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static const sw_control_ops ops = { &base, on_ps, NULL, on_checkpoint, NULL, on_state };

static void a_socket_that_is_served_is_refused(void **state)
{
    sw_control *other = NULL;
    sw_error err;
    (void)state;
    assert_int_equal(sw_control_open(&other, base, path, &ops, &err), SW_EBUSY);
    assert_null(other);
    int fd = connect_client();
    assert_served(fd);
    close(fd);
}

static void opening_survives_every_allocation_failure(void **state)
{
    sw_control *other = NULL;
    char other_path[96];
    (void)state;
    snprintf(other_path, sizeof(other_path), "%s/other", dir);
    for (int n = 0;; n++) {
        size_t live_before = sw_alloc_live();
        sw_fault_fail_after(n);
        int rc = sw_control_open(&other, base, other_path, &ops, NULL);
        sw_fault_off();
        if (rc == SW_OK) break;
        assert_int_equal(rc, SW_ENOMEM);
        assert_int_equal(sw_alloc_live(), live_before);
        assert_null(other);
    }
    sw_control_close(other);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static int open_control(void **state)
{
    sw_error err;
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/swlua-control-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/control.sock", dir);
    base = event_base_new();
    assert_non_null(base);
    held_count = 0;
    if (sw_control_open(&control, base, path, &ops, &err) != SW_OK) fail_msg("%s", err.text);
    return 0;
}

static int close_control(void **state)
{
    (void)state;
    sw_control_close(control);
    control = NULL;
    answer_held();
    event_base_free(base);
    return rmdir(dir); /* Its socket is gone. */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_control, close_control)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered_with_its_id),
        TEST(a_request_may_come_byte_by_byte),
        TEST(many_requests_may_come_at_once_and_end_in_crlf),
        TEST(replies_come_in_the_order_in_which_they_are_ready),
        TEST(a_client_that_has_said_all_still_gets_its_replies),
        TEST(what_is_no_request_is_answered_with_an_error),
        TEST(a_request_nested_too_deep_is_refused),
        TEST(a_nul_in_a_request_is_refused),
        TEST(a_request_may_be_as_long_as_the_limit_and_no_longer),
        TEST(a_request_of_a_hundred_megabytes_takes_no_memory),
        TEST(a_client_may_go_at_any_time),
        TEST(a_reply_may_come_when_the_socket_is_closed),
        TEST(replies_that_wait_are_written_when_the_socket_is_closed),
        TEST(requests_under_way_are_bounded),
        TEST(requests_that_wait_their_turn_are_answered_also_when_the_client_has_said_all),
        TEST(silent_clients_make_room_for_others),
        TEST(a_client_that_reads_nothing_is_dropped),
        TEST(random_bytes_disturb_nobody),
        TEST(a_socket_that_is_served_is_refused),
        TEST(opening_survives_every_allocation_failure),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
