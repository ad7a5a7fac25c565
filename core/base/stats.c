#include "base/stats.h"

#include <string.h>

#define SUB_COUNT (1u << SW_HISTOGRAM_SUB_BITS)

static unsigned bucket_of(uint64_t value)
{
    if (value < SUB_COUNT) return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - SW_HISTOGRAM_SUB_BITS;
    return (shift << SW_HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift);
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_top(unsigned bucket)
{
    if (bucket < SUB_COUNT) return bucket;
    unsigned shift = (bucket >> SW_HISTOGRAM_SUB_BITS) - 1;
    uint64_t bottom = (uint64_t)((bucket & (SUB_COUNT - 1)) + SUB_COUNT) << shift;
    return bottom + (((uint64_t)1 << shift) - 1);
}

void sw_histogram_init(sw_histogram *h)
{
    memset(h, 0, sizeof(*h));
}

void sw_histogram_record(sw_histogram *h, uint64_t value, uint64_t count)
{
    if (count == 0) return;
    h->buckets[bucket_of(value)] += count;
    h->count += count;
    if (value > h->max) h->max = value;
}

void sw_histogram_merge(sw_histogram *into, const sw_histogram *from)
{
    for (unsigned i = 0; i < SW_HISTOGRAM_BUCKETS; i++) into->buckets[i] += from->buckets[i];
    into->count += from->count;
    if (from->max > into->max) into->max = from->max;
}

uint64_t sw_histogram_quantile(const sw_histogram *h, double q)
{
    double wanted = q * (double)h->count;
    uint64_t seen = 0;
    if (q >= 1.0) return h->max;
    for (unsigned i = 0; i < SW_HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen == 0 || (double)seen < wanted) continue;
        uint64_t top = bucket_top(i);
        return top < h->max ? top : h->max;
    }
    return h->max;
}
