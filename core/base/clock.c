#include "base/clock.h"

#include <time.h>

#include "base/alloc.h"
#include "base/error.h"

#define NS_PER_MS 1000000

typedef struct virtual_clock {
    sw_clock base;    /* First, so that a sw_clock * is a virtual_clock *. */
    int64_t start_ms; /* Where monotonic time is 0. */
    int64_t now_ms;   /* The present time. */
} virtual_clock;

static int64_t real_wall_ms(sw_clock *clock)
{
    struct timespec now;
    (void)clock;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

static int64_t real_mono_ns(sw_clock *clock)
{
    struct timespec now;
    (void)clock;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

sw_clock *sw_clock_real(void)
{
    static sw_clock real = { real_wall_ms, real_mono_ns, false };
    return &real;
}

static int64_t virtual_wall_ms(sw_clock *clock)
{
    return ((virtual_clock *)clock)->now_ms;
}

static int64_t virtual_mono_ns(sw_clock *clock)
{
    virtual_clock *v = (virtual_clock *)clock;
    return (v->now_ms - v->start_ms) * NS_PER_MS;
}

sw_clock *sw_clock_virtual_new(int64_t start_ms)
{
    virtual_clock *v = sw_alloc(sizeof(*v));
    if (v == NULL) return NULL;
    *v = (virtual_clock){ { virtual_wall_ms, virtual_mono_ns, true }, start_ms, start_ms };
    return &v->base;
}

void sw_clock_virtual_advance(sw_clock *clock, int64_t ms)
{
    SW_ASSERT(clock->is_virtual && ms >= 0);
    ((virtual_clock *)clock)->now_ms += ms;
}

void sw_clock_virtual_set(sw_clock *clock, int64_t now_ms)
{
    virtual_clock *v = (virtual_clock *)clock;
    SW_ASSERT(clock->is_virtual && now_ms >= v->now_ms);
    v->now_ms = now_ms;
}

void sw_clock_free(sw_clock *clock)
{
    if (clock != NULL && clock->is_virtual) sw_free(clock);
}
