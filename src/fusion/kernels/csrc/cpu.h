/* What this CPU can run beyond the portable kernel. */
#ifndef FUSION_CPU_H
#define FUSION_CPU_H

#include "ristretto.h"

/* 32-bit x86 and compilers without the intrinsics build the portable kernel only. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : defined(__GNUC__) && __GNUC__ >= 10)
#define FUSION_IFMA 1
#else
#define FUSION_IFMA 0
#endif

#if FUSION_IFMA
extern const fusion_ristretto fusion_ristretto_ifma;

/* Asks the CPU, and the operating system through it: AVX-512 needs registers that the system must save. */
static inline int fusion_cpu_has_ifma(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw");
}
#endif

#endif
