/* SHA-256 (FIPS 180-4) of several messages side by side: one compression waits for itself, several overlap. */
#ifndef FUSION_SHA256_H
#define FUSION_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BLOCK 64
#define SHA256_BYTES 32
/* The most messages in one call. */
#define SHA256_SIDE 32

/* What a variant fills in. Running time depends on count and n alone. */
typedef struct {
    const char *name;
    /* h[i] takes in the `count` blocks that follow each other from blocks[i]; n <= SHA256_SIDE. */
    void (*compress)(uint32_t *const h[], const uint8_t *const blocks[], size_t count, size_t n);
    /* Writes n digests, one after the other, of messages that all stood at h before their last blocks, which lie one
     * after the other too and hold everything that ends a message; n <= SHA256_SIDE. */
    void (*finish)(uint8_t *digests, const uint32_t h[8], const uint8_t *blocks, size_t n);
} fusion_sha256;

extern const fusion_sha256 fusion_sha256_portable;
extern const uint32_t fusion_sha256_k[64];

/* A message so far: the chaining value, the bytes of the unfinished block, and the length in bytes. */
typedef struct {
    uint32_t h[8];
    uint64_t length;
    uint8_t buffer[SHA256_BLOCK];
} sha256;

void sha256_init(sha256 *s);
/* Continues n <= SHA256_SIDE messages, which may differ in length: s[i] with the sizes[i] bytes at data[i]. */
void sha256_update(const fusion_sha256 *sha, sha256 *s, const uint8_t *const *data, const size_t *sizes, size_t n);
/* Writes n digests, one after the other; the states are used up. */
void sha256_final(const fusion_sha256 *sha, sha256 *s, uint8_t *digests, size_t n);

#endif
