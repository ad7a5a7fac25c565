#include "base/rng.h"

#include <string.h>

#include "base/error.h"
#include "base/hash.h"

void sw_rng_seed(sw_rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        r->s[i] = sw_hash_u64(seed); /* One step of SplitMix64 ... */
        seed += 0x9e3779b97f4a7c15u; /* ... whose state moves by this constant. */
    }
}

uint64_t sw_rng_stream(uint64_t seed, const char *name)
{
    return sw_hash_u64(sw_hash_u64(seed) ^ sw_hash(name, strlen(name)));
}

/* Lemire's method: the high half of a 128-bit product, redrawn in the rare case that would favour some values. */
uint64_t sw_rng_below(sw_rng *r, uint64_t n)
{
    SW_ASSERT(n > 0);
    unsigned __int128 product = (unsigned __int128)sw_rng_next(r) * n;
    if ((uint64_t)product < n) {
        uint64_t biased = -n % n; /* 2^64 mod n. */
        while ((uint64_t)product < biased) product = (unsigned __int128)sw_rng_next(r) * n;
    }
    return (uint64_t)(product >> 64);
}
