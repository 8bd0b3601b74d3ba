/* libsodium over arrays: each function calls it once a row, so that what is measured is libsodium and not the caller.
 *
 * Rows stand one after the other. Where a prefix is the same for all rows, its hash state is computed once and copied.
 * Functions that can meet an invalid encoding return the number of rows that were. */
#include <string.h>

#include <sodium.h>

#define EXPORT __attribute__((visibility("default")))

enum { ENCODING = crypto_core_ristretto255_BYTES, SCALAR = crypto_core_ristretto255_SCALARBYTES, UNIFORM = 64 };

EXPORT int loops_start(void)
{
    return sodium_init();
}

EXPORT const char *loops_version(void)
{
    return sodium_version_string();
}

EXPORT size_t loops_multiply(unsigned char *out, const unsigned char *points, const unsigned char *scalar, size_t n)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad += crypto_scalarmult_ristretto255(out + i * ENCODING, scalar, points + i * ENCODING) != 0;
    return bad;
}

EXPORT size_t loops_multiply_base(unsigned char *out, const unsigned char *scalars, size_t n)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad += crypto_scalarmult_ristretto255_base(out + i * ENCODING, scalars + i * SCALAR) != 0;
    return bad;
}

EXPORT size_t loops_from_uniform(unsigned char *out, const unsigned char *uniform, size_t n)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad += crypto_core_ristretto255_from_hash(out + i * ENCODING, uniform + i * UNIFORM) != 0;
    return bad;
}

EXPORT size_t loops_decode(const unsigned char *encodings, size_t n)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad += crypto_core_ristretto255_is_valid_point(encodings + i * ENCODING) != 1;
    return bad;
}

EXPORT size_t loops_add(unsigned char *out, const unsigned char *p, const unsigned char *q, size_t n)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad += crypto_core_ristretto255_add(out + i * ENCODING, p + i * ENCODING, q + i * ENCODING) != 0;
    return bad;
}

/* RFC 9380, 5.3.1 with SHA-512 and 64 bytes out: two hashes a row. */
EXPORT void loops_expand(unsigned char *out, const unsigned char *rows, size_t width, const unsigned char *dst,
                         size_t dst_length, size_t n)
{
    static const unsigned char zero_block[128];
    static const unsigned char length_and_zero[3] = {0, UNIFORM, 0};
    static const unsigned char one = 1;
    const unsigned char dst_size = (unsigned char) dst_length;
    crypto_hash_sha512_state padded, state;
    unsigned char first[crypto_hash_sha512_BYTES];

    crypto_hash_sha512_init(&padded);
    crypto_hash_sha512_update(&padded, zero_block, sizeof zero_block);
    for (size_t i = 0; i < n; i++) {
        memcpy(&state, &padded, sizeof state);
        crypto_hash_sha512_update(&state, rows + i * width, width);
        crypto_hash_sha512_update(&state, length_and_zero, sizeof length_and_zero);
        crypto_hash_sha512_update(&state, dst, dst_length);
        crypto_hash_sha512_update(&state, &dst_size, 1);
        crypto_hash_sha512_final(&state, first);

        crypto_hash_sha512_init(&state);
        crypto_hash_sha512_update(&state, first, sizeof first);
        crypto_hash_sha512_update(&state, &one, 1);
        crypto_hash_sha512_update(&state, dst, dst_length);
        crypto_hash_sha512_update(&state, &dst_size, 1);
        crypto_hash_sha512_final(&state, out + i * UNIFORM);
    }
}

EXPORT void loops_hash_to_group(unsigned char *out, const unsigned char *rows, size_t width, const unsigned char *dst,
                                size_t dst_length, size_t n)
{
    unsigned char uniform[UNIFORM];
    for (size_t i = 0; i < n; i++) {
        loops_expand(uniform, rows + i * width, width, dst, dst_length, 1);
        crypto_core_ristretto255_from_hash(out + i * ENCODING, uniform);
    }
}

EXPORT void loops_sha256(unsigned char *out, const unsigned char *prefix, size_t prefix_length,
                         const unsigned char *rows, size_t width, size_t n)
{
    crypto_hash_sha256_state prefixed, state;

    crypto_hash_sha256_init(&prefixed);
    crypto_hash_sha256_update(&prefixed, prefix, prefix_length);
    for (size_t i = 0; i < n; i++) {
        memcpy(&state, &prefixed, sizeof state);
        crypto_hash_sha256_update(&state, rows + i * width, width);
        crypto_hash_sha256_final(&state, out + i * crypto_hash_sha256_BYTES);
    }
}
