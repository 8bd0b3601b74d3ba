/* Ristretto255 (RFC 9496), a row a lane, for every kind of vector: include field8x52.h or field4x25.h first.
 *
 * A last vector of fewer rows than lanes is filled up with zeros, which no step divides by or branches on; rows past
 * the end are neither read nor written. Time and memory access depend on n alone.
 *
 * Where one chain of products would wait for itself, two vectors take turns: `pair_`.
 */
#ifndef FUSION_RISTRETTO_LANES_H
#define FUSION_RISTRETTO_LANES_H

#include "constant_time.h"
#include "edwards_lanes.h"

/* RFC 9496 4.1 and, for the generator, RFC 8032 5.1; radix 2^51. */
static const uint64_t SQRT_M1[5] = {0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e,
                                    0x2b8324804fc1d};
static const uint64_t SQRT_AD_MINUS_ONE[5] = {0x7f6a0497b2e1b, 0x1836f0a97afd2, 0x7d747f6be7638, 0x456079e7e6498,
                                              0x376931bf2b834};
static const uint64_t INVSQRT_A_MINUS_D[5] = {0x0fdaa805d40ea, 0x2eb482e57d339, 0x007610274bc58, 0x6510b613dc8ff,
                                              0x786c8905cfaff};
static const uint64_t ONE_MINUS_D_SQ[5] = {0x409c1945fc176, 0x719abc6a1fc4f, 0x1c37f90b20684, 0x06bccca55eedf,
                                           0x029072a8b2b3e};
static const uint64_t D_MINUS_ONE_SQ[5] = {0x55aaa44ed4d20, 0x59603c3332635, 0x26d3baf4a7928, 0x120a66e6997a9,
                                           0x5968b37af66c2};
static const uint64_t BASE_X[5] = {0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe,
                                   0x216936d3cd6e5};
static const uint64_t BASE_Y[5] = {0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333,
                                   0x6666666666666};

/* --- square roots --- */

/* RFC 9496 4.2, SQRT_RATIO_M1, of two vectors: r = |sqrt(u/v)| where u/v is a square, else r = |sqrt(i u/v)|. */
static TARGET void pair_sqrt_ratio(fe r[2], lanes square[2], const fe u[2], const fe v[2])
{
    const fe i = fe_constant(SQRT_M1);
    fe uv3[2], uv7[2];
    for (int k = 0; k < 2; k++) {
        const fe v3 = fe_mul(fe_sqr(v[k]), v[k]);
        uv3[k] = fe_mul(u[k], v3);
        uv7[k] = fe_mul(uv3[k], fe_sqr(fe_sqr(v[k])));
    }
    pair_pow_p58(r, uv7);
    for (int k = 0; k < 2; k++) {
        fe root = fe_mul(uv3[k], r[k]);
        const fe check = fe_mul(v[k], fe_sqr(root));
        const lanes correct = fe_equal(check, u[k]);
        const lanes flipped = fe_is_zero(fe_add(check, u[k]));
        const lanes flipped_i = fe_is_zero(fe_add(check, fe_mul(u[k], i)));
        root = fe_select(flipped | flipped_i, root, fe_mul(root, i));
        r[k] = fe_abs(root);
        square[k] = correct | flipped;
    }
}

/* --- the operations of ristretto.h --- */

/* RFC 9496 4.3.4, MAP, of the two halves of a vector of rows. */
static TARGET void pair_map(point p[2], const fe t[2])
{
    const fe one = fe_small(1), d = fe_constant(D);
    fe r[2], u[2], v[2], s[2];
    lanes square[2];
    for (int k = 0; k < 2; k++) {
        r[k] = fe_mul(fe_constant(SQRT_M1), fe_sqr(t[k]));
        u[k] = fe_mul(fe_add(r[k], one), fe_constant(ONE_MINUS_D_SQ));
        v[k] = fe_mul(fe_sub(fe_small(0), fe_add(one, fe_mul(r[k], d))), fe_add(r[k], d));
    }
    pair_sqrt_ratio(s, square, u, v);
    for (int k = 0; k < 2; k++) {
        const fe other = fe_neg(fe_abs(fe_mul(s[k], t[k])));
        const fe root = fe_select(square[k], other, s[k]);
        const fe c = fe_select(square[k], r[k], fe_neg(one));
        const fe n = fe_sub(fe_mul(fe_mul(c, fe_sub(r[k], one)), fe_constant(D_MINUS_ONE_SQ)), v[k]);
        const fe rr = fe_sqr(root);
        const fe w0 = fe_mul(fe_add(root, root), v[k]);
        const fe w1 = fe_mul(n, fe_constant(SQRT_AD_MINUS_ONE));
        const fe w2 = fe_sub(one, rr), w3 = fe_add(one, rr);
        p[k] = (point){fe_mul(w0, w3), fe_mul(w2, w1), fe_mul(w1, w3), fe_mul(w0, w2)};
    }
}

