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

/* RFC 9496, 4.1; 2d */
static const uint64_t D[5] = {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff};
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

/* Of `rows` <= 8 points, `stride` bytes apart. */
static IFMA void load_points(point *p, const uint8_t *bytes, size_t stride, size_t rows)
{
    __m512i w[8];
    load64(w, bytes, stride, rows);
    p->x = fe_from_words(w);
    p->y = fe_from_words(w + 4);
    load64(w, bytes + 64, stride, rows);
    p->z = fe_from_words(w);
    p->t = fe_from_words(w + 4);
}

static IFMA void store_points(uint8_t *bytes, size_t stride, const point *p, size_t rows)
{
    store64(bytes, stride, p->x, p->y, rows);
    store64(bytes + 64, stride, p->z, p->t, rows);
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

/* z^(p - 2), so 0 for 0; r may be z. */
static IFMA void pair_invert(fe r[2], const fe z[2])
{
    fe cube[2], power[2];
    for (int k = 0; k < 2; k++) cube[k] = fe_mul(fe_sqr(z[k]), z[k]);
    pair_pow_p58(power, z); /* (p - 5) / 8 */
    for (int k = 0; k < 2; k++) r[k] = fe_mul(fe_sqr(fe_sqr(fe_sqr(power[k]))), cube[k]);
}

static IFMA void invert(fe *r, const fe *z)
{
    fe pair[2] = {*z, *z};
    pair_invert(pair, pair);
    *r = pair[0];
}

/* --- multiples of a fixed point --- */

enum { DIGITS = 64, TABLE_ROWS = DIGITS / 2 };

/* Lane j of row i holds (j + 1) 256^i times the point that stands in every lane of p, so that one permutation within a
 * register looks up eight digits at once: nothing is read from memory at a secret place. */
static IFMA void fill_table(right_affine table[TABLE_ROWS], point p)
{
    const right first = right_from_point(p);
    for (int j = 1; j < LANES; j++) {
        const point next = point_from_ratio(add(left_from_point(p), first));
        const __mmask8 lanes = (__mmask8)(0xff << j);
        p = (point){fe_select(lanes, p.x, next.x), fe_select(lanes, p.y, next.y), fe_select(lanes, p.z, next.z),
                    fe_select(lanes, p.t, next.t)};
    }
    /* x = xz/zz, y = yz/zz: e/f and g/h with a common denominator */
    ratio r[2] = {{p.x, p.z, p.y, p.z}, {p.x, p.z, p.y, p.z}};
    for (int i = 0; i < TABLE_ROWS; i++) {
        fe inverse;
        p = point_from_ratio(r[0]);
        invert(&inverse, &p.z);
        const fe ax = fe_mul(p.x, inverse), ay = fe_mul(p.y, inverse);
        table[i] = (right_affine){fe_canonical(fe_add(ay, ax)), fe_canonical(fe_sub(ay, ax)),
                                  fe_canonical(fe_mul(fe_mul(ax, ay), fe_constant(D2)))};
        pair_times16(r);
        pair_times16(r);
    }
}

/* digit times the point of lane 0, lane by lane, -8 <= digit < 8. */
IFMA_INLINE right_affine table_multiple(const right_affine *row, __m512i digit)
{
    const __m512i size = _mm512_abs_epi64(digit), index = SUB(size, ALL(1));
    const __mmask8 some = _mm512_test_epi64_mask(size, size);
    const __mmask8 negative = _mm512_movepi64_mask(digit);
    const fe one = fe_small(1);
    right_affine r;
    for (int k = 0; k < 5; k++) {
        r.sum.v[k] = _mm512_permutexvar_epi64(index, row->sum.v[k]);
        r.difference.v[k] = _mm512_permutexvar_epi64(index, row->difference.v[k]);
        r.t2d.v[k] = _mm512_permutexvar_epi64(index, row->t2d.v[k]);
    }
    r.t2d = fe_select(some, fe_small(0), fe_select(negative, r.t2d, fe_neg(r.t2d)));
    return (right_affine){fe_select(some, one, fe_select(negative, r.sum, r.difference)),
                          fe_select(some, one, fe_select(negative, r.difference, r.sum)), r.t2d};
}

/* Eight scalars below 2^253, words 0 to 3 in w: scalar = sum of digits[i] 16^i with -8 <= digits[i] < 8. */
IFMA_INLINE void recode8(__m512i digits[DIGITS], __m512i w[4])
{
    __m512i carry = _mm512_setzero_si512();
    for (int j = 0; j < DIGITS; j++) {
        const __m512i digit = ADD(AND(w[j / 16], ALL(15)), carry);
        w[j / 16] = SHR(w[j / 16], 4);
        carry = SHR(ADD(digit, ALL(8)), 4);
        digits[j] = SUB(digit, SHL(carry, 4));
    }
}

#endif
