#include "hashing.h"

#include "constant_time.h"
#include "sha256.h"
#include "sha512.h"

void fusion_expand_message_xmd(uint8_t *out, size_t length, const uint8_t *rows, size_t width, const uint8_t *dst,
                               size_t dst_length, size_t n)
{
    static const uint8_t Z_PAD[SHA512_BLOCK];
    const uint8_t length_and_zero[3] = {(uint8_t)(length >> 8), (uint8_t)length, 0};
    const uint8_t dst_end = (uint8_t)dst_length;
    sha512 padded;
    sha512_init(&padded);
    sha512_update(&padded, Z_PAD, sizeof Z_PAD);
    for (size_t i = 0; i < n; i++) {
        uint8_t first[SHA512_BYTES], block[SHA512_BYTES] = {0};
        sha512 s = padded;
        sha512_update(&s, rows + width * i, width);
        sha512_update(&s, length_and_zero, sizeof length_and_zero);
        sha512_update(&s, dst, dst_length);
        sha512_update(&s, &dst_end, 1);
        sha512_final(&s, first);
        uint8_t index = 1;
        for (size_t done = 0; done < length; done += SHA512_BYTES, index++) {
            size_t take = length - done < SHA512_BYTES ? length - done : SHA512_BYTES;
            for (int k = 0; k < SHA512_BYTES; k++) block[k] ^= first[k];
            sha512_init(&s);
            sha512_update(&s, block, SHA512_BYTES);
            sha512_update(&s, &index, 1);
            sha512_update(&s, dst, dst_length);
            sha512_update(&s, &dst_end, 1);
            sha512_final(&s, block);
            memcpy(out + length * i + done, block, take);
        }
    }
}

/* The state after one block of the key xor `pad`. */
static void absorb_pad(sha256 *s, const uint8_t key[SHA256_BLOCK], uint8_t pad)
{
    uint8_t block[SHA256_BLOCK];
    for (int k = 0; k < SHA256_BLOCK; k++) block[k] = key[k] ^ pad;
    sha256_init(s);
    sha256_update(s, block, sizeof block);
    wipe(block, sizeof block);
    wipe(s->buffer, sizeof s->buffer);
}

void hmac_sha256_init(hmac_sha256 *mac, const uint8_t *key, size_t key_length)
{
    uint8_t block[SHA256_BLOCK] = {0};
    if (key_length > SHA256_BLOCK) {
        sha256_init(&mac->inner);
        sha256_update(&mac->inner, key, key_length);
        sha256_final(&mac->inner, block);
    } else if (key_length) {
        memcpy(block, key, key_length);
    }
    absorb_pad(&mac->inner, block, 0x36);
    absorb_pad(&mac->outer, block, 0x5c);
    wipe(block, sizeof block);
}

void hmac_sha256_finish(const hmac_sha256 *mac, sha256 *message, uint8_t tag[SHA256_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    sha256_final(message, digest);
    *message = mac->outer;
    sha256_update(message, digest, sizeof digest);
    sha256_final(message, tag);
}

void fusion_hmac_sha256_columns(uint8_t *out, const uint8_t *key, size_t key_length, const int64_t *const *offsets,
                                const uint8_t *const *data, size_t columns, size_t start, size_t n)
{
    hmac_sha256 mac;
    sha256 s;
    hmac_sha256_init(&mac, key, key_length);
    for (size_t i = start; i < start + n; i++, out += SHA256_BYTES) {
        s = mac.inner;
        for (size_t c = 0; c < columns; c++) {
            uint64_t size = (uint64_t)(offsets[c][i + 1] - offsets[c][i]);
            const uint8_t prefix[4] = {(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16),
                                       (uint8_t)(size >> 24)};
            sha256_update(&s, prefix, sizeof prefix);
            if (size) sha256_update(&s, data[c] + offsets[c][i], (size_t)size);
        }
        hmac_sha256_finish(&mac, &s, out);
    }
    wipe(&mac, sizeof mac);
    wipe(&s, sizeof s);
}

void fusion_sha256_rows(uint8_t *out, size_t out_width, const uint8_t *prefix, size_t prefix_length,
                        const uint8_t *rows, size_t width, size_t n)
{
    sha256 prefixed;
    sha256_init(&prefixed);
    sha256_update(&prefixed, prefix, prefix_length);
    for (size_t i = 0; i < n; i++) {
        uint8_t digest[SHA256_BYTES];
        sha256 s = prefixed;
        sha256_update(&s, rows + width * i, width);
        sha256_final(&s, digest);
        memcpy(out + out_width * i, digest, out_width);
    }
}
