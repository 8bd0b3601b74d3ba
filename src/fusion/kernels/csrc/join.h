/* Equal rows, of two sets or of one: a join by partitions.
 *
 * Rows are `width` bytes. A row goes to the partition that its first bits name, most significant first; in each
 * partition the rows of a set are sorted by their bytes, equal ones by their number, and two sets are merged. Rows that
 * are hashes spread evenly, so a partition is small and takes time proportional to its rows. Whatever the rows are, n of
 * them take O(n log n) comparisons: a peer chooses its own.
 *
 * Partitions and parts of a set are independent: threads share them, and results do not depend on how. Time and memory
 * access depend on the rows.
 *
 *   1. fusion_join_count for each part of a set;
 *   2. the caller adds up where each partition starts, and within it each part;
 *   3. fusion_join_spread for each part;
 *   4. fusion_join_match for ranges of partitions of two sets, or fusion_join_repeats for those of one. */
#ifndef FUSION_JOIN_H
#define FUSION_JOIN_H

#include <stddef.h>
#include <stdint.h>

#define FUSION_JOIN_MOST_BITS 16

/* A row: its first twelve bytes as big-endian numbers, zeros where it is shorter, and its number. */
typedef struct {
    uint64_t high;
    uint32_t low, row;
} fusion_join_entry;

/* Rows [start, stop) of n < 2^32. Adds to counts, one for each of the 2^bits partitions. */
void fusion_join_count(uint32_t *counts, const uint8_t *rows, size_t width, size_t n, int bits, size_t start,
                       size_t stop);

/* Writes the entries of rows [start, stop) to next[p], next[p] + 1, ... of `entries`, p their partition. */
void fusion_join_spread(fusion_join_entry *entries, uint32_t *next, const uint8_t *rows, size_t width, size_t n, int bits,
                        size_t start, size_t stop);

/* One set, spread: the entries of partition p are those from first[p] up to first[p + 1]. They become sorted. */
typedef struct {
    fusion_join_entry *entries;
    const uint32_t *first;
    const uint8_t *rows;
} fusion_join_set;

/* Pairs of equal rows of two sets in partitions [start, stop), sorted by their bytes; of rows that are repeated in a set
 * the first counts. Writes the numbers of both rows of each pair to i and j, which have room for the smaller set's
 * entries in these partitions, and returns how many pairs there are. `scratch` holds as many entries as the largest
 * of these partitions of either set. */
size_t fusion_join_match(int64_t *i, int64_t *j, const fusion_join_set *a, const fusion_join_set *b, size_t width,
                         int bits, size_t start, size_t stop, fusion_join_entry *scratch);

/* Sets repeated[r] to 1 where row r of partitions [start, stop) equals a row before it, and does not touch the others. */
void fusion_join_repeats(uint8_t *repeated, const fusion_join_set *a, size_t width, int bits, size_t start, size_t stop,
                         fusion_join_entry *scratch);

#endif
