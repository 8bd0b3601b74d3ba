/* The portable variant, one row at a time. Bounds in comments are those of field25519.h. */
#include "elgamal.h"

#include "edwards25519.h"

enum { ROWS = 32, VALUE_DIGITS = 16 };

/* multiples[j] holds 1 to 8 times 256^j times the point. */
typedef struct {
    cached multiples[ROWS][8];
} table_of_multiples;

static void fill_table(uint8_t *table, const uint8_t *bytes)
{
    table_of_multiples *t = (table_of_multiples *)(void *)table;
    point p = point_load(bytes);
    for (int j = 0; j < ROWS; j++) {
        make_multiples(t->multiples[j], &p);
        for (int k = 0; k < 8; k++) {
            completed c = point_double(&p);
            p = to_point(&c);
        }
    }
}

/* value = sum digit[i] 16^i, digits from -8 to 8. */
static void value_digits(int8_t digit[VALUE_DIGITS], int64_t value)
{
    int carry = 0;
    for (int i = 0; i < VALUE_DIGITS - 1; i++) {
        int x = (int)((uint64_t)value >> (4 * i) & 15) + carry;
        carry = (x + 8) >> 4;
        digit[i] = (int8_t)(x - 16 * carry);
    }
    digit[VALUE_DIGITS - 1] = (int8_t)((int)(value >> 60) + carry);
}

static inline void add_multiple(point *p, const cached multiples[8], int8_t digit)
{
    cached addend;
    select_multiple(&addend, multiples, digit);
    completed c = point_add(p, &addend);
    *p = to_point(&c);
}

static __attribute__((noinline)) void multiply_fixed_rows(uint8_t *out, size_t stride, const uint8_t *table,
                                                          const uint8_t *scalars, const uint8_t *value_table,
                                                          const int64_t *values, size_t n)
{
    const table_of_multiples *t = (const void *)table, *v = (const void *)value_table;
    for (size_t i = 0; i < n; i++) {
        digits d;
        int8_t small[VALUE_DIGITS];
        point p = IDENTITY;
        if (scalars) to_digits(&d, scalars + 32 * i);
        if (values) value_digits(small, values[i]);
        for (int odd = 1; odd >= 0; odd--) {
            for (int j = 0; scalars && j < ROWS; j++) add_multiple(&p, t->multiples[j], d.digit[2 * j + odd]);
            for (int j = 0; values && j < VALUE_DIGITS / 2; j++) add_multiple(&p, v->multiples[j], small[2 * j + odd]);
            for (int k = 0; odd && k < 4; k++) {
                completed c = point_double(&p);
                p = to_point(&c);
            }
        }
        point_store(out + stride * i, &p);
    }
}

static void multiply_fixed(uint8_t *out, size_t stride, const uint8_t *table, const uint8_t *scalars,
                           const uint8_t *value_table, const int64_t *values, size_t n)
{
    multiply_fixed_rows(out, stride, table, scalars, value_table, values, n);
    wipe_stack();
}

static inline point *sum_at(uint8_t *sums, size_t i) { return (point *)(void *)(sums + FUSION_SUM_BYTES * i); }

static void clear_sums(uint8_t *sums, size_t n)
{
    for (size_t i = 0; i < n; i++) *sum_at(sums, i) = IDENTITY;
}

static inline void add_to_sum(point *sum, const cached *addend)
{
    completed c = point_add(sum, addend);
    *sum = to_point(&c);
}

static void histogram(uint8_t *sums, const uint16_t *codes, size_t bins, const uint8_t *points, size_t stride, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        point p = point_load(points + stride * i);
        cached addend = to_cached(&p);
        for (size_t l = 0; l < FUSION_SUM_LANES; l++)
            add_to_sum(sum_at(sums, l * bins + codes[FUSION_SUM_LANES * i + l]), &addend);
    }
}

static void group_sum(uint8_t *sums, const uint32_t *at, const uint32_t *rows, const uint8_t *points, size_t stride,
                      size_t n)
{
    for (size_t i = 0; i < FUSION_SUM_LANES * n; i++) {
        point p = point_load(points + stride * rows[i]);
        cached addend = to_cached(&p);
        add_to_sum(sum_at(sums, at[i]), &addend);
    }
}

