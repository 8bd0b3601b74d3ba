#include "okvs.h"

#include <string.h>

/* Rows of a batch are hashed together. A batch of a decoding fits the second-level cache; one of an encoding the first. */
enum { RING = OKVS_WORDS + 1, DECODE_BATCH = 8192, ENCODE_BATCH = 128 };

typedef uint64_t value __attribute__((vector_size(OKVS_VALUE), aligned(1), may_alias));
typedef uint64_t aligned_value __attribute__((vector_size(OKVS_VALUE), may_alias));

/* The ring of words of one equation. */
typedef union {
    uint32_t word[RING];
    aligned_value part[4];
} equation;

/* Sums of columns: table[k][x] for the columns 8 k + i of a block with bit i of x set. */
typedef struct {
    aligned_value sum[4][256];
} tables;

void fusion_okvs_init(fusion_okvs *okvs, const uint8_t seed[16], uint32_t bins, uint32_t slots)
{
    uint8_t seed_keys[AES128_ROUND_KEYS];
    okvs->bins = bins;
    okvs->slots = slots;
    fusion_aes128_expand(seed_keys, seed);
    for (int j = 0; j < 4; j++) {
        uint8_t name[AES_BLOCK] = "fusion/okvs/1/", key[AES128_KEY];
        name[14] = (uint8_t)j;
        fusion_aes_portable.encrypt(key, name, seed_keys, 1);
        fusion_aes128_expand(okvs->round_keys[j], key);
    }
}

