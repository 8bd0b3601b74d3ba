/* SHA-512 (FIPS 180-4) of eight messages of one length in step, each in its lane. */
#ifndef FUSION_SHA512_H
#define FUSION_SHA512_H

#include <stddef.h>
#include <stdint.h>

#define SHA512_BLOCK 128
#define SHA512_BYTES 64
#define SHA512_LANES 8

/* What a variant fills in. Running time depends on n alone. */
typedef struct {
    const char *name;
    /* Lane l, that is h[0][l] to h[7][l], takes in the block at blocks + 128 l. Only the first n lanes count; a
     * variant may work on all eight, which are there whatever n is. */
    void (*compress)(uint64_t h[8][SHA512_LANES], const uint8_t *blocks, size_t n);
} fusion_sha512;

extern const fusion_sha512 fusion_sha512_portable;
extern const uint64_t fusion_sha512_k[80];

/* The first n lanes hold messages so far: chaining values, the bytes of the unfinished blocks, the length in bytes
 * of each message. */
typedef struct {
    uint64_t h[8][SHA512_LANES];
    uint8_t buffer[SHA512_LANES][SHA512_BLOCK];
    size_t n;
    uint64_t length;
} sha512;

void sha512_init(sha512 *s, size_t n);
/* Continues lane l with the `size` bytes at data + stride * l; a stride of 0 gives all lanes the same. */
void sha512_update(const fusion_sha512 *sha, sha512 *s, const uint8_t *data, size_t stride, size_t size);
/* Writes n digests, one after the other; the state is used up. */
void sha512_final(const fusion_sha512 *sha, sha512 *s, uint8_t *digests);

#endif
