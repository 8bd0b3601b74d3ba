/* AES-128 by the AES instructions: eight vectors in flight hide the latency of a round. */
#include "cpu.h"

#if FUSION_X86

#include "constant_time.h"

#include <immintrin.h>

#define AESNI __attribute__((target("aes,avx2")))
#define VAES __attribute__((target("avx512f,avx512bw,avx512vl,vaes")))

enum { ROUNDS = 10, FLIGHT = 8 };

/* ---- One block a vector. */

AESNI static inline void load_keys(__m128i keys[ROUNDS + 1], const uint8_t *round_keys)
{
    for (int r = 0; r <= ROUNDS; r++) keys[r] = _mm_loadu_si128((const __m128i *)(round_keys + AES_BLOCK * r));
}

/* `blocks` is a constant wherever this is inlined, so that the loops over it unroll. */
AESNI static inline void encrypt_vectors(uint8_t *out, const uint8_t *in, const __m128i keys[ROUNDS + 1], int blocks,
                                         int feed_forward)
{
    __m128i x[FLIGHT], s[FLIGHT];
    for (int k = 0; k < blocks; k++) {
        x[k] = _mm_loadu_si128((const __m128i *)(in + AES_BLOCK * k));
        s[k] = _mm_xor_si128(x[k], keys[0]);
    }
    for (int r = 1; r < ROUNDS; r++)
        for (int k = 0; k < blocks; k++) s[k] = _mm_aesenc_si128(s[k], keys[r]);
    for (int k = 0; k < blocks; k++) {
        s[k] = _mm_aesenclast_si128(s[k], keys[ROUNDS]);
        if (feed_forward) s[k] = _mm_xor_si128(s[k], x[k]);
        _mm_storeu_si128((__m128i *)(out + AES_BLOCK * k), s[k]);
    }
}

AESNI static inline void each_block(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n,
                                    int feed_forward)
{
    __m128i keys[ROUNDS + 1];
    load_keys(keys, round_keys);
    for (; n >= FLIGHT; n -= FLIGHT, in += AES_BLOCK * FLIGHT, out += AES_BLOCK * FLIGHT)
        encrypt_vectors(out, in, keys, FLIGHT, feed_forward);
    for (; n; n--, in += AES_BLOCK, out += AES_BLOCK) encrypt_vectors(out, in, keys, 1, feed_forward);
    wipe(keys, sizeof keys);
}

AESNI static void encrypt_aesni(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n)
{
    each_block(out, in, round_keys, n, 0);
}

AESNI static void compress_aesni(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n)
{
    each_block(out, in, round_keys, n, 1);
}

const fusion_aes fusion_aes_aesni = {"aesni", encrypt_aesni, compress_aesni};

/* ---- Four blocks a vector. */

VAES static inline void load_keys4(__m512i keys[ROUNDS + 1], const uint8_t *round_keys)
{
    for (int r = 0; r <= ROUNDS; r++)
        keys[r] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(round_keys + AES_BLOCK * r)));
}

/* `last` says which 64-bit words of the last vector exist; the others are neither read nor written. */
VAES static inline void encrypt_vectors4(uint8_t *out, const uint8_t *in, const __m512i keys[ROUNDS + 1], int vectors,
                                         __mmask8 last, int feed_forward)
{
    __m512i x[FLIGHT], s[FLIGHT];
    for (int k = 0; k < vectors; k++) {
        x[k] = _mm512_maskz_loadu_epi64(k == vectors - 1 ? last : 0xff, in + 64 * k);
        s[k] = _mm512_xor_si512(x[k], keys[0]);
    }
    for (int r = 1; r < ROUNDS; r++)
        for (int k = 0; k < vectors; k++) s[k] = _mm512_aesenc_epi128(s[k], keys[r]);
    for (int k = 0; k < vectors; k++) {
        s[k] = _mm512_aesenclast_epi128(s[k], keys[ROUNDS]);
        if (feed_forward) s[k] = _mm512_xor_si512(s[k], x[k]);
        _mm512_mask_storeu_epi64(out + 64 * k, k == vectors - 1 ? last : 0xff, s[k]);
    }
}

VAES static inline void each_four(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n,
                                  int feed_forward)
{
    __m512i keys[ROUNDS + 1];
    load_keys4(keys, round_keys);
    for (; n >= 4 * FLIGHT; n -= 4 * FLIGHT, in += 64 * FLIGHT, out += 64 * FLIGHT)
        encrypt_vectors4(out, in, keys, FLIGHT, 0xff, feed_forward);
    for (; n >= 4; n -= 4, in += 64, out += 64) encrypt_vectors4(out, in, keys, 1, 0xff, feed_forward);
    if (n) encrypt_vectors4(out, in, keys, 1, (__mmask8)((1u << 2 * n) - 1), feed_forward);
    wipe(keys, sizeof keys);
}

VAES static void encrypt_vaes(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n)
{
    each_four(out, in, round_keys, n, 0);
}

VAES static void compress_vaes(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n)
{
    each_four(out, in, round_keys, n, 1);
}

const fusion_aes fusion_aes_vaes = {"vaes", encrypt_vaes, compress_vaes};

#endif
