/* Points of the curve -x^2 + y^2 = 1 + d x^2 y^2 over GF(2^255 - 19), one at a time, and secret multiples of them.
 *
 * Group laws: Hisil, Wong, Carter, Dawson, "Twisted Edwards Curves Revisited" (2008), for a = -1; the addition is
 * complete, so no input is special. Bounds in comments are those of field25519.h.
 */
#ifndef FUSION_EDWARDS25519_H
#define FUSION_EDWARDS25519_H

#include "field25519.h"
#include "ristretto.h"

/* RFC 9496, 4.1. */
static const fe D = {{0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};
static const fe TWO_D = {{0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};
/* RFC 7748, 4.1: the base point of edwards25519. */
static const fe GENERATOR_X = {
    {0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5}};
static const fe GENERATOR_Y = {
    {0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666}};

/* x = X/Z, y = Y/Z, x y = T/Z; all tight. Doubling reads no T, so T may be left out where only doublings follow. */
typedef struct {
    fe x, y, z, t;
} point;

/* What the group laws give before their last products: X = EF, Y = GH, Z = FG, T = EH; all loose. */
typedef struct {
    fe e, f, g, h;
} completed;

/* An addend: y + x and y - x wide, 2z wide, 2 d t mid. Aligned to be read two words at a time. */
typedef struct {
    _Alignas(16) fe sum;
    fe difference, z2, t2d;
} cached;

typedef uint64_t pair __attribute__((vector_size(16), may_alias));
#define CACHED_PAIRS (sizeof(cached) / sizeof(pair))

static const point IDENTITY = {{{0}}, {{1}}, {{1}}, {{0}}};
static const cached CACHED_IDENTITY = {{{1}}, {{1}}, {{2}}, {{0}}};

static inline point point_load(const uint8_t *p)
{
    return (point){fe_load(p), fe_load(p + 32), fe_load(p + 64), fe_load(p + 96)};
}

static inline void point_store(uint8_t *p, const point *a)
{
    fe_store(p, a->x);
    fe_store(p + 32, a->y);
    fe_store(p + 64, a->z);
    fe_store(p + 96, a->t);
}

static inline point to_point(const completed *c)
{
    return (point){fe_mul(c->e, c->f), fe_mul(c->g, c->h), fe_mul(c->f, c->g), fe_mul(c->e, c->h)};
}

static inline point to_point_without_t(const completed *c)
{
    return (point){fe_mul(c->e, c->f), fe_mul(c->g, c->h), fe_mul(c->f, c->g), FE_ZERO};
}

static inline cached to_cached(const point *p)
{
    return (cached){fe_add(p->y, p->x), fe_sub(p->y, p->x), fe_add(p->z, p->z), fe_mul(p->t, TWO_D)};
}

/* e = 2xy, g = x^2 + y^2, f = y^2 - x^2, h = 2z^2 - f. On the curve f = z^2 + d t^2 and h = z^2 - d t^2. */
static inline completed point_double(const point *p)
{
    fe xx = fe_square(p->x), yy = fe_square(p->y), zz = fe_square(p->z);
    fe g = fe_add(xx, yy);                                              /* wide: two tight */
    fe e = fe_sub_wide(fe_square(fe_add(p->x, p->y)), g);               /* < 2^51 + 2^53 + 2^13 */
    fe f = fe_sub(yy, xx);                                              /* wide: < 2^51 + 2^52 + 2^13 */
    fe h = fe_sub_wide(fe_add(zz, zz), f);                              /* < 2^52 + 2^53 + 2^14 */
    return (completed){e, h, f, g};
}

static inline completed point_add(const point *p, const cached *q)
{
    fe a = fe_mul(fe_sub(p->y, p->x), q->difference);
    fe b = fe_mul(fe_add(p->y, p->x), q->sum);
    fe c = fe_mul(p->t, q->t2d);
    fe d = fe_mul(p->z, q->z2);
    return (completed){fe_sub(b, a), fe_sub(d, c), fe_add(d, c), fe_add(b, a)};
}

/* A scalar below 2^253 as 64 signed digits, sum digit[i] 16^i, digits from -8 to 8. */
typedef struct {
    int8_t digit[64];
} digits;

static inline void to_digits(digits *d, const uint8_t scalar[32])
{
    for (int i = 0; i < 32; i++) {
        d->digit[2 * i] = scalar[i] & 15;
        d->digit[2 * i + 1] = scalar[i] >> 4;
    }
    int carry = 0;
    for (int i = 0; i < 63; i++) {
        int x = d->digit[i] + carry;
        carry = (x + 8) >> 4;
        d->digit[i] = (int8_t)(x - 16 * carry);
    }
    d->digit[63] = (int8_t)(d->digit[63] + carry); /* at most 1 + 1 */
}

/* digit * P from the table P, 2P, ..., 8P; reads every entry. Entries are tight in t2d, so its negative is mid. */
static inline void select_multiple(cached *out, const cached table[8], int8_t digit)
{
    uint64_t sign = ct_hide((uint64_t)((int64_t)digit >> 63));
    uint64_t size = ((uint64_t)(int64_t)digit ^ sign) - sign;
    cached r;
    pair chosen[CACHED_PAIRS] = {{0}};
    for (uint64_t k = 0; k < 9; k++) {
        const pair *entry = (const pair *)(k ? &table[k - 1] : &CACHED_IDENTITY);
        uint64_t mask = ct_mask_equal(size, k);
        for (size_t i = 0; i < CACHED_PAIRS; i++) chosen[i] |= entry[i] & (pair){mask, mask};
    }
    memcpy(&r, chosen, sizeof r);
    out->sum = fe_select(r.sum, r.difference, sign);
    out->difference = fe_select(r.difference, r.sum, sign);
    out->z2 = r.z2;
    out->t2d = fe_select(r.t2d, fe_neg(r.t2d), sign);
}

/* P, 2P, ..., 8P. */
static inline void make_multiples(cached table[8], const point *p)
{
    point multiple[8];
    multiple[0] = *p;
    table[0] = to_cached(p);
    for (int k = 1; k < 8; k++) {
        completed c = k % 2 ? point_double(&multiple[k / 2]) : point_add(&multiple[k - 1], &table[0]);
        multiple[k] = to_point(&c);
        table[k] = to_cached(&multiple[k]);
    }
}

#endif
