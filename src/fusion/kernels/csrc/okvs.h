/* An oblivious key-value store: a random band over GF(2), values in GF(2^128).
 *
 * A store of values for n keys is a vector of columns, 16 bytes each, such that every key's value is the sum of the
 * columns that the key selects. A key selects among OKVS_WORDS consecutive blocks of 32 columns, its band: where the
 * band starts and which of its columns are taken are pseudo-random, given by the key and a seed. Encoding solves the
 * linear equations; they are solvable but for a chance that the caller bounds by the number of columns.
 *
 * Geometry. There are `bins` bins of `slots` slots. Slot s of all (from 0 to bins * slots - 1) starts a band at block
 * f(s) = s + (s / slots) * (OKVS_WORDS - 1), so that bands of different bins share no column; the store has
 * 32 * bins * (slots + OKVS_WORDS - 1) columns.
 *
 * Hash. k_j = AES_seed("fusion/okvs/1/" || j as two bytes, little-endian) for j = 0 to 3. The 64 bytes AES_{k_0}(key)
 * || ... || AES_{k_3}(key) are sixteen little-endian words h_0 to h_15. The slot is s = h_15 * bins * slots / 2^32,
 * rounded down. Then h_15 takes the value of h_u with u = f(s) + OKVS_WORDS modulo 16, and h_u becomes zero. The key
 * takes column 32 b + i, for blocks b from f(s) to f(s) + OKVS_WORDS - 1, when bit i of h_{b mod 16} is set.
 *
 * Sixteen words in a ring mean that no word ever moves: whatever the band, the word of block b is at b modulo 16.
 */
#ifndef FUSION_OKVS_H
#define FUSION_OKVS_H

#include "aes.h"

/* 3, 7 and 11 work, too, and serve to measure failures, which at 15 nobody would live to see. */
#ifndef OKVS_WORDS
#define OKVS_WORDS 15
#endif
#define OKVS_BLOCK 32
#define OKVS_VALUE 16

typedef struct {
    uint32_t bins, slots;
    uint8_t round_keys[4][AES128_ROUND_KEYS];
} fusion_okvs;

void fusion_okvs_init(fusion_okvs *okvs, const uint8_t seed[16], uint32_t bins, uint32_t slots);

/* The slot of each key. */
void fusion_okvs_slots(const fusion_okvs *okvs, const fusion_aes *aes, uint32_t *slots, const uint8_t *keys, size_t n);

/* Sorts rows by slot: order[first[s]] up to order[first[s + 1]] are the rows of slot s, in ascending order. `first` has
 * bins * slots + 2 entries, the last of which is scratch; n < 2^32. */
void fusion_okvs_sort(const fusion_okvs *okvs, uint32_t *order, uint32_t *first, const uint32_t *slots, size_t n);

/* Bytes of working memory that the next two need, aligned to 64. */
size_t fusion_okvs_encode_scratch(const fusion_okvs *okvs);
size_t fusion_okvs_decode_scratch(void);

/* Solves bins [start, stop) and writes their columns; columns left free become zero. Bins are independent. Returns 0,
 * or -1 if some key's equation depends on others, as it always does when a key occurs twice. */
int fusion_okvs_encode(const fusion_okvs *okvs, const fusion_aes *aes, uint8_t *store, const uint8_t *keys,
                       const uint8_t *values, const uint32_t *order, const uint32_t *first, uint8_t *scratch,
                       size_t start, size_t stop);

/* Values of the rows order[start] up to order[stop], each written to its own row of `values`. */
void fusion_okvs_decode(const fusion_okvs *okvs, const fusion_aes *aes, uint8_t *values, const uint8_t *keys,
                        const uint8_t *store, const uint32_t *order, uint8_t *scratch, size_t start, size_t stop);

#endif
