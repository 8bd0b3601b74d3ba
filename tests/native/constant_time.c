/* Marks secrets as uninitialised and runs the portable kernel under valgrind's memcheck, which then reports every
 * branch and every memory address that depends on one (the idea is Adam Langley's ctgrind). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "cpu.h"
#include "hashing.h"
#include "variants.h"

#define N 70

static uint8_t uniform[64 * N], points[FUSION_POINT_BYTES * N], others[FUSION_POINT_BYTES * N], encodings[32 * N];
static uint8_t scalars[32 * N], valid[N], out[64 * N];

static void hide(void *p, size_t n) { VALGRIND_MAKE_MEM_UNDEFINED(p, n); }
static void show(void *p, size_t n) { VALGRIND_MAKE_MEM_DEFINED(p, n); }

int main(int argc, char **argv)
{
    const fusion_ristretto *ops = &fusion_ristretto_portable;
    for (size_t i = 0; i < sizeof uniform; i++) uniform[i] = (uint8_t)(i * i * 7 + i / 64);
    for (size_t i = 0; i < sizeof scalars; i++) scalars[i] = (i % 32 == 31) ? 9 : (uint8_t)(i * 31 + i / 32);
    if (argc == 2 && !strcmp(argv[1], "leak")) {
        hide(scalars, 1);
        if (scalars[0]) puts("a branch on a secret");
        return 0;
    }
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

    int64_t offsets[N + 1];
    const int64_t *offset_columns[1] = {offsets};
    const uint8_t *data_columns[1] = {encodings};
    for (int i = 0; i <= N; i++) offsets[i] = 32 * i;
    fusion_hmac_sha256_columns(&fusion_sha256_portable, out, scalars, 32, offset_columns, data_columns, 1, 0, N);
    fusion_sha256_rows(&fusion_sha256_portable, out, 12, (const uint8_t *)"tag", 3, encodings, 32, N);
    fusion_expand_message_xmd(&fusion_sha512_portable, out, 64, encodings, 32, (const uint8_t *)"tag", 3, N);
#if FUSION_X86
    if (fusion_cpu_has_avx2()) { /* the widest vectors that valgrind knows */
        fusion_hmac_sha256_columns(&fusion_sha256_avx2, out, scalars, 32, offset_columns, data_columns, 1, 0, N);
        fusion_sha256_rows(&fusion_sha256_avx2, out, 12, (const uint8_t *)"tag", 3, encodings, 32, N);
        fusion_expand_message_xmd(&fusion_sha512_avx2, out, 64, encodings, 32, (const uint8_t *)"tag", 3, N);
    }
#endif

    const fusion_aes *aes = &fusion_aes_portable;
    const fusion_gf128 *gf128 = &fusion_gf128_portable;
    uint8_t round_keys[AES128_ROUND_KEYS];
    fusion_aes128_expand(round_keys, scalars);
    aes->encrypt(out, uniform, round_keys, 2 * N + 1);
    aes->compress(out, out, round_keys, 2 * N);
    gf128->multiply(out, out, uniform, 2 * N);
    gf128->scale(out, out, scalars, 2 * N);
    gf128->scale_add(out, uniform, scalars, 2 * N);
    show(out, sizeof out);
    printf("done\n");
    return 0;
}