static inline uint32_t load_word(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint32_t slot_of(const fusion_okvs *okvs, uint32_t last_word)
{
    return (uint32_t)((uint64_t)last_word * ((uint64_t)okvs->bins * okvs->slots) >> 32);
}

static inline size_t first_block(const fusion_okvs *okvs, uint32_t slot)
{
    return slot + (size_t)(slot / okvs->slots) * (OKVS_WORDS - 1);
}

void fusion_okvs_slots(const fusion_okvs *okvs, const fusion_aes *aes, uint32_t *slots, const uint8_t *keys, size_t n)
{
    uint8_t hash[AES_BLOCK * ENCODE_BATCH];
    for (size_t i = 0; i < n; i += ENCODE_BATCH) {
        size_t rows = n - i < ENCODE_BATCH ? n - i : ENCODE_BATCH;
        aes->encrypt(hash, keys + AES_BLOCK * i, okvs->round_keys[3], rows);
        for (size_t k = 0; k < rows; k++) slots[i + k] = slot_of(okvs, load_word(hash + AES_BLOCK * k + 12));
    }
}

void fusion_okvs_sort(const fusion_okvs *okvs, uint32_t *order, uint32_t *first, const uint32_t *slots, size_t n)
{
    size_t all = (size_t)okvs->bins * okvs->slots;
    memset(first, 0, (all + 2) * sizeof *first);
    for (size_t i = 0; i < n; i++) first[slots[i] + 2]++;
    for (size_t s = 2; s < all + 2; s++) first[s] += first[s - 1];
    for (size_t i = 0; i < n; i++) order[first[slots[i] + 1]++] = (uint32_t)i;
}

/* Copies row order[i] to row i: all cache misses of a batch at once. */
static void gather(uint8_t *out, const uint8_t *in, const uint32_t *order, size_t rows)
{
    for (size_t i = 0; i < rows; i++) memcpy(out + AES_BLOCK * i, in + AES_BLOCK * (size_t)order[i], AES_BLOCK);
}

/* hash[j] holds AES_{k_j} of every key. */
static void hash_rows(const fusion_okvs *okvs, const fusion_aes *aes, uint8_t *const hash[4], const uint8_t *keys,
                      size_t rows)
{
    for (int j = 0; j < 4; j++) aes->encrypt(hash[j], keys, okvs->round_keys[j], rows);
}

static inline uint8_t *word_of(uint8_t *const hash[4], size_t row, size_t index)
{
    return hash[index % RING / 4] + AES_BLOCK * row + index % 4 * 4;
}

/* Reads the first block of a row and gives its hash the ring form. */
static inline size_t start_row(const fusion_okvs *okvs, uint8_t *const hash[4], size_t row)
{
    uint8_t *last = word_of(hash, row, RING - 1);
    size_t block = first_block(okvs, slot_of(okvs, load_word(last)));
    uint8_t *unused = word_of(hash, row, block + OKVS_WORDS);
    memmove(last, unused, 4);
    memset(unused, 0, 4);
    return block;
}

/* ---- The method of four Russians: eight columns at a time. */

static inline void tabulate(aligned_value sum[256], const value *columns)
{
    sum[0] = (aligned_value){0, 0};
    for (int i = 0; i < 8; i++)
        for (int x = 0; x < 1 << i; x++) sum[(1 << i) + x] = sum[x] ^ columns[i];
}

static inline aligned_value look_up(const tables *t, uint32_t word)
{
    return t->sum[0][word & 255] ^ t->sum[1][word >> 8 & 255] ^ t->sum[2][word >> 16 & 255] ^ t->sum[3][word >> 24];
}

/* ---- Encoding. */

/* Working memory of one bin. Pivot c of the bin is an equation whose lowest selected column is c; its value waits in
 * that column of the store. */
typedef struct {
    tables sums;
    uint8_t keys[AES_BLOCK * ENCODE_BATCH], values[OKVS_VALUE * ENCODE_BATCH], hash[4][AES_BLOCK * ENCODE_BATCH];
    equation pivot[];
} bin;

static size_t blocks_of_bin(const fusion_okvs *okvs) { return (size_t)okvs->slots + OKVS_WORDS - 1; }

size_t fusion_okvs_encode_scratch(const fusion_okvs *okvs)
{
    return sizeof(bin) + blocks_of_bin(okvs) * (OKVS_BLOCK * sizeof(equation) + sizeof(uint32_t));
}

/* Reduces an equation by the pivots from `block` on and makes it a pivot; 0 if nothing is left of it. `used` has a bit
 * for each column that is a pivot; `base` is the first block of the bin. */
static inline int insert(equation *pivot, uint32_t *used, value *columns, size_t base, size_t block, equation e, value v)
{
    for (size_t b = block; b < block + OKVS_WORDS; b++) {
        uint32_t word = e.word[b % RING];
        while (word) {
            unsigned low = (unsigned)__builtin_ctz(word);
            size_t c = OKVS_BLOCK * (b - base) + low;
            if (!(used[b - base] >> low & 1)) {
                used[b - base] |= (uint32_t)1 << low;
                pivot[c] = e;
                columns[c] = v;
                return 1;
            }
            word ^= pivot[c].word[b % RING];
            for (int k = 0; k < 4; k++) e.part[k] ^= pivot[c].part[k];
            v ^= columns[c];
        }
    }
    return 0;
}

static int eliminate(const fusion_okvs *okvs, const fusion_aes *aes, bin *work, uint32_t *used, value *columns,
                     const uint8_t *keys, const uint8_t *values, const uint32_t *order, size_t n, size_t base)
{
    uint8_t *const hash[4] = {work->hash[0], work->hash[1], work->hash[2], work->hash[3]};
    for (size_t i = 0; i < n; i += ENCODE_BATCH, order += ENCODE_BATCH) {
        size_t rows = n - i < ENCODE_BATCH ? n - i : ENCODE_BATCH;
        gather(work->keys, keys, order, rows);
        gather(work->values, values, order, rows);
        hash_rows(okvs, aes, hash, work->keys, rows);
        for (size_t k = 0; k < rows; k++) {
            equation e;
            size_t block = start_row(okvs, hash, k);
            for (int w = 0; w < RING; w++) e.word[w] = load_word(word_of(hash, k, w));
            if (!insert(work->pivot, used, columns, base, block, e, *(const value *)(work->values + OKVS_VALUE * k)))
                return -1;
        }
    }
    return 0;
}

/* Solves from the last block to the first: each block within itself, then for the blocks before it. */
static void substitute(bin *work, const uint32_t *used, value *columns, size_t base, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++)
        for (uint32_t free = ~used[b]; free; free &= free - 1)
            memset(&work->pivot[OKVS_BLOCK * b + (size_t)__builtin_ctz(free)], 0, sizeof(equation));
    for (size_t b = blocks; b-- > 0;) {
        size_t word = (base + b) % RING, start = OKVS_BLOCK * b;
        for (int k = 3; k >= 0; k--) {
            value *eight = columns + start + 8 * k;
            for (int i = 7; i >= 0; i--) {
                uint32_t x = work->pivot[start + 8 * k + i].word[word] >> 8 * k & 255 & ~((2u << i) - 1);
                for (; x; x &= x - 1) eight[i] ^= eight[__builtin_ctz(x)];
            }
            tabulate(work->sums.sum[k], eight);
            for (int c = 0; c < 8 * k; c++)
                columns[start + c] ^= work->sums.sum[k][work->pivot[start + c].word[word] >> 8 * k & 255];
        }
        for (size_t c = OKVS_BLOCK * (b < OKVS_WORDS - 1 ? 0 : b - (OKVS_WORDS - 1)); c < start; c++)
            columns[c] ^= look_up(&work->sums, work->pivot[c].word[word]);
    }
}

