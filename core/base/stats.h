/* stats.h -- a histogram of latencies and sizes in fixed memory.
 *
 *     0 1 2 .. 63 | 64 .. 127 by 1 | 128 .. 255 by 2 | 256 .. 511 by 4 | ...
 *
 * Log-linear: each power of two is cut into 64 equal buckets, so a quantile is at most 1/64 (1.6 %) above
 * the value that was recorded, over the whole range of 64 bits.
 *
 * Ownership  a plain value of some 30 KB; no memory behind it.
 * Threads    one at a time: give each thread its own, and merge.
 * Limits     counts of 64 bits. */
#ifndef SW_BASE_STATS_H
#define SW_BASE_STATS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SW_HISTOGRAM_SUB_BITS 6
#define SW_HISTOGRAM_BUCKETS ((64 - SW_HISTOGRAM_SUB_BITS + 1) << SW_HISTOGRAM_SUB_BITS)

typedef struct sw_histogram {
    uint64_t count;                         /* Values recorded. */
    uint64_t max;                           /* Largest value recorded; 0 when there is none. */
    uint64_t buckets[SW_HISTOGRAM_BUCKETS]; /* Values per bucket. */
} sw_histogram;

void sw_histogram_init(sw_histogram *h);

/* Records the value count times; a count of 0 changes nothing. */
void sw_histogram_record(sw_histogram *h, uint64_t value, uint64_t count);

/* Adds what `from` has recorded to `into`. */
void sw_histogram_merge(sw_histogram *into, const sw_histogram *from);

/* A value that at least the share q (0..1) of those recorded do not exceed; exact for q = 1 and below 128.
 * 0 when nothing was recorded. */
uint64_t sw_histogram_quantile(const sw_histogram *h, double q);

static inline uint64_t sw_histogram_max(const sw_histogram *h)
{
    return h->max;
}

static inline uint64_t sw_histogram_count(const sw_histogram *h)
{
    return h->count;
}

#ifdef __cplusplus
}
#endif

#endif
