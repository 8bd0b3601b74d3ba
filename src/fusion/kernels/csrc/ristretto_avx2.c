/* Ristretto255, four rows at a time in the lanes of AVX2. */
#include "cpu.h"

#if FUSION_X86

#include "field4x25.h"
#include "ristretto_lanes.h"

/* When the library is loaded, before there are threads; under 1 ms. */
__attribute__((constructor)) static void make_base_table(void)
{
    if (fusion_cpu_has_avx2()) fill_base_table();
}

const fusion_ristretto fusion_ristretto_avx2 = {
    .name = "avx2",
    .from_uniform = from_uniform,
    .decode = decode,
    .encode = encode,
    .multiply = multiply,
    .multiply_encode = multiply_encode,
    .multiply_base = multiply_base,
    .add = add_points,
};

#endif
