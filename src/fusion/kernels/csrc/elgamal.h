/* What ElGamal needs beyond ristretto.h: multiples of fixed points, sums by bin, and the y-coordinates around a point.
 *
 * Points travel as in ristretto.h. Variants hold tables and sums in forms of their own; they agree on encodings.
 */
#ifndef FUSION_ELGAMAL_H
#define FUSION_ELGAMAL_H

#include "ristretto.h"

/* A sum under way; arrays of them are aligned to 64 bytes. */
#define FUSION_SUM_BYTES 192
#define FUSION_SUM_LANES 8

typedef struct {
    const char *name;
    /* Of the multiples of one point, and a table of them; aligned to 64 bytes. */
    size_t table_bytes;
    void (*fill_table)(uint8_t *table, const uint8_t *point);
    /* Row i: scalars[i] (32 bytes, below the order) times the point of `table`, plus values[i] times the point of
     * `value_table`. Without scalars, or without values, that term is left out. Rows of `out` begin `stride` bytes
     * apart. Time and memory access depend on n only. */
    void (*multiply_fixed)(uint8_t *out, size_t stride, const uint8_t *table, const uint8_t *scalars,
                           const uint8_t *value_table, const int64_t *values, size_t n);

    /* The following run on public data or on the caller's own; their memory access shows codes and rows. */
    void (*clear_sums)(uint8_t *sums, size_t n);
    /* codes: (n, FUSION_SUM_LANES). Adds point i to sum l * bins + codes[i][l], for every l; points begin `stride`
     * bytes apart. */
    void (*histogram)(uint8_t *sums, const uint16_t *codes, size_t bins, const uint8_t *points, size_t stride,
                      size_t n);
    /* at, rows: (n, FUSION_SUM_LANES). Adds point rows[i][l] to sum at[i][l]; the sums of one i must differ. */
    void (*group_sum)(uint8_t *sums, const uint32_t *at, const uint32_t *rows, const uint8_t *points, size_t stride,
                      size_t n);
    void (*close_sums)(uint8_t *points, size_t stride, const uint8_t *sums, size_t n);

    /* Four times each point, which is the same for all representatives of an element, in 128 bytes: x, y, xy, dxy. */
    void (*quadruple)(uint8_t *out, const uint8_t *points, size_t n);
    /* keys: (m, 2, n). The low 64 bits of the y-coordinates of centre j plus and minus step i, from rows of quadruple.
     */
    void (*neighbours)(uint64_t *keys, const uint8_t *centres, size_t n, const uint8_t *steps, size_t m);
} fusion_elgamal;

extern const fusion_elgamal fusion_elgamal_portable;

/* The negatives of n points. */
void fusion_negate_points(uint8_t *out, const uint8_t *points, size_t n);

#endif