static TARGET void from_uniform(uint8_t *points, const uint8_t *uniform, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        const size_t rows = rows_from(i, n);
        vec w[8];
        point p[2];
        load64(w, uniform + 64 * i, 64, rows);
        pair_map(p, (const fe[2]){fe_from_words(w), fe_from_words(w + 4)});
        const left l = left_from_point(p[0]);
        const right q = right_from_point(p[1]);
        const ratio e = add(&l, &q);
        const point sum = point_from_ratio(&e);
        store_points(points + FUSION_POINT_BYTES * i, FUSION_POINT_BYTES, &sum, rows);
    }
}

/* RFC 9496 4.3.1, two vectors at a time. */
static TARGET void decode(uint8_t *points, uint8_t *valid, const uint8_t *encodings, size_t n)
{
    const fe zero = fe_small(0), one = fe_small(1);
    for (size_t i = 0; i < n; i += 2 * LANES) {
        const size_t at[2] = {i, row_at(i + LANES, n)};
        fe s[2], u1[2], u2[2], v[2], vu22[2], root[2];
        lanes ok[2], square[2];
        for (int k = 0; k < 2; k++) {
            vec w[8];
            load32(w, encodings + 32 * at[k], rows_from(at[k], n));
            s[k] = fe_from_words(w);
            /* Below p is what reducing leaves alone; then bit 255 and the sign bit must be clear. */
            const fe reduced = fe_canonical(s[k]);
            vec changed = OR(AND(w[3], ALL(1ULL << 63)), AND(w[0], ALL(1)));
            for (int j = 0; j < LIMBS; j++) changed = OR(changed, XOR(reduced.v[j], s[k].v[j]));
            ok[k] = zero_lanes(changed);
            const fe ss = fe_sqr(s[k]);
            u1[k] = fe_sub(one, ss);
            u2[k] = fe_add(one, ss);
            const fe u22 = fe_sqr(u2[k]);
            v[k] = fe_sub(zero, fe_add(fe_mul(fe_sqr(u1[k]), fe_constant(D)), u22));
            vu22[k] = fe_mul(v[k], u22);
        }
        pair_sqrt_ratio(root, square, (const fe[2]){one, one}, vu22);
        for (int k = 0; k < 2; k++) {
            const size_t rows = rows_from(at[k], n);
            const fe den_x = fe_mul(root[k], u2[k]);
            const fe den_y = fe_mul(fe_mul(root[k], den_x), v[k]);
            const fe x = fe_abs(fe_mul(fe_add(s[k], s[k]), den_x));
            const fe y = fe_mul(u1[k], den_y);
            const fe t = fe_mul(x, y);
            const lanes good = ok[k] & square[k] & ~fe_is_negative(t) & ~fe_is_zero(y);
            const point p = {fe_select(good, zero, x), fe_select(good, one, y), one, fe_select(good, zero, t)};
            store_points(points + FUSION_POINT_BYTES * at[k], FUSION_POINT_BYTES, &p, rows);
            for (size_t j = 0; j < rows; j++) valid[at[k] + j] = lane_bits(good) >> j & 1;
        }
    }
}

