/* The field of 2^255 - 19 elements in radix 2^51: five unsigned limbs, the value is sum v[i] 2^(51 i) mod p.
 *
 * Limbs run over 51 bits so that sums need no carry. Every function states what it takes and gives, limb by limb:
 *   tight   v[i] <= 2^51 + 2^13         what mul, square and load give
 *   mid     v[i] <= limb i of 2p        2^52 - 38, 2^52 - 2, ...: what may be subtracted by sub
 *   wide    v[i] <= limb i of 4p        2^53 - 76, 2^53 - 4, ...: what may be subtracted by sub_wide
 *   loose   v[i] <= 2^54 + 2^15         what mul, square and store take
 * tight is within mid, mid within wide, wide within loose. The sum of two tight elements is at most 2^52 + 2^14, hence
 * wide; of a tight and a mid one, wide; of two wide ones, loose.
 */
#ifndef FUSION_FIELD25519_H
#define FUSION_FIELD25519_H

#include "constant_time.h"

#ifndef __SIZEOF_INT128__
#error "The portable kernel needs a 64-bit compiler with unsigned __int128 (gcc, clang)."
#endif

__extension__ typedef unsigned __int128 fe_product;

typedef struct {
    uint64_t v[5];
} fe;

#define FE_MASK ((UINT64_C(1) << 51) - 1)

static const fe FE_ZERO = {{0, 0, 0, 0, 0}};
static const fe FE_ONE = {{1, 0, 0, 0, 0}};

static inline uint64_t fe_read64(const uint8_t *p)
{
    uint64_t x = 0;
    for (int i = 0; i < 8; i++) x |= (uint64_t)p[i] << (8 * i);
    return x;
}

static inline void fe_write64(uint8_t *p, uint64_t x)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(x >> (8 * i));
}

/* 32 bytes little-endian, bit 255 ignored -> limbs below 2^51; values from p to 2^255 - 1 are taken mod p. */
static inline fe fe_load(const uint8_t *p)
{
    uint64_t a = fe_read64(p), b = fe_read64(p + 8), c = fe_read64(p + 16), d = fe_read64(p + 24);
    return (fe){{a & FE_MASK, (a >> 51 | b << 13) & FE_MASK, (b >> 38 | c << 26) & FE_MASK,
                 (c >> 25 | d << 39) & FE_MASK, (d >> 12) & FE_MASK}};
}

/* loose -> the canonical 32 bytes. */
static inline void fe_store(uint8_t *p, fe a)
{
    uint64_t *v = a.v;
    /* One round of carries: v[1..4] < 2^51, v[0] < 2^51 + 19 * 2^4, so the value is below 2p. */
    v[1] += v[0] >> 51, v[0] &= FE_MASK;
    v[2] += v[1] >> 51, v[1] &= FE_MASK;
    v[3] += v[2] >> 51, v[2] &= FE_MASK;
    v[4] += v[3] >> 51, v[3] &= FE_MASK;
    v[0] += 19 * (v[4] >> 51), v[4] &= FE_MASK;
    /* q = 1 exactly when the value + 19 reaches 2^255, that is when the value is p or more. */
    uint64_t q = (v[0] + 19) >> 51;
    for (int i = 1; i < 5; i++) q = (v[i] + q) >> 51;
    v[0] += 19 * q;
    for (int i = 0; i < 4; i++) v[i + 1] += v[i] >> 51, v[i] &= FE_MASK;
    v[4] &= FE_MASK;
    fe_write64(p, v[0] | v[1] << 51);
    fe_write64(p + 8, v[1] >> 13 | v[2] << 38);
    fe_write64(p + 16, v[2] >> 26 | v[3] << 25);
    fe_write64(p + 24, v[3] >> 39 | v[4] << 12);
}

/* Sums add up limb by limb; the caller keeps the result loose. */
static inline fe fe_add(fe a, fe b)
{
    return (fe){{a.v[0] + b.v[0], a.v[1] + b.v[1], a.v[2] + b.v[2], a.v[3] + b.v[3], a.v[4] + b.v[4]}};
}

/* a + 2p - b; b mid. Gives at most a + 2^52: from tight a, wide. */
static inline fe fe_sub(fe a, fe b)
{
    const uint64_t low = (UINT64_C(1) << 52) - 38, high = (UINT64_C(1) << 52) - 2;
    return (fe){{a.v[0] + low - b.v[0], a.v[1] + high - b.v[1], a.v[2] + high - b.v[2], a.v[3] + high - b.v[3],
                 a.v[4] + high - b.v[4]}};
}

/* a + 4p - b; b wide. Gives at most a + 2^53: from wide a, loose. */
static inline fe fe_sub_wide(fe a, fe b)
{
    const uint64_t low = (UINT64_C(1) << 53) - 76, high = (UINT64_C(1) << 53) - 4;
    return (fe){{a.v[0] + low - b.v[0], a.v[1] + high - b.v[1], a.v[2] + high - b.v[2], a.v[3] + high - b.v[3],
                 a.v[4] + high - b.v[4]}};
}

/* mid -> mid. */
static inline fe fe_neg(fe a) { return fe_sub(FE_ZERO, a); }

/* b where the mask is all ones, a where it is zero. */
static inline fe fe_select(fe a, fe b, uint64_t mask)
{
    for (int i = 0; i < 5; i++) a.v[i] ^= mask & (a.v[i] ^ b.v[i]);
    return a;
}

/* The five columns of a product, each below 2^114.5 with the carry it receives -> tight. The carries out of columns 0
 * to 3 are below 2^63.5. Column 4 holds five products without the factor 19: it is below 5.01 * 2^108, its carry below
 * 5.01 * 2^57, 19 times that below 2^63.6, which a 51-bit limb does not lift to 2^64; limb 1 receives less than 2^13. */
