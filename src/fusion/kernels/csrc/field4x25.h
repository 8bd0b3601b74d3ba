/* GF(p), p = 2^255 - 19, four elements at a time on the 32-bit multiplier of AVX2.
 *
 * An element is ten limbs of 26 and 25 bits in turn (radix 2^25.5); limb k of all four lanes stands in one 256-bit
 * register. It weighs 2^(51 k / 2), rounded up: two limbs are one of radix 2^51, and the product of two odd limbs counts
 * twice. 2^255 = 19 folds the upper columns.
 *
 * Two types carry the bounds.
 *   fe    Every limb is at most the same limb of 2p, that is below 2^27 where k is even and below 2^26 where it is odd:
 *         it may enter a multiplication and it may be negated. Every function that returns fe keeps to this.
 *   wide  64-bit columns of one product or of a sum of a few, which `fe_carry` takes back to an fe.
 *
 * Nothing here branches on data or reads memory at an address that depends on it.
 */
#ifndef FUSION_FIELD4X25_H
#define FUSION_FIELD4X25_H

#include <immintrin.h>
#include <stdint.h>

/* The tuning makes gcc copy an element by vector moves, not by a string instruction. */
#define TARGET __attribute__((target("avx2,tune=skylake-avx512")))
#include "inlined.h"

enum { LANES = 4, LIMBS = 10 };

typedef __m256i vec;
typedef __m256i lanes; /* a set of lanes: all bits of each, or none */

typedef struct {
    __m256i v[10];
} fe;

typedef struct {
    __m256i v[10];
} wide;

#define LIMB_BITS(k) (26 - (k) % 2)
#define LIMB_MASK(k) ((1LL << LIMB_BITS(k)) - 1)
#define P_LIMB(k) (LIMB_MASK(k) - ((k) == 0 ? 18 : 0)) /* limb k of p */

/* Short names for what the formulas use most. */
#define MUL _mm256_mul_epu32
#define ADD _mm256_add_epi64
#define SUB _mm256_sub_epi64
#define AND _mm256_and_si256
#define OR _mm256_or_si256
#define XOR _mm256_xor_si256
#define SHL _mm256_slli_epi64
#define SHR _mm256_srli_epi64
#define ALL(x) _mm256_set1_epi64x((long long)(x))

/* From limbs of radix 2^51. */
TARGET_INLINE fe fe_constant(const uint64_t limbs[5])
{
    fe r;
    for (int k = 0; k < 10; k++) r.v[k] = ALL(limbs[k / 2] >> (k % 2 ? 26 : 0) & LIMB_MASK(k));
    return r;
}

/* Hands what stands above limb k to the next. */
TARGET_INLINE void carry_from(wide *w, int k)
{
    w->v[k + 1] = ADD(w->v[k + 1], SHR(w->v[k], LIMB_BITS(k)));
    w->v[k] = AND(w->v[k], ALL(LIMB_MASK(k)));
}

/* in: columns below 2^64 - 2^40. out: limb 1 < 2^25 + 2^18, limb 5 < 2^25 + 2^14, the others below 2^26 or 2^25.
 *
 * Two chains of carries at once, from 0 to 5 and from 4 to 0. A carry is below 2^39; the one out of limb 9 comes back
 * 19-fold, and lifts limb 0 below 2^44 before that, too, is carried. */
TARGET_INLINE fe fe_carry(wide w)
{
    fe r;
    carry_from(&w, 0), carry_from(&w, 4);
    carry_from(&w, 1), carry_from(&w, 5);
    carry_from(&w, 2), carry_from(&w, 6);
    carry_from(&w, 3), carry_from(&w, 7);
    carry_from(&w, 4), carry_from(&w, 8);
    const __m256i top = SHR(w.v[9], LIMB_BITS(9));
    w.v[9] = AND(w.v[9], ALL(LIMB_MASK(9)));
    w.v[0] = ADD(w.v[0], ADD(ADD(top, SHL(top, 1)), SHL(top, 4))); /* more than the 32 bits that a product reads */
    carry_from(&w, 0);
    for (int k = 0; k < 10; k++) r.v[k] = w.v[k];
    return r;
}

/* A sum that the optimiser must finish here: else gcc forms products long before it adds them, which then wait in memory
 * as there are 16 registers, and a multiplication takes a third longer. */
TARGET_INLINE void settle(__m256i *sum) { __asm__("" : "+x"(*sum)); }

