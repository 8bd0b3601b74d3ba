/* Points of the curve -x^2 + y^2 = 1 + d x^2 y^2 over GF(2^255 - 19), eight at a time, and their rows of bytes.
 *
 * The addition law is complete on this curve: no formula has an exceptional case. Formulas: Hisil, Wong, Carter and
 * Dawson, "Twisted Edwards Curves Revisited", 2008.
 */
#ifndef FUSION_EDWARDS8X52_H
#define FUSION_EDWARDS8X52_H

#include "field8x52.h"
#include "ristretto.h"

enum { LANES = 8 };

/* 2d */
static const uint64_t D2[5] = {0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff};

/* x = X/Z, y = Y/Z, xy = T/Z. */
typedef struct {
    fe x, y, z, t;
} point;

/* x = e/f, y = g/h: what an addition or a doubling yields before its last four products. */
typedef struct {
    fe e, f, g, h;
} ratio;

/* Y + X, Y - X, Z, T: the left operand of an addition. */
typedef struct {
    fe sum, difference, z, t;
} left;

/* Y + X, Y - X, 2Z, 2dT: the right operand. */
typedef struct {
    fe sum, difference, z2, t2d;
} right;

/* A right operand with Z = 1. */
typedef struct {
    fe sum, difference, t2d;
} right_affine;

/* --- rows --- */

