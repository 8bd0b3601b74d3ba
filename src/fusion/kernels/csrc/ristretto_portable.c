/* The portable variant: extended coordinates on the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2.
 *
 * Group laws: Hisil, Wong, Carter, Dawson, "Twisted Edwards Curves Revisited" (2008), for a = -1; the addition is
 * complete, so no input is special. Encoding, decoding and the map from uniform bytes: RFC 9496, section 4.3.
 * Bounds in comments are those of field25519.h.
 */
#include "ristretto.h"

#include "edwards25519.h"

/* RFC 9496, 4.1. */
static const fe SQRT_M1 = {{0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};
static const fe SQRT_AD_MINUS_ONE = {
    {0x7f6a0497b2e1b, 0x1836f0a97afd2, 0x7d747f6be7638, 0x456079e7e6498, 0x376931bf2b834}};
static const fe INVSQRT_A_MINUS_D = {
    {0x0fdaa805d40ea, 0x2eb482e57d339, 0x007610274bc58, 0x6510b613dc8ff, 0x786c8905cfaff}};
static const fe ONE_MINUS_D_SQ = {
    {0x409c1945fc176, 0x719abc6a1fc4f, 0x1c37f90b20684, 0x06bccca55eedf, 0x029072a8b2b3e}};
static const fe D_MINUS_ONE_SQ = {
    {0x55aaa44ed4d20, 0x59603c3332635, 0x26d3baf4a7928, 0x120a66e6997a9, 0x5968b37af66c2}};
/* RFC 9496, 4.2: sqrt(u/v) or sqrt(SQRT_M1 u/v), non-negative; u and v tight, r mid. Returns the mask was_square. */
static uint64_t sqrt_ratio_m1(fe *r, fe u, fe v)
{
    fe v3 = fe_mul(fe_square(v), v);
    fe v7 = fe_mul(fe_square(v3), v);
    fe root = fe_mul(fe_mul(u, v3), fe_pow_p58(fe_mul(u, v7)));
    fe check = fe_mul(v, fe_square(root));
    uint64_t correct = fe_mask_equal(check, u);
    uint64_t flipped = fe_mask_equal(check, fe_neg(u));
    uint64_t flipped_i = fe_mask_equal(check, fe_mul(fe_neg(u), SQRT_M1));
    root = fe_select(root, fe_mul(root, SQRT_M1), flipped | flipped_i);
    *r = fe_abs(root);
    return correct | flipped;
}

/* MAP of RFC 9496, 4.3.4; t tight. */
static completed element_map(fe t)
{
    fe r = fe_mul(SQRT_M1, fe_square(t));
    fe u = fe_mul(fe_add(r, FE_ONE), ONE_MINUS_D_SQ);
    fe v = fe_mul(fe_neg(fe_add(FE_ONE, fe_mul(r, D))), fe_add(r, D));
    fe s;
    uint64_t was_square = sqrt_ratio_m1(&s, u, v);
    fe s_prime = fe_neg(fe_abs(fe_mul(s, t)));
    s = fe_select(s_prime, s, was_square);
    fe c = fe_select(r, fe_neg(FE_ONE), was_square);
    fe n = fe_sub(fe_mul(fe_mul(c, fe_sub(r, FE_ONE)), D_MINUS_ONE_SQ), v);
    fe ss = fe_square(s);
    fe w0 = fe_mul(fe_add(s, s), v); /* s mid, so s + s wide */
    fe w1 = fe_mul(n, SQRT_AD_MINUS_ONE);
    return (completed){w0, fe_add(FE_ONE, ss), w1, fe_sub(FE_ONE, ss)};
}

static void from_uniform(uint8_t *points, const uint8_t *uniform, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        completed low = element_map(fe_load(uniform + 64 * i));
        completed high = element_map(fe_load(uniform + 64 * i + 32));
        point p = to_point(&low), q = to_point(&high);
        cached addend = to_cached(&q);
        completed sum = point_add(&p, &addend);
        p = to_point(&sum);
        point_store(points + FUSION_POINT_BYTES * i, &p);
    }
}

