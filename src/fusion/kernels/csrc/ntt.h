/* Polynomials modulo X^n + 1 and a few primes: the negacyclic number-theoretic transform and arithmetic on its values.
 *
 * n is 4096 or 8192. A prime p has 50 bits at most and is 1 modulo 2 n. A polynomial is `limbs` rows of n words, row l
 * holding residues below moduli[l].p; `rows` of these stand one after the other. The caller splits rows among threads.
 *
 * Transformed, word i is the value at psi^(2 r(i) + 1): r reverses the bits of i, and psi is the root of X^n + 1 that
 * fusion_modulus_init finds. Products of polynomials are products of words. All results are fully reduced, so that
 * every variant gives the same words. Time and memory access depend on sizes only.
 */
#ifndef FUSION_NTT_H
#define FUSION_NTT_H

#include <stddef.h>
#include <stdint.h>

#define NTT_PRIME_BITS 50
#define NTT_MAX_LIMBS 4

/* One prime. The ratio of a constant w is floor(2^64 w / p): with it, x w mod p takes no division (Shoup). */
typedef struct {
    uint64_t p, n;
    uint64_t one;              /* the ratio of 1 */
    uint64_t word, word_ratio; /* 2^64 mod p */
    uint64_t half, half_ratio; /* 2^52 mod p */
    uint64_t full, full_ratio; /* 2^104 mod p */
    uint64_t shrink, shrink_ratio; /* 1/n mod p */
    const uint64_t *roots;     /* psi^r(i), their ratios, psi^-r(i), their ratios: n words each */
} fusion_modulus;

/* Fills in the constants of p, and `roots` with 4 n words that must outlive the modulus. p must be as above. */
void fusion_modulus_init(fusion_modulus *modulus, uint64_t *roots, uint64_t p, uint64_t n);

typedef struct {
    const char *name;
    /* Coefficients to values, and back, in place. */
    void (*forward)(uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows);
    void (*inverse)(uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows);
    /* out = a + b, out = a - b; out may be an input. */
    void (*add)(uint64_t *out, const uint64_t *a, const uint64_t *b, const fusion_modulus *moduli, size_t limbs,
                size_t rows);
    void (*subtract)(uint64_t *out, const uint64_t *a, const uint64_t *b, const fusion_modulus *moduli, size_t limbs,
                     size_t rows);
    /* out[r] = sum over i < terms of a[r a_step + i] b[r b_step + i], word by word; steps count polynomials, and 0 uses
     * the same terms for every row. At least one term. */
    void (*multiply)(uint64_t *out, const uint64_t *a, size_t a_step, const uint64_t *b, size_t b_step, size_t terms,
                     const fusion_modulus *moduli, size_t limbs, size_t rows);
} fusion_ntt;

extern const fusion_ntt fusion_ntt_portable;

/* The i-th variant this CPU can run, fastest first; NULL past the last. The last one is always "portable". */
const fusion_ntt *fusion_ntt_variant(int i);

#endif