/* Lane j of w[i] and lane i of w[j] change places. */
IFMA_INLINE void transpose(__m512i w[8])
{
    __m512i t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm512_unpacklo_epi64(w[i], w[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi64(w[i], w[i + 1]);
    }
    /* t[0], t[2], t[4], t[6] hold the even words of two rows each in four pairs, t[1], t[3], ... the odd words. */
    for (int i = 0; i < 2; i++) {
        const __m512i low03 = _mm512_shuffle_i64x2(t[i], t[i + 2], 0x44);
        const __m512i low47 = _mm512_shuffle_i64x2(t[i + 4], t[i + 6], 0x44);
        const __m512i high03 = _mm512_shuffle_i64x2(t[i], t[i + 2], 0xee);
        const __m512i high47 = _mm512_shuffle_i64x2(t[i + 4], t[i + 6], 0xee);
        w[i] = _mm512_shuffle_i64x2(low03, low47, 0x88);
        w[i + 2] = _mm512_shuffle_i64x2(low03, low47, 0xdd);
        w[i + 4] = _mm512_shuffle_i64x2(high03, high47, 0x88);
        w[i + 6] = _mm512_shuffle_i64x2(high03, high47, 0xdd);
    }
}

/* Words 0 to 3 of `rows` <= 8 rows of 32 bytes. */
IFMA_INLINE void load32(__m512i w[8], const uint8_t *bytes, size_t rows)
{
    for (size_t j = 0; j < LANES; j++)
        w[j] = j < rows ? _mm512_zextsi256_si512(_mm256_loadu_si256((const void *)(bytes + 32 * j)))
                        : _mm512_setzero_si512();
    transpose(w);
}

/* Words 0 to 7 of `rows` <= 8 rows, `stride` bytes apart. */
IFMA_INLINE void load64(__m512i w[8], const uint8_t *bytes, size_t stride, size_t rows)
{
    for (size_t j = 0; j < LANES; j++)
        w[j] = j < rows ? _mm512_loadu_si512(bytes + stride * j) : _mm512_setzero_si512();
    transpose(w);
}

IFMA_INLINE void store32(uint8_t *bytes, fe a, size_t rows)
{
    __m512i w[8];
    fe_to_words(w, a);
    for (int i = 4; i < 8; i++) w[i] = _mm512_setzero_si512();
    transpose(w);
    for (size_t j = 0; j < LANES; j++)
        if (j < rows) _mm256_storeu_si256((void *)(bytes + 32 * j), _mm512_castsi512_si256(w[j]));
}

IFMA_INLINE void store64(uint8_t *bytes, size_t stride, fe a, fe b, size_t rows)
{
    __m512i w[8];
    fe_to_words(w, a);
    fe_to_words(w + 4, b);
    transpose(w);
    for (size_t j = 0; j < LANES; j++)
        if (j < rows) _mm512_storeu_si512(bytes + stride * j, w[j]);
}

static IFMA void load_points(point *p, const uint8_t *bytes, size_t rows)
{
    __m512i w[8];
    load64(w, bytes, FUSION_POINT_BYTES, rows);
    p->x = fe_from_words(w);
    p->y = fe_from_words(w + 4);
    load64(w, bytes + 64, FUSION_POINT_BYTES, rows);
    p->z = fe_from_words(w);
    p->t = fe_from_words(w + 4);
}

static IFMA void store_points(uint8_t *bytes, const point *p, size_t rows)
{
    store64(bytes, FUSION_POINT_BYTES, p->x, p->y, rows);
    store64(bytes + 64, FUSION_POINT_BYTES, p->z, p->t, rows);
}

/* How much of a vector is there from row `at` <= n on. */
static inline size_t rows_from(size_t at, size_t n)
{
    return n - at < LANES ? n - at : LANES;
}

/* The first row of a vector: n, and so no row at all, if it would begin past the end. */
static inline size_t row_at(size_t row, size_t n)
{
    return row < n ? row : n;
}

/* --- points --- */

IFMA_INLINE point point_from_ratio(ratio r)
{
    return (point){fe_mul(r.e, r.h), fe_mul(r.g, r.f), fe_mul(r.f, r.h), fe_mul(r.e, r.g)};
}

IFMA_INLINE left left_from_ratio(ratio r)
{
    const wide x = fe_mul_wide(r.e, r.h), y = fe_mul_wide(r.g, r.f);
    return (left){fe_carry(wide_add(y, x)), fe_carry(wide_sub(y, x)), fe_mul(r.f, r.h), fe_mul(r.e, r.g)};
}

IFMA_INLINE left left_from_point(point p)
{
    return (left){fe_add(p.y, p.x), fe_sub(p.y, p.x), p.z, p.t};
}

IFMA_INLINE right right_from_point(point p)
{
    return (right){fe_add(p.y, p.x), fe_sub(p.y, p.x), fe_add(p.z, p.z), fe_mul(p.t, fe_constant(D2))};
}

/* Columns: c, d < 2^60.1, so sums < 2^61.1 and differences < 2^60.1 + 2^61 < 2^62. */
IFMA_INLINE ratio ratio_from_products(wide a, wide b, wide c, wide d)
{
    return (ratio){fe_carry(wide_sub(b, a)), fe_carry(wide_add(d, c)), fe_carry(wide_add(b, a)),
                   fe_carry(wide_sub(d, c))};
}

IFMA_INLINE ratio add(left p, right q)
{
    return ratio_from_products(fe_mul_wide(p.difference, q.difference), fe_mul_wide(p.sum, q.sum),
                               fe_mul_wide(p.t, q.t2d), fe_mul_wide(p.z, q.z2));
}

IFMA_INLINE ratio add_affine(left p, right_affine q)
{
    const wide z = fe_widen(p.z);
    return ratio_from_products(fe_mul_wide(p.difference, q.difference), fe_mul_wide(p.sum, q.sum),
                               fe_mul_wide(p.t, q.t2d), wide_add(z, z));
}

/* e = 2XY, g = Y^2 + X^2, f = Y^2 - X^2 (= Z^2 + dT^2 on the curve), h = 2Z^2 - f. T is not needed.
 * Columns: h < 3 * 2^60.1 + 2^61 < 2^63. */
IFMA_INLINE ratio twice(fe x, fe y, fe z)
{
    const wide xx = fe_sqr_wide(x), yy = fe_sqr_wide(y), zz = fe_sqr_wide(z), xy = fe_mul_wide(x, y);
    return (ratio){fe_carry(wide_add(xy, xy)), fe_carry(wide_sub(yy, xx)), fe_carry(wide_add(yy, xx)),
                   fe_carry(wide_sub(wide_add(wide_add(zz, zz), xx), yy))};
}

/* r = 16 r. The products of the two vectors take turns: each waits for the one before of its own vector only. */
static IFMA void pair_times16(ratio r[2])
{
    for (int i = 0; i < 4; i++) {
        fe x[2], y[2], z[2];
        for (int k = 0; k < 2; k++) {
            x[k] = fe_mul(r[k].e, r[k].h);
            y[k] = fe_mul(r[k].g, r[k].f);
            z[k] = fe_mul(r[k].f, r[k].h);
        }
        for (int k = 0; k < 2; k++) r[k] = twice(x[k], y[k], z[k]);
    }
}

IFMA_INLINE ratio identity_ratio(void)
{
    return (ratio){fe_small(0), fe_small(1), fe_small(1), fe_small(1)};
}

#endif
