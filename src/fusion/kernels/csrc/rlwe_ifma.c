/* What rlwe_samples.c and rlwe_scales.c do most of, eight words at a time: byte for byte the same.
 *
 * Products are those of ntt_ifma.c, on the 52-bit multiplier. Packed words move between bytes and lanes by byte
 * permutations (VBMI): eight words of b bits fill b bytes.
 */
#include "cpu.h"

#if FUSION_IFMA

#include "constant_time.h"
#include "rlwe.h"
#include "rlwe_stream.h"

#include <immintrin.h>

#define VBMI __attribute__((target("avx512f,avx512ifma,avx512vl,avx512dq,avx512bw,avx512vbmi,avx512vpopcntdq")))
#define INLINE static inline __attribute__((always_inline)) VBMI

enum { LANES = 8 };

typedef __m512i vec;

INLINE vec all(uint64_t x) { return _mm512_set1_epi64((long long)x); }
INLINE vec load(const void *p) { return _mm512_loadu_si512(p); }
INLINE vec down(vec x, vec m) { return _mm512_min_epu64(x, _mm512_sub_epi64(x, m)); }

/* The lanes of the next `left` words, at most eight. */
INLINE __mmask8 lanes_of(size_t left) { return (__mmask8)(left >= LANES ? 0xff : (1u << left) - 1); }

/* x w modulo p, for x < 2^52, with the ratio of w for 64 bits. */
INLINE vec times_lanes(vec x, uint64_t w, uint64_t ratio, uint64_t p)
{
    vec zero = _mm512_setzero_si512(), quotient = _mm512_madd52hi_epu64(zero, x, all(ratio >> 12));
    vec low = _mm512_madd52lo_epu64(zero, x, all(w));
    low = _mm512_madd52lo_epu64(low, quotient, all((1ULL << 52) - p));
    return down(_mm512_and_si512(low, all((1ULL << 52) - 1)), all(p));
}

/* ---- Samples. */

VBMI static void ternary(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                         size_t rows)
{
    const vec third = all(UINT64_MAX / 3), two_thirds = all(UINT64_MAX / 3 * 2), one = all(1);
    for (size_t r = 0; r < rows; r++) {
        stream s = {.aes = aes, .round_keys = round_keys, .row = (uint32_t)(first_row + r)};
        for (size_t k = 0; k < n; k += LANES, out += LANES) {
            if (k % WORDS == 0) refill(&s);
            const vec w = load(s.bytes + 8 * (k % WORDS));
            vec x = _mm512_mask_add_epi64(all(UINT64_MAX), _mm512_cmpgt_epu64_mask(w, third), all(UINT64_MAX), one);
            x = _mm512_mask_add_epi64(x, _mm512_cmpgt_epu64_mask(w, two_thirds), x, one);
            _mm512_storeu_si512(out, x);
        }
        wipe(&s, sizeof s);
    }
}

/* a - b is a + (21 - b) - 21, and 21 - b are the ones where b has none. */
VBMI static void error(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                       size_t rows)
{
    const vec both = all((1ULL << 42) - 1), second = all(((1ULL << 21) - 1) << 21), half = all(21);
    for (size_t r = 0; r < rows; r++) {
        stream s = {.aes = aes, .round_keys = round_keys, .row = (uint32_t)(first_row + r)};
        for (size_t k = 0; k < n; k += LANES, out += LANES) {
            if (k % WORDS == 0) refill(&s);
            const vec w = _mm512_and_si512(load(s.bytes + 8 * (k % WORDS)), both);
            _mm512_storeu_si512(out, _mm512_sub_epi64(_mm512_popcnt_epi64(_mm512_xor_si512(w, second)), half));
        }
        wipe(&s, sizeof s);
    }
}

/* The words at `at`, at + 4, ..., at + 28, where `at` is 0 or 1 among four words of each of eight coefficients. */
INLINE vec every_fourth(const uint8_t *bytes, int at)
{
    const vec pick = _mm512_add_epi64(_mm512_setr_epi64(0, 4, 8, 12, 0, 4, 8, 12), all((uint64_t)at));
    const vec low = _mm512_permutex2var_epi64(load(bytes), pick, load(bytes + 64));
    const vec high = _mm512_permutex2var_epi64(load(bytes + 128), pick, load(bytes + 192));
    return _mm512_mask_blend_epi64(0xf0, low, high);
}

VBMI static void flood(const fusion_aes *aes, uint64_t *x, const uint8_t *round_keys, unsigned bits,
                       const fusion_modulus *moduli, size_t limbs, size_t n, size_t first_row, size_t rows)
{
    uint64_t shifted[NTT_MAX_LIMBS], ratio[NTT_MAX_LIMBS], offset[NTT_MAX_LIMBS];
    int halves = bits <= 96; /* two pieces of 48 bits */
    for (size_t l = 0; l < limbs; l++) halves &= moduli[l].p >> 47 != 0;
    if (!halves) {
        fusion_rlwe_portable.flood(aes, x, round_keys, bits, moduli, limbs, n, first_row, rows);
        return;
    }
    flood_constants(shifted, ratio, offset, bits, moduli, limbs);
    const vec first_mask = all(bits >= 64 ? UINT64_MAX : (1ULL << bits) - 1);
    const vec second_mask = all(bits > 64 ? (1ULL << (bits - 64)) - 1 : 0), low48 = all((1ULL << 48) - 1);
    for (size_t r = 0; r < rows; r++, x += limbs * n) {
        stream s = {.aes = aes, .round_keys = round_keys, .row = (uint32_t)(first_row + r)};
        for (size_t k = 0; k < n; k += LANES) {
            if (k % (WORDS / FLOOD_WORDS) == 0) refill(&s);
            const uint8_t *at = s.bytes + 8 * FLOOD_WORDS * (k % (WORDS / FLOOD_WORDS));
            const vec first = _mm512_and_si512(every_fourth(at, 0), first_mask);
            const vec second = _mm512_and_si512(every_fourth(at, 1), second_mask);
            const vec low = _mm512_and_si512(first, low48);
            const vec high = _mm512_or_si512(_mm512_srli_epi64(first, 48), _mm512_slli_epi64(second, 16));
            const __mmask8 lanes = lanes_of(n - k);
            for (size_t l = 0; l < limbs; l++) {
                const vec p = all(moduli[l].p), twice = all(2 * moduli[l].p);
                vec value = _mm512_add_epi64(low, times_lanes(high, shifted[l], ratio[l], moduli[l].p));
                value = _mm512_add_epi64(down(down(value, twice), p), all(offset[l]));
                value = _mm512_add_epi64(value, _mm512_maskz_loadu_epi64(lanes, x + l * n + k));
                _mm512_mask_storeu_epi64(x + l * n + k, lanes, down(down(value, twice), p));
            }
        }
        wipe(&s, sizeof s);
    }
}

