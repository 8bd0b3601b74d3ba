/* Hashes of many rows. Rows are independent; the caller splits them among threads. No row allocates. `sha` is the
 * variant to use. */
#ifndef FUSION_HASHING_H
#define FUSION_HASHING_H

#include "sha256.h"
#include "sha512.h"

/* RFC 9380, 5.3.1 with SHA-512: each row of `width` bytes -> `length` bytes. dst_length <= 255, and length at most
 * 255 * 64; the caller checks both. */
void fusion_expand_message_xmd(const fusion_sha512 *sha, uint8_t *out, size_t length, const uint8_t *rows, size_t width,
                               const uint8_t *dst, size_t dst_length, size_t n);

/* SHA-256 of prefix || message, for rows [start, start + n) of a table of Arrow string columns -> 32 bytes a row,
 * written from the start of `out`. The message is, column by column, the value's length as 4 bytes little-endian, then
 * the value. Column c's value i is data[c][offsets[c][i]] up to data[c][offsets[c][i + 1]]; the caller checks that the
 * offsets ascend within the data and that no value reaches 2^32 bytes. */
void fusion_sha256_columns(const fusion_sha256 *sha, uint8_t *out, const uint8_t *prefix, size_t prefix_length,
                           const int64_t *const *offsets, const uint8_t *const *data, size_t columns, size_t start,
                           size_t n);

/* SHA-256 of prefix || row, its first `out_width` <= 32 bytes. */
void fusion_sha256_rows(const fusion_sha256 *sha, uint8_t *out, size_t out_width, const uint8_t *prefix,
                        size_t prefix_length, const uint8_t *rows, size_t width, size_t n);

#endif
