/* Trees and code in heap blocks of exactly their size, for the sanitisers. Built with MEMCHECK, their secrets are marked as
 * uninitialised, and valgrind's memcheck reports every branch and address that depends on one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef MEMCHECK
#include <valgrind/memcheck.h>
#define HIDE(p, n) (void)VALGRIND_MAKE_MEM_UNDEFINED(p, n)
#define SHOW(p, n) (void)VALGRIND_MAKE_MEM_DEFINED(p, n)
#else
#define HIDE(p, n) (void)(p)
#define SHOW(p, n) (void)(p)
#endif

#include "excode.h"
#include "ggm.h"

enum { BLOCK = 16, TREES = 3 };

static uint8_t *fresh(size_t n, unsigned seed)
{
    uint8_t *p = malloc(n ? n : 1);
    if (!p) abort();
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)((i + seed) * 2654435761u >> 13);
    return p;
}

static int check_trees(const fusion_aes *aes, size_t leaves)
{
    size_t depth = 0, bytes = BLOCK * leaves * TREES;
    while ((size_t)1 << depth < leaves) depth++;
    uint8_t *seeds = fresh(BLOCK * TREES, 1), *keys = fresh(BLOCK * TREES * depth, 2), *whole = fresh(bytes, 3);
    uint8_t *sums = fresh(2 * BLOCK * TREES * depth, 4), *hints = fresh(BLOCK * TREES * depth, 5);
    uint8_t *part = fresh(bytes, 6), *totals = fresh(BLOCK * TREES, 7);
    uint64_t *points = malloc(TREES * sizeof *points);
    if (!points) abort();
    HIDE(seeds, BLOCK * TREES);
    fusion_ggm_expand(aes, whole, sums, seeds, keys, leaves, depth, TREES);
    for (size_t t = 0; t < TREES; t++) {
        points[t] = t == 0 ? 0 : t == 1 ? leaves - 1 : leaves / 2;
        for (size_t d = 0; d < depth; d++)
            memcpy(hints + BLOCK * (depth * t + d), sums + BLOCK * (2 * (depth * t + d) + 1 - (points[t] >> d & 1)),
                   BLOCK);
        for (size_t d = 0; d < BLOCK; d++)
            totals[BLOCK * t + d] = whole[BLOCK * (leaves * t + points[t]) + d];
    }
    HIDE(points, TREES * sizeof *points);
    uint8_t *missing = fresh(BLOCK * TREES, 8);
    memcpy(missing, totals, BLOCK * TREES);
    fusion_ggm_puncture(aes, part, totals, hints, points, keys, leaves, depth, TREES);
    fusion_ggm_place(part, points, missing, leaves, TREES);
    SHOW(part, bytes);
    SHOW(whole, bytes);
    int wrong = memcmp(part, whole, bytes) != 0;
    free(seeds), free(keys), free(whole), free(sums), free(hints), free(part), free(totals), free(points), free(missing);
    return wrong;
}

/* Compresses x, in two parts. */
static void compress(const fusion_excode *code, uint8_t *x, uint8_t *scratch)
{
    const size_t n = code->n, buckets = fusion_excode_buckets(n);
    const size_t middle = n / 2 / FUSION_EXCODE_BATCH * FUSION_EXCODE_BATCH;
    uint32_t *starts = calloc(buckets + 1, sizeof *starts), *one = calloc(buckets, sizeof *one);
    uint32_t *both = calloc(buckets, sizeof *both);
    if (!starts || !one || !both) abort();
    for (uint32_t pass = 0; pass < 2; pass++) {
        const uint8_t nothing[GF128_BYTES] = {0};
        uint8_t sum[GF128_BYTES];
        memset(one, 0, buckets * sizeof *one);
        fusion_excode_count(code, one, pass, 0, middle);
        memcpy(both, one, buckets * sizeof *both);
        fusion_excode_count(code, both, pass, middle, n);
        for (size_t b = 0; b < buckets; b++) {
            starts[b + 1] = starts[b] + both[b];
            both[b] = starts[b];
            one[b] += starts[b];
        }
        fusion_excode_sum(sum, x, 0, middle);
        fusion_excode_scatter(code, scratch, x, nothing, both, pass, 0, middle);
        fusion_excode_scatter(code, scratch, x, sum, one, pass, middle, n);
        fusion_excode_shuffle(code, x, scratch, starts, pass, 0, buckets / 2);
        fusion_excode_shuffle(code, x, scratch, starts, pass, buckets / 2, buckets);
    }
    fusion_excode_contract(code, x, 0, n / 32);
    free(starts), free(one), free(both);
}

/* The sum of two compressed vectors is the compressed sum. */
static int check_code(const fusion_aes *aes, const fusion_gf128 *field, size_t n)
{
    uint8_t *a = fresh(BLOCK * n, 1), *b = fresh(BLOCK * n, 2), *c = fresh(BLOCK * n, 3), *scratch = fresh(BLOCK * n, 4);
    uint8_t *weights = fresh(BLOCK * FUSION_EXCODE_SIDE, 5), *round_keys = fresh(AES128_ROUND_KEYS, 6);
    const fusion_excode code = {aes, field, round_keys, weights, n};
    for (size_t i = 0; i < BLOCK * n; i++) c[i] = a[i] ^ b[i];
    uint8_t *each[3] = {a, b, c};
    for (int k = 0; k < 3; k++) {
        HIDE(each[k], BLOCK * n);
        compress(&code, each[k], scratch);
        SHOW(each[k], BLOCK * n);
    }
    int wrong = 0;
    for (size_t i = 0; i < BLOCK * n / 2; i++) wrong |= c[i] != (a[i] ^ b[i]);
    free(a), free(b), free(c), free(scratch), free(weights), free(round_keys);
    return wrong;
}

int main(int argc, char **argv)
{
    static const size_t leaves[] = {2, 3, 4, 5, 16, 23, 64, 100}, lengths[] = {0, 32, 64, 544, 4096, 4128, 9600};
    int variants = 0, wrong = 0;
    if (argc == 2 && !strcmp(argv[1], "leak")) {
        uint8_t *secret = fresh(1, 0);
        HIDE(secret, 1);
        if (*secret) puts("a branch on a secret");
        free(secret);
        return 0;
    }
    while (fusion_aes_variant(variants)) variants++;
    int first = argc == 2 && !strcmp(argv[1], "portable") ? variants - 1 : 0;
    for (int v = first; v < variants; v++) {
        for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) wrong |= check_trees(fusion_aes_variant(v), leaves[i]);
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            wrong |= check_code(fusion_aes_variant(v), fusion_gf128_variant(v), lengths[i]);
    }
    puts(wrong ? "wrong" : "done");
    return wrong;
}