int fusion_okvs_encode(const fusion_okvs *okvs, const fusion_aes *aes, uint8_t *store, const uint8_t *keys,
                       const uint8_t *values, const uint32_t *order, const uint32_t *first, uint8_t *scratch,
                       size_t start, size_t stop)
{
    size_t blocks = blocks_of_bin(okvs);
    bin *work = (bin *)scratch;
    uint32_t *used = (uint32_t *)(work->pivot + OKVS_BLOCK * blocks);
    for (size_t i = start; i < stop; i++) {
        const uint32_t *rows = first + i * okvs->slots;
        value *columns = (value *)(store + OKVS_VALUE * OKVS_BLOCK * blocks * i);
        memset(used, 0, blocks * sizeof *used);
        memset(columns, 0, OKVS_VALUE * OKVS_BLOCK * blocks);
        if (eliminate(okvs, aes, work, used, columns, keys, values, order + rows[0], rows[okvs->slots] - rows[0],
                      blocks * i))
            return -1;
        substitute(work, used, columns, blocks * i, blocks);
    }
    return 0;
}

/* ---- Decoding. */

typedef struct {
    tables sums;
    uint8_t keys[AES_BLOCK * DECODE_BATCH], hash[4][AES_BLOCK * DECODE_BATCH];
    aligned_value sum[DECODE_BATCH];
    size_t block[DECODE_BATCH];
} batch;

size_t fusion_okvs_decode_scratch(void) { return sizeof(batch); }

void fusion_okvs_decode(const fusion_okvs *okvs, const fusion_aes *aes, uint8_t *values, const uint8_t *keys,
                        const uint8_t *store, const uint32_t *order, uint8_t *scratch, size_t start, size_t stop)
{
    batch *work = (batch *)scratch;
    uint8_t *const hash[4] = {work->hash[0], work->hash[1], work->hash[2], work->hash[3]};
    for (; start < stop; start += DECODE_BATCH) {
        size_t rows = stop - start < DECODE_BATCH ? stop - start : DECODE_BATCH;
        gather(work->keys, keys, order + start, rows);
        hash_rows(okvs, aes, hash, work->keys, rows);
        for (size_t i = 0; i < rows; i++) {
            work->block[i] = start_row(okvs, hash, i);
            work->sum[i] = (aligned_value){0, 0};
        }
        /* Rows [low, high) are those whose band covers block b. */
        for (size_t b = work->block[0], low = 0, high = 0;; b++) {
            while (high < rows && work->block[high] <= b) high++;
            while (low < high && work->block[low] + OKVS_WORDS <= b) low++;
            if (low == rows) break;
            if (low == high) continue;
            for (int k = 0; k < 4; k++)
                tabulate(work->sums.sum[k], (const value *)(store + OKVS_VALUE * (OKVS_BLOCK * b + 8 * (size_t)k)));
            const uint8_t *words = word_of(hash, 0, b);
            for (size_t i = low; i < high; i++) work->sum[i] ^= look_up(&work->sums, load_word(words + AES_BLOCK * i));
        }
        for (size_t i = 0; i < rows; i++)
            *(value *)(values + OKVS_VALUE * (size_t)order[start + i]) = work->sum[i];
    }
}