static void decode(uint8_t *points, uint8_t *valid, const uint8_t *encodings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *in = encodings + 32 * i;
        uint8_t canonical[32];
        fe s = fe_load(in);
        fe_store(canonical, s);
        uint64_t wrong = in[0] & 1; /* negative */
        for (int k = 0; k < 32; k++) wrong |= in[k] ^ canonical[k];
        fe ss = fe_square(s);
        fe u1 = fe_sub(FE_ONE, ss), u2 = fe_add(FE_ONE, ss);
        fe u2_sqr = fe_square(u2);
        fe v = fe_sub_wide(FE_ZERO, fe_add(fe_mul(D, fe_square(u1)), u2_sqr));
        fe invsqrt;
        uint64_t was_square = sqrt_ratio_m1(&invsqrt, FE_ONE, fe_mul(v, u2_sqr));
        fe den_x = fe_mul(invsqrt, u2);
        fe den_y = fe_mul(fe_mul(invsqrt, den_x), v);
        fe x = fe_abs(fe_mul(fe_add(s, s), den_x));
        fe y = fe_mul(u1, den_y);
        fe t = fe_mul(x, y);
        uint64_t ok = was_square & ~ct_mask_nonzero(wrong) & ~fe_mask_negative(t) & ~fe_mask_zero(y);
        point p = {fe_select(IDENTITY.x, x, ok), fe_select(IDENTITY.y, y, ok), FE_ONE, fe_select(IDENTITY.t, t, ok)};
        point_store(points + FUSION_POINT_BYTES * i, &p);
        valid[i] = ok & 1;
    }
}

static void encode(uint8_t *encodings, const uint8_t *points, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        point p = point_load(points + FUSION_POINT_BYTES * i);
        fe u1 = fe_mul(fe_add(p.z, p.y), fe_sub(p.z, p.y));
        fe u2 = fe_mul(p.x, p.y);
        fe invsqrt;
        sqrt_ratio_m1(&invsqrt, FE_ONE, fe_mul(u1, fe_square(u2)));
        fe den1 = fe_mul(invsqrt, u1), den2 = fe_mul(invsqrt, u2);
        fe z_inv = fe_mul(fe_mul(den1, den2), p.t);
        uint64_t rotate = fe_mask_negative(fe_mul(p.t, z_inv));
        fe x = fe_select(p.x, fe_mul(p.y, SQRT_M1), rotate);
        fe y = fe_select(p.y, fe_mul(p.x, SQRT_M1), rotate);
        fe den_inv = fe_select(den2, fe_mul(den1, INVSQRT_A_MINUS_D), rotate);
        y = fe_select(y, fe_neg(y), fe_mask_negative(fe_mul(x, z_inv)));
        fe_store(encodings + 32 * i, fe_abs(fe_mul(den_inv, fe_sub(p.z, y))));
    }
}

static point multiply_point(const point *p, const digits *d)
{
    cached table[8], addend;
    make_multiples(table, p);
    select_multiple(&addend, table, d->digit[63]);
    completed c = point_add(&IDENTITY, &addend);
    for (int i = 62; i >= 0; i--) {
        point q = to_point_without_t(&c);
        for (int k = 0; k < 3; k++) {
            c = point_double(&q);
            q = to_point_without_t(&c);
        }
        c = point_double(&q);
        q = to_point(&c);
        select_multiple(&addend, table, d->digit[i]);
        c = point_add(&q, &addend);
    }
    return to_point(&c);
}

static __attribute__((noinline)) void multiply_rows(uint8_t *out, const uint8_t *points, const uint8_t scalar[32],
                                                    size_t n)
{
    digits d;
    to_digits(&d, scalar);
    for (size_t i = 0; i < n; i++) {
        point p = point_load(points + FUSION_POINT_BYTES * i);
        p = multiply_point(&p, &d);
        point_store(out + FUSION_POINT_BYTES * i, &p);
    }
}

