/* Points of the curve -x^2 + y^2 = 1 + d x^2 y^2 over GF(2^255 - 19), one a lane, and their rows of bytes.
 *
 * The addition law is complete on this curve: no formula has an exceptional case. Formulas: Hisil, Wong, Carter and
 * Dawson, "Twisted Edwards Curves Revisited", 2008.
 *
 * The field comes first: include field8x52.h or field4x25.h before this.
 */
#ifndef FUSION_EDWARDS_LANES_H
#define FUSION_EDWARDS_LANES_H

#include "ristretto.h"

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

/* Of `rows` <= 8 points, `stride` bytes apart. */
static TARGET void load_points(point *p, const uint8_t *bytes, size_t stride, size_t rows)
{
    vec w[8];
    load64(w, bytes, stride, rows);
    p->x = fe_from_words(w);
    p->y = fe_from_words(w + 4);
    load64(w, bytes + 64, stride, rows);
    p->z = fe_from_words(w);
    p->t = fe_from_words(w + 4);
}

static TARGET void store_points(uint8_t *bytes, size_t stride, const point *p, size_t rows)
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

TARGET_INLINE point point_from_ratio(const ratio *r)
{
    return (point){fe_product(&r->e, &r->h), fe_product(&r->g, &r->f),
                   fe_product(&r->f, &r->h), fe_product(&r->e, &r->g)};
}

TARGET_INLINE left left_from_ratio(const ratio *r)
{
    const wide x = fe_mul_wide(&r->e, &r->h), y = fe_mul_wide(&r->g, &r->f);
    return (left){fe_carry(wide_add(y, x)), fe_carry(wide_sub(y, x)), fe_product(&r->f, &r->h),
                  fe_product(&r->e, &r->g)};
}

TARGET_INLINE left left_from_point(point p)
{
    return (left){fe_add(p.y, p.x), fe_sub(p.y, p.x), p.z, p.t};
}

TARGET_INLINE right right_from_point(point p)
{
    return (right){fe_add(p.y, p.x), fe_sub(p.y, p.x), fe_add(p.z, p.z), fe_mul(p.t, fe_constant(D2))};
}

/* Columns: sums of two products, differences of one and what wide_sub adds. */
TARGET_INLINE ratio add(const left *p, const right *q)
{
    const wide a = fe_mul_wide(&p->difference, &q->difference), b = fe_mul_wide(&p->sum, &q->sum);
    const wide c = fe_mul_wide(&p->t, &q->t2d), d = fe_mul_wide(&p->z, &q->z2);
    return (ratio){fe_carry(wide_sub(b, a)), fe_carry(wide_add(d, c)), fe_carry(wide_add(b, a)),
                   fe_carry(wide_sub(d, c))};
}

TARGET_INLINE ratio add_affine(const left *p, const right_affine *q)
{
    const wide a = fe_mul_wide(&p->difference, &q->difference), b = fe_mul_wide(&p->sum, &q->sum);
    const wide c = fe_mul_wide(&p->t, &q->t2d), z = fe_widen(p->z), d = wide_add(z, z);
    return (ratio){fe_carry(wide_sub(b, a)), fe_carry(wide_add(d, c)), fe_carry(wide_add(b, a)),
                   fe_carry(wide_sub(d, c))};
}

/* e = 2XY, g = Y^2 + X^2, f = Y^2 - X^2 (= Z^2 + dT^2 on the curve), h = 2Z^2 - f. T is not needed. Columns: h is the
 * largest, three products and what wide_sub adds: < 2^63 with IFMA, < 2^63.4 with AVX2. */
TARGET_INLINE ratio twice(const fe *x, const fe *y, const fe *z)
{
    const wide xx = fe_sqr_wide(x), yy = fe_sqr_wide(y), zz = fe_sqr_wide(z);
    return (ratio){fe_carry(fe_mul_twice_wide(x, y, &xx, &yy)), fe_carry(wide_sub(yy, xx)), fe_carry(wide_add(yy, xx)),
                   fe_carry(wide_sub(wide_add(wide_add(zz, zz), xx), yy))};
}

/* r = 16 r. The products of the two vectors take turns: each waits for the one before of its own vector only. */
static TARGET void pair_times16(ratio r[2])
{
    for (int i = 0; i < 4; i++) {
        fe x[2], y[2], z[2];
        for (int k = 0; k < 2; k++) {
            x[k] = fe_product(&r[k].e, &r[k].h);
            y[k] = fe_product(&r[k].g, &r[k].f);
            z[k] = fe_product(&r[k].f, &r[k].h);
        }
        for (int k = 0; k < 2; k++) r[k] = twice(&x[k], &y[k], &z[k]);
    }
}

