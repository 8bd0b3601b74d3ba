#include "okvs.h"

#include <string.h>

/* Keys of a batch are hashed together. A decoding's batch stays in the second-level cache, an encoding's in the
 * first. */
enum { RING = OKVS_WORDS + 1, HASHES = RING / 4, DECODE_BATCH = 8192, ENCODE_BATCH = 128 };

typedef uint64_t value __attribute__((vector_size(OKVS_VALUE), aligned(1), may_alias));
typedef uint64_t aligned_value __attribute__((vector_size(OKVS_VALUE), may_alias));

/* The ring of words of one key's equation. */
typedef union {
    uint32_t word[RING];
    aligned_value part[HASHES];
} equation;

/* sum[k][x]: the sum of the columns 8 k + i of a block for which bit i of x is set. */
typedef struct {
    aligned_value sum[OKVS_BLOCK / 8][256];
} tables;

void fusion_okvs_init(fusion_okvs *okvs, const uint8_t seed[AES128_KEY], uint32_t bins, uint32_t slots)
{
    uint8_t seed_keys[AES128_ROUND_KEYS];
    okvs->bins = bins;
    okvs->slots = slots;
    fusion_aes128_expand(seed_keys, seed);
    for (int j = 0; j < HASHES; j++) {
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

void fusion_okvs_slots(const fusion_okvs *okvs, const fusion_aes *aes, uint32_t *slots, const uint8_t *keys, size_t n)
{
    uint8_t hash[AES_BLOCK * ENCODE_BATCH];
    for (size_t i = 0; i < n; i += ENCODE_BATCH) {
        size_t rows = n - i < ENCODE_BATCH ? n - i : ENCODE_BATCH;
        aes->encrypt(hash, keys + AES_BLOCK * i, okvs->round_keys[HASHES - 1], rows);
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

/* ---- Hashes of a batch: HASHES arrays of `room` rows of 16 bytes. */

/* Copies row order[i] to row i: the cache misses of a whole batch at once. */
static void gather(uint8_t *out, const uint8_t *in, const uint32_t *order, size_t rows)
{
    for (size_t i = 0; i < rows; i++) memcpy(out + AES_BLOCK * i, in + AES_BLOCK * (size_t)order[i], AES_BLOCK);
}

static void hash_keys(const fusion_okvs *okvs, const fusion_aes *aes, uint8_t *hash, size_t room, const uint8_t *keys,
                      size_t rows)
{
    for (size_t j = 0; j < HASHES; j++) aes->encrypt(hash + AES_BLOCK * room * j, keys, okvs->round_keys[j], rows);
}

static inline uint8_t *word_of(uint8_t *hash, size_t room, size_t row, size_t block)
{
    size_t index = block % RING;
    return hash + AES_BLOCK * (room * (index / 4) + row) + 4 * (index % 4);
}

/* Gives a row's hash the form of a ring, and returns the first block of its band. */
static inline uint32_t start_row(const fusion_okvs *okvs, uint8_t *hash, size_t room, size_t row)
{
    uint8_t *last = word_of(hash, room, row, RING - 1);
    uint32_t slot = slot_of(okvs, load_word(last));
    uint32_t block = slot + slot / okvs->slots * (OKVS_WORDS - 1);
    uint8_t *outside = word_of(hash, room, row, (size_t)block + OKVS_WORDS);
    memmove(last, outside, 4);
    memset(outside, 0, 4);
    return block;
}

/* ---- The method of the four Russians: sums of eight columns are looked up. */

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

/* ---- Encoding: elimination from the first column to the last, substitution back. */

/* What one bin needs. pivot[c] is the equation whose lowest column is c; its right-hand side waits in column c of the
 * store. A bitmap of the columns that are pivots follows the pivots. */
typedef struct {
    tables tables;
    uint8_t keys[AES_BLOCK * ENCODE_BATCH], values[OKVS_VALUE * ENCODE_BATCH];
    uint8_t hash[HASHES * AES_BLOCK * ENCODE_BATCH];
    uint32_t block[ENCODE_BATCH];
    equation pivot[];
} bin;

static size_t blocks_of_bin(const fusion_okvs *okvs) { return (size_t)okvs->slots + OKVS_WORDS - 1; }

size_t fusion_okvs_encode_scratch(const fusion_okvs *okvs)
{
    return sizeof(bin) + blocks_of_bin(okvs) * (OKVS_BLOCK * sizeof(equation) + sizeof(uint32_t));
}

/* Reduces an equation whose band starts at `block` and makes it a pivot; -1 if nothing is left of it. `base` is the
 * first block of the bin. */
static inline int insert(equation *pivot, uint32_t *used, value *columns, size_t base, size_t block, equation e,
                         value v)
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
                return 0;
            }
            word ^= pivot[c].word[b % RING];
            for (int k = 0; k < HASHES; k++) e.part[k] ^= pivot[c].part[k];
            v ^= columns[c];
        }
    }
    return -1;
}

static int eliminate(const fusion_okvs *okvs, const fusion_aes *aes, bin *work, uint32_t *used, value *columns,
                     const uint8_t *keys, const uint8_t *values, const uint32_t *order, size_t n, size_t base)
{
    for (size_t i = 0; i < n; i += ENCODE_BATCH, order += ENCODE_BATCH) {
        size_t rows = n - i < ENCODE_BATCH ? n - i : ENCODE_BATCH;
        gather(work->keys, keys, order, rows);
        gather(work->values, values, order, rows);
        hash_keys(okvs, aes, work->hash, ENCODE_BATCH, work->keys, rows);
        for (size_t k = 0; k < rows; k++) work->block[k] = start_row(okvs, work->hash, ENCODE_BATCH, k);
        for (size_t k = 0; k < rows; k++) {
            equation e;
            value v = *(const value *)(work->values + OKVS_VALUE * k);
            for (size_t b = 0; b < RING; b++) e.word[b] = load_word(word_of(work->hash, ENCODE_BATCH, k, b));
            if (insert(work->pivot, used, columns, base, work->block[k], e, v)) return -1;
        }
    }
    return 0;
}

