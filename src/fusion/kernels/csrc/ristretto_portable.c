#include "ristretto.h"

const fusion_ristretto fusion_ristretto_portable = {.name = "portable"};
