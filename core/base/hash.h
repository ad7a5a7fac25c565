/* hash.h -- the hashes of keys: which key group, which slot.
 *
 * Limits     not for untrusted keys where collisions must not be forced. The values are the same on every
 *            machine and in every version, since key groups are stored on disk by them. */
#ifndef SW_BASE_HASH_H
#define SW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* XXH3, 64 bits, seed 0. bytes may be NULL when size is 0. */
uint64_t sw_hash(const void *bytes, size_t size);

/* XXH3, 128 bits, seed 0: of one block, or of what is added piece by piece. */
typedef struct sw_hash128 {
    uint64_t low;
    uint64_t high;
} sw_hash128;

/* Must not be moved between init and sum. */
typedef struct sw_hasher {
    unsigned char state[576 + 63]; /* xxhash's, which wants an alignment of 64 that sw_alloc does not give */
} sw_hasher;

sw_hash128 sw_hash128_of(const void *bytes, size_t size);
void sw_hasher_init(sw_hasher *hasher);
void sw_hasher_add(sw_hasher *hasher, const void *bytes, size_t size);
sw_hash128 sw_hasher_sum(const sw_hasher *hasher);

/* A bijection in which every bit of x reaches every bit of the result (SplitMix64's step). */
static inline uint64_t sw_hash_u64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#ifdef __cplusplus
}
#endif

#endif
