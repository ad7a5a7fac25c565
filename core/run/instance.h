/* instance.h -- what is counted of one instance of a component.
 *
 * Layout     The counters are written by Lua through FFI: script/ffi.h repeats them.
 * Ownership  The engine owns them, by component and instance.
 * Threads    Written by the instance's worker; read by anyone, with relaxed atomics. */
#ifndef SW_RUN_INSTANCE_H
#define SW_RUN_INSTANCE_H

#include <stdint.h>

/* Counters of one instance of one component: the fields of the report. Written by its worker, read by anyone. */
typedef struct sw_instance {
    uint64_t in, out;              /* events that came, and were emitted */
    uint64_t late, dropped;        /* events behind the watermark, and those thrown away */
    uint64_t malformed;            /* input that did not parse */
    uint64_t errors, dead_letters; /* failed calls of user code; those set aside */
    uint64_t unread;               /* emitted to an output nobody reads */
    uint64_t acked, replayed;      /* acknowledged, and sent once more */
    /* --- private --- */
    uint32_t component; /* index in the graph */
    uint32_t number;    /* 0.. */
} sw_instance;

#endif
