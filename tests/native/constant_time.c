/* Marks secrets as uninitialised and runs the portable kernel under valgrind's memcheck, which then reports every
 * branch and every memory address that depends on one (the idea is Adam Langley's ctgrind). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "cpu.h"
#include "excode.h"
#include "hashing.h"
#include "rlwe.h"
#include "scalar25519.h"
#include "variants.h"

#define N 70

static uint8_t uniform[64 * N], points[FUSION_POINT_BYTES * N], others[FUSION_POINT_BYTES * N], encodings[32 * N];
static uint8_t scalars[32 * N], valid[N], out[64 * N];

/* Lattices: what is sampled, encoded, transformed, rounded and decoded is secret; the sizes and the primes are not. */
enum { LIMBS = 2, DEGREE = 4096, WORDS = LIMBS * DEGREE };
static const uint64_t PRIMES[LIMBS] = {1125899906826241, 1125899906629633};
static uint64_t roots[LIMBS][4 * DEGREE], residues[WORDS], product[WORDS], message[DEGREE];
static int64_t small[DEGREE];

static void hide(void *p, size_t n) { VALGRIND_MAKE_MEM_UNDEFINED(p, n); }
static void show(void *p, size_t n) { VALGRIND_MAKE_MEM_DEFINED(p, n); }

/* Encryption: a key and the generator are public, scalars and values are secret. Decryption: the multiplication, hidden
 * above, and a subtraction. */
static void run_elgamal(void)
{
    static _Alignas(64) uint8_t key[1 << 17], generator[1 << 17];
    static uint8_t one[32] = {1}, two[32] = {2}, rows[FUSION_POINT_BYTES * 2 * N];
    const fusion_elgamal *ops = &fusion_elgamal_portable;
    int64_t values[N];
    if (ops->table_bytes > sizeof key) exit(1);
    fusion_ristretto_portable.multiply_base(rows, one, 1);
    ops->fill_table(generator, rows);
    fusion_ristretto_portable.multiply_base(rows, two, 1);
    ops->fill_table(key, rows);
    for (size_t i = 0; i < N; i++) values[i] = (int64_t)(i * i * i) - 5000;
    hide(values, sizeof values);
    hide(uniform, sizeof uniform);
    fusion_reduce_scalars(scalars, uniform, N);
    ops->multiply_fixed(rows, 2 * FUSION_POINT_BYTES, generator, scalars, NULL, NULL, N);
    ops->multiply_fixed(rows + FUSION_POINT_BYTES, 2 * FUSION_POINT_BYTES, key, scalars, generator, values, N);
    fusion_negate_points(rows, rows, N);
    fusion_ristretto_portable.add(rows, rows, rows + FUSION_POINT_BYTES * N, N);
    show(rows, sizeof rows);
}

/* Where the noise stands and what it is are secret; the code is not. Twice as many elements as a part has at once. */
static void run_code(const uint8_t *round_keys)
{
    enum { STRETCHES = 32, LEAVES = 32, ALL = STRETCHES * LEAVES };
    static uint8_t values[GF128_BYTES * STRETCHES], x[GF128_BYTES * ALL], y[GF128_BYTES * ALL], weights[GF128_BYTES * 16];
    static uint16_t order[ALL];
    const fusion_excode code = {&fusion_aes_portable, &fusion_gf128_portable, round_keys, weights, ALL};
    uint64_t points[STRETCHES];
    uint32_t starts[2] = {0, ALL}, next[1] = {0};
    uint8_t before[GF128_BYTES] = {0};
    for (int t = 0; t < STRETCHES; t++) points[t] = 7 * t % LEAVES;
    hide(points, sizeof points);
    hide(values, sizeof values);
    fusion_excode_scatter_noise(&code, y, points, values, LEAVES, before, next, 0, ALL);
    next[0] = 0;
    fusion_excode_scatter(&code, x, y, before, next, 0, ALL);
    fusion_excode_order(&code, order, starts, 0, 0, 1);
    fusion_excode_sum(before, x, 0, ALL);
    next[0] = 0;
    fusion_excode_next_pass(&code, y, x, starts, order, before, next, 0, 1);
    fusion_excode_shuffle(x, y, starts, order, 0, 1);
    fusion_excode_contract(&code, x, 0, ALL / 32);
}

