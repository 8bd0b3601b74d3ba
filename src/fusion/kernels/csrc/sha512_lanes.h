/* SHA-512 of eight blocks at once, one a lane, in vectors of VECTOR lanes. The includer defines
 *   VECTOR  lanes of a vector, 4 or 8
 *   TARGET  the attribute that allows the instructions
 *   NAME    what the function is called
 * and gets `static void NAME(uint64_t h[8][8], const uint8_t *blocks, size_t n)`, as sha512.h describes it. */
#include "big_endian.h"
#include "sha512.h"

#include <string.h>

typedef uint64_t lanes __attribute__((vector_size(8 * VECTOR), may_alias, aligned(8)));

TARGET static inline lanes rotate(lanes x, int n) { return x >> n | x << (64 - n); }

/* FIPS 180-4, 6.4.2. */
TARGET static void NAME(uint64_t h[8][SHA512_LANES], const uint8_t *blocks, size_t n)
{
    for (size_t first = 0; first < n; first += VECTOR) {
        lanes w[16], v[8];
        for (int t = 0; t < 16; t++) {
            uint64_t row[VECTOR];
            for (int lane = 0; lane < VECTOR; lane++)
                row[lane] = load_be64(blocks + SHA512_BLOCK * (first + lane) + 8 * t);
            memcpy(&w[t], row, sizeof row);
        }
        for (int k = 0; k < 8; k++) v[k] = *(const lanes *)&h[k][first];
        for (int t = 0; t < 80; t += 16) {
            /* Instead of moving eight variables down by one, round i finds them i places further up in v. */
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                const lanes a = v[(8 - i) & 7], b = v[(9 - i) & 7], c = v[(10 - i) & 7], e = v[(12 - i) & 7];
                const lanes f = v[(13 - i) & 7], g = v[(14 - i) & 7];
                lanes *d = &v[(11 - i) & 7], *last = &v[(15 - i) & 7];
                /* Every round waits for e of the one before: the sum of e's rotations comes last. */
                const lanes rest = *last + (w[i] + fusion_sha512_k[t + i]) + (g ^ (e & (f ^ g)));
                const lanes t1 = rest + (rotate(e, 14) ^ rotate(e, 18) ^ rotate(e, 41));
                *d += t1;
                *last = t1 + ((rotate(a, 28) ^ rotate(a, 34) ^ rotate(a, 39)) + ((a & b) | (c & (a | b))));
            }
            if (t == 64) break;
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                const lanes w1 = w[(i + 1) & 15], w14 = w[(i + 14) & 15];
                const lanes s0 = rotate(w1, 1) ^ rotate(w1, 8) ^ w1 >> 7;
                const lanes s1 = rotate(w14, 19) ^ rotate(w14, 61) ^ w14 >> 6;
                w[i] += s1 + w[(i + 9) & 15] + s0;
            }
        }
        for (int k = 0; k < 8; k++) *(lanes *)&h[k][first] += v[k];
    }
}
