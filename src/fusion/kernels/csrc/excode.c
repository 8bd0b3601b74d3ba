#include "excode.h"

#include "constant_time.h"

enum { ELEMENT = GF128_BYTES, SIDE = FUSION_EXCODE_SIDE };
/* Elements worked on at once: labels and sums stay in the first cache. */
enum { BATCH = 512 };
enum { LARGEST_BUCKET = 4096, MOST_BUCKETS = 1 << 16, LARGEST_PIECE = 2 * LARGEST_BUCKET };

enum stream { LABELS, BUCKETS, SHUFFLES, STREAMS_OF_A_PASS = 4 };

static inline void store64(uint8_t *p, uint64_t x)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(x >> 8 * i);
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t x = 0;
    for (int i = 0; i < 8; i++) x |= (uint64_t)p[i] << 8 * i;
    return x;
}

/* Blocks [first, first + count) of a stream. */
static void draw(const fusion_aes *aes, const uint8_t *round_keys, uint8_t *out, uint64_t stream, uint64_t first,
                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        store64(out + AES_BLOCK * i, first + i);
        store64(out + AES_BLOCK * i + 8, stream);
    }
    aes->encrypt(out, out, round_keys, count);
}

static inline size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t bucket_count(size_t n)
{
    size_t buckets = 1;
    while (buckets < MOST_BUCKETS && n > buckets * LARGEST_BUCKET) buckets *= 2;
    return buckets;
}

/* The buckets of elements [first, first + count); first is a multiple of BATCH. */
static void draw_buckets(const fusion_aes *aes, const uint8_t *round_keys, uint16_t *out, uint64_t stream, size_t first,
                         size_t count, size_t buckets)
{
    uint8_t bytes[2 * BATCH];
    draw(aes, round_keys, bytes, stream, first / 8, (count + 7) / 8);
    for (size_t i = 0; i < count; i++)
        out[i] = (uint16_t)((bytes[2 * i] | bytes[2 * i + 1] << 8) & (buckets - 1));
}

/* Where each bucket starts, and where the last one ends. */
static void lay_out(const fusion_aes *aes, const uint8_t *round_keys, uint32_t *starts, uint64_t stream, size_t n,
                    size_t buckets)
{
    uint16_t bucket[BATCH];
    memset(starts, 0, (buckets + 1) * sizeof *starts);
    for (size_t i = 0; i < n; i += BATCH) {
        size_t count = least(BATCH, n - i);
        draw_buckets(aes, round_keys, bucket, stream, i, count, buckets);
        for (size_t k = 0; k < count; k++) starts[bucket[k] + 1]++;
    }
    for (size_t b = 0; b < buckets; b++) starts[b + 1] += starts[b];
}

/* Accumulate, label, and sort into buckets, the next free places of which are `next`. */
static void scatter(const fusion_aes *aes, const fusion_gf128 *field, uint8_t *out, const uint8_t *x,
                    const uint8_t *round_keys, uint32_t *next, uint64_t streams, size_t n, size_t buckets)
{
    uint8_t sums[ELEMENT * BATCH], labels[ELEMENT * BATCH];
    uint16_t bucket[BATCH];
    uint64_t total[2] = {0, 0}, element[2];
    for (size_t i = 0; i < n; i += BATCH) {
        size_t count = least(BATCH, n - i);
        for (size_t k = 0; k < count; k++) {
            memcpy(element, x + ELEMENT * (i + k), ELEMENT);
            total[0] ^= element[0];
            total[1] ^= element[1];
            memcpy(sums + ELEMENT * k, total, ELEMENT);
        }
        draw(aes, round_keys, labels, streams + LABELS, i, count);
        field->multiply(sums, sums, labels, count);
        draw_buckets(aes, round_keys, bucket, streams + BUCKETS, i, count, buckets);
        for (size_t k = 0; k < count; k++)
            memcpy(out + ELEMENT * (size_t)next[bucket[k]]++, sums + ELEMENT * k, ELEMENT);
    }
    wipe(sums, sizeof sums);
    wipe(total, sizeof total);
    wipe(element, sizeof element);
}

/* Fisher and Yates on the places of one piece, [start, end), then its elements from `x` to `out` in that order. Places
 * are smaller than elements: hardly any lie so close that the processor takes one for another that is still being
 * written. */
static void shuffle(const fusion_aes *aes, uint8_t *out, const uint8_t *x, const uint8_t *round_keys, uint64_t stream,
                    size_t start, size_t end)
{
    uint8_t words[8 * BATCH];
    uint16_t place[LARGEST_PIECE];
    for (size_t k = 0; k < end - start; k++) place[k] = (uint16_t)k;
    for (size_t g = start; g < end;) {
        size_t odd = g & 1, count = least(BATCH - odd, end - g);
        draw(aes, round_keys, words, stream, g / 2, (odd + count + 1) / 2);
        for (size_t k = odd; k < odd + count; k++, g++) {
            size_t here = g - start;
            size_t there = here + (size_t)((unsigned __int128)load64(words + 8 * k) * (end - g) >> 64);
            uint16_t swap = place[there];
            place[there] = place[here];
            place[here] = swap;
        }
    }
    for (size_t g = start; g < end; g++) memcpy(out + ELEMENT * g, x + ELEMENT * (start + place[g - start]), ELEMENT);
}

static void contract(const fusion_gf128 *field, uint8_t *x, const uint8_t *weights, size_t n)
{
    const size_t columns = n / (2 * SIDE);
    for (size_t first = 0; first < columns; first += BATCH)
        for (size_t j = 0; j < SIDE; j++)
            for (size_t l = 0; l < SIDE; l++)
                field->scale_add(x + ELEMENT * (columns * j + first), x + ELEMENT * (columns * (SIDE + l) + first),
                                 weights + ELEMENT * (j ^ l), least(BATCH, columns - first));
}

void fusion_excode(const fusion_aes *aes, const fusion_gf128 *field, uint8_t *x, uint8_t *scratch,
                   uint32_t *starts, const uint8_t *round_keys, const uint8_t *weights, size_t n)
{
    const size_t buckets = bucket_count(n);
    uint32_t *next = starts + buckets + 1;
    for (uint64_t pass = 0; pass < 2; pass++) {
        const uint64_t streams = STREAMS_OF_A_PASS * pass;
        lay_out(aes, round_keys, starts, streams + BUCKETS, n, buckets);
        memcpy(next, starts, buckets * sizeof *next);
        scatter(aes, field, scratch, x, round_keys, next, streams, n, buckets);
        for (size_t b = 0; b < buckets; b++)
            for (size_t start = starts[b]; start < starts[b + 1]; start += LARGEST_PIECE)
                shuffle(aes, x, scratch, round_keys, streams + SHUFFLES, start,
                        least(start + LARGEST_PIECE, starts[b + 1]));
    }
    contract(field, x, weights, n);
}
