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

#define TARGET __attribute__((target("avx512f,avx512ifma,avx512vl,avx512dq,avx512bw")))
#include "inlined.h"

enum { LANES = 8, LIMBS = 5 };

typedef __m512i vec;
typedef __mmask8 lanes; /* a set of lanes */

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

TARGET_INLINE fe fe_constant(const uint64_t limbs[5])
{
    fe r;
    for (int k = 0; k < 5; k++) r.v[k] = ALL(limbs[k]);
    return r;
}

/* in: any 64-bit columns. Each hands what stands above bit 50 (< 2^13) to the next, the last one 19-fold to the first.
 * out: limb 0 < 2^51 + 19 * 2^13 < 2^51 + 2^18, the others < 2^51 + 2^13. */
TARGET_INLINE fe fe_carry(wide w)
{
    const __m512i mask = ALL(LIMB_MASK);
    fe r;
    r.v[0] = LO(AND(w.v[0], mask), SHR(w.v[4], 51), ALL(19));
    for (int k = 1; k < 5; k++) r.v[k] = ADD(AND(w.v[k], mask), SHR(w.v[k - 1], 51));
    return r;
}

/* By shifts, as the multiplier ports are the busy ones. */
TARGET_INLINE __m512i times19(__m512i x)
{
    return ADD(ADD(x, SHL(x, 1)), SHL(x, 4));
}

/* Columns 5 to 9 weigh 2^255 = 19 times columns 0 to 4. */
TARGET_INLINE wide fold(const __m512i column[10])
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
TARGET_INLINE wide fe_mul_wide(const fe *a, const fe *b)
{
    __m512i high[10], column[10];
    for (int k = 0; k < 10; k++) high[k] = _mm512_setzero_si512();
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) high[i + j + 1] = HI(high[i + j + 1], a->v[i], b->v[j]);
    for (int k = 0; k < 10; k++) column[k] = ADD(high[k], high[k]);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) column[i + j] = LO(column[i + j], a->v[i], b->v[j]);
    return fold(column);
}

/* fe_mul_wide(a, a), same bounds. The product of two different limbs is formed once and doubled. */
TARGET_INLINE wide fe_sqr_wide(const fe *a)
{
    __m512i high[10], column[10];
    for (int k = 0; k < 10; k++) high[k] = _mm512_setzero_si512();
    for (int i = 0; i < 5; i++)
        for (int j = i + 1; j < 5; j++) high[i + j + 1] = HI(high[i + j + 1], a->v[i], a->v[j]);
    for (int k = 0; k < 10; k++) column[k] = ADD(high[k], high[k]);
    for (int i = 0; i < 5; i++) {
        column[2 * i + 1] = HI(column[2 * i + 1], a->v[i], a->v[i]);
        for (int j = i + 1; j < 5; j++) column[i + j] = LO(column[i + j], a->v[i], a->v[j]);
    }
    for (int k = 0; k < 10; k++) column[k] = ADD(column[k], column[k]);
    for (int i = 0; i < 5; i++) column[2 * i] = LO(column[2 * i], a->v[i], a->v[i]);
    return fold(column);
}

TARGET_INLINE fe fe_product(const fe *a, const fe *b) { return fe_carry(fe_mul_wide(a, b)); }
TARGET_INLINE fe fe_square(const fe *a) { return fe_carry(fe_sqr_wide(a)); }

/* a - b + 2^10 p. in: b < PRODUCT, which is below every limb of 2^10 p (>= 2^61 - 19456), so no column falls below 0.
 * out: columns < a + 2^61. */
TARGET_INLINE wide wide_sub(wide a, wide b)
{
    wide r;
    for (int k = 0; k < 5; k++) r.v[k] = ADD(a.v[k], SUB(ALL(P_LIMB(k) << 10), b.v[k]));
    return r;
}

/* 2p - a. No limb falls below 0 or rises above that of 2p. */
TARGET_INLINE fe fe_neg(fe a)
{
    fe r;
    for (int k = 0; k < 5; k++) r.v[k] = SUB(ALL(2 * P_LIMB(k)), a.v[k]);
    return r;
}

/* The representative in [0, p), limbs < 2^51, of what fe_carry gave for limbs of an fe: that is < 2^255 + 2^223 < 2p - 19,
 * so the quotient by p is the bit that a + 19 carries out of 255 bits. */
TARGET_INLINE fe fe_reduce(fe a)
{
    const __m512i mask = ALL(LIMB_MASK);
    fe r;
    __m512i carry = ALL(19);
    for (int k = 0; k < 5; k++) carry = SHR(ADD(a.v[k], carry), 51);
    carry = times19(carry);
    for (int k = 0; k < 5; k++) {
        __m512i sum = ADD(a.v[k], carry);
        r.v[k] = AND(sum, mask);
        carry = SHR(sum, 51);
    }
    return r;
}

/* --- lanes --- */