static inline fe fe_carry(fe_product r0, fe_product r1, fe_product r2, fe_product r3, fe_product r4)
{
    fe out;
    r1 += (uint64_t)(r0 >> 51);
    r2 += (uint64_t)(r1 >> 51);
    r3 += (uint64_t)(r2 >> 51);
    r4 += (uint64_t)(r3 >> 51);
    uint64_t low = ((uint64_t)r0 & FE_MASK) + 19 * (uint64_t)(r4 >> 51);
    out.v[0] = low & FE_MASK;
    out.v[1] = ((uint64_t)r1 & FE_MASK) + (low >> 51);
    out.v[2] = (uint64_t)r2 & FE_MASK;
    out.v[3] = (uint64_t)r3 & FE_MASK;
    out.v[4] = (uint64_t)r4 & FE_MASK;
    return out;
}

/* loose, loose -> tight. 19 b < 2^59 fits a word; a column is below 2^108 * (1 + 4 * 19) * 1.01 < 2^114.5. */
static inline fe fe_mul(fe a, fe b)
{
    const fe_product a0 = a.v[0], a1 = a.v[1], a2 = a.v[2], a3 = a.v[3], a4 = a.v[4];
    const uint64_t b0 = b.v[0], b1 = b.v[1], b2 = b.v[2], b3 = b.v[3], b4 = b.v[4];
    const uint64_t c1 = 19 * b1, c2 = 19 * b2, c3 = 19 * b3, c4 = 19 * b4;
    return fe_carry(a0 * b0 + a1 * c4 + a2 * c3 + a3 * c2 + a4 * c1,
                    a0 * b1 + a1 * b0 + a2 * c4 + a3 * c3 + a4 * c2,
                    a0 * b2 + a1 * b1 + a2 * b0 + a3 * c4 + a4 * c3,
                    a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 + a4 * c4,
                    a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0);
}

/* loose -> tight, in 15 word products; 38 a < 2^60 fits a word. */
static inline fe fe_square(fe a)
{
    const uint64_t a0 = a.v[0], a1 = a.v[1], a2 = a.v[2], a3 = a.v[3], a4 = a.v[4];
    const fe_product d0 = 2 * a0, d1 = 2 * a1, d2 = 2 * a2;
    const fe_product s0 = a0, s1 = a1, s2 = a2;
    const uint64_t c3 = 19 * a3, c4 = 19 * a4;
    return fe_carry(s0 * a0 + d1 * c4 + d2 * c3,
                    d0 * a1 + d2 * c4 + (fe_product)a3 * c3,
                    d0 * a2 + s1 * a1 + (fe_product)(2 * a3) * c4,
                    d0 * a3 + d1 * a2 + (fe_product)a4 * c4,
                    d0 * a4 + d1 * a3 + s2 * a2);
}

/* loose -> tight: a^(2^n), n >= 1. Kept out of line: inlined, gcc 12 leaves the element in memory between squarings,
 * and a square root takes 40 % longer. */
static __attribute__((noinline)) fe fe_square_times(fe a, int n)
{
    for (int i = 0; i < n; i++) a = fe_square(a);
    return a;
}

/* loose -> tight: a^(2^250 - 1), and a^11 on the side; both exponents below are built on it. */
static inline fe fe_pow_2_250_1(fe a, fe *a11)
{
    fe a2 = fe_square(a);
    fe a9 = fe_mul(fe_square_times(a2, 2), a);
    *a11 = fe_mul(a9, a2);
    fe e5 = fe_mul(fe_square(*a11), a9); /* 22 + 9 = 2^5 - 1 */
    fe e10 = fe_mul(fe_square_times(e5, 5), e5);
    fe e20 = fe_mul(fe_square_times(e10, 10), e10);
    fe e40 = fe_mul(fe_square_times(e20, 20), e20);
    fe e50 = fe_mul(fe_square_times(e40, 10), e10);
    fe e100 = fe_mul(fe_square_times(e50, 50), e50);
    fe e200 = fe_mul(fe_square_times(e100, 100), e100);
    return fe_mul(fe_square_times(e200, 50), e50);
}

/* loose -> tight: a^(p - 2) = 1/a, and 0 for 0. p - 2 = 2^5 (2^250 - 1) + 11. */
static inline fe fe_invert(fe a)
{
    fe a11, e = fe_pow_2_250_1(a, &a11);
    return fe_mul(fe_square_times(e, 5), a11);
}

/* loose -> tight: a^((p - 5) / 8). (p - 5) / 8 = 2^2 (2^250 - 1) + 1. */
static inline fe fe_pow_p58(fe a)
{
    fe a11, e = fe_pow_2_250_1(a, &a11);
    return fe_mul(fe_square_times(e, 2), a);
}

/* loose; all ones when the element is 0. */
static inline uint64_t fe_mask_zero(fe a)
{
    uint8_t bytes[32];
    fe_store(bytes, a);
    return ~ct_mask_nonzero(fe_read64(bytes) | fe_read64(bytes + 8) | fe_read64(bytes + 16) | fe_read64(bytes + 24));
}

/* loose, mid; all ones when they are the same element. a must be at most 2^53 so that a - b stays loose. */
static inline uint64_t fe_mask_equal(fe a, fe b) { return fe_mask_zero(fe_sub(a, b)); }

/* loose; all ones when the canonical value is odd (RFC 9496, 3.1). */
static inline uint64_t fe_mask_negative(fe a)
{
    uint8_t bytes[32];
    fe_store(bytes, a);
    return ct_hide(-(uint64_t)(bytes[0] & 1));
}

/* mid -> mid: the even one of a and -a. */
static inline fe fe_abs(fe a) { return fe_select(a, fe_neg(a), fe_mask_negative(a)); }

#endif