/* w = a0 b, or w += limb i of a times b. b19 = 19 b: a product beyond limb 9 counts 19-fold. */
TARGET_INLINE void add_row(wide *w, int i, __m256i limb, const fe *b, const fe *b19)
{
    const __m256i twice = ADD(limb, limb);
    for (int j = 0; j < 10; j++) {
        const __m256i product = MUL(i % 2 && j % 2 ? twice : limb, i + j < 10 ? b->v[j] : b19->v[j]);
        const int k = (i + j) % 10;
        w->v[k] = i ? ADD(w->v[k], product) : product;
        settle(&w->v[k]);
    }
}

/* in: 19 times a limb of b stays below 2^32. out: columns < PRODUCT = 125 * 2^54 (k even), 78 * 2^54 (k odd).
 *
 * Products of limbs are below 2^54 where both are even, else, the doubled ones included, below 2^53. Column 0 has the
 * most: one of the former, and 19-fold four of the former and five of the latter. Odd columns have ten of the latter, at
 * most eight of them 19-fold. */
TARGET_INLINE wide product(const fe *a, const fe *b)
{
    fe b19;
    wide r;
    for (int j = 0; j < 10; j++) b19.v[j] = MUL(b->v[j], ALL(19));
    add_row(&r, 0, a->v[0], b, &b19), add_row(&r, 1, a->v[1], b, &b19), add_row(&r, 2, a->v[2], b, &b19);
    add_row(&r, 3, a->v[3], b, &b19), add_row(&r, 4, a->v[4], b, &b19), add_row(&r, 5, a->v[5], b, &b19);
    add_row(&r, 6, a->v[6], b, &b19), add_row(&r, 7, a->v[7], b, &b19), add_row(&r, 8, a->v[8], b, &b19);
    add_row(&r, 9, a->v[9], b, &b19);
    return r;
}

/* w = a0 a, or w += the products of limb i with itself and those after it, which count twofold; a19 = 19 a, 38 a for odd
 * limbs. */
TARGET_INLINE void add_squares(wide *w, int i, const fe *a, const fe *twice, const fe *a19)
{
    for (int j = i; j < 10; j++) {
        const int high = i + j >= 10, both = i % 2 && j % 2, k = (i + j) % 10;
        const __m256i left = i < j && (both || !high || j % 2 == 0) ? twice->v[i] : a->v[i];
        const __m256i product = MUL(left, high ? a19->v[j] : both ? twice->v[j] : a->v[j]);
        w->v[k] = i ? ADD(w->v[k], product) : product;
        settle(&w->v[k]);
    }
}

/* fe_mul_wide(a, a), same bounds; 38 times an odd limb stays below 2^32. */
TARGET_INLINE wide square(const fe *a)
{
    fe twice, a19;
    wide r;
    for (int k = 0; k < 10; k++) twice.v[k] = ADD(a->v[k], a->v[k]);
    for (int k = 0; k < 10; k++) a19.v[k] = MUL(k % 2 ? twice.v[k] : a->v[k], ALL(19));
    add_squares(&r, 0, a, &twice, &a19), add_squares(&r, 1, a, &twice, &a19), add_squares(&r, 2, a, &twice, &a19);
    add_squares(&r, 3, a, &twice, &a19), add_squares(&r, 4, a, &twice, &a19), add_squares(&r, 5, a, &twice, &a19);
    add_squares(&r, 6, a, &twice, &a19), add_squares(&r, 7, a, &twice, &a19), add_squares(&r, 8, a, &twice, &a19);
    add_squares(&r, 9, a, &twice, &a19);
    return r;
}

/* The four forms in use are functions that are called: inlined, a step of the curve is too long for the cache of decoded
 * instructions, and takes twice the time. */
#define CALLED static __attribute__((noinline)) TARGET

CALLED void product_to_wide(wide *r, const fe *a, const fe *b) { *r = product(a, b); }
CALLED void product_to_fe(fe *r, const fe *a, const fe *b) { *r = fe_carry(product(a, b)); }
CALLED void square_to_wide(wide *r, const fe *a) { *r = square(a); }
CALLED void square_to_fe(fe *r, const fe *a) { *r = fe_carry(square(a)); }

TARGET_INLINE wide fe_mul_wide(const fe *a, const fe *b)
{
    wide r;
    product_to_wide(&r, a, b);
    return r;
}

TARGET_INLINE wide fe_sqr_wide(const fe *a)
{
    wide r;
    square_to_wide(&r, a);
    return r;
}

TARGET_INLINE fe fe_product(const fe *a, const fe *b)
{
    fe r;
    product_to_fe(&r, a, b);
    return r;
}

