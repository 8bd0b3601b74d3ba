/* AES-128 without tables: bits are sliced, so that each byte of a round is computed by the same logic at the same time.
 *
 * Eight blocks make eight planes, plane b holding bit b of all their bytes. A plane is two 64-bit words of four blocks
 * each; in a word, bit 16 r + 4 c + k belongs to row r and column c of the state of block k. Hence a column step is a
 * rotation of the words by 16, and a row step one of each 16-bit field by 4.
 */
#include "aes.h"

#include "constant_time.h"
#include "cpu.h"

#include <string.h>

enum { ROUNDS = 10, BATCH = 8, WORDS = 2 };

typedef uint64_t plane __attribute__((vector_size(8 * WORDS)));

/* ---- The S-box: inversion in GF(2^8) by a tower of quadratic extensions, then an affine map.
 *
 * GF(4) = GF(2)[w] / (w^2 + w + 1), GF(16) = GF(4)[z] / (z^2 + z + w), GF(256) = GF(16)[y] / (y^2 + y + v) with
 * v = w z + 1. In each extension t^2 + t + c, the inverse of h t + l is (h t + h + l) / (c h^2 + h l + l^2). */

typedef struct {
    plane h, l;
} gf4;

typedef struct {
    gf4 h, l;
} gf16;

static inline gf4 gf4_add(gf4 a, gf4 b) { return (gf4){a.h ^ b.h, a.l ^ b.l}; }
/* Squaring is inversion here. */
static inline gf4 gf4_square(gf4 a) { return (gf4){a.h, a.h ^ a.l}; }
static inline gf4 gf4_times_w(gf4 a) { return (gf4){a.h ^ a.l, a.h}; }

static inline gf4 gf4_multiply(gf4 a, gf4 b)
{
    plane low = a.l & b.l;
    return (gf4){((a.h ^ a.l) & (b.h ^ b.l)) ^ low, low ^ (a.h & b.h)};
}

static inline gf16 gf16_add(gf16 a, gf16 b) { return (gf16){gf4_add(a.h, b.h), gf4_add(a.l, b.l)}; }

static inline gf16 gf16_multiply(gf16 a, gf16 b)
{
    gf4 low = gf4_multiply(a.l, b.l);
    return (gf16){gf4_add(gf4_multiply(gf4_add(a.h, a.l), gf4_add(b.h, b.l)), low),
                  gf4_add(low, gf4_times_w(gf4_multiply(a.h, b.h)))};
}

static inline gf16 gf16_square(gf16 a)
{
    gf4 high = gf4_square(a.h);
    return (gf16){high, gf4_add(gf4_square(a.l), gf4_times_w(high))};
}

static inline gf16 gf16_times_v(gf16 a)
{
    gf4 high = gf4_add(gf4_times_w(a.h), a.h);
    return (gf16){gf4_add(high, gf4_times_w(a.l)), gf4_add(high, a.l)};
}

static inline gf16 gf16_invert(gf16 a)
{
    gf4 norm = gf4_add(gf4_times_w(gf4_square(a.h)), gf4_multiply(a.l, gf4_add(a.h, a.l)));
    gf4 inverse = gf4_square(norm);
    return (gf16){gf4_multiply(a.h, inverse), gf4_multiply(gf4_add(a.h, a.l), inverse)};
}

/* The two linear maps send x of GF(2)[x] / (x^8 + x^4 + x^3 + x + 1) to 0x6d of the tower, and back followed by the
 * affine map's matrix (FIPS 197 5.1.1). Of all such pairs this one takes the fewest additions, shared greedily. */
