/* The transform in plain C, and the constants of a prime.
 *
 * Butterflies are Harvey's ("Faster arithmetic for number-theoretic transforms", 2014): words stay below 4 p forward
 * and 2 p backward, and only the end reduces them. The order of the powers is Longa and Naehrig's ("Speeding up the
 * number theoretic transform for faster ideal lattice-based cryptography", 2016), which needs no twist of the input.
 */
#include "ntt.h"

#include "cpu.h"
#include "modular.h"

/* ---- Constants; nothing here is secret. */

static uint64_t multiply_slowly(uint64_t a, uint64_t b, uint64_t p) { return (uint64_t)((uint128)a * b % p); }

static uint64_t power(uint64_t base, uint64_t exponent, uint64_t p)
{
    uint64_t result = 1;
    for (; exponent; exponent >>= 1, base = multiply_slowly(base, base, p))
        if (exponent & 1) result = multiply_slowly(result, base, p);
    return result;
}

/* The first of 2^e, 3^e, 4^e, ..., e = (p - 1) / 2n, whose n-th power is -1. */
static uint64_t root_of_minus_one(uint64_t p, uint64_t n)
{
    for (uint64_t base = 2;; base++) {
        uint64_t psi = power(base, (p - 1) / (2 * n), p);
        if (power(psi, n, p) == p - 1) return psi;
    }
}

static void fill_powers(uint64_t *out, uint64_t psi, uint64_t p, uint64_t n)
{
    uint64_t value = 1;
    for (uint64_t i = 0, reversed = 0; i < n; i++) {
        out[reversed] = value;
        out[n + reversed] = ratio_of(value, p);
        value = multiply_slowly(value, psi, p);
        uint64_t bit = n >> 1;
        for (; reversed & bit; bit >>= 1) reversed ^= bit;
        reversed |= bit;
    }
}

void fusion_modulus_init(fusion_modulus *modulus, uint64_t *roots, uint64_t p, uint64_t n)
{
    uint64_t psi = root_of_minus_one(p, n), half = (1ULL << 52) % p;
    fusion_modulus m = {
        .p = p,
        .n = n,
        .one = ratio_of(1, p),
        .word = multiply_slowly(half, 1 << 12, p),
        .half = half,
        .full = multiply_slowly(half, half, p),
        .shrink = power(n, p - 2, p),
        .roots = roots,
    };
    m.word_ratio = ratio_of(m.word, p);
    m.half_ratio = ratio_of(m.half, p);
    m.full_ratio = ratio_of(m.full, p);
    m.shrink_ratio = ratio_of(m.shrink, p);
    fill_powers(roots, psi, p, n);
    fill_powers(roots + 2 * n, power(psi, p - 2, p), p, n);
    *modulus = m;
}

/* ---- Transforms. */

static void forward_one(uint64_t *x, const fusion_modulus *m)
{
    const uint64_t p = m->p, twice = 2 * p, n = m->n, *roots = m->roots, *ratios = roots + n;
    for (uint64_t blocks = 1, step = n / 2; step; blocks *= 2, step /= 2)
        for (uint64_t i = 0; i < blocks; i++) {
            uint64_t w = roots[blocks + i], ratio = ratios[blocks + i], *a = x + 2 * i * step, *b = a + step;
            for (uint64_t j = 0; j < step; j++) {
                uint64_t u = less(a[j], twice), v = times(b[j], w, ratio, p);
                a[j] = u + v;
                b[j] = u + twice - v;
            }
        }
    for (uint64_t j = 0; j < n; j++) x[j] = less(less(x[j], twice), p);
}

static void inverse_one(uint64_t *x, const fusion_modulus *m)
{
    const uint64_t p = m->p, twice = 2 * p, n = m->n, *roots = m->roots + 2 * n, *ratios = roots + n;
    for (uint64_t blocks = n / 2, step = 1; blocks; blocks /= 2, step *= 2)
        for (uint64_t i = 0; i < blocks; i++) {
            uint64_t w = roots[blocks + i], ratio = ratios[blocks + i], *a = x + 2 * i * step, *b = a + step;
            for (uint64_t j = 0; j < step; j++) {
                uint64_t u = a[j], v = b[j];
                a[j] = less(u + v, twice);
                b[j] = times(u + twice - v, w, ratio, p);
            }
        }
    for (uint64_t j = 0; j < n; j++) x[j] = times_exact(x[j], m->shrink, m->shrink_ratio, p);
}

static void forward(uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < limbs; l++, x += moduli->n) forward_one(x, moduli + l);
}

static void inverse(uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < limbs; l++, x += moduli->n) inverse_one(x, moduli + l);
}

/* ---- Word by word. */

static void add(uint64_t *out, const uint64_t *a, const uint64_t *b, const fusion_modulus *moduli, size_t limbs,
                size_t rows)
{
    const size_t n = moduli->n;
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < limbs; l++, out += n, a += n, b += n)
            for (size_t j = 0; j < n; j++) out[j] = less(a[j] + b[j], moduli[l].p);
}

static void subtract(uint64_t *out, const uint64_t *a, const uint64_t *b, const fusion_modulus *moduli, size_t limbs,
                     size_t rows)
{
    const size_t n = moduli->n;
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < limbs; l++, out += n, a += n, b += n)
            for (size_t j = 0; j < n; j++) out[j] = less(a[j] + moduli[l].p - b[j], moduli[l].p);
}

/* Products have 100 bits: 2^28 of them fit into a sum. */
static void multiply(uint64_t *out, const uint64_t *a, size_t a_step, const uint64_t *b, size_t b_step, size_t terms,
                     const fusion_modulus *moduli, size_t limbs, size_t rows)
{
    const size_t n = moduli->n, whole = limbs * n;
    for (size_t r = 0; r < rows; r++, a += a_step * whole, b += b_step * whole, out += whole)
        for (size_t l = 0; l < limbs; l++) {
            const fusion_modulus *m = moduli + l;
            for (size_t j = l * n; j < (l + 1) * n; j++) {
                uint128 sum = 0;
                for (size_t i = 0; i < terms; i++) sum += (uint128)a[i * whole + j] * b[i * whole + j];
                uint64_t high = times((uint64_t)(sum >> 64), m->word, m->word_ratio, m->p);
                uint64_t low = times((uint64_t)sum, 1, m->one, m->p);
                out[j] = less(less(high + low, 2 * m->p), m->p);
            }
        }
}

const fusion_ntt fusion_ntt_portable = {"portable", forward, inverse, add, subtract, multiply};

const fusion_ntt *fusion_ntt_variant(int i)
{
#if FUSION_IFMA
    if (fusion_cpu_has_ifma() && i-- == 0) return &fusion_ntt_ifma;
#endif
    return i == 0 ? &fusion_ntt_portable : NULL;
}
