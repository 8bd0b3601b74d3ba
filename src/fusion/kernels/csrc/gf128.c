/* GF(2^128) without tables: carry-less products by integer ones.
 *
 * Bits five apart leave room for the carries of a schoolbook product: 64 bits hold at most 13 bits of one residue
 * modulo 5, so no column of a product of two such words sums to more than 13 < 2^5, and its parity is one bit.
 */
#include "gf128.h"

#include "cpu.h"

typedef unsigned __int128 wide;

/* Every fifth bit, from bit 0. */
static const wide FIFTH = (wide)0x2108421084210842 << 64 | 0x1084210842108421;

typedef struct {
    uint64_t low, high;
} element;

/* The carry-less product of two words. */
static inline wide clmul64(uint64_t a, uint64_t b)
{
    wide product = 0;
    uint64_t x[5], y[5];
    for (int i = 0; i < 5; i++) {
        x[i] = a & (uint64_t)(FIFTH << i);
        y[i] = b & (uint64_t)(FIFTH << i);
    }
    for (int k = 0; k < 5; k++) {
        wide sum = 0;
        for (int i = 0; i < 5; i++) sum ^= (wide)x[i] * y[(k - i + 5) % 5];
        product |= sum & (FIFTH << k);
    }
    return product;
}

static inline element load(const uint8_t p[GF128_BYTES])
{
    element e = {0, 0};
    for (int i = 0; i < 8; i++) {
        e.low |= (uint64_t)p[i] << 8 * i;
        e.high |= (uint64_t)p[8 + i] << 8 * i;
    }
    return e;
}

static inline void store(uint8_t p[GF128_BYTES], element e)
{
    for (int i = 0; i < 8; i++) {
        p[i] = (uint8_t)(e.low >> 8 * i);
        p[8 + i] = (uint8_t)(e.high >> 8 * i);
    }
}

static inline element multiply_elements(element a, element b)
{
    wide low = clmul64(a.low, b.low), high = clmul64(a.high, b.high);
    wide middle = clmul64(a.low ^ a.high, b.low ^ b.high) ^ low ^ high;
    low ^= middle << 64;
    high ^= middle >> 64;
    /* x^128 = x^7 + x^2 + x + 1; what these shifts push out at the top, at most six bits, is folded once more. */
    uint64_t top = (uint64_t)(high >> 64);
    wide spill = (top >> 63) ^ (top >> 62) ^ (top >> 57);
    low ^= high ^ (high << 1) ^ (high << 2) ^ (high << 7);
    low ^= spill ^ (spill << 1) ^ (spill << 2) ^ (spill << 7);
    return (element){(uint64_t)low, (uint64_t)(low >> 64)};
}

static void multiply(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < GF128_BYTES * n; i += GF128_BYTES)
        store(out + i, multiply_elements(load(a + i), load(b + i)));
}

static void scale(uint8_t *out, const uint8_t *a, const uint8_t s[GF128_BYTES], size_t n)
{
    const element factor = load(s);
    for (size_t i = 0; i < GF128_BYTES * n; i += GF128_BYTES) store(out + i, multiply_elements(load(a + i), factor));
}

static void scale_add(uint8_t *out, const uint8_t *a, const uint8_t s[GF128_BYTES], size_t n)
{
    const element factor = load(s);
    for (size_t i = 0; i < GF128_BYTES * n; i += GF128_BYTES) {
        element product = multiply_elements(load(a + i), factor), sum = load(out + i);
        store(out + i, (element){sum.low ^ product.low, sum.high ^ product.high});
    }
}

const fusion_gf128 fusion_gf128_portable = {"portable", multiply, scale, scale_add};

const fusion_gf128 *fusion_gf128_variant(int i)
{
#if FUSION_X86
    if (fusion_cpu_has_vaes() && i-- == 0) return &fusion_gf128_vaes;
    if (fusion_cpu_has_aesni() && i-- == 0) return &fusion_gf128_aesni;
#endif
    return i == 0 ? &fusion_gf128_portable : NULL;
}
