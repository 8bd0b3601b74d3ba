/* The streams that samples are taken from, and what every variant of the flooding needs. */
#ifndef FUSION_RLWE_STREAM_H
#define FUSION_RLWE_STREAM_H

#include "modular.h"
#include "rlwe.h"

#include <string.h>

enum { BLOCKS = 256, WORDS = 2 * BLOCKS, FLOOD_WORDS = 4 };

/* One stream: row and kind are fixed, blocks are counted. */
typedef struct {
    const fusion_aes *aes;
    const uint8_t *round_keys;
    uint64_t next;
    uint32_t row, kind;
    uint8_t bytes[AES_BLOCK * BLOCKS];
} stream;

static inline uint64_t little_endian(uint64_t x)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(x);
#else
    return x;
#endif
}

/* The next WORDS words. */
static inline void refill(stream *s)
{
    const uint64_t place = little_endian((uint64_t)s->kind << 32 | s->row);
    for (int i = 0; i < BLOCKS; i++) {
        const uint64_t block[2] = {little_endian(s->next++), place};
        memcpy(s->bytes + AES_BLOCK * i, block, AES_BLOCK);
    }
    s->aes->encrypt(s->bytes, s->bytes, s->round_keys, BLOCKS);
}

/* 2^48 and -2^(bits - 1) modulo each prime. */
static inline void flood_constants(uint64_t *shifted, uint64_t *ratio, uint64_t *offset, unsigned bits,
                                   const fusion_modulus *moduli, size_t limbs)
{
    for (size_t l = 0; l < limbs; l++) {
        const uint64_t p = moduli[l].p;
        uint64_t value = 1;
        for (unsigned j = 1; j < bits; j++) value = less(2 * value, p);
        shifted[l] = (1ULL << 48) % p;
        ratio[l] = ratio_of(shifted[l], p);
        offset[l] = p - value;
    }
}

#endif
