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

/* x: n <= 2^28 elements, of which the first n / 2 become the result and the others are used up. scratch: room for n.
 * starts: room for 2 B + 1. weights: c_0 to c_15. Time and memory access depend on n and the round keys, which are public. */
void fusion_excode(const fusion_aes *aes, const fusion_gf128 *field, uint8_t *x, uint8_t *scratch,
                   uint32_t *starts, const uint8_t *round_keys, const uint8_t *weights, size_t n);

#endif
