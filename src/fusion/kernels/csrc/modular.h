/* Arithmetic modulo numbers of 50 bits, without division and without branches. */
#ifndef FUSION_MODULAR_H
#define FUSION_MODULAR_H

#include <stdint.h>

typedef unsigned __int128 uint128;

/* floor(2^64 w / m), for w < m: a division, for constants. */
static inline uint64_t ratio_of(uint64_t w, uint64_t m)
{
    return (uint64_t)(((uint128)w << 64) / m);
}

/* x w modulo m plus 0 or m, for any x and for w < m with its ratio: the quotient is too small by 1 at most. */
static inline uint64_t times(uint64_t x, uint64_t w, uint64_t ratio, uint64_t m)
{
    return x * w - (uint64_t)((uint128)x * ratio >> 64) * m;
}

/* x, less m unless that is negative; x and m below 2^63. */
static inline uint64_t less(uint64_t x, uint64_t m)
{
    uint64_t d = x - m;
    return d + (m & -(d >> 63));
}

static inline uint64_t times_exact(uint64_t x, uint64_t w, uint64_t ratio, uint64_t m)
{
    return less(times(x, w, ratio, m), m);
}

#endif
