/* GF(2^128) = GF(2)[x] / (x^128 + x^7 + x^2 + x + 1) over arrays: the table of operations that every variant fills in.
 *
 * An element is 16 bytes, little-endian: bit i of byte j is the coefficient of x^(8 j + i). (This is not the reflected
 * order of GCM.) Addition is exclusive or. Rows are independent; the caller splits [0, n) among threads. `out` may be
 * an input, but must not overlap it otherwise. Time and memory access depend on n only.
 */
#ifndef FUSION_GF128_H
#define FUSION_GF128_H

#include <stddef.h>
#include <stdint.h>

#define GF128_BYTES 16

typedef struct {
    const char *name;
    /* out[i] = a[i] * b[i]. */
    void (*multiply)(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n);
    /* out[i] = a[i] * s. */
    void (*scale)(uint8_t *out, const uint8_t *a, const uint8_t s[GF128_BYTES], size_t n);
    /* out[i] += a[i] * s. */
    void (*scale_add)(uint8_t *out, const uint8_t *a, const uint8_t s[GF128_BYTES], size_t n);
} fusion_gf128;

extern const fusion_gf128 fusion_gf128_portable;

/* The i-th variant this CPU can run, fastest first; NULL past the last. The last one is always "portable". */
const fusion_gf128 *fusion_gf128_variant(int i);

#endif
