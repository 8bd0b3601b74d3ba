/* The transform of ntt.c, eight words at a time on the 52-bit multiplier of AVX-512 IFMA.
 *
 * Words stay below 4 p < 2^52, which is what the multiplier reads. One pass over memory does two stages; another does
 * the last three, whose partners stand in the same vector, by permutations.
 */
#include "cpu.h"

#if FUSION_IFMA

#include "ntt.h"

#include <immintrin.h>

#define IFMA __attribute__((target("avx512f,avx512ifma,avx512vl,avx512dq,avx512bw")))
#define INLINE static inline __attribute__((always_inline)) IFMA

enum { LANES = 8 };

typedef __m512i vec;

/* What every product needs of its prime: p, 2 p and 2^52 - p, so that adding stands for subtracting modulo 2^52. */
typedef struct {
    vec p, twice, minus_p, low52;
} prime;

typedef struct {
    vec w, ratio; /* ratio = floor(2^52 w / p) */
} factor;

INLINE vec all(uint64_t x) { return _mm512_set1_epi64((long long)x); }
INLINE vec load(const uint64_t *p) { return _mm512_loadu_si512(p); }
INLINE void store(uint64_t *p, vec x) { _mm512_storeu_si512(p, x); }

INLINE prime prime_of(const fusion_modulus *m)
{
    return (prime){all(m->p), all(2 * m->p), all((1ULL << 52) - m->p), all((1ULL << 52) - 1)};
}

INLINE factor factor_of(uint64_t w, uint64_t ratio) { return (factor){all(w), all(ratio >> 12)}; }

INLINE factor factors_at(const uint64_t *w, const uint64_t *ratio)
{
    return (factor){load(w), _mm512_srli_epi64(load(ratio), 12)};
}

/* x w modulo p plus 0 or p, for x < 2^52. */
INLINE vec times(vec x, factor f, const prime *p)
{
    vec zero = _mm512_setzero_si512(), quotient = _mm512_madd52hi_epu64(zero, x, f.ratio);
    vec low = _mm512_madd52lo_epu64(_mm512_madd52lo_epu64(zero, x, f.w), quotient, p->minus_p);
    return _mm512_and_si512(low, p->low52);
}

/* x, less m unless that is negative. */
INLINE vec less(vec x, vec m) { return _mm512_min_epu64(x, _mm512_sub_epi64(x, m)); }

/* (u, v) -> (u + w v, u - w v), below 4 p before and after. */
INLINE void butterfly(vec *u, vec *v, factor w, const prime *p)
{
    vec a = less(*u, p->twice), b = times(*v, w, p);
    *u = _mm512_add_epi64(a, b);
    *v = _mm512_sub_epi64(_mm512_add_epi64(a, p->twice), b);
}

/* (u, v) -> (u + v, w (u - v)), below 2 p before and after. */
INLINE void butterfly_back(vec *u, vec *v, factor w, const prime *p)
{
    vec a = *u, b = *v;
    *u = less(_mm512_add_epi64(a, b), p->twice);
    *v = times(_mm512_sub_epi64(_mm512_add_epi64(a, p->twice), b), w, p);
}

/* Lanes of two vectors: a0 a1 b0 b1 a4 a5 b4 b5 and a2 a3 b2 b3 a6 a7 b6 b7. Its own inverse. */
INLINE void swap_pairs(vec *a, vec *b)
{
    const vec first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const vec second = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    vec x = *a, y = *b;
    *a = _mm512_permutex2var_epi64(x, first, y);
    *b = _mm512_permutex2var_epi64(x, second, y);
}

/* a0 b0 a2 b2 a4 b4 a6 b6 and a1 b1 a3 b3 a5 b5 a7 b7. Its own inverse. */
INLINE void swap_words(vec *a, vec *b)
{
    vec x = *a, y = *b;
    *a = _mm512_unpacklo_epi64(x, y);
    *b = _mm512_unpackhi_epi64(x, y);
}

/* a0..a3 b0..b3 and a4..a7 b4..b7. Its own inverse. */
INLINE void swap_halves(vec *a, vec *b)
{
    vec x = *a, y = *b;
    *a = _mm512_shuffle_i64x2(x, y, 0x44);
    *b = _mm512_shuffle_i64x2(x, y, 0xee);
}

/* Powers for the sixteen words from 2 LANES i: two blocks of 8, four of 4, eight of 2. */
INLINE factor factors_of_8(const uint64_t *w, const uint64_t *ratio)
{
    const vec spread = _mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1);
    vec a = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)w));
    vec b = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)ratio));
    return (factor){_mm512_permutexvar_epi64(spread, a), _mm512_srli_epi64(_mm512_permutexvar_epi64(spread, b), 12)};
}

