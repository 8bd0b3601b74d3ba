/* A table of the multiples 0 to count - 1 of 4 G by the y-coordinate, which a point shares with its negative.
 *
 * Open addressing, 2^bits places, at least twice as many as entries. A key is the low 64 bits of y. An entry is the
 * key with its low 22 bits replaced by the multiple plus one, and 0 is an empty place; the place is sought from the low
 * `bits` <= 22 bits of the key on. What is found is to be verified: a key has 64 bits of 255, and fewer in a small
 * table.
 */
#ifndef FUSION_LOGARITHM_H
#define FUSION_LOGARITHM_H

#include "elgamal.h"

#define FUSION_LOGARITHM_BITS 22

/* From the keys that `neighbours` gives for centres at first, first + gap, ... and m steps 0, 1, ..., enters the
 * multiples from 0 to count - 1 among them. Returns how many were there already under the same key. */
size_t fusion_logarithm_insert(uint64_t *table, int bits, uint64_t count, const uint64_t *keys, uint64_t first,
                               uint64_t gap, size_t n, size_t m);

/* For each centre the first place from skip[j] on, in the order of `neighbours`, whose key is in the table: place[j] = 2
 * step + sign, multiple[j] as entered; -1 where there is none. `keys` has room for 2 n m. */
void fusion_logarithm_search(const fusion_elgamal *ops, const uint64_t *table, int bits, int64_t *place,
                             int64_t *multiple, const int64_t *skip, uint64_t *keys, const uint8_t *centres, size_t n,
                             const uint8_t *steps, size_t m);

#endif
