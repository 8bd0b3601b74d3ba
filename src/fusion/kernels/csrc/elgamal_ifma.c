/* Eight rows, or eight features, at a time in the lanes of AVX-512 IFMA. As in ristretto_lanes.h, a last vector of fewer
 * rows is filled up with zeros, which no step divides by. */
#include "cpu.h"

#if FUSION_IFMA

#include "constant_time.h"
#include "field8x52.h"
#include "edwards_lanes.h"

enum { VALUE_DIGITS = 16, SUM_WORDS = 20, AHEAD = 4 * LANES };

static TARGET void fill_table_of(uint8_t *table, const uint8_t *bytes)
{
    point p;
    uint8_t copies[LANES * FUSION_POINT_BYTES];
    for (int j = 0; j < LANES; j++) memcpy(copies + FUSION_POINT_BYTES * j, bytes, FUSION_POINT_BYTES);
    load_points(&p, copies, FUSION_POINT_BYTES, LANES);
    fill_table((right_affine *)(void *)table, p);
}

/* value = sum of digits[i] 16^i, -8 <= digits[i] <= 8. */
TARGET_INLINE void recode_values(__m512i digits[VALUE_DIGITS], __m512i value)
{
    __m512i carry = _mm512_setzero_si512();
    for (int j = 0; j < VALUE_DIGITS - 1; j++) {
        const __m512i digit = ADD(AND(value, ALL(15)), carry);
        value = _mm512_srai_epi64(value, 4);
        carry = SHR(ADD(digit, ALL(8)), 4);
        digits[j] = SUB(digit, SHL(carry, 4));
    }
    digits[VALUE_DIGITS - 1] = ADD(value, carry); /* what is left has the sign of all */
}

static __attribute__((noinline)) TARGET void multiply_fixed_rows(uint8_t *out, size_t stride, const uint8_t *table,
                                                               const uint8_t *scalars, const uint8_t *value_table,
                                                               const int64_t *values, size_t n)
{
    const right_affine *t = (const void *)table, *v = (const void *)value_table;
    __m512i digits[DIGITS], small[VALUE_DIGITS], w[8];
    point p;
    ratio r[2];
    for (size_t i = 0; i < n; i += LANES) {
        const size_t rows = rows_from(i, n);
        if (scalars) {
            load32(w, scalars + 32 * i, rows);
            recode_rows(digits, w);
        }
        if (values) recode_values(small, _mm512_maskz_loadu_epi64((__mmask8)(0xff >> (LANES - rows)), values + i));
        r[0] = r[1] = identity_ratio(); /* the second stays idle, as in multiply_base */
        for (int odd = 1; odd >= 0; odd--) {
            for (int j = 0; scalars && j < TABLE_ROWS; j++) r[0] = add_multiple(&r[0], &t[j], digits[2 * j + odd]);
            for (int j = 0; values && j < VALUE_DIGITS / 2; j++) r[0] = add_multiple(&r[0], &v[j], small[2 * j + odd]);
            if (odd) pair_times16(r);
        }
        p = point_from_ratio(&r[0]);
        store_points(out + stride * i, stride, &p, rows);
    }
}

static void multiply_fixed(uint8_t *out, size_t stride, const uint8_t *table, const uint8_t *scalars,
                           const uint8_t *value_table, const int64_t *values, size_t n)
{
    multiply_fixed_rows(out, stride, table, scalars, value_table, values, n);
    wipe_stack();
}

/* --- sums: the words of a left operand, so that nothing is converted between two additions --- */

TARGET_INLINE left load_sums(const uint8_t *const at[LANES])
{
    __m512i w[24];
    left s;
    for (int j = 0; j < LANES; j++) {
        w[j] = _mm512_load_si512((const void *)at[j]);
        w[8 + j] = _mm512_load_si512((const void *)(at[j] + 64));
        w[16 + j] = _mm512_zextsi256_si512(_mm256_load_si256((const void *)(at[j] + 128)));
    }
    for (int k = 0; k < 24; k += 8) transpose(w + k);
    for (int k = 0; k < 5; k++) {
        s.sum.v[k] = w[k];
        s.difference.v[k] = w[5 + k];
        s.z.v[k] = w[10 + k];
        s.t.v[k] = w[15 + k];
    }
    return s;
}

TARGET_INLINE void store_sums(uint8_t *const at[LANES], left s)
{
    __m512i w[24];
    for (int k = 0; k < 5; k++) {
        w[k] = s.sum.v[k];
        w[5 + k] = s.difference.v[k];
        w[10 + k] = s.z.v[k];
        w[15 + k] = s.t.v[k];
    }
    for (int k = SUM_WORDS; k < 24; k++) w[k] = _mm512_setzero_si512();
    for (int k = 0; k < 24; k += 8) transpose(w + k);
    for (int j = 0; j < LANES; j++) {
        _mm512_store_si512((void *)at[j], w[j]);
        _mm512_store_si512((void *)(at[j] + 64), w[8 + j]);
        _mm256_store_si256((void *)(at[j] + 128), _mm512_castsi512_si256(w[16 + j]));
    }
}

