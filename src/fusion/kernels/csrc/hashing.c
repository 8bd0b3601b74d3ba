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

/* The state after one block of the key xor `pad`. */
static void absorb_pad(const fusion_sha256 *sha, sha256 *s, const uint8_t key[SHA256_BLOCK], uint8_t pad)
{
    uint8_t block[SHA256_BLOCK];
    const uint8_t *const data[1] = {block};
    const size_t size[1] = {sizeof block};
    for (int k = 0; k < SHA256_BLOCK; k++) block[k] = key[k] ^ pad;
    sha256_init(s);
    sha256_update(sha, s, data, size, 1);
    wipe(block, sizeof block);
    wipe(s->buffer, sizeof s->buffer);
}

void hmac_sha256_init(const fusion_sha256 *sha, hmac_sha256 *mac, const uint8_t *key, size_t key_length)
{
    uint8_t block[SHA256_BLOCK] = {0};
    if (key_length > SHA256_BLOCK) {
        sha256_init(&mac->inner);
        sha256_update(sha, &mac->inner, &key, &key_length, 1);
        sha256_final(sha, &mac->inner, block, 1);
    } else if (key_length) {
        memcpy(block, key, key_length);
    }
    absorb_pad(sha, &mac->inner, block, 0x36);
    absorb_pad(sha, &mac->outer, block, 0x5c);
    wipe(block, sizeof block);
}

void hmac_sha256_finish(const fusion_sha256 *sha, const hmac_sha256 *mac, sha256 *messages, uint8_t *tags, size_t n)
{
    uint8_t digests[SIDE * SHA256_BYTES];
    const uint8_t *data[SIDE];
    size_t sizes[SIDE];
    sha256_final(sha, messages, digests, n);
    for (size_t k = 0; k < n; k++) {
        data[k] = digests + SHA256_BYTES * k;
        sizes[k] = SHA256_BYTES;
        messages[k] = mac->outer;
    }
    sha256_update(sha, messages, data, sizes, n);
    sha256_final(sha, messages, tags, n);
}

/* Last blocks side by side. Most rows have no other, which spares them the way through a message's state. */
typedef struct {
    uint32_t h[SIDE][8];
    uint8_t block[SIDE][SHA256_BLOCK];
    uint32_t *states[SIDE];
    const uint8_t *blocks[SIDE];
} last_blocks;

static void last_init(last_blocks *last)
{
    memset(last->block, 0, sizeof last->block);
    for (size_t k = 0; k < SIDE; k++) {
        last->states[k] = last->h[k];
        last->blocks[k] = last->block[k];
    }
}

/* Closes a block whose first `used` bytes are the last of `length`. */
static inline void last_close(uint8_t block[SHA256_BLOCK], size_t used, uint64_t length)
{
    block[used] = 0x80;
    memset(block + used + 1, 0, SHA256_BLOCK - 8 - used - 1);
    store_be64(block + SHA256_BLOCK - 8, 8 * length);
}

/* Ends n messages that all stood at `h` before their last blocks. */
static inline void last_compress(const fusion_sha256 *sha, last_blocks *last, const uint32_t h[8], size_t n)
{
    for (size_t k = 0; k < n; k++) memcpy(last->h[k], h, sizeof last->h[k]);
    sha->compress(last->states, last->blocks, 1, n);
}

static inline void store_digest(uint8_t *out, const uint32_t h[8])
{
    for (int j = 0; j < 8; j++) store_be32(out + 4 * j, h[j]);
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
        if (size) memcpy(block + 4, data[c] + offsets[c][i], size);
        block += 4 + size;
    }
}

/* HMAC of the messages of rows [i, i + n), which all fit a last block; those of `outer` are closed. */
static void hmac_short(const fusion_sha256 *sha, const hmac_sha256 *mac, last_blocks *inner, last_blocks *outer,
                       uint8_t *out, const int64_t *const *offsets, const uint8_t *const *data, size_t columns, size_t i,
                       const size_t *sizes, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        write_message(inner->block[k], offsets, data, columns, i + k);
        last_close(inner->block[k], sizes[k], SHA256_BLOCK + sizes[k]);
    }
    last_compress(sha, inner, mac->inner.h, n);
    for (size_t k = 0; k < n; k++) store_digest(outer->block[k], inner->h[k]);
    last_compress(sha, outer, mac->outer.h, n);
    for (size_t k = 0; k < n; k++) store_digest(out + SHA256_BYTES * k, outer->h[k]);
}

