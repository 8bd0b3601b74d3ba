/* SHA-256 (FIPS 180-4), portable. */
#ifndef FUSION_SHA256_H
#define FUSION_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BLOCK 64
#define SHA256_BYTES 32

/* A message so far: the chaining value, the bytes of the unfinished block, and the length in bytes. */
typedef struct {
    uint32_t h[8];
    uint64_t length;
    uint8_t buffer[SHA256_BLOCK];
} sha256;

void sha256_init(sha256 *s);
void sha256_update(sha256 *s, const uint8_t *data, size_t n);
/* Writes the digest; the state is used up. */
void sha256_final(sha256 *s, uint8_t digest[SHA256_BYTES]);

#endif