static TARGET void clear_sums(uint8_t *sums, size_t n)
{
    static const uint64_t identity[FUSION_SUM_BYTES / 8] = {[0] = 1, [5] = 1, [10] = 1};
    for (size_t i = 0; i < n; i++) memcpy(sums + FUSION_SUM_BYTES * i, identity, sizeof identity);
}

TARGET_INLINE void add_to_sums(uint8_t *const at[LANES], right addend)
{
    const left before = load_sums((const uint8_t *const *)at);
    const ratio after = add(&before, &addend);
    store_sums(at, left_from_ratio(&after));
}

static TARGET void histogram(uint8_t *sums, const uint16_t *codes, size_t bins, const uint8_t *points, size_t stride,
                           size_t n)
{
    _Alignas(64) uint64_t words[SUM_WORDS][LANES];
    for (size_t i = 0; i < n; i += LANES) {
        const size_t rows = rows_from(i, n);
        point p;
        load_points(&p, points + stride * i, stride, rows);
        const right eight = right_from_point(p);
        for (int k = 0; k < 5; k++) {
            _mm512_store_si512(words[k], eight.sum.v[k]);
            _mm512_store_si512(words[5 + k], eight.difference.v[k]);
            _mm512_store_si512(words[10 + k], eight.z2.v[k]);
            _mm512_store_si512(words[15 + k], eight.t2d.v[k]);
        }
        for (size_t j = 0; j < rows; j++) {
            uint8_t *at[LANES];
            right addend;
            for (size_t l = 0; l < LANES; l++)
                at[l] = sums + FUSION_SUM_BYTES * (l * bins + codes[LANES * (i + j) + l]);
            for (int k = 0; k < 5; k++) {
                addend.sum.v[k] = ALL(words[k][j]);
                addend.difference.v[k] = ALL(words[5 + k][j]);
                addend.z2.v[k] = ALL(words[10 + k][j]);
                addend.t2d.v[k] = ALL(words[15 + k][j]);
            }
            add_to_sums(at, addend);
        }
    }
}

static TARGET void group_sum(uint8_t *sums, const uint32_t *at, const uint32_t *rows, const uint8_t *points,
                           size_t stride, size_t n)
{
    for (size_t i = 0; i < LANES * n; i += LANES) {
        uint8_t *place[LANES];
        __m512i w[16];
        for (size_t l = 0; i + AHEAD < LANES * n && l < LANES; l++) {
            const uint8_t *soon = points + stride * rows[i + AHEAD + l];
            __builtin_prefetch(soon);
            __builtin_prefetch(soon + 64);
        }
        for (size_t l = 0; l < LANES; l++) {
            place[l] = sums + FUSION_SUM_BYTES * (size_t)at[i + l];
            w[l] = _mm512_loadu_si512(points + stride * rows[i + l]);
            w[LANES + l] = _mm512_loadu_si512(points + stride * rows[i + l] + 64);
        }
        transpose(w);
        transpose(w + 8);
        add_to_sums(place, right_from_point((point){fe_from_words(w), fe_from_words(w + 4), fe_from_words(w + 8),
                                                    fe_from_words(w + 12)}));
    }
}

/* The coordinates of a sum are half the sum and half the difference of its words; twice all four is the same point. */
static TARGET void close_sums(uint8_t *points, size_t stride, const uint8_t *sums, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        const uint8_t *at[LANES];
        const size_t rows = rows_from(i, n);
        for (size_t l = 0; l < LANES; l++) at[l] = sums + FUSION_SUM_BYTES * (i + (l < rows ? l : 0));
        const left s = load_sums(at);
        const point p = {fe_sub(s.sum, s.difference), fe_add(s.sum, s.difference), fe_add(s.z, s.z), fe_add(s.t, s.t)};
        store_points(points + stride * i, stride, &p, rows);
    }
}

/* --- logarithms --- */

enum { BLOCK = 32 }; /* vectors, or pairs of vectors, that share an inversion */

static TARGET void quadruple(uint8_t *out, const uint8_t *points, size_t n)
{
    for (size_t start = 0; start < n; start += BLOCK * LANES) {
        point p[BLOCK];
        fe before[BLOCK], product = fe_small(1), inverse;
        size_t vectors = 0;
        for (size_t i = start; i < n && vectors < BLOCK; i += LANES, vectors++) {
            const size_t rows = rows_from(i, n);
            load_points(&p[vectors], points + FUSION_POINT_BYTES * i, FUSION_POINT_BYTES, rows);
            /* rows that are not there would spoil the product: the identity in their place */
            const __mmask8 there = (__mmask8)(0xff >> (LANES - rows));
            p[vectors].y.v[0] = _mm512_mask_mov_epi64(ALL(1), there, p[vectors].y.v[0]);
            p[vectors].z.v[0] = _mm512_mask_mov_epi64(ALL(1), there, p[vectors].z.v[0]);
            ratio r = twice(&p[vectors].x, &p[vectors].y, &p[vectors].z);
            p[vectors] = point_from_ratio(&r);
            r = twice(&p[vectors].x, &p[vectors].y, &p[vectors].z);
            p[vectors] = point_from_ratio(&r);
            before[vectors] = product;
            product = fe_mul(product, p[vectors].z);
        }
        invert(&inverse, &product);
        while (vectors-- > 0) {
            const size_t i = start + LANES * vectors, rows = rows_from(i, n);
            const fe own = fe_mul(inverse, before[vectors]);
            inverse = fe_mul(inverse, p[vectors].z);
            const fe x = fe_mul(p[vectors].x, own), y = fe_mul(p[vectors].y, own), xy = fe_mul(x, y);
            uint8_t *row = out + FUSION_POINT_BYTES * i;
            store64(row, FUSION_POINT_BYTES, x, y, rows);
            store64(row + 64, FUSION_POINT_BYTES, xy, fe_mul(xy, fe_constant(D)), rows);
        }
    }
}