/* ---- Passages. */

VBMI static void switch_words(uint64_t *out, const uint64_t *x, const fusion_scale *scale,
                              const fusion_modulus *moduli, size_t limbs, size_t n, size_t rows)
{
    const vec mask = all(~0ULL >> (64 - scale->bits));
    for (size_t r = 0; r < rows; r++, x += limbs * n, out += n)
        for (size_t k = 0; k < n; k += LANES) {
            const __mmask8 lanes = lanes_of(n - k);
            vec d[NTT_MAX_LIMBS], y;
            for (size_t l = 0; l < limbs; l++) { /* as in digits_of; all digits are reduced */
                const uint64_t p = moduli[l].p;
                y = times_lanes(_mm512_maskz_loadu_epi64(lanes, x + l * n + k), scale->power[l], scale->power_ratio[l],
                                p);
                y = down(_mm512_add_epi64(y, all((p - 1) / 2)), all(p));
                for (size_t i = 0; i < l; i++)
                    y = times_lanes(_mm512_sub_epi64(_mm512_add_epi64(y, all(2 * p)), d[i]), scale->garner[l][i],
                                    scale->garner_ratio[l][i], p);
                d[l] = y;
            }
            y = d[limbs - 1];
            for (size_t l = limbs - 1; l-- > 0;)
                y = _mm512_add_epi64(_mm512_mullo_epi64(y, all(moduli[l].p)), d[l]);
            y = _mm512_mullo_epi64(_mm512_sub_epi64(all(scale->half_q_word), y), all(scale->q_inverse_word));
            _mm512_mask_storeu_epi64(out + k, lanes, _mm512_and_si512(y, mask));
        }
}

/* ---- Packed words. Word i of eight begins i bits / 8 bytes on, at bit i bits % 8; up to 57 bits it ends in the
 * eighth byte from there. */

enum { WIDEST = 57 };

VBMI static void pack(uint8_t *out, const uint64_t *x, unsigned bits, size_t n)
{
    const size_t whole = bits < LANES || bits > WIDEST ? 0 : n / LANES;
    uint8_t even[64], odd[64];
    uint64_t shift[LANES];
    __mmask64 from_even = 0, from_odd = 0;
    for (unsigned i = 0; i < LANES; i++) {
        const unsigned begin = i * bits / 8, end = ((i + 1) * bits + 7) / 8;
        shift[i] = i * bits % 8;
        for (unsigned k = begin; k < end && whole; k++) {
            (i % 2 ? odd : even)[k] = (uint8_t)(8 * i + k - begin);
            if (i % 2) from_odd |= 1ULL << k;
            else from_even |= 1ULL << k;
        }
    }
    const vec shifts = load(shift), evens = load(even), odds = load(odd);
    const __mmask64 bytes = (1ULL << bits % 64) - 1;
    for (size_t i = 0; i < whole; i++, x += LANES, out += bits) {
        const vec w = _mm512_sllv_epi64(load(x), shifts);
        const vec a = _mm512_maskz_permutexvar_epi8(from_even, evens, w);
        const vec b = _mm512_maskz_permutexvar_epi8(from_odd, odds, w);
        _mm512_mask_storeu_epi8(out, bytes, _mm512_or_si512(a, b));
    }
    fusion_rlwe_portable.pack(out, x, bits, n - whole * LANES);
}

VBMI static void unpack(uint64_t *out, const uint8_t *x, unsigned bits, size_t n)
{
    const size_t whole = bits > WIDEST ? 0 : n / LANES;
    uint8_t place[64];
    uint64_t shift[LANES];
    for (unsigned i = 0; i < LANES; i++) {
        shift[i] = i * bits % 8;
        for (unsigned k = 0; k < 8; k++) place[8 * i + k] = (uint8_t)(i * bits / 8 + k);
    }
    const vec shifts = load(shift), places = load(place), mask = all(~0ULL >> (64 - bits));
    const __mmask64 bytes = (1ULL << bits % 64) - 1;
    for (size_t i = 0; i < whole; i++, x += bits, out += LANES) {
        const vec w = _mm512_permutexvar_epi8(places, _mm512_maskz_loadu_epi8(bytes, x));
        _mm512_storeu_si512(out, _mm512_and_si512(_mm512_srlv_epi64(w, shifts), mask));
    }
    fusion_rlwe_portable.unpack(out, x, bits, n - whole * LANES);
}

const fusion_rlwe fusion_rlwe_ifma = {"ifma", ternary, error, flood, switch_words, pack, unpack};

#endif