TARGET_INLINE fe fe_square(const fe *a)
{
    fe r;
    square_to_fe(&r, a);
    return r;
}

/* a - b + 2^36 p. in: b < PRODUCT, which is below every limb of 2^36 p (> 2^61 - 2^42), so no column falls below 0.
 * out: columns < a + 2^62. */
TARGET_INLINE wide wide_sub(wide a, wide b)
{
    wide r;
    for (int k = 0; k < 10; k++) r.v[k] = ADD(a.v[k], SUB(ALL(P_LIMB(k) << 36), b.v[k]));
    return r;
}

/* 2p - a. No limb falls below 0 or rises above that of 2p. */
TARGET_INLINE fe fe_neg(fe a)
{
    fe r;
    for (int k = 0; k < 10; k++) r.v[k] = SUB(ALL(2 * P_LIMB(k)), a.v[k]);
    return r;
}

/* The representative in [0, p), limbs below 2^26 or 2^25, of what fe_carry gave: that is < 2^255 + 2^142 < 2p - 19, so
 * the quotient by p is the bit that a + 19 carries out of 255 bits. */
TARGET_INLINE fe fe_reduce(fe a)
{
    __m256i carry = ALL(19);
    for (int k = 0; k < 10; k++) carry = SHR(ADD(a.v[k], carry), LIMB_BITS(k));
    carry = MUL(carry, ALL(19));
    for (int k = 0; k < 10; k++) {
        const __m256i sum = ADD(a.v[k], carry);
        a.v[k] = AND(sum, ALL(LIMB_MASK(k)));
        carry = SHR(sum, LIMB_BITS(k));
    }
    return a;
}

/* --- lanes --- */

TARGET_INLINE lanes zero_lanes(vec x) { return _mm256_cmpeq_epi64(x, ALL(0)); }
TARGET_INLINE lanes odd_lanes(vec x) { return SUB(ALL(0), AND(x, ALL(1))); }
TARGET_INLINE lanes negative_lanes(vec x) { return _mm256_cmpgt_epi64(ALL(0), x); }

TARGET_INLINE vec magnitude(vec x)
{
    const lanes negative = negative_lanes(x);
    return SUB(XOR(x, negative), negative);
}

/* Bit j for lane j. */
TARGET_INLINE unsigned lane_bits(lanes set) { return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(set)); }

/* The lanes from j on; none for j >= LANES. */
TARGET_INLINE lanes lanes_from(int j) { return _mm256_cmpgt_epi64(_mm256_set_epi64x(4, 3, 2, 1), ALL(j)); }

/* Lanes of b where the set has them, of a elsewhere. */
TARGET_INLINE fe fe_select(lanes set, fe a, fe b)
{
    fe r;
    for (int k = 0; k < 10; k++) r.v[k] = _mm256_blendv_epi8(a.v[k], b.v[k], set);
    return r;
}

/* --- tables --- */

/* An element as a table keeps it that is read in full: limb 2k + 1 in the upper half of limb 2k. */
typedef struct {
    __m256i v[5];
} packed;

TARGET_INLINE packed fe_pack(fe a)
{
    packed r;
    for (int k = 0; k < 5; k++) r.v[k] = OR(a.v[2 * k], SHL(a.v[2 * k + 1], 32));
    return r;
}

TARGET_INLINE fe fe_unpack(packed a)
{
    fe r;
    for (int k = 0; k < 5; k++) {
        r.v[2 * k] = AND(a.v[k], ALL(0xffffffff));
        r.v[2 * k + 1] = SHR(a.v[k], 32);
    }
    return r;
}

/* chosen, or entry in the lanes of the set; chosen is 0 there before. */
TARGET_INLINE packed packed_choose(packed chosen, packed entry, lanes set)
{
    for (int k = 0; k < 5; k++) chosen.v[k] = OR(chosen.v[k], AND(entry.v[k], set));
    return chosen;
}

/* Eight elements, four of `first` and four of `second`, whose limbs take the upper halves. */
TARGET_INLINE fe fe_join(fe first, fe second)
{
    for (int k = 0; k < 10; k++) first.v[k] = OR(first.v[k], SHL(second.v[k], 32));
    return first;
}

/* In each lane, element `index` of the eight, 0 <= index < 8; any of them for another index. */
TARGET_INLINE fe fe_lookup(fe eight, vec index)
{
    const __m256i half = OR(SHL(AND(index, ALL(3)), 1), AND(SHR(index, 2), ALL(1)));
    for (int k = 0; k < 10; k++)
        eight.v[k] = AND(_mm256_permutevar8x32_epi32(eight.v[k], half), ALL(0xffffffff));
    return eight;
}

