#include "base/hash.h"

/* At -Og gcc declines to inline what xxhash insists on. */
#pragma GCC optimize("O2")
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t sw_hash(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

_Static_assert(sizeof(XXH3_state_t) + 63 <= sizeof(sw_hasher), "a hasher holds the state of xxhash");

static XXH3_state_t *state_of(const sw_hasher *hasher)
{
    return (XXH3_state_t *)(((uintptr_t)hasher->state + 63) & ~(uintptr_t)63);
}

sw_hash128 sw_hash128_of(const void *bytes, size_t size)
{
    XXH128_hash_t hash = XXH3_128bits(bytes, size);
    return (sw_hash128){ hash.low64, hash.high64 };
}

void sw_hasher_init(sw_hasher *hasher)
{
    XXH3_128bits_reset(state_of(hasher)); /* Fails for NULL only, as adding does. */
}

void sw_hasher_add(sw_hasher *hasher, const void *bytes, size_t size)
{
    XXH3_128bits_update(state_of(hasher), bytes, size);
}

sw_hash128 sw_hasher_sum(const sw_hasher *hasher)
{
    XXH128_hash_t hash = XXH3_128bits_digest(state_of(hasher));
    return (sw_hash128){ hash.low64, hash.high64 };
}
