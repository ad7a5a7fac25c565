/* instance.h -- what is counted of one instance of a component.
 *
 * Layout     The counters are written by Lua through FFI: script/ffi.h repeats them.
 * Ownership  The engine owns them, by component and instance.
 * Threads    Written by the instance's worker (fed_by before it starts); read by anyone, with relaxed atomics. */
#ifndef SW_RUN_INSTANCE_H
#define SW_RUN_INSTANCE_H

#include <stdint.h>

/* Counters of one instance of one component: the fields of the report. Written by its worker, read by anyone. */
typedef struct sw_instance {
    uint64_t in, out;                 /* events that came (see sw_instance_in), and were emitted */
    uint64_t late, dropped;           /* events behind the watermark, and those thrown away */
    uint64_t malformed;               /* input that did not parse */
    uint64_t errors, dead_letters;    /* failed calls of user code; those set aside */
    uint64_t unread;                  /* emitted to an output nobody reads */
    uint64_t acked, replayed;         /* acknowledged, and sent once more */
    const struct sw_instance *fed_by; /* what this one emits is all that comes, and is not counted twice; or NULL */
    /* --- private --- */
    uint32_t component; /* index in the graph */
    uint32_t number;    /* 0.. */
} sw_instance;

/* Events that came. */
static inline uint64_t sw_instance_in(const sw_instance *instance)
{
    const uint64_t *in = instance->fed_by != NULL ? &instance->fed_by->out : &instance->in;
    return __atomic_load_n(in, __ATOMIC_RELAXED);
}

#endif