/* The same, of messages of any length. */
static void hmac_any(const fusion_sha256 *sha, const hmac_sha256 *mac, sha256 s[SIDE], uint8_t *out,
                     const int64_t *const *offsets, const uint8_t *const *data, size_t columns, size_t i, size_t n)
{
    for (size_t k = 0; k < n; k++) s[k] = mac->inner;
    for (size_t c = 0; c < columns; c++) {
        uint8_t prefixes[SIDE][4];
        const uint8_t *prefix[SIDE], *value[SIDE];
        size_t four[SIDE], size[SIDE];
        for (size_t k = 0; k < n; k++) {
            const int64_t *bounds = offsets[c] + i + k;
            size[k] = (size_t)(bounds[1] - bounds[0]);
            value[k] = size[k] ? data[c] + bounds[0] : NULL;
            store_le32(prefixes[k], size[k]);
            prefix[k] = prefixes[k];
            four[k] = 4;
        }
        sha256_update(sha, s, prefix, four, n);
        sha256_update(sha, s, value, size, n);
    }
    hmac_sha256_finish(sha, mac, s, out, n);
}

void fusion_hmac_sha256_columns(const fusion_sha256 *sha, uint8_t *out, const uint8_t *key, size_t key_length,
                                const int64_t *const *offsets, const uint8_t *const *data, size_t columns, size_t start,
                                size_t n)
{
    hmac_sha256 mac;
    sha256 s[SIDE];
    last_blocks inner, outer;
    last_init(&inner);
    last_init(&outer);
    for (size_t k = 0; k < SIDE; k++) last_close(outer.block[k], SHA256_BYTES, SHA256_BLOCK + SHA256_BYTES);
    hmac_sha256_init(sha, &mac, key, key_length);
    for (size_t i = start; i < start + n; i += SIDE, out += SHA256_BYTES * SIDE) {
        const size_t side = smaller(start + n - i, SIDE);
        size_t sizes[SIDE], longest = 0;
        for (size_t k = 0; k < side; k++) {
            sizes[k] = message_size(offsets, columns, i + k);
            if (sizes[k] > longest) longest = sizes[k];
        }
        if (longest <= LAST)
            hmac_short(sha, &mac, &inner, &outer, out, offsets, data, columns, i, sizes, side);
        else
            hmac_any(sha, &mac, s, out, offsets, data, columns, i, side);
    }
    wipe(&mac, sizeof mac);
    wipe(s, sizeof s);
    wipe(&inner, sizeof inner);
    wipe(&outer, sizeof outer);
}

void fusion_sha256_rows(const fusion_sha256 *sha, uint8_t *out, size_t out_width, const uint8_t *prefix,
                        size_t prefix_length, const uint8_t *rows, size_t width, size_t n)
{
    sha256 prefixed, s[SIDE];
    sha256_init(&prefixed);
    sha256_update(sha, &prefixed, &prefix, &prefix_length, 1);
    const size_t used = prefix_length % SHA256_BLOCK;
    if (width <= LAST - smaller(used, LAST) && used <= LAST) {
        last_blocks last;
        last_init(&last);
        for (size_t k = 0; k < SIDE; k++) {
            memcpy(last.block[k], prefixed.buffer, used);
            last_close(last.block[k], used + width, prefix_length + width);
        }
        for (size_t i = 0; i < n; i += SIDE) {
            const size_t side = smaller(n - i, SIDE);
            for (size_t k = 0; k < side && width; k++) memcpy(last.block[k] + used, rows + width * (i + k), width);
            last_compress(sha, &last, prefixed.h, side);
            for (size_t k = 0; k < side; k++) {
                uint8_t digest[SHA256_BYTES], *const at = out + out_width * (i + k);
                store_digest(out_width == SHA256_BYTES ? at : digest, last.h[k]);
                if (out_width < SHA256_BYTES) memcpy(at, digest, out_width);
            }
        }
        wipe(&last, sizeof last);
        return;
    }
    for (size_t i = 0; i < n; i += SIDE) {
        const size_t side = smaller(n - i, SIDE);
        uint8_t digests[SIDE * SHA256_BYTES];
        const uint8_t *data[SIDE];
        size_t sizes[SIDE];
        for (size_t k = 0; k < side; k++) {
            s[k] = prefixed;
            data[k] = rows + width * (i + k);
            sizes[k] = width;
        }
        sha256_update(sha, s, data, sizes, side);
        sha256_final(sha, s, digests, side);
        for (size_t k = 0; k < side; k++) memcpy(out + out_width * (i + k), digests + SHA256_BYTES * k, out_width);
    }
}
