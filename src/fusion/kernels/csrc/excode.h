/* The compressing code of silent VOLE over GF(2^128), element and field as in gf128.h; docs/decisions/0011 argues it.
 *
 * Vectors have n elements, n a multiple of 32. Twice, x becomes
 *     s_i = x_0 + ... + x_i           (accumulate)
 *     v_i = label_i * s_i             (label)
 *     x   = v in a random order       (permute)
 * and then, as a matrix of 32 rows, x becomes a matrix of 16 rows (contract):
 *     y_j = x_j + sum over l < 16 of c_(j xor l) * x_(16 + l),        c_k = 1 / (16 + k),
 * where 16 + k is the polynomial whose bits are those of the integer.
 *
 * Labels and orders come from AES in counter mode, block i of stream t being AES(i as 8 bytes, t as 8 bytes),
 * little-endian. In pass p = 0, 1, label_i is block i of stream 4 p; the bucket of v_i, in a table of B buckets, the low
 * bits of the i-th 16-bit word of stream 4 p + 1; buckets are laid out one after the other and filled in the order of i;
 * then every bucket is shuffled from its first place on (Fisher and Yates): the element at place g of the whole vector
 * changes places with the one w * r / 2^64 places further, rounded down, where w is the g-th 64-bit word of stream
 * 4 p + 2 and r the number of places from g to the end of the bucket. B is the least power of two with n / B <= 4096. (A
 * bucket of more than 8192 elements would be shuffled in pieces of so many; chance does not make one.)
 */
#ifndef FUSION_EXCODE_H
#define FUSION_EXCODE_H

#include "aes.h"
#include "gf128.h"

#define FUSION_EXCODE_SIDE 16

/* n <= 2^28; weights: c_0 to c_15. All of it is public: time and memory access depend on nothing else. */
typedef struct {
    const fusion_aes *aes;
    const fusion_gf128 *field;
    const uint8_t *round_keys, *weights;
    size_t n;
} fusion_excode;

/* B. */
size_t fusion_excode_buckets(size_t n);

/* Parts of a vector and ranges of buckets are independent. Each part has a row `next` of B places: where its first
 * element of each bucket goes, after those of the parts before.
 *
 * 1. Adds to the B counts how many elements [start, stop) go to each bucket, and sums them up. */
void fusion_excode_count(const fusion_excode *code, uint32_t *counts, uint32_t pass, size_t start, size_t stop);
void fusion_excode_sum(uint8_t sum[GF128_BYTES], const uint8_t *x, size_t start, size_t stop);
/* 2. Pass 0 but for the shuffle: accumulates and labels elements [start, stop), the sum of those before being `before`,
 * and moves them to their buckets in `out`. */
void fusion_excode_scatter(const fusion_excode *code, uint8_t *out, const uint8_t *x, const uint8_t before[GF128_BYTES],
                           uint32_t *next, size_t start, size_t stop);
/* The same for a vector of stretches of `leaves` elements each, zero but for one: values[t] at points[t] of stretch t.
 * Time and memory access do not depend on points and values. */
void fusion_excode_scatter_noise(const fusion_excode *code, uint8_t *out, const uint64_t *points, const uint8_t *values,
                                 size_t leaves, const uint8_t before[GF128_BYTES], uint32_t *next, size_t start,
                                 size_t stop);
/* 3. How buckets [first, last) are shuffled, bucket b starting at starts[b]: what comes to place g is order[g] places
 * behind the first of its bucket, or of its piece. */
void fusion_excode_order(const fusion_excode *code, uint16_t *order, const uint32_t *starts, uint32_t pass, size_t first,
                         size_t last);
/* 4. The shuffle of pass 0 and pass 1 but for its own: of buckets [first, last) of pass 0, which lie in x. */
void fusion_excode_next_pass(const fusion_excode *code, uint8_t *out, const uint8_t *x, const uint32_t *starts,
                             const uint16_t *order, const uint8_t before[GF128_BYTES], uint32_t *next, size_t first,
                             size_t last);
/* 5. The shuffle of buckets [first, last) of pass 1. */
void fusion_excode_shuffle(uint8_t *out, const uint8_t *x, const uint32_t *starts, const uint16_t *order, size_t first,
                           size_t last);

/* 6. Columns [first, last) of the matrix. The result is the first half of x; the rest is used up. */
void fusion_excode_contract(const fusion_excode *code, uint8_t *x, size_t first, size_t last);

#endif
