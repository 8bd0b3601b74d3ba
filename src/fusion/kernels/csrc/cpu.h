/* What this CPU can run beyond the portable kernel. */
#ifndef FUSION_CPU_H
#define FUSION_CPU_H

#include "aes.h"
#include "elgamal.h"
#include "gf128.h"
#include "ntt.h"
#include "ristretto.h"
#include "sha256.h"
#include "sha512.h"

/* 32-bit x86 and compilers without the intrinsics build the portable kernel only. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : defined(__GNUC__) && __GNUC__ >= 10)
#define FUSION_X86 1
#else
#define FUSION_X86 0
#endif
#define FUSION_IFMA FUSION_X86

#if FUSION_X86
#include <cpuid.h>

extern const fusion_ristretto fusion_ristretto_ifma, fusion_ristretto_avx2;
extern const fusion_elgamal fusion_elgamal_ifma;
extern const fusion_sha256 fusion_sha256_avx2, fusion_sha256_shani, fusion_sha256_avx512;
extern const fusion_sha512 fusion_sha512_avx2, fusion_sha512_avx512;
extern const fusion_aes fusion_aes_aesni, fusion_aes_vaes;
extern const fusion_gf128 fusion_gf128_aesni, fusion_gf128_vaes;
extern const fusion_ntt fusion_ntt_ifma;

/* Asks the CPU, and the operating system through it: AVX-512 needs registers that the system must save. */
static inline int fusion_cpu_has_ifma(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw");
}

static inline int fusion_cpu_has_vbmi(void)
{
    return fusion_cpu_has_ifma() && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vpopcntdq");
}

static inline int fusion_cpu_has_avx512(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

static inline int fusion_cpu_has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}

/* Older compilers do not know the name "sha", hence the bit of leaf 7. */
static inline int fusion_cpu_has_shani(void)
{
    unsigned a, b, c, d;
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

/* The lanes of AVX-512 for many messages, the SHA instructions for few. */
static inline int fusion_cpu_has_avx512_and_sha(void) { return fusion_cpu_has_avx512() && fusion_cpu_has_shani(); }

/* The AES and carry-less multiplication instructions, on vectors of one block. */
static inline int fusion_cpu_has_aesni(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("avx2");
}

/* The same on vectors of four. Older compilers do not know these two names, hence the bits of leaf 7. */
static inline int fusion_cpu_has_vaes(void)
{
    unsigned a, b, c, d;
    return fusion_cpu_has_ifma() && fusion_cpu_has_aesni() && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (c & bit_VAES) && (c & bit_VPCLMULQDQ);
}
#endif

#endif
