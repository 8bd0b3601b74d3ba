/* SHA-512 of eight blocks at once, in the lanes of AVX-512. */
#include "cpu.h"

#if FUSION_X86

#define VECTOR 8
#define TARGET __attribute__((target("avx512f,avx512bw")))
#define NAME compress
#include "sha512_lanes.h"

const fusion_sha512 fusion_sha512_avx512 = {"avx512", compress};

#endif