INLINE factor factors_of_4(const uint64_t *w, const uint64_t *ratio)
{
    const vec spread = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
    vec a = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)w));
    vec b = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)ratio));
    return (factor){_mm512_permutexvar_epi64(spread, a), _mm512_srli_epi64(_mm512_permutexvar_epi64(spread, b), 12)};
}

IFMA static void forward_one(uint64_t *x, const fusion_modulus *m)
{
    const prime p = prime_of(m);
    const uint64_t n = m->n, *roots = m->roots, *ratios = roots + n;
    uint64_t blocks = 1, step = n / 2;
    if (__builtin_ctzll(n) % 2 == 0) { /* an odd number of stages before the last three */
        factor w = factor_of(roots[1], ratios[1]);
        for (uint64_t j = 0; j < step; j += LANES) {
            vec u = load(x + j), v = load(x + step + j);
            butterfly(&u, &v, w, &p);
            store(x + j, u);
            store(x + step + j, v);
        }
        blocks = 2, step /= 2;
    }
    for (; step > LANES; blocks *= 4, step /= 4) {
        const uint64_t quarter = step / 2;
        for (uint64_t i = 0; i < blocks; i++) {
            uint64_t *at = x + 2 * i * step, k = blocks + i;
            factor w = factor_of(roots[k], ratios[k]), left = factor_of(roots[2 * k], ratios[2 * k]);
            factor right = factor_of(roots[2 * k + 1], ratios[2 * k + 1]);
            for (uint64_t j = 0; j < quarter; j += LANES) {
                vec a = load(at + j), b = load(at + quarter + j), c = load(at + step + j);
                vec d = load(at + step + quarter + j);
                butterfly(&a, &c, w, &p);
                butterfly(&b, &d, w, &p);
                butterfly(&a, &b, left, &p);
                butterfly(&c, &d, right, &p);
                store(at + j, a);
                store(at + quarter + j, b);
                store(at + step + j, c);
                store(at + step + quarter + j, d);
            }
        }
    }
    const vec low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    for (uint64_t j = 0; j < n; j += 2 * LANES) {
        vec u = load(x + j), v = load(x + LANES + j);
        uint64_t eight = (n + j) / 8, four = (n + j) / 4, two = (n + j) / 2;
        swap_halves(&u, &v);
        butterfly(&u, &v, factors_of_8(roots + eight, ratios + eight), &p);
        swap_pairs(&u, &v);
        butterfly(&u, &v, factors_of_4(roots + four, ratios + four), &p);
        swap_words(&u, &v);
        butterfly(&u, &v, factors_at(roots + two, ratios + two), &p);
        u = less(less(u, p.twice), p.p);
        v = less(less(v, p.twice), p.p);
        store(x + j, _mm512_permutex2var_epi64(u, low, v));
        store(x + LANES + j, _mm512_permutex2var_epi64(u, high, v));
    }
}

IFMA static void inverse_one(uint64_t *x, const fusion_modulus *m)
{
    const prime p = prime_of(m);
    const uint64_t n = m->n, *roots = m->roots + 2 * n, *ratios = roots + n;
    const vec even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
    for (uint64_t j = 0; j < n; j += 2 * LANES) {
        vec a = load(x + j), b = load(x + LANES + j);
        vec u = _mm512_permutex2var_epi64(a, even, b), v = _mm512_permutex2var_epi64(a, odd, b);
        uint64_t eight = (n + j) / 8, four = (n + j) / 4, two = (n + j) / 2;
        butterfly_back(&u, &v, factors_at(roots + two, ratios + two), &p);
        swap_words(&u, &v);
        butterfly_back(&u, &v, factors_of_4(roots + four, ratios + four), &p);
        swap_pairs(&u, &v);
        butterfly_back(&u, &v, factors_of_8(roots + eight, ratios + eight), &p);
        swap_halves(&u, &v);
        store(x + j, u);
        store(x + LANES + j, v);
    }
    uint64_t blocks = n / 32, quarter = LANES; /* two stages join blocks of 2 quarters to some of 4 */
    for (; blocks; blocks /= 4, quarter *= 4) {
        const uint64_t step = 2 * quarter;
        for (uint64_t i = 0; i < blocks; i++) {
            uint64_t *at = x + 2 * i * step, k = blocks + i;
            factor w = factor_of(roots[k], ratios[k]), left = factor_of(roots[2 * k], ratios[2 * k]);
            factor right = factor_of(roots[2 * k + 1], ratios[2 * k + 1]);
            for (uint64_t j = 0; j < quarter; j += LANES) {
                vec a = load(at + j), b = load(at + quarter + j), c = load(at + step + j);
                vec d = load(at + step + quarter + j);
                butterfly_back(&a, &b, left, &p);
                butterfly_back(&c, &d, right, &p);
                butterfly_back(&a, &c, w, &p);
                butterfly_back(&b, &d, w, &p);
                store(at + j, a);
                store(at + quarter + j, b);
                store(at + step + j, c);
                store(at + step + quarter + j, d);
            }
        }
    }
    if (quarter < n) {
        factor w = factor_of(roots[1], ratios[1]);
        for (uint64_t j = 0; j < quarter; j += LANES) {
            vec u = load(x + j), v = load(x + quarter + j);
            butterfly_back(&u, &v, w, &p);
            store(x + j, u);
            store(x + quarter + j, v);
        }
    }
    factor shrink = factor_of(m->shrink, m->shrink_ratio);
    for (uint64_t j = 0; j < n; j += LANES) store(x + j, less(times(load(x + j), shrink, &p), p.p));
}