TARGET_INLINE ratio identity_ratio(void)
{
    return (ratio){fe_small(0), fe_small(1), fe_small(1), fe_small(1)};
}

/* z^(p - 2), so 0 for 0; r may be z. */
static TARGET void pair_invert(fe r[2], const fe z[2])
{
    fe cube[2], power[2];
    for (int k = 0; k < 2; k++) cube[k] = fe_mul(fe_sqr(z[k]), z[k]);
    pair_pow_p58(power, z); /* (p - 5) / 8 */
    for (int k = 0; k < 2; k++) r[k] = fe_mul(fe_sqr(fe_sqr(fe_sqr(power[k]))), cube[k]);
}

static TARGET void invert(fe *r, const fe *z)
{
    fe pair[2] = {*z, *z};
    pair_invert(pair, pair);
    *r = pair[0];
}

/* --- multiples of a fixed point --- */

enum { DIGITS = 64, TABLE_ROWS = DIGITS / 2 };

/* Row i holds the multiples 1 to 8 of 256^i times the point that stands in every lane of p, so that permutations within
 * registers look up a digit a lane: nothing is read from memory at a secret place. They are made in one vector of eight
 * lanes, the second idle, or in two of four. */
static TARGET void fill_table(right_affine table[TABLE_ROWS], point p)
{
    const right first = right_from_point(p);
    point next = p, m[2] = {p, p};
    for (int j = 1; j < 8; j++) {
        const left l = left_from_point(next);
        const ratio sum = add(&l, &first);
        next = point_from_ratio(&sum);
        for (int k = 0; k < 2; k++) {
            const lanes later = lanes_from(j - k * LANES);
            m[k] = (point){fe_select(later, m[k].x, next.x), fe_select(later, m[k].y, next.y),
                           fe_select(later, m[k].z, next.z), fe_select(later, m[k].t, next.t)};
        }
    }
    /* x = xz/zz, y = yz/zz: e/f and g/h with a common denominator */
    ratio r[2] = {{m[0].x, m[0].z, m[0].y, m[0].z}, {m[1].x, m[1].z, m[1].y, m[1].z}};
    for (int i = 0; i < TABLE_ROWS; i++) {
        right_affine half[2];
        fe inverse[2];
        for (int k = 0; k < 2; k++) {
            m[k] = point_from_ratio(&r[k]);
            inverse[k] = m[k].z;
        }
        pair_invert(inverse, inverse);
        for (int k = 0; k < 2; k++) {
            const fe ax = fe_mul(m[k].x, inverse[k]), ay = fe_mul(m[k].y, inverse[k]);
            half[k] = (right_affine){fe_canonical(fe_add(ay, ax)), fe_canonical(fe_sub(ay, ax)),
                                     fe_canonical(fe_mul(fe_mul(ax, ay), fe_constant(D2)))};
        }
        table[i] = (right_affine){fe_join(half[0].sum, half[1].sum), fe_join(half[0].difference, half[1].difference),
                                  fe_join(half[0].t2d, half[1].t2d)};
        pair_times16(r);
        pair_times16(r);
    }
}

/* digit times the point of the row, lane by lane, -8 <= digit < 8. */
TARGET_INLINE right_affine table_multiple(const right_affine *row, vec digit)
{
    const vec size = magnitude(digit), index = SUB(size, ALL(1));
    const lanes zero = zero_lanes(size), negative = negative_lanes(digit);
    const fe one = fe_small(1), sum = fe_lookup(row->sum, index), difference = fe_lookup(row->difference, index);
    const fe t2d = fe_lookup(row->t2d, index);
    return (right_affine){fe_select(zero, fe_select(negative, sum, difference), one),
                          fe_select(zero, fe_select(negative, difference, sum), one),
                          fe_select(zero, fe_select(negative, t2d, fe_neg(t2d)), fe_small(0))};
}

/* r plus the multiple. */
TARGET_INLINE ratio add_multiple(const ratio *r, const right_affine *row, vec digit)
{
    const left l = left_from_ratio(r);
    const right_affine q = table_multiple(row, digit);
    return add_affine(&l, &q);
}

/* A scalar below 2^253 a lane, words 0 to 3 in w: scalar = sum of digits[i] 16^i with -8 <= digits[i] < 8. */
TARGET_INLINE void recode_rows(vec digits[DIGITS], vec w[4])
{
    vec carry = ALL(0);
    for (int j = 0; j < DIGITS; j++) {
        const vec digit = ADD(AND(w[j / 16], ALL(15)), carry);
        w[j / 16] = SHR(w[j / 16], 4);
        carry = SHR(ADD(digit, ALL(8)), 4);
        digits[j] = SUB(digit, SHL(carry, 4));
    }
}

#endif
