/* GF(p), p = 2^255 - 19, eight elements at a time on the 52-bit multiplier of AVX-512 IFMA.
 *
 * An element is five limbs of radix 2^51; limb k of all eight lanes stands in one 512-bit register, so lane j of v[k]
 * is the coefficient of 2^(51k) of element j. The multiplier reads 52 bits of each operand: radix 2^51 leaves it one
 * spare bit, and 2^255 = 19 folds the upper columns with a small factor.
 *
 * Two types carry the bounds.
 *   fe    Every limb is at most the same limb of 2p, that is 2^52 - 38 for limb 0 and 2^52 - 2 for the others: it may
 *         enter a multiplication and it may be negated. Every function that returns fe keeps to this.
 *   wide  64-bit columns of one product or of a sum of a few. `fe_carry` takes any 64-bit columns, so a formula on wide
 *         values only has to stay between 0 and 2^64; it says its bounds where it stands.
 * A product is carried before it enters another, and a sum of products needs no more than that one carry. The point
 * formulas are therefore written on wide values.
 *
 * Nothing here branches on data or reads memory at an address that depends on it.
 */
#ifndef FUSION_FIELD8X52_H
#define FUSION_FIELD8X52_H

#include <immintrin.h>
#include <stdint.h>

#define IFMA __attribute__((target("avx512f,avx512ifma,avx512vl,avx512dq,avx512bw")))

/* Everything is inlined into the loops. Not under a sanitizer, which checks each load of each copy: that build would
 * take minutes, and nobody times it. */
#if defined(__has_feature)
#define FIELD_HAS_FEATURE __has_feature
#else
#define FIELD_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || FIELD_HAS_FEATURE(address_sanitizer)
#define IFMA_INLINE static __attribute__((noinline, unused)) IFMA
#else
#define IFMA_INLINE static inline __attribute__((always_inline)) IFMA
#endif

typedef struct {
    __m512i v[5];
} fe;

typedef struct {
    __m512i v[5];
} wide;

#define LIMB_MASK 0x7ffffffffffffULL                  /* 2^51 - 1 */
#define P_LIMB(k) (LIMB_MASK - ((k) == 0 ? 18 : 0)) /* limb k of p */

/* Short names for what the formulas use most. Only the IFMA files include this header. */
#define LO _mm512_madd52lo_epu64
#define HI _mm512_madd52hi_epu64
#define ADD _mm512_add_epi64
#define SUB _mm512_sub_epi64
#define AND _mm512_and_si512
#define OR _mm512_or_si512
#define XOR _mm512_xor_si512
#define SHL _mm512_slli_epi64
#define SHR _mm512_srli_epi64
#define ALL(x) _mm512_set1_epi64((long long)(x))

IFMA_INLINE fe fe_constant(const uint64_t limbs[5])
{
    fe r;
    for (int k = 0; k < 5; k++) r.v[k] = ALL(limbs[k]);
    return r;
}

IFMA_INLINE fe fe_small(uint64_t x)
{
    return fe_constant((const uint64_t[5]){x, 0, 0, 0, 0});
}

/* in: any 64-bit columns. Each hands what stands above bit 50 (< 2^13) to the next, the last one 19-fold to the first.
 * out: limb 0 < 2^51 + 19 * 2^13 < 2^51 + 2^18, the others < 2^51 + 2^13. */
IFMA_INLINE fe fe_carry(wide w)
{
    const __m512i mask = ALL(LIMB_MASK);
    fe r;
    r.v[0] = LO(AND(w.v[0], mask), SHR(w.v[4], 51), ALL(19));
    for (int k = 1; k < 5; k++) r.v[k] = ADD(AND(w.v[k], mask), SHR(w.v[k - 1], 51));
    return r;
}

/* By shifts, as the multiplier ports are the busy ones. */
IFMA_INLINE __m512i times19(__m512i x)
{
    return ADD(ADD(x, SHL(x, 1)), SHL(x, 4));
}

