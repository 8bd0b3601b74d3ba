/* SHA-512 of twice four blocks at once, in the lanes of AVX2. */
#include "cpu.h"

#if FUSION_X86

#define VECTOR 4
#define TARGET __attribute__((target("avx2")))
#define NAME compress
#include "sha512_lanes.h"

const fusion_sha512 fusion_sha512_avx2 = {"avx2", compress};

#endif
