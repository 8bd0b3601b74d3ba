/* GF(2^128) by carry-less multiplication instructions. */
#include "cpu.h"

#if FUSION_X86

#include <immintrin.h>

#define PCLMUL __attribute__((target("pclmul,avx2")))
#define VPCLMUL __attribute__((target("avx512f,avx512bw,avx512vl,vpclmulqdq")))

/* x^128 = x^7 + x^2 + x + 1. */
enum { REDUCTION = 0x87 };

/* ---- One element a vector. */

PCLMUL static inline __m128i product(__m128i a, __m128i b)
{
    const __m128i r = _mm_set_epi64x(0, REDUCTION);
    __m128i low = _mm_clmulepi64_si128(a, b, 0x00), high = _mm_clmulepi64_si128(a, b, 0x11);
    __m128i middle = _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10));
    /* From the top: x^192 and up folds onto x^64 and up, then x^128 and up onto 1. */
    middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(high, r, 0x01));
    high = _mm_xor_si128(_mm_unpacklo_epi64(high, high), _mm_unpackhi_epi64(middle, middle));
    low = _mm_xor_si128(low, _mm_slli_si128(middle, 8));
    return _mm_xor_si128(low, _mm_clmulepi64_si128(high, r, 0x00));
}

PCLMUL static inline __m128i load(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
PCLMUL static inline void store(uint8_t *p, __m128i x) { _mm_storeu_si128((__m128i *)p, x); }

PCLMUL static void multiply_pclmul(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < GF128_BYTES * n; i += GF128_BYTES) store(out + i, product(load(a + i), load(b + i)));
}

PCLMUL static void scale_pclmul(uint8_t *out, const uint8_t *a, const uint8_t s[GF128_BYTES], size_t n)
{
    const __m128i factor = load(s);
    for (size_t i = 0; i < GF128_BYTES * n; i += GF128_BYTES) store(out + i, product(load(a + i), factor));
}

PCLMUL static void scale_add_pclmul(uint8_t *out, const uint8_t *a, const uint8_t s[GF128_BYTES], size_t n)
{
    const __m128i factor = load(s);
    for (size_t i = 0; i < GF128_BYTES * n; i += GF128_BYTES)
        store(out + i, _mm_xor_si128(load(out + i), product(load(a + i), factor)));
}

const fusion_gf128 fusion_gf128_aesni = {"aesni", multiply_pclmul, scale_pclmul, scale_add_pclmul};

/* ---- Four elements a vector. A mask says which 64-bit words exist; the others are neither read nor written. */

VPCLMUL static inline __m512i product4(__m512i a, __m512i b)
{
    const __m512i r = _mm512_set1_epi64(REDUCTION);
    __m512i low = _mm512_clmulepi64_epi128(a, b, 0x00), high = _mm512_clmulepi64_epi128(a, b, 0x11);
    __m512i middle = _mm512_xor_si512(_mm512_clmulepi64_epi128(a, b, 0x01), _mm512_clmulepi64_epi128(a, b, 0x10));
    middle = _mm512_xor_si512(middle, _mm512_clmulepi64_epi128(high, r, 0x01));
    high = _mm512_xor_si512(_mm512_unpacklo_epi64(high, high), _mm512_unpackhi_epi64(middle, middle));
    low = _mm512_xor_si512(low, _mm512_bslli_epi128(middle, 8));
    return _mm512_xor_si512(low, _mm512_clmulepi64_epi128(high, r, 0x00));
}

VPCLMUL static inline __mmask8 first(size_t n) { return (__mmask8)(n < 4 ? (1u << 2 * n) - 1 : 0xff); }

VPCLMUL static void multiply_vpclmul(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i += 4, out += 64, a += 64, b += 64) {
        __mmask8 mask = first(n - i);
        __m512i x = _mm512_maskz_loadu_epi64(mask, a), y = _mm512_maskz_loadu_epi64(mask, b);
        _mm512_mask_storeu_epi64(out, mask, product4(x, y));
    }
}

VPCLMUL static void scale_vpclmul(uint8_t *out, const uint8_t *a, const uint8_t s[GF128_BYTES], size_t n)
{
    const __m512i factor = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)s));
    for (size_t i = 0; i < n; i += 4, out += 64, a += 64) {
        __mmask8 mask = first(n - i);
        _mm512_mask_storeu_epi64(out, mask, product4(_mm512_maskz_loadu_epi64(mask, a), factor));
    }
}

VPCLMUL static void scale_add_vpclmul(uint8_t *out, const uint8_t *a, const uint8_t s[GF128_BYTES], size_t n)
{
    const __m512i factor = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)s));
    for (size_t i = 0; i < n; i += 4, out += 64, a += 64) {
        __mmask8 mask = first(n - i);
        __m512i x = product4(_mm512_maskz_loadu_epi64(mask, a), factor);
        _mm512_mask_storeu_epi64(out, mask, _mm512_xor_si512(x, _mm512_maskz_loadu_epi64(mask, out)));
    }
}

const fusion_gf128 fusion_gf128_vaes = {"vaes", multiply_vpclmul, scale_vpclmul, scale_add_vpclmul};

#endif
