/* SHA-256 of thirty-two messages at once, in the lanes of two vectors of AVX-512. */
#include "cpu.h"

#if FUSION_X86

#include <immintrin.h>

#define VECTOR 16
#define TARGET __attribute__((target("avx512f,avx512bw")))

typedef __m512i lanes;

/* A truth table, for operands 0xf0, 0xcc and 0xaa. */
#define parity(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define choose(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xca)
#define majority(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8)
#define rotate(x, n) _mm512_ror_epi32(x, n)
#define shift(x, n) _mm512_srli_epi32(x, n)
#define add(a, b) _mm512_add_epi32(a, b)
#define constant(x) _mm512_set1_epi32((int)(x))

#define BIG_ENDIAN_WORDS \
    _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3))

/* Each quarter in itself; it undoes itself. */
TARGET static inline void transpose(lanes w[4])
{
    const lanes low01 = _mm512_unpacklo_epi32(w[0], w[1]), high01 = _mm512_unpackhi_epi32(w[0], w[1]);
    const lanes low23 = _mm512_unpacklo_epi32(w[2], w[3]), high23 = _mm512_unpackhi_epi32(w[2], w[3]);
    w[0] = _mm512_unpacklo_epi64(low01, low23);
    w[1] = _mm512_unpackhi_epi64(low01, low23);
    w[2] = _mm512_unpacklo_epi64(high01, high23);
    w[3] = _mm512_unpackhi_epi64(high01, high23);
}

/* Before it is transposed, quarter q of row r holds four words of message 4 q + r. */
TARGET static inline void columns(lanes w[4], const uint8_t *const *blocks, size_t at)
{
    for (int r = 0; r < 4; r++) {
        w[r] = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(blocks[r] + at)));
        w[r] = _mm512_inserti32x4(w[r], _mm_loadu_si128((const __m128i *)(blocks[4 + r] + at)), 1);
        w[r] = _mm512_inserti32x4(w[r], _mm_loadu_si128((const __m128i *)(blocks[8 + r] + at)), 2);
        w[r] = _mm512_inserti32x4(w[r], _mm_loadu_si128((const __m128i *)(blocks[12 + r] + at)), 3);
        w[r] = _mm512_shuffle_epi8(w[r], BIG_ENDIAN_WORDS);
    }
    transpose(w);
}

TARGET static inline void store_columns(uint8_t *out, size_t apart, lanes w[4])
{
    transpose(w);
    for (int r = 0; r < 4; r++) {
        const lanes row = _mm512_shuffle_epi8(w[r], BIG_ENDIAN_WORDS);
        _mm_storeu_si128((__m128i *)(out + apart * r), _mm512_castsi512_si128(row));
        _mm_storeu_si128((__m128i *)(out + apart * (4 + r)), _mm512_extracti32x4_epi32(row, 1));
        _mm_storeu_si128((__m128i *)(out + apart * (8 + r)), _mm512_extracti32x4_epi32(row, 2));
        _mm_storeu_si128((__m128i *)(out + apart * (12 + r)), _mm512_extracti32x4_epi32(row, 3));
    }
}

#include "sha256_lanes.h"

/* A vector takes as long as this many messages by the SHA instructions, which this variant also asks for. */
enum { FEW = 11 };

static void compress(uint32_t *const h[], const uint8_t *const blocks[], size_t count, size_t n)
{
    if (n > FEW)
        compress_lanes(h, blocks, count, n);
    else
        fusion_sha256_shani.compress(h, blocks, count, n);
}

static void finish(uint8_t *digests, const uint32_t h[8], const uint8_t *blocks, size_t n)
{
    if (n > FEW)
        finish_lanes(digests, h, blocks, n);
    else
        fusion_sha256_shani.finish(digests, h, blocks, n);
}

const fusion_sha256 fusion_sha256_avx512 = {"avx512", compress, finish};

#endif