/* RFC 9496 4.3.2, two vectors at a time. */
static TARGET void encode(uint8_t *encodings, const uint8_t *points, size_t n)
{
    const fe sqrt_m1 = fe_constant(SQRT_M1);
    for (size_t i = 0; i < n; i += 2 * LANES) {
        const size_t at[2] = {i, row_at(i + LANES, n)};
        point p[2];
        fe u1[2], u2[2], u1u22[2], root[2];
        lanes square[2]; /* always, for a point of the curve */
        for (int k = 0; k < 2; k++) {
            load_points(&p[k], points + FUSION_POINT_BYTES * at[k], FUSION_POINT_BYTES, rows_from(at[k], n));
            u1[k] = fe_mul(fe_add(p[k].z, p[k].y), fe_sub(p[k].z, p[k].y));
            u2[k] = fe_mul(p[k].x, p[k].y);
            u1u22[k] = fe_mul(u1[k], fe_sqr(u2[k]));
        }
        pair_sqrt_ratio(root, square, (const fe[2]){fe_small(1), fe_small(1)}, u1u22);
        for (int k = 0; k < 2; k++) {
            const fe den1 = fe_mul(root[k], u1[k]), den2 = fe_mul(root[k], u2[k]);
            const fe z_inverse = fe_mul(fe_mul(den1, den2), p[k].t);
            const lanes rotate = fe_is_negative(fe_mul(p[k].t, z_inverse));
            const fe x = fe_select(rotate, p[k].x, fe_mul(p[k].y, sqrt_m1));
            fe y = fe_select(rotate, p[k].y, fe_mul(p[k].x, sqrt_m1));
            const fe den_inverse = fe_select(rotate, den2, fe_mul(den1, fe_constant(INVSQRT_A_MINUS_D)));
            y = fe_select(fe_is_negative(fe_mul(x, z_inverse)), y, fe_neg(y));
            const fe s = fe_abs(fe_mul(den_inverse, fe_sub(p[k].z, y)));
            store32(encodings + 32 * at[k], s, rows_from(at[k], n));
        }
    }
}

/* scalar = sum of digits[i] 16^i with -8 <= digits[i] < 8. A scalar below 2^253 leaves no carry at the top. */
static void recode(int8_t digits[DIGITS], const uint8_t scalar[32])
{
    int carry = 0;
    for (int i = 0; i < DIGITS; i++) {
        const int digit = (scalar[i / 2] >> 4 * (i % 2) & 15) + carry;
        carry = (digit + 8) >> 4;
        digits[i] = (int8_t)(digit - 16 * carry);
    }
}

/* A right operand in a table. */
typedef struct {
    packed sum, difference, z2, t2d;
} entry;

TARGET_INLINE entry entry_from_point(point p)
{
    const right r = right_from_point(p);
    return (entry){fe_pack(r.sum), fe_pack(r.difference), fe_pack(r.z2), fe_pack(r.t2d)};
}

/* digit times the point of table[0], of which table[j] is the (j + 1)-fold. The digit is secret: every entry is read
 * in full and masked. */
TARGET_INLINE right multiple(const entry table[8], int digit)
{
    const vec signed_digit = ALL(digit), size = magnitude(signed_digit);
    const lanes negative = negative_lanes(signed_digit);
    const fe none = fe_small(0), one = fe_select(zero_lanes(size), none, fe_small(1));
    entry e = {fe_pack(one), fe_pack(one), fe_pack(fe_add(one, one)), fe_pack(none)};
    for (int j = 0; j < 8; j++) {
        const lanes here = zero_lanes(XOR(size, ALL(j + 1)));
        e.sum = packed_choose(e.sum, table[j].sum, here);
        e.difference = packed_choose(e.difference, table[j].difference, here);
        e.z2 = packed_choose(e.z2, table[j].z2, here);
        e.t2d = packed_choose(e.t2d, table[j].t2d, here);
    }
    const fe sum = fe_unpack(e.sum), difference = fe_unpack(e.difference), t2d = fe_unpack(e.t2d);
    return (right){fe_select(negative, sum, difference), fe_select(negative, difference, sum), fe_unpack(e.z2),
                   fe_select(negative, t2d, fe_neg(t2d))};
}

/* r = the scalar of the digits times p. */
static TARGET void pair_times_scalar(ratio r[2], const point p[2], const int8_t digits[DIGITS])
{
    entry table[2][8];
    left l[2];
    for (int k = 0; k < 2; k++) {
        const right once = right_from_point(p[k]);
        point multiple_of_p = p[k];
        table[k][0] = entry_from_point(p[k]);
        for (int j = 1; j < 8; j++) {
            const left l = left_from_point(multiple_of_p);
            const ratio sum = add(&l, &once);
            multiple_of_p = point_from_ratio(&sum);
            table[k][j] = entry_from_point(multiple_of_p);
        }
        r[k] = identity_ratio();
    }
    for (int i = DIGITS - 1; i >= 0; i--) {
        if (i != DIGITS - 1) pair_times16(r);
        for (int k = 0; k < 2; k++) l[k] = left_from_ratio(&r[k]);
        for (int k = 0; k < 2; k++) {
            const right q = multiple(table[k], digits[i]);
            r[k] = add(&l[k], &q);
        }
    }
    /* Projective coordinates of a product say more about the scalar than the product does. What has a name is wiped by
     * name, what else the compiler had no register for by wipe_stack. */
    wipe(l, sizeof l);
}

