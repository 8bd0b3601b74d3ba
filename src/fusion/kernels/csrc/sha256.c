#include "sha256.h"

#include <string.h>

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {
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

static inline uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* One round of 6.2.2, step 3. Instead of moving eight variables down by one, the caller names them in turn. */
static inline void step(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f, uint32_t g, uint32_t *h,
                        uint32_t input)
{
    uint32_t t1 = *h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (g ^ (e & (f ^ g))) + input;
    *d += t1;
    *h = t1 + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b)));
}

static void compress(uint32_t h[8], const uint8_t *block)
{
    uint32_t w[64];
    for (int t = 0; t < 16; t++) {
        w[t] = 0;
        for (int i = 0; i < 4; i++) w[t] = w[t] << 8 | block[4 * t + i];
    }
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
    for (int t = 0; t < 64; t += 8) {
        step(a, b, c, &d, e, f, g, &k, K[t] + w[t]);
        step(k, a, b, &c, d, e, f, &g, K[t + 1] + w[t + 1]);
        step(g, k, a, &b, c, d, e, &f, K[t + 2] + w[t + 2]);
        step(f, g, k, &a, b, c, d, &e, K[t + 3] + w[t + 3]);
        step(e, f, g, &k, a, b, c, &d, K[t + 4] + w[t + 4]);
        step(d, e, f, &g, k, a, b, &c, K[t + 5] + w[t + 5]);
        step(c, d, e, &f, g, k, a, &b, K[t + 6] + w[t + 6]);
        step(b, c, d, &e, f, g, k, &a, K[t + 7] + w[t + 7]);
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += k;
}

void sha256_init(sha256 *s)
{
    memcpy(s->h, H0, sizeof H0);
    s->length = 0;
}

void sha256_update(sha256 *s, const uint8_t *data, size_t n)
{
    size_t used = s->length % SHA256_BLOCK;
    s->length += n;
    if (used) {
        size_t take = SHA256_BLOCK - used < n ? SHA256_BLOCK - used : n;
        if (take) memcpy(s->buffer + used, data, take);
        if (used + take < SHA256_BLOCK) return;
        compress(s->h, s->buffer);
        data += take;
        n -= take;
    }
    for (; n >= SHA256_BLOCK; data += SHA256_BLOCK, n -= SHA256_BLOCK) compress(s->h, data);
    if (n) memcpy(s->buffer, data, n);
}

void sha256_final(sha256 *s, uint8_t digest[SHA256_BYTES])
{
    size_t used = s->length % SHA256_BLOCK;
    s->buffer[used++] = 0x80;
    /* The length in bits fills the last 8 bytes; 2^61 bytes are out of reach, so eight bytes hold it. */
    if (used > SHA256_BLOCK - 8) {
        memset(s->buffer + used, 0, SHA256_BLOCK - used);
        compress(s->h, s->buffer);
        used = 0;
    }
    memset(s->buffer + used, 0, SHA256_BLOCK - used);
    for (int i = 0; i < 8; i++) s->buffer[SHA256_BLOCK - 1 - i] = (uint8_t)(8 * s->length >> (8 * i));
    compress(s->h, s->buffer);
    for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(s->h[i / 4] >> (8 * (3 - i % 4)));
}
