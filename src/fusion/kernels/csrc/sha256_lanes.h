/* SHA-256 of many messages at once, one a lane. The includer defines
 *   VECTOR  lanes of a vector, 8 or 16
 *   TARGET  the attribute that allows the instructions
 *   lanes   the vector type, of 32-bit words
 *   add, rotate, shift, parity, choose, majority
 *           what FIPS 180-4, 4.1.2 is made of, on vectors; rotate and shift go to the right
 *   columns(w, blocks, at)
 *           sets w[k] to the k-th of the four big-endian words at blocks[l] + at, for l from 0 to VECTOR - 1
 *   store_columns(out, apart, w)
 *           its inverse: lane l of the four goes to the 16 bytes at out + apart * l
 * and gets `compress_lanes` and `finish_lanes`: those of sha256.h for n from 1 to 2 VECTOR. */
#include "sha256.h"

#include <string.h>

/* A round waits for the one before it at every step: two vectors take turns. */
enum { VECTORS = 2, SIDE = VECTORS * VECTOR };

/* FIPS 180-4, 6.2.2, of the first `vectors` vectors; a constant wherever this is inlined. */
TARGET static inline void run(uint32_t state[8][SIDE], const uint8_t *const *blocks, size_t count, int vectors)
{
    lanes w[VECTORS][16], v[VECTORS][8];
    for (size_t at = 0; at < count * SHA256_BLOCK; at += SHA256_BLOCK) {
        for (int j = 0; j < vectors; j++) {
            for (int k = 0; k < 16; k += 4) columns(w[j] + k, blocks + VECTOR * j, at + 4 * k);
            for (int k = 0; k < 8; k++) v[j][k] = *(const lanes *)&state[k][VECTOR * j];
        }
        for (int t = 0; t < 64; t += 16) {
            /* Instead of moving eight variables down by one, round i finds them i places further up in v. */
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
#pragma GCC unroll 2
                for (int j = 0; j < vectors; j++) {
                    lanes *const x = v[j], *const d = &x[(11 - i) & 7], *const last = &x[(15 - i) & 7];
                    const lanes a = x[(8 - i) & 7], b = x[(9 - i) & 7], c = x[(10 - i) & 7];
                    const lanes e = x[(12 - i) & 7], f = x[(13 - i) & 7], g = x[(14 - i) & 7];
                    const lanes input = add(w[j][i], constant(fusion_sha256_k[t + i]));
                    const lanes rest = add(add(*last, input), choose(e, f, g));
                    const lanes t1 = add(rest, parity(rotate(e, 6), rotate(e, 11), rotate(e, 25)));
                    *d = add(*d, t1);
                    *last = add(t1, add(parity(rotate(a, 2), rotate(a, 13), rotate(a, 22)), majority(a, b, c)));
                    if (t == 48) continue;
                    const lanes w1 = w[j][(i + 1) & 15], w14 = w[j][(i + 14) & 15];
                    const lanes s0 = parity(rotate(w1, 7), rotate(w1, 18), shift(w1, 3));
                    const lanes s1 = parity(rotate(w14, 17), rotate(w14, 19), shift(w14, 10));
                    w[j][i] = add(add(w[j][i], s0), add(s1, w[j][(i + 9) & 15]));
                }
            }
        }
        for (int j = 0; j < vectors; j++)
            for (int k = 0; k < 8; k++) {
                lanes *const sum = (lanes *)&state[k][VECTOR * j];
                *sum = add(*sum, v[j][k]);
            }
    }
}

TARGET static void finish_lanes(uint8_t *digests, const uint32_t h[8], const uint8_t *blocks, size_t n)
{
    _Alignas(lanes) uint32_t state[8][SIDE];
    const uint8_t *from[SIDE];
    _Alignas(lanes) uint8_t spare[SIDE * SHA256_BYTES], *const out = n == SIDE ? digests : spare;
    for (size_t l = 0; l < SIDE; l++) from[l] = blocks + SHA256_BLOCK * (l < n ? l : 0);
    for (int k = 0; k < 8; k++)
        for (int j = 0; j < VECTORS; j++) *(lanes *)&state[k][VECTOR * j] = constant(h[k]);
    run(state, from, 1, n > VECTOR ? VECTORS : 1);
    for (int j = 0; j < VECTORS; j++)
        for (int k = 0; k < 8; k += 4) {
            lanes w[4];
            for (int i = 0; i < 4; i++) w[i] = *(const lanes *)&state[k + i][VECTOR * j];
            store_columns(out + SHA256_BYTES * VECTOR * j + 4 * k, SHA256_BYTES, w);
        }
    if (out == spare) memcpy(digests, spare, SHA256_BYTES * n);
}

TARGET static void compress_lanes(uint32_t *const h[], const uint8_t *const blocks[], size_t count, size_t n)
{
    _Alignas(lanes) uint32_t state[8][SIDE];
    const uint8_t *from[SIDE];
    for (size_t l = 0; l < SIDE; l++) {
        /* Lanes to spare do what the first one does. */
        const size_t i = l < n ? l : 0;
        from[l] = blocks[i];
        for (int k = 0; k < 8; k++) state[k][l] = h[i][k];
    }
    if (n > VECTOR)
        run(state, from, count, VECTORS);
    else
        run(state, from, count, 1);
    for (size_t l = 0; l < n; l++)
        for (int k = 0; k < 8; k++) h[l][k] = state[k][l];
}