#include "field_lanes.h"

/* a * b twice over, of which the squares are at hand: (a + b)^2 - aa - bb, exact in every column.
 * in: from fe_carry, so that a + b may be squared. out: columns < 2 PRODUCT. */
TARGET_INLINE wide fe_mul_twice_wide(const fe *a, const fe *b, const wide *aa, const wide *bb)
{
    fe sum;
    wide r;
    for (int k = 0; k < 10; k++) sum.v[k] = ADD(a->v[k], b->v[k]);
    r = fe_sqr_wide(&sum);
    for (int k = 0; k < 10; k++) r.v[k] = SUB(r.v[k], ADD(aa->v[k], bb->v[k]));
    return r;
}

/* Four little-endian words, one element a lane; bit 255 is ignored. out: limbs below 2^26 or 2^25. */
TARGET_INLINE fe fe_from_words(const __m256i w[4])
{
    const __m256i limbs[5] = {w[0], OR(SHR(w[0], 51), SHL(w[1], 13)), OR(SHR(w[1], 38), SHL(w[2], 26)),
                              OR(SHR(w[2], 25), SHL(w[3], 39)), SHR(w[3], 12)};
    fe r;
    for (int k = 0; k < 10; k++) r.v[k] = AND(k % 2 ? SHR(limbs[k / 2], 26) : limbs[k / 2], ALL(LIMB_MASK(k)));
    return r;
}

/* The canonical 255 bits. */
TARGET_INLINE void fe_to_words(__m256i w[4], fe a)
{
    const fe c = fe_canonical(a);
    __m256i limbs[5];
    for (int k = 0; k < 5; k++) limbs[k] = OR(c.v[2 * k], SHL(c.v[2 * k + 1], 26));
    w[0] = OR(limbs[0], SHL(limbs[1], 51));
    w[1] = OR(SHR(limbs[1], 13), SHL(limbs[2], 38));
    w[2] = OR(SHR(limbs[2], 26), SHL(limbs[3], 25));
    w[3] = OR(SHR(limbs[3], 39), SHL(limbs[4], 12));
}

/* --- rows --- */

/* Lane j of w[i] and lane i of w[j] change places. */
TARGET_INLINE void transpose(__m256i w[4])
{
    const __m256i even01 = _mm256_unpacklo_epi64(w[0], w[1]), odd01 = _mm256_unpackhi_epi64(w[0], w[1]);
    const __m256i even23 = _mm256_unpacklo_epi64(w[2], w[3]), odd23 = _mm256_unpackhi_epi64(w[2], w[3]);
    w[0] = _mm256_permute2x128_si256(even01, even23, 0x20);
    w[1] = _mm256_permute2x128_si256(odd01, odd23, 0x20);
    w[2] = _mm256_permute2x128_si256(even01, even23, 0x31);
    w[3] = _mm256_permute2x128_si256(odd01, odd23, 0x31);
}

TARGET_INLINE void load_words(__m256i w[4], const uint8_t *bytes, size_t stride, size_t rows)
{
    for (size_t j = 0; j < LANES; j++)
        w[j] = j < rows ? _mm256_loadu_si256((const void *)(bytes + stride * j)) : ALL(0);
    transpose(w);
}

TARGET_INLINE void store_words(uint8_t *bytes, size_t stride, fe a, size_t rows)
{
    __m256i w[4];
    fe_to_words(w, a);
    transpose(w);
    for (size_t j = 0; j < LANES; j++)
        if (j < rows) _mm256_storeu_si256((void *)(bytes + stride * j), w[j]);
}

/* Words 0 to 3 of `rows` <= 4 rows of 32 bytes. */
TARGET_INLINE void load32(__m256i w[8], const uint8_t *bytes, size_t rows)
{
    load_words(w, bytes, 32, rows);
}

/* Words 0 to 7 of `rows` <= 4 rows, `stride` bytes apart. */
TARGET_INLINE void load64(__m256i w[8], const uint8_t *bytes, size_t stride, size_t rows)
{
    load_words(w, bytes, stride, rows);
    load_words(w + 4, bytes + 32, stride, rows);
}

TARGET_INLINE void store32(uint8_t *bytes, fe a, size_t rows)
{
    store_words(bytes, 32, a, rows);
}

TARGET_INLINE void store64(uint8_t *bytes, size_t stride, fe a, fe b, size_t rows)
{
    store_words(bytes, stride, a, rows);
    store_words(bytes + 32, stride, b, rows);
}

#endif
