/* Ristretto255 over arrays: the table of operations that every variant fills in.
 *
 * A point travels between operations as 128 bytes: X, Y, Z, T of its extended coordinates (x = X/Z, y = Y/Z,
 * xy = T/Z), each canonical little-endian in 32 bytes. Two variants may hold different representatives of one
 * element; they must agree byte for byte on every encoding.
 *
 * Rows are independent; the caller splits [0, n) among threads. Time and memory access depend on n only, never on
 * points or scalars; `decode` reveals through `valid` alone which rows were valid.
 */
#ifndef FUSION_RISTRETTO_H
#define FUSION_RISTRETTO_H

#include <stddef.h>
#include <stdint.h>

#define FUSION_POINT_BYTES 128

typedef struct {
    const char *name;
    /* RFC 9496 4.3.4: 64 uniform bytes a row -> point. */
    void (*from_uniform)(uint8_t *points, const uint8_t *uniform, size_t n);
    /* RFC 9496 4.3.1: 32 bytes a row -> point, valid[i] = 1; an invalid row gives the identity and valid[i] = 0.
     * The identity's own encoding (32 zero bytes) is valid here; callers that must refuse it do so. */
    void (*decode)(uint8_t *points, uint8_t *valid, const uint8_t *encodings, size_t n);
    /* RFC 9496 4.3.2. */
    void (*encode)(uint8_t *encodings, const uint8_t *points, size_t n);
    /* One scalar (32 bytes little-endian, below the group order) times n points. */
    void (*multiply)(uint8_t *out, const uint8_t *points, const uint8_t scalar[32], size_t n);
    /* The encodings of the same products; one field inversion serves a whole block of rows. */
    void (*multiply_encode)(uint8_t *encodings, const uint8_t *points, const uint8_t scalar[32], size_t n);
    /* n scalars (32 bytes each, below the order) times the generator. */
    void (*multiply_base)(uint8_t *out, const uint8_t *scalars, size_t n);
    void (*add)(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t n);
} fusion_ristretto;

extern const fusion_ristretto fusion_ristretto_portable;

#endif