static inline void sub_bytes(plane s[8])
{
    plane a = s[4] ^ s[6], b = s[1] ^ s[2], c = s[3] ^ a, d = s[5] ^ b, e = s[1] ^ a, f = s[7] ^ c, g = s[0] ^ e;
    gf16 high = {{s[5] ^ s[7], c ^ d}, {s[7] ^ e, s[2] ^ f}}, low = {{s[6] ^ d, d}, {f, g}};

    gf16 sum = gf16_add(high, low);
    gf16 norm = gf16_add(gf16_times_v(gf16_square(high)), gf16_multiply(low, sum));
    gf16 inverse = gf16_invert(norm);
    high = gf16_multiply(high, inverse);
    low = gf16_multiply(sum, inverse);

    plane t0 = low.l.l, t1 = low.l.h, t2 = low.h.l, t3 = low.h.h;
    plane t4 = high.l.l, t5 = high.l.h, t6 = high.h.l, t7 = high.h.h;
    plane m = t2 ^ t6, n = t0 ^ t3, o = t5 ^ n, p = t7 ^ m, q = t0 ^ t4, r = t1 ^ o, u = t3 ^ m;
    s[0] = ~(t6 ^ q);
    s[1] = ~(t4 ^ r);
    s[2] = p ^ r;
    s[3] = q;
    s[4] = o ^ p;
    s[5] = ~u;
    s[6] = ~(t4 ^ t7);
    s[7] = p;
}

/* ---- The linear steps. */

static inline void shift_rows(plane s[8])
{
    for (int b = 0; b < 8; b++) {
        plane x = s[b];
        s[b] = (x & 0x000000000000ffff) | ((x >> 4) & 0x000000000fff0000) | ((x << 12) & 0x00000000f0000000) |
               ((x >> 8) & 0x000000ff00000000) | ((x << 8) & 0x0000ff0000000000) | ((x >> 12) & 0x000f000000000000) |
               ((x << 4) & 0xfff0000000000000);
    }
}

/* Byte i of a column becomes 2 (a_i + a_{i+1}) + a_{i+1} + a_{i+2} + a_{i+3}. */
static inline void mix_columns(plane s[8])
{
    plane next[8], pair[8];
    for (int b = 0; b < 8; b++) {
        next[b] = (s[b] >> 16) | (s[b] << 48);
        pair[b] = s[b] ^ next[b];
    }
    for (int b = 0; b < 8; b++) {
        plane doubled = b ? pair[b - 1] : pair[7];
        if (b == 1 || b == 3 || b == 4) doubled ^= pair[7];
        s[b] = doubled ^ next[b] ^ ((pair[b] >> 32) | (pair[b] << 32));
    }
}

static inline void add_round_key(plane s[8], const plane key[8])
{
    for (int b = 0; b < 8; b++) s[b] ^= key[b];
}

/* ---- Blocks to planes and back. */

static inline uint64_t spread(uint64_t x)
{
    x = (x | x << 16) & 0x0000ffff0000ffff;
    return (x | x << 8) & 0x00ff00ff00ff00ff;
}

static inline uint64_t gather(uint64_t x)
{
    x &= 0x00ff00ff00ff00ff;
    x = (x | x >> 8) & 0x0000ffff0000ffff;
    return (x | x >> 16) & 0x00000000ffffffff;
}

/* Swaps bit i of byte j of word b with bit b of byte j of word i: its own inverse. */
static inline void transpose(plane s[8])
{
    static const uint64_t LOW[3] = {0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f};
    for (int level = 0; level < 3; level++) {
        int step = 1 << level;
        for (int b = 0; b < 8; b++) {
            if (b & step) continue;
            plane swap = ((s[b] >> step) ^ s[b + step]) & LOW[level];
            s[b + step] ^= swap;
            s[b] ^= swap << step;
        }
    }
}

/* Words are made of bytes by shifts, so that the machine's byte order does not matter. */
static inline uint64_t load32(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static inline void store32(uint8_t *p, uint64_t x)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(x >> 8 * i);
}

static inline void slice(plane s[8], const uint8_t in[AES_BLOCK * BATCH])
{
    for (int w = 0; w < WORDS; w++)
        for (int k = 0; k < 4; k++, in += AES_BLOCK) {
            s[k][w] = spread(load32(in)) | spread(load32(in + 8)) << 8;
            s[4 + k][w] = spread(load32(in + 4)) | spread(load32(in + 12)) << 8;
        }
    transpose(s);
}

static inline void unslice(uint8_t out[AES_BLOCK * BATCH], plane s[8])
{
    transpose(s);
    for (int w = 0; w < WORDS; w++)
        for (int k = 0; k < 4; k++, out += AES_BLOCK) {
            store32(out, gather(s[k][w]));
            store32(out + 4, gather(s[4 + k][w]));
            store32(out + 8, gather(s[k][w] >> 8));
            store32(out + 12, gather(s[4 + k][w] >> 8));
        }
}

