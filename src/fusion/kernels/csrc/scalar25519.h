/* Integers modulo the group order l = 2^252 + 27742317777372353535851937790883648493, as rows of 32 bytes. */
#ifndef FUSION_SCALAR25519_H
#define FUSION_SCALAR25519_H

#include <stddef.h>
#include <stdint.h>

/* 64 bytes a row, little-endian -> the remainder by l. Time depends on n only. */
void fusion_reduce_scalars(uint8_t *scalars, const uint8_t *wide, size_t n);

#endif
