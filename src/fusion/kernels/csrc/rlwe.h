/* What ring learning with errors needs beside the transform: samples, and passages between moduli.
 *
 * Layouts are those of ntt.h; q is the product of the moduli. Streams are AES-128 in counter mode under the given round
 * keys: block i of row r is AES(i, r, kind), integers of 8, 4 and 4 bytes, little-endian, and words are taken from
 * it in order, little-endian. A key serves one kind. Nothing but `fusion_rlwe_uniform`, whose output is
 * public, has a running time or an address that depends on more than sizes.
 */
#ifndef FUSION_RLWE_H
#define FUSION_RLWE_H

#include "aes.h"
#include "ntt.h"

/* Residues of rows first_row, first_row + 1, ...: kind is the limb; of each word the low bits, as many as p has, are
 * taken if below p. */
void fusion_rlwe_uniform(const fusion_aes *aes, uint64_t *out, const uint8_t *round_keys, const fusion_modulus *moduli,
                         size_t limbs, size_t first_row, size_t rows);
/* -1, 0 or 1: floor(3 w / 2^64) - 1 of each word w, so that the distance from uniform is below 2^-63. */
void fusion_rlwe_ternary(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                         size_t rows);
/* Centred binomial of 42 bits: ones among bits 0 to 20 of each word, less ones among bits 21 to 41. */
void fusion_rlwe_error(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                       size_t rows);
/* Adds an integer uniform in [-2^(bits - 1), 2^(bits - 1)) to every coefficient, from four words each, the lowest
 * first; 1 to 256 bits. Here, and in fusion_rlwe_switch, polynomials may be some of their coefficients, any `n`. */
void fusion_rlwe_flood(const fusion_aes *aes, uint64_t *x, const uint8_t *round_keys, unsigned bits,
                       const fusion_modulus *moduli, size_t limbs, size_t n, size_t first_row, size_t rows);

/* Residues of integers x with |x| below every p. */
void fusion_rlwe_lift(uint64_t *out, const int64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows);
/* Residues of any words. */
void fusion_rlwe_reduce(uint64_t *out, const uint64_t *x, const fusion_modulus *moduli, size_t limbs, size_t rows);

/* The constants that lead between q and a plain modulus t of 50 bits at most, or 2^bits; ratios as in ntt.h. */
typedef struct {
    uint64_t t, half;                                                  /* floor(t / 2) */
    uint64_t one;                                                      /* the ratio of 1 modulo t */
    uint64_t q, q_ratio;                                               /* q mod t */
    uint64_t q_inverse, q_inverse_ratio;                               /* 1/q mod t */
    uint64_t half_q;                                                   /* (q - 1) / 2 mod t */
    uint64_t p[NTT_MAX_LIMBS], p_ratio[NTT_MAX_LIMBS];                 /* p_l mod t */
    uint64_t t_residue[NTT_MAX_LIMBS], t_residue_ratio[NTT_MAX_LIMBS]; /* t mod p_l */
    uint64_t t_inverse[NTT_MAX_LIMBS], t_inverse_ratio[NTT_MAX_LIMBS]; /* 1/t mod p_l */
    /* 1/p_k mod p_l stands at [l][k], k < l */
    uint64_t garner[NTT_MAX_LIMBS][NTT_MAX_LIMBS], garner_ratio[NTT_MAX_LIMBS][NTT_MAX_LIMBS];
    uint64_t bits;                                                     /* of the power of two, 1 to 64 */
    uint64_t power[NTT_MAX_LIMBS], power_ratio[NTT_MAX_LIMBS];         /* 2^bits mod p_l */
    uint64_t half_q_word, q_inverse_word;                              /* (q - 1) / 2 and 1/q mod 2^64 */
} fusion_scale;

/* q/t times a message below t, rounded to the nearest, plus an error: floor((q m + floor(t / 2)) / t) + e. */
void fusion_rlwe_encode(uint64_t *out, const uint64_t *m, const int64_t *e, const fusion_scale *scale,
                        const fusion_modulus *moduli, size_t limbs, size_t rows);
/* t/q times coefficients, rounded to the nearest, modulo t. */
void fusion_rlwe_decode(uint64_t *out, const uint64_t *x, const fusion_scale *scale, const fusion_modulus *moduli,
                        size_t limbs, size_t rows);
/* 2^bits/q times coefficients, rounded to the nearest, modulo 2^bits. */
void fusion_rlwe_switch(uint64_t *out, const uint64_t *x, const fusion_scale *scale, const fusion_modulus *moduli,
                        size_t limbs, size_t n, size_t rows);
/* Integers of less than 80 bits from their residues modulo two primes of 49 bits at least, modulo 2^64. */
void fusion_rlwe_join(uint64_t *out, const uint64_t *x, uint64_t garner, uint64_t garner_ratio,
                      const fusion_modulus *moduli, size_t rows);
/* t/2^bits times x < 2^bits, rounded to the nearest, modulo t, in place. */
void fusion_rlwe_round(uint64_t *x, const fusion_scale *scale, size_t n);

/* n words of `bits` bits each, 1 to 64, one after the other from the low bit of the first byte; the last byte is filled
 * with zeros. */
void fusion_rlwe_pack(uint8_t *out, const uint64_t *x, unsigned bits, size_t n);
void fusion_rlwe_unpack(uint64_t *out, const uint8_t *x, unsigned bits, size_t n);

/* What rounds spend most of their time in. The functions above are the portable ones; every variant gives the same. */
typedef struct {
    const char *name;
    void (*ternary)(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                    size_t rows);
    void (*error)(const fusion_aes *aes, int64_t *out, const uint8_t *round_keys, size_t n, size_t first_row,
                  size_t rows);
    void (*flood)(const fusion_aes *aes, uint64_t *x, const uint8_t *round_keys, unsigned bits,
                  const fusion_modulus *moduli, size_t limbs, size_t n, size_t first_row, size_t rows);
    void (*switch_words)(uint64_t *out, const uint64_t *x, const fusion_scale *scale, const fusion_modulus *moduli,
                         size_t limbs, size_t n, size_t rows);
    void (*pack)(uint8_t *out, const uint64_t *x, unsigned bits, size_t n);
    void (*unpack)(uint64_t *out, const uint8_t *x, unsigned bits, size_t n);
} fusion_rlwe;

extern const fusion_rlwe fusion_rlwe_portable, fusion_rlwe_ifma;

/* The i-th variant this CPU can run, fastest first; NULL past the last. The last one is always "portable". */
const fusion_rlwe *fusion_rlwe_variant(int i);

#endif