/* Columns 5 to 9 weigh 2^255 = 19 times columns 0 to 4. */
IFMA_INLINE wide fold(const __m512i column[10])
{
    wide r;
    for (int k = 0; k < 5; k++) r.v[k] = ADD(column[k], times19(column[k + 5]));
    return r;
}

/* in: limbs < 2^52. out: columns < PRODUCT = 267 * 2^52 < 2^60.1.
 *
 * Column k has n_k = 1 2 3 4 5 4 3 2 1 0 limb products. Their low halves add up to less than n_k * 2^52; their high
 * halves weigh 2^52 = 2 * 2^51, so they count twice in the column above: less than 2 n_(k-1) * 2^52. Columns 0 to 9
 * stay below 1 4 7 10 13 14 11 8 5 2 times 2^52, and after folding 0 to 4 below 267 213 159 105 51 times 2^52. */
IFMA_INLINE wide fe_mul_wide(fe a, fe b)
{
    __m512i high[10], column[10];
    for (int k = 0; k < 10; k++) high[k] = _mm512_setzero_si512();
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) high[i + j + 1] = HI(high[i + j + 1], a.v[i], b.v[j]);
    for (int k = 0; k < 10; k++) column[k] = ADD(high[k], high[k]);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) column[i + j] = LO(column[i + j], a.v[i], b.v[j]);
    return fold(column);
}

/* fe_mul_wide(a, a), same bounds. The product of two different limbs is formed once and doubled. */
IFMA_INLINE wide fe_sqr_wide(fe a)
{
    __m512i high[10], column[10];
    for (int k = 0; k < 10; k++) high[k] = _mm512_setzero_si512();
    for (int i = 0; i < 5; i++)
        for (int j = i + 1; j < 5; j++) high[i + j + 1] = HI(high[i + j + 1], a.v[i], a.v[j]);
    for (int k = 0; k < 10; k++) column[k] = ADD(high[k], high[k]);
    for (int i = 0; i < 5; i++) {
        column[2 * i + 1] = HI(column[2 * i + 1], a.v[i], a.v[i]);
        for (int j = i + 1; j < 5; j++) column[i + j] = LO(column[i + j], a.v[i], a.v[j]);
    }
    for (int k = 0; k < 10; k++) column[k] = ADD(column[k], column[k]);
    for (int i = 0; i < 5; i++) column[2 * i] = LO(column[2 * i], a.v[i], a.v[i]);
    return fold(column);
}

IFMA_INLINE wide wide_add(wide a, wide b)
{
    wide r;
    for (int k = 0; k < 5; k++) r.v[k] = ADD(a.v[k], b.v[k]);
    return r;
}

/* a - b + 2^10 p. in: b < PRODUCT, which is below every limb of 2^10 p (>= 2^61 - 19456), so no column falls below 0.
 * out: columns < a + 2^61. */
IFMA_INLINE wide wide_sub(wide a, wide b)
{
    wide r;
    for (int k = 0; k < 5; k++) r.v[k] = ADD(a.v[k], SUB(ALL(P_LIMB(k) << 10), b.v[k]));
    return r;
}

IFMA_INLINE wide fe_widen(fe a)
{
    wide r;
    for (int k = 0; k < 5; k++) r.v[k] = a.v[k];
    return r;
}

IFMA_INLINE fe fe_mul(fe a, fe b)
{
    return fe_carry(fe_mul_wide(a, b));
}

IFMA_INLINE fe fe_sqr(fe a)
{
    return fe_carry(fe_sqr_wide(a));
}

IFMA_INLINE fe fe_add(fe a, fe b)
{
    return fe_carry(wide_add(fe_widen(a), fe_widen(b)));
}

IFMA_INLINE fe fe_sub(fe a, fe b)
{
    return fe_carry(wide_sub(fe_widen(a), fe_widen(b)));
}

/* 2p - a. No limb falls below 0 or rises above that of 2p. */
IFMA_INLINE fe fe_neg(fe a)
{
    fe r;
    for (int k = 0; k < 5; k++) r.v[k] = SUB(ALL(2 * P_LIMB(k)), a.v[k]);
    return r;
}