static void multiply(uint8_t *out, const uint8_t *points, const uint8_t scalar[32], size_t n)
{
    multiply_rows(out, points, scalar, n);
    wipe_stack();
}

/* half = scalar / 2 modulo the group order l: (scalar + l) / 2 for an odd scalar. */
static void halve_scalar(uint8_t half[32], const uint8_t scalar[32])
{
    static const uint64_t ORDER[4] = {0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000};
    uint64_t odd = ct_hide(-(uint64_t)(scalar[0] & 1)), sum[4], carry = 0;
    for (int i = 0; i < 4; i++) {
        fe_product s = (fe_product)fe_read64(scalar + 8 * i) + (ORDER[i] & odd) + carry;
        sum[i] = (uint64_t)s;
        carry = (uint64_t)(s >> 64);
    }
    for (int i = 0; i < 4; i++) fe_write64(half + 8 * i, sum[i] >> 1 | (i < 3 ? sum[i + 1] << 63 : 0));
}

/* Rows that share one inversion; its 265 products weigh 4 a row, and the block 18 KB of stack. */
#define BLOCK 64

/* The encodings of 2P for each row, without a square root (the idea is that of the notes at ristretto.group).
 *
 * The doubling gives 2P = (EF : GH : FG : EH), and on the curve F^2 - H^2 = (a - d) E^2. So in RFC 9496, 4.3.2
 *     u1 = Z^2 - Y^2 = (a - d) E^2 G^2,  u2 = X Y = E F G H,
 *     den1 = sqrt(a - d) / (F H),  den2 = INVSQRT_A_MINUS_D / (E G),  z_inv = 1 / (F G),
 * up to one common sign of den1 and den2, which the final absolute value drops. With t_inv = 1 / (E H):
 *     not rotated: s = |INVSQRT_A_MINUS_D (F - y) H t_inv|, y = H or -H so that E F z_inv is made non-negative
 *     rotated:     s = |(G - y) E t_inv|, y = sqrt(-1) E or its negative, likewise from sqrt(-1) G H z_inv
 * Only F G and E H need inverses, for all rows at once.
 *
 * F and G are never zero, the group law being complete. E H is zero exactly when 2P lies in the identity's coset; such
 * a row enters the common product as 1, and its inverse is then replaced by 0, which gives s = 0. */
static void encode_doubles(uint8_t *encodings, const point *points, size_t n)
{
    completed c[BLOCK];
    fe t[BLOCK], z[BLOCK], both[BLOCK], before[BLOCK];
    uint64_t zero[BLOCK];
    fe product = FE_ONE;
    for (size_t i = 0; i < n; i++) {
        c[i] = point_double(&points[i]);
        t[i] = fe_mul(c[i].e, c[i].h);
        z[i] = fe_mul(c[i].f, c[i].g);
        both[i] = fe_mul(t[i], z[i]);
        zero[i] = fe_mask_zero(both[i]);
        both[i] = fe_select(both[i], FE_ONE, zero[i]);
        before[i] = product;
        product = fe_mul(product, both[i]);
    }
    fe inverse = fe_invert(product);
    for (size_t i = n; i-- > 0;) {
        fe own = fe_select(fe_mul(inverse, before[i]), FE_ZERO, zero[i]);
        inverse = fe_mul(inverse, both[i]);
        fe z_inv = fe_mul(t[i], own), t_inv = fe_mul(z[i], own);
        uint64_t rotate = fe_mask_negative(fe_mul(t[i], z_inv));
        fe i_or_1 = fe_select(FE_ONE, SQRT_M1, rotate);
        fe e_or_h = fe_select(c[i].e, c[i].h, rotate), h_or_e = fe_select(c[i].h, c[i].e, rotate);
        fe f_or_g = fe_select(c[i].f, c[i].g, rotate);
        fe x_over_z = fe_mul(fe_mul(fe_mul(e_or_h, f_or_g), i_or_1), z_inv);
        fe y = fe_mul(h_or_e, i_or_1);
        y = fe_select(y, fe_neg(y), fe_mask_negative(x_over_z));
        fe magic = fe_select(INVSQRT_A_MINUS_D, FE_ONE, rotate);
        /* f is below 2^52 + 2^53 + 2^15, so f - y is just loose. */
        fe s = fe_mul(fe_mul(fe_sub(f_or_g, y), fe_mul(magic, h_or_e)), t_inv);
        fe_store(encodings + 32 * i, fe_abs(s));
    }
}

