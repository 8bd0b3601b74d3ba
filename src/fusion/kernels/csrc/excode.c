#include "excode.h"

#include "constant_time.h"

enum { ELEMENT = GF128_BYTES, SIDE = FUSION_EXCODE_SIDE };
/* Elements worked on at once, and columns contracted at once: what they need stays in the first cache. */
enum { BATCH = 512, COLUMNS = 64 };
enum { LARGEST_BUCKET = 4096, MOST_BUCKETS = 1 << 16, LARGEST_PIECE = 2 * LARGEST_BUCKET };

typedef uint64_t element __attribute__((vector_size(ELEMENT), aligned(1), may_alias));

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

size_t fusion_excode_buckets(size_t n)
{
    size_t buckets = 1;
    while (buckets < MOST_BUCKETS && n > buckets * LARGEST_BUCKET) buckets *= 2;
    return buckets;
}

/* The buckets of elements [first, first + count), count <= BATCH. */
static void draw_buckets(const fusion_excode *code, uint16_t *out, uint64_t pass, size_t first, size_t count,
                         size_t buckets)
{
    uint8_t bytes[2 * BATCH + AES_BLOCK];
    const size_t skip = first % 8;
    draw(code->aes, code->round_keys, bytes, STREAMS_OF_A_PASS * pass + BUCKETS, first / 8, (skip + count + 7) / 8);
    for (size_t i = 0; i < count; i++)
        out[i] = (uint16_t)((bytes[2 * (skip + i)] | bytes[2 * (skip + i) + 1] << 8) & (buckets - 1));
}

void fusion_excode_count(const fusion_excode *code, uint32_t *counts, uint32_t pass, size_t start, size_t stop)
{
    const size_t buckets = fusion_excode_buckets(code->n);
    uint16_t bucket[BATCH];
    for (size_t i = start; i < stop; i += BATCH) {
        size_t count = least(BATCH, stop - i);
        draw_buckets(code, bucket, pass, i, count, buckets);
        for (size_t k = 0; k < count; k++) counts[bucket[k]]++;
    }
}

void fusion_excode_sum(uint8_t sum[ELEMENT], const uint8_t *x, size_t start, size_t stop)
{
    const element *in = (const element *)x;
    element total = {0, 0};
    for (size_t i = start; i < stop; i++) total ^= in[i];
    *(element *)sum = total;
}

/* Accumulates and labels elements [i, i + count), which `batch` holds and loses, and moves them to their buckets. */
static void scatter(const fusion_excode *code, element *out, element *batch, element *total, uint32_t *next,
                    uint64_t pass, size_t i, size_t count)
{
    uint8_t labels[ELEMENT * BATCH];
    uint16_t bucket[BATCH];
    element sum = *total;
    for (size_t k = 0; k < count; k++) batch[k] = sum ^= batch[k];
    *total = sum;
    draw(code->aes, code->round_keys, labels, STREAMS_OF_A_PASS * pass + LABELS, i, count);
    code->field->multiply((uint8_t *)batch, (const uint8_t *)batch, labels, count);
    draw_buckets(code, bucket, pass, i, count, fusion_excode_buckets(code->n));
    for (size_t k = 0; k < count; k++) out[next[bucket[k]]++] = batch[k];
}

void fusion_excode_scatter(const fusion_excode *code, uint8_t *out, const uint8_t *x, const uint8_t before[ELEMENT],
                           uint32_t *next, size_t start, size_t stop)
{
    element total = *(const element *)before, batch[BATCH];
    for (size_t i = start; i < stop; i += BATCH) {
        const size_t count = least(BATCH, stop - i);
        memcpy(batch, x + ELEMENT * i, ELEMENT * count);
        scatter(code, (element *)out, batch, &total, next, 0, i, count);
    }
    wipe(batch, sizeof batch);
    wipe(&total, sizeof total);
}

void fusion_excode_scatter_noise(const fusion_excode *code, uint8_t *out, const uint64_t *points, const uint8_t *values,
                                 size_t leaves, const uint8_t before[ELEMENT], uint32_t *next, size_t start,
                                 size_t stop)
{
    const element *const value = (const element *)values;
    element total = *(const element *)before, batch[BATCH];
    for (size_t i = start; i < stop; i += BATCH) {
        const size_t count = least(BATCH, stop - i);
        for (size_t k = 0; k < count;) {
            const size_t stretch = (i + k) / leaves, from = (i + k) % leaves, run = least(leaves - from, count - k);
            for (size_t j = 0; j < run; j++) {
                const uint64_t m = ct_equal_in_vectors(from + j, points[stretch]);
                batch[k + j] = value[stretch] & (element){m, m};
            }
            k += run;
        }
        scatter(code, (element *)out, batch, &total, next, 0, i, count);
    }
    wipe(batch, sizeof batch);
    wipe(&total, sizeof total);
}

/* Fisher and Yates on the places of one piece, [start, end). Places are smaller than elements: hardly any lie so close
 * that the processor takes one for another that is still being written. */