/* ---- Arrays. */

static void slice_keys(plane keys[ROUNDS + 1][8], const uint8_t *round_keys)
{
    uint8_t copies[AES_BLOCK * BATCH];
    for (int r = 0; r <= ROUNDS; r++) {
        for (int k = 0; k < BATCH; k++) memcpy(copies + AES_BLOCK * k, round_keys + AES_BLOCK * r, AES_BLOCK);
        slice(keys[r], copies);
    }
    wipe(copies, sizeof copies);
}

static void encrypt_batch(uint8_t out[AES_BLOCK * BATCH], const uint8_t in[AES_BLOCK * BATCH],
                          const plane keys[ROUNDS + 1][8])
{
    plane s[8];
    slice(s, in);
    add_round_key(s, keys[0]);
    for (int r = 1; r < ROUNDS; r++) {
        sub_bytes(s);
        shift_rows(s);
        mix_columns(s);
        add_round_key(s, keys[r]);
    }
    sub_bytes(s);
    shift_rows(s);
    add_round_key(s, keys[ROUNDS]);
    unslice(out, s);
    wipe(s, sizeof s);
}

static inline void each_batch(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n, int feed_forward)
{
    plane keys[ROUNDS + 1][8];
    uint8_t x[AES_BLOCK * BATCH] = {0}, y[AES_BLOCK * BATCH];
    slice_keys(keys, round_keys);
    for (size_t i = 0; i < n; i += BATCH) {
        size_t bytes = AES_BLOCK * (n - i < BATCH ? n - i : BATCH);
        memcpy(x, in + AES_BLOCK * i, bytes);
        encrypt_batch(y, x, keys);
        if (feed_forward)
            for (size_t j = 0; j < sizeof y; j++) y[j] ^= x[j];
        memcpy(out + AES_BLOCK * i, y, bytes);
    }
    wipe(keys, sizeof keys);
    wipe(x, sizeof x);
    wipe(y, sizeof y);
}

static void encrypt(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n)
{
    each_batch(out, in, round_keys, n, 0);
}

static void compress(uint8_t *out, const uint8_t *in, const uint8_t *round_keys, size_t n)
{
    each_batch(out, in, round_keys, n, 1);
}

const fusion_aes fusion_aes_portable = {"portable", encrypt, compress};

/* The last column of a round key, substituted: the S-box on the first four bytes of one block. */
static void sub_word(uint8_t word[4])
{
    uint8_t blocks[AES_BLOCK * BATCH] = {0};
    plane s[8];
    memcpy(blocks, word, 4);
    slice(s, blocks);
    sub_bytes(s);
    unslice(blocks, s);
    memcpy(word, blocks, 4);
    wipe(blocks, sizeof blocks);
    wipe(s, sizeof s);
}

void fusion_aes128_expand(uint8_t round_keys[AES128_ROUND_KEYS], const uint8_t key[AES128_KEY])
{
    static const uint8_t ROUND_CONSTANT[ROUNDS] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36};
    memcpy(round_keys, key, AES128_KEY);
    for (int r = 0; r < ROUNDS; r++, round_keys += AES_BLOCK) {
        uint8_t word[4] = {round_keys[13], round_keys[14], round_keys[15], round_keys[12]};
        sub_word(word);
        word[0] ^= ROUND_CONSTANT[r];
        for (int i = 0; i < AES_BLOCK; i++) {
            uint8_t previous = i < 4 ? word[i] : round_keys[AES_BLOCK + i - 4];
            round_keys[AES_BLOCK + i] = round_keys[i] ^ previous;
        }
        wipe(word, sizeof word);
    }
}

const fusion_aes *fusion_aes_variant(int i)
{
#if FUSION_X86
    if (fusion_cpu_has_vaes() && i-- == 0) return &fusion_aes_vaes;
    if (fusion_cpu_has_aesni() && i-- == 0) return &fusion_aes_aesni;
#endif
    return i == 0 ? &fusion_aes_portable : NULL;
}
