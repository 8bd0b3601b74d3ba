#ifndef FUSION_VARIANTS_H
#define FUSION_VARIANTS_H

#include "elgamal.h"
#include "ristretto.h"
#include "sha256.h"
#include "sha512.h"

/* The i-th variant of a kernel that this CPU can run, fastest first; NULL past the last, which is the portable one. */
const fusion_ristretto *fusion_ristretto_variant(int i);
const fusion_elgamal *fusion_elgamal_variant(int i);
const fusion_sha256 *fusion_sha256_variant(int i);
const fusion_sha512 *fusion_sha512_variant(int i);

#endif