static __attribute__((noinline)) TARGET void multiply_rows(uint8_t *out, const uint8_t *points, const uint8_t scalar[32], size_t n)
{
    int8_t digits[DIGITS];
    point p[2];
    ratio r[2];
    recode(digits, scalar);
    for (size_t i = 0; i < n; i += 2 * LANES) {
        const size_t at[2] = {i, row_at(i + LANES, n)};
        for (int k = 0; k < 2; k++)
            load_points(&p[k], points + FUSION_POINT_BYTES * at[k], FUSION_POINT_BYTES, rows_from(at[k], n));
        pair_times_scalar(r, p, digits);
        for (int k = 0; k < 2; k++) {
            p[k] = point_from_ratio(&r[k]);
            store_points(out + FUSION_POINT_BYTES * at[k], FUSION_POINT_BYTES, &p[k], rows_from(at[k], n));
        }
    }
    wipe(digits, sizeof digits);
    wipe(p, sizeof p); /* as in pair_times_scalar */
    wipe(r, sizeof r);
}

static void multiply(uint8_t *out, const uint8_t *points, const uint8_t scalar[32], size_t n)
{
    multiply_rows(out, points, scalar, n);
    wipe_stack();
}

/* half = scalar / 2 modulo the order l: half of scalar or of scalar + l, whichever is even. */
static void halve(uint8_t half[32], const uint8_t scalar[32])
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2,
                                      0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    const unsigned odd = (unsigned)ct_hide(0u - (uint64_t)(scalar[0] & 1));
    unsigned sum = 0;
    for (int i = 0; i < 32; i++) {
        sum += scalar[i] + (order[i] & odd);
        if (i > 0) half[i - 1] = (uint8_t)(half[i - 1] | sum << 7);
        half[i] = (uint8_t)((sum & 0xff) >> 1);
        sum >>= 8;
    }
}

/* The encoding of 2P for the ratio e, f, g, h of 2P, from 1/(efgh).
 *
 * With X = eh, Y = gf, Z = fh, T = eg the curve equation gives h^2 - g^2 = (a - d) e^2. Then u1 u2^2 of RFC 9496 4.3.2
 * is (a - d) (e^2 f^2 g h)^2, whose inverse square root is INVSQRT_A_MINUS_D / (e^2 f^2 g h), up to a sign that
 * cancels: no square root is left to take. Its den1 and den2 become sqrt(a - d) / (gh) and INVSQRT_A_MINUS_D / (ef),
 * and
 *   s = | INVSQRT_A_MINUS_D (h - (+-g)) / e |           or, rotated,  s = | (f - (+-ie)) / g |.
 * efgh = 0 only if e = 0 or g = 0, and then 2P is the identity's class: an inverse of 0 gives s = 0, as it should. */
TARGET_INLINE fe encode_ratio(ratio r, fe inverse)
{
    const fe i = fe_constant(SQRT_M1);
    const fe eg = fe_mul(r.e, r.g), fh = fe_mul(r.f, r.h);
    const fe z_inverse = fe_mul(eg, inverse), t_inverse = fe_mul(fh, inverse);
    const lanes rotate = fe_is_negative(fe_mul(eg, z_inverse));
    const fe z = fe_select(rotate, r.h, r.f);
    const fe x = fe_mul(z, fe_select(rotate, r.e, fe_mul(i, r.g)));
    fe y = fe_select(rotate, r.g, fe_mul(i, r.e));
    y = fe_select(fe_is_negative(fe_mul(x, z_inverse)), y, fe_neg(y));
    const fe factor = fe_select(rotate, fe_constant(INVSQRT_A_MINUS_D), fe_small(1));
    const fe reciprocal = fe_mul(fe_select(rotate, r.g, r.e), t_inverse); /* 1/e, rotated 1/g */
    return fe_abs(fe_mul(fe_mul(factor, fe_sub(z, y)), reciprocal));
}

/* efgh, with 1 in the place of 0: a zero would spoil the common inverse of the block. */
TARGET_INLINE fe denominator(ratio r, lanes *zero)
{
    const fe product = fe_mul(fe_mul(r.e, r.g), fe_mul(r.f, r.h));
    *zero = fe_is_zero(product);
    return fe_select(*zero, product, fe_small(1));
}

enum { BLOCK = 4 * LANES }; /* vectors that share an inversion: 256 rows and 50 KB of stack, or 64 rows and 26 KB */