/* The representative in [0, p), limbs < 2^51. The carry leaves a < 2^255 + 2^223 < 2p - 19, so the quotient by p is the
 * bit that a + 19 carries out of 255 bits. */
IFMA_INLINE fe fe_canonical(fe a)
{
    const __m512i mask = ALL(LIMB_MASK);
    fe r = fe_carry(fe_widen(a));
    __m512i carry = ALL(19);
    for (int k = 0; k < 5; k++) carry = SHR(ADD(r.v[k], carry), 51);
    carry = times19(carry);
    for (int k = 0; k < 5; k++) {
        __m512i sum = ADD(r.v[k], carry);
        r.v[k] = AND(sum, mask);
        carry = SHR(sum, 51);
    }
    return r;
}

/* One bit a lane. RFC 9496 calls an element negative when its representative in [0, p) is odd. */
IFMA_INLINE __mmask8 fe_is_negative(fe a)
{
    return _mm512_test_epi64_mask(fe_canonical(a).v[0], ALL(1));
}

IFMA_INLINE __mmask8 limbs_are_zero(fe a)
{
    return _mm512_testn_epi64_mask(OR(OR(OR(a.v[0], a.v[1]), OR(a.v[2], a.v[3])), a.v[4]), ALL(-1));
}

IFMA_INLINE __mmask8 fe_is_zero(fe a)
{
    return limbs_are_zero(fe_canonical(a));
}

IFMA_INLINE __mmask8 fe_equal(fe a, fe b)
{
    return fe_is_zero(fe_sub(a, b));
}

/* Lanes of b where the mask is set, of a elsewhere. */
IFMA_INLINE fe fe_select(__mmask8 mask, fe a, fe b)
{
    fe r;
    for (int k = 0; k < 5; k++) r.v[k] = _mm512_mask_blend_epi64(mask, a.v[k], b.v[k]);
    return r;
}

IFMA_INLINE fe fe_abs(fe a)
{
    return fe_select(fe_is_negative(a), a, fe_neg(a));
}

/* Four little-endian words, one element a lane; bit 255 is ignored. out: limbs < 2^51. */
IFMA_INLINE fe fe_from_words(const __m512i w[4])
{
    const __m512i mask = ALL(LIMB_MASK);
    fe r;
    r.v[0] = AND(w[0], mask);
    r.v[1] = AND(OR(SHR(w[0], 51), SHL(w[1], 13)), mask);
    r.v[2] = AND(OR(SHR(w[1], 38), SHL(w[2], 26)), mask);
    r.v[3] = AND(OR(SHR(w[2], 25), SHL(w[3], 39)), mask);
    r.v[4] = AND(SHR(w[3], 12), mask);
    return r;
}

/* The canonical 255 bits. */
IFMA_INLINE void fe_to_words(__m512i w[4], fe a)
{
    const fe c = fe_canonical(a);
    w[0] = OR(c.v[0], SHL(c.v[1], 51));
    w[1] = OR(SHR(c.v[1], 13), SHL(c.v[2], 38));
    w[2] = OR(SHR(c.v[2], 26), SHL(c.v[3], 25));
    w[3] = OR(SHR(c.v[3], 39), SHL(c.v[4], 12));
}

/* Two chains at once: one alone waits for the latency of each squaring. */

/* x = x^(2^n) * m, n >= 1. */
static IFMA void pair_sqr_mul(fe x[2], int n, const fe m[2])
{
    fe a = x[0], b = x[1];
    for (int i = 0; i < n; i++) {
        a = fe_sqr(a);
        b = fe_sqr(b);
    }
    x[0] = fe_mul(a, m[0]);
    x[1] = fe_mul(b, m[1]);
}

/* r = z^((p - 5) / 8) = z^(2^252 - 3); r may not be z. Beside each step stands the exponent that x has after it. */
static IFMA void pair_pow_p58(fe r[2], const fe z[2])
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
