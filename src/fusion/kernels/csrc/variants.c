#include "variants.h"

#include "cpu.h"

static int always(void) { return 1; }

typedef struct {
    const void *operations;
    int (*usable)(void);
} variant;

/* One list for each kernel, fastest first. A variant for one kind of CPU adds a line, under the #if of the compilers
 * that can build it. */
static const variant ristretto_list[] = {
#if FUSION_IFMA
    {&fusion_ristretto_ifma, fusion_cpu_has_ifma},
#endif
#if FUSION_X86
    {&fusion_ristretto_avx2, fusion_cpu_has_avx2},
#endif
    {&fusion_ristretto_portable, always},
    {0},
};

static const variant elgamal_list[] = {
#if FUSION_IFMA
    {&fusion_elgamal_ifma, fusion_cpu_has_ifma},
#endif
    {&fusion_elgamal_portable, always},
    {0},
};

static const variant sha256_list[] = {
#if FUSION_X86
    {&fusion_sha256_avx512, fusion_cpu_has_avx512_and_sha},
    {&fusion_sha256_shani, fusion_cpu_has_shani},
    {&fusion_sha256_avx2, fusion_cpu_has_avx2},
#endif
    {&fusion_sha256_portable, always},
    {0},
};

static const variant sha512_list[] = {
#if FUSION_X86
    {&fusion_sha512_avx512, fusion_cpu_has_avx512},
    {&fusion_sha512_avx2, fusion_cpu_has_avx2},
#endif
    {&fusion_sha512_portable, always},
    {0},
};

static const void *usable(const variant *list, int i)
{
    for (; list->operations; list++)
        if (list->usable() && i-- == 0) return list->operations;
    return NULL;
}

const fusion_ristretto *fusion_ristretto_variant(int i) { return usable(ristretto_list, i); }
const fusion_elgamal *fusion_elgamal_variant(int i) { return usable(elgamal_list, i); }
const fusion_sha256 *fusion_sha256_variant(int i) { return usable(sha256_list, i); }
const fusion_sha512 *fusion_sha512_variant(int i) { return usable(sha512_list, i); }
