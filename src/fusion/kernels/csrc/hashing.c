#include "hashing.h"

#include "big_endian.h"
#include "constant_time.h"

enum { SIDE = SHA256_SIDE, LANES = SHA512_LANES };
/* The most bytes of a last block that leave room for its end: a set bit and the length of all. */
enum { LAST = SHA256_BLOCK - 9 };

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void fusion_expand_message_xmd(const fusion_sha512 *sha, uint8_t *out, size_t length, const uint8_t *rows, size_t width,
                               const uint8_t *dst, size_t dst_length, size_t n)
{
    static const uint8_t Z_PAD[SHA512_BLOCK];
    /* What follows a row in b_0: the length, a zero, DST_prime. What follows in b_i: i and DST_prime. */
    uint8_t end[2 + 1 + 255 + 1] = {(uint8_t)(length >> 8), (uint8_t)length};
    uint8_t *const index = end + 2;
    memcpy(index + 1, dst, dst_length);
    index[1 + dst_length] = (uint8_t)dst_length;
    sha512 padded;
    sha512_init(&padded, smaller(n, LANES));
    sha512_update(sha, &padded, Z_PAD, 0, sizeof Z_PAD);
    for (size_t i = 0; i < n; i += LANES) {
        const size_t lanes = smaller(n - i, LANES);
        uint8_t first[LANES * SHA512_BYTES], block[LANES * SHA512_BYTES] = {0};
        sha512 s = padded;
        s.n = lanes;
        *index = 0;
        sha512_update(sha, &s, rows + width * i, width, width);
        sha512_update(sha, &s, end, 0, 2 + 1 + dst_length + 1);
        sha512_final(sha, &s, first);
        for (size_t done = 0; done < length; done += SHA512_BYTES) {
            size_t take = smaller(length - done, SHA512_BYTES);
            for (size_t k = 0; k < lanes * SHA512_BYTES; k++) block[k] ^= first[k];
            ++*index;
            sha512_init(&s, lanes);
            sha512_update(sha, &s, block, SHA512_BYTES, SHA512_BYTES);
            sha512_update(sha, &s, index, 0, 1 + dst_length + 1);
            sha512_final(sha, &s, block);
            for (size_t k = 0; k < lanes; k++) memcpy(out + length * (i + k) + done, block + SHA512_BYTES * k, take);
        }
    }
}

/* Messages that begin alike: the state after the whole blocks of what they share, and last blocks side by side. Most
 * rows end in the first block after it, which spares them the way through a message's state. */
typedef struct {
    sha256 prefixed;
    size_t used; /* bytes of the prefix in each last block */
    uint8_t blocks[SIDE][SHA256_BLOCK];
} shared_prefix;

static void prefix_init(const fusion_sha256 *sha, shared_prefix *s, const uint8_t *prefix, size_t length)
{
    memset(s->blocks, 0, sizeof s->blocks);
    sha256_init(&s->prefixed);
    sha256_update(sha, &s->prefixed, &prefix, &length, 1);
    s->used = length % SHA256_BLOCK;
    for (size_t k = 0; k < SIDE; k++) memcpy(s->blocks[k], s->prefixed.buffer, s->used);
}

/* Whether `size` bytes after the prefix end in the first block. */
static inline int fits(const shared_prefix *s, size_t size) { return size <= LAST && s->used + size <= LAST; }

/* Ends message k, whose `size` bytes after the prefix are in place, before zeros. */
static inline void close_block(shared_prefix *s, size_t k, size_t size)
{
    s->blocks[k][s->used + size] = 0x80;
    store_be64(s->blocks[k] + SHA256_BLOCK - 8, 8 * (s->prefixed.length + size));
}

/* memcpy of at most a block, without the call. */
static inline void copy(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n >= 16) {
        uint8_t first[16], second[16], third[16], last[16];
        const size_t middle = n > 32 ? 16 : 0, fourth = n - 16, before = n > 32 ? n - 32 : 0;
        memcpy(first, from, 16), memcpy(second, from + middle, 16);
        memcpy(third, from + before, 16), memcpy(last, from + fourth, 16);
        memcpy(to, first, 16), memcpy(to + middle, second, 16);
        memcpy(to + before, third, 16), memcpy(to + fourth, last, 16);
    } else if (n >= 8) {
        uint8_t first[8], last[8];
        memcpy(first, from, 8), memcpy(last, from + n - 8, 8);
        memcpy(to, first, 8), memcpy(to + n - 8, last, 8);
    } else {
        for (size_t i = 0; i < n; i++) to[i] = from[i];
    }
}

/* Bytes of the message of row i, or more than LAST if they do not fit a last block. */
static inline size_t message_size(const int64_t *const *offsets, size_t columns, size_t i)
{
    size_t size = 0;
    for (size_t c = 0; c < columns && size <= LAST; c++) {
        size_t value = (size_t)(offsets[c][i + 1] - offsets[c][i]);
        size += 4 + smaller(value, LAST);
    }
    return size;
}