static inline void limbs_from_bytes(uint64_t limbs[5], const uint8_t bytes[32])
{
    uint64_t w[4];
    memcpy(w, bytes, sizeof w); /* x86 is little-endian */
    limbs[0] = w[0] & LIMB_MASK;
    limbs[1] = (w[0] >> 51 | w[1] << 13) & LIMB_MASK;
    limbs[2] = (w[1] >> 38 | w[2] << 26) & LIMB_MASK;
    limbs[3] = (w[2] >> 25 | w[3] << 39) & LIMB_MASK;
    limbs[4] = w[3] >> 12 & LIMB_MASK;
}

TARGET_INLINE __m512i low_bits(fe a)
{
    const fe c = fe_canonical(a);
    return OR(c.v[0], SHL(c.v[1], 51));
}

/* Formulas as in elgamal_portable.c: lanes are centres, two vectors of them, and a block of steps shares an
 * inversion. 80 KB of stack. */
static TARGET void neighbours(uint64_t *keys, const uint8_t *centres, size_t n, const uint8_t *steps, size_t m)
{
    fe plus[BLOCK][2], minus[BLOCK][2], denominator[BLOCK][2], before[BLOCK][2];
    const fe one = fe_small(1);
    for (size_t j = 0; j < n; j += 2 * LANES) {
        const size_t at[2] = {j, row_at(j + LANES, n)};
        const __mmask8 there[2] = {(__mmask8)(0xff >> (LANES - rows_from(at[0], n))),
                                   (__mmask8)(0xff >> (LANES - rows_from(at[1], n)))};
        point centre[2]; /* z: xy, t: dxy */
        for (int k = 0; k < 2; k++) /* rows that are not there have a denominator of 1 */
            load_points(&centre[k], centres + FUSION_POINT_BYTES * at[k], FUSION_POINT_BYTES, rows_from(at[k], n));
        for (size_t start = 0; start < m; start += BLOCK) {
            const size_t rows = m - start < BLOCK ? m - start : BLOCK;
            fe product[2] = {one, one}, inverse[2];
            for (size_t i = 0; i < rows; i++) {
                uint64_t limbs[3][5];
                const uint8_t *step = steps + FUSION_POINT_BYTES * (start + i);
                limbs_from_bytes(limbs[0], step);
                limbs_from_bytes(limbs[1], step + 32);
                limbs_from_bytes(limbs[2], step + 96);
                const fe x = fe_constant(limbs[0]), y = fe_constant(limbs[1]), dxy = fe_constant(limbs[2]);
                for (int k = 0; k < 2; k++) {
                    const wide a = fe_mul_wide(&centre[k].y, &y), b = fe_mul_wide(&centre[k].x, &x);
                    const fe c = fe_mul(centre[k].z, dxy);
                    plus[i][k] = fe_mul(fe_carry(wide_add(a, b)), fe_add(one, c));
                    minus[i][k] = fe_mul(fe_carry(wide_sub(a, b)), fe_sub(one, c));
                    denominator[i][k] = fe_carry(wide_sub(fe_widen(one), fe_sqr_wide(&c)));
                    before[i][k] = product[k];
                    product[k] = fe_mul(product[k], denominator[i][k]);
                }
            }
            pair_invert(inverse, product);
            for (size_t i = rows; i-- > 0;)
                for (int k = 0; k < 2; k++) {
                    const fe own = fe_mul(inverse[k], before[i][k]);
                    inverse[k] = fe_mul(inverse[k], denominator[i][k]);
                    uint64_t *out = keys + 2 * n * (start + i) + at[k];
                    _mm512_mask_storeu_epi64(out, there[k], low_bits(fe_mul(plus[i][k], own)));
                    _mm512_mask_storeu_epi64(out + n, there[k], low_bits(fe_mul(minus[i][k], own)));
                }
        }
    }
}

const fusion_elgamal fusion_elgamal_ifma = {
    .name = "ifma",
    .table_bytes = TABLE_ROWS * sizeof(right_affine),
    .fill_table = fill_table_of,
    .multiply_fixed = multiply_fixed,
    .clear_sums = clear_sums,
    .histogram = histogram,
    .group_sum = group_sum,
    .close_sums = close_sums,
    .quadruple = quadruple,
    .neighbours = neighbours,
};

#endif