static __attribute__((noinline)) TARGET void multiply_encode_rows(uint8_t *encodings, const uint8_t *points, const uint8_t scalar[32], size_t n)
{
    uint8_t half[32];
    int8_t digits[DIGITS];
    point p[2];
    ratio r[2], twofold[BLOCK];
    fe before[BLOCK]; /* before[k]: product of the denominators of vectors 0 to k-1 */
    halve(half, scalar);
    recode(digits, half);
    for (size_t start = 0; start < n; start += BLOCK * LANES) {
        fe product = fe_small(1), inverse;
        lanes zero;
        size_t vectors = 0;
        for (size_t i = start; i < n && vectors < BLOCK; i += 2 * LANES) {
            const size_t at[2] = {i, row_at(i + LANES, n)};
            for (int k = 0; k < 2; k++)
                load_points(&p[k], points + FUSION_POINT_BYTES * at[k], FUSION_POINT_BYTES, rows_from(at[k], n));
            pair_times_scalar(r, p, digits);
            for (int k = 0; k < 2; k++, vectors++) {
                p[k] = point_from_ratio(&r[k]);
                twofold[vectors] = twice(&p[k].x, &p[k].y, &p[k].z);
                before[vectors] = product;
                product = fe_mul(product, denominator(twofold[vectors], &zero));
            }
        }
        invert(&inverse, &product);
        while (vectors-- > 0) {
            const size_t at = row_at(start + LANES * vectors, n);
            const fe here = denominator(twofold[vectors], &zero);
            const fe mine = fe_select(zero, fe_mul(inverse, before[vectors]), fe_small(0));
            store32(encodings + 32 * at, encode_ratio(twofold[vectors], mine), rows_from(at, n));
            inverse = fe_mul(inverse, here);
        }
    }
    wipe(half, sizeof half);
    wipe(digits, sizeof digits);
    wipe(p, sizeof p); /* as in pair_times_scalar */
    wipe(r, sizeof r);
    wipe(twofold, sizeof twofold);
    wipe(before, sizeof before);
}

static void multiply_encode(uint8_t *encodings, const uint8_t *points, const uint8_t scalar[32], size_t n)
{
    multiply_encode_rows(encodings, points, scalar, n);
    wipe_stack();
}

static right_affine base_table[TABLE_ROWS];

static TARGET void fill_base_table(void)
{
    const fe x = fe_constant(BASE_X), y = fe_constant(BASE_Y);
    fill_table(base_table, (point){x, y, fe_small(1), fe_mul(x, y)});
}

static __attribute__((noinline)) TARGET void multiply_base_rows(uint8_t *out, const uint8_t *scalars, size_t n)
{
    vec digits[DIGITS], w[8];
    point p;
    ratio r[2];
    for (size_t i = 0; i < n; i += LANES) {
        load32(w, scalars + 32 * i, rows_from(i, n));
        recode_rows(digits, w);
        r[0] = r[1] = identity_ratio(); /* the second stays idle: 4 of 68 steps are not worth a pair */
        for (int odd = 1; odd >= 0; odd--) {
            for (int j = 0; j < TABLE_ROWS; j++) r[0] = add_multiple(&r[0], &base_table[j], digits[2 * j + odd]);
            if (odd) pair_times16(r);
        }
        p = point_from_ratio(&r[0]);
        store_points(out + FUSION_POINT_BYTES * i, FUSION_POINT_BYTES, &p, rows_from(i, n));
    }
    wipe(digits, sizeof digits);
    wipe(w, sizeof w);
    wipe(&p, sizeof p); /* as in pair_times_scalar */
    wipe(r, sizeof r);
}

static void multiply_base(uint8_t *out, const uint8_t *scalars, size_t n)
{
    multiply_base_rows(out, scalars, n);
    wipe_stack();
}

static TARGET void add_points(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        point p, q;
        load_points(&p, a + FUSION_POINT_BYTES * i, FUSION_POINT_BYTES, rows_from(i, n));
        load_points(&q, b + FUSION_POINT_BYTES * i, FUSION_POINT_BYTES, rows_from(i, n));
        const left l = left_from_point(p);
        const right addend = right_from_point(q);
        const ratio sum = add(&l, &addend);
        p = point_from_ratio(&sum);
        store_points(out + FUSION_POINT_BYTES * i, FUSION_POINT_BYTES, &p, rows_from(i, n));
    }
}

#endif
