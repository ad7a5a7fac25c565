/* rng.h -- the randomness seam: seeded xoshiro256**, the same numbers everywhere for the same seed.
 *
 *     run's seed --sw_rng_stream("name")--> a part's own seed --sw_rng_seed--> sw_rng --next--> numbers
 *
 * A part that draws from its own stream keeps its numbers when another part draws more or fewer.
 *
 * Ownership  sw_rng is a plain value; copy it to fork a sequence.
 * Threads    one at a time.
 * Limits     not for secrets. */
#ifndef SW_BASE_RNG_H
#define SW_BASE_RNG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sw_rng {
    uint64_t s[4]; /* State of xoshiro256**; never all zero once seeded. */
} sw_rng;

/* Fills the state from seed by SplitMix64; every seed is good, 0 too. */
void sw_rng_seed(sw_rng *r, uint64_t seed);

/* The seed of the stream `name` under the run's seed. */
uint64_t sw_rng_stream(uint64_t seed, const char *name);

/* Unbiased in 0 .. n-1; n is not 0. */
uint64_t sw_rng_below(sw_rng *r, uint64_t n);

/* The next 64 random bits. */
static inline uint64_t sw_rng_next(sw_rng *r)
{
    uint64_t *s = r->s;
    uint64_t product = s[1] * 5;
    uint64_t result = ((product << 7) | (product >> 57)) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* Uniform in [0, 1), a multiple of 2^-53. */
static inline double sw_rng_double(sw_rng *r)
{
    return (double)(sw_rng_next(r) >> 11) * 0x1.0p-53;
}

#ifdef __cplusplus
}
#endif

#endif
