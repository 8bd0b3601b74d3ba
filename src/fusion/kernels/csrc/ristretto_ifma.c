/* Ristretto255, eight rows at a time in the lanes of AVX-512 IFMA. */
#include "cpu.h"

#if FUSION_IFMA

#include "field8x52.h"
#include "ristretto_lanes.h"

/* When the library is loaded, before there are threads; about 0.1 ms. */
__attribute__((constructor)) static void make_base_table(void)
{
    if (fusion_cpu_has_ifma()) fill_base_table();
}

const fusion_ristretto fusion_ristretto_ifma = {
    .name = "ifma",
    .from_uniform = from_uniform,
    .decode = decode,
    .encode = encode,
    .multiply = multiply,
    .multiply_encode = multiply_encode,
    .multiply_base = multiply_base,
    .add = add_points,
};

#endif