IFMA static void forward(uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < limbs; l++, x += moduli->n) forward_one(x, moduli + l);
}

IFMA static void inverse(uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < limbs; l++, x += moduli->n) inverse_one(x, moduli + l);
}

IFMA static void add(uint64_t *out, const uint64_t *a, const uint64_t *b, const fusion_modulus *moduli, size_t limbs,
                     size_t rows)
{
    const size_t n = moduli->n;
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < limbs; l++, out += n, a += n, b += n) {
            vec p = all(moduli[l].p);
            for (size_t j = 0; j < n; j += LANES) store(out + j, less(_mm512_add_epi64(load(a + j), load(b + j)), p));
        }
}

IFMA static void subtract(uint64_t *out, const uint64_t *a, const uint64_t *b, const fusion_modulus *moduli,
                          size_t limbs, size_t rows)
{
    const size_t n = moduli->n;
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < limbs; l++, out += n, a += n, b += n) {
            vec p = all(moduli[l].p);
            for (size_t j = 0; j < n; j += LANES)
                store(out + j, less(_mm512_sub_epi64(_mm512_add_epi64(load(a + j), p), load(b + j)), p));
        }
}

/* low + 2^52 high modulo p, for high < 2^63. */
INLINE vec fold(vec low, vec high, const fusion_modulus *m, const prime *p)
{
    high = _mm512_add_epi64(high, _mm512_srli_epi64(low, 52));
    vec sum = times(_mm512_and_si512(low, p->low52), factor_of(1, m->one), p);
    sum = _mm512_add_epi64(sum, times(_mm512_and_si512(high, p->low52), factor_of(m->half, m->half_ratio), p));
    sum = _mm512_add_epi64(sum, times(_mm512_srli_epi64(high, 52), factor_of(m->full, m->full_ratio), p));
    return less(less(less(sum, _mm512_slli_epi64(p->twice, 1)), p->twice), p->p);
}

/* The two halves of the products are summed apart, up to 2^11 at a time; SIDE vectors in turn hide the latency. */
enum { SIDE = 4, RUN = 1 << 11 };

IFMA static void multiply(uint64_t *out, const uint64_t *a, size_t a_step, const uint64_t *b, size_t b_step,
                          size_t terms, const fusion_modulus *moduli, size_t limbs, size_t rows)
{
    const size_t n = moduli->n, whole = limbs * n;
    for (size_t r = 0; r < rows; r++, a += a_step * whole, b += b_step * whole, out += whole)
        for (size_t l = 0; l < limbs; l++) {
            const prime p = prime_of(moduli + l);
            for (size_t j = l * n; j < (l + 1) * n; j += SIDE * LANES) {
                vec low[SIDE], high[SIDE];
                for (int k = 0; k < SIDE; k++) low[k] = _mm512_setzero_si512();
                for (size_t start = 0; start < terms; start += RUN) {
                    size_t stop = start + RUN < terms ? start + RUN : terms;
                    for (int k = 0; k < SIDE; k++) high[k] = _mm512_setzero_si512();
                    for (size_t i = start; i < stop; i++)
                        for (int k = 0; k < SIDE; k++) {
                            vec x = load(a + i * whole + j + LANES * k), y = load(b + i * whole + j + LANES * k);
                            low[k] = _mm512_madd52lo_epu64(low[k], x, y);
                            high[k] = _mm512_madd52hi_epu64(high[k], x, y);
                        }
                    for (int k = 0; k < SIDE; k++) low[k] = fold(low[k], high[k], moduli + l, &p);
                }
                for (int k = 0; k < SIDE; k++) store(out + j + LANES * k, low[k]);
            }
        }
}

const fusion_ntt fusion_ntt_ifma = {"ifma", forward, inverse, add, subtract, multiply};

#endif
