/* Small tools for code whose time and memory access must not depend on secrets. */
#ifndef FUSION_CONSTANT_TIME_H
#define FUSION_CONSTANT_TIME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Hides a mask's origin from the optimiser, which could otherwise turn a selection into a branch. */
static inline uint64_t ct_hide(uint64_t x)
{
    __asm__("" : "+r"(x));
    return x;
}

/* All ones when x != 0, else zero. */
static inline uint64_t ct_mask_nonzero(uint64_t x)
{
    return ct_hide(-((x | -x) >> 63));
}

/* All ones when a == b, else zero. */
static inline uint64_t ct_mask_equal(uint64_t a, uint64_t b)
{
    return ~ct_mask_nonzero(a ^ b);
}

/* All ones when a == b, else zero, for a, b < 2^63: arithmetic that the compiler can do in vectors. */
static inline uint64_t ct_equal_in_vectors(uint64_t a, uint64_t b)
{
    uint64_t difference = a ^ b;
    return ((difference | -difference) >> 63) - 1;
}

/* Clears memory that held a secret; the barrier keeps the store although nothing reads it back. */
static inline void wipe(void *p, size_t n)
{
    memset(p, 0, n);
    __asm__ __volatile__("" : : "r"(p) : "memory");
}

/* Clears the stack below the caller, where a function that has just returned, and those that it called, kept a scalar's
 * digits and the projective coordinates of products, which say more about the scalar than the product does (Naccache,
 * Smart, Stern, 2004), by name or because registers ran out. The deepest, multiply_base_rows, takes 42 KB. */
static __attribute__((noinline, unused)) void wipe_stack(void)
{
    uint8_t used[1 << 16];
    wipe(used, sizeof used);
}

#endif