static void run_curve(const fusion_ristretto *ops)
{
    hide(uniform, sizeof uniform);
    ops->from_uniform(points, uniform, N);
    ops->encode(encodings, points, N);
    hide(points, sizeof points);
    hide(scalars, sizeof scalars);
    ops->multiply(others, points, scalars, N);
    ops->add(others, others, points, N);
    ops->multiply_encode(encodings, others, scalars, N);
    ops->multiply_base(points, scalars, N);
    hide(encodings, sizeof encodings);
    ops->decode(points, valid, encodings, N);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof uniform; i++) uniform[i] = (uint8_t)(i * i * 7 + i / 64);
    for (size_t i = 0; i < sizeof scalars; i++) scalars[i] = (i % 32 == 31) ? 9 : (uint8_t)(i * 31 + i / 32);
    if (argc == 2 && !strcmp(argv[1], "leak")) {
        hide(scalars, 1);
        if (scalars[0]) puts("a branch on a secret");
        return 0;
    }
    run_curve(&fusion_ristretto_portable);
#if FUSION_X86
    if (fusion_cpu_has_avx2()) run_curve(&fusion_ristretto_avx2);
#endif

    int64_t offsets[N + 1];
    const int64_t *offset_columns[1] = {offsets};
    const uint8_t *data_columns[1] = {encodings};
    for (int i = 0; i <= N; i++) offsets[i] = 32 * i;
    fusion_sha256_columns(&fusion_sha256_portable, out, scalars, 32, offset_columns, data_columns, 1, 0, N);
    fusion_sha256_rows(&fusion_sha256_portable, out, 12, (const uint8_t *)"tag", 3, encodings, 32, N);
    fusion_expand_message_xmd(&fusion_sha512_portable, out, 64, encodings, 32, (const uint8_t *)"tag", 3, N);
#if FUSION_X86
    if (fusion_cpu_has_avx2()) { /* the widest vectors that valgrind knows */
        fusion_sha256_columns(&fusion_sha256_avx2, out, scalars, 32, offset_columns, data_columns, 1, 0, N);
        fusion_sha256_rows(&fusion_sha256_avx2, out, 12, (const uint8_t *)"tag", 3, encodings, 32, N);
        fusion_expand_message_xmd(&fusion_sha512_avx2, out, 64, encodings, 32, (const uint8_t *)"tag", 3, N);
    }
#endif

    const fusion_aes *aes = &fusion_aes_portable;
    const fusion_gf128 *gf128 = &fusion_gf128_portable;
    uint8_t round_keys[AES128_ROUND_KEYS];
    fusion_aes128_expand(round_keys, scalars);
    show(round_keys, sizeof round_keys);
    run_code(round_keys);
    hide(round_keys, sizeof round_keys);
    aes->encrypt(out, uniform, round_keys, 2 * N + 1);
    aes->compress(out, out, round_keys, 2 * N);
    gf128->multiply(out, out, uniform, 2 * N);
    gf128->scale(out, out, scalars, 2 * N);
    gf128->scale_add(out, uniform, scalars, 2 * N);
    show(out, sizeof out);

    fusion_modulus moduli[LIMBS];
    for (int l = 0; l < LIMBS; l++) fusion_modulus_init(&moduli[l], roots[l], PRIMES[l], DEGREE);
    const fusion_ntt *ntt = &fusion_ntt_portable;
    /* any constants will do, as they are not secret: only which operations run depends on none of them */
    fusion_scale scale = {.t = 1 << 20, .half = 1 << 19, .one = 1ULL << 44, .bits = 40};
    for (int l = 0; l < LIMBS; l++) scale.t_inverse[l] = scale.garner[l][0] = scale.power[l] = scale.t_residue[l] = 3;
    hide(round_keys, sizeof round_keys);
    fusion_rlwe_ternary(aes, small, round_keys, DEGREE, 0, 1);
    fusion_rlwe_lift(residues, small, moduli, LIMBS, 1);
    ntt->forward(residues, moduli, LIMBS, 1);
    fusion_rlwe_error(aes, small, round_keys, DEGREE, 0, 1);
    hide(message, sizeof message);
    fusion_rlwe_encode(product, message, small, &scale, moduli, LIMBS, 1);
    ntt->forward(product, moduli, LIMBS, 1);
    ntt->multiply(product, product, 1, residues, 0, 1, moduli, LIMBS, 1);
    ntt->add(product, product, residues, moduli, LIMBS, 1);
    ntt->subtract(product, residues, product, moduli, LIMBS, 1);
    ntt->inverse(product, moduli, LIMBS, 1);
    fusion_rlwe_flood(aes, product, round_keys, 90, moduli, LIMBS, DEGREE, 0, 1);
    fusion_rlwe_decode(message, product, &scale, moduli, LIMBS, 1);
    fusion_rlwe_switch(message, product, &scale, moduli, LIMBS, DEGREE, 1);
    fusion_rlwe_round(message, &scale, DEGREE);
    fusion_rlwe_reduce(residues, message, moduli, LIMBS, 1);
    fusion_rlwe_join(message, residues, 3, 3, moduli, 1);
    run_elgamal();
    printf("done\n");
    return 0;
}