static void draw_order(const fusion_excode *code, uint16_t *place, uint64_t pass, size_t start, size_t end)
{
    uint8_t words[8 * BATCH];
    for (size_t k = 0; k < end - start; k++) place[k] = (uint16_t)k;
    for (size_t g = start; g < end;) {
        size_t odd = g & 1, count = least(BATCH - odd, end - g);
        draw(code->aes, code->round_keys, words, STREAMS_OF_A_PASS * pass + SHUFFLES, g / 2, (odd + count + 1) / 2);
        for (size_t k = odd; k < odd + count; k++, g++) {
            size_t here = g - start;
            size_t there = here + (size_t)((unsigned __int128)load64(words + 8 * k) * (end - g) >> 64);
            uint16_t swap = place[there];
            place[there] = place[here];
            place[here] = swap;
        }
    }
}

/* The piece of bucket b that begins at `start` ends there. */
static inline size_t piece_end(const uint32_t *starts, size_t b, size_t start)
{
    return least(start + LARGEST_PIECE, starts[b + 1]);
}

void fusion_excode_order(const fusion_excode *code, uint16_t *order, const uint32_t *starts, uint32_t pass, size_t first,
                         size_t last)
{
    for (size_t b = first; b < last; b++)
        for (size_t start = starts[b]; start < starts[b + 1]; start += LARGEST_PIECE)
            draw_order(code, order + start, pass, start, piece_end(starts, b, start));
}

void fusion_excode_next_pass(const fusion_excode *code, uint8_t *out, const uint8_t *x, const uint32_t *starts,
                             const uint16_t *order, const uint8_t before[ELEMENT], uint32_t *next, size_t first,
                             size_t last)
{
    element total = *(const element *)before, batch[BATCH];
    for (size_t b = first; b < last; b++)
        for (size_t start = starts[b]; start < starts[b + 1]; start += LARGEST_PIECE) {
            const element *const from = (const element *)x + start;
            const size_t end = piece_end(starts, b, start);
            for (size_t g = start; g < end; g += BATCH) {
                const size_t count = least(BATCH, end - g);
                for (size_t k = 0; k < count; k++) batch[k] = from[order[g + k]];
                scatter(code, (element *)out, batch, &total, next, 1, g, count);
            }
        }
    wipe(batch, sizeof batch);
    wipe(&total, sizeof total);
}

void fusion_excode_shuffle(uint8_t *out, const uint8_t *x, const uint32_t *starts, const uint16_t *order, size_t first,
                           size_t last)
{
    for (size_t b = first; b < last; b++)
        for (size_t start = starts[b]; start < starts[b + 1]; start += LARGEST_PIECE) {
            const element *const from = (const element *)x + start;
            for (size_t g = start; g < piece_end(starts, b, start); g++) ((element *)out)[g] = from[order[g]];
        }
}

static inline void add_row(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t count)
{
    for (size_t k = 0; k < ELEMENT * count; k += 8) {
        uint64_t x, y;
        memcpy(&x, a + k, 8);
        memcpy(&y, b + k, 8);
        x ^= y;
        memcpy(out + k, &x, 8);
    }
}

/* y_j += sum over l < rows of c_(j xor l) * h_l, `rows` a power of two. Rows have `count` elements and lie y_apart and
 * h_apart bytes from each other. In halves it is c0 h0 + c1 h1 and c1 h0 + c0 h1, which three products make:
 * c0 (h0 + h1) in both, (c0 + c1) h1 and (c0 + c1) h0 (Karatsuba). `room` holds 2 (rows - 1) rows. */
static void convolve(const fusion_gf128 *field, uint8_t *y, size_t y_apart, const uint8_t *h, size_t h_apart,
                     const uint8_t *c, size_t rows, size_t count, uint8_t *room)
{
    if (rows == 1) {
        field->scale_add(y, h, c, count);
        return;
    }
    const size_t half = rows / 2, size = ELEMENT * count;
    uint8_t *const sum = room, *const both = room + half * size, *const rest = both + half * size;
    uint8_t weights[ELEMENT * FUSION_EXCODE_SIDE / 2];
    for (size_t j = 0; j < half; j++) add_row(sum + size * j, h + h_apart * j, h + h_apart * (half + j), count);
    memset(both, 0, half * size);
    convolve(field, both, size, sum, size, c, half, count, rest);
    for (size_t j = 0; j < rows; j++) add_row(y + y_apart * j, y + y_apart * j, both + size * (j % half), count);
    add_row(weights, c, c + ELEMENT * half, half);
    convolve(field, y, y_apart, h + h_apart * half, h_apart, weights, half, count, rest);
    convolve(field, y + y_apart * half, y_apart, h, h_apart, weights, half, count, rest);
}

void fusion_excode_contract(const fusion_excode *code, uint8_t *x, size_t first, size_t last)
{
    const size_t apart = ELEMENT * (code->n / (2 * SIDE));
    uint8_t room[2 * (SIDE - 1) * ELEMENT * COLUMNS];
    for (; first < last; first += COLUMNS)
        convolve(code->field, x + ELEMENT * first, apart, x + SIDE * apart + ELEMENT * first, apart, code->weights, SIDE,
                 least(COLUMNS, last - first), room);
    wipe(room, sizeof room);
}
