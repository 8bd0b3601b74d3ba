#ifndef FUSION_VARIANTS_H
#define FUSION_VARIANTS_H

#include "ristretto.h"

/* The i-th variant this CPU can run, fastest first; NULL past the last. */
const fusion_ristretto *fusion_ristretto_variant(int i);

#endif
