#include "join.h"

#include "big_endian.h"

#include <string.h>

typedef fusion_join_entry entry;

/* HEAD: bytes of a row that an entry holds. FEW: so many entries are sorted by insertion. */
enum { HEAD = 12, FEW = 16, MOST_BUCKETS = 1 << 11 };

static inline size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Reads HEAD bytes whatever the width if they lie within the set, and masks what is not the row's. */
static inline entry load(const uint8_t *rows, size_t width, size_t n, size_t row)
{
    const uint8_t *at = rows + width * row;
    uint8_t copy[HEAD] = {0};
    if (width * (n - row) < HEAD) {
        if (width) memcpy(copy, at, least(width * (n - row), HEAD));
        at = copy;
    }
    entry e = {load_be64(at), load_be32(at + 8), (uint32_t)row};
    if (width < 8) e.high &= width ? ~(uint64_t)0 << (64 - 8 * width) : 0;
    if (width < HEAD) e.low &= width > 8 ? ~(uint32_t)0 << (96 - 8 * width) : 0;
    return e;
}

static inline size_t partition(uint64_t high, int bits) { return bits ? (size_t)(high >> (64 - bits)) : 0; }

void fusion_join_count(uint32_t *counts, const uint8_t *rows, size_t width, size_t n, int bits, size_t start,
                       size_t stop)
{
    for (size_t i = start; i < stop; i++) counts[partition(load(rows, width, n, i).high, bits)]++;
}

void fusion_join_spread(entry *entries, uint32_t *next, const uint8_t *rows, size_t width, size_t n, int bits,
                        size_t start, size_t stop)
{
    for (size_t i = start; i < stop; i++) {
        entry e = load(rows, width, n, i);
        entries[next[partition(e.high, bits)]++] = e;
    }
}

/* ---- Order within a partition. */

/* Less than, equal to or greater than zero, as a row of one set comes before, equals or comes after one of another. */
static inline int compare(const entry *a, const uint8_t *a_rows, const entry *b, const uint8_t *b_rows, size_t width)
{
    if (a->high != b->high) return a->high < b->high ? -1 : 1;
    if (a->low != b->low) return a->low < b->low ? -1 : 1;
    if (width <= HEAD) return 0;
    return memcmp(a_rows + width * (size_t)a->row + HEAD, b_rows + width * (size_t)b->row + HEAD, width - HEAD);
}

static void insertion_sort(entry *e, size_t n, const uint8_t *rows, size_t width)
{
    for (size_t i = 1; i < n; i++) {
        entry moving = e[i];
        size_t k = i;
        for (; k && compare(&moving, rows, &e[k - 1], rows, width) < 0; k--) e[k] = e[k - 1];
        e[k] = moving;
    }
}

/* Stable, from runs of FEW entries up; `room` holds n entries. Runs that are in order already, as those of equal rows,
 * are left alone. */
static void merge_sort(entry *e, size_t n, const uint8_t *rows, size_t width, entry *room)
{
    for (size_t i = 0; i < n; i += FEW) insertion_sort(e + i, least(FEW, n - i), rows, width);
    for (size_t run = FEW; run < n; run *= 2) {
        for (size_t i = 0; i + run < n; i += 2 * run) {
            size_t left = 0, right = i + run, end = least(i + 2 * run, n), out = i;
            if (compare(&e[right - 1], rows, &e[right], rows, width) <= 0) continue;
            memcpy(room, e + i, run * sizeof *e);
            while (left < run && right < end)
                e[out++] = compare(&e[right], rows, &room[left], rows, width) < 0 ? e[right++] : room[left++];
            memcpy(e + out, room + left, (run - left) * sizeof *e);
        }
    }
}

/* Sorts the entries of one partition, stably: into buckets by the bits after the partition's, about as many buckets as
 * entries, and each bucket on its own. */
static void sort_partition(entry *e, size_t n, const uint8_t *rows, size_t width, int bits, entry *scratch)
{
    uint32_t ends[MOST_BUCKETS] = {0};
    int buckets = 0;
    if (n <= FEW) {
        insertion_sort(e, n, rows, width);
        return;
    }
    while ((size_t)1 << buckets < n && 1 << buckets < MOST_BUCKETS) buckets++;
    const size_t all = (size_t)1 << buckets;
#define BUCKET(entry) ((size_t)((entry).high << bits >> (64 - buckets)))
    for (size_t i = 0; i < n; i++) ends[BUCKET(e[i])]++;
    uint32_t total = 0;
    for (size_t k = 0; k < all; k++) {
        uint32_t count = ends[k];
        ends[k] = total;
        total += count;
    }
    memcpy(scratch, e, n * sizeof *e);
    for (size_t i = 0; i < n; i++) e[ends[BUCKET(scratch[i])]++] = scratch[i];
#undef BUCKET
    for (size_t k = 0, start = 0; k < all; start = ends[k++]) {
        size_t count = ends[k] - start;
        if (count <= FEW)
            insertion_sort(e + start, count, rows, width);
        else
            merge_sort(e + start, count, rows, width, scratch);
    }
}

/* ---- What partitions are sorted for. */

size_t fusion_join_match(int64_t *i, int64_t *j, const fusion_join_set *a, const fusion_join_set *b, size_t width,
                         int bits, size_t start, size_t stop, entry *scratch)
{
    size_t found = 0;
    for (size_t p = start; p < stop; p++) {
        entry *x = a->entries + a->first[p], *y = b->entries + b->first[p];
        const entry *const x_end = a->entries + a->first[p + 1], *const y_end = b->entries + b->first[p + 1];
        if (x == x_end || y == y_end) continue;
        sort_partition(x, (size_t)(x_end - x), a->rows, width, bits, scratch);
        sort_partition(y, (size_t)(y_end - y), b->rows, width, bits, scratch);
        while (x < x_end && y < y_end) {
            int order = compare(x, a->rows, y, b->rows, width);
            if (!order) {
                const entry *const pair = x;
                i[found] = x->row;
                j[found++] = y->row;
                do x++;
                while (x < x_end && !compare(x, a->rows, pair, a->rows, width));
                do y++;
                while (y < y_end && !compare(y, b->rows, pair, a->rows, width));
            } else if (order < 0) {
                x++;
            } else {
                y++;
            }
        }
    }
    return found;
}

void fusion_join_repeats(uint8_t *repeated, const fusion_join_set *a, size_t width, int bits, size_t start, size_t stop,
                         entry *scratch)
{
    for (size_t p = start; p < stop; p++) {
        entry *x = a->entries + a->first[p];
        const size_t n = a->first[p + 1] - a->first[p];
        sort_partition(x, n, a->rows, width, bits, scratch);
        for (size_t k = 1; k < n; k++)
            if (!compare(&x[k], a->rows, &x[k - 1], a->rows, width)) repeated[x[k].row] = 1;
    }
}
