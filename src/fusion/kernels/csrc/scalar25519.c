#include "scalar25519.h"

#include "constant_time.h"
#include "field25519.h"

typedef struct {
    uint64_t v[4];
} scalar;

static const scalar ORDER = {{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000}};
/* -1/l modulo 2^64, and 2^512 modulo l: Montgomery, "Modular multiplication without trial division" (1985). */
static const uint64_t NEGATIVE_INVERSE = 0xd2b51da312547e1b;
static const scalar SQUARE = {{0xa40611e3449c0f01, 0xd00e1ba768859347, 0xceec73d217f5be65, 0x0399411b7c309a3d}};

/* a b / 2^256 modulo l; a any, b below l. The quotient q makes a b + q l a multiple of 2^256, and the result is below
 * (2^256 l + 2^256 l) / 2^256 = 2 l before the last step. */
static scalar multiply(const scalar *a, const scalar *b)
{
    uint64_t t[6] = {0};
    for (int i = 0; i < 4; i++) {
        fe_product carry = 0;
        for (int j = 0; j < 4; j++) {
            carry += (fe_product)a->v[i] * b->v[j] + t[j];
            t[j] = (uint64_t)carry;
            carry >>= 64;
        }
        carry += t[4];
        t[4] = (uint64_t)carry;
        t[5] = (uint64_t)(carry >> 64);
        const uint64_t q = t[0] * NEGATIVE_INVERSE;
        carry = ((fe_product)q * ORDER.v[0] + t[0]) >> 64;
        for (int j = 1; j < 4; j++) {
            carry += (fe_product)q * ORDER.v[j] + t[j];
            t[j - 1] = (uint64_t)carry;
            carry >>= 64;
        }
        carry += t[4];
        t[3] = (uint64_t)carry;
        t[4] = t[5] + (uint64_t)(carry >> 64);
    }
    return (scalar){{t[0], t[1], t[2], t[3]}};
}

/* a, below 2 l -> below l. */
static scalar reduce_once(const scalar *a)
{
    scalar less;
    uint64_t borrow = 0;
    for (int i = 0; i < 4; i++) {
        const fe_product difference = (fe_product)a->v[i] - ORDER.v[i] - borrow;
        less.v[i] = (uint64_t)difference;
        borrow = (uint64_t)(difference >> 64) & 1;
    }
    const uint64_t keep = ct_hide(-borrow);
    for (int i = 0; i < 4; i++) less.v[i] ^= keep & (less.v[i] ^ a->v[i]);
    return less;
}

static inline scalar load(const uint8_t *bytes)
{
    return (scalar){{fe_read64(bytes), fe_read64(bytes + 8), fe_read64(bytes + 16), fe_read64(bytes + 24)}};
}

static __attribute__((noinline)) void reduce_rows(uint8_t *scalars, const uint8_t *wide, size_t n)
{
    static const scalar one = {{1, 0, 0, 0}};
    scalar low, high, sum;
    for (size_t i = 0; i < n; i++) {
        low = load(wide + 64 * i);
        high = load(wide + 64 * i + 32);
        low = multiply(&low, &SQUARE); /* 2^256 low */
        low = multiply(&low, &one);    /* low, at most l: (2 l + 2^256 l) / 2^256 */
        high = multiply(&high, &SQUARE);
        low = reduce_once(&low);
        high = reduce_once(&high);
        uint64_t carry = 0;
        for (int k = 0; k < 4; k++) {
            const fe_product s = (fe_product)low.v[k] + high.v[k] + carry;
            sum.v[k] = (uint64_t)s;
            carry = (uint64_t)(s >> 64);
        }
        sum = reduce_once(&sum);
        for (int k = 0; k < 4; k++) fe_write64(scalars + 32 * i + 8 * k, sum.v[k]);
    }
}

void fusion_reduce_scalars(uint8_t *scalars, const uint8_t *wide, size_t n)
{
    reduce_rows(scalars, wide, n);
    wipe_stack();
}