TARGET_INLINE lanes zero_lanes(vec x) { return _mm512_testn_epi64_mask(x, x); }
TARGET_INLINE lanes odd_lanes(vec x) { return _mm512_test_epi64_mask(x, ALL(1)); }
TARGET_INLINE lanes negative_lanes(vec x) { return _mm512_movepi64_mask(x); }
TARGET_INLINE vec magnitude(vec x) { return _mm512_abs_epi64(x); }

/* Bit j for lane j. */
TARGET_INLINE unsigned lane_bits(lanes set) { return set; }

/* The lanes from j on; none for j >= LANES. */
TARGET_INLINE lanes lanes_from(int j) { return j < LANES ? (lanes)(0xff << (j < 0 ? 0 : j)) : 0; }

/* Lanes of b where the mask is set, of a elsewhere. */
TARGET_INLINE fe fe_select(lanes mask, fe a, fe b)
{
    fe r;
    for (int k = 0; k < 5; k++) r.v[k] = _mm512_mask_blend_epi64(mask, a.v[k], b.v[k]);
    return r;
}

/* --- tables --- */

/* An element as a table keeps it that is read in full. */
typedef fe packed;

TARGET_INLINE packed fe_pack(fe a) { return a; }
TARGET_INLINE fe fe_unpack(packed a) { return a; }

/* chosen, or entry in the lanes of the set; chosen is 0 there before. */
TARGET_INLINE packed packed_choose(packed chosen, packed entry, lanes set)
{
    const __m512i mask = _mm512_movm_epi64(set);
    for (int k = 0; k < 5; k++) /* 0xf8: first | (second & third) */
        chosen.v[k] = _mm512_ternarylogic_epi64(chosen.v[k], entry.v[k], mask, 0xf8);
    return chosen;
}

/* Eight elements, one a lane of `first`: `second` is for narrower vectors. */
TARGET_INLINE fe fe_join(fe first, fe second)
{
    (void)second;
    return first;
}

/* In each lane, element `index` of the eight, 0 <= index < 8; anything for another index. */
TARGET_INLINE fe fe_lookup(fe eight, vec index)
{
    for (int k = 0; k < 5; k++) eight.v[k] = _mm512_permutexvar_epi64(index, eight.v[k]);
    return eight;
}

#include "field_lanes.h"

/* a * b twice over, of which the squares are at hand; columns < 2 PRODUCT. */
TARGET_INLINE wide fe_mul_twice_wide(const fe *a, const fe *b, const wide *aa, const wide *bb)
{
    const wide ab = fe_mul_wide(a, b);
    (void)aa, (void)bb; /* (a + b)^2 would need limbs below 2^51 */
    return wide_add(ab, ab);
}

/* Four little-endian words, one element a lane; bit 255 is ignored. out: limbs < 2^51. */
TARGET_INLINE fe fe_from_words(const __m512i w[4])
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
TARGET_INLINE void fe_to_words(__m512i w[4], fe a)
{
    const fe c = fe_canonical(a);
    w[0] = OR(c.v[0], SHL(c.v[1], 51));
    w[1] = OR(SHR(c.v[1], 13), SHL(c.v[2], 38));
    w[2] = OR(SHR(c.v[2], 26), SHL(c.v[3], 25));
    w[3] = OR(SHR(c.v[3], 39), SHL(c.v[4], 12));
}

/* --- rows --- */

/* Lane j of w[i] and lane i of w[j] change places. */
TARGET_INLINE void transpose(__m512i w[8])
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
TARGET_INLINE void load32(__m512i w[8], const uint8_t *bytes, size_t rows)
{
    for (size_t j = 0; j < LANES; j++)
        w[j] = j < rows ? _mm512_zextsi256_si512(_mm256_loadu_si256((const void *)(bytes + 32 * j)))
                        : _mm512_setzero_si512();
    transpose(w);
}

/* Words 0 to 7 of `rows` <= 8 rows, `stride` bytes apart. */
TARGET_INLINE void load64(__m512i w[8], const uint8_t *bytes, size_t stride, size_t rows)
{
    for (size_t j = 0; j < LANES; j++)
        w[j] = j < rows ? _mm512_loadu_si512(bytes + stride * j) : _mm512_setzero_si512();
    transpose(w);
}

TARGET_INLINE void store32(uint8_t *bytes, fe a, size_t rows)
{
    __m512i w[8];
    fe_to_words(w, a);
    for (int i = 4; i < 8; i++) w[i] = _mm512_setzero_si512();
    transpose(w);
    for (size_t j = 0; j < LANES; j++)
        if (j < rows) _mm256_storeu_si256((void *)(bytes + 32 * j), _mm512_castsi512_si256(w[j]));
}

TARGET_INLINE void store64(uint8_t *bytes, size_t stride, fe a, fe b, size_t rows)
{
    __m512i w[8];
    fe_to_words(w, a);
    fe_to_words(w + 4, b);
    transpose(w);
    for (size_t j = 0; j < LANES; j++)
        if (j < rows) _mm512_storeu_si512(bytes + stride * j, w[j]);
}

#endif
