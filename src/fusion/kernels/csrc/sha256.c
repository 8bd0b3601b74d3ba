#include "sha256.h"

#include "big_endian.h"

#include <string.h>

enum { BLOCK = SHA256_BLOCK, SIDE = SHA256_SIDE };

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const uint32_t fusion_sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* 5.3.3: likewise, of the square roots of the first eight primes. */
static const uint32_t H0[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static inline void store_digest(uint8_t *digest, const uint32_t h[8])
{
    for (int k = 0; k < 8; k++) store_be32(digest + 4 * k, h[k]);
}

static inline uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* One round of 6.2.2, step 3. Instead of moving eight variables down by one, the caller names them in turn. */
static inline void step(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f, uint32_t g, uint32_t *h,
                        uint32_t input)
{
    uint32_t t1 = *h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (g ^ (e & (f ^ g))) + input;
    *d += t1;
    *h = t1 + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b)));
}

static void compress_one(uint32_t h[8], const uint8_t *block)
{
    uint32_t w[64];
    for (int t = 0; t < 16; t++) w[t] = load_be32(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
    for (int t = 0; t < 64; t += 8) {
        step(a, b, c, &d, e, f, g, &k, fusion_sha256_k[t] + w[t]);
        step(k, a, b, &c, d, e, f, &g, fusion_sha256_k[t + 1] + w[t + 1]);
        step(g, k, a, &b, c, d, e, &f, fusion_sha256_k[t + 2] + w[t + 2]);
        step(f, g, k, &a, b, c, d, &e, fusion_sha256_k[t + 3] + w[t + 3]);
        step(e, f, g, &k, a, b, c, &d, fusion_sha256_k[t + 4] + w[t + 4]);
        step(d, e, f, &g, k, a, b, &c, fusion_sha256_k[t + 5] + w[t + 5]);
        step(c, d, e, &f, g, k, a, &b, fusion_sha256_k[t + 6] + w[t + 6]);
        step(b, c, d, &e, f, g, k, &a, fusion_sha256_k[t + 7] + w[t + 7]);
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += k;
}

static void compress(uint32_t *const h[], const uint8_t *const blocks[], size_t count, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < count; b++) compress_one(h[i], blocks[i] + BLOCK * b);
}

static void finish(uint8_t *digests, const uint32_t h[8], const uint8_t *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t state[8];
        memcpy(state, h, sizeof state);
        compress_one(state, blocks + BLOCK * i);
        store_digest(digests + SHA256_BYTES * i, state);
    }
}

const fusion_sha256 fusion_sha256_portable = {"portable", compress, finish};

void sha256_init(sha256 *s)
{
    memcpy(s->h, H0, sizeof H0);
    s->length = 0;
}

void sha256_update(const fusion_sha256 *sha, sha256 *s, const uint8_t *const *data, const size_t *sizes, size_t n)
{
    size_t done[SIDE] = {0}, full;
    /* Each turn takes as many blocks of every message that still has one as the shortest of them has. Whole blocks are
     * read where they lie; one that begins or ends elsewhere is put together in the buffer. */
    do {
        uint32_t *h[SIDE];
        const uint8_t *blocks[SIDE];
        size_t whole[SIDE], count = SIZE_MAX;
        full = 0;
        for (size_t i = 0; i < n; i++) {
            size_t used = s[i].length % BLOCK, left = sizes[i] - done[i], run = 1;
            whole[full] = n;
            if (!left) continue;
            if (!used && left >= BLOCK) {
                blocks[full] = data[i] + done[i];
                whole[full] = i;
                run = left / BLOCK;
            } else {
                size_t take = BLOCK - used < left ? BLOCK - used : left;
                memcpy(s[i].buffer + used, data[i] + done[i], take);
                s[i].length += take;
                done[i] += take;
                if (used + take < BLOCK) continue;
                blocks[full] = s[i].buffer;
            }
            h[full++] = s[i].h;
            if (run < count) count = run;
        }
        if (full) sha->compress(h, blocks, count, full);
        for (size_t k = 0; k < full; k++) {
            if (whole[k] == n) continue;
            s[whole[k]].length += BLOCK * count;
            done[whole[k]] += BLOCK * count;
        }
    } while (full);
}

void sha256_final(const fusion_sha256 *sha, sha256 *s, uint8_t *digests, size_t n)
{
    uint32_t *h[SIDE] = {0};
    const uint8_t *blocks[SIDE] = {0};
    sha256 *crowded[SIDE];
    size_t full = 0;
    for (size_t i = 0; i < n; i++) {
        size_t used = s[i].length % BLOCK;
        s[i].buffer[used++] = 0x80;
        memset(s[i].buffer + used, 0, BLOCK - used);
        if (used <= BLOCK - 8) continue;
        h[full] = s[i].h;
        blocks[full] = s[i].buffer;
        crowded[full++] = &s[i];
    }
    if (full) sha->compress(h, blocks, 1, full);
    for (size_t k = 0; k < full; k++) memset(crowded[k]->buffer, 0, BLOCK);
    /* The length in bits fills the last 8 bytes; 2^61 bytes are out of reach, so eight bytes hold it. */
    for (size_t i = 0; i < n; i++) {
        store_be64(s[i].buffer + BLOCK - 8, 8 * s[i].length);
        h[i] = s[i].h;
        blocks[i] = s[i].buffer;
    }
    sha->compress(h, blocks, 1, n);
    for (size_t i = 0; i < n; i++) store_digest(digests + SHA256_BYTES * i, s[i].h);
}
