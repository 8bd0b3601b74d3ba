/* SHA-256 by the SHA instructions. One round waits for the one before: two messages take turns. */
#include "cpu.h"

#if FUSION_X86

#include <immintrin.h>
#include <string.h>

#define SHA __attribute__((target("sha,sse4.1")))

enum { WIDTH = 2, SWAP = 0xb1 /* the two lanes of each half change places */ };

/* The instructions take the state as two vectors, from the lowest lane up f, e, b, a and h, g, d, c. `n` is a constant
 * wherever this is inlined, so that the loops over it unroll. */
SHA static inline void compress_side(uint32_t *const h[], const uint8_t *const blocks[], size_t count, int n)
{
    const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    __m128i feba[WIDTH], hgdc[WIDTH], w[WIDTH][4];
    for (int i = 0; i < n; i++) {
        const __m128i abcd = _mm_loadu_si128((const __m128i *)h[i]);
        const __m128i efgh = _mm_loadu_si128((const __m128i *)(h[i] + 4));
        feba[i] = _mm_shuffle_epi32(_mm_unpacklo_epi64(efgh, abcd), SWAP);
        hgdc[i] = _mm_shuffle_epi32(_mm_unpackhi_epi64(efgh, abcd), SWAP);
    }
    for (size_t at = 0; at < count * SHA256_BLOCK; at += SHA256_BLOCK) {
        __m128i feba_before[WIDTH], hgdc_before[WIDTH];
        for (int i = 0; i < n; i++) {
            feba_before[i] = feba[i];
            hgdc_before[i] = hgdc[i];
            for (int k = 0; k < 4; k++) {
                const __m128i words = _mm_loadu_si128((const __m128i *)(blocks[i] + at + 16 * k));
                w[i][k] = _mm_shuffle_epi8(words, big_endian);
            }
        }
        /* Four rounds a turn; w holds the four vectors of the message schedule from this turn on, as a ring. */
#pragma GCC unroll 16
        for (int t = 0; t < 16; t++) {
            const __m128i k = _mm_loadu_si128((const __m128i *)(fusion_sha256_k + 4 * t));
            for (int i = 0; i < n; i++) {
                __m128i *now = &w[i][t % 4];
                const __m128i next = w[i][(t + 1) % 4], third = w[i][(t + 2) % 4], last = w[i][(t + 3) % 4];
                const __m128i input = _mm_add_epi32(*now, k);
                hgdc[i] = _mm_sha256rnds2_epu32(hgdc[i], feba[i], input);
                feba[i] = _mm_sha256rnds2_epu32(feba[i], hgdc[i], _mm_unpackhi_epi64(input, input));
                if (t < 12) {
                    const __m128i w7 = _mm_alignr_epi8(last, third, 4);
                    *now = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(*now, next), w7), last);
                }
            }
        }
        for (int i = 0; i < n; i++) {
            feba[i] = _mm_add_epi32(feba[i], feba_before[i]);
            hgdc[i] = _mm_add_epi32(hgdc[i], hgdc_before[i]);
        }
    }
    for (int i = 0; i < n; i++) {
        const __m128i efab = _mm_shuffle_epi32(feba[i], SWAP), ghcd = _mm_shuffle_epi32(hgdc[i], SWAP);
        _mm_storeu_si128((__m128i *)h[i], _mm_unpackhi_epi64(efab, ghcd));
        _mm_storeu_si128((__m128i *)(h[i] + 4), _mm_unpacklo_epi64(efab, ghcd));
    }
}

SHA static void compress(uint32_t *const h[], const uint8_t *const blocks[], size_t count, size_t n)
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) compress_side(h + i, blocks + i, count, WIDTH);
    for (; i < n; i++) compress_side(h + i, blocks + i, count, 1);
}

SHA static void finish(uint8_t *digests, const uint32_t h[8], const uint8_t *blocks, size_t n)
{
    const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    for (size_t i = 0; i < n; i += WIDTH) {
        const size_t side = n - i < WIDTH ? n - i : WIDTH;
        uint32_t state[WIDTH][8], *const states[WIDTH] = {state[0], state[1]};
        const uint8_t *const last[WIDTH] = {blocks + SHA256_BLOCK * i, blocks + SHA256_BLOCK * (i + 1)};
        for (size_t k = 0; k < side; k++) memcpy(state[k], h, sizeof state[k]);
        compress(states, last, 1, side);
        for (size_t k = 0; k < 2 * side; k++) {
            const __m128i words = _mm_loadu_si128((const __m128i *)state[0] + k);
            _mm_storeu_si128((__m128i *)(digests + SHA256_BYTES * i) + k, _mm_shuffle_epi8(words, big_endian));
        }
    }
}

const fusion_sha256 fusion_sha256_shani = {"shani", compress, finish};

#endif
