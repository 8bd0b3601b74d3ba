/* What follows for GF(2^255 - 19) from the functions that know how vectors hold its elements. Included by field8x52.h or
 * field4x25.h; all names here, and in edwards_lanes.h and ristretto_lanes.h, are those of one of the two.
 */
#ifndef FUSION_FIELD_LANES_H
#define FUSION_FIELD_LANES_H

TARGET_INLINE fe fe_small(uint64_t x)
{
    return fe_constant((const uint64_t[5]){x, 0, 0, 0, 0});
}

TARGET_INLINE wide wide_add(wide a, wide b)
{
    wide r;
    for (int k = 0; k < LIMBS; k++) r.v[k] = ADD(a.v[k], b.v[k]);
    return r;
}

TARGET_INLINE wide fe_widen(fe a)
{
    wide r;
    for (int k = 0; k < LIMBS; k++) r.v[k] = a.v[k];
    return r;
}

TARGET_INLINE fe fe_mul(fe a, fe b)
{
    return fe_product(&a, &b);
}

TARGET_INLINE fe fe_sqr(fe a)
{
    return fe_square(&a);
}

TARGET_INLINE fe fe_add(fe a, fe b)
{
    return fe_carry(wide_add(fe_widen(a), fe_widen(b)));
}

TARGET_INLINE fe fe_sub(fe a, fe b)
{
    return fe_carry(wide_sub(fe_widen(a), fe_widen(b)));
}

TARGET_INLINE fe fe_canonical(fe a)
{
    return fe_reduce(fe_carry(fe_widen(a)));
}

/* RFC 9496 calls an element negative when its representative in [0, p) is odd. */
TARGET_INLINE lanes fe_is_negative(fe a)
{
    return odd_lanes(fe_canonical(a).v[0]);
}

TARGET_INLINE lanes limbs_are_zero(fe a)
{
    vec any = a.v[0];
    for (int k = 1; k < LIMBS; k++) any = OR(any, a.v[k]);
    return zero_lanes(any);
}

TARGET_INLINE lanes fe_is_zero(fe a)
{
    return limbs_are_zero(fe_canonical(a));
}

TARGET_INLINE lanes fe_equal(fe a, fe b)
{
    return fe_is_zero(fe_sub(a, b));
}

TARGET_INLINE fe fe_abs(fe a)
{
    return fe_select(fe_is_negative(a), a, fe_neg(a));
}

/* Two chains at once: one alone waits for the latency of each squaring. */

/* x = x^(2^n) * m, n >= 1. */
static TARGET void pair_sqr_mul(fe x[2], int n, const fe m[2])
{
    fe a = x[0], b = x[1];
    for (int i = 0; i < n; i++) {
        a = fe_square(&a);
        b = fe_square(&b);
    }
    x[0] = fe_mul(a, m[0]);
    x[1] = fe_mul(b, m[1]);
}

/* r = z^((p - 5) / 8) = z^(2^252 - 3); r may not be z. Beside each step stands the exponent that x has after it. */
static TARGET void pair_pow_p58(fe r[2], const fe z[2])
{
    fe square[2] = {fe_sqr(z[0]), fe_sqr(z[1])};
    fe z9[2] = {square[0], square[1]}, x[2], y[2];
    pair_sqr_mul(z9, 2, z);
    for (int k = 0; k < 2; k++) x[k] = fe_mul(square[k], z9[k]); /* 11 */
    pair_sqr_mul(x, 1, z9);                                      /* 2^5 - 1 */
    y[0] = x[0], y[1] = x[1];
    pair_sqr_mul(x, 5, y); /* 2^10 - 1 */
    r[0] = x[0], r[1] = x[1];
    pair_sqr_mul(x, 10, r); /* 2^20 - 1 */
    y[0] = x[0], y[1] = x[1];
    pair_sqr_mul(x, 20, y); /* 2^40 - 1 */
    pair_sqr_mul(x, 10, r); /* 2^50 - 1 */
    r[0] = x[0], r[1] = x[1];
    pair_sqr_mul(x, 50, r); /* 2^100 - 1 */
    y[0] = x[0], y[1] = x[1];
    pair_sqr_mul(x, 100, y); /* 2^200 - 1 */
    pair_sqr_mul(x, 50, r);  /* 2^250 - 1 */
    pair_sqr_mul(x, 2, z);   /* 2^252 - 3 */
    r[0] = x[0], r[1] = x[1];
}

#endif
