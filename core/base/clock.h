/* clock.h -- the clock seam: real time, or a virtual time that only moves when told to.
 *
 * Ownership  sw_clock_real is static; a virtual clock belongs to who made it (sw_clock_free).
 * Threads    the real clock: any. A virtual clock: one thread, that of the simulation.
 * Limits     virtual time never goes back, and is at most 292 years from its start (nanoseconds in 64 bits). */
#ifndef SW_BASE_CLOCK_H
#define SW_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sw_clock sw_clock;

struct sw_clock {
    int64_t (*wall_ms)(sw_clock *clock); /* Epoch milliseconds; the real one may jump. */
    int64_t (*mono_ns)(sw_clock *clock); /* Nanoseconds from an arbitrary start; never goes back. */
    bool is_virtual;                     /* Moves by sw_clock_virtual_advance and _set alone. */
};

/* The machine's clock. */
sw_clock *sw_clock_real(void);

/* A clock that stands at start_ms; NULL when memory is out. */
sw_clock *sw_clock_virtual_new(int64_t start_ms);

/* Moves a virtual clock forward by ms (not negative), or to now_ms (not before its present time). */
void sw_clock_virtual_advance(sw_clock *clock, int64_t ms);
void sw_clock_virtual_set(sw_clock *clock, int64_t now_ms);

/* Frees a virtual clock; NULL and the real clock are fine and stay. */
void sw_clock_free(sw_clock *clock);

static inline int64_t sw_clock_wall_ms(sw_clock *clock)
{
    return clock->wall_ms(clock);
}

/* On a virtual clock (now - start) * 1,000,000. */
static inline int64_t sw_clock_mono_ns(sw_clock *clock)
{
    return clock->mono_ns(clock);
}

static inline bool sw_clock_is_virtual(const sw_clock *clock)
{
    return clock->is_virtual;
}

#ifdef __cplusplus
}
#endif

#endif