static inline void store_le32(uint8_t *p, size_t x)
{
    for (int j = 0; j < 4; j++) p[j] = (uint8_t)((uint64_t)x >> (8 * j));
}

/* The message of row i, which fits. */
static inline void write_message(uint8_t *block, const int64_t *const *offsets, const uint8_t *const *data,
                                 size_t columns, size_t i)
{
    for (size_t c = 0; c < columns; c++) {
        size_t size = (size_t)(offsets[c][i + 1] - offsets[c][i]);
        store_le32(block, size);
        if (size) copy(block + 4, data[c] + offsets[c][i], size);
        block += 4 + size;
    }
}

/* Rows [i, i + n), whose messages may be of any length. */
static void hash_any(const fusion_sha256 *sha, const shared_prefix *prefix, sha256 s[SIDE], uint8_t *out,
                     const int64_t *const *offsets, const uint8_t *const *data, size_t columns, size_t i, size_t n)
{
    for (size_t k = 0; k < n; k++) s[k] = prefix->prefixed;
    for (size_t c = 0; c < columns; c++) {
        uint8_t lengths[SIDE][4];
        const uint8_t *length[SIDE], *value[SIDE];
        size_t four[SIDE], size[SIDE];
        for (size_t k = 0; k < n; k++) {
            const int64_t *bounds = offsets[c] + i + k;
            size[k] = (size_t)(bounds[1] - bounds[0]);
            value[k] = size[k] ? data[c] + bounds[0] : NULL;
            store_le32(lengths[k], size[k]);
            length[k] = lengths[k];
            four[k] = 4;
        }
        sha256_update(sha, s, length, four, n);
        sha256_update(sha, s, value, size, n);
    }
    sha256_final(sha, s, out, n);
}

void fusion_sha256_columns(const fusion_sha256 *sha, uint8_t *out, const uint8_t *prefix, size_t prefix_length,
                           const int64_t *const *offsets, const uint8_t *const *data, size_t columns, size_t start,
                           size_t n)
{
    sha256 s[SIDE];
    shared_prefix shared;
    prefix_init(sha, &shared, prefix, prefix_length);
    for (size_t i = start; i < start + n; i += SIDE, out += SHA256_BYTES * SIDE) {
        const size_t side = smaller(start + n - i, SIDE);
        size_t sizes[SIDE], longest = 0;
        for (size_t k = 0; k < side; k++) {
            sizes[k] = message_size(offsets, columns, i + k);
            if (sizes[k] > longest) longest = sizes[k];
        }
        if (!fits(&shared, longest)) {
            hash_any(sha, &shared, s, out, offsets, data, columns, i, side);
            continue;
        }
        for (size_t k = 0; k < side; k++) {
            memset(shared.blocks[k] + shared.used, 0, SHA256_BLOCK - shared.used);
            write_message(shared.blocks[k] + shared.used, offsets, data, columns, i + k);
            close_block(&shared, k, sizes[k]);
        }
        sha->finish(out, shared.prefixed.h, shared.blocks[0], side);
    }
    wipe(s, sizeof s);
    wipe(&shared, sizeof shared);
}

void fusion_sha256_rows(const fusion_sha256 *sha, uint8_t *out, size_t out_width, const uint8_t *prefix,
                        size_t prefix_length, const uint8_t *rows, size_t width, size_t n)
{
    sha256 s[SIDE];
    shared_prefix shared;
    prefix_init(sha, &shared, prefix, prefix_length);
    const int short_rows = fits(&shared, width);
    for (size_t k = 0; k < SIDE && short_rows; k++) close_block(&shared, k, width);
    for (size_t i = 0; i < n; i += SIDE) {
        const size_t side = smaller(n - i, SIDE);
        uint8_t room[SIDE * SHA256_BYTES], *const digests = out_width == SHA256_BYTES ? out + out_width * i : room;
        if (short_rows) {
            for (size_t k = 0; k < side && width; k++) copy(shared.blocks[k] + shared.used, rows + width * (i + k), width);
            sha->finish(digests, shared.prefixed.h, shared.blocks[0], side);
        } else {
            const uint8_t *data[SIDE];
            size_t sizes[SIDE];
            for (size_t k = 0; k < side; k++) {
                s[k] = shared.prefixed;
                data[k] = rows + width * (i + k);
                sizes[k] = width;
            }
            sha256_update(sha, s, data, sizes, side);
            sha256_final(sha, s, digests, side);
        }
        for (size_t k = 0; k < side && digests == room; k++)
            copy(out + out_width * (i + k), room + SHA256_BYTES * k, out_width);
    }
    wipe(s, sizeof s);
    wipe(&shared, sizeof shared);
}
