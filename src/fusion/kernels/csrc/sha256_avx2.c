/* SHA-256 of sixteen messages at once, in the lanes of two vectors of AVX2. */
#include "cpu.h"

#if FUSION_X86

#include <immintrin.h>

#define VECTOR 8
#define TARGET __attribute__((target("avx2")))

typedef __m256i lanes;

#define parity(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define choose(a, b, c) _mm256_xor_si256(c, _mm256_and_si256(a, _mm256_xor_si256(b, c)))
#define majority(a, b, c) _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)))
#define rotate(x, n) _mm256_or_si256(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - (n)))
#define shift(x, n) _mm256_srli_epi32(x, n)
#define add(a, b) _mm256_add_epi32(a, b)
#define constant(x) _mm256_set1_epi32((int)(x))

#define BIG_ENDIAN_WORDS \
    _mm256_broadcastsi128_si256(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3))

/* Each half in itself; it undoes itself. */
TARGET static inline void transpose(lanes w[4])
{
    const lanes low01 = _mm256_unpacklo_epi32(w[0], w[1]), high01 = _mm256_unpackhi_epi32(w[0], w[1]);
    const lanes low23 = _mm256_unpacklo_epi32(w[2], w[3]), high23 = _mm256_unpackhi_epi32(w[2], w[3]);
    w[0] = _mm256_unpacklo_epi64(low01, low23);
    w[1] = _mm256_unpackhi_epi64(low01, low23);
    w[2] = _mm256_unpacklo_epi64(high01, high23);
    w[3] = _mm256_unpackhi_epi64(high01, high23);
}

/* Before it is transposed, half q of row r holds four words of message 4 q + r. */
TARGET static inline void columns(lanes w[4], const uint8_t *const *blocks, size_t at)
{
    for (int r = 0; r < 4; r++) {
        w[r] = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(blocks[r] + at)));
        w[r] = _mm256_inserti128_si256(w[r], _mm_loadu_si128((const __m128i *)(blocks[4 + r] + at)), 1);
        w[r] = _mm256_shuffle_epi8(w[r], BIG_ENDIAN_WORDS);
    }
    transpose(w);
}

TARGET static inline void store_columns(uint8_t *out, size_t apart, lanes w[4])
{
    transpose(w);
    for (int r = 0; r < 4; r++) {
        const lanes row = _mm256_shuffle_epi8(w[r], BIG_ENDIAN_WORDS);
        _mm_storeu_si128((__m128i *)(out + apart * r), _mm256_castsi256_si128(row));
        _mm_storeu_si128((__m128i *)(out + apart * (4 + r)), _mm256_extracti128_si256(row, 1));
    }
}

#include "sha256_lanes.h"

/* A vector takes as long as this many messages by the portable variant. */
enum { FEW = 2 };

static void compress(uint32_t *const h[], const uint8_t *const blocks[], size_t count, size_t n)
{
    for (size_t i = 0; i < n; i += SIDE) {
        const size_t side = n - i < SIDE ? n - i : SIDE;
        if (side > FEW)
            compress_lanes(h + i, blocks + i, count, side);
        else
            fusion_sha256_portable.compress(h + i, blocks + i, count, side);
    }
}

static void finish(uint8_t *digests, const uint32_t h[8], const uint8_t *blocks, size_t n)
{
    for (size_t i = 0; i < n; i += SIDE) {
        const size_t side = n - i < SIDE ? n - i : SIDE;
        uint8_t *const at = digests + SHA256_BYTES * i;
        if (side > FEW)
            finish_lanes(at, h, blocks + SHA256_BLOCK * i, side);
        else
            fusion_sha256_portable.finish(at, h, blocks + SHA256_BLOCK * i, side);
    }
}

const fusion_sha256 fusion_sha256_avx2 = {"avx2", compress, finish};

#endif
