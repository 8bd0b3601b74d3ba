#include "variants.h"

#include "cpu.h"

static int always(void) { return 1; }

/* Fastest first. A variant for one kind of CPU adds a line here, under the #if of the compilers that can build it. */
static const struct {
    const fusion_ristretto *operations;
    int (*usable)(void);
} known[] = {
#if FUSION_IFMA
    {&fusion_ristretto_ifma, fusion_cpu_has_ifma},
#endif
    {&fusion_ristretto_portable, always},
};

const fusion_ristretto *fusion_ristretto_variant(int i)
{
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        if (known[k].usable() && i-- == 0) return known[k].operations;
    return NULL;
}
