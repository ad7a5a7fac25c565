#include "cli/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"

#define DELAY_MS_MAX 60000
#define ATTEMPTS_UNLOADED 3 /* while no script has said otherwise */
#define DELAY_MS_UNLOADED 1000

typedef struct supervisor {
    sw_supervision *page; /* shared with the engine process */
    sigset_t waited;      /* signals that are waited for, and blocked otherwise */
    sigset_t mask_before; /* the engine's */
    pid_t engine;         /* its process; 0 none */
    int stop_signal;      /* the first SIGINT or SIGTERM; 0 none */
} supervisor;

/* --- the engine process ------------------------------------------------------------------------------------------- */

static void clear_of_process(sw_supervision *page)
{
    atomic_store(&page->checkpoints, 0);
    atomic_store(&page->is_stopping, false);
    atomic_store(&page->is_over, false);
    atomic_store(&page->asks_restart, false);
    page->failure[0] = '\0';
}

/* In the new process: dies with the supervisor, which may have died since the fork. */
static void become_engine(const supervisor *s)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != s->page->supervisor) _exit(SW_EXIT_FAILED);
    sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

static void note_stop(supervisor *s, int number)
{
    if (s->stop_signal == 0) s->stop_signal = number;
    if (s->engine != 0) kill(s->engine, number);
}

/* Waits for the engine's end; returns its wait status. */
static int await_end(supervisor *s)
{
    int status;
    for (;;) {
        if (waitpid(s->engine, &status, WNOHANG) == s->engine) break;
        int number = sigwaitinfo(&s->waited, NULL);
        if (number == SIGINT || number == SIGTERM) note_stop(s, number);
    }
    s->engine = 0;
    return status;
}

/* Waits before a restart. False: a stop was asked for meanwhile. */
static bool await_restart(supervisor *s, int64_t delay_ms)
{
    int64_t until_ns = sw_clock_mono_ns(sw_clock_real()) + delay_ms * 1000000;
    for (;;) {
        int64_t left_ns = until_ns - sw_clock_mono_ns(sw_clock_real());
        if (left_ns < 0) left_ns = 0;
        const struct timespec left = { .tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000 };
        int number = sigtimedwait(&s->waited, NULL, &left);
        if (number < 0 && errno == EAGAIN) return true;
        if (number == SIGINT || number == SIGTERM) note_stop(s, number);
        if (s->stop_signal != 0) return false;
    }
}

/* --- deciding ----------------------------------------------------------------------------------------------------- */

static bool is_stopping(const supervisor *s)
{
    return s->stop_signal != 0 || atomic_load(&s->page->is_stopping);
}

static const char *job_of(const sw_supervision *page)
{
    return page->job[0] != '\0' ? page->job : "the script";
}

/* Ends as a program that the signal killed. */
static int die_of(int number)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    signal(number, SIG_DFL);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    return 128 + number;
}

static void describe_death(sw_supervision *page, int number)
{
    snprintf(page->failure, sizeof(page->failure), "the engine process was killed by signal %d (%s)", number,
             strsignal(number));
}

/* Doubled each time up to a minute; what the job asks for may be more. */
static int64_t delay_of(const sw_supervision *page)
{
    int64_t delay_ms = page->delay_ms;
    for (uint32_t i = 0; i < page->failures && delay_ms > 0 && delay_ms < DELAY_MS_MAX; i++)
        delay_ms = delay_ms * 2 < DELAY_MS_MAX ? delay_ms * 2 : DELAY_MS_MAX;
    return delay_ms;
}

/* Announces the restart, and waits until it is due. */
static bool prepare_restart(supervisor *s)
{
    sw_supervision *page = s->page;
    if (atomic_load(&page->checkpoints) > 0) {
        page->failures = 0;
        page->has_checkpoint = true;
    }
    int64_t delay_ms = delay_of(page);
    page->failures++;
    fprintf(stderr, "swlua: %s: %.*s; restart %u of %u in %g s%s\n", job_of(page), (int)strcspn(page->failure, "\n"),
            page->failure, page->failures, page->attempts, (double)delay_ms / 1000,
            page->has_guarantee ? "" : ", with its sources at their start (no checkpoints are taken)");
    if (!await_restart(s, delay_ms)) {
        fprintf(stderr, "swlua: %s: stopped before it was restarted\n", job_of(page));
        return false;
    }
    page->restarts++;
    return true;
}

/* The engine was killed. True: start it again; else *status is how the program ends. */
static bool survive_death(supervisor *s, int number, int *status)
{
    sw_supervision *page = s->page;
    *status = SW_EXIT_FAILED;
    if (number == SIGINT || number == SIGTERM) {
        *status = die_of(number); /* It was asked to stop where it does not catch that: while it loads the script. */
        return false;
    }
    describe_death(page, number);
    bool is_wanted = !is_stopping(s) && !atomic_load(&page->is_over);
    if (is_wanted && sw_supervision_has_attempts(page)) return prepare_restart(s);
    const char *when = "";
    if (atomic_load(&page->is_over)) when = " after the job had ended";
    else if (is_stopping(s)) when = " while it was stopping";
    fprintf(stderr, "swlua: %s failed: %s%s\n", job_of(page), page->failure, when);
    return false;
}

/* The engine has exited. */
static bool survive_exit(supervisor *s, int code, int *status)
{
    sw_supervision *page = s->page;
    *status = code;
    if (!atomic_load(&page->asks_restart)) return false;
    if (!is_stopping(s)) return prepare_restart(s);
    fprintf(stderr, "swlua: %s failed while it was stopping: %s\n", job_of(page), page->failure);
    return false;
}

static bool survive(supervisor *s, int wait_status, int *status)
{
    if (WIFSIGNALED(wait_status)) return survive_death(s, WTERMSIG(wait_status), status);
    return survive_exit(s, WEXITSTATUS(wait_status), status);
}

/* --- the life of it ----------------------------------------------------------------------------------------------- */

static int fail_to_start(const char *what)
{
    fprintf(stderr, "swlua: cannot start the engine process: %s: %s\n", what, strerror(errno));
    return SW_EXIT_FAILED;
}

static void block_signals(supervisor *s)
{
    sigemptyset(&s->waited);
    sigaddset(&s->waited, SIGINT);
    sigaddset(&s->waited, SIGTERM);
    sigaddset(&s->waited, SIGCHLD);
    signal(SIGCHLD, SIG_DFL); /* Inherited as ignored, it would take the ends of children away. */
    sigprocmask(SIG_BLOCK, &s->waited, &s->mask_before);
}

int sw_supervise(int (*body)(void *arg, sw_supervision *page), void *arg)
{
    supervisor s = { .page = mmap(NULL, sizeof(*s.page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) };
    int status;
    if (s.page == MAP_FAILED) return fail_to_start("mmap");
    s.page->supervisor = getpid();
    s.page->began_ns = sw_clock_mono_ns(sw_clock_real());
    s.page->attempts = ATTEMPTS_UNLOADED;
    s.page->delay_ms = DELAY_MS_UNLOADED;
    block_signals(&s);
    do {
        clear_of_process(s.page);
        s.engine = fork();
        if (s.engine < 0) return fail_to_start("fork");
        if (s.engine == 0) {
            become_engine(&s);
            return body(arg, s.page);
        }
    } while (survive(&s, await_end(&s), &status));
    sigprocmask(SIG_SETMASK, &s.mask_before, NULL);
    return status;
}
