/* GGM trees (Goldreich, Goldwasser, Micali, 1986) over blocks of 16 bytes, and such trees with one leaf missing.
 *
 * Level d of a tree has up to 2^d nodes. Node x of it has two children in level d + 1,
 *     left  = H(x)         at x's own place p,
 *     right = H(x ^ 1)     at p + 2^d,                  H(x) = AES_k(x) ^ x,
 * where k is a public key of this tree and level alone. So the leaf at place p is reached by the bits of p, the lowest
 * first, 1 meaning right. A tree has `leaves` leaves, 2 to 2^31, hence `depth` levels of children, the smallest number with
 * leaves <= 2^depth; the last level lacks the right children that would lie at place `leaves` or beyond.
 *
 * Trees are independent; the caller splits them among threads. Arrays hold whole trees one after the other: `out` has
 * leaves * 16 bytes a tree, `keys` depth * 16. Time and memory access depend on the sizes alone.
 */
#ifndef FUSION_GGM_H
#define FUSION_GGM_H

#include "aes.h"

/* seeds: a root a tree. sums, (depth, 2) blocks a tree: the sum of all left and of all right children of each level. */
void fusion_ggm_expand(const fusion_aes *aes, uint8_t *out, uint8_t *sums, const uint8_t *seeds, const uint8_t *keys,
                       size_t leaves, size_t depth, size_t trees);

/* The same leaves but for the one at place points[i] of tree i, which becomes zero. hints, depth blocks a tree: of each
 * level, the sum that does not contain the path, the sum of the left children where the path goes right. totals, a block
 * a tree: the sum of all leaves but the missing one. points[i] < leaves is secret. */
void fusion_ggm_puncture(const fusion_aes *aes, uint8_t *out, uint8_t *totals, const uint8_t *hints,
                         const uint64_t *points, const uint8_t *keys, size_t leaves, size_t depth, size_t trees);

/* Adds the block values[i] to the one at place points[i] of tree i. points[i] < leaves is secret. */
void fusion_ggm_place(uint8_t *out, const uint64_t *points, const uint8_t *values, size_t leaves, size_t trees);

#endif
