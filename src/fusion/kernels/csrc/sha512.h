/* SHA-512 (FIPS 180-4), portable. */
#ifndef FUSION_SHA512_H
#define FUSION_SHA512_H

#include <stddef.h>
#include <stdint.h>

#define SHA512_BLOCK 128
#define SHA512_BYTES 64

/* A message so far: the chaining value, the bytes of the unfinished block, and the length in bytes. */
typedef struct {
    uint64_t h[8];
    uint64_t length;
    uint8_t buffer[SHA512_BLOCK];
} sha512;

void sha512_init(sha512 *s);
void sha512_update(sha512 *s, const uint8_t *data, size_t n);
/* Writes the digest; the state is used up. */
void sha512_final(sha512 *s, uint8_t digest[SHA512_BYTES]);

#endif