static void close_sums(uint8_t *points, size_t stride, const uint8_t *sums, size_t n)
{
    for (size_t i = 0; i < n; i++) point_store(points + stride * i, (const void *)(sums + FUSION_SUM_BYTES * i));
}

/* Rows that share an inversion. */
#define BLOCK 64

static void quadruple(uint8_t *out, const uint8_t *points, size_t n)
{
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t rows = n - start < BLOCK ? n - start : BLOCK;
        point p[BLOCK];
        fe before[BLOCK], product = FE_ONE;
        for (size_t i = 0; i < rows; i++) {
            point half = point_load(points + FUSION_POINT_BYTES * (start + i));
            completed c = point_double(&half);
            half = to_point_without_t(&c);
            c = point_double(&half);
            p[i] = to_point(&c);
            before[i] = product;
            product = fe_mul(product, p[i].z); /* never zero */
        }
        fe inverse = fe_invert(product);
        for (size_t i = rows; i-- > 0;) {
            uint8_t *row = out + FUSION_POINT_BYTES * (start + i);
            fe own = fe_mul(inverse, before[i]);
            inverse = fe_mul(inverse, p[i].z);
            fe x = fe_mul(p[i].x, own), y = fe_mul(p[i].y, own), xy = fe_mul(x, y);
            fe_store(row, x);
            fe_store(row + 32, y);
            fe_store(row + 64, xy);
            fe_store(row + 96, fe_mul(xy, D));
        }
    }
}

static inline uint64_t low_bits(fe a)
{
    uint8_t bytes[32];
    fe_store(bytes, a);
    return fe_read64(bytes);
}

/* With a = y y', b = x x', c = d x x' y y' the two sums have y = (a + b) / (1 - c) and y = (a - b) / (1 + c): one
 * inverse, of 1 - c^2, serves both, and one inversion a block of steps. It is never zero, d not being a square. */
static void neighbours(uint64_t *keys, const uint8_t *centres, size_t n, const uint8_t *steps, size_t m)
{
    for (size_t j = 0; j < n; j++) {
        point centre = point_load(centres + FUSION_POINT_BYTES * j); /* z: xy, t: dxy */
        for (size_t start = 0; start < m; start += BLOCK) {
            size_t rows = m - start < BLOCK ? m - start : BLOCK;
            fe plus[BLOCK], minus[BLOCK], denominator[BLOCK], before[BLOCK], product = FE_ONE;
            for (size_t i = 0; i < rows; i++) {
                point step = point_load(steps + FUSION_POINT_BYTES * (start + i));
                fe a = fe_mul(centre.y, step.y), b = fe_mul(centre.x, step.x);
                fe c = fe_mul(centre.z, step.t);
                plus[i] = fe_mul(fe_add(a, b), fe_add(FE_ONE, c));
                minus[i] = fe_mul(fe_sub(a, b), fe_sub(FE_ONE, c));
                denominator[i] = fe_sub(FE_ONE, fe_square(c));
                before[i] = product;
                product = fe_mul(product, denominator[i]);
            }
            fe inverse = fe_invert(product);
            for (size_t i = rows; i-- > 0;) {
                fe own = fe_mul(inverse, before[i]);
                inverse = fe_mul(inverse, denominator[i]);
                uint64_t *out = keys + 2 * n * (start + i) + j;
                out[0] = low_bits(fe_mul(plus[i], own));
                out[n] = low_bits(fe_mul(minus[i], own));
            }
        }
    }
}

const fusion_elgamal fusion_elgamal_portable = {
    .name = "portable",
    .table_bytes = sizeof(table_of_multiples),
    .fill_table = fill_table,
    .multiply_fixed = multiply_fixed,
    .clear_sums = clear_sums,
    .histogram = histogram,
    .group_sum = group_sum,
    .close_sums = close_sums,
    .quadruple = quadruple,
    .neighbours = neighbours,
};

void fusion_negate_points(uint8_t *out, const uint8_t *points, size_t n)
{
    for (size_t i = 0; i < FUSION_POINT_BYTES * n; i += FUSION_POINT_BYTES) {
        point p = point_load(points + i);
        p.x = fe_neg(p.x);
        p.t = fe_neg(p.t);
        point_store(out + i, &p);
    }
}