/* Solves one block whose later blocks are done, eight columns at a time from the last, and leaves its tables. */
static inline void solve_block(tables *t, const equation *pivot, value *columns, size_t word)
{
    for (int k = OKVS_BLOCK / 8 - 1; k >= 0; k--) {
        value *eight = columns + 8 * k;
        for (int i = 7; i >= 0; i--) {
            uint32_t later = pivot[8 * k + i].word[word] >> 8 * k & (0xfeu << i & 0xff);
            for (; later; later &= later - 1) eight[i] ^= eight[__builtin_ctz(later)];
        }
        tabulate(t->sum[k], eight);
        for (int c = 0; c < 8 * k; c++) columns[c] ^= t->sum[k][pivot[c].word[word] >> 8 * k & 255];
    }
}

static void substitute(bin *work, const uint32_t *used, value *columns, size_t base, size_t blocks)
{
    equation *pivot = work->pivot;
    for (size_t b = 0; b < blocks; b++)
        for (uint32_t unused = ~used[b]; unused; unused &= unused - 1)
            memset(&pivot[OKVS_BLOCK * b + (size_t)__builtin_ctz(unused)], 0, sizeof(equation));
    for (size_t b = blocks; b-- > 0;) {
        size_t word = (base + b) % RING, start = OKVS_BLOCK * b, reach = OKVS_BLOCK * (OKVS_WORDS - 1);
        solve_block(&work->tables, pivot + start, columns + start, word);
        for (size_t c = start < reach ? 0 : start - reach; c < start; c++)
            columns[c] ^= look_up(&work->tables, pivot[c].word[word]);
    }
}

int fusion_okvs_encode(const fusion_okvs *okvs, const fusion_aes *aes, uint8_t *store, const uint8_t *keys,
                       const uint8_t *values, const uint32_t *order, const uint32_t *first, uint8_t *scratch,
                       size_t start, size_t stop)
{
    size_t blocks = blocks_of_bin(okvs), bytes = OKVS_VALUE * OKVS_BLOCK * blocks;
    bin *work = (bin *)scratch;
    uint32_t *used = (uint32_t *)(work->pivot + OKVS_BLOCK * blocks);
    for (size_t i = start; i < stop; i++) {
        const uint32_t *rows = first + i * okvs->slots;
        value *columns = (value *)(store + bytes * i);
        memset(used, 0, blocks * sizeof *used);
        memset(columns, 0, bytes);
        if (eliminate(okvs, aes, work, used, columns, keys, values, order + rows[0], rows[okvs->slots] - rows[0],
                      blocks * i))
            return -1;
        substitute(work, used, columns, blocks * i, blocks);
    }
    return 0;
}

/* ---- Decoding: block by block, for all the keys whose band covers it. */

typedef struct {
    tables tables;
    aligned_value sum[DECODE_BATCH];
    uint8_t keys[AES_BLOCK * DECODE_BATCH];
    uint8_t hash[HASHES * AES_BLOCK * DECODE_BATCH];
    uint32_t block[DECODE_BATCH];
} batch;

size_t fusion_okvs_decode_scratch(void) { return sizeof(batch); }

/* The sums of a batch whose rows are hashed, in order of their bands. */
static void sum_columns(batch *work, const uint8_t *store, size_t rows)
{
    size_t low = 0, high = 0; /* rows [low, high) have block b in their band */
    for (size_t b = work->block[0]; low < rows; b++) {
        while (high < rows && work->block[high] <= b) high++;
        while (low < high && work->block[low] + OKVS_WORDS <= b) low++;
        if (low == high) continue;
        const value *columns = (const value *)(store + OKVS_VALUE * OKVS_BLOCK * b);
        for (size_t k = 0; k < OKVS_BLOCK / 8; k++) tabulate(work->tables.sum[k], columns + 8 * k);
        const uint8_t *words = word_of(work->hash, DECODE_BATCH, 0, b);
        for (size_t i = low; i < high; i++)
            work->sum[i] ^= look_up(&work->tables, load_word(words + AES_BLOCK * i));
    }
}

void fusion_okvs_decode(const fusion_okvs *okvs, const fusion_aes *aes, uint8_t *values, const uint8_t *keys,
                        const uint8_t *store, const uint32_t *order, uint8_t *scratch, size_t start, size_t stop)
{
    batch *work = (batch *)scratch;
    for (; start < stop; start += DECODE_BATCH) {
        size_t rows = stop - start < DECODE_BATCH ? stop - start : DECODE_BATCH;
        gather(work->keys, keys, order + start, rows);
        hash_keys(okvs, aes, work->hash, DECODE_BATCH, work->keys, rows);
        for (size_t i = 0; i < rows; i++) work->block[i] = start_row(okvs, work->hash, DECODE_BATCH, i);
        memset(work->sum, 0, rows * sizeof *work->sum);
        sum_columns(work, store, rows);
        for (size_t i = 0; i < rows; i++)
            *(value *)(values + OKVS_VALUE * (size_t)order[start + i]) = work->sum[i];
    }
}