static __attribute__((noinline)) void multiply_encode_rows(uint8_t *encodings, const uint8_t *points,
                                                           const uint8_t scalar[32], size_t n)
{
    uint8_t half[32];
    digits d;
    halve_scalar(half, scalar);
    to_digits(&d, half);
    for (size_t start = 0; start < n; start += BLOCK) {
        point halves[BLOCK];
        size_t rows = n - start < BLOCK ? n - start : BLOCK;
        for (size_t i = 0; i < rows; i++) {
            halves[i] = point_load(points + FUSION_POINT_BYTES * (start + i));
            halves[i] = multiply_point(&halves[i], &d);
        }
        encode_doubles(encodings + 32 * start, halves, rows);
    }
}

static void multiply_encode(uint8_t *encodings, const uint8_t *points, const uint8_t scalar[32], size_t n)
{
    multiply_encode_rows(encodings, points, scalar, n);
    wipe_stack();
}

/* Digits of 16^(2j) and 16^(2j+1) share the table of 256^j G, the odd ones before four doublings. The tables (40 KB of
 * stack) are made anew in each call, which costs as much as four rows and spares a global and its lock. */
static __attribute__((noinline)) void multiply_base_rows(uint8_t *out, const uint8_t *scalars, size_t n)
{
    cached table[32][8], addend;
    digits d;
    completed c;
    point p = {GENERATOR_X, GENERATOR_Y, FE_ONE, fe_mul(GENERATOR_X, GENERATOR_Y)};
    for (int j = 0; j < 32; j++) {
        make_multiples(table[j], &p);
        for (int k = 0; k < 8; k++) {
            c = point_double(&p);
            p = to_point(&c);
        }
    }
    for (size_t i = 0; i < n; i++) {
        to_digits(&d, scalars + 32 * i);
        p = IDENTITY;
        for (int j = 0; j < 32; j++) {
            select_multiple(&addend, table[j], d.digit[2 * j + 1]);
            c = point_add(&p, &addend);
            p = to_point(&c);
        }
        for (int k = 0; k < 4; k++) {
            c = point_double(&p);
            p = to_point(&c);
        }
        for (int j = 0; j < 32; j++) {
            select_multiple(&addend, table[j], d.digit[2 * j]);
            c = point_add(&p, &addend);
            p = to_point(&c);
        }
        point_store(out + FUSION_POINT_BYTES * i, &p);
    }
}

static void multiply_base(uint8_t *out, const uint8_t *scalars, size_t n)
{
    multiply_base_rows(out, scalars, n);
    wipe_stack();
}

static void add(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        point p = point_load(a + FUSION_POINT_BYTES * i), q = point_load(b + FUSION_POINT_BYTES * i);
        cached addend = to_cached(&q);
        completed c = point_add(&p, &addend);
        p = to_point(&c);
        point_store(out + FUSION_POINT_BYTES * i, &p);
    }
}

const fusion_ristretto fusion_ristretto_portable = {
    .name = "portable",
    .from_uniform = from_uniform,
    .decode = decode,
    .encode = encode,
    .multiply = multiply,
    .multiply_encode = multiply_encode,
    .multiply_base = multiply_base,
    .add = add,
};
