/* AES-128 (FIPS 197) over arrays of 16-byte blocks: the table of operations that every variant fills in.
 *
 * Blocks are independent; the caller splits [0, n) among threads. `out` may be `in`, but must not overlap it otherwise.
 * Time and memory access depend on n only, never on blocks or keys.
 */
#ifndef FUSION_AES_H
#define FUSION_AES_H

#include <stddef.h>
#include <stdint.h>

#define AES_BLOCK 16
#define AES128_KEY 16
#define AES128_ROUND_KEYS 176

/* FIPS 197 5.2: the key -> its eleven round keys, which the operations take. Secret if the key is. */
void fusion_aes128_expand(uint8_t round_keys[AES128_ROUND_KEYS], const uint8_t key[AES128_KEY]);

typedef struct {
    const char *name;
    /* out[i] = AES(in[i]). */
    void (*encrypt)(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n);
    /* out[i] = AES(in[i]) ^ in[i]: with a fixed public key, a one-way function of each block. */
    void (*compress)(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n);
} fusion_aes;

extern const fusion_aes fusion_aes_portable;

/* The i-th variant this CPU can run, fastest first; NULL past the last. The last one is always "portable". */
const fusion_aes *fusion_aes_variant(int i);

#endif
